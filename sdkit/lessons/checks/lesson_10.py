"""Checkers of lesson 10, super-resolution."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("10.1")
def _agree(agree):
    """agree(large, small): back-projection, so that the means of 4 x 4 blocks equal small."""
    generator = torch.Generator().manual_seed(10)
    large, small = (torch.rand(1, 3, *size, generator=generator) for size in ((16, 24), (4, 6)))
    answer = torch.as_tensor(answer_of(agree, large.clone(), small.clone()))
    missing = small - F.avg_pool2d(large, 4)

    def spread(x):
        return F.interpolate(x, scale_factor=4, mode="nearest")

    last = (
        "missing = small - F.avg_pool2d(large, 4); "
        "large + F.interpolate(missing, scale_factor=4, mode='nearest')."
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
            "Each number of missing belongs to one block: repeat_interleave, or F.interpolate.",
        ),
    ]
    mistakes += [
        (
            large + F.interpolate(missing, scale_factor=4, mode=mode, align_corners=align),
            "a smooth change misses the mean of the blocks. "
            "Give all 16 pixels the same (mode='nearest').",
        )
        for mode in ("bilinear", "bicubic")
        for align in (False, True)
    ]
    wanted = large + spread(missing)
    if answer.shape == wanted.shape and torch.allclose(answer, wanted, atol=1e-5):
        return None
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
def _unbeaten(unbeaten):
    """unbeaten(points): indices of the (PSNR, distance) points on the Pareto front; no ties."""
    points = [(24, 0.10), (26, 0.12), (25, 0.20), (27, 0.30), (23, 0.15), (26.5, 0.31)]
    answer = answer_of(unbeaten, list(points))
    last = "[k for k, (p, d) in enumerate(points) if not any(q > p and e < d for q, e in points)]."
    if np.shape(answer) == (len(points),) and np.asarray(answer).dtype == bool:
        return ["those say true or false for each. Give the positions.", last]
    if np.ndim(answer) == 2:
        return ["those are the points. Give their positions, from 0.", last]
    if np.ndim(answer) != 1:
        return ["wanted is a list of positions.", last]
    answer = sorted(float(k) for k in answer)
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
        ([], "a point does not beat itself: compare with > and <, not with >= and <=."),
        ([0, 1, 2, 3, 4, 5], "(24, 0.10) beats (23, 0.15) in both, so position 4 must go."),
    )
    return (
        None
        if answer == [0, 1, 3]
        else match_mistake(answer, mistakes, last)
        or [
            "for each point: is there another one with a higher PSNR and a lower distance? "
            "Then it is beaten.",
            last,
        ]
    )


@exercise("10.3")
def _psnr_of_mean(psnr_of_mean):
    """psnr_of_mean(error, spread, k): PSNR in dB of the mean of k samples."""

    def decibel(x):
        return -10 * math.log10(x)

    error, spread, k = 0.010, 0.004, 4
    answer = float(answer_of(psnr_of_mean, error, spread, k))
    last = "-10 * math.log10(error - spread + spread / k)."
    left = error - spread + spread / k
    mistakes = (
        (left, "that is the error. Put it into decibel."),
        (-decibel(left), "turn the sign: a small error is a high PSNR."),
        (2 * decibel(left), "20 log10 is for amplitudes. The error is squared already: 10."),
        (-10 * math.log(left), "that is the natural logarithm. Decibel take log10."),
        (decibel(left) / 10, "a decibel is a tenth of a bel: times 10."),
        (decibel(error / k), "only the spread shrinks. What all samples do wrong together stays."),
        (decibel(error - spread), "that is the mean of endlessly many. Of k, spread / k is left."),
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
            "take away the whole spread, then add what is left of it: spread / k.",
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
    )
    if math.isclose(answer, decibel(left), abs_tol=1e-6):
        if math.isclose(float(answer_of(psnr_of_mean, 0.02, 0.01, 1)), decibel(0.02), abs_tol=1e-6):
            return None
        return [
            "right for four samples, but the mean of one is the sample itself: "
            "use all three arguments.",
            last,
        ]
    if abs(answer - decibel(left)) < 0.06:
        return ["nearly to the digit: do not round.", last]
    return match_mistake(answer, mistakes, last) or [
        "error - spread stays, spread / k is added; then -10 log10 of the sum.",
        last,
    ]
