"""Lesson 09: its functions do what sdkit and diffusers do."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler
from PIL import Image

from sdkit import generate, latents, models, photos
from tests.taught import taught


@pytest.mark.parametrize(
    "scheduler", [DDIMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler]
)
def test_the_fifteen_lines_equal_the_pipeline(tiny_sd, scheduler):
    text2img = models.load(tiny_sd, task="text2img", device="cpu")
    usual, text2img.scheduler = text2img.scheduler, scheduler.from_config(text2img.scheduler.config)
    by_hand = taught("09_assembled.ipynb")["paint"](
        text2img, "van gogh", seed=3, steps=6, scale=2.5, size=64
    )
    by_pipe = text2img(
        "van gogh",
        num_inference_steps=6,
        guidance_scale=2.5,
        height=64,
        width=64,
        output_type="pt",
        generator=torch.Generator().manual_seed(3),
    ).images
    text2img.scheduler = usual
    torch.testing.assert_close((by_hand / 2 + 0.5).clamp(0, 1), by_pipe, atol=1e-5, rtol=0)


def test_blending_equals_inpaint(tiny_sd, monkeypatch):
    text2img = models.load(tiny_sd, task="text2img", device="cpu")
    blend, steps = taught("09_assembled.ipynb")["blend"], []
    photo, mask = (
        photos.resize(photos.sample("coffee").crop((0, 0, 300, 300)), 64),
        Image.new("L", (64, 64)),
    )
    mask.paste(255, (0, 0, 32, 64))
    known = latents.encode(text2img.vae, photos.to_tensor(photo))
    new = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    new[..., :8] = True
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(0))
    settings = generate.Settings(
        "a photo", strength=1.0, guidance_scale=3.0, num_inference_steps=4, size=64
    )

    def after_step(pipe, step, timestep, tensors):
        steps.append(step)
        return {"latents": blend(pipe, tensors["latents"], known, new, step, noise)}

    expected = text2img(
        "a photo",
        num_inference_steps=4,
        guidance_scale=3.0,
        height=64,
        width=64,
        generator=torch.Generator().manual_seed(0),
        callback_on_step_end=after_step,
    ).images[0]
    painted = generate.inpaint(text2img, photo, mask, settings)
    assert steps == [0, 1, 2, 3]
    np.testing.assert_array_equal(np.asarray(painted)[:, :32], np.asarray(expected)[:, :32])
