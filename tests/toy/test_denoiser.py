"""The point denoiser against the best possible loss and the published protocol, on 16 seeds."""

import pytest
import torch

from sdkit import denoiser, metrics, points, sampler, schedule

CHAIN = schedule.log_linear()
GRID = points.GRID.scaled(8.0025**-0.5)  # of unit variance


def perfect(x, t):
    """The prediction of a perfect network, from the true score of the mixture (Vincent 2011)."""
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


def test_an_untrained_network_gives_the_best_linear_prediction():
    """For unit variance, the regression of the noise on x_t is cov / var = sqrt(1 - abar)."""
    net, x = denoiser.PointDenoiser(CHAIN), torch.randn(100, 2)
    t = torch.arange(100) * 2
    torch.testing.assert_close(net(x, t), (1 - CHAIN.alphas_cumprod[t].float()).sqrt()[:, None] * x)
    torch.testing.assert_close(net(x, 7), net(x, torch.full((100,), 7)))


def test_networks_that_train_together_are_independent():
    """Two equal networks get different points, and end with different weights."""
    nets = [denoiser.PointDenoiser(CHAIN, width=8) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    losses = denoiser.train_points(
        nets, CHAIN, GRID.sample, torch.Generator().manual_seed(0), steps=3, batch_size=100
    )
    assert losses.shape == (3, 2) and (losses[0] != losses[1]).all()
    assert all((a != b).any() for a, b in zip(nets[0].parameters(), nets[1].parameters()))


def test_denoising_with_the_true_score_gives_the_mixture():
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
    """PacGAN's best result (Lin et al. 2018): 24.8 modes, 93.6 % high quality, reverse KL 0.04."""
    generator = torch.Generator().manual_seed(1)
    scores = [metrics.mode_scores(last(net, generator), GRID) for net in sixteen[0]]
    assert [modes for modes, _, _ in scores] == [25] * 16
    assert min(good for _, good, _ in scores) >= 0.95
    assert max(kl for _, _, kl in scores) <= 0.04


@torch.no_grad()
def test_the_loss_comes_close_to_the_lowest_possible(sixteen):
    """The true score has the lowest possible loss; trained networks are within 0.01 of it."""
    generator, best, ours = torch.Generator().manual_seed(2), [], []
    for t in range(0, len(CHAIN), 2):
        x0, noise = GRID.sample(500, generator), torch.randn(500, 2, generator=generator)
        x = CHAIN.add_noise(x0, noise, t)
        for losses, guess in ((best, perfect(x, t)), (ours, sixteen[0][0](x, t))):
            losses.append((guess - noise).square().mean())
    best, ours = torch.stack(best).mean(), torch.stack(ours).mean()
    assert best < ours < best + 0.01


def test_the_network_sees_the_log_snr_and_adds_its_output_times_sqrt_abar():
    net, x, t, inputs = denoiser.PointDenoiser(CHAIN, octaves=2), torch.randn(3, 2), 50, []
    net.mlp[0].register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0]))
    net.mlp[-1].bias.data = torch.tensor([1.0, -2.0])  # the last weights are zero
    abar = CHAIN.alphas_cumprod[t].float()
    expected = (1 - abar).sqrt() * x + abar.sqrt() * torch.tensor([1.0, -2.0])
    torch.testing.assert_close(net(x, t), expected)
    log_snr = torch.log(abar / (1 - abar)).expand(3)
    torch.testing.assert_close(inputs[0][:, 2 + 4 * 2], log_snr / 4, rtol=1e-3, atol=1e-3)


def test_training_spreads_timesteps_evenly_and_starts_at_the_loss_of_the_linear_prediction():
    """For unit variance, that loss is 1 - (1 - abar) = abar on average."""

    class Recorder:
        def __len__(self):
            return len(CHAIN)

        def add_noise(self, x0, noise, t):
            seen.append((x0.shape, t))
            return CHAIN.add_noise(x0, noise, t)

        def target(self, x0, noise, t):
            return CHAIN.target(x0, noise, t)

    def draw(n, generator):
        drawn.append(n)
        return GRID.sample(n, generator)

    seen, drawn, nets = [], [], [denoiser.PointDenoiser(CHAIN, width=4) for _ in range(3)]
    losses = denoiser.train_points(
        nets, Recorder(), draw, torch.Generator().manual_seed(0), steps=1, batch_size=10_000
    )
    ((shape, t),) = seen
    assert drawn == [30_000] and shape == (10_000, 3, 2)
    assert (t.bincount(minlength=200) == 50).all()
    assert losses.mean().item() == pytest.approx(CHAIN.alphas_cumprod.mean().item(), abs=0.01)
    few = list(range(0, 200, 20))
    denoiser.train_points(nets, Recorder(), draw, torch.Generator(), steps=1, batch_size=10)
    assert seen[1][1].tolist() == few


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow_prediction"])
def test_one_network_answers_with_the_noise_v_or_the_velocity(kind):
    """With the same weights at the same noise level, each answer gives the same clean point."""
    straight, x0, noise = schedule.straight(20), torch.randn(9, 2), torch.randn(9, 2)
    road = schedule.Schedule(straight.betas, 1.0, kind)
    torch.manual_seed(0)
    net, first = denoiser.PointDenoiser(road, 8), denoiser.PointDenoiser(straight, 8)
    first.mlp[-1].weight.data = torch.randn(2, 8)
    net.load_state_dict(first.state_dict())
    for t in (0, 9, 18):
        answers = [
            sampler.predictions(way, one(x, t), t, x)
            for way, one in ((road, net), (straight, first))
            for x in [way.add_noise(x0, noise, t)]
        ]
        torch.testing.assert_close(*answers, atol=1e-3, rtol=1e-3)
    assert net(noise, 19).isfinite().all()  # pure noise


def test_training_follows_the_velocity_to_the_best_possible_loss():
    """One Gaussian of variance 1: the best velocity is linear, and its loss is 1 / (1 - 2u + 2u^2).

    For x = (1 - u) x0 + u noise, cov(noise - x0, x) = 2u - 1 and var(x) = (1 - u)^2 + u^2. The
    variance of the velocity is 2; what x does not explain is 2 - (2u - 1)^2 / var(x).
    """
    road, u = schedule.straight(100), torch.arange(1, 101) / 100
    losses = denoiser.train_points(
        [denoiser.PointDenoiser(road)],
        road,
        lambda n, generator: torch.randn(n, 2, generator=generator),
        torch.Generator().manual_seed(0),
        steps=1,
        batch_size=100_000,
    )
    assert losses.item() == pytest.approx((1 / (1 - 2 * u + 2 * u**2)).mean().item(), abs=0.01)
