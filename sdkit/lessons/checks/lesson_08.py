"""Checkers of lesson 08, guidance."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake

UNCOND, COND = (
    torch.tensor([[[[1.0, -2.0], [0.5, 3.0]]], [[[0.0, 1.0], [2.0, -1.0]]]]),
    torch.tensor([[[[2.0, -1.5], [0.0, 5.0]]], [[[1.0, 0.5], [2.5, -3.0]]]]),
)  # (2, 1, 2, 2) each


def _array(answer: Any) -> np.ndarray:
    return np.asarray(answer.detach() if torch.is_tensor(answer) else answer, dtype=float)


@exercise("08.1")
def _amplify(amplify: Callable) -> Hints:
    """amplify(uncond, cond, scale): uncond + scale * (cond - uncond)."""
    u, c, change = UNCOND, COND, COND - UNCOND
    answer = _array(answer_of(amplify, u.clone(), c.clone(), 3.0))
    last = (
        "two steps: what does the prompt add, so that uncond becomes cond? "
        "Take that scale times, and begin at uncond."
    )
    if answer.shape != u.shape:
        return [f"the answer has shape {answer.shape}, uncond has {tuple(u.shape)}.", last]
    mistakes = (
        (
            c + 3 * change,
            "at scale 1 this is already beyond cond. Start from uncond, not from cond.",
        ),
        (c + 3 * (u - c), "swapped: at scale 0 it should be uncond, at scale 1 cond."),
        (u - 3 * change, "the sign: at scale 1 it should be cond."),
        (
            3 * c,
            "that makes all of the answer louder, the noise as well. "
            "Amplify only what the prompt adds.",
        ),
        (3 * change, "that is the difference alone. What is the answer at scale 0?"),
        (u + 3 * c, "at scale 1 it should be cond, without any uncond left."),
        (3 * c - u, "at scale 1 it should be cond: the shares of cond and uncond add up to 1."),
        ((u + c) / 2, "that is the middle between the two. Use scale."),
        (u + 2 * change, "one too few: at scale 1 it should be cond, and it is still uncond."),
        (3 * (u + c), "at scale 0 it should be uncond, at scale 1 cond. Yours is 0 at scale 0."),
        (u + change / 3, "a larger scale should give more: multiply."),
        (
            3 * u + c,
            "which of the two should be amplified? More scale should mean more of the prompt.",
        ),
        (c - 3 * change, "swapped: at scale 0 it should be uncond, at scale 1 cond."),
        (3 * u - 2 * c, "swapped: at scale 0 it should be uncond, at scale 1 cond."),
        (u + 3 * change.abs(), "leave the sign of each difference as it is."),
        (c, "that is the answer at scale 1. Use scale."),
        (u, "that is the answer at scale 0. Use scale."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    for scale in (3.0, 0.0, 1.0, 1.5, 7.5, -2.0):
        wanted = u + scale * change
        if not np.allclose(
            _array(answer_of(amplify, u.clone(), c.clone(), scale)), wanted, atol=1e-5
        ):
            return [
                f"at scale {scale:g} it is not yet what it should be. "
                "What does the prompt add to uncond?",
                last,
            ]
    return None


@exercise("08.2")
def _mended(mended: Callable) -> Hints:
    """mended(output, scale): guidance of output (2B, C, h, w), first uncond, then cond."""
    u, c, change = UNCOND, COND, COND - UNCOND
    output = torch.cat([u, c])
    answer = _array(answer_of(mended, output.clone(), 3.0))
    last = (
        "three steps: chunk output into its two halves; the first is uncond, the second cond; "
        "then amplify as in exercise 08.1."
    )
    if answer.shape != u.shape:
        return [
            f"the answer has shape {answer.shape}, one batch of answers has {tuple(u.shape)}: "
            "chunk the batch in two.",
            last,
        ]
    odd, even = output[1::2], output[::2]
    mistakes = (
        (c + 3 * (u - c), "that is your friend's. Which of the two halves comes first?"),
        (u - 3 * change, "still away from the prompt: the halves are right, the sign is not."),
        (
            even + 3 * (odd - even),
            "every other one is of another picture. First B without, then B with.",
        ),
        (
            odd + 3 * (even - odd),
            "every other one is of another picture. First B without, then B with.",
        ),
        (
            c + 3 * change,
            "the halves are right, but at scale 1 this is already beyond cond. Start from uncond.",
        ),
        (3 * change, "that is the difference alone. Add it to uncond."),
        (3 * c, "that makes all of cond louder. Amplify only what it has more than uncond."),
        ((u + c) / 2, "that is the middle between the halves. Use scale."),
        (u + 2 * change, "one too few: at scale 1 it should be the second half."),
        (
            (c + 3 * (u - c)).flip(0),
            "that is your friend's, and the pictures changed places. Which half comes first?",
        ),
        (c, "that is the answer with the prompt, without any guidance."),
        (u, "that is the answer without the prompt."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    for scale in (3.0, 0.0, 7.5):
        if not np.allclose(
            _array(answer_of(mended, output.clone(), scale)), u + scale * change, atol=1e-4
        ):
            return [
                f"not yet right at scale {scale:g}. At scale 0 it should be the first half, "
                "at scale 1 the second.",
                last,
            ]
    u, c = torch.arange(48.0).reshape(2, 3, 2, 2, 2).square()
    answer = _array(answer_of(mended, torch.cat([u, c]), 2.0))
    if answer.shape != u.shape or not np.allclose(answer, 2 * c - u, atol=1e-3):
        return ["right for 2 pictures, but not for 3 pictures: the halves grow with output.", last]
    return None


@exercise("08.3")
def _interval(interval: Callable) -> Hints:
    """interval(timesteps, scale, low, high): for each timestep, scale within the bounds, else 1."""
    timesteps = [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]
    wanted = np.array([1, 1, 6, 6, 6, 6, 1, 1, 1, 1.0])
    answer = answer_of(interval, list(timesteps), 6.0, 401, 701)
    answer = _array(list(answer) if np.iterable(answer) else answer)
    last = (
        "one number for each timestep, in their order: scale where t is neither below low nor "
        "above high, and where it is, the scale at which guidance does nothing."
    )
    if np.array_equal(answer, [6] * 4):
        return ["those are the scales of those inside alone. Outside, there is one, too.", last]
    if np.array_equal(answer, [701, 601, 501, 401]):
        return ["those are the timesteps inside. Give a scale for each timestep.", last]
    if answer.shape != wanted.shape:
        return [f"the answer has shape {answer.shape}: give one scale for each timestep.", last]
    if np.isnan(answer).any():
        return ["'off' is a number, too: the scale at which uncond cancels.", last]
    inside = wanted == 6
    mistakes = (
        (
            np.where(inside, 6, 0),
            "at scale 0 the network paints without the prompt. Off is another number.",
        ),
        (np.where(inside, 1, 6), "inside and outside are swapped."),
        (np.where(inside, 0, 6), "inside and outside are swapped, and off is not 0."),
        (
            inside.astype(float),
            "that says where. Give the scale there, and what means 'off' elsewhere.",
        ),
        ([1, 1, 1, 6, 6, 1, 1, 1, 1, 1], "the bounds themselves belong to the interval."),
        ([1, 1, 1, 6, 6, 6, 1, 1, 1, 1], "the upper bound itself belongs to the interval."),
        ([1, 1, 6, 6, 6, 1, 1, 1, 1, 1], "the lower bound itself belongs to the interval."),
        (wanted[::-1], "in the order of the timesteps, please: noisiest first."),
        (np.full(10, 6), "that is guidance in every step."),
        (
            np.where(inside, timesteps, 1),
            "inside are the timesteps themselves. Give the scale there.",
        ),
        (
            np.where(np.array(timesteps) <= 701, 6, 1),
            "the upper bound is right, the lower bound is not there.",
        ),
        (
            np.where(np.array(timesteps) >= 401, 6, 1),
            "the lower bound is right, the upper bound is not there.",
        ),
        (
            np.where(np.isin(timesteps, (401, 701)), 6, 1),
            "those are the bounds alone. Inside are all that lie between them, too.",
        ),
        (np.full(10, 1), "that is no guidance at all: is your condition ever true?"),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.allclose(answer, wanted):
        return ["go through the timesteps one by one: inside the bounds it is scale, else 1.", last]
    if not np.allclose(_array(list(answer_of(interval, [50, 20, 10], 3.0, 0, 20))), [1, 3, 3]):
        return ["right for one case, but not for others: use all four arguments.", last]
    close = _array(list(answer_of(interval, [22, 21, 20, 15, 10, 9], 4.5, 10, 20)))
    if np.array_equal(close, [1, 1, 4, 4, 4, 1]):
        return ["right for a scale of 6, but not for 4.5: do not round.", last]
    if not np.allclose(close, [1, 1, 4.5, 4.5, 4.5, 1]):
        return ["right so far, but the timesteps next to the bounds, 21 and 9, are outside.", last]
    return None
