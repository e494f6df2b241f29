"""Checkers of lesson 03, reverse diffusion."""

import numpy as np
import torch

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("03.1")
def _skipped(noise_between):
    """noise_between(abar_clean, abar_noisy): the beta of one step that replaces many."""
    answer = float(answer_of(noise_between, 0.8, 0.32))
    last = "1 - abar_noisy / abar_clean."
    mistakes = (
        (
            0.48,
            "shares of variance multiply, they do not subtract: "
            "abar_noisy = abar_clean * (1 - beta).",
        ),
        (
            0.68,
            "that is all the noise since the very beginning. Some of it was there at abar_clean.",
        ),
        (0.4, "that is what the step leaves. How much noise does it bring?"),
        (
            2.5,
            "upside down: the cleaner side has the larger abar, and beta must lie between 0 and 1.",
        ),
        (
            -0.48,
            "shares of variance multiply, they do not subtract: "
            "abar_noisy = abar_clean * (1 - beta).",
        ),
        (
            -1.5,
            "upside down: the cleaner side has the larger abar, and beta must lie between 0 and 1.",
        ),
        (0.6**0.5, "that is the noise's standard deviation. beta is a variance."),
        (1 - 0.4**0.5, "abar is a share of variance already: no square root."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if abs(answer - 0.6) > 1e-6:
        return [
            "one step multiplies abar by 1 - beta. Which beta leads from abar_clean to abar_noisy?",
            last,
        ]
    if abs(float(answer_of(noise_between, 0.5, 0.5))) > 1e-6:
        return ["right for 0.8 and 0.32, but not for others: use both arguments.", last]
    return None


@exercise("03.2")
def _picture_from_v(picture_from_v):
    """picture_from_v(x_t, v, abar): x0, if v = sqrt(abar) noise - sqrt(1 - abar) x0."""
    x0, noise = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, -1.5]])
    abar = torch.tensor(0.36)
    x_t, v = 0.6 * x0 + 0.8 * noise, 0.6 * noise - 0.8 * x0
    answer = np.asarray(answer_of(picture_from_v, x_t, v, abar), dtype=float)
    last = "abar ** 0.5 * x_t - (1 - abar) ** 0.5 * v."
    mistakes = (
        (0.8 * x_t + 0.6 * v, "that is the noise. Get rid of the noise, and keep x0."),
        (0.6 * x_t + 0.8 * v, "nearly: look at the sign. The noise parts have to cancel."),
        (0.8 * x_t - 0.6 * v, "the two factors are swapped: with them the noise does not cancel."),
        (0.36 * x_t - 0.64 * v, "the factors are square roots: abar is a variance."),
        ((x_t - 0.8 * v) / 0.6, "that takes v for the noise. It holds some of x0 as well."),
        (0.8 * v - 0.6 * x_t, "nearly: that is x0 with its sign turned."),
        ((0.6 * x_t - 0.8 * v) / 0.6, "nothing is left to be divided by: (1 - abar) + abar is 1."),
        (0.6 * x_t, "where does v come in? It has to take the noise away."),
        (x_t - v, "x_t and v need factors before the noise in them cancels."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if answer.shape != x0.shape:
        return [f"the answer has shape {answer.shape}, the points have {tuple(x0.shape)}.", last]
    if np.allclose(answer, x0, atol=1e-5):
        return None
    return [
        "two equations, x_t and v, with two unknowns, x0 and the noise. "
        "Multiply each so that the noise cancels.",
        "x_t holds sqrt(1 - abar) noise and v holds sqrt(abar) noise: "
        "multiply each by the other's factor.",
        last,
    ]


@exercise("03.3")
def _short_chain(short_betas):
    """short_betas(T): T betas that leave as little of x0 as DDPM's 1000 betas do."""
    last = "T betas must bring what 1000 brought: multiply 1e-4 and 0.02 by 1000 / T."
    ends = {}
    for T in (50, 1000, 100):
        betas = np.asarray(answer_of(short_betas, T), dtype=float)
        if betas.shape != (T,):
            return [f"for T = {T} the answer has shape {betas.shape}: give T betas.", last]
        if betas.min() <= 0 or betas.max() >= 1:
            return [
                f"for T = {T} the betas run from {betas.min():.2g} to {betas.max():.2g}. "
                "A beta is a share of variance, between 0 and 1.",
                last,
            ]
        abar = (1 - betas).cumprod()
        ends[T] = abar[-1]
        if abar[T // 10 - 1] < 0.5 and ends[50] < 1e-3:
            return (
                [
                    f"right for T = 50, but with T = {T} it is all over after a tenth "
                    "of the chain: let the factor depend on T.",
                    last,
                ]
                if T != 50
                else [
                    "it does end in noise, but the first few steps destroy nearly everything: "
                    "start gently.",
                    last,
                ]
            )
    if ends[50] > 0.7:
        return [
            f"now {ends[50]:.2f} of the variance is left after 50 steps, more than before: "
            "the other way.",
            last,
        ]
    if ends[50] > 0.55:
        return [
            "nothing has changed for T = 50: print (1 - betas).prod() and compare it "
            "with T = 1000.",
            "1000 such betas add up to 10. And 50 of them?",
            last,
        ]
    if max(ends.values()) > 1e-3:
        T = max(ends, key=ends.get)
        return [
            f"better, but with T = {T} a share of {ends[T]:.2g} is still left at the end. "
            "After DDPM's thousand it is 0.00004.",
            last,
        ]
    return None
