"""Checkers of lesson 16, edit, don't repaint."""

import math
from collections.abc import Callable

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("16.1")
def _step(step: Callable) -> Hints:
    """step(z, noise, abar, abar_next): DDIM's step from one noise level to another."""
    z, noise = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.25, 1.0, -1.5])

    def parts(abar: float, other: float) -> tuple[torch.Tensor, float, float]:
        return (z - (1 - abar) ** 0.5 * noise) / abar**0.5, other**0.5, (1 - other) ** 0.5

    abar, other = 0.64, 0.25
    x0, signal, rest = parts(abar, other)
    last = (
        "first z_0 = (z - sqrt(1 - abar) noise) / sqrt(abar), then "
        "sqrt(abar_next) z_0 + sqrt(1 - abar_next) noise."
    )
    given = z.clone(), noise.clone()
    answer = answer_of(step, *given, abar, other)
    if any(not torch.equal(a, b) for a, b in zip(given, (z, noise))):
        return ["one of the arguments itself was changed. Make a new tensor.", last]
    answer = torch.as_tensor(answer)
    if answer.shape != z.shape:
        return [f"the answer has shape {tuple(answer.shape)}, z has {tuple(z.shape)}.", last]
    wanted = signal * x0 + rest * noise
    back, up, down = (z - 0.6 * noise) / 0.8, abar**0.5, (1 - abar) ** 0.5
    mistakes = [
        (x0, "that is the picture that the network expects. Mix the noise in again."),
        (z, "nothing has moved. Use abar_next in the second formula."),
        (signal * x0, "that is the share of the picture. The noise of the new level is missing."),
        (rest * noise, "that is the share of the noise. The picture is missing."),
        (x0 + rest * noise, "the picture gets a factor of the new level, too."),
        (signal * z + rest * noise, "z still has its old noise in it. Take the picture out first."),
        (other * x0 + (1 - other) * noise, "abar is a share of the variance: take its root."),
        (
            other**0.5 * (z - (1 - abar) * noise) / abar + rest * noise,
            "abar is a share of the variance: take its root.",
        ),
        (rest * x0 + signal * noise, "the two factors have changed places."),
        (signal * x0 - rest * noise, "the sign: the noise is added at the new level."),
        (
            signal * (z + down * noise) / up + rest * noise,
            "the sign: the noise is taken away at the old level.",
        ),
        (signal * (z - down * noise) + rest * noise, "divide by sqrt(abar) to get the picture."),
        (signal * back + down * noise, "the noise has the factor of the old level still."),
        (up * back + rest * noise, "the picture has the factor of the old level still."),
        (
            up * (z - rest * noise) / signal + down * noise,
            "the two levels have changed places: abar is where z is.",
        ),
    ]
    if not torch.allclose(answer, wanted.to(answer), atol=1e-4):
        return match_mistake(answer, mistakes, last, atol=1e-4) or [
            "take the picture out of z at the level abar, then add noise for abar_next.",
            last,
        ]
    for abar, other in ((0.2, 0.9), (1.0, 0.5)):
        x0, signal, rest = parts(abar, other)
        again = torch.as_tensor(answer_of(step, z, noise, abar, other))
        if not torch.allclose(again, (signal * x0 + rest * noise).to(again), atol=1e-4):
            return [f"right for one pair of levels, but not from {abar} to {other}.", last]
    return None


