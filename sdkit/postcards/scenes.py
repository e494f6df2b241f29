"""The scene of a postcard: its layout, the sky at each time of day, and the grounds.

All positions are shares of the picture's width or height, from 0 to 1, with y pointing down. A
ground is a function that paints on a `Canvas` below the horizon. Its arguments: the `Layout`;
`tint` (3,), the colour of the light on things; `haze` (3,), the colour of the sky at the horizon;
and `sun` (3,), the colour of the sun or moon. Colours are RGB in [0, 1].
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sdkit.postcards import things
from sdkit.postcards.canvas import Canvas, box, circle, ellipse, noise, polygon

if TYPE_CHECKING:
    from sdkit.postcards import Postcard

# For each time of day: the sky's colours from the zenith to the horizon, the colour of the light
# on things, and the colour of the sun or moon.
TIMES = {
    "dawn": (
        ((0.53, 0.62, 0.83), (0.87, 0.75, 0.83), (1.0, 0.87, 0.76)),
        (0.97, 0.90, 0.94),
        (1.0, 0.95, 0.80),
    ),
    "day": (
        ((0.22, 0.52, 0.88), (0.45, 0.72, 0.95), (0.80, 0.91, 0.98)),
        (1.0, 1.0, 0.98),
        (1.0, 0.98, 0.85),
    ),
    "sunset": (
        ((0.25, 0.17, 0.42), (0.79, 0.29, 0.33), (1.0, 0.62, 0.22)),
        (1.0, 0.86, 0.78),
        (1.0, 0.80, 0.35),
    ),
    "night": (
        ((0.02, 0.03, 0.12), (0.05, 0.08, 0.24), (0.12, 0.18, 0.38)),
        (0.68, 0.70, 0.86),
        (0.96, 0.96, 0.88),
    ),
}
# The centre of the thing, as a share of the width.
PLACES = {"left": 0.26, "middle": 0.50, "right": 0.74}


class Layout:
    """The random numbers of a postcard, from its seed. They do not depend on the picture's size."""

    def __init__(self, card: "Postcard"):
        self.rng = np.random.default_rng(card.seed)
        uniform = self.rng.uniform
        self.horizon = uniform(0.50, 0.60)
        self.centre = PLACES[card.place] + uniform(-0.05, 0.05)
        self.height = uniform(0.36, 0.46)
        self.base = uniform(0.80, 0.88)  # the lower end of the thing
        self.light = uniform(0.15, 0.85)  # the sun or moon, from the left
        self.altitude = (
            uniform(0.08, 0.22)
            if card.time in ("day", "night")
            else self.horizon - uniform(0.02, 0.08)
        )
        self.side = 1 if self.light > self.centre else -1  # where the light comes from
        self.second_centre = (
            self.centre + 0.5 if self.centre < 0.5 else self.centre - 0.5
        ) + uniform(-0.03, 0.03)
        if card.place == "middle":
            self.second_centre = 0.5 + self.side * uniform(0.33, 0.38)
        self.second_height = uniform(0.16, 0.20)


def mix(colours: ArrayLike, share: np.ndarray) -> np.ndarray:
    """Interpolate between N evenly spaced ``colours`` (N, 3): share (H, W) -> (H, W, 3).

    Share 0 gives the first colour, 1 the last one; values outside are clipped.
    """
    table = np.asarray(colours, np.float32)
    position = np.clip(share, 0, 1) * (len(table) - 1)
    first = np.minimum(position.astype(int), len(table) - 2)
    return table[first] + (position - first)[..., None] * (table[first + 1] - table[first])


