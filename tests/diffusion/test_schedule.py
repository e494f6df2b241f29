"""Noise schedules against diffusers and against published numbers."""

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

from sdkit import schedule
from sdkit.errors import SdkitError

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


def test_the_chain_ends_where_that_of_the_scheduler_ends():
    """Schedulers that work with noise levels end without noise, and DDIM as its setting says."""
    assert schedule.Schedule.of(EulerDiscreteScheduler()).alpha_cumprod(-1) == 1
    ddim = DDIMScheduler(set_alpha_to_one=False)
    expected = ddim.alphas_cumprod[0].item()
    assert schedule.Schedule.of(ddim).alpha_cumprod(-1).item() == pytest.approx(expected)
    assert schedule.Schedule.of(DDIMScheduler(set_alpha_to_one=True)).alpha_cumprod(-1) == 1


def test_log_linear_falls_by_the_same_number_of_decibels_each_step():
    sched = schedule.log_linear(100, 45, -45)
    torch.testing.assert_close(sched.snr_db(), torch.linspace(45, -45, 100, dtype=torch.float64))
    assert sched.betas.min() > 0 and sched.betas.max() < 1 and sched.alpha_cumprod(-1) == 1


@pytest.mark.parametrize("T", [1000, 200])
def test_the_straight_road_is_that_of_diffusers(T):
    """diffusers' timesteps run from T to 1, ours from T - 1 to 0."""
    scheduler, road = FlowMatchEulerDiscreteScheduler(T), schedule.straight(T)
    x0, noise = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).unbind()
    t = torch.tensor([0, 1, T // 2, T - 1])
    expected = scheduler.scale_noise(x0, scheduler.timesteps.flip(0)[t], noise)
    torch.testing.assert_close(road.add_noise(x0, noise, t), expected, atol=1e-6, rtol=0)
    for k in range(4):
        alone = road.add_noise(x0[k : k + 1], noise[k : k + 1], int(t[k]))
        torch.testing.assert_close(alone[0], expected[k], atol=1e-6, rtol=0)
    assert len(road) == T and road.snr_db(-1) == -float("inf")
    assert [float(f) for f in road.factors(-1)] == [1, 0]


def test_factors_are_those_of_the_equations():
    """Squares that add up to 1 (DDPM, equation 4), or 1 - u and u (Liu et al. 2023, equation 1)."""
    signal, noise = schedule.straight(10).factors(torch.arange(10))
    u = torch.arange(1, 11, dtype=torch.float64) / 10
    torch.testing.assert_close((signal, noise), (1 - u, u))
    chain = schedule.scaled_linear()
    signal, noise = chain.factors(torch.tensor([0, 500, -1]))
    torch.testing.assert_close(signal**2 + noise**2, torch.ones(3, dtype=torch.float64))
    abar = torch.stack([*chain.alphas_cumprod[[0, 500]], chain.final_alpha_cumprod])
    torch.testing.assert_close(signal, abar**0.5)


def test_targets_are_the_noise_diffusers_v_and_the_slope_of_the_road():
    x0, noise = torch.randn(2, 3, 8, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    t, betas = torch.tensor([0, 500, 999]), schedule.scaled_linear().betas
    assert torch.equal(schedule.Schedule(betas).target(x0, noise, t), noise)
    chain = schedule.Schedule(betas, prediction_type="v_prediction")
    scheduler = DDIMScheduler(prediction_type="v_prediction")
    scheduler.alphas_cumprod = chain.alphas_cumprod  # without the rounding of its own
    expected = scheduler.get_velocity(x0, noise, t)
    torch.testing.assert_close(chain.target(x0, noise, t), expected, atol=1e-6, rtol=0)
    road = schedule.straight(100)
    # dx / du between two neighbouring timesteps
    slope = (road.add_noise(x0, noise, 41) - road.add_noise(x0, noise, 40)) * 100
    torch.testing.assert_close(road.target(x0, noise, 40), slope, atol=1e-4, rtol=1e-4)
    with pytest.raises(SdkitError, match="'sample' is not known"):
        schedule.Schedule(betas, prediction_type="sample").target(x0, noise, t)
