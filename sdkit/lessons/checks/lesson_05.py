"""Checkers of lesson 05, VAE latents."""

import numpy as np
import torch

from sdkit.lessons.checks import answer_of, exercise, match_mistake


@exercise("05.1")
def _times_fewer(times):
    """times: how many RGB numbers there are for each latent number, for f = 8, 16 channels."""
    times = float(times)
    if abs(times - 12) < 0.01:
        return None
    last = "a patch of 8 * 8 pixels has 3 * 8 * 8 numbers; compute 192 / 16."
    mistakes = (
        (48, "that is for 4 channels. Here 16 are kept."),
        (64, "that is how many times fewer positions. Count the channels, too."),
        (4, "a pixel has three numbers, not one."),
        (1.5, "the side shrinks by 8, so the area shrinks by 8 * 8."),
        (1 / 12, "upside down: the picture's numbers over the latents'."),
        (6, "that is our VAE, with f = 4 and 8 channels. Here f is 8, and 16 channels are kept."),
        (192, "those are the numbers in one patch. How many are left of them?"),
        (8, "that is how much shorter the side gets. Count numbers: width, height, channels."),
    )
    return match_mistake(times, mistakes, last, atol=0.01) or [
        "take one patch of 8 x 8 pixels: how many numbers go in, how many come out?",
        last,
    ]


@exercise("05.2")
def _paste(paste):
    """paste(target, source, top, left, side, f=4): copy a square, given in pixels, in latents."""
    source = torch.arange(1.0, 129).reshape(1, 2, 8, 8)
    target = -source
    wanted = target.clone()
    wanted[:, :, 2:4, 4:6] = source[:, :, 2:4, 4:6]
    given = target.clone()
    answer = torch.as_tensor(answer_of(paste, given, source, 8, 16, 8))
    last = (
        "rows top // f to (top + side) // f, columns left // f to (left + side) // f, "
        "of target.clone()."
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
    return None


@exercise("05.3")
def _scaling_factor(scaling_factor):
    """scaling_factor(raw): 1 / (standard deviation of all raw latents)."""
    raw = torch.tensor([0.0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 30, -20]).reshape(2, 2, 3, 1)
    answer = np.asarray(answer_of(scaling_factor, raw), dtype=float)
    last = "1 / raw.std()."
    if answer.shape:
        return [f"wanted is one number for all channels; that has shape {answer.shape}.", last]
    std = float(raw.std())
    mistakes = (
        (std, "that is the spread itself. By what must it be multiplied to become one?"),
        (1 / std**2, "that is one over the variance. Multiplying by c changes the deviation by c."),
        (std**2, "that is the variance. Wanted is a factor that makes the deviation one."),
        (1 / float(raw.mean()), "it is the spread that should become one, not the mean."),
        (1 / float(raw.abs().max()), "one extreme value would decide. Take the spread of all."),
        (1 / float(raw.square().mean() ** 0.5), "take the deviation from the mean."),
    )
    if hints := match_mistake(answer, mistakes, last):
        return hints
    if not np.isclose(answer, 1 / std, rtol=0.06):
        return ["after multiplying, the standard deviation of all numbers should be 1.", last]
    return None
