"""Distil guidance into the denoiser: ``python -m sdkit.recipes.guidance --art-dir DIR``.

Classifier-free guidance (Ho & Salimans 2022) asks the network twice in each step, with the prompt
and without it. Here a network learns to give the guided answer in one call (Meng et al. 2023, "On
distillation of guided diffusion models", stage one). It is told the guidance scale by an embedding
that is added to that of the timestep, as in latent consistency models (Luo et al. 2023), so that
diffusers' pipelines know what to do. Without this embedding the network still answers as before.

For paintings the guided answer is better than that of the usual formula. Most of the guidance goes
into the fine parts of the latents, where the brush strokes are, and less into the coarse parts,
where the colours are (frequency-decoupled guidance, Sadat et al. 2025). Otherwise all skin turns
yellow.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import compute_snr
from PIL import ImageOps

from sdkit.pictures import art
from sdkit.recipes import pairs, training, unet
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import command_line, in_models

EMBEDDING = 256  # numbers in the embedding of a guidance scale
COARSE = 4  # latent pixels; means over squares with this side are the coarse parts
FIRST = 1  # the timestep at which sampling ends


@dataclass(frozen=True)
class Settings(unet.LatentSettings):
    """Settings of the distillation of guidance."""

    # folder of the pipeline that is saved
    out: Path = field(default_factory=in_models("mini-sd"))
    runs: Path = Path("runs/guidance")
    # folder of the pipeline whose guided answers are learned
    teacher: Path = field(default_factory=in_models("mini-sd"))
    # folder of the VAE that is saved with the network
    vae: Path = field(default_factory=in_models("mini-sd/vae"))
    steps: int = 2500
    # crops in a batch; each is learned at two timesteps
    batch_size: int = 6
    # of Muon; AdamW takes a quarter
    learning_rate: float = 5e-4
    # the smallest and the largest guidance scale
    scales: tuple[int, ...] = (1, 10)
    # share of the guidance that the coarse parts of paintings get
    coarse_share: float = 0.4
    # share of examples without guidance, so that the network still has its own answers
    unguided: float = 0.25
    ema_decay: float = 0.995
    # held-out photographs that are measured
    evaluate: int = 16
    # side in px of the held-out photographs
    measured_side: int = 256


class Batch(NamedTuple):
    """One batch."""

    noisy: torch.Tensor  # (B, C, h, w)
    timesteps: torch.Tensor  # (B,)
    ids: torch.Tensor  # (B, L) token numbers of the prompts
    scales: torch.Tensor  # (B,) guidance scales
    guided: torch.Tensor  # (B,) 1 where guidance is wanted, else 0
    is_art: bool  # no postcards
    uniform: torch.Tensor  # (B,) random numbers in [0, 1) that choose the second timestep


def embed(scales):
    """Embedding (B, 256) of guidance scales (B,), equal to that of diffusers' pipelines."""
    return StableDiffusionPipeline.get_guidance_scale_embedding(None, scales - 1, EMBEDDING)


def coarse(z):
    """The coarse parts of latents (B, C, h, w): made smaller, and large again."""
    return F.interpolate(F.avg_pool2d(z, COARSE), z.shape[-2:], mode="bilinear")


def guided_answer(cond, uncond, scales, coarse_share):
    """Guided noise (B, C, h, w) from the noise predicted with the prompt and without it.

    uncond + scale (cond - uncond), where the scale is that of ``scales`` (B,) for the fine parts of
    the difference; the coarse parts get the share ``coarse_share`` of what exceeds 1. A share of 1
    is the usual formula (Ho & Salimans 2022, equation 6).
    """
    scales = scales[:, None, None, None]
    difference = cond - uncond
    low = coarse(difference)
    return uncond + scales * (difference - low) + (1 + coarse_share * (scales - 1)) * low


def make_batch(settings, data, rng):
    """A `Batch` of postcards or of crops. Half of the crops have the caption of another picture.

    So the network is also asked to make a Van Gogh of a photograph.
    """
    of_cards = rng.random() < settings.card_share
    batch = unet.noised_batch(settings, data, rng, of_cards, wrong=0.5)
    count = len(batch.noisy)
    low, high = settings.scales
    return Batch(
        batch.noisy,
        batch.timesteps,
        batch.ids,
        torch.from_numpy(rng.uniform(low, high, count)).float(),
        torch.from_numpy(rng.random(count) >= settings.unguided).float(),
        not of_cards,
        torch.from_numpy(rng.random(count)).float(),
    )


