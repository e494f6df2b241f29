"""Checkers of lesson 04, samplers."""

import math
from collections.abc import Callable

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("04.1")
def _order(order: Callable) -> Hints:
    """order(n1, error1, n2, error2): the power p if the error falls as n^-p over n steps."""
    answer = np.asarray(answer_of(order, 10, 0.08, 40, 0.005), dtype=float)
    last = "log(error1 / error2) = order * log(n2 / n1). Which division gives the order?"
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
        (0.075 / 30 * 4, "take logarithms first: a power becomes a slope only on such axes."),
        (math.log(0.075) / math.log(30), "take the logarithms of the ratios, not of differences."),
        (
            math.log(16) - math.log(4),
            "divide the two logarithms. Their difference is the logarithm of 16 / 4.",
        ),
        (0.25, "that compares the steps alone. How much smaller did the error get?"),
    )
    if answer.shape:
        return [f"give one number; that has shape {answer.shape}.", last]
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.isclose(answer, 2):
        return ["error1 / error2 = (n2 / n1) ** order. Take the logarithm of both sides.", last]
    if not np.isclose(float(answer_of(order, 8, 1.0, 24, 1 / 3)), 1):
        return ["right for one pair, but not for another: use all four arguments.", last]
    if not np.isclose(float(answer_of(order, 5, 0.27, 45, 0.01)), 1.5):
        return [
            "right where the order is a whole number, but a measured one seldom is: do not round.",
            last,
        ]
    return None


@exercise("04.2")
def _heun(heun: Callable) -> Hints:
    """heun(eps, x, sigma, sigma_next): one step with the mean of the slopes at both ends."""
    asked, x, sigma, sigma_next = [], torch.tensor([[1.0, -2.0]]), 1.7, 0.9

    def slope(
        x: torch.Tensor, sigma: float
    ) -> torch.Tensor:  # not the same if x and sigma change places
        return sigma**2 * x + 0.3

    def eps(x: torch.Tensor, sigma: float) -> torch.Tensor:
        if torch.is_tensor(sigma) and not torch.is_tensor(x):
            raise TypeError("eps takes x first, then sigma")
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
        "keep three things: the slope at x, the place where Euler's step with it ends, and the "
        "slope at that place and at sigma_next. Then step from x with the mean of the two slopes."
    )
    mistakes = (
        (euler, "that is Euler's step. Ask again at its end, and take the mean of both slopes."),
        (
            x + move * (first + slope(x, sigma_next)) / 2,
            "the second slope was asked at the old x. Ask at where Euler's step ends.",
        ),
        (
            x + move * (first + slope(euler, sigma)) / 2,
            "ask for the second slope at sigma_next, because Euler's step ends there.",
        ),
        (x + move * (first + second), "the two slopes were added up. Take their mean."),
        (
            x + move * (first + second / 2),
            "only the second slope was halved. Put the sum in brackets, then halve it.",
        ),
        (
            x + move * (first + slope(x - move * first, sigma_next)) / 2,
            "Euler's step went the wrong way: it goes by sigma_next - sigma.",
        ),
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
def _trailing(trailing: Callable) -> Hints:
    """trailing(n, T): n equally spaced timesteps from T - 1 down, the next would be -1."""
    given = answer_of(trailing, 5, 1000)
    answer = np.asarray(given, dtype=float)
    last = (
        "a step is T / n long. So the first starts at T - 1, the next at T - 1 - T / n, and so on. "
        "Round each entry, not T / n."
    )
    wanted = np.array([999, 799, 599, 399, 199])
    ends_at_zero = (
        "t = 0 is in the list, so its last step moves hardly at all. "
        "The last step goes from the last entry to -1."
    )
    late = "that starts too late ('leading'): the first should be T - 1."
    mistakes = (
        (wanted + 1, "t counts from 0 to T - 1, so the last of 1000 is 999: subtract 1."),
        (wanted[::-1], "from noisy to clean: the largest comes first."),
        (np.array([800, 600, 400, 200, 0]), late),
        (np.array([801, 601, 401, 201, 1]), late),
        (np.round(np.linspace(999, 0, 5)), ends_at_zero),
        (np.linspace(999, 0, 5), ends_at_zero),
        (np.linspace(999, 0, 5).astype(int), ends_at_zero),
        (
            np.array([999, 799, 599, 399, 199, -1]),
            "-1 is the end, where no network is asked: leave it out.",
        ),
        (
            np.linspace(999, 0, 6)[:-1],
            "your last step ends at 0. It should end at -1, and be as long as the others.",
        ),
        (
            np.round(np.linspace(999, 0, 6)[:-1]),
            "your last step ends at 0. It should end at -1, and be as long as the others.",
        ),
        (np.array([999, 998, 997, 996, 995]), "those are the first 5 of 1000. Take equal steps."),
        (
            np.array([4, 3, 2, 1, 0]),
            "those count the steps. Which timestep does each of them start at?",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != wanted.shape:
        return [f"give 5 timesteps; that has shape {answer.shape}.", last]
    if np.asarray(given).dtype.kind in "US":
        return ["those are texts. Give whole numbers, without quotes.", last]
    if not np.array_equal(answer, wanted):
        return ["5 equal steps from 999 down to -1: how long is each?", last]
    for n, T in ((6, 1000), (9, 50)):
        other = np.asarray(answer_of(trailing, n, T), dtype=float)
        exact = T - 1 - np.arange(n) * T / n
        if other.shape == (n,) and ((other == np.floor(exact)) | (other == np.round(exact))).all():
            continue
        if len(other) == n + 1 or np.array_equal(other, T - 1 - np.arange(n) * (T // n)):
            return [
                f"right for 5 of 1000. For {n} of {T}, T // n cuts off the rest, so the last step "
                "is too long or there is one too many: divide with /, and round each entry.",
                last,
            ]
        if other.shape != (n,):
            return [
                f"right for 5 of 1000, but for {n} of {T} there are {other.size}: "
                "use both arguments.",
                last,
            ]
        if not np.array_equal(other, np.round(other)):
            return ["a timestep is a whole number: round where T / n is not.", last]
        if np.array_equal(other, np.linspace(T - 1, 0, n + 1)[:-1].astype(int)):
            return [
                f"right for 5 of 1000. For {n} of {T} your last step ends at 0. "
                "It should end at -1, and be as long as the others.",
                last,
            ]
        return [
            f"right for 5 of 1000, but not for {n} of {T}: use both arguments. "
            "Each of the steps is T / n long.",
            last,
        ]
    return None