@exercise("16.2")
def _mixed(mixed: Callable) -> Hints:
    """mixed(old, new, partner): maps (places, L), borrowed where the word has a partner."""
    old = torch.arange(12.0).reshape(3, 4) / 10
    new = 5 + torch.arange(15.0).reshape(3, 5) / 10
    partner = [0, None, 2, 1, 3]
    wanted = torch.stack(
        [new[:, j] if k is None else old[:, k] for j, k in enumerate(partner)], dim=1
    )
    last = "for each new word j: the column old[:, partner[j]], or new[:, j] where that is None."
    given = old.clone(), new.clone(), list(partner)
    answer = answer_of(mixed, *given)
    if not torch.equal(given[0], old) or given[2] != partner:
        return ["old or partner was changed. Make a new tensor.", last]
    if isinstance(answer, (list, tuple)):
        return ["give one tensor (places, L): stack the columns along dim 1.", last]
    answer = torch.as_tensor(answer)
    if answer.shape == wanted.T.shape:
        return ["that has words as rows. Stack along dim 1: (places, L).", last]
    if answer.shape != wanted.shape:
        return [f"the answer has shape {tuple(answer.shape)}, not (places, L).", last]
    filled = [0 if k is None else k for k in partner]
    mistakes = [
        (new, "nothing was borrowed."),
        (old[:, filled], "None was taken for word 0. A new word keeps its own map."),
        (
            torch.where(torch.tensor([k is None for k in partner]), 0, wanted),
            "a new word keeps its own map; yours has none.",
        ),
        (
            torch.stack(
                [new[:, j] if k is None else old[:, min(j, 3)] for j, k in enumerate(partner)], 1
            ),
            "the place in the new sentence is not the place in the old one: use partner[j].",
        ),
        (
            torch.stack([new[:, j] if not k else old[:, k] for j, k in enumerate(partner)], 1),
            "partner 0 is a partner, too: ask whether it `is None`.",
        ),
        ((wanted + new) / 2, "that mixes both maps. Borrow the whole column."),
    ]
    if not torch.allclose(answer, wanted, atol=1e-5):
        return match_mistake(answer, mistakes, last) or [
            "go through partner: one column of old, or one of new, for each word.",
            last,
        ]
    one = answer_of(mixed, old[:1, :2].clone(), new[:1, :2].clone(), [None, 0])
    if not torch.allclose(torch.as_tensor(one), torch.tensor([[5.0, 0.0]]), atol=1e-5):
        return ["right for three places, but not for one place and two words.", last]
    return None


@exercise("16.3")
def _psnr_where(psnr_where: Callable) -> Hints:
    """psnr_where(image, truth, where): PSNR in dB over the pixels of a mask."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    where = np.zeros((6, 8), bool)
    where[1:3, 2:7] = True
    last = (
        "turn both into floats, take image[where] - truth[where], the mean of the squares, and "
        "10 log10(255**2 / that)."
    )
    answer = float(answer_of(psnr_where, image.copy(), truth.copy(), where.copy()))

    def db(error: float) -> float:
        return 10 * math.log10(255**2 / error)

    difference = image.astype(float) - truth
    inside = (difference[where] ** 2).mean()
    wrapped = ((image - truth)[where].astype(float) ** 2).mean()
    narrow = ((image[where] - truth[where]) ** 2).mean()
    wanted = db(inside)
    mistakes = [
        (db((difference**2).mean()), "that is over all pixels. Which ones does the mask name?"),
        (db((difference[~where] ** 2).mean()), "those are the pixels outside the mask."),
        (
            db(((difference * where[..., None]) ** 2).mean()),
            "zeros outside the mask count as right pixels. Pick with [where].",
        ),
        (db(wrapped), "8-bit numbers have no minus: 3 - 5 is 254. Turn them into floats first."),
        (db(narrow), "8-bit numbers have no minus: 3 - 5 is 254. Turn them into floats first."),
        (-wanted, "upside down: the largest square, 255², is divided by the error."),
        (wanted / 10, "decibels are ten times the logarithm."),
        (2 * wanted, "10, not 20: the error is a square already."),
        (10 * math.log10(255 / inside), "255 is squared, too."),
        (10 * math.log10(1 / inside), "the numbers run to 255 here, not to 1."),
        (10 * math.log(255**2 / inside), "the logarithm is to base 10."),
        (db(np.abs(difference[where]).mean()), "square the differences before the mean."),
        (db(difference[where].mean() ** 2), "first the square, then the mean."),
        (db((difference[where] ** 2).sum()), "the mean of the squares, not their sum."),
        (inside, "that is the error itself. How many decibels?"),
    ]
    if not math.isclose(answer, wanted, abs_tol=1e-3):
        return match_mistake(answer, mistakes, last, atol=1e-3) or [
            "over the masked pixels only: mean square error, then decibels.",
            last,
        ]
    again = answer_of(psnr_where, image / 2, truth / 2, ~where)
    if not math.isclose(float(again), db((difference[~where] ** 2).mean() / 4), abs_tol=1e-3):
        return ["right for one mask, but not for floats and another mask.", last]
    return None
