"""Lesson 04: its functions do what sdkit and diffusers do."""

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)

from sdkit import points, sampler, schedule
from tests.taught import ENDS, taught

SAMPLERS = "04_samplers.ipynb"
TRAINED = {"beta_schedule": "scaled_linear", **ENDS}


def imagined(x, sigma):
    """A stand-in for a network: not linear, and smooth in x and in the noise level."""
    return torch.sin(x / 8) + sigma / (1 + sigma)


def walk_of_diffusers(scheduler, steps, start, **arguments):
    """Take `steps` steps from `start` with a scheduler of diffusers.

    Returns the last point and the noise levels (sigma) on the way. The first and the last point
    are in the form x0 + sigma noise.
    """
    scheduler.set_timesteps(steps)
    abar = scheduler.alphas_cumprod.double()
    by_sigma = "Discrete" in type(scheduler).__name__  # these keep x as x0 + sigma noise
    sigma = ((1 - abar) / abar).sqrt()
    levels = [sigma[int(t)].item() for t in scheduler.timesteps] + [sigma[0].item()]
    x = start if by_sigma else start / (1 + levels[0] ** 2) ** 0.5
    for t, level in zip(scheduler.timesteps, levels):
        seen = x if by_sigma else x * (1 + level**2) ** 0.5
        if by_sigma:
            scheduler.scale_model_input(x, t)
        x = scheduler.step(imagined(seen, level), t, x, **arguments).prev_sample
    return x if by_sigma else x * (1 + levels[-1] ** 2) ** 0.5, levels


def points_under_noise():
    return 10 * torch.randn(16, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("DDIMScheduler", {"set_alpha_to_one": False, "clip_sample": False}),
        ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}),
    ],
)
def test_steps_without_new_noise_equal_ddim_and_euler(name, arguments):
    scheduler = getattr(diffusers, name)(
        **TRAINED, timestep_spacing="leading", steps_offset=1, **arguments
    )
    start = points_under_noise()
    theirs, levels = walk_of_diffusers(scheduler, 10, start)
    ours = taught(SAMPLERS)["walk"](imagined, start, levels)[-1]
    torch.testing.assert_close(ours, theirs.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_steps_with_new_noise_equal_ddim_with_eta(eta):
    scheduler = DDIMScheduler(**TRAINED, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
    start, noise = (
        points_under_noise(),
        torch.randn(16, 8, generator=torch.Generator().manual_seed(4)),
    )
    theirs, levels = walk_of_diffusers(scheduler, 10, start, eta=eta, variance_noise=noise)
    ours = start
    for sigma, sigma_next in zip(levels, levels[1:]):
        ours = taught(SAMPLERS)["step"](ours, imagined(ours, sigma), sigma, sigma_next, eta, noise)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_steps_with_the_most_new_noise_equal_euler_ancestral():
    scheduler = EulerAncestralDiscreteScheduler(
        **TRAINED, timestep_spacing="leading", steps_offset=1
    )
    scheduler.set_timesteps(10)
    levels, theirs = scheduler.sigmas.tolist(), points_under_noise()
    ours = taught(SAMPLERS)["walk"](imagined, theirs, levels, eta=1.0, seed=6)[-1]
    generator = torch.Generator().manual_seed(6)
    for t, level in zip(scheduler.timesteps, levels):
        scheduler.scale_model_input(theirs, t)
        theirs = scheduler.step(imagined(theirs, level), t, theirs, generator=generator).prev_sample
    torch.testing.assert_close(ours, theirs.double(), atol=1e-5, rtol=1e-5)


def test_dpmpp_equals_that_of_diffusers():
    scheduler = DPMSolverMultistepScheduler(
        **TRAINED,
        timestep_spacing="leading",
        steps_offset=1,
        solver_order=2,
        lower_order_final=False,
        final_sigmas_type="sigma_min",
    )
    start = points_under_noise()
    for steps in (1, 2, 10):
        theirs, levels = walk_of_diffusers(scheduler, steps, start)
        ours = taught(SAMPLERS)["dpmpp_2m"](imagined, start, levels)
        assert len(ours) == steps + 1
        torch.testing.assert_close(ours[-1], theirs, atol=1e-5, rtol=1e-5)


def test_heun_equals_that_of_diffusers():
    scheduler = HeunDiscreteScheduler(**TRAINED, timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(10)
    levels = scheduler.sigmas.unique().flip(0)[:-1].tolist()  # the last, 0, is reached by Euler
    ours = theirs = points_under_noise()
    for sigma, sigma_next in zip(levels, levels[1:]):
        ours = taught(f"solutions/{SAMPLERS}")["heun"](imagined, ours, sigma, sigma_next)
    for i, t in enumerate(scheduler.timesteps[:-1]):
        scheduler.scale_model_input(theirs, t)
        theirs = scheduler.step(imagined(theirs, levels[(i + 1) // 2]), t, theirs).prev_sample
    torch.testing.assert_close(ours, theirs.double(), atol=1e-5, rtol=1e-5)


def test_noise_levels_equal_those_of_diffusers():
    scheduler = EulerDiscreteScheduler(**TRAINED, use_karras_sigmas=True)
    sched = schedule.scaled_linear()
    for cells in (taught(SAMPLERS), taught(f"solutions/{SAMPLERS}")):
        cells["SIGMA"] = ((1 - sched.alphas_cumprod) / sched.alphas_cumprod).sqrt()
        scheduler.set_timesteps(8)
        torch.testing.assert_close(
            torch.tensor(cells["karras"](cells["SIGMA"][-1].item(), 7)),
            scheduler.sigmas[:-1],
            rtol=1e-4,
            atol=1e-5,
        )
    assert taught(SAMPLERS)["leading"](10, 1000) == sampler.timesteps(sched, 10)
    levels = taught(SAMPLERS)["levels_at"]([801, 401])
    np.testing.assert_allclose(levels, taught(SAMPLERS)["SIGMA"][[801, 401, 0]], rtol=1e-9)
    for n, T in ((4, 1000), (7, 1000), (10, 50)):
        trailing = DDIMScheduler(num_train_timesteps=T, timestep_spacing="trailing")
        trailing.set_timesteps(n)
        assert taught(f"solutions/{SAMPLERS}")["trailing"](n, T) == trailing.timesteps.tolist()


def test_the_toy_model_answers_with_the_mean_noise():
    """Over many draws: the mean noise of all x close to a place is the answer at that place."""
    cells, generator, sigma = taught(SAMPLERS), torch.Generator().manual_seed(0), 0.8
    cells["WORLD"] = points.Mixture(1.3 * points.RING.centres, 0.1)
    noise = torch.randn(2_000_000, 2, generator=generator)
    x = cells["WORLD"].sample(len(noise), generator) + sigma * noise
    for place in torch.tensor([[1.0, 0.5], [-0.2, 1.7]]):
        close = (x - place).norm(dim=1) < 0.05
        assert close.sum() > 500  # so the mean is good to 0.04
        torch.testing.assert_close(
            cells["toy"](place[None], sigma)[0], noise[close].mean(0), atol=0.1, rtol=0
        )
