"""Checkers of lesson 04, samplers."""

import math

import numpy as np
import torch

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("04.1")
def _order(order):
    """order(n1, error1, n2, error2): the power p if the error falls as n^-p over n steps."""
    answer = np.asarray(answer_of(order, 10, 0.08, 40, 0.005), dtype=float)
    last = "math.log(error1 / error2) / math.log(n2 / n1)."
    mistakes = (
        (-2, "the size is right. Turn one of the two ratios upside down: an order is positive."),
        (0.5, "upside down: the errors' logarithm belongs above, the steps' below."),
        (
            16,
            "that is how many times smaller the error got. "
            "Four times the steps: which power of 4 is that?",
        ),
        (4, "you took the steps to have doubled, or divided the ratios. Compare their logarithms."),
        (math.log(16), "divide by the logarithm of how many times more steps there were."),
        (0.0025, "that is the slope on plain axes. Take logarithms of errors and of steps first."),
    )
    if answer.shape:
        return [f"wanted is one number; that has shape {answer.shape}.", last]
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.isclose(answer, 2):
        return ["error1 / error2 = (n2 / n1) ** order. Take the logarithm of both sides.", last]
    if not np.isclose(float(answer_of(order, 8, 1.0, 24, 1 / 3)), 1):
        return ["right for one pair, but not for another: use all four arguments.", last]
    return None


@exercise("04.2")
def _heun(heun):
    """heun(eps, x, sigma, sigma_next): one step with the mean of the slopes at both ends."""
    asked, x, sigma, sigma_next = [], torch.tensor([[1.0, -2.0]]), 1.7, 0.9

    def slope(x, sigma):
        return sigma * x + 0.3

    def eps(x, sigma):
        asked.append(sigma)
        return slope(x, sigma)

    answer = np.asarray(answer_of(heun, eps, x.clone(), sigma, sigma_next), dtype=float)
    move, first = sigma_next - sigma, slope(x, sigma)
    euler = x + move * first
    second = slope(euler, sigma_next)
    wanted, half_way = (
        x + move * (first + second) / 2,
        slope(x + move / 2 * first, (sigma + sigma_next) / 2),
    )
    last = (
        "end = x + (sigma_next - sigma) * first; second = eps(end, sigma_next); "
        "step with (first + second) / 2."
    )
    mistakes = (
        (euler, "that is Euler's step. Ask again at its end, and take the mean of both slopes."),
        (
            x + move * (first + slope(x, sigma_next)) / 2,
            "the second slope was asked at the old x. Ask at where Euler's step ends.",
        ),
        (
            x + move * (first + slope(euler, sigma)) / 2,
            "ask for the second slope at sigma_next, for there Euler's step ends.",
        ),
        (x + move * (first + second), "the two slopes were added up. Take their mean."),
        (x + move * second, "that steps with the second slope alone. Take the mean of both."),
        (
            euler + move * (first + second) / 2,
            "step from x once more, not from where Euler's step ended.",
        ),
        (x - move * (first + second) / 2, "the wrong way: sigma_next - sigma is negative."),
        (
            x + (first + second) / 2,
            "the mean slope is right. How far to follow it? By sigma_next - sigma.",
        ),
        (move * (first + second) / 2, "that is how far to go. Add it to x."),
        (
            x + move * half_way,
            "that is the slope half-way. Heun takes the mean of the slopes at both ends.",
        ),
        (
            x + move * (first + slope(x + sigma_next * first, sigma_next)) / 2,
            "Euler's step goes by sigma_next - sigma, not by sigma_next.",
        ),
    )
    if answer.shape != wanted.shape:
        return [f"the answer has shape {answer.shape}, x has {tuple(x.shape)}.", last]
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.allclose(answer, wanted, atol=1e-5):
        return [
            "three lines: Euler's step, the slope at its end, then a step from x "
            "with the mean slope.",
            last,
        ]
    if len(asked) > 2:
        return [
            f"right, but it asks the network {len(asked)} times. "
            "Keep the first slope: two calls will do.",
            last,
        ]
    return None


@exercise("04.3")
def _trailing(trailing):
    """trailing(n, T): n equally spaced timesteps from T - 1 down, the next would be -1."""
    answer = np.asarray(answer_of(trailing, 5, 1000), dtype=float)
    last = "[round(T - i * T / n) - 1 for i in range(n)]."
    wanted = np.array([999, 799, 599, 399, 199])
    mistakes = (
        (wanted + 1, "t counts from 0 to T - 1, so the last of 1000 is 999: subtract 1."),
        (wanted[::-1], "from noisy to clean: the largest comes first."),
        (
            np.array([800, 600, 400, 200, 0]),
            "that starts too late ('leading'): the first should be T - 1.",
        ),
        (
            np.array([801, 601, 401, 201, 1]),
            "that starts too late ('leading'): the first should be T - 1.",
        ),
        (
            np.round(np.linspace(999, 0, 5)),
            "t = 0 is in the list, so its last step moves hardly at all. "
            "The last step goes from the last entry to -1.",
        ),
        (
            np.linspace(999, 0, 5),
            "t = 0 is in the list, so its last step moves hardly at all. "
            "The last step goes from the last entry to -1.",
        ),
        (
            np.array([999, 799, 599, 399, 199, -1]),
            "-1 is the end, where no network is asked: leave it out.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != wanted.shape:
        return [f"wanted are 5 timesteps; that has shape {answer.shape}.", last]
    if not np.array_equal(answer, wanted):
        return ["5 equal steps from 999 down to -1: how long is each?", last]
    other = np.asarray(answer_of(trailing, 3, 50), dtype=float)
    if other.shape != (3,) or np.abs(other - [49, 32, 16]).max() > 1:
        return ["right for 5 of 1000, but not for 3 of 50: use both arguments.", last]
    if not np.array_equal(other, np.round(other)):
        return ["a timestep is a whole number: round where T / n is not.", last]
    return None
