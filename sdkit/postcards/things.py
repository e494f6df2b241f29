"""The things on postcards.

Each thing is a function that paints with a `Pen`. In the pen's coordinates the thing is one unit
high, stands on y = 0 (y points up) and is centred at x = 0. "The colour" below is `Pen.colour`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sdkit.postcards.canvas import Canvas, box, circle, ellipse, line, polygon

COLOURS = {
    "red": (0.86, 0.13, 0.13),
    "orange": (1.0, 0.50, 0.06),
    "yellow": (0.99, 0.86, 0.16),
    "green": (0.16, 0.60, 0.22),
    "blue": (0.13, 0.36, 0.86),
    "purple": (0.50, 0.20, 0.68),
    "pink": (1.0, 0.52, 0.72),
    "white": (0.97, 0.97, 0.96),
}
DARK, WOOD, CREAM, LAMP = (
    (0.16, 0.15, 0.20),
    (0.42, 0.27, 0.17),
    (0.95, 0.90, 0.79),
    (1.0, 0.86, 0.45),
)


@dataclass
class Pen:
    """Paints a thing on a canvas, in the thing's own coordinates and in the light of the scene."""

    canvas: Canvas
    centre: float  # share of the width
    base: float  # share of the height, from the top
    scale: float  # height of the thing as a share of the picture's
    tint: np.ndarray  # (3,) colour of the light
    side: int  # where the light comes from: -1 left, +1 right
    dark: bool  # at night: lamps are on
    colour: np.ndarray  # (3,) of the thing
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.x = (self.canvas.x - self.centre) / self.scale
        self.y = (self.base - self.canvas.y) / self.scale

    def fill(
        self,
        distance: np.ndarray,
        colour: Sequence[float] | np.ndarray,
        shade: float = 0.3,
        lit: bool = True,
    ) -> None:
        """Paint a shape, given by its signed distance.

        It is lighter towards the light, by ``shade`` for each unit of x. With ``lit=False`` it
        shines by itself and keeps its colour.
        """
        colour = np.asarray(colour, np.float32)
        if lit:
            colour = (
                colour * self.tint * (1 + shade * self.side * np.clip(self.x, -0.6, 0.6))[..., None]
            )
        self.canvas.fill(distance * self.scale, colour)

    def lamp(self, distance: np.ndarray, reach: float = 0.10) -> None:
        """Paint a window pane or a lamp: it shines at night and reflects the sky by day."""
        if self.dark:
            self.fill(distance, LAMP, lit=False)
            self.canvas.glow(distance * self.scale, LAMP, reach * self.scale, 0.5)
        else:
            self.fill(distance, (0.50, 0.66, 0.78), shade=0)


def mixed(colour: ArrayLike, other: ArrayLike, share: float) -> np.ndarray:
    """Mix two colours: share 0 is the first, 1 the second."""
    return (1 - share) * np.asarray(colour) + share * np.asarray(other)


def house(p: Pen) -> None:
    """Walls in the colour, a dark roof, a chimney, a door and two windows."""
    p.fill(box(p.x - 0.24, p.y - 0.82, 0.055, 0.16), mixed(p.colour, DARK, 0.45))
    p.fill(box(p.x, p.y - 0.29, 0.43, 0.29), p.colour)
    p.fill(polygon(p.x, p.y, (-0.54, 0.54), (0, 1.0), (0.54, 0.54)), (0.30, 0.24, 0.26), shade=0.6)
    p.fill(box(p.x, p.y - 0.17, 0.085, 0.17), mixed(WOOD, DARK, 0.3))
    for x in (-0.26, 0.26):
        p.fill(box(p.x - x, p.y - 0.33, 0.105, 0.105), CREAM)
        p.lamp(box(p.x - x, p.y - 0.33, 0.075, 0.075))


