"""Train a small ControlNet for postcards: ``python -m sdkit.recipes.controlnet``.

A ControlNet (Zhang et al. 2023, arXiv:2302.05543) reads a picture of edges and adds numbers to the
skips of a frozen denoiser, so that the denoiser paints along the edges. The original is a copy of
half of Stable Diffusion's UNet. This one has the same levels, without attention: the edges say
where things are, and the denoiser itself still reads the sentence. It starts with zeros, so at
first it changes nothing. The renderer makes any number of pairs of edges and postcards.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.training_utils import compute_snr
from transformers import CLIPTokenizer

from sdkit import postcards
from sdkit.diffusion import prompts
from sdkit.edges import BLUR, of_square
from sdkit.evaluate.judges import PostcardReader
from sdkit.postcards import Postcard
from sdkit.recipes import cards, training, unet
from sdkit.recipes.settings import BaseSettings, command_line, in_models


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of the ControlNet's training."""

    out: Path = field(default_factory=in_models("mini-controlnet"))
    runs: Path = Path("runs/controlnet")
    # folder of the pipeline whose denoiser is controlled; it stays as it is
    pipeline: Path = field(default_factory=in_models("mini-sd"))
    # folder of the network that reads the drawn postcards at the end
    reader: Path = field(default_factory=in_models("postcard-reader"))
    steps: int = 1500
    # postcards in a batch
    batch_size: int = 16
    # postcards that are drawn for the training
    drawn: int = 8000
    # side of a postcard in px
    size: int = 64
    # channels of the layers that read the edges; each but the first halves the sides
    reading: tuple[int, ...] = (16, 32, 64)
    # of AdamW
    learning_rate: float = 1e-3
    # standard deviation in px of the blur before edges are searched for, the smallest and the
    # largest, in tenths: a drawing by hand has few lines, so many edges should not be needed
    blur: tuple[int, ...] = (5, 20)
    # share of captions that are dropped: then the edges have to say everything
    caption_dropout: float = 0.3
    # largest weight of a loss is this over SNR, see unet.loss_weights
    snr_gamma: float = 5.0
    # held-out postcards that are measured
    evaluate: int = 64


class Batch(NamedTuple):
    """One batch of the ControlNet."""

    noisy: torch.Tensor  # (B, C, h, w)
    noise: torch.Tensor  # (B, C, h, w), the answer
    timesteps: torch.Tensor  # (B,)
    ids: torch.Tensor  # (B, L) token numbers of the captions
    edges: torch.Tensor  # (B, 3, S, S) 1 on an edge, else 0


@dataclass
class Data:
    """What batches are made from."""

    cards: list[Postcard]
    drawings: np.ndarray  # uint8 (N, S, S, 3)
    latents: torch.Tensor  # float16 (N, C, h, w)
    tokenizer: CLIPTokenizer
    noise_scheduler: DDIMScheduler


def edges_of(square: np.ndarray, blur: float = BLUR) -> np.ndarray:
    """The edges of a picture, uint8 (S, S, 3) -> float32 (3, S, S): 1 on an edge, else 0."""
    return np.repeat(of_square(square, blur)[None], 3, axis=0).astype(np.float32)


