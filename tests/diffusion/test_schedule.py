"""Noise schedules against diffusers and against published numbers."""

import pytest
import torch
from diffusers import DDIMScheduler

from sdkit import schedule

PAIRS = [
    (schedule.linear, {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}),
    (
        schedule.scaled_linear,
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    ),
    (schedule.cosine, {"beta_schedule": "squaredcos_cap_v2"}),
]


@pytest.mark.parametrize("make, config", PAIRS)
def test_betas_and_cumulative_alphas_equal_those_of_diffusers(make, config):
    scheduler, sched = DDIMScheduler(**config), make()
    assert len(sched) == 1000
    torch.testing.assert_close(sched.betas.float(), scheduler.betas, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(
        sched.alphas_cumprod.float(), scheduler.alphas_cumprod, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(
    "make, terminal, decibel, crossing",
    [
        (schedule.linear, 4.0e-5, -43.9, 260),  # Ho et al. 2020
        (schedule.scaled_linear, 4.66e-3, -23.3, 355),  # Lin et al. 2023, table 1 (sqrt: 0.068265)
        (schedule.cosine, 2.4e-9, -86.1, 497),  # Nichol & Dhariwal 2021
    ],
)
def test_schedules_have_the_published_numbers(make, terminal, decibel, crossing):
    """The last abar, its SNR in dB, and after how many steps the SNR is first below 1."""
    sched = make()
    assert sched.alphas_cumprod[-1].item() == pytest.approx(terminal, rel=0.02)
    assert sched.snr_db(-1).item() == pytest.approx(decibel, abs=0.06)
    assert int((sched.snr_db() < 0).nonzero()[0]) + 1 == crossing


def test_add_noise_equals_diffusers_for_one_and_for_many_timesteps():
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    sched = schedule.Schedule.of(scheduler)
    x0, noise = torch.randn(2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0)).unbind()
    t = torch.tensor([0, 500, 999])
    torch.testing.assert_close(sched.add_noise(x0, noise, t), scheduler.add_noise(x0, noise, t))
    torch.testing.assert_close(
        sched.add_noise(x0, noise, 500), scheduler.add_noise(x0, noise, torch.tensor([500] * 3))
    )


def test_one_jump_equals_many_small_steps():
    """After t + 1 small steps the noise has variance 1 - abar_t (DDPM, equation 4)."""
    sched, variance, signal = schedule.scaled_linear(), 0.0, 1.0
    for t, beta in enumerate(sched.betas.tolist()):
        variance, signal = (1 - beta) * variance + beta, signal * (1 - beta) ** 0.5
        if t in (0, 100, 999):
            assert variance == pytest.approx(1 - sched.alphas_cumprod[t].item())
            assert signal == pytest.approx(sched.alphas_cumprod[t].sqrt().item())


def test_abar_before_step_0_is_final_alpha_cumprod():
    betas = schedule.scaled_linear().betas
    assert schedule.Schedule(betas).alpha_cumprod(-1) == 1 - betas[0]
    assert schedule.Schedule(betas, final_alpha_cumprod=1.0).alpha_cumprod(-1) == 1


def test_log_linear_falls_by_the_same_number_of_decibels_each_step():
    sched = schedule.log_linear(100, 45, -45)
    torch.testing.assert_close(sched.snr_db(), torch.linspace(45, -45, 100, dtype=torch.float64))
    assert sched.betas.min() > 0 and sched.betas.max() < 1 and sched.alpha_cumprod(-1) == 1