def boat(p: Pen) -> None:
    """A sailing boat: hull and small sail in the colour, main sail pale."""
    p.fill(box(p.x, p.y - 0.55, 0.018, 0.43), WOOD)
    p.fill(polygon(p.x, p.y, (0.05, 0.30), (0.05, 0.97), (0.50, 0.30)), CREAM, shade=0.5)
    p.fill(polygon(p.x, p.y, (-0.42, 0.30), (-0.05, 0.86), (-0.05, 0.30)), p.colour, shade=0.5)
    p.fill(polygon(p.x, p.y, (-0.60, 0.25), (0.60, 0.25), (0.40, 0.0), (-0.42, 0.0)), p.colour)
    p.fill(
        polygon(p.x, p.y, (-0.60, 0.25), (0.60, 0.25), (0.57, 0.20), (-0.57, 0.20)),
        mixed(p.colour, DARK, 0.5),
    )


def tree(p: Pen) -> None:
    """A trunk and a crown of leaves in the colour, lighter where the light falls."""
    p.fill(polygon(p.x, p.y, (-0.05, 0.45), (0.05, 0.45), (0.075, 0), (-0.075, 0)), WOOD)
    p.fill(line(p.x, p.y, 0.0, 0.33, 0.16, 0.50, 0.025), WOOD)
    leaves = [
        (0, 0.74, 0.25),
        (-0.22, 0.60, 0.19),
        (0.22, 0.60, 0.19),
        (-0.12, 0.85, 0.14),
        (0.13, 0.84, 0.15),
    ]
    for depth, shift in ((0.30, 0.0), (0.0, 0.035)):
        for x, y, radius in leaves:
            p.fill(
                circle(p.x - x - shift * p.side, p.y - y - shift, radius - 0.8 * shift),
                mixed(p.colour, DARK, depth),
            )
    for _ in range(14):
        x, y, radius = leaves[p.rng.integers(len(leaves))]
        angle = p.rng.uniform(0, 2 * np.pi)
        x, y = x + 0.7 * radius * np.cos(angle), y + 0.7 * radius * np.sin(angle)
        p.fill(
            circle(p.x - x, p.y - y, 0.03), mixed(p.colour, (1, 1, 1) if y > 0.68 else DARK, 0.22)
        )


def lighthouse(p: Pen) -> None:
    """A tapered tower in stripes of the colour, with a lamp that shines in the dark."""
    tower = polygon(p.x, p.y, (-0.12, 0.76), (0.12, 0.76), (0.20, 0), (-0.20, 0))
    p.fill(tower, p.colour, shade=1.2)
    pale = DARK if min(p.colour) > 0.9 else (0.96, 0.95, 0.93)
    for y in (0.20, 0.52):
        p.fill(np.maximum(tower, np.abs(p.y - y) - 0.075), pale, shade=1.2)
    p.fill(box(p.x, p.y - 0.77, 0.17, 0.025), DARK)
    p.lamp(box(p.x, p.y - 0.85, 0.08, 0.06), reach=0.25)
    p.fill(polygon(p.x, p.y, (-0.13, 0.90), (0, 1.0), (0.13, 0.90)), mixed(p.colour, DARK, 0.3))
    p.fill(box(p.x, p.y - 0.07, 0.05, 0.07, 0.03), DARK)


def balloon(p: Pen) -> None:
    """A hot-air balloon with stripes in the colour and in a lighter one."""
    bag = np.minimum(
        circle(p.x, p.y - 0.68, 0.32),
        polygon(p.x, p.y, (-0.285, 0.54), (0.285, 0.54), (0.10, 0.25), (-0.10, 0.25)),
    )
    p.fill(bag, p.colour, shade=0.9)
    pale = DARK if min(p.colour) > 0.9 else (1, 1, 1)
    width = 0.33 * np.sqrt(np.clip(1 - ((p.y - 0.66) / 0.42) ** 2, 0, 1))
    for middle in (-0.56, 0.56):
        p.fill(
            np.maximum(bag, np.abs(p.x - middle * width) - 0.17 * width),
            mixed(p.colour, pale, 0.35),
            shade=0.9,
        )
    for x in (-0.07, 0.07):
        p.fill(line(p.x, p.y, x, 0.12, 1.3 * x, 0.25, 0.008), DARK)
    p.fill(box(p.x, p.y - 0.07, 0.085, 0.065, 0.02), WOOD)
    if p.dark:
        p.canvas.glow(circle(p.x, p.y - 0.27, 0.03) * p.scale, LAMP, 0.10 * p.scale, 0.8)


