"""Lesson 15: its functions do what sdkit, diffusers and closed forms do."""

import pytest
import torch
from diffusers import DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler
from diffusers.models.attention_processor import AttnProcessor

from sdkit import denoiser, points, sampler, schedule
from tests.taught.clouds import CLOUDS, lesson_on_clouds, seeded

LESSON = "15_straight_roads.ipynb"
T = 200
ROAD = schedule.straight(T)


@pytest.fixture
def lesson():
    return lesson_on_clouds(LESSON, T)


def velocity(x, t, u=None):
    """The exact velocity of the clouds on the straight road, at timestep t or at the level u."""
    u = (t + 1) / T if u is None else u
    if u == 1:
        return x - CLOUDS.centres.mean(0)  # from pure noise all clouds are equally likely
    noisy = points.Mixture((1 - u) * CLOUDS.centres, ((1 - u) ** 2 * CLOUDS.sigma**2 + u**2) ** 0.5)
    noise = -u * noisy.score(x)  # its mean (Vincent 2011)
    return noise - (x - u * noise) / (1 - u)


def test_the_lesson_trains_as_sdkit_does(lesson):
    weights = []
    for way in ("lesson", "sdkit"):
        torch.manual_seed(0)
        net, generator = denoiser.PointDenoiser(ROAD, width=8), seeded()
        if way == "lesson":

            def pairs(n, generator):
                x0 = CLOUDS.sample(n, generator)
                return x0, torch.randn(x0.shape, generator=generator)

            lesson["train"](net, pairs, generator, steps=5, batch_size=100)
        else:
            denoiser.train_points([net], ROAD, CLOUDS.sample, generator, steps=5, batch_size=100)
        weights.append(net.mlp[2].weight.detach())
    torch.testing.assert_close(*weights, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 4, 8])
def test_the_walk_is_that_of_diffusers(lesson, n):
    scheduler, x = FlowMatchEulerDiscreteScheduler(T), torch.randn(50, 2, generator=seeded())
    scheduler.set_timesteps(sigmas=[1 - k / n for k in range(n)])
    path = lesson["walk"](velocity, x, n)
    assert path.shape == (n + 1, 50, 2)
    for k, timestep in enumerate(scheduler.timesteps):
        x = scheduler.step(velocity(x, round(T * (1 - k / n)) - 1), timestep, x).prev_sample
        torch.testing.assert_close(path[k + 1], x, atol=1e-6, rtol=0)


def test_the_velocity_is_the_mean_of_the_roads_through_a_place():
    """Drawn: of many roads, those that pass near one place at u = 0.6."""
    x0, noise = CLOUDS.sample(400_000, seeded()), torch.randn(400_000, 2, generator=seeded(1))
    x, place = ROAD.add_noise(x0, noise, 119), torch.tensor([0.5, 0.2])
    near = (x - place).norm(dim=1) < 0.05
    roads = (noise - x0)[near]
    spread = roads.std(0) / near.sum() ** 0.5
    assert (abs(roads.mean(0) - velocity(x[near], 119).mean(0)) < 4 * spread).all()


def test_the_same_levels_are_those_nearest_to_the_straight_road(lesson):
    signal, strength = schedule.log_linear(T).factors(torch.arange(T))
    u = strength / (signal + strength)
    for n in (1, 4, 8):
        times = lesson["same"](schedule.log_linear(T), n)
        for k, t in enumerate(times):
            others = torch.cat([u[:t], u[t + 1 :]])
            assert abs(u[t] - (1 - k / n)) <= abs(others - (1 - k / n)).min()
    assert lesson["same"](ROAD, 8) == lesson["even"](ROAD, 8)