def sky(canvas: Canvas, layout: Layout, time: str) -> None:
    """Paint the sky: a gradient, the sun or moon, and clouds (at night: stars)."""
    colours, _, sun = TIMES[time]
    canvas.rgb[:] = mix(colours, canvas.y / layout.horizon + 0 * canvas.x)
    x, y = canvas.x - layout.light, canvas.y - layout.altitude
    if time == "night":
        for _ in range(45):
            star_x, star_y, size = (
                layout.rng.uniform(0, 1),
                layout.rng.uniform(0, 0.5),
                layout.rng.uniform(0.0005, 0.0045),
            )
            canvas.dot(star_x, star_y, size, (1, 1, 0.92), 0.9)
        canvas.glow(circle(x, y, 0.05), (0.55, 0.60, 0.80), 0.10, 0.45)
        canvas.fill(np.maximum(circle(x, y, 0.052), -circle(x - 0.024, y + 0.012, 0.046)), sun)
        return
    radius = {"day": 0.055, "dawn": 0.065, "sunset": 0.10}[time]
    canvas.glow(circle(x, y, radius), sun, 0.14 if time == "day" else 0.20, 0.75)
    canvas.fill(circle(x, y, radius), sun)
    lit, shade = (
        np.asarray(colour)
        for colour in {
            "day": ((1, 1, 1), (0.82, 0.88, 0.95)),
            "dawn": ((1, 0.90, 0.86), (0.84, 0.72, 0.82)),
            "sunset": ((1, 0.60, 0.36), (0.52, 0.22, 0.40)),
        }[time]
    )
    rough = noise(canvas.x, canvas.y, layout.rng, 14)
    for _ in range(layout.rng.integers(1, 4)):
        left, top, size = (
            layout.rng.uniform(0, 1),
            layout.rng.uniform(0.06, 0.34),
            layout.rng.uniform(0.05, 0.09),
        )
        cloud = np.full_like(canvas.x, np.inf)  # nothing yet
        for dx, dy, r in (
            (0, 0, 1),
            (-1.1, 0.3, 0.7),
            (1.0, 0.25, 0.8),
            (1.9, 0.5, 0.45),
            (-1.9, 0.5, 0.4),
        ):
            puff = ellipse(
                canvas.x - left - dx * size,
                canvas.y - top - dy * size,
                1.1 * r * size,
                0.62 * r * size,
            )
            cloud = np.minimum(cloud, puff)
        alpha = np.clip(0.5 - (cloud + 0.02 * (rough - 0.5)) / 0.022, 0, 1) * 0.85
        canvas.blend(
            alpha,
            lit + np.clip((canvas.y - top + 0.2 * size) / size, 0, 1)[..., None] * (shade - lit),
        )


def ridge(
    canvas: Canvas, rng: np.random.Generator, height: float, roughness: float, waves: int = 5
) -> np.ndarray:
    """A smooth skyline: its distance (1, size) from the top, about ``height``.

    A sum of sine waves, shorter ones lower.
    """
    line = np.full_like(canvas.x, height)
    for k in range(1, waves + 1):
        line = line + roughness / k * np.sin(
            2 * np.pi * (rng.uniform(0.6, 1.2) * k * canvas.x + rng.uniform())
        )
    return line


def peaks(
    canvas: Canvas, rng: np.random.Generator, height: float, spread: float, count: int
) -> np.ndarray:
    """A jagged skyline: its distance (1, size) from the top, at least ``height``.

    The outline of ``count`` triangles.
    """
    line = np.full_like(canvas.x, height + spread)
    for _ in range(count):
        top, middle, slope = (
            height + rng.uniform(0, 0.6) * spread,
            rng.uniform(-0.05, 1.05),
            rng.uniform(0.7, 1.1),
        )
        line = np.minimum(line, top + slope * np.abs(canvas.x - middle))
    return line


def land(
    canvas: Canvas,
    layout: Layout,
    tint: np.ndarray,
    top: np.ndarray,
    colours: Sequence,
    grain: float = 0.06,
    cells: int = 24,
) -> None:
    """Fill below the skyline ``top`` with a gradient of ``colours``, from top to bottom.

    Smooth noise of strength ``grain`` on ``cells`` x ``cells`` cells makes it a little uneven.
    """
    share = (canvas.y - top) / (1 - layout.horizon)
    uneven = 1 + grain * (noise(canvas.x, canvas.y**2, layout.rng, cells) - 0.5)[..., None] * 2
    canvas.fill(top - canvas.y + 0 * canvas.x, mix(colours, share) * tint * uneven)


