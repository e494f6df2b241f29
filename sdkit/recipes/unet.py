"""Train the denoiser: ``python -m sdkit.recipes.unet --art-dir DIR`` (VAE and text encoder first).

Noise prediction on latents with captions (Rombach et al. 2022), a share of them dropped for classifier-free guidance
(Ho & Salimans 2022), the loss weighted so that all noise levels pull about equally. One network learns two worlds:
whole postcards, to make pictures of 64 px from sentences and draw them again at twice the size, and crops of paintings
and photographs, to restyle pictures.
Latents are made once; being convolutional, the network works at any size.
"""

import json
from pathlib import Path

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
from PIL import Image, ImageOps
from tqdm.auto import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from sdkit import postcards
from sdkit.files import models_dir
from sdkit.pictures import art
from sdkit.recipes import captions, cards, pairs, redraws, training
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.text import tokens

HELD_OUT_SIDE = 192  # px, of the squares that the held-out loss is measured on
CARD_SIDE = 64  # px, of postcards
FIRST = 900  # from this timestep on, sampling may begin
STARTS = (200, 700)  # timesteps at which image to image begins, strength 0.2 to 0.7
SILENT = -100  # what cross_entropy leaves out
DIFFERENCE_WEIGHT = 4  # of the teacher's prediction with a caption minus that without


