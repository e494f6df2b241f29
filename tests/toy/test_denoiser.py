"""The learner of points against closed forms: the best loss there is, and the published protocol on 16 seeds."""

import pytest
import torch

from sdkit import denoiser, metrics, points, sampler, schedule

CHAIN = schedule.log_linear()
GRID = points.GRID.scaled(8.0025**-0.5)  # of unit variance


def perfect(x, t):
    """The noise that a perfect network predicts, from the mixture's true score (Vincent 2011)."""
    abar = CHAIN.alphas_cumprod[t]
    return -((1 - abar) ** 0.5).float() * GRID.noised(abar).score(x)


def last(network, generator, n=2500):
    *_, (_, x) = sampler.denoise_points(
        network, CHAIN, torch.randn(n, 2, generator=generator), generator
    )
    return x


def test_fourier_features_are_sines_and_cosines_of_doubled_angles():
    x = torch.tensor([[0.3, -1.0]])
    sin, cos = denoiser.fourier_features(x, 3).chunk(2, 1)
    torch.testing.assert_close(sin, torch.sin(torch.tensor([[0.3, 0.6, 1.2, -1.0, -2.0, -4.0]])))
    torch.testing.assert_close(sin**2 + cos**2, torch.ones(1, 6))


def test_an_untrained_network_is_the_best_linear_guess():
    """For unit variance, the regression of the noise on x_t is cov / var = sqrt(1 - abar)."""
    net, x = denoiser.PointDenoiser(CHAIN), torch.randn(100, 2)
    t = torch.arange(100) * 2
    torch.testing.assert_close(net(x, t), (1 - CHAIN.alphas_cumprod[t].float()).sqrt()[:, None] * x)
    torch.testing.assert_close(net(x, 7), net(x, torch.full((100,), 7)))


def test_networks_that_train_together_stay_apart():
    """With one and the same network twice, the two differ by their points alone; each gets weights of its own."""
    nets = [denoiser.PointDenoiser(CHAIN, width=8) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    losses = denoiser.train_points(
        nets, CHAIN, GRID.sample, torch.Generator().manual_seed(0), steps=3, batch_size=100
    )
    assert losses.shape == (3, 2) and (losses[0] != losses[1]).all()
    assert all((a != b).any() for a, b in zip(nets[0].parameters(), nets[1].parameters()))


def test_walking_with_the_true_score_gives_the_truth():
    modes, good, kl = metrics.mode_scores(last(perfect, torch.Generator().manual_seed(0)), GRID)
    assert modes == 25
    assert good > 0.98  # of the mixture itself: 1 - exp(-9/2) = 0.989
    # of 2,500 points of the mixture itself: about 24 / 5000, with a spread of 0.0014
    assert kl < 0.012


@pytest.fixture(scope="module")
def sixteen():
    torch.manual_seed(0)
    nets = [denoiser.PointDenoiser(CHAIN) for _ in range(16)]
    return nets, denoiser.train_points(nets, CHAIN, GRID.sample, torch.Generator().manual_seed(0))


def test_sixteen_seeds_cover_every_mode_by_the_published_protocol(sixteen):
    """PacGAN (Lin et al. 2018), its best row on the grid: 24.8 modes, 93.6 % of high quality, reverse KL 0.04."""
    generator = torch.Generator().manual_seed(1)
    scores = [metrics.mode_scores(last(net, generator), GRID) for net in sixteen[0]]
    assert [modes for modes, _, _ in scores] == [25] * 16
    assert min(good for _, good, _ in scores) >= 0.95
    assert max(kl for _, _, kl in scores) <= 0.04


@torch.no_grad()
def test_the_loss_comes_close_to_the_best_there_is(sixteen):
    """No network can go below the loss of the true score; a trained one comes within a hundredth."""
    generator, best, ours = torch.Generator().manual_seed(2), [], []
    for t in range(0, len(CHAIN), 2):
        x0, noise = GRID.sample(500, generator), torch.randn(500, 2, generator=generator)
        x = CHAIN.add_noise(x0, noise, t)
        for losses, guess in ((best, perfect(x, t)), (ours, sixteen[0][0](x, t))):
            losses.append((guess - noise).square().mean())
    best, ours = torch.stack(best).mean(), torch.stack(ours).mean()
    assert best < ours < best + 0.01