def sea(
    canvas: Canvas, layout: Layout, tint: np.ndarray, haze: np.ndarray, sun: np.ndarray
) -> None:
    """Paint water that reflects the sky and the sun, waves, and a beach in front."""
    water = mix(
        [
            0.55 * haze + 0.45 * np.array((0.10, 0.42, 0.62)) * tint,
            np.array((0.04, 0.26, 0.46)) * tint,
        ],
        (canvas.y - layout.horizon) / (0.92 - layout.horizon) + 0 * canvas.x,
    )
    canvas.fill(layout.horizon - canvas.y + 0 * canvas.x, water)
    depth = np.clip((canvas.y - layout.horizon) / (1 - layout.horizon), 0.02, 1)
    stretch = noise(0.5 + (canvas.x - 0.5) / (1 + 3 * depth), depth**0.5, layout.rng, 34)
    below = (canvas.y > layout.horizon) * 1.0
    canvas.blend(below * np.clip(4 * stretch - 2.6, 0, 1) * 0.45, 0.6 * haze + 0.3)
    canvas.blend(
        below
        * np.exp(-(((canvas.x - layout.light) / (0.03 + 0.10 * depth)) ** 2))
        * np.clip(3 * stretch - 1.1, 0, 1)
        * 0.8,
        sun,
    )
    shore = ridge(canvas, layout.rng, layout.base - 0.03, 0.010, 3)
    canvas.fill(shore - 0.012 - canvas.y, (0.95, 0.97, 0.98) * tint, 0.8)
    land(canvas, layout, tint, shore, ((0.88, 0.78, 0.58), (0.80, 0.68, 0.46)))


def meadow(
    canvas: Canvas, layout: Layout, tint: np.ndarray, haze: np.ndarray, sun: np.ndarray
) -> None:
    """Paint hills, grass and small flowers."""
    land(
        canvas,
        layout,
        tint,
        ridge(canvas, layout.rng, layout.horizon - 0.03, 0.03),
        (0.5 * haze + 0.5 * np.array((0.30, 0.55, 0.35)), (0.30, 0.55, 0.30)),
    )
    near = ridge(canvas, layout.rng, layout.horizon + 0.07, 0.025)
    land(canvas, layout, tint, near, ((0.48, 0.72, 0.28), (0.18, 0.46, 0.14)), 0.16, 40)
    for _ in range(26):
        x, y = layout.rng.uniform(0, 1), layout.rng.uniform(0.72, 0.99)
        colour = ((1, 1, 1), (1.0, 0.88, 0.30), (0.95, 0.60, 0.75))[layout.rng.integers(3)]
        canvas.dot(x, y, 0.004 + 0.008 * (y - 0.7) / 0.3, np.array(colour) * tint)


def desert(
    canvas: Canvas, layout: Layout, tint: np.ndarray, haze: np.ndarray, sun: np.ndarray
) -> None:
    """Paint three rows of dunes, each with a lit and a shaded side."""
    for level, warm in ((-0.02, 0.55), (0.07, 0.25), (0.20, 0.0)):
        crest = ridge(canvas, layout.rng, layout.horizon + level, 0.035, 2)
        land(
            canvas,
            layout,
            tint,
            crest,
            (warm * haze + (1 - warm) * np.array((0.96, 0.76, 0.45)), (0.86, 0.60, 0.31)),
            0.04,
            40,
        )
        flank = np.clip((canvas.y - crest) / 0.16, 0, 1) * (canvas.y > crest)
        slope = np.clip(np.gradient(crest[0]) * canvas.size * 3.0 * layout.side, -1, 1)
        canvas.blend(
            flank * (1 - flank) * 1.6 * np.clip(slope, 0, 1), np.array((0.62, 0.38, 0.24)) * tint
        )


