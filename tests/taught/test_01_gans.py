"""Lesson 01: its functions do what sdkit does and what the papers' formulas say."""

import pytest
import torch
from torch import nn

from sdkit import gans, metrics
from sdkit.toy.points import GRID, RING
from tests.taught import taught

GANS = "01_gans.ipynb"


def generator(seed=7):
    return torch.Generator().manual_seed(seed)


def players():
    torch.manual_seed(0)
    mlp = taught(GANS)["mlp"]
    return mlp(2, 8, 2), nn.Sequential(taught(GANS)["Waves"](), mlp(14, 8, 1))


def test_the_game_of_the_lesson_equals_that_of_sdkit():
    """One pair gets the same draws and the same updates, and has the same weights afterwards."""
    cells, (G, D) = taught(GANS), players()
    side_by_side = cells["SideBySide"]
    many_G, many_D = side_by_side([G]), nn.Sequential(D[0], side_by_side([D[1]]))
    start = G[0].weight.detach().clone()
    assert list(cells["game"](G, D, RING.sample, 10, generator(), batch=16)) == list(range(1, 11))
    list(gans.play(many_G, many_D, RING.sample, 10, generator(), batch=16))
    assert (G[0].weight - start).abs().max() > 0.005
    for alone, stacked in zip(G.parameters(), many_G.weights, strict=True):
        torch.testing.assert_close(alone, stacked[0], atol=1e-5, rtol=0)


def test_networks_side_by_side_answer_as_each_one_alone():
    torch.manual_seed(0)
    nets = [taught(GANS)["mlp"](2, 8, 3) for _ in range(4)]
    x = torch.randn(4, 5, 2, generator=generator())
    expected = torch.stack([net(one) for net, one in zip(nets, x)])
    torch.testing.assert_close(taught(GANS)["SideBySide"](nets)(x), expected)


def test_pack_joins_four_samples_into_one():
    x = torch.arange(2 * 8 * 3.0).reshape(2, 8, 3)
    packed = taught(GANS)["Pack"]()(x)
    assert packed.shape == (2, 2, 12)
    torch.testing.assert_close(packed[1, 0], x[1, :4].flatten())


def test_the_penalty_is_zero_at_a_slope_of_one_and_grows_with_its_square():
    """For a linear critic, whose slope is the same everywhere (WGAN-GP, equation 3)."""
    real, fake = torch.randn(2, 3, 10, 2, generator=generator()).unbind()
    for slope, penalty in ((1.0, 0.0), (3.0, 4.0), (0.0, 1.0)):

        def critic(x, slope=slope):
            return slope * (0.6 * x[..., :1] + 0.8 * x[..., 1:])

        distance = (critic(fake) - critic(real)).mean((1, 2))
        loss = taught(GANS)["critic_loss"](critic, real, fake, weight=0.1)
        torch.testing.assert_close(
            loss - distance, torch.full((3,), 0.1 * penalty), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("numbers", [2, 100])
def test_both_gradient_estimates_have_the_exact_gradient_as_their_mean(numbers):
    """The expected gradient is a one-dimensional integral.

    The score of fakes is normal with mean -1/2 and variance 1. So along the vector of ones
    d/dm E[log P(real)] = E[sigmoid(-score)].
    """
    score = torch.linspace(-8.5, 7.5, 20_001, dtype=torch.float64)
    density = torch.exp(-((score + 0.5) ** 2) / 2) / (2 * torch.pi) ** 0.5
    expected = float(torch.trapezoid(torch.sigmoid(-score) * density, score))
    slopes, tries = taught(GANS)["two_roads"](numbers, samples=200_000)
    for road in (slopes, tries):
        along = road.sum(1) / numbers**0.5
        assert abs(float(along.mean()) - expected) < 4 * float(along.std()) / len(along) ** 0.5


def test_two_players_with_one_number_each_follow_the_closed_form():
    cells = taught(GANS)
    lr, steps = 0.1, 200
    for name, growth in (("both_at_once", 1 + lr**2), ("look_ahead", (1 - lr**2) ** 2 + lr**2)):
        way = cells["path"](cells[name], steps, lr)
        torch.testing.assert_close(
            way.norm(dim=1), growth ** (torch.arange(steps + 1).double() / 2)
        )
    x, y = cells["path"](cells["in_turn"], steps, lr).T  # an ellipse: this never changes
    torch.testing.assert_close(x * x + y * y - lr * x * y, torch.ones_like(x))


def test_scenes_are_postcards_of_36_kinds():
    scene = taught(GANS)["scene"]
    shown = {
        tuple(scene(sky, paint, place).flatten().tolist())
        for sky in ("day", "sunset", "night")
        for paint in ("red", "yellow", "white", "blue")
        for place in ("left", "middle", "right")
    }
    assert len(shown) == 36


def test_covered_in_the_solution_equals_mode_scores_of_sdkit():
    x = GRID.sample(40, generator())
    assert (
        taught(f"solutions/{GANS}")["covered"](x, GRID.centres, 0.05)
        == metrics.mode_scores(x, GRID)[0]
    )
