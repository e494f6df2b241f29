"""Checkers of lesson 10, super-resolution."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("10.1")
def _agree(agree: Callable) -> Hints:
    """agree(large, small): back-projection, so that the means of 4 x 4 blocks equal small."""
    generator = torch.Generator().manual_seed(10)
    large, small = (torch.rand(1, 3, *size, generator=generator) for size in ((16, 24), (4, 6)))
    given = large.clone(), small.clone()
    answer = torch.as_tensor(answer_of(agree, *given))
    if not torch.equal(given[0], large) or not torch.equal(given[1], small):
        return ["one of the arguments itself was changed. Make a new tensor.", "no += on large."]
    missing = small - F.avg_pool2d(large, 4)

    def spread(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=4, mode="nearest")

    last = (
        "three moves: shrink large, take the difference to small, enlarge that difference. "
        "What is it for?"
    )
    mistakes = [
        (large, "nothing has changed. What is missing in the mean of each block?"),
        (missing, "that is what is missing. Add it to all 16 pixels of its block."),
        (spread(missing), "that is what is missing, enlarged. Add it to large."),
        (spread(small), "that shrinks rightly, but nothing of large is left in it."),
        (
            large + spread(small),
            "the blocks of large have a mean of their own. Add only what is missing to it.",
        ),
        (
            large - spread(missing),
            "the wrong way: what is missing is small minus the shrunk large.",
        ),
        (
            large + spread(missing) / 16,
            "too little: if all 16 pixels rise by 1, their mean rises by 1.",
        ),
        (
            large + spread(missing) * 16,
            "too much: if all 16 pixels rise by 1, their mean rises by 1.",
        ),
        (
            large + missing.repeat(1, 1, 4, 4),
            "repeat lays the whole picture side by side four times. "
            "Each number belongs to one block of 4 x 4.",
        ),
        (
            large + spread(missing).mean((2, 3), keepdim=True),
            "that moves the whole picture by one number. Each block needs its own.",
        ),
        (
            large + spread(missing.mean(1, keepdim=True)),
            "that gives the three colours the same change. Each colour needs its own.",
        ),
        (
            large + spread(missing) / 4,
            "too little: if all 16 pixels rise by 1, so does their mean.",
        ),
        (
            large + spread(missing) / 2,
            "that goes half of the way. The means should agree with small, not come near.",
        ),
        (
            (large + spread(missing)).clamp(0, 1),
            "nearly: that is cut off at 0 and 1, and then the means no longer agree.",
        ),
        (
            large + spread(small - large[:, :, ::4, ::4]),
            "that compares small with one pixel of each block. Shrinking takes the mean of all 16.",
        ),
        (
            large * spread(small / F.avg_pool2d(large, 4)),
            "the means are right, but a factor changes bright pixels more than dark ones. "
            "A sum changes the picture less.",
        ),
    ]
    mistakes += [
        (
            large + F.interpolate(missing, scale_factor=4, mode=mode, align_corners=align),
            "a smooth change misses the mean of the blocks. "
            "Give all 16 pixels of a block the same, as `enlarge` of the lesson does.",
        )
        for mode in ("bilinear", "bicubic")
        for align in (False, True)
    ]
    wanted = large + spread(missing)
    if answer.shape == wanted.shape and torch.allclose(answer, wanted, atol=1e-5):
        two = torch.rand(2, 3, 8, 12, generator=generator), torch.rand(2, 3, 2, 3)
        again = torch.as_tensor(answer_of(agree, *two))
        wanted = two[0] + spread(two[1] - F.avg_pool2d(two[0], 4))
        if again.shape == wanted.shape and torch.allclose(again, wanted, atol=1e-5):
            return None
        return [
            "right for one picture of 24 x 16, but not for two of 12 x 8: use the shapes.",
            last,
        ]
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != wanted.shape:
        return [
            f"the answer has shape {tuple(answer.shape)}, large has {tuple(large.shape)}.",
            last,
        ]
    if torch.allclose(F.avg_pool2d(answer, 4), small, atol=1e-5):
        return [
            "the means are right, but the details are not as they were: "
            "add the same to a whole block.",
            last,
        ]
    return ["shrink large, compare it with small, and spread the difference over the blocks.", last]


@exercise("10.2")
def _unbeaten(unbeaten: Callable) -> Hints:
    """unbeaten(points): indices of the (PSNR, distance) points on the Pareto front; no ties."""
    points = [(24, 0.10), (26, 0.12), (25, 0.20), (27, 0.30), (23, 0.15), (26.5, 0.31)]
    answer = answer_of(unbeaten, list(points))
    last = (
        "go through the points. For each, look for one that beats it: a higher PSNR and a lower "
        "distance. Keep the position if there is none."
    )
    if np.shape(answer) == (len(points),) and np.asarray(answer).dtype == bool:
        return ["those say true or false for each. Give the positions.", last]
    if np.ndim(answer) == 2:
        return ["those are the points. Give their positions, from 0.", last]
    if np.ndim(answer) != 1:
        return ["give a list of positions.", last]
    if any(isinstance(k, str) for k in answer):
        return ["those are texts. Give whole numbers, without quotes.", last]
    order = [float(k) for k in answer]
    answer = sorted(order)
    if len(set(answer)) < len(answer):
        return ["a position is named more than once. One name is enough.", last]
    mistakes = (
        ([1, 2, 4], "count positions from 0."),
        ([2, 4, 5], "those are the beaten ones."),
        (
            [0, 3],
            "those are the best of each axis. One in between can be unbeaten as well: "
            "who beats (26, 0.12)?",
        ),
        ([3], "that is the one with the best PSNR. Others are unbeaten for their look."),
        ([0], "that is the one with the best look. Others are unbeaten for their PSNR."),
        ([3, 5], "a large distance is bad: the other one wins if it is lower."),
        ([0, 4], "a high PSNR is good: the other one wins if it is higher."),
        ([], "nobody is left. Does each point beat itself, or is one win enough to beat?"),
        ([0, 1, 2, 3, 4, 5], "(24, 0.10) beats (23, 0.15) in both, so position 4 must go."),
    )
    if answer != [0, 1, 3]:
        return match_mistake(answer, mistakes, last) or [
            "for each point: is there another one that is better in both?",
            last,
        ]
    for others, wanted in (
        ([(20, 0.5)], [0]),
        ([(22, 0.32), (24, 0.35), (30, 0.4), (25, 0.3), (20, 0.1)], [2, 3, 4]),
        ([(30, 0.05), (20, 0.1), (25, 0.3)], [0]),
        ([(26.2, 0.36), (26.4, 0.34), (26.7, 0.31)], [2]),  # no rounding
    ):
        found = answer_of(unbeaten, list(others))
        if np.ndim(found) != 1 or sorted(float(k) for k in found) != wanted:
            return [
                "right for one list, but not for another. Compare each point with all others, "
                "in lists of any length and order.",
                last,
            ]
    return None


@exercise("10.3")
def _psnr_of_mean(psnr_of_mean: Callable) -> Hints:
    """psnr_of_mean(error, spread, k): PSNR in dB of the mean of k samples."""

    def decibel(x: float) -> float:
        return -10 * math.log10(x)

    error, spread, k = 0.010, 0.004, 4
    answer = float(answer_of(psnr_of_mean, error, spread, k))
    last = (
        "three moves: take the spread of one sample out of the error, put that of the mean in, "
        "turn the sum into decibel."
    )
    left = error - spread + spread / k
    mistakes = (
        (left, "that is the error. Put it into decibel."),
        (-decibel(left), "turn the sign: a small error is a high PSNR."),
        (2 * decibel(left), "20 log10 is for amplitudes. The error is squared already: 10."),
        (-10 * math.log(left), "that is the natural logarithm. Decibel take log10."),
        (decibel(left) / 10, "a decibel is a tenth of a bel: times 10."),
        (
            decibel(left / 255**2),
            "the error is not in grey levels up to 255: -10 log10 of it, no more.",
        ),
        (decibel(left**0.5), "no root: PSNR takes the squared error as it is."),
        (decibel(error / k), "only the spread shrinks. What all samples do wrong together stays."),
        (decibel(error - spread), "that is the mean of endlessly many. Of k, a bit more is left."),
        (
            decibel(error + spread / k),
            "error holds the whole spread of one sample: take that away first.",
        ),
        (decibel(spread / k), "there is also what all samples do wrong together: error - spread."),
        (
            decibel((error - spread) / k + spread),
            "swapped: the spread is divided by k, the rest stays.",
        ),
        (
            decibel(error - spread / k),
            "take away the whole spread, then add what is left of it.",
        ),
        (
            decibel(error - spread + spread / k**0.5),
            "the error is squared: it falls with k, not with its root.",
        ),
        (decibel(error - spread + spread / k**2), "divide by k once."),
        (
            decibel(error - spread + spread / (k - 1)),
            "divide by k: k - 1 is for estimating the spread.",
        ),
        (decibel(error), "that is one sample. Use spread and k."),
        (
            decibel(error - spread + spread * k),
            "the spread of the mean is smaller than that of one sample, not larger.",
        ),
        (decibel(error) - decibel(spread) / k, "subtract first, then take the logarithm."),
        (decibel(error - spread) + decibel(spread / k), "add first, then take the logarithm."),
    )
    if math.isclose(answer, decibel(left), abs_tol=1e-6):
        for e, s, n in ((0.02, 0.01, 1), (0.02, 0.012, 7)):
            if not math.isclose(
                float(answer_of(psnr_of_mean, e, s, n)), decibel(e - s + s / n), abs_tol=1e-6
            ):
                return [
                    f"right for four samples, but not for {n}: use all three arguments.",
                    last,
                ]
        return None
    if abs(answer - decibel(left)) < 0.06:
        return ["nearly to the digit: do not round.", last]
    return match_mistake(answer, mistakes, last) or [
        "a part of the error stays, whatever k is. Another part shrinks with k.",
        last,
    ]