def snow(
    canvas: Canvas, layout: Layout, tint: np.ndarray, haze: np.ndarray, sun: np.ndarray
) -> None:
    """Paint white hills, dark fir trees, and snowflakes in the air."""
    land(
        canvas,
        layout,
        tint,
        ridge(canvas, layout.rng, layout.horizon - 0.02, 0.03),
        (0.4 * haze + 0.5, (0.84, 0.89, 0.96)),
        0.02,
    )
    near = ridge(canvas, layout.rng, layout.horizon + 0.08, 0.02)
    for _ in range(layout.rng.integers(5, 10)):
        x, height = layout.rng.uniform(0, 1), layout.rng.uniform(0.10, 0.17)
        foot = layout.horizon + 0.09
        for part in (0.0, 0.3, 0.6):
            half = height * (0.30 - 0.26 * part)
            fir = canvas.region(x - half - 0.02, foot - 1.1 * height, x + half + 0.02, foot)
            fir.fill(
                polygon(
                    fir.x - x,
                    foot - fir.y,
                    (-half, part * height),
                    (0, (part + 0.45) * height),
                    (half, part * height),
                ),
                np.array((0.13, 0.28, 0.24)) * tint,
            )
    land(canvas, layout, tint, near, ((0.97, 0.98, 1.0), (0.76, 0.84, 0.94)), 0.03)
    for _ in range(40):
        x, y, size = (
            layout.rng.uniform(0, 1),
            layout.rng.uniform(0, 1),
            layout.rng.uniform(0.003, 0.007),
        )
        canvas.dot(x, y, size, (1, 1, 1), 0.85)


def mountains(
    canvas: Canvas, layout: Layout, tint: np.ndarray, haze: np.ndarray, sun: np.ndarray
) -> None:
    """Paint snow-capped peaks in the haze, and a green valley."""
    for level, far in ((-0.32, 0.45), (-0.16, 0.15)):
        crest = peaks(canvas, layout.rng, layout.horizon + level, 0.26, 6)
        rough = noise(canvas.x, canvas.y, layout.rng, 22)
        rock = far * haze + (1 - far) * np.array((0.36, 0.38, 0.46)) * tint
        flank = np.clip(np.gradient(crest[0]) * canvas.size * layout.side, -1, 1)[None, :, None]
        canvas.fill(crest - canvas.y, rock * (1 - 0.22 * flank) * (0.9 + 0.2 * rough[..., None]))
        cap = layout.horizon + level + 0.12 + 0.10 * (rough - 0.5)
        canvas.fill(
            np.maximum(crest - canvas.y, canvas.y - cap),
            (0.96, 0.97, 1.0) * tint * (1 - 0.12 * flank),
        )
    land(
        canvas,
        layout,
        tint,
        ridge(canvas, layout.rng, layout.horizon + 0.04, 0.02),
        ((0.36, 0.50, 0.34), (0.22, 0.38, 0.22)),
        0.16,
        36,
    )


