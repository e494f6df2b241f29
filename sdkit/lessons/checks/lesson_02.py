"""Checkers of lesson 02, forward diffusion."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("02.1")
def _noise_of_two_steps(variance: Any) -> Hints:
    """variance: that of the noise after two steps of beta = 0.36."""
    variance = float(variance)
    if abs(variance - 0.5904) < 0.002:
        return None
    last = "0.64 * 0.64 of the picture's variance is left. The noise has the rest of 1."
    mistakes = (
        (0.72, "nearly: variances add up, but the second step weakens what the first one added."),
        (
            0.4096,
            "that is what is left of the picture's variance. How much is there for the noise?",
        ),
        (0.36, "that is the second step's noise alone. Some of the first step's is left, too."),
        (0.7684, "that is the noise's standard deviation. The variance is its square."),
        (
            0.64,
            "that is what one step leaves of the picture's variance. "
            "There are two, and the noise is asked for.",
        ),
        (
            0.2304,
            "that is what the second step leaves of the first one's noise. "
            "It also brings some of its own.",
        ),
        (
            0.1296,
            "0.36 * 0.36 is less than one step brings. What is multiplied are the shares that "
            "are left.",
        ),
        (0.8704, "1 - beta * beta: multiply what the steps leave, not what they bring."),
        (
            0.4896,
            "the second step keeps 1 - beta of the first one's noise, not beta of it.",
        ),
        (
            0.648,
            "a variance is multiplied by 1 - beta. Its root is the factor of the numbers.",
        ),
        (0.6, "that is the right number, rounded too far. Give three digits."),
        (1.0, "that is the variance of picture and noise together. How much of it is noise?"),
    )
    return match_mistake(variance, mistakes, last, atol=0.002) or [
        "each step leaves 1 - beta of the picture's variance. What is left after two?",
        "picture and noise together always have variance 1.",
        last,
    ]


@exercise("02.2")
def _rebuild(rebuild: Callable) -> Hints:
    """rebuild(x_t, noise, abar): x0, from DDPM's equation 4."""
    x0, noise = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, -1.5]])
    abar = torch.tensor(0.36)
    x_t = 0.6 * x0 + 0.8 * noise
    answer = np.asarray(answer_of(rebuild, x_t, noise, abar), dtype=float)
    last = (
        "x_t minus the noise with its factor is the picture with its factor. Divide by that factor."
    )
    mistakes = (
        (x_t - noise, "there is not a whole noise in x_t, and the picture in it is weakened."),
        (
            x_t - 0.8 * noise,
            "the noise is out. But the picture is still weakened: which factor does x0 have?",
        ),
        ((x_t - 0.64 * noise) / 0.36, "the factors are square roots: abar is a variance."),
        (
            (x_t - 0.8 * noise) / 0.36,
            "the factor before x0 is the square root of abar, not abar itself.",
        ),
        (
            (x_t - 0.8 * noise) / 0.8,
            "divided by the factor before the noise. Take the one before x0.",
        ),
        (
            x_t / 0.6 - 0.8 * noise,
            "the noise was subtracted after the division. Subtract first, then divide the rest.",
        ),
        ((x_t - 0.6 * noise) / 0.8, "the two factors are swapped: abar belongs to the picture."),
        (
            x_t - 0.8 * noise / 0.6,
            "only the noise was divided. Put the subtraction in brackets, and divide all of it.",
        ),
        (
            (x_t - 0.64 * noise) / 0.6,
            "the factor before the noise is the square root of 1 - abar, not 1 - abar itself.",
        ),
        (
            (x_t - 0.4 * noise) / 0.6,
            "the factor before the noise is (1 - abar) ** 0.5: first subtract, then the root.",
        ),
        ((x_t - noise) / 0.6, "there is not a whole noise in x_t: which factor does it have?"),
        ((x_t + 0.8 * noise) / 0.6, "look at the sign: the noise was added, so take it away."),
        (
            (x_t - 0.8 * noise) * 0.6,
            "the picture was weakened by the factor. To undo that, divide.",
        ),
        (x_t / 0.6, "that undoes the weakening, but the noise is still in it."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != x0.shape:
        return [f"the answer has shape {answer.shape}, the picture has {tuple(x0.shape)}.", last]
    if np.allclose(answer, x0, atol=1e-5):
        other = torch.tensor(0.19)
        x_t = other**0.5 * x0 + 0.9 * noise
        if np.allclose(np.asarray(answer_of(rebuild, x_t, noise, other)), x0, atol=1e-5):
            return None
        return ["right for abar = 0.36, but not for 0.19: use the argument.", last]
    return [
        "write down the line of add_noise and solve it for x0, as in school.",
        "first take the noise's part away, then undo the weakening.",
        last,
    ]


@exercise("02.3")
def _shifted(shifted: Callable) -> Hints:
    """shifted(abar, size, base=64): abar after the SNR is multiplied by (base / size)^2."""
    abar = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    answer = np.asarray(answer_of(shifted, abar, 256, 64), dtype=float)
    snr = (abar / (1 - abar)).numpy()
    if answer.shape != snr.shape:
        return [
            f"the answer has shape {answer.shape}, abar has {snr.shape}.",
            "everything goes elementwise: nothing is summed up.",
        ]
    last = (
        "call the new SNR s. The new abar solves s = abar / (1 - abar): "
        "multiply by 1 - abar, and bring abar to one side."
    )
    for wrong, hint in (
        (snr / 16, "that is the new SNR, not yet abar. Turn it back."),
        (abar / 16, "abar itself was multiplied. It is the SNR, abar / (1 - abar), that must be."),
        (
            snr / 4 / (1 + snr / 4),
            "the side counts twice, because a picture has two of them: square the ratio.",
        ),
        (snr * 16 / (1 + snr * 16), "the wrong way round: a larger picture needs a lower SNR."),
        (abar, "nothing has changed: where do base and size come in?"),
        (snr / 4, "that is an SNR, not yet abar, and the ratio has to be squared."),
        (10 * np.log10(snr / 16), "that is the new SNR in dB. Give abar."),
        (1 / (1 + snr / 16), "that is the noise's share, 1 - abar. Give the picture's."),
        (
            snr / 16 / (1 - snr / 16),
            "turning back: if snr = abar / (1 - abar), then abar is not snr / (1 - snr).",
        ),
        (
            1 / snr / 16 / (1 + 1 / snr / 16),
            "the SNR is upside down: the picture's variance over the noise's.",
        ),
        (0 * snr, "base // size is a whole number, here 0. Divide with /."),
        (
            abar.numpy() - 20 * np.log10(4),
            "decibels are for the SNR. abar is a share between 0 and 1.",
        ),
    ):
        if np.allclose(answer, wrong):
            return [hint, last]
    if not np.allclose(answer, snr / 16 / (1 + snr / 16)):
        return [
            "three moves: abar to SNR, multiply, SNR back to abar.",
            "to turn back, take the equation snr = abar / (1 - abar) and solve it for abar.",
            last,
        ]
    for size, base, factor in ((64, 32, 1 / 4), (32, 64, 4)):
        other = np.asarray(answer_of(shifted, abar, size, base), dtype=float)
        if not np.allclose(other, factor * snr / (1 + factor * snr)):
            return [
                "right for a base of 64 and a size of 256, "
                f"but not for a base of {base} and a size of {size}: use both arguments.",
                last,
            ]
    return None