class Guided(torch.nn.Module):
    """The UNet as a function of noisy latents, timesteps, text and guidance."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, noisy, timesteps, text, scales, guided):
        """Predicted noise (B, C, h, w); the guidance counts where ``guided`` (B,) is 1."""
        condition = embed(scales) * guided[:, None]  # (B, 256)
        return self.network(noisy, timesteps, text, timestep_cond=condition).sample


def ddim_step(noisy, noise, now, then, noise_scheduler):
    """Latents at the timesteps ``then`` (B,), from those at ``now``, along the predicted noise.

    Song et al. 2021, equation 12 with sigma = 0.
    """
    alphas = noise_scheduler.alphas_cumprod.to(noisy.device)
    a, b = (alphas[t][:, None, None, None] for t in (now, then))
    clean = (noisy - (1 - a).sqrt() * noise) / a.sqrt()
    return b.sqrt() * clean + (1 - b).sqrt() * noise


def loss(settings, model, batch, teacher, empty, noise_scheduler):
    """Squared distance to the teacher's guided answers: (loss, figures to log).

    teacher : (UNet, text encoder); empty : tokens (1, L) of the empty prompt.

    The second timestep is earlier, and its latents come from the network's own answer. So it also
    learns what to do with its own paintings.
    """
    network, text_encoder = teacher
    count, noisy, now = len(batch.noisy), batch.noisy, batch.timesteps
    with torch.no_grad():
        ids = torch.cat([batch.ids, empty.expand(count, -1)])
        both = text_encoder(ids).last_hidden_state.float()  # (2 B, L, D)
    share = settings.coarse_share if batch.is_art else 1.0
    scales = torch.where(batch.guided > 0, batch.scales, 1.0)
    total, figures = 0.0, {}
    for name in ("first", "second"):
        with torch.no_grad():
            answers = network(noisy.repeat(2, 1, 1, 1), now.repeat(2), both).sample.float()
            cond, uncond = answers.chunk(2)
            wanted = guided_answer(cond, uncond, scales, share)
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
def measure(settings, model, vae, teacher, tokenizer, noise_scheduler):
    """How much of what guidance changes is missing, on held-out photographs called "van gogh".

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
    scales = torch.full((count,), 5.0)
    for t in (100, 300):
        now = torch.full((count,), t)
        noisy = noise_scheduler.add_noise(latents, noise, now)
        answers = network(noisy.repeat(2, 1, 1, 1), now.repeat(2), both).sample
        cond, uncond = answers.chunk(2)
        wanted = guided_answer(cond, uncond, scales, settings.coarse_share)
        for guided, answer, name in ((1, wanted, "guided"), (0, cond, "unguided")):
            made = model(noisy, now, both[:count], scales, torch.full((count,), float(guided)))
            missing = (made - answer).square().sum() / (wanted - cond).square().sum()
            figures[f"missing at t = {t}, {name}"] = round(missing.item(), 4)
    return figures


def main(settings):
    """Distil guidance into a copy of the teacher, measure it, and save the pipeline in fp16."""
    accelerator = training.accelerator()
    device, precision = accelerator.device, accelerator.mixed_precision
    torch.manual_seed(settings.seed)
    pipe = StableDiffusionPipeline.from_pretrained(
        settings.teacher, vae=None, safety_checker=None, requires_safety_checker=False
    )
    vae = AutoencoderKL.from_pretrained(settings.vae).float().eval()
    vae = vae.to(device, memory_format=torch.channels_last)
    tokenizer, noise_scheduler = pipe.tokenizer, unet.scheduler()
    text_encoder = pipe.text_encoder.float().to(device).eval().requires_grad_(False)
    old = pipe.unet.float().to(device, memory_format=torch.channels_last)
    old = old.eval().requires_grad_(False)
    networks = dict(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=old)
    redrawn = unet.load_redrawn(settings, networks, noise_scheduler, precision)
    new = with_scale(old).to(device, memory_format=torch.channels_last)
    if device.type == "cpu":  # the backward pass of fused attention costs a third of a step there
        new.set_attn_processor(AttnProcessor())
    model = Guided(new)
    optimizer = Muon(*split(model), settings.learning_rate, weight_decay=0.0)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, warmup=100, ema_decay=settings.ema_decay)
    pictures, data = unet.load_pictures(settings), None
    if not run.is_over:
        rng = training.rng(settings.seed, training.PREPARING)
        crops = pairs.encode_all(vae, pictures, settings.short_sides, rng, precision, False)
        card_set = unet.encode_cards(vae, settings.drawn)
        data = unet.Data(crops, card_set, redrawn, tokenizer, noise_scheduler)
    teacher = [training.with_autocast(accelerator, network) for network in (old, text_encoder)]
    empty = unet.tokens(tokenizer, [""]).to(device)
    of_batch = partial(loss, teacher=teacher, empty=empty, noise_scheduler=noise_scheduler)
    run.fit("guidance", make_batch, of_batch, data)
    if not accelerator.is_main_process:
        return
    model, vae, teacher = run.averaged(), vae.cpu(), (old.cpu(), text_encoder.cpu())
    figures = measure(settings, model, vae, teacher, tokenizer, noise_scheduler)
    unet.save_pipeline(settings.out, vae, text_encoder, tokenizer, model.network, noise_scheduler)
    training.write_record(settings.record_folder, run, "guidance", figures, art.data_hash(pictures))
    print(json.dumps(figures))


def with_scale(network):
    """A copy of the UNet that also takes a guidance scale, which changes nothing at first."""
    config = {name: value for name, value in network.config.items() if not name.startswith("_")}
    new = UNet2DConditionModel(**config | {"time_cond_proj_dim": EMBEDDING})
    missing, unexpected = new.load_state_dict(network.state_dict(), strict=False)
    assert missing == ["time_embedding.cond_proj.weight"] and not unexpected
    torch.nn.init.zeros_(new.time_embedding.cond_proj.weight)
    return new


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
