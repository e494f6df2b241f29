"""How pictures look: texture, pixels at the end of the scale, and how far colours have moved."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from sdkit.evaluate import metrics

GREY = 3.0  # below this chroma in CIELAB a colour counts as grey

Box = Sequence[float] | np.ndarray  # left, top, right and bottom edge in px


def summary(images: Sequence[Image.Image], short_side: int = 256) -> dict[str, float]:
    """Figures of some pictures: octave ratio at 256 px and at ``short_side``, and clipped shares.

    The octave ratio (`metrics.octave_ratio`) is the median over the pictures. It leaves out
    pictures smaller than the short side, because enlarged ones have no fine contrast. The clipped
    share (`metrics.clipped_share`) is the mean over the pictures, and that of the worst one.
    """
    figures = {}
    for side in sorted({256, short_side}):
        ratios = [metrics.octave_ratio(image, side) for image in images if min(image.size) >= side]
        if ratios:
            figures[f"octave ratio, {side} px"] = round(float(np.median(ratios)), 3)
    shares = [metrics.clipped_share(image) for image in images]
    if shares:
        figures["clipped share"] = round(float(np.mean(shares)), 4)
        figures["clipped share, worst picture"] = round(max(shares), 4)
    return figures


def middle(box: Box) -> tuple[float, float, float, float]:
    """The middle half of a box in each direction: of a face, mostly skin."""
    left, top, right, bottom = box
    across, down = (right - left) / 4, (bottom - top) / 4
    return left + across, top + down, right - across, bottom - down


def mean_lab(image: Image.Image, box: Box) -> np.ndarray:
    """The mean colour (3,) in CIELAB of a box in an RGB picture: L* in 0 to 100, a* and b*.

    Parts of the box outside the picture do not count; the box has at least one pixel.
    """
    from skimage.color import rgb2lab

    left, top, right, bottom = (round(float(edge)) for edge in box)
    left, top = min(max(left, 0), image.width - 1), min(max(top, 0), image.height - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return rgb2lab(np.asarray(image)[top:bottom, left:right]).mean((0, 1))


def colour_shift(
    photograph: Image.Image, styled: Image.Image, box: Box
) -> tuple[float | None, float]:
    """How the mean colour of a box has moved between two pictures of one size: (hue, distance).

    hue : degrees that the hue angle atan2(b*, a*) has turned, -180 to 180; from red (a*) towards
        yellow (b*) it is positive. None if one of both colours is nearly grey.
    distance : the distance in CIELAB (CIE76).
    """
    before, after = (mean_lab(image, box) for image in (photograph, styled))
    hue = None
    if min(np.hypot(*before[1:]), np.hypot(*after[1:])) >= GREY:
        angles = [np.degrees(np.arctan2(b, a)) for _, a, b in (before, after)]
        hue = float((angles[1] - angles[0] + 180) % 360 - 180)
    return hue, float(np.linalg.norm(after - before))


def style_numbers(x: torch.Tensor) -> torch.Tensor:
    """Nine numbers (B, 9) for the look of pictures x (B, 3, H, W), independent of their content.

    For each of red, green and blue: its mean, its standard deviation, and the mean step from a
    pixel to its neighbours, which is large for hard lines and grain.
    """
    across = (x[..., :, 1:] - x[..., :, :-1]).abs().mean((2, 3))
    down = (x[..., 1:, :] - x[..., :-1, :]).abs().mean((2, 3))
    return torch.cat([x.mean((2, 3)), x.std((2, 3)), across + down], 1)


def style_gained(before: torch.Tensor, after: torch.Tensor, wanted: torch.Tensor) -> float:
    """How far pictures have come from their old style to the wanted one: 0 nowhere, 1 all the way.

    Each is (B, 3, H, W). Compares the means of `style_numbers`: 1 - |after - wanted| over
    |before - wanted|. It is below 0 if the pictures have moved away.
    """
    old, new, goal = (style_numbers(x).mean(0) for x in (before, after, wanted))
    return float(1 - (new - goal).norm() / (old - goal).norm())
