"""Lesson 14: its functions do what closed forms, sdkit and a count of matrices say."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from sdkit import denoiser, points, sampler, schedule
from tests.taught.clouds import CLOUDS, lesson_on_clouds, seeded

LESSON = "14_four_steps.ipynb"
T = 128
ROAD = schedule.straight(T)
SIGMA = 0.5  # of the Gaussian data


@pytest.fixture
def lesson():
    return lesson_on_clouds(LESSON, T)


def slope(u):
    """Of the exact velocity of Gaussian data: E[noise - x0 | x] = slope(u) x.

    x has variance (1 - u)^2 sigma^2 + u^2, and its covariance with noise - x0 is u - (1 - u)
    sigma^2.
    """
    return (u - (1 - u) * SIGMA**2) / ((1 - u) ** 2 * SIGMA**2 + u**2)


def gaussian(x, t):
    """The exact network for Gaussian data, at the timesteps t."""
    u = (torch.as_tensor(t) + 1) / T
    return slope(u.reshape(-1, 1)) * x


def factor(n):
    """By what n steps of the exact network multiply a point, from u = 1 to 0."""
    return np.prod([1 - slope(1 - k / n) / n for k in range(n)])


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
def test_a_walk_over_gaussian_data_is_a_known_factor(lesson, n):
    x = torch.randn(50, 2, generator=seeded())
    torch.testing.assert_close(lesson["walk"](gaussian, x, n), factor(n) * x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n", [1, 4])
def test_the_walk_is_that_of_the_kit(lesson, n):
    x = torch.randn(20, 2, generator=seeded())
    times = [T - k * T // n - 1 for k in range(n)]
    *_, (_, theirs) = sampler.denoise_points(gaussian, ROAD, x, None, times, 0.0)
    torch.testing.assert_close(lesson["walk"](gaussian, x, n), theirs, atol=1e-5, rtol=0)


class Linear(torch.nn.Module):
    """A student with one number for each of its levels: what it can learn is known exactly."""

    def __init__(self):
        super().__init__()
        self.slopes = torch.nn.Parameter(torch.zeros(T))

    def forward(self, x, t):
        return self.slopes[torch.as_tensor(t)].reshape(-1, 1) * x


@pytest.mark.parametrize("n", [1, 4])
def test_a_student_of_a_gaussian_teacher_takes_its_two_steps_in_one(lesson, n, monkeypatch):
    """The student's walk of n steps must have the factor of the teacher's 2 n steps."""
    teacher = Linear()
    teacher.slopes.data = slope((torch.arange(T) + 1) / T)
    monkeypatch.setitem(lesson, "CLOUDS", points.Mixture(torch.zeros(1, 2), SIGMA))
    student = lesson["halve"](teacher, n, seeded(), updates=400)
    x = torch.randn(20, 2, generator=seeded(1))
    ours = lesson["walk"](student, x, n)
    torch.testing.assert_close(ours, float(factor(2 * n)) * x, atol=0.01, rtol=0)
    assert abs(factor(2 * n) - factor(n)) > 0.03  # without training it would be seen


def test_the_target_of_two_equal_steps_is_the_mean_of_both_velocities(lesson):
    x, first, second = (torch.randn(5, 2, generator=seeded(k)) for k in range(3))
    end = x - 0.125 * first - 0.125 * second
    found = lesson["velocity_between"](x, end, 0.75, 0.5)
    torch.testing.assert_close(found, (first + second) / 2, atol=1e-5, rtol=0)


def test_any_point_teaches_the_mean_and_pairs_teach_their_ends(lesson):
    torch.manual_seed(0)
    net, x = denoiser.PointDenoiser(ROAD, width=8), torch.randn(2000, 2, generator=seeded())
    lesson.update(stored=x, stored_ends=0.3 * x)
    anywhere = lesson["walk"](lesson["learn"](net, 200, lr=0.01, any_point=True), x, 1)
    assert anywhere.norm(dim=1).mean() < 0.25 < CLOUDS.centres.norm(dim=1).min()
    paired = lesson["walk"](lesson["learn"](net, 200, lr=0.01), x, 1)
    assert (paired - 0.3 * x).norm(dim=1).mean() < 0.1


def test_kid_and_diversity_on_boxes_whose_values_are_known(lesson):
    x = torch.randn(400, 8, generator=seeded(), dtype=torch.float64)
    y = torch.randn(400, 8, generator=seeded(1), dtype=torch.float64)
    assert abs(lesson["kid"](x, y)) < 0.1 < 1 < lesson["kid"](x, y + 1)
    picture = torch.rand(3, 3, 4, 4, generator=seeded())
    assert lesson["diversity"](torch.cat([picture, picture])) == pytest.approx(0, abs=1e-5)
    assert lesson["diversity"](torch.cat([picture, -picture])) == pytest.approx(2, abs=1e-5)


def test_timesteps_begin_in_noise_and_are_those_of_diffusers(lesson):
    for n in (1, 2, 4, 8, 25):
        theirs = DDIMScheduler(1000, timestep_spacing="trailing")
        theirs.set_timesteps(n)
        assert lesson["times"](n) == theirs.timesteps.tolist()