def new_network(settings: Settings, denoiser: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet for a UNet: its levels, without attention, at most 3 million weights."""
    levels, config = len(denoiser.config.block_out_channels), denoiser.config
    return ControlNetModel(
        in_channels=config.in_channels,
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_num_groups,
        cross_attention_dim=config.cross_attention_dim,
        down_block_types=("DownBlock2D",) * levels,
        mid_block_type="UNetMidBlock2D",
        conditioning_embedding_out_channels=settings.reading,
    )


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of noised postcards with their edges."""
    chosen = rng.integers(len(data.cards), size=settings.batch_size)
    generator = training.torch_rng(rng)
    latents = data.latents[torch.from_numpy(chosen)].float()
    noise = torch.randn(latents.shape, generator=generator)
    timesteps = torch.randint(
        data.noise_scheduler.config.num_train_timesteps, (len(chosen),), generator=generator
    )
    low, high = settings.blur
    said = [
        "" if rng.random() < settings.caption_dropout else postcards.caption(data.cards[k], rng)
        for k in chosen
    ]
    edges = [edges_of(data.drawings[k], rng.uniform(low, high) / 10) for k in chosen]
    return Batch(
        data.noise_scheduler.add_noise(latents, noise, timesteps),
        noise,
        timesteps,
        prompts.tokens(data.tokenizer, said),
        torch.from_numpy(np.stack(edges)),
    )


def controlled(
    model: ControlNetModel,
    denoiser: Callable[..., Any],
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    text: torch.Tensor,
    edges: torch.Tensor,
) -> torch.Tensor:
    """The denoiser's answer (B, C, h, w) with what the ControlNet adds to it."""
    down, middle = model(noisy, timesteps, text, edges, return_dict=False)
    return denoiser(
        noisy,
        timesteps,
        text,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    ).sample


def loss(
    settings: Settings,
    model: ControlNetModel,
    batch: Batch,
    denoiser: Callable[..., Any],
    text_encoder: Callable[..., Any],
    noise_scheduler: DDIMScheduler,
) -> tuple[torch.Tensor, training.Figures]:
    """Weighted squared error of the predicted noise: (loss, figures to log)."""
    with torch.no_grad():
        text = text_encoder(batch.ids).last_hidden_state
    predicted = controlled(model, denoiser, batch.noisy, batch.timesteps, text, batch.edges)
    losses = (predicted.float() - batch.noise).square().mean((1, 2, 3))  # (B,)
    weights = unet.loss_weights(compute_snr(noise_scheduler, batch.timesteps), settings.snr_gamma)
    value = (losses * weights).mean()
    return value, {"loss": value}


@torch.no_grad()
def measure(
    settings: Settings, model: ControlNetModel, pipe: StableDiffusionPipeline
) -> dict[str, dict[str, float]]:
    """The effect of the edges on held-out postcards: shares read right, with and without edges.

    The captions name thing, colour, ground and time. They leave out the place, so only the edges
    show it.
    """
    from diffusers import StableDiffusionControlNetPipeline

    shown, drawings = cards.render(settings.evaluate, settings.size, seed=3, held_out=True)
    rng = np.random.default_rng(settings.seed)
    said = [postcards.caption(card, rng, {"place"}) for card in shown]
    edges = torch.from_numpy(np.stack([edges_of(square) for square in drawings]))
    painter = StableDiffusionControlNetPipeline(
        **pipe.components, controlnet=model, requires_safety_checker=False
    )
    painter.set_progress_bar_config(disable=True)
    reader = PostcardReader.from_pretrained(settings.reader).float().eval()
    figures = {}
    for name, scale in (("with edges", 1.0), ("without", 0.0)):
        made = painter(
            said,
            image=edges,
            height=settings.size,
            width=settings.size,
            num_inference_steps=20,
            guidance_scale=1.0,
            controlnet_conditioning_scale=scale,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="pt",
        ).images
        right = reader.read_right(2 * made - 1, shown)  # (N, parts)
        figures[name] = {
            part: round(share, 4) for part, share in zip(postcards.PARTS, right.mean(0).tolist())
        }
        distance = F.l1_loss(edges[:, 0], torch.from_numpy(_edges_again(made)))
        figures[name]["edges that differ"] = round(distance.item(), 4)
    return figures


def _edges_again(made: torch.Tensor) -> np.ndarray:
    """The edges of painted pictures (N, 3, S, S) in [0, 1]: (N, S, S)."""
    squares = (255 * made.permute(0, 2, 3, 1).numpy()).round().astype(np.uint8)
    return np.stack([edges_of(square)[0] for square in squares])


def main(settings: Settings) -> None:
    """Train the ControlNet beside a frozen denoiser, measure it, and save it in fp16."""
    accelerator = training.accelerator()
    device, precision = accelerator.device, accelerator.mixed_precision
    torch.manual_seed(settings.seed)
    pipe = StableDiffusionPipeline.from_pretrained(
        settings.pipeline, safety_checker=None, requires_safety_checker=False
    )
    for network in (pipe.vae, pipe.text_encoder, pipe.unet):
        network.float().eval().requires_grad_(False)
    pipe.to(device)
    model = new_network(settings, pipe.unet).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=0.01)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, ema_decay=0.998)
    noise_scheduler, data = unet.scheduler(), None
    if not run.is_over:
        shown, drawings = cards.render(settings.drawn, settings.size, seed=4)
        latents = training.encode_batches(pipe.vae, drawings, precision)
        data = Data(shown, drawings, latents, pipe.tokenizer, noise_scheduler)
    frozen = [training.with_autocast(accelerator, net) for net in (pipe.unet, pipe.text_encoder)]
    of_batch = partial(
        loss, denoiser=frozen[0], text_encoder=frozen[1], noise_scheduler=noise_scheduler
    )
    run.fit("controlnet", make_batch, of_batch, data)
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    figures = measure(settings, model, pipe.to("cpu"))
    model.half().save_pretrained(settings.out)
    data_hash = f"postcards, seed 4, 0 to {settings.drawn - 1}"
    training.write_record(settings.out, run, "controlnet", figures, data_hash)
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
