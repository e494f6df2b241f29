"""Train the denoiser: ``python -m sdkit.recipes.unet --art-dir DIR``, after VAE and CLIP.

The network predicts the noise in latents, given a caption (Rombach et al. 2022). A share of the
captions is dropped for classifier-free guidance (Ho & Salimans 2022). The loss is weighted so that
all noise levels have about the same influence. One network learns two tasks: whole postcards, to
make pictures of 64 px from sentences and to draw them again at twice the size; and crops of
paintings and photographs, to change the style of pictures. Latents are computed once, before the
training. The network is convolutional, so it works at any size.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import compute_snr
from PIL import ImageOps
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from sdkit import postcards
from sdkit.pictures import art
from sdkit.postcards import Postcard
from sdkit.recipes import captions, cards, pairs, redraws, training
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import BaseSettings, command_line, in_models
from sdkit.recipes.text import text_encoder_of, tokens

CARD_SIDE = 64  # px, of postcards
PURE_NOISE = (900, 1000)  # timesteps at which sampling from pure noise may begin
IMAGE_TO_IMAGE = (200, 700)  # timesteps at which image to image begins: strength 0.2 to 0.7
DECISIVE_FOR_CARDS = (400, 1000)  # timesteps in which a thing gets its shape and place
DECISIVE_FOR_STYLE = (0, 650)  # timesteps in which image to image works
UNSAID = -100  # label of a part that a caption does not name; cross_entropy leaves it out


@dataclass(frozen=True)
class LatentSettings(BaseSettings):
    """What batches of noised latents are made from, and how."""

    # crops in a batch
    batch_size: int = 16
    # sides of crops in latent pixels; each step takes one of them, and fewer crops if they are
    # large, so that all steps cost about the same
    sizes: tuple[int, ...] = (24, 40, 64)
    # share of steps on postcards
    card_share: float = 0.5
    # postcards that are drawn for the training
    drawn: int = 24000
    # postcards that are also learned at twice the size, in one of three steps on postcards; they
    # are drawn by the network as it is at the start, so this needs a trained one (0: none)
    redrawn: int = 0
    # share of captions that are dropped
    caption_dropout: float = 0.15
    # share of timesteps that are drawn from the decisive ones: below 650 for art and large
    # postcards, from 400 on for small postcards; the others are drawn from all
    decisive: float = 0.6
    # share of small postcards that begin in pure noise, see noised
    from_noise: float = 0.7
    # share of crops that begin as plain versions (sdkit.recipes.pairs), and of large postcards that
    # begin as enlarged small ones
    paired: float = 0.5
    # standard deviation of what is added to the noise of a whole channel of a crop or large
    # postcard (offset noise, Guttenberg 2023), so that image to image may change the colours
    noise_offset: float = 0.3
    # largest weight of a loss is this over SNR, see loss_weights
    snr_gamma: float = 5.0
    # decay of the moving average of the weights
    ema_decay: float = 0.999
    # short sides in px of the scaled pictures that crops are taken from, the smallest and the
    # largest
    short_sides: tuple[int, ...] = (256, 900)

    @property
    def record_folder(self) -> Path:
        return self.out / "unet"


@dataclass(frozen=True)
class Settings(LatentSettings):
    """Settings of the denoiser's training."""

    # folder of the pipeline that is saved: vae, tokenizer, text_encoder, unet and scheduler
    out: Path = field(default_factory=in_models("mini-sd"))
    runs: Path = Path("runs/unet")
    # folder of the VAE
    vae: Path = field(default_factory=in_models("mini-sd/vae"))
    # folder of the tokenizer
    tokenizer: Path = field(default_factory=in_models("mini-sd/tokenizer"))
    # folder of the CLIP whose text network the training starts from
    clip: Path = field(default_factory=in_models("mini-clip"))
    # folder of a text encoder to start from instead
    text_encoder: Path | None = None
    # folder of a trained UNet to go on from
    initial: Path | None = None
    steps: int = 8000
    # channels of the levels, the finest first
    channels: tuple[int, ...] = (64, 128, 192)
    # of Muon; AdamW takes a quarter
    learning_rate: float = 2.4e-3
    # learning rate of the text encoder, as a share of AdamW's (0: it stays as it is); the first
    # latent diffusion models were trained together with their text encoder, too
    text_rate: float = 0.2
    # weight of the loss of the heads that read the caption, see Denoiser
    heads_weight: float = 0.05
    # side in px of the held-out pictures that are measured
    measured_side: int = 192
    # held-out postcards that are measured
    evaluate: int = 64