def flower(p: Pen) -> None:
    """Eight petals in the colour around a yellow or brown centre, on a stem with two leaves."""
    green = (0.20, 0.52, 0.20)
    p.fill(line(p.x, p.y, 0, 0, 0.03, 0.65, 0.026), green)
    for turn in (-1, 1):
        x, y = p.x * turn - 0.15, p.y - 0.24
        p.fill(ellipse(0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x, 0.16, 0.055), green)
    for angle in np.arange(8) * np.pi / 4 + 0.2:
        x, y = p.x - 0.03 - 0.19 * np.cos(angle), p.y - 0.69 - 0.19 * np.sin(angle)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        p.fill(
            ellipse(along, across, 0.155, 0.085),
            mixed(p.colour, DARK if int(angle / 0.7) % 2 else (1, 1, 1), 0.10),
        )
    heart = (0.45, 0.27, 0.12) if p.colour[0] > 0.9 and p.colour[2] < 0.2 else (0.98, 0.80, 0.20)
    p.fill(circle(p.x - 0.03, p.y - 0.69, 0.105), heart)


def cat(p: Pen) -> None:
    """A sitting cat, seen from the front, with a tail."""
    shadow = mixed(p.colour, DARK, 0.28)
    for x0, y0, x1, y1 in (
        (0.22, 0.08, 0.46, 0.14),
        (0.46, 0.14, 0.50, 0.36),
        (0.50, 0.36, 0.43, 0.46),
    ):
        p.fill(line(p.x, p.y, x0, y0, x1, y1, 0.045), shadow)
    p.fill(ellipse(p.x, p.y - 0.28, 0.27, 0.31), p.colour)
    p.fill(ellipse(p.x, p.y - 0.22, 0.13, 0.20), mixed(p.colour, (1, 1, 1), 0.30))
    for x in (-0.13, 0.13):
        p.fill(ellipse(p.x - x, p.y - 0.05, 0.10, 0.05), p.colour)
        p.fill(
            polygon(p.x, p.y, *sorted([(x - 0.10, 0.82), (1.55 * x, 1.0), (x + 0.10, 0.82)])),
            shadow,
        )
    p.fill(ellipse(p.x, p.y - 0.72, 0.25, 0.20), p.colour)
    for x in (-0.10, 0.10):
        p.fill(
            ellipse(p.x - x, p.y - 0.75, 0.048, 0.055),
            (0.95, 0.90, 0.35) if p.dark else DARK,
            lit=not p.dark,
        )
        p.fill(ellipse(p.x - x, p.y - 0.75, 0.018, 0.05), DARK)
    p.fill(ellipse(p.x, p.y - 0.665, 0.03, 0.02), (0.80, 0.40, 0.42))


def car(p: Pen) -> None:
    """A small round car seen from the side."""
    p.fill(box(p.x + 0.04, p.y - 0.62, 0.40, 0.30, 0.26), p.colour)
    p.fill(box(p.x, p.y - 0.38, 0.72, 0.21, 0.16), p.colour)
    p.fill(box(p.x, p.y - 0.25, 0.72, 0.04, 0.03), mixed(p.colour, DARK, 0.4))
    for x, width in ((-0.22, 0.15), (0.15, 0.17)):
        p.lamp(box(p.x - x, p.y - 0.68, width, 0.14, 0.05), reach=0.06)
    for x in (-0.42, 0.42):
        p.fill(circle(p.x - x, p.y - 0.16, 0.17), DARK)
        p.fill(circle(p.x - x, p.y - 0.16, 0.075), (0.75, 0.75, 0.78))
    p.lamp(circle(p.x - 0.67, p.y - 0.42, 0.05), reach=0.2)


