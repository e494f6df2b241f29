"""Checkers of lesson 05, VAE latents."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sdkit.lessons.checks import Hints, answer_of, exercise, match_mistake


@exercise("05.1")
def _times_fewer(times: Any) -> Hints:
    """times: how many RGB numbers there are for each latent number, for f = 8, 16 channels."""
    times = float(times)
    if abs(times - 12) < 0.01:
        return None
    last = "a patch of 8 * 8 pixels has 3 * 8 * 8 numbers, and 16 are kept of them. Divide."
    mistakes = (
        (48, "that is for 4 channels. Here 16 are kept."),
        (64, "that is how many times fewer positions. Count the channels, too."),
        (4, "a pixel has three numbers, not one."),
        (1.5, "the side shrinks by 8, so the area shrinks by 8 * 8."),
        (1 / 12, "upside down: the picture's numbers over the latents'."),
        (6, "that is our VAE, with f = 4 and 8 channels. Here f is 8, and 16 channels are kept."),
        (192, "those are the numbers in one patch. How many are left of them?"),
        (8, "that is how much shorter the side gets. Count numbers: width, height, channels."),
        (16, "that is how many channels there are. How many numbers does one position replace?"),
        (
            0.5,
            "count 3 numbers for each of the 8 * 8 pixels, not for 8 pixels alone, over 16.",
        ),
        (36, "the three colours are counted twice: 3 * 8 * 8 numbers become 16."),
    )
    return match_mistake(times, mistakes, last, atol=0.01) or [
        "take one patch of 8 x 8 pixels: how many numbers go in, how many come out?",
        last,
    ]


@exercise("05.2")
def _paste(paste: Callable) -> Hints:
    """paste(target, source, top, left, side, f=4): copy a square, given in pixels, in latents."""
    source = torch.arange(1.0, 129).reshape(1, 2, 8, 8)
    target = -source
    wanted = target.clone()
    wanted[:, :, 2:4, 4:6] = source[:, :, 2:4, 4:6]
    given = target.clone()
    answer = torch.as_tensor(answer_of(paste, given, source, 8, 16, 8))
    last = (
        "a pixel number divided by f is a latent row or column. Compute the first and the last "
        "row, the first and the last column, and assign that part of source to a clone."
    )
    if answer.shape != wanted.shape:
        return [
            f"the answer has shape {tuple(answer.shape)}, target has {tuple(wanted.shape)}.",
            last,
        ]
    if not torch.equal(given, target):
        return ["target itself was changed. Work on target.clone().", last]
    if not torch.equal(answer, wanted):
        changed = (answer != target).any(1)[0].nonzero().tolist()
        if not changed:
            return [
                "nothing has moved: are the pixel numbers divided by f, "
                "and do the slices stand at the last two axes, each from its start // f "
                "to (start + side) // f?",
                last,
            ]
        if torch.equal(answer[:, :, 4:6, 2:4], source[:, :, 4:6, 2:4]) and len(changed) == 4:
            return ["rows and columns are swapped: top counts rows, which come first.", last]
        if torch.equal(answer, torch.where(wanted == target, 0, wanted)):
            return ["outside the square, target should be as before.", last]
        if torch.equal(answer[:, :, 2:4, 4:6], source[:, :, :2, :2]):
            return [
                "that copies the upper left corner of source. "
                "Copy from where it is put, top and left.",
                last,
            ]
        if torch.equal(answer[:, :, 2:4, 4:6], target[:, :, 2:4, 4:6]) and len(changed) == 60:
            return [
                "source and target are exchanged: what is around the square comes from target.",
                last,
            ]
        if changed == [[2, 4], [2, 5], [3, 4], [3, 5]]:
            return [
                "the place is right. But there should be the numbers of source, "
                "from the same rows and columns.",
                last,
            ]
        if len(changed) == 9 and changed[0] == [2, 4]:
            return ["one row and one column too many: a slice ends before its end.", last]
        if len(changed) > 4 and changed[0] == [2, 4]:
            return ["the corner is right, the square is too large: side is in pixels, too.", last]
        return [
            "divide top, left and side by f; then it is a slice of rows and one of columns.",
            last,
        ]
    wanted = target.clone()
    wanted[:, :, 1:3, :2] = source[:, :, 1:3, :2]
    if not torch.equal(
        torch.as_tensor(answer_of(paste, target.clone(), source, 8, 0, 16, 8)), wanted
    ):
        return ["right for f = 4, but not for f = 8: use the argument f.", last]
    source = torch.arange(1.0, 2 * 3 * 4 * 10 + 1).reshape(2, 3, 4, 10)
    target, wanted = -source, -source
    wanted[:, :, 1:3, 7:9] = source[:, :, 1:3, 7:9]
    other = torch.as_tensor(answer_of(paste, target.clone(), source, 4, 28, 8))
    if not torch.equal(other, wanted):
        return [
            "right for one picture of 8 x 8 latents, but not for two of 4 x 10: "
            "keep all pictures and channels, and use the arguments.",
            last,
        ]
    return None


@exercise("05.3")
def _scaling_factor(scaling_factor: Callable) -> Hints:
    """scaling_factor(raw): 1 / (standard deviation of all raw latents)."""
    generator = torch.Generator().manual_seed(0)
    spreads = torch.tensor([6.0, 2.0, 0.5])[:, None, None]  # of three channels
    raw = spreads * torch.randn(2, 3, 8, 8, generator=generator)
    raw += torch.tensor([6.0, 1.0, -1.0])[:, None, None]  # the channels' means
    raw[1] *= 2  # a picture with stronger contrast
    answer = np.asarray(answer_of(scaling_factor, raw.clone()), dtype=float)
    last = "the spread of all numbers together is raw.std(). Multiplying by c multiplies it by c."
    if answer.shape:
        return [f"give one number for all channels; that has shape {answer.shape}.", last]
    std = float(raw.std())
    mistakes = (
        (std, "that is the spread itself. By what must it be multiplied to become one?"),
        (1 / std**2, "that is one over the variance. Multiplying by c changes the deviation by c."),
        (std**2, "that is the variance. Give a factor that makes the deviation one."),
        (1 / float(raw.mean()), "it is the spread that should become one, not the mean."),
        (1 / float(raw.abs().mean()), "take the standard deviation, not the mean size."),
        (1 / float(raw.abs().max()), "one extreme value would decide. Take the spread of all."),
        (1 / float(raw.max() - raw.min()), "two extreme values would decide. Take the deviation."),
        (1 / float(raw.square().mean() ** 0.5), "take the deviation from the mean."),
        (
            1 / float(raw.var((0, 2, 3)).mean() ** 0.5),
            "that takes each channel by itself. Take the spread of all numbers together.",
        ),
        (
            1 / float((raw - raw.mean((0, 2, 3), keepdim=True)).std()),
            "that leaves out how far the channels are apart. Take the spread of all numbers.",
        ),
        (
            1 / float(raw.std((0, 2, 3)).mean()),
            "that is the mean over the channels. Take the spread of all numbers together.",
        ),
        (
            float((1 / raw.std((0, 2, 3))).mean()),
            "that is the mean over the channels. Take the spread of all numbers together.",
        ),
        (
            1 / float(raw.std((1, 2, 3)).mean()),
            "that is the mean over the pictures. Take the spread of all numbers together.",
        ),
        (1 / float(raw[0].std()), "that looks at the first picture alone. Take all pictures."),
        (
            1 / float(raw[:, 0].std()),
            "that looks at the first channel alone. Take all channels.",
        ),
        (0.18215, "that is the factor of Stable Diffusion's VAE. Compute the one of raw."),
    )
    if hints := match_mistake(answer, mistakes, last, atol=1e-4):
        return hints
    if not np.isclose(answer, 1 / std, rtol=0.01):
        return ["after multiplying, the standard deviation of all numbers should be 1.", last]
    return None
