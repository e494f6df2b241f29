"""Train the reader of postcards: ``python -m sdkit.recipes.reader``.

It says which thing a postcard shows, its colour and place, the ground and the time of day. It looks
only at the picture. So it measures whether a generated picture shows what the prompt asks for. It
learns only from rendered postcards, never from a generated picture, and no training of the painter
uses it. Its training pictures are blurred and made noisy at random, because pictures from a decoder
are a little soft.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from sdkit import postcards
from sdkit.evaluate.judges import PostcardReader
from sdkit.pictures import photos
from sdkit.postcards import Postcard
from sdkit.recipes import cards, training
from sdkit.recipes.settings import BaseSettings, command_line, in_models


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of the reader's training."""

    out: Path = field(default_factory=in_models("postcard-reader"))
    runs: Path = Path("runs/reader")
    steps: int = 1500
    # postcards in a batch
    batch_size: int = 64
    # postcards that are drawn for the training
    drawn: int = 16000
    # postcards of each kind that are read at the end
    evaluate: int = 2000
    # side of a postcard in px
    size: int = 64
    # channels of the levels, the finest first
    channels: tuple[int, ...] = (32, 64, 128, 128)
    # of AdamW
    learning_rate: float = 2e-3


class Batch(NamedTuple):
    """One batch of the reader."""

    pictures: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    words: torch.Tensor  # (B, parts) numbers of the right words, see `postcards.indices`


@dataclass
class Data:
    """What batches are made from."""

    cards: list[Postcard]
    drawings: np.ndarray  # uint8 (N, S, S, 3)


def soften(square: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a picture, uint8 (S, S, 3): blur, brightness and noise, each half of the time."""
    pixels: np.ndarray = square.astype(np.float32)
    if rng.random() < 0.5:
        pixels = gaussian_filter(pixels, (*[rng.uniform(0.2, 0.9)] * 2, 0))
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.93, 1.07) + rng.uniform(-8, 8)
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(1, 8), pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of postcards drawn at random."""
    chosen = rng.integers(len(data.cards), size=settings.batch_size)
    words = torch.tensor([postcards.indices(data.cards[k]) for k in chosen])
    return Batch(photos.to_batch([soften(data.drawings[k], rng) for k in chosen]), words)


def loss(
    settings: Settings, model: PostcardReader, batch: Batch
) -> tuple[torch.Tensor, training.Figures]:
    """Cross-entropy, summed over the parts of a postcard: (loss, figures to log)."""
    value = sum(
        F.cross_entropy(logits.float(), right)
        for logits, right in zip(model(batch.pictures), batch.words.T)
    )
    return value, {"loss": value}


def measure(settings: Settings, model: PostcardReader) -> dict[str, dict[str, float]]:
    """Share read right, for each part, on new postcards and on held-out combinations."""
    figures = {}
    for name, held_out in (("unseen", False), ("unseen, held-out combinations", True)):
        shown, drawings = cards.render(settings.evaluate, settings.size, seed=3, held_out=held_out)
        right = model.read_right(photos.to_batch(drawings), shown)  # (N, parts)
        figures[name] = {
            part: round(share, 4) for part, share in zip(postcards.PARTS, right.mean(0).tolist())
        }
        figures[name]["all at once"] = round(float(right.all(1).mean()), 4)
    return figures


def main(settings: Settings) -> None:
    """Train the reader on rendered postcards, measure it on unseen ones, and save it."""
    accelerator = training.accelerator()
    torch.manual_seed(settings.seed)
    model = PostcardReader(settings.channels, settings.size)
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=0.05)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, ema_decay=0.995)
    data = None if run.is_over else Data(*cards.render(settings.drawn, settings.size, seed=2))
    run.fit("reader", make_batch, loss, data)
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    figures = measure(settings, model)
    model.half().save_pretrained(settings.out)
    data_hash = f"postcards, seed 2, 0 to {settings.drawn - 1}"
    training.write_record(settings.out, run, "reader", figures, data_hash)
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
