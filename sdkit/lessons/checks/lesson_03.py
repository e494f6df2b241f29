"""Checkers of lesson 03, reverse diffusion."""

from collections.abc import Callable

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("03.1")
def _skipped(noise_between: Callable) -> Hints:
    """noise_between(abar_clean, abar_noisy): the beta of one step that replaces many."""
    answer = float(answer_of(noise_between, 0.8, 0.32))
    last = "abar_noisy = abar_clean * (1 - beta). Solve this equation for beta."
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
        (0.2, "that is the noise at the cleaner level. How much does this one step bring?"),
        (0.256, "multiplying the two levels is what two steps from the start would leave."),
        (0.744, "multiplying the two levels is what two steps from the start would leave."),
        (
            float(np.log(2.5)),
            "the logarithm adds up many small betas. This is one long step.",
        ),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if abs(answer - 0.6) > 1e-6:
        return [
            "one step multiplies abar by 1 - beta. Which beta leads from abar_clean to abar_noisy?",
            last,
        ]
    for clean, noisy in ((0.9, 0.5), (0.5, 0.5)):
        if abs(float(answer_of(noise_between, clean, noisy)) - 1 + noisy / clean) > 1e-6:
            return [
                f"right for 0.8 and 0.32, but not for {clean} and {noisy}: "
                "use both arguments, and do not round.",
                last,
            ]
    return None


@exercise("03.2")
def _picture_from_v(picture_from_v: Callable) -> Hints:
    """picture_from_v(x_t, v, abar): x0, if v = sqrt(abar) noise - sqrt(1 - abar) x0."""
    x0, noise = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, -1.5]])
    abar = torch.tensor(0.36)
    x_t, v = 0.6 * x0 + 0.8 * noise, 0.6 * noise - 0.8 * x0
    answer = np.asarray(answer_of(picture_from_v, x_t, v, abar), dtype=float)
    last = (
        "multiply x_t by the root of abar, and v by the root of 1 - abar. "
        "Now both hold the same noise, so subtract."
    )
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
        other = torch.tensor(0.19)
        signal, strength = other**0.5, (1 - other) ** 0.5
        x_t, v = signal * x0 + strength * noise, signal * noise - strength * x0
        if np.allclose(np.asarray(answer_of(picture_from_v, x_t, v, other)), x0, atol=1e-5):
            return None
        return ["right for abar = 0.36, but not for 0.19: use the argument.", last]
    return [
        "two equations, x_t and v, with two unknowns, x0 and the noise. "
        "Multiply each so that the noise cancels.",
        "x_t holds sqrt(1 - abar) noise and v holds sqrt(abar) noise: "
        "multiply each by the other's factor.",
        last,
    ]


@exercise("03.3")
def _short_chain(short_betas: Callable) -> Hints:
    """short_betas(T): T betas that leave as little of x0 as DDPM's 1000 betas do."""
    last = (
        "The sum of the betas says about how much noise they bring. DDPM's 1000 betas add up to "
        "10. If there are fewer steps, how much larger must each beta be?"
    )
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
        lost = -np.diff(abar, prepend=1.0)
        if lost.max() > 0.2:
            return [
                f"for T = {T}, step {lost.argmax() + 1} alone destroys {lost.max():.0%} of the "
                "variance. A network cannot learn so long a step back: "
                "spread the noise over all steps.",
                last,
            ]
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
        T = max(ends, key=ends.__getitem__)
        return [
            f"better, but with T = {T} a share of {ends[T]:.2g} is still left at the end. "
            "After DDPM's thousand it is 0.00004.",
            last,
        ]
    return None
