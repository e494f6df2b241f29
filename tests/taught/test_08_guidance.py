"""Lesson 08: its functions do what sdkit and diffusers do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from sdkit import models, points, sampler, schedule
from sdkit.diffusion.schedule import Schedule
from tests.taught import taught

GUIDANCE = "08_guidance.ipynb"


@pytest.fixture
def guided(tiny_sd):
    """(what lesson 08 defines, around the tiny model; the model's pipeline)"""
    text2img = models.load(tiny_sd, task="text2img", device="cpu")
    cells = taught(GUIDANCE)
    cells.update(pipe=text2img, sd=Schedule.of(text2img.scheduler), STEPS=4)
    return cells, text2img


@pytest.mark.parametrize("scale, negative", [(1.5, ""), (3.0, "a photo"), (7.5, "")])
def test_painting_with_guidance_equals_the_pipeline(guided, scale, negative):
    cells, text2img = guided
    prompts = ["van gogh", "a photo"]
    start = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(5))
    theirs = text2img(
        prompts,
        negative_prompt=[negative] * 2,
        guidance_scale=scale,
        num_inference_steps=4,
        latents=start,
        output_type="pt",
    ).images
    for plan in (scale, [scale] * 4):
        ours = cells["paint"](prompts, plan, negative, seed=5)
        torch.testing.assert_close(ours / 2 + 0.5, theirs, atol=1e-5, rtol=0)


def test_painting_at_scale_1_equals_the_pipeline_without_guidance(guided):
    cells, text2img = guided
    start = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    theirs = text2img(
        ["van gogh"], guidance_scale=1.0, num_inference_steps=4, latents=start, output_type="pt"
    ).images
    torch.testing.assert_close(
        cells["paint"](["van gogh"], 1, "a photo") / 2 + 0.5, theirs, atol=1e-5, rtol=0
    )


def test_guide_and_the_solutions_equal_sdkit():
    uncond, cond = torch.randn(2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0)).unbind()
    solved = taught(f"solutions/{GUIDANCE}")
    for scale in (0.0, 1.0, 7.5):
        wanted = sampler.guide(uncond, cond, scale)
        for ours in (
            taught(GUIDANCE)["guide"](uncond, cond, scale),
            solved["amplify"](uncond, cond, scale),
            solved["mended"](torch.cat([uncond, cond]), scale),
        ):
            torch.testing.assert_close(ours, wanted)


def test_the_perfect_answer_for_one_gaussian_in_closed_form():
    """Points and noise are Gaussian, so the mean of the noise is linear in x."""
    chain, x = (
        schedule.log_linear(60),
        torch.randn(20, 2, generator=torch.Generator().manual_seed(0)),
    )
    cells = taught(GUIDANCE)
    cells["chain"] = chain
    for t in (5, 30, 55):
        abar = float(chain.alphas_cumprod[t])
        centre = torch.tensor([[0.7, -0.2]])
        wanted = (1 - abar) ** 0.5 * (x - abar**0.5 * centre) / (abar * 0.3**2 + 1 - abar)
        ours = cells["perfect"](points.Mixture(centre, 0.3), x, t)
        torch.testing.assert_close(ours.float(), wanted, atol=1e-5, rtol=1e-4)


def test_rescale_equals_the_rescaled_guidance_of_diffusers():
    amplified, cond = torch.randn(
        2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0)
    ).unbind()
    amplified = 3 * amplified + torch.arange(3.0).reshape(3, 1, 1, 1)
    for share in (0.0, 0.7, 1.0):
        ours = taught(GUIDANCE)["rescale"](amplified, cond, share)
        torch.testing.assert_close(ours, rescale_noise_cfg(amplified, cond, guidance_rescale=share))


def test_rescaled_painting_at_scale_1_equals_plain_painting(guided):
    cells, _ = guided
    torch.testing.assert_close(
        cells["paint_rescaled"](["van gogh"], 1.0),
        cells["paint"](["van gogh"], 1.0),
        atol=1e-5,
        rtol=0,
    )


def test_diversity_is_one_minus_the_correlation():
    cells, x = (
        taught(GUIDANCE),
        torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    )
    cells["cards"] = ["one", "two", "three"]
    cells["reader"] = SimpleNamespace(
        read_right=lambda x, cards: np.arange(30).reshape(6, 5) % 7 > 0
    )
    found = cells["judge"](x)
    pairs = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(x[:3], x[3:])]
    assert found["diversity"] == pytest.approx(1 - np.mean(pairs), abs=1e-5)
    assert (found["all"], found["parts"]) == (1, pytest.approx(25 / 30))
    assert found["clipped"] == pytest.approx((np.abs(x.numpy()) > 0.98).mean())