def city(
    canvas: Canvas, layout: Layout, tint: np.ndarray, haze: np.ndarray, sun: np.ndarray
) -> None:
    """Paint rows of houses, with lit windows in the dark, and a street."""
    dark, columns, rows = tint[0] < 0.7, 3, 7
    for level, far, count in ((-0.20, 0.5, 9), (-0.06, 0.15, 8)):
        for k in layout.rng.permutation(count):
            x, half = (k + layout.rng.uniform(0.3, 0.7)) / count, layout.rng.uniform(0.045, 0.075)
            top = layout.horizon + level + layout.rng.uniform(-0.12, 0.07)
            wall = np.array(
                ((0.45, 0.45, 0.52), (0.52, 0.46, 0.45), (0.38, 0.44, 0.52))[layout.rng.integers(3)]
            )
            house = canvas.region(
                x - half - 0.02, top - 0.02, x + half + 0.02, layout.horizon + 0.14
            )
            u, v = house.x - x, house.y - top
            house.fill(box(u, v - 0.3, half, 0.3), far * haze + (1 - far) * wall * tint)
            lamps = (1.0, 0.85, 0.45) if dark else 0.35 * haze + 0.25
            lit = layout.rng.random((rows, columns)) < (0.5 if dark else 0.9)
            column, row = (u / half + 1) * columns / 2, v / 0.045 - 0.3
            pane = (
                (np.abs(column % 1 - 0.5) < 0.27)
                & (np.abs(u) < half)
                & (np.abs(row % 1 - 0.5) < 0.28)
                & (row > 0)
                & (row < rows)
            )
            on = lit[row.astype(int).clip(0, rows - 1), column.astype(int).clip(0, columns - 1)]
            house.blend(pane * on * (0.85 if dark else 0.5) * (1 - 0.5 * far), lamps)
    street = layout.horizon + 0.12 + 0 * canvas.x
    land(canvas, layout, tint, street, ((0.50, 0.50, 0.54), (0.34, 0.34, 0.39)), 0.05, 40)
    canvas.fill(
        box(canvas.x - 0.5, canvas.y - street - 0.012, 0.6, 0.012),
        np.array((0.70, 0.69, 0.68)) * tint,
    )
    for x in np.arange(-0.1, 1.1, 0.22) + layout.rng.uniform(0, 0.2):
        canvas.fill(
            box(canvas.x - x, canvas.y - 0.95, 0.06, 0.009), np.array((0.92, 0.90, 0.80)) * tint
        )


GROUNDS = {ground.__name__: ground for ground in (sea, meadow, desert, snow, mountains, city)}


def paint_thing(
    canvas: Canvas,
    layout: Layout,
    card: "Postcard",
    tint: np.ndarray,
    name: str,
    colour: str,
    centre: float,
    height: float,
    base: float,
) -> None:
    """Paint a thing with its shadow; a boat on the sea gets its reflection instead.

    ``centre`` is where it stands from the left, ``base`` its lower end from the top, and ``height``
    its height.
    """
    if name == "balloon":
        base -= 0.30
    afloat = name == "boat" and card.ground == "sea"
    if afloat:
        base -= 0.10
    elif name != "balloon":
        shadow = ellipse(
            canvas.x - centre + layout.side * 0.10 * height,
            canvas.y - base,
            0.55 * height,
            0.075 * height,
        )
        canvas.blend(np.clip(0.5 - shadow / 0.02, 0, 1) * 0.38, np.array((0.08, 0.07, 0.16)))
    around = canvas.region(
        centre - 1.1 * height, base - 1.4 * height, centre + 1.1 * height, base + 0.3 * height
    )
    pen = things.Pen(
        around,
        centre,
        base,
        height,
        np.asarray(tint),
        layout.side,
        card.time == "night",
        np.asarray(things.COLOURS[colour]),
        layout.rng,
    )
    things.THINGS[name](pen)
    if afloat:
        rows = np.arange(canvas.size)
        mirror = (2 * base * canvas.size - rows).astype(int).clip(0, canvas.size - 1)
        ripple = np.abs(canvas.x - centre) < 0.62 * height
        below = (canvas.y > base) & (canvas.y < base + 0.35 * height) & ripple
        canvas.blend(below * 0.35 * np.exp(-(canvas.y - base) / (0.2 * height)), canvas.rgb[mirror])


def draw(card: "Postcard", size: int) -> np.ndarray:
    """Draw a postcard: uint8 (size, size, 3)."""
    canvas, layout = Canvas(size), Layout(card)
    colours, tint, sun = (np.asarray(part, np.float32) for part in TIMES[card.time])
    sky(canvas, layout, card.time)
    GROUNDS[card.ground](canvas, layout, tint, colours[2], sun)
    if card.second:
        paint_thing(
            canvas,
            layout,
            card,
            tint,
            card.second[1],
            card.second[0],
            layout.second_centre,
            layout.second_height,
            layout.base - 0.07,
        )
    paint_thing(
        canvas,
        layout,
        card,
        tint,
        card.thing,
        card.colour,
        layout.centre,
        layout.height,
        layout.base,
    )
    return canvas.bytes()
