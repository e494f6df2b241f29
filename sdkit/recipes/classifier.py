"""Train the style classifier: ``python -m sdkit.recipes.classifier --art-dir DIR``.

It measures the generator, so it must be fair: every crop is blurred, compressed, recoloured or made noisy at random,
or else low-resolution portraits would tell "a photo" by their softness. A second one, trained with another seed and
width, serves as feature extractor in the VAE's perceptual loss; the one that measures is in no loss.
"""

import io
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageFilter

from sdkit.evaluate.judges import StyleClassifier
from sdkit.files import models_dir
from sdkit.pictures import art
from sdkit.recipes import training


def jitter(square, rng):
    """uint8 (S, S, 3) -> the same crop after random colour, blur, JPEG compression and noise, each half the time."""
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
    pixels = np.asarray(image, np.float32)
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.9, 1.1, 3)  # a tint
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(1, 10), pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def accuracy(model, pictures):
    """Share of pictures whose most probable style is the right one, in all and for each style."""
    styles = list(model.config.styles)
    right = {style: [] for style in styles}
    for picture in pictures:
        right[picture.style].append(
            styles[int(model.probabilities(picture.image).argmax())] == picture.style
        )
    figures = {style: round(float(np.mean(values)), 3) for style, values in right.items() if values}
    return {"all": round(float(np.mean(np.concatenate(list(right.values())))), 3), **figures}


def main(
    art_dir="../shared/art",
    out="",
    steps=2400,
    batch_size=24,
    size=96,
    channels="32,64,128,192",
    learning_rate=1e-3,
    seed=0,
    runs="runs/classifier",
    limit=0,
):
    """Train the style classifier on crops, style-balanced, and save it with its accuracy on held-out pictures.

    out: folder to write (default: data/models/style-classifier); runs: where checkpoints and the curve lie;
    limit: pictures per folder (0: all).
    """
    settings = dict(recipe="sdkit.recipes.classifier", **locals())
    accelerator = training.accelerator()
    torch.manual_seed(seed)
    pictures = art.load(art_dir, "train", limit=limit or None)
    groups = [
        [p for p in pictures if p.style == style and p.file.startswith("portrait/") == portrait]
        for style in art.STYLES
        for portrait in (False, True)
    ]
    groups = [group for group in groups if group]
    share = np.array([0.5 if group[0].style == "a photo" else 1.0 for group in groups])
    model = StyleClassifier(art.STYLES, tuple(map(int, channels.split(","))), size)
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.05)
    run = training.Run(runs, accelerator)
    model, start = run.begin(model, optimizer, steps, ema_decay=0.995)

    def make(step):
        rng = training.rng(seed, step, accelerator.process_index)
        chosen = rng.choice(len(groups), batch_size, p=share / share.sum())
        squares = [
            jitter(art.crop(groups[g][rng.integers(len(groups[g]))], size, rng, (224, 560)), rng)
            for g in chosen
        ]
        return art.to_batch(squares), torch.tensor(
            [art.STYLES.index(groups[g][0].style) for g in chosen]
        )

    for step, (x, style) in run.steps("classifier", make, start, steps):
        logits = model(x.to(accelerator.device, memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(logits, style.to(accelerator.device))
        run.descend(loss)
        run.record(step, loss=loss, accuracy=(logits.argmax(1).cpu() == style).float().mean())
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    metrics = {}
    for split in ("validation", "test"):
        held_out = art.load(art_dir, split, limit=limit or None)
        gogh = [p.image for p in held_out if p.style == "van gogh"]
        photos = [p.image for p in held_out if p.style == "a photo"]
        metrics[split] = {
            "accuracy": accuracy(model, held_out),
            "van_gogh_score": {
                "van gogh": round(float(np.mean(model.score(gogh))), 3),
                "a photo": round(float(np.mean(model.score(photos))), 3),
            },
        }
    out = Path(out) if out else models_dir() / "style-classifier"
    model.half().save_pretrained(out)
    training.write_record(out, run, settings, metrics, art.data_hash(pictures))
    print(json.dumps(metrics))


if __name__ == "__main__":
    training.command_line(main)
