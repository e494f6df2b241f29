"""Train the style classifier: ``python -m sdkit.recipes.classifier --art-dir DIR``.

It measures the painter, so it must be fair. Every crop is blurred, compressed, recoloured or made
noisy at random. Otherwise the softness of portraits with a low resolution would show that they are
"a photo". A second classifier, trained with another seed and width, can serve in the VAE's
perceptual loss. The loss never uses the classifier that measures.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageFilter

from sdkit.evaluate.judges import StyleClassifier
from sdkit.pictures import art, photos
from sdkit.recipes import training
from sdkit.recipes.settings import BaseSettings, command_line, in_models


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of the style classifier's training."""

    out: Path = field(default_factory=in_models("style-classifier"))
    runs: Path = Path("runs/classifier")
    steps: int = 2400
    # crops in a batch
    batch_size: int = 24
    # side of a crop in px
    size: int = 96
    # channels of the levels, the finest first
    channels: tuple[int, ...] = (32, 64, 128, 192)
    # of AdamW
    learning_rate: float = 1e-3


class Batch(NamedTuple):
    """One batch of the classifier."""

    pictures: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    styles: torch.Tensor  # (B,) numbers of the right styles in `art.STYLES`


def jitter(square: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a crop, uint8 (S, S, 3), at random: colour, blur, JPEG compression, tint and noise.

    Each change is made half of the time.
    """
    image = Image.fromarray(square)
    for change in (ImageEnhance.Color, ImageEnhance.Brightness, ImageEnhance.Contrast):
        if rng.random() < 0.5:
            image = change(image).enhance(rng.uniform(0.65, 1.4))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.4)))
    if rng.random() < 0.5:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(30, 95)))
        image = Image.open(file)
    pixels: np.ndarray = np.asarray(image, np.float32)
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.9, 1.1, 3)  # a tint
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(1, 10), pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def accuracy(model: StyleClassifier, pictures: Sequence[art.Picture]) -> dict[str, float]:
    """Share of pictures whose most probable style is right, over all and for each style."""
    styles = list(model.config.styles)
    right = {style: [] for style in styles}
    for picture in pictures:
        right[picture.style].append(
            styles[int(model.probabilities(picture.image).argmax())] == picture.style
        )
    figures = {style: round(float(np.mean(values)), 3) for style, values in right.items() if values}
    return {"all": round(float(np.mean(np.concatenate(list(right.values())))), 3), **figures}


def group_pictures(pictures: Sequence[art.Picture]) -> list[list[art.Picture]]:
    """Lists of the pictures of one style; official portraits are a list of their own."""
    groups = [
        [p for p in pictures if p.style == style and p.file.startswith("portrait/") == portrait]
        for style in art.STYLES
        for portrait in (False, True)
    ]
    return [group for group in groups if group]


def make_batch(
    settings: Settings, groups: list[list[art.Picture]], rng: np.random.Generator
) -> Batch:
    """A `Batch` in which all styles are equally frequent; half of the photographs are portraits."""
    weights = np.array([0.5 if group[0].style == "a photo" else 1.0 for group in groups])
    chosen = [
        groups[k] for k in rng.choice(len(groups), settings.batch_size, p=weights / weights.sum())
    ]
    squares = [
        jitter(art.crop(group[rng.integers(len(group))], settings.size, rng, (224, 560)), rng)
        for group in chosen
    ]
    styles = torch.tensor([art.STYLES.index(group[0].style) for group in chosen])
    return Batch(photos.to_batch(squares), styles)


def loss(
    settings: Settings, model: StyleClassifier, batch: Batch
) -> tuple[torch.Tensor, training.Figures]:
    """Cross-entropy of the logits: (loss, figures to log)."""
    logits = model(batch.pictures).float()  # (B, styles)
    value = F.cross_entropy(logits, batch.styles)
    return value, {
        "loss": value,
        "accuracy": (logits.argmax(1) == batch.styles).float().mean(),
    }


def measure(settings: Settings, model: StyleClassifier) -> dict[str, dict[str, Any]]:
    """Accuracy and mean "van gogh" score on validation and test pictures."""
    figures = {}
    for split in ("validation", "test"):
        held_out = art.load(settings.art_dir, split, limit=settings.limit or None)
        scores = {}
        for style in ("van gogh", "a photo"):
            images = [p.image for p in held_out if p.style == style]
            scores[style] = round(float(np.mean(model.score(images))), 3)
        figures[split] = {"accuracy": accuracy(model, held_out), "van_gogh_score": scores}
    return figures


def main(settings: Settings) -> None:
    """Train the style classifier on crops, measure it on held-out pictures, and save it."""
    accelerator = training.accelerator()
    torch.manual_seed(settings.seed)
    pictures = art.load(settings.art_dir, "train", limit=settings.limit or None)
    model = StyleClassifier(art.STYLES, settings.channels, settings.size)
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=0.05)
    run = training.Run(settings, accelerator)
    run.begin(model, optimizer, ema_decay=0.995)
    run.fit("classifier", make_batch, loss, group_pictures(pictures))
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    figures = measure(settings, model)
    model.half().save_pretrained(settings.out)
    training.write_record(settings.out, run, "classifier", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
