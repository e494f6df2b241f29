"""A canvas that paints signed distances: negative inside a shape, in units of the picture's height.

A distance is sharp at any size, and its slope gives the soft edge of one pixel (anti-aliasing), glows and shadows
for nothing. See Íñigo Quílez, "2D distance functions" (2008 and later).
"""

import numpy as np


class Canvas:
    """float32 picture (size, size, 3) in [0, 1], with coordinates ``x`` to the right and ``y`` down, both 0 to 1."""

    def __init__(self, size):
        self.size = size
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.x, self.y = centres[None, :], centres[:, None]
        self.rgb = np.zeros((size, size, 3), np.float32)

    def part(self, left, top, right, bottom):
        """A canvas over a rectangle of this one, sharing its pixels: a small shape need not visit them all."""
        part = object.__new__(Canvas)
        rows, columns = (
            slice(max(0, int(low * self.size)), max(0, int(high * self.size) + 1))
            for low, high in ((top, bottom), (left, right))
        )
        part.size, part.x, part.y = self.size, self.x[:, columns], self.y[rows]
        part.rgb = self.rgb[rows, columns]
        return part

    def dot(self, x, y, radius, colour, opacity=1.0):
        """Paint a small disc."""
        reach = radius + 1 / self.size
        part = self.part(x - reach, y - reach, x + reach, y + reach)
        part.fill(circle(part.x - x, part.y - y, radius), colour, opacity)

    def fill(self, distance, colour, opacity=1.0):
        """Paint ``colour``, (3,) or (size, size, 3), where ``distance`` is negative."""
        self.blend(np.clip(0.5 - distance * self.size, 0, 1) * opacity, colour)

    def glow(self, distance, colour, reach, strength=1.0):
        """Add light that fades over ``reach`` outside a shape."""
        light = strength * np.exp(-np.maximum(distance, 0) / reach)[..., None]
        self.rgb += light * (1 - self.rgb) * np.asarray(colour, np.float32)

    def blend(self, alpha, colour):
        """Mix ``colour`` in by ``alpha`` (size, size), 0 to 1."""
        self.rgb += alpha[..., None] * (np.asarray(colour, np.float32) - self.rgb)

    def bytes(self):
        """uint8 (size, size, 3)."""
        return (self.rgb.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def circle(x, y, radius):
    """Distance to a disc about the origin."""
    return np.hypot(x, y) - radius


def ellipse(x, y, a, b):
    """About the distance to an ellipse with half axes ``a`` and ``b``: exact on its edge."""
    return (np.hypot(x / a, y / b) - 1) * min(a, b)


def box(x, y, half_width, half_height, rounding=0.0):
    """Distance to a box about the origin, corners rounded by ``rounding``."""
    dx, dy = np.abs(x) - half_width + rounding, np.abs(y) - half_height + rounding
    return (
        np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        + np.minimum(np.maximum(dx, dy), 0)
        - rounding
    )


def polygon(x, y, *corners):
    """Distance to a convex polygon, its corners named clockwise as one sees it with y upward (exact inside)."""
    distance = None
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1]):
        length = np.hypot(x1 - x0, y1 - y0)
        side = ((y1 - y0) * -(x - x0) + (x1 - x0) * (y - y0)) / length
        distance = side if distance is None else np.maximum(distance, side)
    return distance


def line(x, y, x0, y0, x1, y1, half_width):
    """Distance to a stroke with round ends."""
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy) - half_width


def noise(x, y, rng, cells=8):
    """Smooth noise from 0 to 1 on a grid of ``cells`` x ``cells`` over the picture (value noise, Perlin's fade)."""
    lattice = rng.random((cells + 2, cells + 2), dtype=np.float32)
    column, row = (np.clip(v * cells, 0, cells) for v in (x, y))
    i, j = row.astype(int), column.astype(int)
    fade = [f * f * (3 - 2 * f) for f in (row - i, column - j)]
    top = lattice[i, j] + fade[1] * (lattice[i, j + 1] - lattice[i, j])
    bottom = lattice[i + 1, j] + fade[1] * (lattice[i + 1, j + 1] - lattice[i + 1, j])
    return top + fade[0] * (bottom - top)
