"""Checkers of lesson 14, four steps instead of fifty."""

from collections.abc import Callable

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("14.1")
def _target(target: Callable) -> Hints:
    """target(x, end, u, u_end): the velocity of one Euler step from x at u to end at u_end."""
    x, end = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([[0.4, 1.0], [-2.0, 0.6]])
    u, u_end = 0.8, 0.55
    answer = np.asarray(answer_of(target, x.clone(), end.clone(), u, u_end), dtype=float)
    last = (
        "a step of Euler gives end = x + (u_end - u) * velocity. Take x to the other side, and "
        "divide by the time u_end - u."
    )
    mistakes = (
        (
            (end - x) / (u - u_end),
            "that points the wrong way: u falls during the step, so the time is negative.",
        ),
        (x - end, "that is the way. A velocity is the way divided by the time that it takes."),
        (end - x, "that is the way. A velocity is the way divided by the time that it takes."),
        ((x - end) * (u - u_end), "the way is divided by the time, and not multiplied."),
        ((x - end) / u, "that is the time down to u = 0. The step stops at u_end."),
        ((x - end) / u_end, "u_end says where the step ends, and not how long it is."),
        (
            2 * (x - end) / (u - u_end),
            "that is twice as fast. The student has as much time as both steps together.",
        ),
        (
            (x - end) / (2 * (u - u_end)),
            "that is half as fast. The student has as much time as both steps together.",
        ),
        (end, "that is the place at the end. Which velocity leads there?"),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != x.shape:
        return [f"the answer has shape {answer.shape}, the points have {tuple(x.shape)}.", last]
    if not np.allclose(answer, (x - end) / (u - u_end), atol=1e-5):
        return ["a velocity is way over time. What is the way, and what is the time?", last]
    levels = torch.tensor([[1.0], [0.5]])  # in the lesson each point has its own level
    again = np.asarray(answer_of(target, x, end, levels, levels - 0.25), dtype=float)
    if not np.allclose(again, 4 * (x - end), atol=1e-5):
        return ["right from 0.8 to 0.55, but not from 1 to 0.75: use both levels.", last]
    return None


@exercise("14.2")
def _noise_of_jump(noise_of_jump: Callable) -> Hints:
    """noise_of_jump(x, y, a, s, b, r): the noise with which one step of DDIM leads from x to y."""
    x, noise = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([[0.4, 1.0], [-2.0, 0.6]])
    a, s, b, r = 0.6, 0.8, 12 / 13, 5 / 13
    y = b * (x - s * noise) / a + r * noise
    answer = np.asarray(answer_of(noise_of_jump, x.clone(), y.clone(), a, s, b, r), dtype=float)
    last = (
        "multiply by a: a y = b x - b s noise + a r noise. Take b x to the other side, and divide "
        "by the factor of the noise."
    )
    mistakes = (
        (-noise, "the sign is wrong. Look at which term came to the other side."),
        (
            (y - b * x / a) / r,
            "the noise stands in the formula twice: it is also taken out of x.",
        ),
        (
            (x - a * y) / s,
            "that would be the noise if y were the clean picture. y still has noise in it.",
        ),
        ((x - y) / (s - r), "the pictures in x and y have different factors, a and b."),
        ((x - b * y) / s, "that takes y for the clean picture, and b for its factor."),
        (y - b * x / a, "that is what is left for the noise. Divide by its factor."),
        (a * y - b * x, "that is what is left for the noise. Divide by its factor."),
        (
            (a * y - b * x) / (a * r + b * s),
            "a sign in the factor is wrong: the noise is taken out at x, and put in at y.",
        ),
        (
            (a * y - b * x) / (r - b * s),
            "r was not multiplied by a. Every term of the formula is.",
        ),
        ((y - b * x / a) / (r - b * s), "in the first term, s is divided by a as well."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != x.shape:
        return [f"the answer has shape {answer.shape}, x has {tuple(x.shape)}.", last]
    if not np.allclose(answer, noise, atol=1e-4):
        return ["put your noise into the formula. Does it give y?", last]
    end = (x - s * noise) / a
    again = np.asarray(answer_of(noise_of_jump, x, end, a, s, 1.0, 0.0), dtype=float)
    if not np.allclose(again, noise, atol=1e-4):
        return ["right here, but not when y is the clean picture (b = 1, r = 0).", last]
    return None


@exercise("14.3")
def _pays_after(pays_after: Callable) -> Hints:
    """pays_after(training, before, after): the smallest number of pictures that saves as much."""
    training, before, after = 1000, 15, 4
    answer = float(answer_of(pays_after, training, before, after))
    last = (
        "each picture saves before - after calls. Divide the training by that, and round up: "
        "math.ceil does it."
    )
    mistakes = (
        (training / (before - after), "nearly: a part of a picture cannot be made. Round up."),
        (90, "with so many pictures a little less is saved than the training took. Round up."),
        (training / before, "a picture still takes some calls. What does it save?"),
        (67, "a picture still takes some calls. What does it save?"),
        (training / after, "that asks how many fast pictures cost as much as the training."),
        (training * (before - after), "the saved calls have to add up to those of the training."),
        ((before - after) / training, "upside down: more training needs more pictures."),
        (training / (before + after), "a picture saves the difference, and not the sum."),
        (training * after / before, "what is saved with one picture is a difference of calls."),
        (92, "one picture too many: as many saved as spent is enough."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer != 91:
        return ["how many calls does one picture save? How often to reach the training?", last]
    for training, before, after in ((1000, 12, 2), (100, 2, 1), (1, 50, 4), (5_000_000, 16, 1)):
        wanted = -(-training // (before - after))
        if float(answer_of(pays_after, training, before, after)) != wanted:
            return [
                f"right for 1000, 15 and 4, but not for {training}, {before} and {after}.",
                last,
            ]
    return None
