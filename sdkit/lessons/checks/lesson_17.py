"""Checkers of lesson 17, who made this picture?"""

from collections.abc import Callable
from typing import Any

import numpy as np

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("17.1")
def _agreement(agreement: Callable) -> Hints:
    """agreement(picture, key): the summed cosines of the differences, over sqrt(K / 2)."""
    rng = np.random.default_rng(17)
    picture, key = rng.uniform(-np.pi, np.pi, (2, 8))
    answer = np.asarray(answer_of(agreement, picture.copy(), key.copy()), dtype=float)
    last = (
        "three steps: the differences of the angles, the cosines of these, and their sum. Then "
        "divide by the root of half of len(key)."
    )
    if answer.shape:
        return [
            f"give one number for all waves; that has shape {answer.shape}. Add them up.",
            last,
        ]
    cosines, chance = np.cos(picture - key), (8 / 2) ** 0.5
    total = cosines.sum()
    mistakes = (
        (
            total,
            "that is the sum. How large is it by chance? Divide by its standard deviation.",
        ),
        (
            cosines.mean(),
            "that is the mean. Its size by chance depends on K, so it says nothing by itself: "
            "take the sum over its standard deviation.",
        ),
        (total / 8**0.5, "the variance of one cosine is 1/2, not 1."),
        (total / (8 / 2), "that divides by the variance of the sum. Take its root."),
        (total * chance, "divide by the standard deviation, do not multiply."),
        (total / 118**0.5, "that fits 236 waves only. Here are other ones: use len(key)."),
        (
            total / cosines.std() / 8**0.5,
            "that is the spread of these cosines. Take the spread that chance gives: 1/2 is the "
            "variance of each.",
        ),
        (
            total / cosines.std(ddof=1) / 8**0.5,
            "that is the spread of these cosines. Take the spread that chance gives: 1/2 is the "
            "variance of each.",
        ),
        (
            np.sin(picture - key).sum() / chance,
            "the sine is 0 where the phases agree. Which function is 1 there?",
        ),
        (
            (np.cos(picture) - np.cos(key)).sum() / chance,
            "that is the difference of the cosines. Give the cosine of the difference.",
        ),
        (
            (np.cos(picture) * np.cos(key)).sum() / chance,
            "that is the product of the cosines. Give the cosine of the difference.",
        ),
        (
            np.cos(picture + key).sum() / chance,
            "phases that agree have the difference 0. You have added them.",
        ),
        (
            (picture - key).sum() / chance,
            "those are bare angles. A difference of 360 degrees is no difference: take the cosine.",
        ),
        (
            abs(picture - key).sum() / chance,
            "those are bare angles. A difference of 360 degrees is no difference: take the cosine.",
        ),
        (
            abs(cosines).sum() / chance,
            "without their signs, opposite phases count as agreement. Keep the signs.",
        ),
        (
            np.square(cosines).sum() / chance,
            "squared, opposite phases count as agreement. Keep the signs.",
        ),
        (
            np.cos(np.radians(picture - key)).sum() / chance,
            "the angles are in radians already. Do not convert them.",
        ),
        (
            np.cos(np.degrees(picture - key)).sum() / chance,
            "np.cos wants radians, and the angles are in radians already.",
        ),
        (-total / chance, "the sign: agreement is positive."),
        (abs(total) / chance, "without the sign, disagreement counts as well. Keep the sign."),
    )
    if hints := match_mistake(answer, mistakes, last, atol=1e-6):
        return hints
    for waves in (8, 1, 236):
        picture, key = rng.uniform(-np.pi, np.pi, (2, waves))
        wanted = np.cos(picture - key).sum() / (waves / 2) ** 0.5
        if not np.isclose(answer_of(agreement, picture, key), wanted, atol=1e-6):
            return [f"not yet right for {waves} wave{'s' * (waves > 1)}. Follow the formula.", last]
    return None


