"""Lesson 02: its functions do what sdkit and diffusers do."""

import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

from sdkit import schedule
from sdkit.diffusion.schedule import Schedule
from tests.taught import ENDS, taught

FORWARD = "02_forward_diffusion.ipynb"


@pytest.mark.parametrize(
    "name, config",
    [
        ("linear", {"beta_schedule": "linear"}),
        ("scaled_linear", {"beta_schedule": "scaled_linear", **ENDS}),
        ("cosine", {"beta_schedule": "squaredcos_cap_v2"}),
    ],
)
@pytest.mark.parametrize("T", [1000, 50])
def test_betas_equal_those_of_sdkit_and_diffusers(name, config, T):
    betas = taught(FORWARD)[name](T)
    assert betas.shape == (T,)
    torch.testing.assert_close(betas, getattr(schedule, name)(T).betas, rtol=1e-9, atol=1e-14)
    scheduler = DDIMScheduler(num_train_timesteps=T, **config)
    torch.testing.assert_close(betas.float(), scheduler.betas, rtol=1e-4, atol=1e-7)


def test_snr_equals_that_of_sdkit():
    sched = schedule.scaled_linear()
    torch.testing.assert_close(taught(FORWARD)["snr_db"](sched.alphas_cumprod), sched.snr_db())


@pytest.mark.parametrize("t", [0, 500, 999])
def test_add_noise_equals_sdkit_and_diffusers(t):
    x0, noise = torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", **ENDS)
    sched = Schedule.of(scheduler)
    for path in (FORWARD, f"solutions/{FORWARD}"):
        ours = taught(path)["add_noise"](x0, noise, float(sched.alphas_cumprod[t]))
        torch.testing.assert_close(ours, sched.add_noise(x0, noise, t))
        torch.testing.assert_close(ours, scheduler.add_noise(x0, noise, torch.tensor([t] * 3)))


def test_many_small_steps_equal_one_jump():
    """In closed form, the factor of x0 is sqrt(abar) and the variance of the noise is 1 - abar."""
    walk, sched = taught(FORWARD)["walk"], schedule.linear()
    x0 = torch.full((1, 3, 64, 64), 2.0)
    walked = walk(x0, sched.betas, keep=(100, 1000), seed=3)
    noises = walk(torch.zeros_like(x0), sched.betas, keep=(100, 1000), seed=3)
    for n in (100, 1000):
        abar = sched.alphas_cumprod[n - 1].item()
        torch.testing.assert_close(walked[n] - noises[n], abar**0.5 * x0, atol=1e-5, rtol=0)
        # 12,288 numbers: sd 1.3 %
        assert noises[n].var().item() == pytest.approx(1 - abar, rel=0.06)
        one_noise = noises[n] / (1 - abar) ** 0.5
        torch.testing.assert_close(
            sched.add_noise(x0, one_noise, n - 1), walked[n], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("make", [schedule.linear, schedule.scaled_linear])
def test_rescale_equals_that_of_diffusers(make):
    betas = make().betas
    rescaled = taught(FORWARD)["rescale"](betas)
    torch.testing.assert_close(rescaled, rescale_zero_terminal_snr(betas), rtol=1e-9, atol=1e-12)
    abar = Schedule(rescaled).alphas_cumprod
    assert abar[-1] == 0 and abar[0].item() == pytest.approx(1 - betas[0].item())


def test_rebuild_inverts_add_noise_and_shifted_lowers_the_snr_in_the_solution():
    cells = taught(f"solutions/{FORWARD}")
    x0, noise = torch.randn(
        2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).unbind()
    sched = schedule.scaled_linear()
    abar = sched.alphas_cumprod[700]
    torch.testing.assert_close(cells["rebuild"](sched.add_noise(x0, noise, 700), noise, abar), x0)
    snr_db = taught(FORWARD)["snr_db"]
    shift = sched.snr_db() - snr_db(cells["shifted"](sched.alphas_cumprod, 512))
    # 20 log10(512 / 64)
    torch.testing.assert_close(shift, torch.full_like(shift, 18.0618), atol=1e-3, rtol=0)