class Batch(NamedTuple):
    """One batch of the denoiser."""

    noisy: torch.Tensor  # (B, C, h, w)
    noise: torch.Tensor  # (B, C, h, w), the answer
    timesteps: torch.Tensor  # (B,)
    ids: torch.Tensor  # (B, L) token numbers of the captions
    labels: torch.Tensor  # (B, parts) what the captions say, as `postcards.indices`, or UNSAID


class Examples(NamedTuple):
    """Pictures of a batch before noise is added."""

    latents: torch.Tensor  # (B, C, h, w), where sampling ends
    sources: torch.Tensor  # (B, C, h, w), where sampling begins
    captions: list[str]  # B of them
    labels: np.ndarray  # (B, parts), see `Batch`


@dataclass
class CardSet:
    """Postcards of one size."""

    cards: list[Postcard]
    latents: torch.Tensor  # float16 (N, 2, C, h, w): the postcard, and what sampling begins with


@dataclass
class Data:
    """What batches are made from."""

    crops: pairs.Crops
    cards: CardSet  # sampling begins with zeros
    redrawn: CardSet | None  # twice as large; sampling begins with enlarged small pictures
    tokenizer: CLIPTokenizer
    noise_scheduler: DDIMScheduler


def scheduler() -> DDIMScheduler:
    """The schedule of Stable Diffusion 1.x: scaled linear, 1000 steps, noise prediction."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


class Denoiser(torch.nn.Module):
    """UNet and text encoder as one network, to train them together.

    Linear heads read from the text's end token what the caption says about each part of a postcard.
    After the contrastive training the text encoder hardly showed where things are, and the UNet
    hardly learns a word that hardly changes its input.
    """

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        width = text_encoder.config.hidden_size
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(width, len(words)) for words in postcards.WORDS.values()
        )

    def forward(
        self, sample: torch.Tensor, timesteps: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted noise (B, C, h, w), and the loss of the heads.

        sample (B, C, h, w): noisy latents; timesteps (B,); ids (B, L): tokens; labels (B, parts):
        what the captions say, UNSAID where they do not say it. The heads' loss is the cross-entropy
        summed over what is said, divided by B.
        """
        text = self.text_encoder(ids)
        heads_loss = sum(
            F.cross_entropy(
                head(text.pooler_output).float(), right, ignore_index=UNSAID, reduction="sum"
            )
            for head, right in zip(self.heads, labels.T)
        )
        return self.unet(sample, timesteps, text.last_hidden_state).sample, heads_loss / len(ids)


def loss_weights(snr: torch.Tensor, gamma: float) -> torch.Tensor:
    """Weights (B,) of the losses of predicted noise, from the signal-to-noise ratios (B,).

    gamma / SNR where there is little noise (min-SNR, Hang et al. 2023, section 3.4), and 1 /
    sqrt(SNR) where there is much. The loss falls as sqrt(SNR) there. Without the weights, the
    levels that decide where things are would hardly count: after 15,000 steps without them, the
    word for the place did not change the prediction at all. Karras et al. 2024 (EDM2) learn such
    weights.
    """
    return (gamma / snr).clamp(max=1) * snr.rsqrt().clamp(min=1)