@exercise("17.2")
def _auc(auc: Callable) -> Hints:
    """auc(yes, no): in which share of all pairs the first score is larger; equal counts 1/2."""
    yes, no = np.array([3.0, 5, 0, 4, 4, 9, 2]), np.array([4.0, 1, 3, 7, 1])
    answer = np.asarray(answer_of(auc, yes.copy(), no.copy()), dtype=float)
    last = (
        "compare each score of `yes` with each score of `no`: 1 if it is larger, 0.5 if equal, "
        "else 0. The AUC is the mean of all these numbers."
    )
    larger, equal = yes[:, None] > no, yes[:, None] == no
    right = (larger + equal / 2).mean()
    if answer.shape:
        return [f"give one number; that has shape {answer.shape}. Take the mean.", last]
    best = max(((yes >= x).sum() + (no < x).sum()) / 12 for x in [*yes, *no])
    mistakes = (
        (larger.mean(), "two equal scores count as one half. You count them as lost."),
        ((larger | equal).mean(), "two equal scores count as one half. You count them as won."),
        (100 * right, "those are percent. Give a number from 0 to 1."),
        ((larger + equal / 2).sum(), "that is how many pairs. Give the share."),
        (larger.sum(), "that is how many pairs. Give the share."),
        (1 - right, "the other way round: count the pairs in which `yes` has the larger score."),
        (2 * right - 1, "chance should give 0.5, not 0."),
        (
            (yes[:5] > no).mean(),
            "that compares the first with the first, the second with the second. Compare each "
            "with each.",
        ),
        (
            ((yes[:5] > no) + (yes[:5] == no) / 2).mean(),
            "that compares the first with the first, the second with the second. Compare each "
            "with each.",
        ),
        (yes.mean() - no.mean(), "that is the difference of the means. Count pairs."),
        (
            float(yes.mean() > no.mean()),
            "that compares the means. Compare each score with each, and count.",
        ),
        (
            (yes > no.max()).mean(),
            "that is one point of the curve: the hits without any false alarm.",
        ),
        (
            (yes > no.mean()).mean(),
            "that is one point of the curve: the hits at one threshold. Compare each with each.",
        ),
        (
            (yes > np.median(no)).mean(),
            "that is one point of the curve: the hits at one threshold. Compare each with each.",
        ),
        (
            (yes.mean() > no).mean(),
            "a mean hides how much the scores scatter. Compare each score with each.",
        ),
        (best, "that is the share of right answers at the best threshold, not the area."),
    )
    if hints := match_mistake(answer, mistakes, last, atol=1e-6):
        return hints
    rng = np.random.default_rng(2)
    for n, m in ((7, 5), (5, 7), (1, 3), (30, 30)):
        yes, no = rng.integers(0, 12, n).astype(float), rng.integers(0, 9, m).astype(float)
        wanted = ((yes[:, None] > no) + (yes[:, None] == no) / 2).mean()
        if not np.isclose(answer_of(auc, yes, no), wanted, atol=1e-6):
            return [f"not yet right for {n} scores against {m}. Compare each with each.", last]
    return None


@exercise("17.3")
def _really_marked(count: Any) -> Hints:
    """count: of 100 alarms, how many are marked: 1,000 of 1,000,000, 90 % found, 1 % false."""
    count = float(count)
    hits, false = 0.9 * 1000, 0.01 * 999_000
    right = 100 * hits / (hits + false)
    if abs(count - right) < 0.07:
        return None
    last = (
        "count pictures: 900 marked ones raise an alarm, and 1 % of 999,000 others. Which share "
        "of all these alarms are the 900? Times 100."
    )
    mistakes = (
        (90, "that is how many of 100 marked ones raise an alarm. Start from 100 alarms."),
        (99, "that is how many of 100 unmarked ones raise no alarm. Start from 100 alarms."),
        (1, "that is how many of 100 unmarked ones raise an alarm. Start from 100 alarms."),
        (10, "that is how many of 100 marked ones are missed. Start from 100 alarms."),
        (
            90 / 91 * 100,
            "that holds if as many pictures are marked as are not. Here one in 1,000 is.",
        ),
        (100 - right, "those are the false ones. How many are right?"),
        (
            100 * hits / false,
            "that is right alarms over false ones. Give right ones over all alarms.",
        ),
        (
            100 * 1000 / (1000 + false),
            "only 90 % of the 1,000 marked ones raise an alarm.",
        ),
        (right / 100, "that is the share. How many of 100 is that?"),
        (0.1, "that is how many of 100 pictures are marked, alarm or not."),
        (hits, "that is how many marked ones raise an alarm. Of how many alarms in all?"),
        (hits + false, "that is the number of all alarms. Which part of it is right?"),
        (false, "that is the number of false alarms. Add the right ones, and take the share."),
        (
            100 * 1000 / (hits + false),
            "only 90 % of the 1,000 marked ones raise an alarm.",
        ),
    )
    return match_mistake(count, mistakes, last, atol=0.006) or [
        "do not compute with shares of shares: how many of the 1,000,000 pictures raise an alarm, "
        "and how many of these are marked?",
        last,
    ]