def test_straightness_has_its_closed_form(lesson):
    """A quarter of a circle with even speed from (1, 0) to (0, 1), and a straight line.

    S is the mean of |d - v|^2 = |d|^2 + |v|^2 - 2 d v. Here |d|^2 = 2, |v| = pi / 2, and the mean
    of v is d. So S = (pi / 2)^2 - 2.
    """
    u = 1 - torch.arange(2001, dtype=torch.float64) / 2000
    angle = u * torch.pi / 2
    arc = torch.stack([angle.cos(), angle.sin()], 1)[:, None].expand(-1, 3, -1)
    assert lesson["straightness"](arc, u) == pytest.approx((torch.pi / 2) ** 2 - 2, abs=1e-3)
    line = u[:, None, None] * torch.tensor([[[3.0, -1.0], [2.0, 5.0]]])
    assert lesson["straightness"](line, u) == pytest.approx(0, abs=1e-9)
    uneven = (u**2)[:, None, None] * torch.tensor([[[1.0, 0.0]]])  # straight, but it slows down
    assert lesson["straightness"](uneven, u) == pytest.approx(1 / 3, abs=1e-3)


def test_all_three_answers_walk_one_road_when_it_is_redrawn(lesson):
    """With the exact answers S is the same, because the velocity at a place is a mean of roads."""
    found, chain = [], schedule.log_linear(T)
    x = torch.randn(300, 2, generator=seeded())
    v_chain = schedule.Schedule(chain.betas, 1.0, "v_prediction")
    for road in (chain, v_chain, ROAD):

        def network(x, t, road=road):
            signal, strength = (factor.item() for factor in road.factors(t))
            total = signal + strength
            x, u = x / total, strength / total  # on the straight road
            slope = velocity(x, t, u)
            return road.target(x - u * slope, x + (1 - u) * slope, t)

        found.append(lesson["straightness"](*lesson["redrawn"](network, road, x)))
    assert found[0] == pytest.approx(found[2], rel=0.03)
    assert found[1] == pytest.approx(found[2], rel=0.03)
    assert found[2] > 0.5


def test_one_step_with_the_exact_velocity_gives_the_mean_of_the_data():
    x = torch.randn(500, 2, generator=seeded())
    *_, (_, end) = sampler.denoise_points(velocity, ROAD, x, None, [T - 1], 0.0)
    torch.testing.assert_close(end, torch.zeros_like(end), atol=1e-5, rtol=0)


@pytest.mark.parametrize("zeroed", [False, True])
def test_a_block_by_hand_is_that_of_diffusers(lesson, zeroed):
    torch.manual_seed(0)
    dit = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=6,
        num_layers=1,
        in_channels=3,
        sample_size=8,
        num_embeds_ada_norm=1,
    ).eval()
    block, x, t = dit.transformer_blocks[0], torch.randn(3, 16, 12), torch.tensor([0, 50, 199])
    if zeroed:
        torch.nn.init.zeros_(block.norm1.linear.weight)
        torch.nn.init.zeros_(block.norm1.linear.bias)
    with torch.no_grad():
        ours = lesson["block_by_hand"](block, x, t)
        theirs = block(x, timestep=t, class_labels=0 * t)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert torch.equal(ours, x) == zeroed


def test_flops_of_a_dit_are_those_of_its_matrices(lesson):
    """Two for each multiplication with its addition: matrices, and both products of attention."""
    width, tokens, layers = 24, 64, 2
    dit = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=layers,
        in_channels=3,
        sample_size=16,
        patch_size=2,
        num_embeds_ada_norm=1,
    ).eval()
    for block in dit.transformer_blocks:
        block.attn1.set_processor(AttnProcessor())
    block = tokens * (4 + 8) * width**2 + 2 * tokens**2 * width  # attention, MLP; two products
    # the level: 256 waves -> width -> width -> six numbers a channel
    level = (256 + width + 6 * width) * width
    patches = 12 * tokens * width
    out = (256 + width + 2 * width) * width + 12 * tokens * width
    expected = 2 * (layers * (block + level) + patches + out)
    assert lesson["flops"](dit) == pytest.approx(expected, rel=1e-3)


def test_known_counts_scenes_and_clean_pictures(lesson):
    scenes = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 3, 16, 16)
    lesson.update(SCENES=scenes)
    painted = torch.cat([scenes[:2] + 0.14, scenes[1:2] - 0.1, scenes[2:3] + 0.2])
    assert lesson["known"](painted) == (2, 0.75)
