"""Train the reader of postcards: ``python -m sdkit.recipes.reader``.

It tells from a picture alone which thing stands there, its colour and place, the ground and the time of day, and so
measures whether a generated picture shows what was asked for. It sees rendered postcards only, never a generated one,
and is in no loss of the generator. Pictures are blurred and made noisy at random, as a decoder's are a little soft.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from sdkit import postcards
from sdkit.evaluate.judges import PostcardReader
from sdkit.files import models_dir
from sdkit.pictures import art
from sdkit.recipes import cards, training


def soften(square, rng):
    """uint8 (S, S, 3) -> the same after random blur, shift of brightness and noise, each half the time."""
    pixels = square.astype(np.float32)
    if rng.random() < 0.5:
        pixels = gaussian_filter(pixels, (*[rng.uniform(0.2, 0.9)] * 2, 0))
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.93, 1.07) + rng.uniform(-8, 8)
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(1, 8), pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def main(
    out="",
    steps=1500,
    batch_size=64,
    drawn=16000,
    size=64,
    channels="32,64,128,128",
    learning_rate=2e-3,
    seed=0,
    runs="runs/reader",
):
    """Train the reader on rendered postcards and save it with its accuracy on unseen ones, held-out combinations too.

    out: folder to write (default: data/models/postcard-reader); drawn: how many postcards are drawn for the training;
    runs: where checkpoints and the curve lie.
    """
    settings = dict(recipe="sdkit.recipes.reader", **locals())
    accelerator = training.accelerator()
    torch.manual_seed(seed)
    model = PostcardReader(tuple(map(int, channels.split(","))), size)
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=0.05)
    run = training.Run(runs, accelerator)
    model, start = run.begin(model, optimizer, steps, ema_decay=0.995)
    shown, drawings = cards.render(drawn if start < steps else 1, size, seed=2)

    def make(step):
        rng = training.rng(seed, step, accelerator.process_index)
        chosen = rng.integers(len(shown), size=batch_size)
        truth = torch.tensor([postcards.indices(shown[k]) for k in chosen])  # (B, parts)
        return art.to_batch([soften(drawings[k], rng) for k in chosen]), truth

    for step, (x, truth) in run.steps("reader", make, start, steps):
        logits = model(x.to(accelerator.device, memory_format=torch.channels_last))
        loss = sum(
            F.cross_entropy(part.float(), right)
            for part, right in zip(logits, truth.T.to(accelerator.device))
        )
        run.descend(loss)
        run.record(step, loss=loss)
    if not accelerator.is_main_process:
        return
    model = run.averaged()
    metrics = {}
    for name, held_out in (("unseen", False), ("unseen, held-out combinations", True)):
        shown, drawings = cards.render(min(drawn, 2000), size, seed=3, held_out=held_out)
        right = model.read_right(art.to_batch(list(drawings)), shown)
        metrics[name] = {
            part: round(share, 4) for part, share in zip(postcards.PARTS, right.mean(0).tolist())
        }
        metrics[name]["all at once"] = round(float(right.all(1).mean()), 4)
    out = Path(out) if out else models_dir() / "postcard-reader"
    model.half().save_pretrained(out)
    training.write_record(
        out, run, settings, metrics, data_hash=f"postcards, seed 2, 0 to {drawn - 1}"
    )
    print(json.dumps(metrics))


if __name__ == "__main__":
    training.command_line(main)
