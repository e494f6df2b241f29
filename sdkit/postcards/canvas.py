"""A canvas that paints shapes given as signed distances.

A signed distance is how far a point is from the edge of a shape, negative inside, in units of the
picture's height. A shape given in this way is sharp at any size, and soft edges (anti-aliasing),
glows and shadows follow from the distance. See Íñigo Quílez, "2D distance functions" (2008 and
later). In the functions below, x and y are arrays of one shape, or shapes that broadcast.
"""

import functools

import numpy as np
from numpy.typing import ArrayLike


class Canvas:
    """A picture ``rgb``, float32 (size, size, 3) in [0, 1], with coordinates for each pixel.

    ``x`` (1, size) points to the right and ``y`` (size, 1) down, both from 0 to 1.
    """

    def __init__(self, size: int):
        self.size = size
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.x, self.y = centres[None, :], centres[:, None]
        self.rgb = np.zeros((size, size, 3), np.float32)

    def region(self, left: float, top: float, right: float, bottom: float) -> "Canvas":
        """A canvas on a rectangle of this one, with the same pixels in memory.

        Painting a small shape there takes less time.
        """
        region = object.__new__(Canvas)
        rows, columns = (
            slice(max(0, int(low * self.size)), max(0, int(high * self.size) + 1))
            for low, high in ((top, bottom), (left, right))
        )
        region.size, region.x, region.y = self.size, self.x[:, columns], self.y[rows]
        region.rgb = self.rgb[rows, columns]
        return region

    def dot(
        self, x: float, y: float, radius: float, colour: ArrayLike, opacity: float = 1.0
    ) -> None:
        """Paint a small disc."""
        reach = radius + 1 / self.size
        region = self.region(x - reach, y - reach, x + reach, y + reach)
        region.fill(circle(region.x - x, region.y - y, radius), colour, opacity)

    def fill(self, distance: np.ndarray, colour: ArrayLike, opacity: float = 1.0) -> None:
        """Paint ``colour``, (3,) or (size, size, 3), where ``distance`` (size, size) is negative.

        The edge is one pixel wide.
        """
        self.blend(np.clip(0.5 - distance * self.size, 0, 1) * opacity, colour)

    def glow(
        self, distance: np.ndarray, colour: ArrayLike, reach: float, strength: float = 1.0
    ) -> None:
        """Add light around a shape, which falls to 1/e at the distance ``reach`` from it."""
        light = strength * np.exp(-np.maximum(distance, 0) / reach)[..., None]
        self.rgb += light * (1 - self.rgb) * np.asarray(colour, np.float32)

    def blend(self, alpha: np.ndarray, colour: ArrayLike) -> None:
        """Mix in ``colour`` with weight ``alpha`` (size, size), from 0 (none) to 1 (only it)."""
        self.rgb += alpha[..., None] * (np.asarray(colour, np.float32) - self.rgb)

    def bytes(self) -> np.ndarray:
        """The picture as uint8 (size, size, 3)."""
        return (self.rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def circle(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Distance to a disc around the origin."""
    return np.hypot(x, y) - radius


def ellipse(x: np.ndarray, y: np.ndarray, a: float, b: float) -> np.ndarray:
    """Approximate distance to an ellipse with half axes ``a`` and ``b``; exact on its edge."""
    return (np.hypot(x / a, y / b) - 1) * min(a, b)


def box(
    x: np.ndarray, y: np.ndarray, half_width: float, half_height: float, rounding: float = 0.0
) -> np.ndarray:
    """Distance to a box around the origin, with corners of radius ``rounding``."""
    dx, dy = np.abs(x) - half_width + rounding, np.abs(y) - half_height + rounding
    return (
        np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        + np.minimum(np.maximum(dx, dy), 0)
        - rounding
    )


def polygon(x: np.ndarray, y: np.ndarray, *corners: tuple[float, float]) -> np.ndarray:
    """Distance to a convex polygon: exact inside, a lower bound outside near the corners.

    List the corners clockwise, as seen with y pointing up.
    """
    sides = [
        ((y1 - y0) * -(x - x0) + (x1 - x0) * (y - y0)) / np.hypot(x1 - x0, y1 - y0)
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1])
    ]
    return functools.reduce(np.maximum, sides)


def line(
    x: np.ndarray, y: np.ndarray, x0: float, y0: float, x1: float, y1: float, half_width: float
) -> np.ndarray:
    """Distance to a line from (x0, y0) to (x1, y1) with round ends."""
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy) - half_width


def noise(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, cells: int = 8) -> np.ndarray:
    """Smooth noise in [0, 1]: random values on ``cells`` x ``cells`` cells, interpolated.

    Value noise with the fade 3 t^2 - 2 t^3 (Perlin 1985).
    """
    lattice = rng.random((cells + 2, cells + 2), dtype=np.float32)
    column, row = (np.clip(v * cells, 0, cells) for v in (x, y))
    i, j = row.astype(int), column.astype(int)
    fade = [f * f * (3 - 2 * f) for f in (row - i, column - j)]
    top = lattice[i, j] + fade[1] * (lattice[i, j + 1] - lattice[i, j])
    bottom = lattice[i + 1, j] + fade[1] * (lattice[i + 1, j + 1] - lattice[i + 1, j])
    return top + fade[0] * (bottom - top)
