"""How pictures look: texture, pixels at the end of the scale, and how far colours have moved."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from sdkit.evaluate import metrics

GREY = 3.0  # chroma in CIELAB below which a colour has no hue worth naming

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
    distance : the length of the way in CIELAB (CIE76).
    """
    before, after = (mean_lab(image, box) for image in (photograph, styled))
    hue = None
    if min(np.hypot(*before[1:]), np.hypot(*after[1:])) >= GREY:
        angles = [np.degrees(np.arctan2(b, a)) for _, a, b in (before, after)]
        hue = float((angles[1] - angles[0] + 180) % 360 - 180)
    return hue, float(np.linalg.norm(after - before))
