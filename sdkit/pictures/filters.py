"""Styles of drawing, made by rules: chalk on a blackboard, and blueprint.

A rule needs no training, so a lesson can have as many examples of a style as it needs. The size of
strokes grows with the picture. The same picture always gives the same result.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from sdkit.errors import SdkitError

BOARD = (30, 48, 42)  # RGB of the blackboard
BLUE = (24, 66, 148)  # RGB of the blueprint's paper
UNIT = 64  # px: at this short side a line is a little over one pixel wide


def _outlines(image: Image.Image) -> np.ndarray:
    """Where the colours of a picture change: (H, W), 0 for nothing, 1 for a strong edge."""
    blurred = image.filter(ImageFilter.GaussianBlur(0.5 * min(image.size) / UNIT))
    x = np.asarray(blurred, np.float32) / 255  # (H, W, 3)
    across, down = (np.gradient(x, axis=axis) for axis in (1, 0))
    slope = np.sqrt((across**2 + down**2).sum(-1)) * min(image.size) / UNIT  # (H, W)
    return np.clip((slope - 0.05) / 0.2, 0, 1)


def _mix(under: np.ndarray, over: np.ndarray, share: np.ndarray) -> Image.Image:
    """`over` on `under`, both RGB in 0 to 255, with the opacity `share` (H, W) in 0 to 1."""
    mixed = under + share[..., None] * (over - under)
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def chalk(image: Image.Image) -> Image.Image:
    """Coloured chalk on a blackboard: white outlines, and areas filled with the side of the chalk.

    image : RGB. The result has the same size.
    """
    rng = np.random.default_rng(0)
    unit = min(image.size) / UNIT
    shape = [round(side / unit) for side in image.size]
    dots = Image.fromarray(rng.integers(0, 256, shape[::-1], dtype=np.uint8))
    grain = np.asarray(dots.resize(image.size, Image.Resampling.BICUBIC), np.float32) / 255
    x = np.asarray(image, np.float32)  # (H, W, 3)
    vivid = (x.max(-1) - x.min(-1)) / 255  # (H, W)
    bright = x * (235 / np.maximum(x.max(-1, keepdims=True), 1))
    board = np.array(BOARD, np.float32)
    rubbed = np.asarray(
        _mix(board, bright, np.clip(1.6 * vivid - 0.5, 0, 0.9) * (0.4 + 0.6 * grain)), np.float32
    )
    drawn = _outlines(image) * (0.65 + 0.35 * grain)
    return _mix(rubbed, np.array((244, 242, 234.0)), drawn)


def blueprint(image: Image.Image) -> Image.Image:
    """White lines on blue paper with a grid, as architects copied their plans.

    image : RGB. The result has the same size.
    """
    width, height = image.size
    step = max(4, round(8 * min(image.size) / UNIT))
    lines = (np.arange(width) % step == step // 2)[None] | (np.arange(height) % step == step // 2)[
        :, None
    ]  # (H, W)
    drawn = _outlines(image)
    return _mix(
        np.array(BLUE, np.float32), np.array((236, 242, 252.0)), np.maximum(drawn, lines * 0.22)
    )


FILTERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "chalk": chalk,
    "blueprint": blueprint,
}


def apply(name: str, image: Image.Image) -> Image.Image:
    """`image` in one of the styles of `FILTERS`, in RGB and of the same size.

    Raises `SdkitError` for another name.
    """
    if name not in FILTERS:
        raise SdkitError(f"There is no filter {name[:50]!r}. Choose one of: {', '.join(FILTERS)}.")
    return FILTERS[name](image.convert("RGB"))
