"""Checkers of lesson 01, GANs and their limits."""

import numpy as np
import torch
from torch.nn.functional import softplus

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("01.1")
def _loss_of_discriminator(loss):
    """discriminator_loss(p_real, p_fake): -log p_real - log(1 - p_fake), each averaged."""
    p_real, p_fake = torch.tensor([0.9, 0.6, 0.5, 0.8]), torch.tensor([0.2, 0.4, 0.3, 0.25])
    answer = np.asarray(answer_of(loss, p_real, p_fake), dtype=float)
    last = "-p_real.log().mean() - (1 - p_fake).log().mean()."
    if answer.shape:
        return [
            f"the loss is one number; that has shape {answer.shape}. Average over the batch.",
            last,
        ]
    real, fake = p_real.log(), (1 - p_fake).log()
    right = float(-real.mean() - fake.mean())
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
            "those are squared errors. Wanted are logarithms.",
        ),
        (
            -p_real.mean().log() - (1 - p_fake).mean().log(),
            "first the logarithm of each, then the average.",
        ),
        (right / np.log(2), "take the natural logarithm, as log() does."),
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
    return None


@exercise("01.2")
def _covered(covered):
    """covered(x, centres, sigma): the number of modes with a sample within 3 sigma."""
    centres, sigma = torch.tensor([[0.0, 0], [2, 0], [4, 0], [6, 0], [8, 0]]), 0.1
    # five within 1 sigma of a mode
    x = torch.tensor(
        [
            [0.01, 0],
            [0, 0.02],
            [0.05, 0.03],
            [-0.02, 0],
            [0, -0.04],
            [2.18, 0.17],  # within 3 sigma of another
            [4.22, 0.25],
            [6.0, 0.6],
            [6.9, 0.3],
        ]
    )  # too far from theirs
    answer = np.asarray(answer_of(covered, x, centres, sigma), dtype=float)
    last = "d, i = torch.cdist(x, centres).min(1), then len(i[d <= 3 * sigma].unique())."
    if answer.shape:
        return [f"wanted is one number, how many modes; that has shape {answer.shape}.", last]
    mistakes = (
        (4, "near some mode is not enough: within 3 sigma."),
        (1, "within one sigma is too strict. The protocol says three."),
        (6, "that counts good samples. Several of them fell on the same mode."),
        (5, "that is how many modes there are. How many were hit?"),
        (3, "is 3 sigma compared with the distance, the root of the sum of squares?"),
        (6 / 9, "that is the share of good samples. Count modes."),
        (0.4, "that is a share of the modes. Count them."),
    )
    if hints := match_mistake(answer, mistakes, last, atol=1e-6):
        return hints
    if not np.isclose(answer, 2):
        return [
            "for each sample: which centre is nearest, and how far is it?",
            "keep the samples that are near enough, and count the different centres among them.",
            last,
        ]
    if not np.isclose(float(answer_of(covered, x, centres, 0.02)), 1):
        return ["right for sigma = 0.1, but not for another: use the argument.", last]
    return None


@exercise("01.3")
def _best_discriminator(best):
    """best_discriminator(p, q): p / (p + q) (Goodfellow et al. 2014, equation 2)."""
    p, q = torch.tensor([0.4, 0.1, 0.0, 0.3]), torch.tensor([0.1, 0.1, 0.5, 0.9])
    answer = np.asarray(answer_of(best, p, q), dtype=float)
    last = "p / (p + q)."
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
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.allclose(answer, p / (p + q), atol=1e-5):
        return [
            "100 real and 100 fake samples: about how many of each fall into this place?",
            "in proportion p to q. And the share of the real ones among them?",
            last,
        ]
    return None
