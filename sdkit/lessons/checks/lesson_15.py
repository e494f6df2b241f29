"""Checkers of lesson 15, straight roads."""

from collections.abc import Callable

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("15.1")
def _euler(euler: Callable) -> Hints:
    """euler(x, velocity, u, u_next): x one Euler step further, at u_next."""
    x, velocity = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([[0.4, 1.0], [-2.0, 0.6]])
    u, u_next = 0.8, 0.5
    answer = np.asarray(answer_of(euler, x.clone(), velocity.clone(), u, u_next), dtype=float)
    last = (
        "the way is the velocity times the time that passes, and u falls during a step. "
        "So the time from u to u_next is a negative number. Add the way to x."
    )
    mistakes = (
        (
            x + (u - u_next) * velocity,
            "that goes the wrong way: the velocity points to the noise, and u has to fall.",
        ),
        (x - velocity, "that is the way of a whole unit of time. How much time passes here?"),
        (x + velocity, "that is the way of a whole unit of time, towards the noise."),
        (x - u * velocity, "that goes on to u = 0, the clean point. Stop at u_next."),
        (x - u_next * velocity, "u_next says where the step ends, and not how long it is."),
        (x + u_next * velocity, "u_next says where the step ends, and not how long it is."),
        (
            (u_next - u) * velocity,
            "that is the way alone. Where does it start?",
        ),
        (
            (1 - u_next) * x + u_next * velocity,
            "that takes the velocity for the noise. The velocity says how x changes with u.",
        ),
        (
            x + (u_next - u) / u * velocity,
            "velocity times time is the way. No further factor is needed.",
        ),
        (x, "x has not moved. Which way does the velocity send it?"),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != x.shape:
        return [f"the answer has shape {answer.shape}, the points have {tuple(x.shape)}.", last]
    if not np.allclose(answer, x + (u_next - u) * velocity, atol=1e-5):
        return ["a step is velocity times time. How much time passes from u to u_next?", last]
    again = np.asarray(answer_of(euler, x, velocity, 1.0, 0.75), dtype=float)
    if not np.allclose(again, x - 0.25 * velocity, atol=1e-5):
        return ["right from 0.8 to 0.5, but not from 1 to 0.75: use both arguments.", last]
    return None


@exercise("15.2")
def _bend(bend: Callable) -> Hints:
    """bend(path): for each point the length of its path over the distance of its ends."""
    path = torch.tensor(
        [
            [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]],
            [[3.0, 4.0], [1.0, 4.0], [1.0, -2.0]],
            [[6.0, 8.0], [5.0, 4.0], [3.0, 4.0]],
            [[9.0, 12.0], [5.0, 7.0], [3.0, 2.0]],
        ]
    )  # (4, 3, 2): a straight path, one with two corners, one with a turn
    pieces, ends = path[1:] - path[:-1], path[-1] - path[0]
    length, distance = pieces.norm(dim=2).sum(0), ends.norm(dim=1)
    right = length / distance
    answer = np.asarray(answer_of(bend, path.clone()), dtype=float)
    last = (
        "take the differences of neighbours, the norm of each over the last axis, and their sum "
        "over the steps. Then the norm of last minus first, and divide."
    )
    mistakes = (
        (distance / length, "upside down: a detour should give more than 1."),
        (length, "that is the length of the path. Compare it with the distance of its ends."),
        (distance, "that is the distance of the ends. How long was the path?"),
        (
            pieces.norm(dim=2).mean(0) / distance,
            "that is the mean piece. A path is as long as all its pieces together.",
        ),
        (
            pieces.square().sum(2).sum(0) / ends.square().sum(1),
            "those are squares of lengths: take the root of each before you add.",
        ),
        (
            pieces.abs().sum(2).sum(0) / ends.abs().sum(1),
            "that goes along the axes, as in a town. A length is the root of a sum of squares.",
        ),
        (
            pieces.sum(0).norm(dim=1) / distance,
            "added first, the pieces give the way between the ends: nothing is left of the "
            "detours. Take the length of each piece before you add.",
        ),
        (
            path.norm(dim=2).sum(0) / distance,
            "those are distances from the middle of the plane. Take differences of neighbours.",
        ),
        (length - distance, "that is a difference. How many times as long is it?"),
        (right.mean(), "that is the mean. Give one number for each point."),
        (length.sum() / distance.sum(), "that is one number for all. Give one for each point."),
        (right - 1, "nearly: a straight path should give 1."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != right.shape:
        return [
            f"the answer has shape {answer.shape}. There are {len(right)} points: one number each.",
            last,
        ]
    if np.allclose(answer, right, atol=1e-4):
        return None
    return ["a straight path has 1, and a path with corners more than 1.", last]


@exercise("15.3")
def _shifted(shifted: Callable) -> Hints:
    """shifted(u, shift): the level at which u / (1 - u) is `shift` times as large as at u."""
    u, shift = 0.5, 3.0
    answer = float(answer_of(shifted, u, shift))
    last = (
        "call the new level w. Then w / (1 - w) = shift * u / (1 - u). Multiply both sides by "
        "(1 - w) and by (1 - u), and collect what has w."
    )
    mistakes = (
        (shift * u, "that is more than 1. Noise over picture is multiplied, and not u itself."),
        (1.0, "pure noise at the half of the way? u / (1 - u) is multiplied, and not u itself."),
        (shift * u / (1 - u), "that is noise over picture. Turn it back into a level below 1."),
        (
            u / (u + shift * (1 - u)),
            "that moves towards the picture. A larger picture needs more noise.",
        ),
        (shift * u / (1 + shift * u), "nearly: at u = 1 it has to give 1. Does it?"),
        (
            shift**2 * u / (1 - u + shift**2 * u),
            "that is shift squared: u and 1 - u are factors here, and no variances.",
        ),
        (
            shift**0.5 * u / (1 - u + shift**0.5 * u),
            "that has the root of shift. The factor is shift itself.",
        ),
        (u ** (1 / shift), "that is a power. Multiply noise over picture, u / (1 - u)."),
        (u**shift, "that is a power, and it moves towards the picture."),
        (u, "nothing has moved. Noise over picture should be shift times as large."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if abs(answer - 0.75) > 1e-6:
        return ["write noise over picture as u / (1 - u), before and after. Then solve.", last]
    for u, shift in ((0.2, 3.0), (0.5, 2.0), (0.9, 1.0), (1.0, 3.0), (0.0, 3.0)):
        wanted = shift * u / (1 - u + shift * u)
        if abs(float(answer_of(shifted, u, shift)) - wanted) > 1e-6:
            return [f"right for 0.5 and 3, but not for {u:g} and {shift:g}.", last]
    return None
