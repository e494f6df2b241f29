"""Checkers of lesson 01, GANs and their limits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("01.1")
def _loss_of_discriminator(loss: Callable) -> Hints:
    """discriminator_loss(p_real, p_fake): -log p_real - log(1 - p_fake), each averaged."""
    p_real, p_fake = torch.tensor([0.9, 0.6, 0.5, 0.8]), torch.tensor([0.2, 0.4, 0.3, 0.25])
    answer = np.asarray(answer_of(loss, p_real, p_fake), dtype=float)
    last = (
        "minus the mean of the logarithms for the real batch, minus the same for the fake batch. "
        "For a fake sample the right verdict has the probability 1 - p_fake."
    )
    if answer.shape:
        return [
            f"the loss is one number; that has shape {answer.shape}. Average over the batch.",
            last,
        ]
    real, fake = p_real.log(), (1 - p_fake).log()
    right = float(-real.mean() - fake.mean())
    two_real, two_fake = torch.tensor([0.7, 0.3]), torch.tensor([0.1, 0.6])
    mistakes = (
        (-right, "that is what D wants to be large. A loss is lowered: turn the sign."),
        (
            -real.mean(),
            "that is the half about the real samples. What should D say of the fake ones?",
        ),
        (
            -fake.mean(),
            "that is the half about the fake samples. What should D say of the real ones?",
        ),
        (
            -real.mean() - p_fake.log().mean(),
            "for a fake sample, D should say 1 - p_fake with certainty, not p_fake.",
        ),
        (
            -(1 - p_real).log().mean() - p_fake.log().mean(),
            "real and fake are swapped: that D would call fakes real.",
        ),
        (-p_fake.log().mean(), "that is the generator's loss. D's has two terms."),
        (-real.sum() - fake.sum(), "sums grow with the batch. Take means."),
        (right / 2, "half of it. It would train as well, but equation 1 adds the two averages."),
        (
            -real.mean() + fake.mean(),
            "one of the two signs is wrong: both logarithms should become large.",
        ),
        (
            real.mean() - fake.mean(),
            "one of the two signs is wrong: both logarithms should become large.",
        ),
        (
            1 - p_real.mean() + p_fake.mean(),
            "the direction is right, but where are the logarithms?",
        ),
        (p_fake.mean() - p_real.mean(), "the direction is right, but where are the logarithms?"),
        (
            (1 - p_real).square().mean() + p_fake.square().mean(),
            "those are squared errors. Use logarithms.",
        ),
        (
            -p_real.mean().log() - (1 - p_fake).mean().log(),
            "first the logarithm of each, then the average.",
        ),
        (right / np.log(2), "take the natural logarithm, as log() does."),
        (right / np.log(10), "take the natural logarithm, as log() does."),
        (
            softplus(-p_real).mean() + softplus(p_fake).mean(),
            "softplus wants scores. These are probabilities already: take their logarithms.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.isclose(answer, right, atol=1e-5):
        return [
            "two terms: certainty about the real samples, and certainty about the fake ones.",
            "the loss of a sample is minus the log of the probability of the right verdict.",
            last,
        ]
    of_two = float(-two_real.log().mean() - (1 - two_fake).log().mean())
    if not np.isclose(float(answer_of(loss, two_real, two_fake)), of_two, atol=1e-5):
        return [
            "right for a batch of 4, but not for one of 2: divide by the size of the batch.",
            ".mean() divides by the right number for every batch.",
        ]
    return None


@exercise("01.2")
def _covered(covered: Callable) -> Hints:
    """covered(x, centres, sigma): the number of modes with a sample within 3 sigma."""
    sigma = 0.1
    # Ten modes in a row, 2 apart. These are the distances of the nearest samples of modes 0 to 8.
    # Mode 9 has no sample. Each wrong limit covers another number of modes.
    offsets = [
        (0.01, 0),
        (0.05, 0),
        (0, 0.095),
        (0.12, 0),
        (0, 0.18),
        (0.25, 0),
        (0.45, 0),
        (0.27, 0.27),  # each coordinate within 3 sigma, the distance not
        (0, 0.8),
    ]
    centres = torch.tensor([[2.0 * k, 0] for k in range(10)])
    x = centres[:9] + torch.tensor(offsets)
    more = torch.tensor([[0, 0.02], [-0.01, 0.01], [0.02, 0], [0, -0.01], [0.01, -0.02]])
    x = torch.cat([x, more])  # five more samples at mode 0
    given = answer_of(covered, x, centres, sigma)
    if isinstance(given, (bool, np.bool_)) or getattr(given, "dtype", None) == torch.bool:
        return [
            "that says yes or no. How many modes are covered?",
            "say for each mode whether it is covered, then count the modes with a yes.",
        ]
    answer = np.asarray(given, dtype=float)
    last = (
        "for each sample take the distance to its nearest mode, and the number of that mode. Keep "
        "the numbers whose distance is at most 3 sigma. How many different numbers are there?"
    )
    if answer.shape:
        return [f"give one number, how many modes; that has shape {answer.shape}.", last]
    mistakes = (
        (9, "near some mode is not enough: within 3 sigma."),
        (3, "within one sigma is too strict. The protocol says three."),
        (5, "within two sigma is too strict. The protocol says three."),
        (11, "that counts samples. Several of them are at the same mode: count modes."),
        (10, "that is how many modes there are. How many were hit?"),
        (1, "sigma is a distance already. Compare the distance with 3 * sigma, without a square."),
        (8, "is 3 sigma compared with the distance, the root of the sum of squares?"),
        (2, "is 9 sigma squared compared with the distance? Square both or neither."),
        (4, "0.15 is 3 sigma on the lesson's grid only. Use the argument sigma."),
        (7, "a distance is the root of the sum of squares, not the larger of two coordinates."),
        (11 / 14, "that is the share of good samples. Count modes."),
        (0.6, "that is a share of the modes. Count them."),
    )
    if answer == 4 and float(answer_of(covered, x, centres, 0.02)) == 8:
        return ["those are the modes without a sample. How many are covered?", last]
    if hints := match_mistake(answer, mistakes, last, atol=1e-6):
        return hints
    if not np.isclose(answer, 6):
        return [
            "for each sample: which centre is nearest, and how far is it?",
            "keep the samples that are near enough, and count the different centres among them.",
            last,
        ]
    if not np.isclose(float(answer_of(covered, x, centres, 0.02)), 2):
        return ["right for sigma = 0.1, but not for another: use the argument.", last]
    if not np.isclose(float(answer_of(covered, x[:3], centres[:2], sigma)), 2):
        return ["right for 14 samples and 10 modes, but not for 3 and 2: use their shapes.", last]
    if float(answer_of(covered, torch.tensor([[0.2, 0.2]]), centres, sigma)) != 1:
        return [
            "a sample 0.2 to the right and 0.2 above a mode is near enough: its distance is 0.28. "
            "A distance is the root of the sum of squares, not the sum of the sizes.",
            last,
        ]
    return None


@exercise("01.3")
def _best_discriminator(best: Any) -> Hints:
    """best_discriminator(p, q): p / (p + q) (Goodfellow et al. 2014, equation 2)."""
    p, q = torch.tensor([0.4, 0.1, 0.0, 0.3]), torch.tensor([0.1, 0.1, 0.5, 0.9])
    answer = np.asarray(answer_of(best, p, q), dtype=float)
    last = (
        "of all the samples that fall here, p + q, which part is real? A share is part over whole."
    )
    if answer.shape != (4,):
        return [
            f"the answer has shape {answer.shape}, p has (4,): one verdict for each place.",
            last,
        ]
    mistakes = (
        (
            p,
            "that is how often real samples fall here. Among all that fall here, "
            "which share is real?",
        ),
        (p / q, "that is the odds, real against fake. Turn them into a probability."),
        (q / p, "that is the odds, fake against real. Turn them round, and into a probability."),
        (q / (p + q), "that is the probability of fake."),
        (
            (p >= q).float(),
            "that is the best yes or no. D gives a probability, 0.5 where it cannot tell.",
        ),
        (
            (p > q).float(),
            "that is the best yes or no. D gives a probability, 0.5 where it cannot tell.",
        ),
        (
            p - q,
            "a probability is never negative: count, of 100 samples seen here, how many are real.",
        ),
        ((p - q + 1) / 2, "between 0 and 1 now, but where q = 0 and p > 0, D should be certain."),
        (p / (1 + p), "q does not come in. Where fakes are frequent, D should be careful."),
        (
            p / (p.sum() + q.sum()),
            "that divides by the sum over all places. D judges each place alone.",
        ),
        (
            p**2 / (p**2 + q**2),
            "p and q are densities already. Why the squares?",
        ),
        (
            p.exp() / (p.exp() + q.exp()),
            "p and q are densities already, so no exponential. Where p = 0, D should say 0.",
        ),
        (
            (p / (p + q)).round(),
            "that is the best yes or no. D gives a probability, 0.5 where it cannot tell.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.allclose(answer, p / (p + q), atol=1e-5):
        return [
            "100 real and 100 fake samples: about how many of each fall into this place?",
            "in proportion p to q. And the share of the real ones among them?",
            last,
        ]
    one = np.asarray(answer_of(best, p[:1], q[3:]), dtype=float)
    if one.shape != (1,) or not np.allclose(one, 0.4 / 1.3, atol=1e-5):
        return ["right for four places, but not for one: use nothing but p and q.", last]
    return None