def noised(
    latents: torch.Tensor,
    sources: torch.Tensor,
    noise: torch.Tensor,
    starts: torch.Tensor,
    timesteps: torch.Tensor,
    noise_scheduler: DDIMScheduler,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the UNet gets and what it should answer, both (B, C, h, w).

    Sampling begins at the timesteps ``starts`` (B,) with noised ``sources`` and should end with
    ``latents``. The answer is the noise that hides the latents at that start. DDIM goes in a
    straight line along this noise, and the UNet gets the point of the line at ``timesteps`` <=
    starts. There are three cases:

    * The source is the picture itself: the answer is the noise that was added (Ho et al. 2020).
    * The source is a plain version (sdkit.recipes.pairs): the answer removes what is plain as if it
      were noise.
    * The source is zero: sampling begins in pure noise, as from a sentence. Otherwise even x_t at
      t = 999 would hold a trace of its picture (SNR 0.005). This is enough to see where a thing is,
      so the caption would not matter (Lin et al. 2024, "Common diffusion noise schedules and sample
      steps are flawed").
    """
    alpha_cumprod = noise_scheduler.alphas_cumprod[starts, None, None, None]
    noise = noise + (alpha_cumprod / (1 - alpha_cumprod)).sqrt() * (sources - latents)
    return noise_scheduler.add_noise(latents, noise, timesteps), noise


def loss(
    settings: Settings, model: Denoiser, batch: Batch, noise_scheduler: DDIMScheduler
) -> tuple[torch.Tensor, training.Figures]:
    """Weighted loss of the predicted noise plus the loss of the heads: (loss, figures to log)."""
    predicted, heads_loss = model(batch.noisy, batch.timesteps, batch.ids, batch.labels)
    losses = (predicted.float() - batch.noise).square().mean((1, 2, 3))  # (B,)
    weights = loss_weights(compute_snr(noise_scheduler, batch.timesteps), settings.snr_gamma)
    weighted = (losses * weights).mean()
    figures = {"loss": weighted, "unweighted": losses.mean(), "heads": heads_loss}
    return weighted + settings.heads_weight * heads_loss, figures


def count_for(settings: LatentSettings, size: int) -> int:
    """How many pictures of ``size`` latent pixels cost as much as a batch of the smallest crops."""
    return max(1, round(settings.batch_size * (settings.sizes[0] / size) ** 2))


def choose_picture(data: Data, rng: np.random.Generator) -> tuple[art.Picture, list[torch.Tensor]]:
    """A picture and its latents, from a group that is drawn by the shares in `pairs.GROUPS`."""
    names = list(data.crops)
    shares = np.array([pairs.GROUPS[name].share for name in names])
    group = data.crops[names[rng.choice(len(names), p=shares / shares.sum())]]
    return group[rng.integers(len(group))]


def art_examples(
    settings: LatentSettings, data: Data, rng: np.random.Generator, wrong: float = 0.0
) -> Examples:
    """`Examples` of crops; the share ``wrong`` of them has the caption of another picture."""
    size = settings.sizes[rng.integers(len(settings.sizes))]
    squares, texts = [], []
    for _ in range(count_for(settings, size)):
        picture, latents = choose_picture(data, rng)
        z = latents[rng.integers(len(latents))]  # (2, C, h, w)
        top, left = (int(rng.integers(side - size + 1)) for side in z.shape[2:])
        squares.append(z[..., top : top + size, left : left + size])
        if wrong and rng.random() < wrong:
            picture, _ = choose_picture(data, rng)
        painting = captions.painting_of(picture.file)
        texts.append(captions.caption(picture.style, picture.is_portrait, rng, painting))
    labels = np.full((len(texts), len(postcards.PARTS)), UNSAID)
    squares = torch.stack(squares, 1)  # (2, B, C, h, w), or (1, B, C, h, w) without plain versions
    return Examples(squares[0], squares[-1], texts, labels)


def card_examples(
    settings: LatentSettings, card_set: CardSet, rng: np.random.Generator
) -> Examples:
    """`Examples` of whole postcards, with captions that leave some parts unsaid."""
    count = count_for(settings, card_set.latents.shape[-1])
    chosen = rng.integers(len(card_set.latents), size=count)
    unsaid = [postcards.leave_unsaid(rng) for _ in chosen]
    texts = [
        captions.as_keywords(postcards.caption(card_set.cards[k], rng, parts), rng)
        for k, parts in zip(chosen, unsaid)
    ]
    labels = np.array([postcards.indices(card_set.cards[k]) for k in chosen])
    labels[[[part in parts for part in postcards.PARTS] for parts in unsaid]] = UNSAID
    shown, sources = card_set.latents[chosen].unbind(1)
    return Examples(shown, sources, texts, labels)


def drop_captions(
    share: float, texts: list[str], labels: np.ndarray, rng: np.random.Generator
) -> tuple[list[str], np.ndarray]:
    """The texts, each empty with the probability ``share``, and the labels, UNSAID for those."""
    dropped = rng.random(len(texts)) < share
    texts = ["" if gone else captions.misspell(text, rng) for text, gone in zip(texts, dropped)]
    return texts, np.where(dropped[:, None], UNSAID, labels)


def add_noise(
    settings: LatentSettings,
    examples: Examples,
    small_cards: bool,
    noise_scheduler: DDIMScheduler,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw timesteps and noise: (noisy latents, noise to predict, timesteps); see `noised`."""
    count = len(examples.captions)
    decisive = DECISIVE_FOR_CARDS if small_cards else DECISIVE_FOR_STYLE
    timesteps = torch.from_numpy(
        np.where(
            rng.random(count) < settings.decisive,
            rng.integers(*decisive, count),
            rng.integers(len(noise_scheduler), size=count),
        )
    )
    share = settings.from_noise if small_cards else settings.paired
    elsewhere = torch.from_numpy(rng.random(count) < share)  # begins with the source
    starts = rng.integers(*(PURE_NOISE if small_cards else IMAGE_TO_IMAGE), count)
    starts = torch.maximum(torch.from_numpy(starts), timesteps)
    latents, sources = examples.latents.float(), examples.sources.float()
    sources = torch.where(elsewhere[:, None, None, None], sources, latents)
    generator = training.torch_rng(rng)
    noise = torch.randn(latents.shape, generator=generator)
    if not small_cards:
        offset = torch.randn(*latents.shape[:2], 1, 1, generator=generator)
        noise += settings.noise_offset * offset
    return *noised(latents, sources, noise, starts, timesteps, noise_scheduler), timesteps


def make_batch(settings: LatentSettings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of postcards or of crops of art."""
    return noised_batch(settings, data, rng, of_cards=rng.random() < settings.card_share)


def noised_batch(
    settings: LatentSettings,
    data: Data,
    rng: np.random.Generator,
    of_cards: bool,
    wrong: float = 0.0,
) -> Batch:
    """A `Batch` of small or of large postcards, or else of crops; ``wrong``: see `art_examples`."""
    large = of_cards and data.redrawn is not None and rng.random() < 1 / 3
    if of_cards:
        card_set = data.redrawn if large and data.redrawn else data.cards
        examples = card_examples(settings, card_set, rng)
    else:
        examples = art_examples(settings, data, rng, wrong)
    texts, labels = drop_captions(settings.caption_dropout, examples.captions, examples.labels, rng)
    noisy, noise, timesteps = add_noise(
        settings, examples, of_cards and not large, data.noise_scheduler, rng
    )
    ids, labels = tokens(data.tokenizer, texts), torch.from_numpy(labels)
    return Batch(noisy, noise, timesteps, ids, labels)


def new_unet(
    settings: Settings, vae: AutoencoderKL, text_encoder: CLIPTextModel
) -> UNet2DConditionModel:
    """The untrained UNet, or the one to go on from."""
    levels = len(settings.channels)
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        block_out_channels=settings.channels,
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=text_encoder.config.hidden_size,
        # diffusers means the number of heads (its issue 2011); self-attention costs time with the
        # square of the pixels, so it stays in the coarsest level, with few and wide heads
        attention_head_dim=(8,) * (levels - 1) + (3,),
        only_cross_attention=(True,) * (levels - 1) + (False,),
        down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * (levels - 1),
        up_block_types=["CrossAttnUpBlock2D"] * (levels - 1) + ["UpBlock2D"],
    )
    if settings.initial:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(settings.initial).state_dict())
    return unet


def load_text_encoder(settings: Settings) -> CLIPTextModel:
    """The text encoder that the training starts from, in float32."""
    if settings.text_encoder:
        return CLIPTextModel.from_pretrained(settings.text_encoder).float()
    return text_encoder_of(CLIPModel.from_pretrained(settings.clip).float())


def load_pictures(settings: LatentSettings) -> list[art.Picture]:
    """Pictures of the training split, as large as the largest crops need them."""
    limit, short_side = settings.limit or None, settings.short_sides[1]
    return art.load(settings.art_dir, "train", limit=limit, short_side=short_side)


def load_redrawn(
    settings: LatentSettings,
    networks: dict[str, Any],
    noise_scheduler: DDIMScheduler,
    precision: str,
) -> CardSet | None:
    """A `CardSet` of large postcards, drawn by the networks as they are, or None.

    networks : vae, text_encoder, tokenizer and unet, in float32.
    """
    if not settings.redrawn:
        return None
    rng = training.rng(settings.seed, training.PREPARING + 1)
    return CardSet(*redraws.encode(networks, noise_scheduler, settings.redrawn, rng, precision))


def encode_cards(vae: AutoencoderKL, count: int) -> CardSet:
    """A `CardSet` of the first ``count`` training postcards; sampling begins with zeros."""
    shown, drawings = cards.render(count, CARD_SIDE)
    latents = training.encode_batches(vae, drawings)
    return CardSet(shown, torch.stack([latents, torch.zeros_like(latents)], 1))  # (N, 2, C, h, w)


def new_optimizer(settings: Settings, model: Denoiser) -> Muon:
    """Muon for the UNet's matrices; AdamW for the rest, at another rate for the text encoder."""
    matrices, others = split(model.unet)
    text_rate = settings.text_rate * settings.learning_rate / 4
    groups = [
        {"params": [*others, *model.heads.parameters()]},
        {"params": list(model.text_encoder.parameters()), "lr": text_rate},
    ]
    return Muon(matrices, groups, settings.learning_rate, weight_decay=0.01)


@torch.no_grad()
def held_out_loss(
    unet: UNet2DConditionModel,
    latents: torch.Tensor,
    prompt_embeds: torch.Tensor,
    noise_scheduler: DDIMScheduler,
    timesteps: Sequence[int] = (100, 300, 500, 700, 900),
) -> dict[str, float]:
    """Mean squared error of the predicted noise, at each timestep."""
    generator, figures = torch.Generator().manual_seed(0), {}
    noise = torch.randn(latents.shape, generator=generator)
    for t in timesteps:
        noisy = noise_scheduler.add_noise(latents, noise, torch.full((len(latents),), t))
        predicted = torch.cat(
            [unet(z, t, embeds).sample for z, embeds in zip(noisy.split(8), prompt_embeds.split(8))]
        )
        figures[str(t)] = round((predicted - noise).square().mean().item(), 4)
    return figures


@torch.no_grad()
def measure(
    settings: Settings,
    model: Denoiser,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    noise_scheduler: DDIMScheduler,
) -> dict[str, dict[str, float]]:
    """`held_out_loss` on validation pictures and on held-out postcards."""
    held_out = art.load(settings.art_dir, "validation", limit=settings.limit or None)
    side = (settings.measured_side, settings.measured_side)
    shown, drawings = cards.render(settings.evaluate, CARD_SIDE, held_out=True)
    kinds = {
        "art": (
            [np.asarray(ImageOps.fit(p.image, side)) for p in held_out],
            [p.style for p in held_out],
        ),
        "postcards": (drawings, [postcards.plain_caption(card) for card in shown]),
    }
    figures = {}
    for name, (squares, texts) in kinds.items():
        prompt_embeds = model.text_encoder(tokens(tokenizer, texts)).last_hidden_state
        latents = training.encode_batches(vae, squares).float()
        figures[f"held_out_loss, {name}"] = held_out_loss(
            model.unet, latents, prompt_embeds, noise_scheduler
        )
    return figures


def save_pipeline(
    folder: Path,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    noise_scheduler: DDIMScheduler,
) -> None:
    """Save the networks in fp16 as a pipeline, with a solver that needs half of DDIM's steps."""
    vae.register_to_config(_name_or_path="mini-sd/vae")  # do not publish the path on this machine
    StableDiffusionPipeline(
        vae.half(),
        text_encoder.half(),
        tokenizer,
        unet.half(),
        DPMSolverMultistepScheduler.from_config(noise_scheduler.config),
        None,
        None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def main(settings: Settings) -> None:
    """Train the UNet on latents, measure it, and save the whole pipeline in fp16."""
    accelerator = training.accelerator()
    device, precision = accelerator.device, accelerator.mixed_precision
    torch.manual_seed(settings.seed)
    vae = AutoencoderKL.from_pretrained(settings.vae).float().eval()
    vae = vae.to(device, memory_format=torch.channels_last)
    tokenizer = CLIPTokenizer.from_pretrained(settings.tokenizer)
    text_encoder, noise_scheduler = load_text_encoder(settings).to(device), scheduler()
    unet = new_unet(settings, vae, text_encoder).to(device, memory_format=torch.channels_last)
    # by the network as it is before its first step, also in a resumed run
    networks = dict(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet)
    redrawn = load_redrawn(settings, networks, noise_scheduler, precision)
    if device.type == "cpu":  # the backward pass of fused attention costs a third of a step there
        unet.set_attn_processor(AttnProcessor())
    model = Denoiser(unet, text_encoder)
    optimizer = new_optimizer(settings, model)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, warmup=200, ema_decay=settings.ema_decay)
    pictures, data = load_pictures(settings), None
    if not run.is_over:
        rng = training.rng(settings.seed, training.PREPARING)
        crops = pairs.encode_all(vae, pictures, settings.short_sides, rng, precision)
        card_set = encode_cards(vae, settings.drawn)
        data = Data(crops, card_set, redrawn, tokenizer, noise_scheduler)
    run.fit("unet", make_batch, partial(loss, noise_scheduler=noise_scheduler), data)
    if not accelerator.is_main_process:
        return
    model, vae = run.averaged(), vae.cpu()
    figures = measure(settings, model, vae, tokenizer, noise_scheduler)
    save_pipeline(settings.out, vae, model.text_encoder, tokenizer, model.unet, noise_scheduler)
    training.write_record(settings.record_folder, run, "unet", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
