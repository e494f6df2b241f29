"""Checkers of lesson 12, how good is it?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake

Z = 1.96


def _interval(answer: Any) -> np.ndarray:
    return np.asarray([float(end) for end in (answer if np.iterable(answer) else [answer])])


@exercise("12.1")
def _wilson(wilson: Callable) -> Hints:
    """wilson(right, count): (low, high), the 95 % interval of Wilson (1927) with z = 1.96."""

    def wanted(right: int, count: int) -> np.ndarray:
        share = right / count
        half = Z * (share * (1 - share) / count + (Z / 2 / count) ** 2) ** 0.5
        return np.array([share + Z**2 / 2 / count - half, share + Z**2 / 2 / count + half]) / (
            1 + Z**2 / count
        )

    right, count = 7, 10
    p, low_high = right / count, wanted(right, count)
    given = answer_of(wilson, right, count)
    last = (
        "write the two lines of the text one by one: the middle, then the half width. "
        "What is one below the middle, and what above it?"
    )
    if np.iscomplexobj(given):
        return ["there is a root of a negative number. Is p the number of right answers?", last]
    answer = _interval(given)
    if answer.shape != (2,):
        return [
            f"{answer.size} number{'s' * (answer.size != 1)} came back. Give two: low, high.",
            last,
        ]
    wald, root = (p * (1 - p) / count) ** 0.5, (p * (1 - p) / count + (Z / 2 / count) ** 2) ** 0.5
    middle, below = p + Z**2 / 2 / count, 1 + Z**2 / count
    ends = np.array([-1, 1])
    mistakes = (
        (
            p + ends * Z * wald,
            "that is the simple interval, p plus and minus z standard deviations. "
            "At 10 of 10 it has no width at all, and nobody believes that.",
        ),
        (p + ends * Z * root / below, "the middle is not p: it lies a little nearer to one half."),
        (p + ends * Z * root, "the middle is not p: it lies a little nearer to one half."),
        (middle + ends * Z * root, "nearly. Look at the denominators of both parts."),
        (
            middle + ends * Z * root / below,
            "the half width is divided as it should be. The middle is not yet.",
        ),
        (
            middle / below + ends * Z * root,
            "the middle is divided as it should be. The half width is not yet.",
        ),
        (
            middle / below + ends * Z * wald / below,
            "under the root something is missing. There are two parts that are added.",
        ),
        (
            middle / below + ends * Z * (wald**2 + Z**2 / 4 / count) ** 0.5 / below,
            "the last part under the root is divided by the square of n.",
        ),
        (
            middle / below + ends * Z * (wald**2 + Z / 4 / count**2) ** 0.5 / below,
            "the last part under the root has the square of z.",
        ),
        (
            (p + Z**2 / count) / below + ends * Z * root / below,
            "in the middle, z squared is divided by 2 n.",
        ),
        (
            (p + Z / 2 / count) / below + ends * Z * root / below,
            "in the middle, z comes squared.",
        ),
        (p + ends * wald, "that is p plus and minus one standard deviation. Where is z?"),
        (middle / below + ends * Z * root**2 / below, "the root is missing in the half width."),
        (middle / below + ends * root / below, "the half width is z times the root."),
        (count * low_high, "those are numbers of answers. Give shares, from 0 to 1."),
        (100 * low_high, "those are percent. Give shares, from 0 to 1."),
        (
            [low_high.mean(), np.ptp(low_high) / 2],
            "those are the middle and the half width. Give the two ends.",
        ),
        (low_high[::-1], "first the low end, then the high one."),
        (1 - low_high[::-1], "that is the interval for the wrong answers. p = right / count."),
    )
    if hints := match_mistake(answer, mistakes, last, atol=2e-4):
        return hints
    if not np.allclose(answer, low_high, atol=2e-4) and np.allclose(answer, low_high, atol=0.006):
        return ["nearly. Is z = 1.96? And do not round.", last]
    for right, count in ((7, 10), (10, 10), (0, 4), (300, 400)):
        if not np.allclose(
            _interval(answer_of(wilson, right, count)), wanted(right, count), atol=2e-4
        ):
            return [
                f"not yet right for {right} of {count}. Put p and n into the formula piece "
                "by piece, and use both arguments.",
                last,
            ]
    return None


@exercise("12.2")
def _fid_of_endless(fid_of_endless: Callable) -> Hints:
    """fid_of_endless(n1, f1, n2, f2): the limit of FID(n) = truth + c / n for large n."""
    n, m, truth, c = 100, 250, 5.25, 600.0
    f, g = truth + c / n, truth + c / m
    answer = np.asarray(answer_of(fid_of_endless, n, f, m, g), dtype=float)
    last = (
        "multiply each equation by its own n. Then both hold the same c, "
        "and it drops out if you subtract one from the other."
    )
    if answer.shape != ():
        return ["give one number.", last]
    mistakes = (
        (2 * g - f, "that holds where n2 is twice n1. Use n1 and n2."),
        ((f + g) / 2, "the mean of the two is too large as well: both are biased the same way."),
        ((n * f + m * g) / (n + m), "a mean lies between the two. The truth lies below both."),
        (g, "that is the better of the two, but biased still."),
        (g + c / m, "the sign: the bias makes a FID too large, so take it off."),
        (f + c / n, "the sign: the bias makes a FID too large, so take it off."),
        (c, "that is c, the size of the bias times n. What is left without it?"),
        (c / m, "that is the bias at n2. Take it off."),
        (c / n, "that is the bias at n1. Take it off."),
        (g - (f - g), "it is not a straight line over n. It is one over 1 / n."),
        (g - (f - g) / (m - n) * m, "it is not a straight line over n. It is one over 1 / n."),
        ((m * f - n * g) / (m - n), "which n belongs to which FID?"),
        ((n * f - m * g) / (m - n), "the sign: distances are not negative here."),
        (f - g, "that is how much the bias has fallen. How much is left?"),
        (m * g - n * f, "that is n2 - n1 times too large: both equations hold the truth n times."),
        (
            (m * g - n * f) / (m + n),
            "nearly. If you subtract the equations, what is the factor of truth?",
        ),
        (round(truth), "do not round."),
        (round(truth, 1), "do not round."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    for n, m, truth, c in ((100, 300, 5.25, 600.0), (50, 100, 0.1, 20.0), (400, 100, 3.7214, 70.0)):
        if not np.isclose(
            answer_of(fid_of_endless, n, truth + c / n, m, truth + c / m), truth, atol=1e-6
        ):
            return [
                "two equations, truth + c / n1 = f1 and truth + c / n2 = f2. Solve them for truth.",
                last,
            ]
    if not np.isclose(answer_of(fid_of_endless, 100, 1.0, 200, 0.4), -0.2):
        return [
            "right, but measured FIDs scatter. So the estimate of a truth near 0 can be below 0. "
            "Give it as it comes.",
            last,
        ]
    return None


@exercise("12.3")
def _copied(copied: Callable) -> Hints:
    """copied(made, own, fresh): the share of pictures nearer to own than to all of fresh.

    made and own have shape (N, D), fresh has shape (N, F, D).
    """
    # With this seed, each of the mistakes below counts another number of pictures.
    generator = torch.Generator().manual_seed(374)
    made, own = torch.randn(2, 40, 3, generator=generator)
    own = (own * 0.7 + made * 0.5) * (1 + torch.rand(40, 1, generator=generator))
    fresh = torch.randn(40, 4, 3, generator=generator)
    near = (made - own).norm(dim=1)  # (N,)
    far = (made[:, None] - fresh).norm(dim=2)  # (N, F)
    answer = np.asarray(answer_of(copied, made.clone(), own.clone(), fresh.clone()), dtype=float)
    last = (
        "two tensors: the distances to own, of shape (N,), and those to fresh, of shape (N, F). "
        "Take the smallest of each row of the second. How often is the first even smaller?"
    )
    hits = near < far.amin(1)
    summed = (made - own).abs().sum(1) < (made[:, None] - fresh).abs().sum(2).amin(1)
    largest = (made - own).abs().amax(1) < (made[:, None] - fresh).abs().amax(2).amin(1)
    cosine = F.cosine_similarity(made, own) > F.cosine_similarity(made[:, None], fresh, 2).amax(1)
    product = (made * own).sum(1) > (made[:, None] * fresh).sum(2).amax(1)
    mistakes = (
        (hits.sum(), "that is how many. Give the share."),
        (100 * hits.float().mean(), "those are percent. Give the share, from 0 to 1."),
        (
            (near < far[:, 0]).float().mean(),
            "that is only the first of the fresh ones. Nearer than all of them?",
        ),
        (hits, "that says which. Give their share, one number."),
        (~hits, "that says which are not. Give the share of those that are, one number."),
        ((~hits).float().mean(), "that is the share of those that are not nearer to their own."),
        (
            (near < far.mean(1)).float().mean(),
            "nearer than the fresh ones on average is easy. Nearer than all of them?",
        ),
        (
            (near < far.amax(1)).float().mean(),
            "nearer than one of them is easy. Nearer than all of them?",
        ),
        (
            (near[:, None] < far).float().mean(),
            "that counts each fresh one by itself. A picture counts only if its own is "
            "nearer than all of its fresh ones.",
        ),
        (
            (near < far.min()).float().mean(),
            "each picture has fresh ones of its own: the smallest distance of its row.",
        ),
        (summed.float().mean(), "the distance is the root of the summed squares, not of one sum."),
        (largest.float().mean(), "the distance is the root of the summed squares."),
        (
            cosine.float().mean(),
            "the cosine compares directions alone. Nearer means a smaller distance.",
        ),
        (
            (near < far.median(1).values).float().mean(),
            "nearer than half of the fresh ones is easy. Nearer than all of them?",
        ),
        (
            (torch.cdist(made, own).amin(1) < far.amin(1)).float().mean(),
            "each picture has one training picture of its own: compare row by row.",
        ),
        (
            (near < torch.cdist(made, fresh.flatten(0, 1)).amin(1)).float().mean(),
            "each picture has fresh ones of its own: compare row by row.",
        ),
        (
            product.float().mean(),
            "a product is large for bright pictures. Nearer means a smaller distance.",
        ),
        (
            (near < far[:, -1]).float().mean(),
            "that is only the last of the fresh ones. Nearer than all of them?",
        ),
        (
            (near < (made - fresh.mean(1)).norm(dim=1)).float().mean(),
            "the mean of the fresh pictures is no picture. Nearer than each of them?",
        ),
        (
            (near < (own[:, None] - fresh).norm(dim=2).amin(1)).float().mean(),
            "the fresh ones are compared with `made`, too, and not with `own`.",
        ),
        ((near > far.amin(1)).float().mean(), "which of the two should be smaller?"),
    )
    if np.isclose(answer, float(hits.float().mean()), atol=1e-6).all() and answer.shape == ():
        if not np.isclose(answer_of(copied, made.clone(), made.clone(), fresh.clone()), 1):
            return [
                "right for one case. But a perfect copy is nearer to its own than to any other: "
                "there it is 1.",
                last,
            ]
        few = made[:7], own[:7], fresh[:7, :2]
        wanted = (near[:7] < far[:7, :2].amin(1)).float().mean()
        if not np.isclose(answer_of(copied, *few), float(wanted), atol=1e-6):
            return ["right for 40 pictures, but not for 7 with two fresh ones each.", last]
        many = made[:7], own[:7], torch.cat([fresh[:7], fresh[7:14, :2]], 1)
        nearest = (many[0][:, None] - many[2]).norm(dim=2).amin(1)
        if not np.isclose(
            answer_of(copied, *many), float((near[:7] < nearest).float().mean()), atol=1e-6
        ):
            return ["right for four fresh ones, but not for six: use all of them.", last]
        return None
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != ():
        return [f"the answer has shape {answer.shape}: give one number.", last]
    return [
        "distance of each picture to its own; to each of its fresh ones; "
        "how often is the first the smallest?",
        last,
    ]
