"""Numbers from Python that the unit tests of the page compare with. No weight is in them."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sdkit import models, postcards
from sdkit.diffusion.sampler import embed_scales
from sdkit.files import write_atomically

PROMPTS = [
    "",
    "a red house by the sea at night",
    "van gogh",
    "UKIYO-E,  a photo\nof 12 boats!",
    "it's a cat; we'll see 'that'",
    "cezanne cézanne cafe\u0301 \u65e5\u672c \U0001f600",
    "a " * 60,
    "two<|endoftext|>parts",
]
RUNS = [(10, 0.3), (25, 1.0), (20, 0.5), (7, 1.0), (1, 1.0), (15, 0.4)]  # (steps, strength)
SEEDS = [0, 1, 2026, 2**32 + 5]
SCALES = [1.0, 2.0, 5.5, 9.0]


def values() -> dict[str, Any]:
    """All the numbers; ``python -m sdkit.web values`` writes them to a file."""
    model = models.resolve("mini-sd")
    pipe = model.pipeline("text2img", "cpu", torch.float32)
    upscaler = models.resolve("mini-upscaler").upscaler(model, "cpu", torch.float32)
    schedulers = {"mini-sd": pipe.scheduler, "mini-upscaler": upscaler.scheduler}
    return {
        "tokens": [[prompt, _tokens(pipe.tokenizer, prompt)] for prompt in PROMPTS],
        "noise": [_noise(seed) for seed in SEEDS],
        "runs": [
            {"model": name, **_run(copy.deepcopy(scheduler), steps, strength)}
            for name, scheduler in schedulers.items()
            for steps, strength in RUNS
        ],
        "scales": [[scale, _scale(scale)] for scale in SCALES],
        "phrases": {word: said[0] for word, said in postcards.PHRASES.items()},
        "sentences": [_sentence(index) for index in range(6)],
        "style_scales": [
            [style, model.settings(style).guidance_scale]
            for style in [*model.styles, "Claude Monet", "a cat", "snapshots", "photo in oil"]
        ],
        "resized": [_resized(*sides) for sides in [(12, 8, 24, 16), (40, 30, 16, 16)]],
    }


def _tokens(tokenizer: Any, prompt: str) -> list[int]:
    length = tokenizer.model_max_length
    return tokenizer(prompt, padding="max_length", max_length=length, truncation=True).input_ids


def _noise(seed: int) -> dict[str, Any]:
    """The first numbers of a generator, drawn in two goes; 37 is no multiple of 16."""
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = [torch.randn(count, generator=generator) for count in (64, 37, 32)]
    return {"seed": seed, "drawn": [_rounded(numbers) for numbers in drawn]}


def _run(scheduler: Any, steps: int, strength: float) -> dict[str, Any]:
    """The timesteps of a run, and four latents after each step; sin(3 x + t) is the network."""
    scheduler.set_timesteps(steps)
    begin = steps - int(steps * strength)
    scheduler.set_begin_index(begin)
    clean, noise = torch.tensor([-1.0, -0.2, 0.4, 1.5]), torch.tensor([0.3, -1.2, 2.0, -0.1])
    latents = scheduler.add_noise(clean, noise, scheduler.timesteps[begin : begin + 1])
    states = [_rounded(latents)]
    for t in scheduler.timesteps[begin:]:
        output = torch.sin(3 * latents + t)
        latents = scheduler.step(output, t, latents, return_dict=False)[0]
        states.append(_rounded(latents))
    timesteps = scheduler.timesteps[begin:].tolist()
    return {"steps": steps, "strength": strength, "timesteps": timesteps, "latents": states}


def _scale(scale: float) -> list[float]:
    return _rounded(embed_scales(torch.tensor([scale]), 16)[0]) if scale > 1 else [0.0] * 16


def _sentence(index: int) -> tuple[dict[str, str], str]:
    """The parts of a random postcard with one thing, and its standard caption."""
    card = replace(postcards.sample(0, index), second=None)
    return {part: getattr(card, part) for part in postcards.PARTS}, postcards.plain_caption(card)


def _resized(width: int, height: int, new_width: int, new_height: int) -> dict[str, Any]:
    """A small picture of random colours, and the same scaled by Pillow."""
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(levels)
    scaled = image.resize((new_width, new_height), Image.Resampling.LANCZOS)
    return {
        "from": [width, height],
        "to": [new_width, new_height],
        "before": [*image.tobytes()],
        "after": [*scaled.tobytes()],
    }


def _rounded(numbers: torch.Tensor) -> list[float]:
    return [round(float(number), 6) for number in numbers]


def write(path: Path) -> None:
    """Write the numbers as JSON."""
    with write_atomically(path) as unfinished:
        unfinished.write_text(json.dumps(values(), ensure_ascii=True) + "\n", "utf-8")
