"""The toy data against what is known of them in closed form."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from sdkit import points


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_centres_are_the_published_ones():
    assert sorted(map(tuple, points.GRID.centres.tolist())) == [
        (x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)
    ]
    assert points.GRID.sigma == 0.05 and points.RING.sigma == 0.01
    ring = points.RING.centres.numpy().astype(float)
    np.testing.assert_allclose(np.hypot(*ring.T), 1, atol=1e-6)
    steps = np.diff(np.sort(np.arctan2(ring[:, 1], ring[:, 0])))
    np.testing.assert_allclose(steps, np.pi / 4, atol=1e-6)


@pytest.mark.parametrize("draw", [points.GRID.sample, points.RING.sample, points.dino])
def test_points_are_drawn_from_the_generator(draw):
    x = draw(1000, seeded())
    assert x.shape == (1000, 2) and x.dtype == torch.float32 and x.isfinite().all()
    assert torch.equal(x, draw(1000, seeded())) and not torch.equal(x, draw(1000, seeded(1)))


@pytest.mark.parametrize("mixture", [points.GRID, points.RING])
def test_moments_of_samples(mixture):
    """Mean 0; variance that of the centres plus sigma squared: 8 + 0.05^2 on the grid, 1/2 + 0.01^2 on the ring."""
    x = mixture.sample(200_000, seeded())
    variance = {25: 8 + 0.05**2, 8: 0.5 + 0.01**2}[len(mixture.centres)]
    np.testing.assert_allclose(x.mean(0), 0, atol=4 * (variance / 200_000) ** 0.5)
    np.testing.assert_allclose(x.var(0), variance, rtol=0.01)
    distance, nearest = torch.cdist(x, mixture.centres).min(1)
    np.testing.assert_allclose(distance.square().mean(), 2 * mixture.sigma**2, rtol=0.02)
    np.testing.assert_allclose(nearest.bincount() / len(x), 1 / len(mixture.centres), atol=0.004)


def test_density_is_the_mean_of_scipys_gaussians():
    x = torch.randn(50, 2, generator=seeded(), dtype=torch.float64) * 3
    mixture = points.Mixture(points.GRID.centres, 0.4)
    parts = [
        multivariate_normal(c, 0.4**2).pdf(x.numpy()) for c in mixture.centres.numpy().astype(float)
    ]
    np.testing.assert_allclose(mixture.density(x), np.mean(parts, 0), rtol=1e-5)


def test_score_is_the_gradient_of_the_log_density():
    x = (2 * torch.randn(50, 2, generator=seeded(), dtype=torch.float64)).requires_grad_()
    mixture = points.Mixture(points.GRID.centres, 0.5)
    (gradient,) = torch.autograd.grad(mixture.density(x).log().sum(), x)
    np.testing.assert_allclose(mixture.score(x).detach(), gradient, atol=1e-6)


def test_noised_is_what_noising_samples_gives():
    abar, mixture = 0.7, points.GRID.scaled(0.25)
    x = abar**0.5 * mixture.sample(100_000, seeded()) + (1 - abar) ** 0.5 * torch.randn(
        100_000, 2, generator=seeded(1)
    )
    there = mixture.noised(abar).sample(100_000, seeded(2))
    for moment in (1, 2, 4):
        np.testing.assert_allclose(x.pow(moment).mean(0), there.pow(moment).mean(0), atol=0.03)
    np.testing.assert_allclose(mixture.noised(1).centres, mixture.centres)
    assert mixture.noised(0).sigma == 1 and not mixture.noised(0).centres.any()


def test_dino_is_about_standard_and_lies_on_lines():
    x = points.dino(20_000, seeded())
    np.testing.assert_allclose(x.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(x.std(0), 1, atol=0.05)
    others = points.dino(20_000, seeded(1))
    # what one half draws, the other draws too
    assert torch.cdist(x[:2000], others).min(1).values.max() < 0.1
    filled = torch.histogramdd(x, [40, 40]).hist > 0
    assert filled.float().mean() < 0.3  # lines, not areas