def tent(p: Pen) -> None:
    """A ridge tent in the colour, its entrance open, lit from inside in the dark."""
    p.fill(
        polygon(p.x, p.y, (0, 0.93), (0.34, 0.93), (0.86, 0), (0.56, 0)),
        mixed(p.colour, DARK, 0.35),
    )
    p.fill(polygon(p.x, p.y, (-0.62, 0), (0, 0.95), (0.62, 0)), p.colour, shade=0.5)
    p.fill(polygon(p.x, p.y, (-0.20, 0), (0, 0.62), (0.20, 0)), DARK)
    if p.dark:
        p.fill(polygon(p.x, p.y, (-0.15, 0), (0, 0.50), (0.15, 0)), LAMP, lit=False)
        p.canvas.glow(circle(p.x, p.y - 0.15, 0.12) * p.scale, LAMP, 0.25 * p.scale, 0.5)
    for x in (-0.1, 0.1):
        p.fill(line(p.x, p.y, 0.55 * x, 0.88, -0.55 * x, 1.0, 0.015), WOOD)


def windmill(p: Pen) -> None:
    """A tapered tower in the colour with four pale sails."""
    p.fill(
        polygon(p.x, p.y, (-0.15, 0.62), (0.15, 0.62), (0.25, 0), (-0.25, 0)), p.colour, shade=1.0
    )
    p.fill(ellipse(p.x, p.y - 0.62, 0.18, 0.11), mixed(p.colour, DARK, 0.5))
    p.fill(box(p.x, p.y - 0.10, 0.06, 0.10), DARK)
    p.lamp(box(p.x, p.y - 0.40, 0.04, 0.05))
    turn = p.rng.uniform(0.2, 1.3)
    for angle in turn + np.arange(4) * np.pi / 2:
        x, y = p.x, p.y - 0.62
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        p.fill(box(along - 0.28, across - 0.05, 0.20, 0.055), CREAM)
        p.fill(box(along - 0.24, across, 0.24, 0.014), WOOD)
    p.fill(circle(p.x, p.y - 0.62, 0.035), DARK)


def mushroom(p: Pen) -> None:
    """A cap in the colour with pale dots, on a thick stem."""
    p.fill(polygon(p.x, p.y, (-0.12, 0.55), (0.12, 0.55), (0.17, 0), (-0.17, 0)), CREAM, shade=1.2)
    p.fill(ellipse(p.x, p.y - 0.50, 0.42, 0.09), mixed(CREAM, DARK, 0.35))
    cap = np.maximum(ellipse(p.x, p.y - 0.50, 0.52, 0.49), 0.50 - p.y)
    p.fill(cap, p.colour, shade=0.6)
    dots = (0.55, 0.45, 0.40) if min(p.colour) > 0.9 else (0.98, 0.97, 0.93)
    for x, y, radius in (
        (-0.28, 0.64, 0.07),
        (-0.02, 0.80, 0.09),
        (0.26, 0.67, 0.075),
        (0.02, 0.58, 0.05),
    ):
        p.fill(np.maximum(cap, ellipse(p.x - x, p.y - y, radius, 0.8 * radius)), dots)


def umbrella(p: Pen) -> None:
    """An open umbrella with stripes in the colour and in a pale one."""
    p.fill(box(p.x, p.y - 0.45, 0.018, 0.45), WOOD)
    top = np.maximum(ellipse(p.x, p.y - 0.55, 0.62, 0.44), 0.55 - p.y)
    p.fill(top, p.colour, shade=0.5)
    pale = (0.45, 0.47, 0.55) if min(p.colour) > 0.9 else (0.97, 0.96, 0.93)
    width = 0.62 * np.sqrt(np.clip(1 - ((p.y - 0.55) / 0.44) ** 2, 0, 1))
    for middle in (-0.5, 0.5):
        p.fill(np.maximum(top, np.abs(p.x - middle * width) - 0.16 * width), pale, shade=0.5)
    p.fill(circle(p.x, p.y - 0.99, 0.025), WOOD)


THINGS = {
    thing.__name__: thing
    for thing in (
        house,
        boat,
        tree,
        lighthouse,
        balloon,
        flower,
        cat,
        car,
        tent,
        windmill,
        mushroom,
        umbrella,
    )
}
