"""Distil guidance into the denoiser: ``python -m sdkit.recipes.guidance --art-dir DIR``.

Classifier-free guidance (Ho & Salimans 2022) asks the network twice in each step, with the prompt
and without it. Here a network learns to give the guided answer in one call (Meng et al. 2023, "On
distillation of guided diffusion models", stage one). The embedding of the guidance scale is added
to that of the timestep, as in latent consistency models (Luo et al. 2023). So diffusers' pipelines
can use the network. Without this embedding the network still answers as before.

The usual guided answer turns all skin yellow, because Van Gogh's pictures are yellower than
photographs, and guidance amplifies this. So the coarse parts of the latents, which hold the
colours, get less of the guidance where there is skin. The fine parts, which hold the brush strokes,
get nearly all of it (frequency-decoupled guidance, Sadat et al. 2025).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import compute_snr
from PIL import ImageOps
from transformers import CLIPTextModel, CLIPTokenizer

from sdkit.diffusion import sampler
from sdkit.pictures import art, photos
from sdkit.recipes import pairs, training, unet
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import command_line, in_models

EMBEDDING = 256  # numbers in the embedding of a guidance scale
COARSE = 4  # latent pixels; means over squares with this side are the coarse parts
SKIN_CB, SKIN_CR = (77, 127), (133, 173)  # colours of skin, light or dark (Chai & Ngan 1999)
SKIN_EDGE = 9  # latent pixels, the width of the soft edge of skin
SHOWN = 64  # photographs from which the colours of latents are learned
FIRST = 1  # the timestep at which sampling ends


@dataclass(frozen=True)
class StudentSettings(unet.LatentSettings):
    """Settings of all trainings of a denoiser that learn from a teacher's answers."""

    # folder of the pipeline that is saved
    out: Path = field(default_factory=in_models("mini-sd"))
    # folder of the pipeline that is the teacher, and that the training starts from
    teacher: Path = field(default_factory=in_models("mini-sd"))
    # folder of the VAE that is saved with the network
    vae: Path = field(default_factory=in_models("mini-sd/vae"))
    # the smallest and the largest guidance scale
    scales: tuple[int, ...] = (1, 10)
    ema_decay: float = 0.995
    # held-out photographs that are measured
    evaluate: int = 16


@dataclass(frozen=True)
class Settings(StudentSettings):
    """Settings of the distillation of guidance."""

    runs: Path = Path("runs/guidance")
    steps: int = 2500
    # crops in a batch; each is learned at two timesteps
    batch_size: int = 6
    # of Muon; AdamW takes a quarter
    learning_rate: float = 5e-4
    # share of the guidance that coarse parts get where there is skin, on art
    skin_coarse: float = 0.4
    # share of the guidance that fine parts get there
    skin_fine: float = 0.8
    # share of examples without guidance, so that the network still has its own answers
    unguided: float = 0.25
    # side in px of the held-out photographs
    measured_side: int = 256


class Batch(NamedTuple):
    """One batch."""

    noisy: torch.Tensor  # (B, C, h, w)
    timesteps: torch.Tensor  # (B,)
    ids: torch.Tensor  # (B, L) token numbers of the prompts
    scales: torch.Tensor  # (B,) guidance scales
    guided: torch.Tensor  # (B,) 1 where guidance is wanted, else 0
    skin: torch.Tensor  # (B, 1, h, w) 1 where there is skin, 0 on postcards
    uniform: torch.Tensor  # (B,) random numbers in [0, 1) that choose the second timestep


class Data(NamedTuple):
    """What batches are made from."""

    latents: unet.Data
    colours: torch.Tensor  # from `colours_of_latents`


def coarse(z: torch.Tensor) -> torch.Tensor:
    """The coarse parts of latents (B, C, h, w): made smaller, and large again."""
    return F.interpolate(F.avg_pool2d(z, COARSE), z.shape[-2:], mode="bilinear")


