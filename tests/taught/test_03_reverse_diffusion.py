"""Lesson 03: its functions do what sdkit and diffusers do."""

import pytest
import torch
from diffusers import DDPMScheduler

from sdkit import denoiser, points, sampler, schedule
from tests.taught import taught


def test_the_schedule_equals_that_of_sdkit():
    abar = taught("03_reverse_diffusion.ipynb")["log_linear"]()
    torch.testing.assert_close(schedule.log_linear().alphas_cumprod, abar)


@pytest.mark.parametrize("t", [0, 1, 100, 199])
def test_a_step_back_equals_diffusers_and_sdkit(t):
    chain = schedule.log_linear()
    scheduler = DDPMScheduler(
        200, trained_betas=chain.betas.numpy(), clip_sample=False, variance_type="fixed_small"
    )
    x, guess = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0)).unbind()
    fresh = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    ours = taught("03_reverse_diffusion.ipynb")["step_back"](chain, x, guess, t, fresh)
    theirs = scheduler.step(guess, t, x, generator=torch.Generator().manual_seed(1)).prev_sample
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    again, _ = sampler.ddim_step(chain, guess, t, t - 1, x, eta=1.0, noise=fresh)
    torch.testing.assert_close(ours, again, atol=1e-4, rtol=1e-4)


def test_training_equals_that_of_sdkit():
    chain, grid, weights = schedule.log_linear(), points.GRID.scaled(8.0025**-0.5), []
    for train in (taught("03_reverse_diffusion.ipynb")["train"], denoiser.train_points):
        torch.manual_seed(0)
        net = denoiser.PointDenoiser(chain, width=8)
        given = net if train is not denoiser.train_points else [net]
        train(given, chain, grid.sample, torch.Generator().manual_seed(1), steps=5, batch_size=100)
        weights.append(net.mlp[2].weight.detach())
    torch.testing.assert_close(*weights)


def test_the_best_guess_is_the_mean_of_the_noise_given_the_point():
    """Measured over many drawings: the mean of the noise of all points that lie near one place.

    No other guess has a smaller mean squared error.
    """
    namespace = taught("03_reverse_diffusion.ipynb")
    chain, mixture, generator = (
        schedule.log_linear(),
        points.Mixture(points.GRID.centres / 3, 0.3),
        torch.Generator(),
    )
    namespace.update(chain=chain, grid=mixture)
    x0, noise = mixture.sample(200_000, generator), torch.randn(200_000, 2, generator=generator)
    x, abar = chain.add_noise(x0, noise, 100), chain.alphas_cumprod[100].float()
    near = (x - torch.tensor([0.4, -0.3])).norm(dim=1) < 0.1
    expected, spread = noise[near].mean(0), noise[near].std(0) / near.sum() ** 0.5
    assert (abs(namespace["perfect"](x[near], 100).mean(0) - expected) < 4 * spread).all()
    assert abar < 0.5 and near.sum() > 500


@pytest.mark.parametrize("abar", [0.99, 0.5, 0.01])
def test_noise_picture_and_v_are_converted_as_in_sdkit(abar):
    x, noise = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0)).unbind()
    views = taught("03_reverse_diffusion.ipynb")["views"](x, noise, abar)
    for kind in ("epsilon", "v_prediction"):
        chain = schedule.Schedule([1 - abar], prediction_type=kind)
        x0, epsilon = sampler.predictions(chain, views[kind], 0, x)
        torch.testing.assert_close(x0, views["sample"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(epsilon, noise, atol=1e-4, rtol=1e-4)