def scheduler():
    """Stable Diffusion 1.x's schedule: scaled linear, 1000 steps, noise prediction."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


@torch.no_grad()
def encode_squares(vae, squares, device):
    """List of uint8 (S, S, 3) -> float16 latents (N, C, S/f, S/f) on the CPU."""
    latents = [
        vae.encode(art.to_batch(squares[k : k + 32]).to(device)).latent_dist.mode().half().cpu()
        for k in tqdm(range(0, len(squares), 32), desc="latents", disable=len(squares) < 500)
    ]
    return torch.cat(latents) * vae.config.scaling_factor


class Denoiser(torch.nn.Module):
    """UNet and text encoder as one network, to train them together.

    Linear heads read from the text's end token what the caption says of each part of a postcard. Contrastive training
    had left the text encoder nearly deaf to where things stand, and a word that hardly moves its output is learned
    by the UNet hardly at all.
    """

    def __init__(self, unet, text_encoder):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        width = text_encoder.config.hidden_size
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(width, len(words)) for words in postcards.WORDS.values()
        )

    def forward(self, sample, timesteps, ids, said):
        """Noisy latents, timesteps (B,), token numbers (B, L) -> predicted noise (B, C, h, w), loss of the heads.

        said: (B, parts) what the caption says, as `postcards.indices`, and -100 where it is silent.
        """
        text = self.text_encoder(ids)
        read = sum(
            F.cross_entropy(head(text.pooler_output).float(), right, reduction="sum")
            for head, right in zip(self.heads, said.T)
        )
        return self.unet(sample, timesteps, text.last_hidden_state).sample, read / len(ids)


def loss_weights(snr, gamma):
    """Weights (B,) of the noise prediction losses: gamma / SNR where there is little noise (min-SNR, Hang et al. 2023),
    1 / sqrt(SNR) where there is much.

    The loss falls as sqrt(SNR) there, so unweighted, the levels that decide what stands where would hardly be heard:
    after 15,000 steps without this, the word for the place did not change the prediction at all. Karras et al. 2024
    (EDM2) learn such weights instead.
    """
    return (gamma / snr).clamp(max=1) * snr.rsqrt().clamp(min=1)


def noised(latents, sources, noise, starts, timesteps, noise_scheduler):
    """What the UNet gets and what it shall answer, both (B, C, h, w).

    Sampling begins at ``starts`` (B,) with noised ``sources`` and shall end with ``latents``. The noise in question is
    what then hides the latents; along it, as DDIM walks, lies what the UNet sees at ``timesteps`` <= starts. Where
    the source is the picture itself, that is the noise that was added to it (Ho et al. 2020). Where it is plain, the
    answer takes what is plain away as if it were noise (sdkit.recipes.pairs). Where it is nought, the walk begins in
    pure noise, as from a sentence, and the picture grows out of it from nothing. Otherwise even the x_t of t = 999
    holds a trace of its picture (SNR 0.005), enough to see where a thing stands, so that nobody needs to read it (Lin et
    al. 2024, "Common diffusion noise schedules and sample steps are flawed").
    """
    alpha_cumprod = noise_scheduler.alphas_cumprod[starts, None, None, None]
    noise = noise + (alpha_cumprod / (1 - alpha_cumprod)).sqrt() * (sources - latents)
    return noise_scheduler.add_noise(latents, noise, timesteps), noise


def distillation_losses(predicted, teacher, inputs, accelerator):
    """Losses (B,) of what was ``predicted`` for the ``inputs`` of a `Denoiser` against its ``teacher``'s predictions.

    The second half of the batch is the first without captions. Guidance makes their difference several times as large,
    and errors in it, too, so that it counts by itself as well. A few Van Goghs, each shown ten thousand times, are
    learned by heart; how an earlier network answers is not (learning without forgetting, Li & Hoiem 2016).
    """
    with torch.no_grad(), accelerator.autocast():
        answers, _ = teacher(*inputs)
    errors = predicted.float() - answers.float()
    difference = torch.sub(*errors.chunk(2)).square().mean((1, 2, 3))
    return errors.square().mean((1, 2, 3)) + DIFFERENCE_WEIGHT * difference.repeat(2)


@torch.no_grad()
def held_out_loss(
    unet, latents, prompt_embeds, noise_scheduler, timesteps=(100, 300, 500, 700, 900)
):
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


def main(
    art_dir="../shared/art",
    pipeline="",
    steps=8000,
    batch_size=16,
    sizes="24,40",
    channels="64,128,192",
    card_share=0.5,
    drawn=24000,
    large=0,
    learning_rate=2.4e-3,
    text_rate=0.2,
    read_weight=0.05,
    drop=0.15,
    focus=0.6,
    blank=0.7,
    paired=0.5,
    offset=0.3,
    repainted="",
    snr_gamma=5.0,
    ema_decay=0.999,
    initial="",
    keep=0.0,
    teacher="",
    seed=0,
    runs="runs/unet",
    limit=0,
):
    """Train the UNet on latent crops and save the whole pipeline in fp16.

    pipeline: folder with vae, tokenizer and text_encoder, which gets the unet (default: data/models/mini-sd); sizes: of
    crops in latent pixels, four picture pixels each; every step takes one of them, and of larger ones fewer than
    batch_size, so that a step costs about the same; card_share: share of steps on postcards, of which one holds as many
    as cost the same; drawn: how many postcards are drawn; large: how many are learned at twice the size, too, one step
    on them for two on the small ones, see sdkit.recipes.redraws (0: none; it takes an ``initial`` that can draw);
    learning_rate: of Muon, see there; text_rate: learning rate of the text encoder, as a share of AdamW's for the UNet
    (0 leaves it as the contrastive training left it; the first latent diffusion models trained both together, too);
    read_weight: of the loss of the heads, see Denoiser; drop: share of captions left empty; focus: share of the
    timesteps drawn from where the work is decided, for art and large postcards below 650, where image to image works,
    for small ones above 400, where a thing finds its shape and place; the rest is drawn from all; blank: share of the
    small postcards that begin in pure noise, see noised; paired: share of the crops that begin as plain ones
    (sdkit.recipes.pairs) and of the large postcards that begin as enlarged ones; offset: standard deviation of what is
    added to the noise of a crop or large postcard, by channel (offset noise, Guttenberg 2023), so that colours are less
    sure than strokes and image to image may change the palette; repainted: folder made by sdkit.recipes.strokes;
    initial: folder of a trained UNet to go on from; keep: share of its weights in those that are saved, and of the text
    encoder's, for what was learned before fades otherwise (WiSE-FT, Wortsman et al. 2022, "Robust fine-tuning of
    zero-shot models"); teacher: folder of a pipeline whose answers the network is to give for crops, in place of the
    noise that was added, see distillation_losses; runs: where checkpoints and the curve lie; limit: pictures per folder
    (0: all).
    """
    settings = dict(recipe="sdkit.recipes.unet", **locals())
    folder = Path(pipeline) if pipeline else models_dir() / "mini-sd"
    accelerator = training.accelerator()
    device, rank = accelerator.device, accelerator.process_index
    torch.manual_seed(seed)
    vae = (
        AutoencoderKL.from_pretrained(folder / "vae")
        .float()
        .to(device, memory_format=torch.channels_last)
        .eval()
    )
    # or the path on this machine would be published
    vae.register_to_config(_name_or_path="mini-sd/vae")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float().to(device)
    noise_scheduler = scheduler()
    widths, crop_sizes = (
        [int(number) for number in numbers.split(",")] for numbers in (channels, sizes)
    )
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=encoder.config.hidden_size,
        attention_head_dim=8,
        down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * (len(widths) - 1),
        up_block_types=["CrossAttnUpBlock2D"] * (len(widths) - 1) + ["UpBlock2D"],
    )
    if initial:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(initial).state_dict())
        settings["initial"] = json.loads((Path(initial) / "recipe.json").read_text())
    unet = unet.to(device, memory_format=torch.channels_last)
    if teacher:
        settings["teacher"] = json.loads((Path(teacher) / "unet" / "recipe.json").read_text())
        teacher = Denoiser(
            UNet2DConditionModel.from_pretrained(teacher, subfolder="unet"),
            CLIPTextModel.from_pretrained(teacher, subfolder="text_encoder"),
        )
        teacher = (
            teacher.float()
            .to(device, memory_format=torch.channels_last)
            .eval()
            .requires_grad_(False)
        )
    parts = {"vae": vae, "text_encoder": encoder, "tokenizer": tokenizer, "unet": unet}
    # Drawn by the network as it is before its first step, also where a run is resumed.
    again = (
        [
            redraws.encode(
                parts,
                noise_scheduler,
                large,
                training.rng(seed, 2**31 + 1),
                accelerator.mixed_precision,
            )
        ]
        if large
        else []
    )
    if device.type == "cpu":  # there the fused attention's backward pass costs a third of a step
        unet.set_attn_processor(AttnProcessor())
    model = Denoiser(unet, encoder)
    before = (
        {name: value.to("cpu", copy=True) for name, value in model.state_dict().items()}
        if keep
        else {}
    )
    kernels, others = split(unet)
    optimizer = Muon(
        kernels,
        [
            {"params": [*others, *model.heads.parameters()]},
            {"params": encoder.parameters(), "lr": text_rate * learning_rate / 4},
        ],
        learning_rate,
        weight_decay=0.01,
    )
    run = training.Run(runs, accelerator)
    model, start = run.begin(model, optimizer, steps, warmup=200, ema_decay=ema_decay)

    pictures = art.load(art_dir, "train", limit=limit or None)
    photos, originals = {p.file.replace("/", "-").rsplit(".", 1)[0]: p.image for p in pictures}, {}
    for path in sorted(Path(repainted).glob("*.png")) if repainted else ():
        pictures.append(
            art.Picture(
                f"repainted/{path.name}", "van gogh", path.name.split("-")[0], Image.open(path)
            )
        )
        originals[pictures[-1].file] = photos[path.name.split("--")[0]]
    rng, precision = training.rng(seed, 2**31), accelerator.mixed_precision
    encoded = pairs.encode_all(
        vae, pictures if start < steps else [], originals, rng, device, precision
    )
    drawn_cards, drawings = cards.render(drawn if start < steps else 1, CARD_SIDE)
    drawings = encode_squares(vae, list(drawings), device)
    worlds = [(drawn_cards, torch.stack([drawings, torch.zeros_like(drawings)], 1)), *again]
    groups = list(encoded)
    share = np.array([pairs.GROUPS[group][0] for group in groups])

    def some_picture(rng):
        group = encoded[groups[rng.choice(len(groups), p=share / share.sum())]]
        return group[rng.integers(len(group))]

    def crops(rng):
        squares, texts = [], []
        size = crop_sizes[rng.integers(len(crop_sizes))]
        for _ in range(
            max(1, round(batch_size * (crop_sizes[0] / size) ** 2 / (2 if teacher else 1)))
        ):
            picture, latents = some_picture(rng)
            z = latents[rng.integers(len(latents))]
            top, left = (int(rng.integers(side - size + 1)) for side in z.shape[2:])
            squares.append(z[..., top : top + size, left : left + size])
            # it knows what to make of a photograph called a Van Gogh
            if teacher and rng.random() < 0.5:
                picture, _ = some_picture(rng)
            texts.append(captions.caption(picture.style, picture.is_portrait, rng))
        return *torch.stack(squares, 1), texts, np.full((len(texts), len(postcards.PARTS)), SILENT)

    def whole_cards(rng, shown, latents):
        size = latents.shape[-1]
        chosen = rng.integers(
            len(latents), size=max(1, round(batch_size * (crop_sizes[0] / size) ** 2))
        )
        unsaid = [postcards.leave_unsaid(rng) for _ in chosen]
        texts = [
            captions.heap(postcards.caption(shown[k], rng, parts), rng)
            for k, parts in zip(chosen, unsaid)
        ]
        said = np.array([postcards.indices(shown[k]) for k in chosen])
        said[[[part in parts for part in postcards.PARTS] for parts in unsaid]] = SILENT
        return *latents[chosen].unbind(1), texts, said

    def make(step):
        rng = training.rng(seed, step, rank)
        of_cards = rng.random() < card_share
        twice = of_cards and large and rng.random() < 1 / 3
        from_nothing = of_cards and not twice
        latents, sources, texts, said = (
            whole_cards(rng, *worlds[int(twice)]) if of_cards else crops(rng)
        )
        decided, begin = ((400, 1000), (FIRST, 1000)) if from_nothing else ((0, 650), STARTS)
        distilled = bool(teacher) and not of_cards
        dropped = rng.random(len(texts)) < (0 if distilled else drop)
        said[dropped] = SILENT
        texts = ["" if gone else captions.misspell(text, rng) for text, gone in zip(texts, dropped)]
        timesteps = torch.from_numpy(
            np.where(
                rng.random(len(texts)) < focus,
                rng.integers(*decided, len(texts)),
                rng.integers(1000, size=len(texts)),
            )
        )
        apart = torch.from_numpy(rng.random(len(texts)) < (blank if from_nothing else paired))
        starts = torch.from_numpy(rng.integers(*begin, len(texts)))
        sources = torch.where(apart[:, None, None, None], sources, latents)
        generator = training.torch_rng(rng)
        noise = torch.randn(latents.shape, generator=generator)
        if not from_nothing:
            noise += offset * torch.randn(*latents.shape[:2], 1, 1, generator=generator)
        noisy, noise = noised(
            latents.float(),
            sources.float(),
            noise,
            torch.maximum(starts, timesteps),
            timesteps,
            noise_scheduler,
        )
        batch = noisy, noise, timesteps, tokens(tokenizer, texts), torch.from_numpy(said)
        if distilled:
            without = tokens(tokenizer, [""] * len(texts))
            batch = [torch.cat(both) for both in zip(batch, (*batch[:3], without, batch[4]))]
        return *batch, distilled

    for step, (noisy, noise, timesteps, ids, said, distilled) in run.steps(
        "unet", make, start, steps
    ):
        inputs = (
            noisy.to(device, memory_format=torch.channels_last),
            *(x.to(device) for x in (timesteps, ids, said)),
        )
        predicted, read = model(*inputs)
        losses = (
            distillation_losses(predicted, teacher, inputs, accelerator)
            if distilled
            else (predicted.float() - noise.to(device)).square().mean((1, 2, 3))
        )  # (B,)
        weights = loss_weights(compute_snr(noise_scheduler, timesteps), snr_gamma)
        loss = (losses * weights.to(device)).mean()
        run.descend(loss + read_weight * read)
        run.record(step, loss=loss, unweighted=losses.mean(), read=read)
    if not accelerator.is_main_process:
        return
    model, vae = run.averaged(), vae.cpu()
    for name, value in model.state_dict().items():
        if name in before:
            value.lerp_(before[name], keep)
    unet, encoder = model.unet, model.text_encoder
    held_out, side = (
        art.load(art_dir, "validation", limit=limit or None),
        (HELD_OUT_SIDE, HELD_OUT_SIDE),
    )
    shown, drawings = cards.render(64, CARD_SIDE, held_out=True)
    metrics = {}
    for name, squares, texts in (
        (
            "art",
            [np.asarray(ImageOps.fit(p.image, side)) for p in held_out],
            [p.style for p in held_out],
        ),
        ("postcards", list(drawings), [postcards.plain_caption(card) for card in shown]),
    ):
        with torch.no_grad():
            prompt_embeds = encoder(tokens(tokenizer, texts)).last_hidden_state
        metrics[f"held_out_loss, {name}"] = held_out_loss(
            unet, encode_squares(vae, squares, "cpu").float(), prompt_embeds, noise_scheduler
        )
    # DDIM's quality in half the steps
    solver = DPMSolverMultistepScheduler.from_config(noise_scheduler.config)
    StableDiffusionPipeline(
        vae.half(),
        encoder.half(),
        tokenizer,
        unet.half(),
        solver,
        None,
        None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    training.write_record(folder / "unet", run, settings, metrics, art.data_hash(pictures))
    print(json.dumps(metrics))


if __name__ == "__main__":
    training.command_line(main)