def guided_answer(
    cond: torch.Tensor,
    uncond: torch.Tensor,
    scales: torch.Tensor,
    coarse_share: float | torch.Tensor = 1.0,
    fine_share: float | torch.Tensor = 1.0,
) -> torch.Tensor:
    """Guided noise (B, C, h, w) from the noise predicted with the prompt and without it.

    uncond + scale (cond - uncond), where the coarse and the fine parts of the difference get a
    share of the ``scales`` (B,) as far as these exceed 1. The shares are numbers, or maps
    (B, 1, h, w). Shares of 1 are the usual formula (Ho & Salimans 2022, equation 6).
    """
    more = scales[:, None, None, None] - 1
    difference = cond - uncond
    low = coarse(difference)
    high = difference - low
    return cond + more * (coarse_share * low + fine_share * high)


def colours_of_latents(vae: AutoencoderKL, pictures: Sequence[art.Picture]) -> torch.Tensor:
    """Matrix (C + 1, 3) that turns scaled latents, and a 1, into RGB in [-1, 1].

    Found by least squares. It shows no details, but the colours are good enough.
    """
    latents, pixels = [], []
    for picture in pictures:
        square = np.asarray(ImageOps.fit(picture.image, (128, 128)))[None]
        z = training.encode_batches(vae, square).float()[0]  # (C, h, w)
        x = F.avg_pool2d(photos.to_batch(square), 128 // z.shape[-1])[0]
        latents.append(z.flatten(1).T)
        pixels.append(x.flatten(1).T)
    latents = torch.cat(latents)
    ones = torch.ones(len(latents), 1)
    return torch.linalg.lstsq(torch.cat([latents, ones], 1), torch.cat(pixels)).solution


def skin(z: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
    """Where latents (B, C, h, w) have the colour of skin: (B, 1, h, w), 1 there, soft at the edge.

    ``colours`` : from `colours_of_latents`.
    """
    rgb = torch.einsum("bchw,cd->dbhw", z, colours[:-1]) + colours[-1][:, None, None, None]
    red, green, blue = (rgb.clamp(-1, 1) + 1) * photos.LEVELS_PER_UNIT
    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue  # of JPEG (ITU-T T.871)
    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    is_skin = (cb > SKIN_CB[0]) & (cb < SKIN_CB[1]) & (cr > SKIN_CR[0]) & (cr < SKIN_CR[1])
    edge = SKIN_EDGE // 2
    return F.avg_pool2d(is_skin[:, None].float(), SKIN_EDGE, 1, edge, count_include_pad=False)


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of postcards or of crops. Half of the crops have the caption of another picture.

    So the network is also asked to make a Van Gogh of a photograph.
    """
    of_cards = rng.random() < settings.card_share
    batch = unet.noised_batch(settings, data.latents, rng, of_cards, wrong=0.5)
    count = len(batch.noisy)
    a = data.latents.noise_scheduler.alphas_cumprod[batch.timesteps][:, None, None, None]
    clean = (batch.noisy - (1 - a).sqrt() * batch.noise) / a.sqrt()
    low, high = settings.scales
    return Batch(
        batch.noisy,
        batch.timesteps,
        batch.ids,
        torch.from_numpy(rng.uniform(low, high, count)).float(),
        torch.from_numpy(rng.random(count) >= settings.unguided).float(),
        skin(clean, data.colours) * (not of_cards),
        torch.from_numpy(rng.random(count)).float(),
    )


class Guided(torch.nn.Module):
    """The UNet as a function of noisy latents, timesteps, text and guidance."""

    def __init__(self, network: UNet2DConditionModel):
        super().__init__()
        self.network = network

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        text: torch.Tensor,
        scales: torch.Tensor,
        guided: torch.Tensor,
    ) -> torch.Tensor:
        """Predicted noise (B, C, h, w); the guidance counts where ``guided`` (B,) is 1."""
        condition = sampler.embed_scales(scales, EMBEDDING) * guided[:, None]  # (B, 256)
        return self.network(noisy, timesteps, text, timestep_cond=condition).sample


def ddim_step(
    noisy: torch.Tensor,
    noise: torch.Tensor,
    now: torch.Tensor,
    then: torch.Tensor,
    noise_scheduler: DDIMScheduler,
) -> torch.Tensor:
    """Latents at the timesteps ``then`` (B,), from those at ``now``, along the predicted noise.

    Song et al. 2021, equation 12 with sigma = 0.
    """
    alphas = noise_scheduler.alphas_cumprod.to(noisy.device)
    a, b = (alphas[t][:, None, None, None] for t in (now, then))
    clean = (noisy - (1 - a).sqrt() * noise) / a.sqrt()
    return b.sqrt() * clean + (1 - b).sqrt() * noise


def skin_shares(settings: Settings, skin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Shares of the guidance for coarse and fine parts, as maps (B, 1, h, w) like ``skin``."""
    return tuple(1 + (share - 1) * skin for share in (settings.skin_coarse, settings.skin_fine))


def loss(
    settings: Settings,
    model: Guided,
    batch: Batch,
    teacher: Sequence[Callable[..., Any]],
    empty: torch.Tensor,
    noise_scheduler: DDIMScheduler,
) -> tuple[torch.Tensor, training.Figures]:
    """Squared distance to the teacher's guided answers: (loss, figures to log).

    teacher : (UNet, text encoder); empty : tokens (1, L) of the empty prompt.

    The second timestep is earlier, and its latents come from the network's own answer. So it also
    learns from its own paintings.
    """
    network, text_encoder = teacher
    count, noisy, now = len(batch.noisy), batch.noisy, batch.timesteps
    with torch.no_grad():
        ids = torch.cat([batch.ids, empty.expand(count, -1)])
        both = text_encoder(ids).last_hidden_state.float()  # (2 B, L, D)
    shares = skin_shares(settings, batch.skin)
    scales = torch.where(batch.guided > 0, batch.scales, 1.0)
    total, figures = 0.0, {}
    for name in ("first", "second"):
        with torch.no_grad():
            answers = network(noisy.repeat(2, 1, 1, 1), now.repeat(2), both).sample.float()
            cond, uncond = answers.chunk(2)
            wanted = guided_answer(cond, uncond, scales, *shares)
        predicted = model(noisy, now, both[:count], batch.scales, batch.guided).float()
        losses = (predicted - wanted).square().mean((1, 2, 3))  # (B,)
        weights = unet.loss_weights(compute_snr(noise_scheduler, now), settings.snr_gamma)
        figures[name] = (losses * weights).mean()
        total = total + figures[name]
        then = (FIRST + batch.uniform * (now - FIRST).clamp(min=0)).long()
        noisy = ddim_step(noisy, predicted.detach(), now, then, noise_scheduler)
        now = then
    return total, {"loss": total, **figures}


@torch.no_grad()
def measure(
    settings: Settings,
    model: Guided,
    vae: AutoencoderKL,
    teacher: tuple[UNet2DConditionModel, CLIPTextModel],
    tokenizer: CLIPTokenizer,
    noise_scheduler: DDIMScheduler,
    colours: torch.Tensor,
) -> dict[str, float]:
    """The missing share of the change by guidance, on held-out photographs called "van gogh".

    The squared distance between the answers of network and teacher, as a share of the squared
    distance between the guided and the usual answer, at two timesteps. 0: equal; 1: no guidance.
    """
    held_out = art.load(settings.art_dir, "validation", ("a photo",), settings.limit or None)
    side = (settings.measured_side,) * 2
    squares = [np.asarray(ImageOps.fit(p.image, side)) for p in held_out[: settings.evaluate]]
    latents = training.encode_batches(vae, squares).float()
    count, figures = len(latents), {}
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(latents.shape, generator=generator)
    network, text_encoder = teacher
    ids = unet.tokens(tokenizer, ["van gogh"] * count + [""] * count)
    both = text_encoder(ids).last_hidden_state
    scales, shares = torch.full((count,), 5.0), skin_shares(settings, skin(latents, colours))
    for t in (100, 300):
        now = torch.full((count,), t)
        noisy = noise_scheduler.add_noise(latents, noise, now)
        answers = network(noisy.repeat(2, 1, 1, 1), now.repeat(2), both).sample
        cond, uncond = answers.chunk(2)
        wanted = guided_answer(cond, uncond, scales, *shares)
        for guided, answer, name in ((1, wanted, "guided"), (0, cond, "unguided")):
            made = model(noisy, now, both[:count], scales, torch.full((count,), float(guided)))
            missing = (made - answer).square().sum() / (wanted - cond).square().sum()
            figures[f"missing at t = {t}, {name}"] = round(missing.item(), 4)
    return figures


def load_teacher(settings: StudentSettings, device: torch.device) -> dict[str, Any]:
    """The teacher's networks and the VAE, frozen: {vae, tokenizer, text_encoder, unet}."""
    pipe = StableDiffusionPipeline.from_pretrained(
        settings.teacher, vae=None, safety_checker=None, requires_safety_checker=False
    )
    vae = AutoencoderKL.from_pretrained(settings.vae)
    networks = dict(
        vae=vae, tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder, unet=pipe.unet
    )
    for name in ("vae", "text_encoder", "unet"):
        network = networks[name].float().eval().requires_grad_(False)
        layout = torch.preserve_format if name == "text_encoder" else torch.channels_last
        networks[name] = network.to(device, memory_format=layout)
    return networks


def load_latents(
    settings: StudentSettings,
    networks: dict[str, Any],
    pictures: Sequence[art.Picture],
    redrawn: unet.CardSet | None,
    noise_scheduler: DDIMScheduler,
    precision: str,
) -> unet.Data:
    """`unet.Data` without plain versions of the pictures; networks: from `load_teacher`."""
    rng, vae = training.rng(settings.seed, training.PREPARING), networks["vae"]
    crops = pairs.encode_all(vae, pictures, settings.short_sides, rng, precision, False)
    card_set = unet.encode_cards(vae, settings.drawn)
    return unet.Data(crops, card_set, redrawn, networks["tokenizer"], noise_scheduler)


def main(settings: Settings) -> None:
    """Distil guidance into a copy of the teacher, measure it, and save the pipeline in fp16."""
    accelerator = training.accelerator()
    device, precision = accelerator.device, accelerator.mixed_precision
    torch.manual_seed(settings.seed)
    networks, noise_scheduler = load_teacher(settings, device), unet.scheduler()
    vae, tokenizer, text_encoder, old = networks.values()
    redrawn = unet.load_redrawn(settings, networks, noise_scheduler, precision)
    new = with_scale(old).to(device, memory_format=torch.channels_last)
    if device.type == "cpu":  # the backward pass of fused attention costs a third of a step there
        new.set_attn_processor(AttnProcessor())
    model = Guided(new)
    optimizer = Muon(*split(model), settings.learning_rate, weight_decay=0.0)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, warmup=100, ema_decay=settings.ema_decay)
    pictures, data = unet.load_pictures(settings), None
    photographs = [picture for picture in pictures if picture.style == "a photo"]
    colours = colours_of_latents(vae, photographs[:SHOWN])
    if not run.is_over:
        latents = load_latents(settings, networks, pictures, redrawn, noise_scheduler, precision)
        data = Data(latents, colours)
    frozen = [training.with_autocast(accelerator, network) for network in (old, text_encoder)]
    empty = unet.tokens(tokenizer, [""]).to(device)
    of_batch = partial(loss, teacher=frozen, empty=empty, noise_scheduler=noise_scheduler)
    run.fit("guidance", make_batch, of_batch, data)
    if not accelerator.is_main_process:
        return
    model, vae = run.averaged(), vae.cpu()
    teacher = (old.cpu(), text_encoder.cpu())
    figures = measure(settings, model, vae, teacher, tokenizer, noise_scheduler, colours)
    unet.save_pipeline(settings.out, vae, text_encoder, tokenizer, model.network, noise_scheduler)
    training.write_record(settings.record_folder, run, "guidance", figures, art.data_hash(pictures))
    print(json.dumps(figures))


def with_scale(network: UNet2DConditionModel) -> UNet2DConditionModel:
    """A copy of the UNet that also takes a guidance scale, which changes nothing at first."""
    config = {name: value for name, value in network.config.items() if not name.startswith("_")}
    new = UNet2DConditionModel(**config | {"time_cond_proj_dim": EMBEDDING})
    missing, unexpected = new.load_state_dict(network.state_dict(), strict=False)
    assert missing == ["time_embedding.cond_proj.weight"] and not unexpected
    torch.nn.init.zeros_(new.time_embedding.cond_proj.weight)
    return new


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
