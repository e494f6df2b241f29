"""Where the things stand: skies by the hour, grounds, and the layout of a postcard."""

import numpy as np

from sdkit.postcards import things
from sdkit.postcards.canvas import Canvas, box, circle, ellipse, noise, polygon

# For each hour: the sky from the zenith to the horizon, the colour of the light on things, and of the sun or moon.
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
PLACES = {"left": 0.26, "middle": 0.50, "right": 0.74}


class Layout:
    """The numbers that a postcard's seed decides, the same at every size."""

    def __init__(self, card):
        self.rng = np.random.default_rng(card.seed)
        uniform = self.rng.uniform
        self.horizon = uniform(0.50, 0.60)
        self.centre = PLACES[card.place] + uniform(-0.05, 0.05)
        self.height = uniform(0.36, 0.46)
        self.base = uniform(0.80, 0.88)
        self.light = uniform(0.15, 0.85)  # of the sun or moon, share of the width
        self.altitude = (
            uniform(0.08, 0.22)
            if card.time in ("day", "night")
            else self.horizon - uniform(0.02, 0.08)
        )
        self.side = 1 if self.light > self.centre else -1
        self.second_centre = (
            self.centre + 0.5 if self.centre < 0.5 else self.centre - 0.5
        ) + uniform(-0.03, 0.03)
        if card.place == "middle":
            self.second_centre = 0.5 + self.side * uniform(0.33, 0.38)
        self.second_height = uniform(0.16, 0.20)


def mix(colours, share):
    """Colours (N, 3) along ``share`` (H, W), 0 to 1, evenly spaced."""
    colours = np.asarray(colours, np.float32)
    position = np.clip(share, 0, 1) * (len(colours) - 1)
    first = np.minimum(position.astype(int), len(colours) - 2)
    return colours[first] + (position - first)[..., None] * (colours[first + 1] - colours[first])


def sky(c, at, time):
    """Gradient, sun or moon, stars or clouds."""
    colours, _, sun = TIMES[time]
    c.rgb[:] = mix(colours, c.y / at.horizon + 0 * c.x)
    x, y = c.x - at.light, c.y - at.altitude
    if time == "night":
        for _ in range(45):
            star_x, star_y, size = (
                at.rng.uniform(0, 1),
                at.rng.uniform(0, 0.5),
                at.rng.uniform(0.0005, 0.0045),
            )
            c.dot(star_x, star_y, size, (1, 1, 0.92), 0.9)
        c.glow(circle(x, y, 0.05), (0.55, 0.60, 0.80), 0.10, 0.45)
        c.fill(np.maximum(circle(x, y, 0.052), -circle(x - 0.024, y + 0.012, 0.046)), sun)
        return
    radius = {"day": 0.055, "dawn": 0.065, "sunset": 0.10}[time]
    c.glow(circle(x, y, radius), sun, 0.14 if time == "day" else 0.20, 0.75)
    c.fill(circle(x, y, radius), sun)
    lit, shade = (
        np.asarray(colour)
        for colour in {
            "day": ((1, 1, 1), (0.82, 0.88, 0.95)),
            "dawn": ((1, 0.90, 0.86), (0.84, 0.72, 0.82)),
            "sunset": ((1, 0.60, 0.36), (0.52, 0.22, 0.40)),
        }[time]
    )
    rough = noise(c.x, c.y, at.rng, 14)
    for _ in range(at.rng.integers(1, 4)):
        left, top, size = (
            at.rng.uniform(0, 1),
            at.rng.uniform(0.06, 0.34),
            at.rng.uniform(0.05, 0.09),
        )
        cloud = None
        for dx, dy, r in (
            (0, 0, 1),
            (-1.1, 0.3, 0.7),
            (1.0, 0.25, 0.8),
            (1.9, 0.5, 0.45),
            (-1.9, 0.5, 0.4),
        ):
            puff = ellipse(
                c.x - left - dx * size, c.y - top - dy * size, 1.1 * r * size, 0.62 * r * size
            )
            cloud = puff if cloud is None else np.minimum(cloud, puff)
        alpha = np.clip(0.5 - (cloud + 0.02 * (rough - 0.5)) / 0.022, 0, 1) * 0.85
        c.blend(
            alpha, lit + np.clip((c.y - top + 0.2 * size) / size, 0, 1)[..., None] * (shade - lit)
        )


def ridge(c, rng, height, roughness, waves=5):
    """Heights (1, size) of a skyline about ``height`` from the top: a sum of waves, rougher ones weaker."""
    line = np.full_like(c.x, height)
    for k in range(1, waves + 1):
        line = line + roughness / k * np.sin(
            2 * np.pi * (rng.uniform(0.6, 1.2) * k * c.x + rng.uniform())
        )
    return line


def peaks(c, rng, height, spread, count):
    """Heights (1, size) of a jagged skyline: the highest of ``count`` triangles."""
    line = np.full_like(c.x, height + spread)
    for _ in range(count):
        top, middle, slope = (
            height + rng.uniform(0, 0.6) * spread,
            rng.uniform(-0.05, 1.05),
            rng.uniform(0.7, 1.1),
        )
        line = np.minimum(line, top + slope * np.abs(c.x - middle))
    return line


def land(c, at, tint, top, colours, grain=0.06, cells=24):
    """Fill below the skyline ``top`` with a gradient of ``colours`` to the picture's lower edge, a little uneven."""
    share = (c.y - top) / (1 - at.horizon)
    uneven = 1 + grain * (noise(c.x, c.y**2, at.rng, cells) - 0.5)[..., None] * 2
    c.fill(top - c.y + 0 * c.x, mix(colours, share) * tint * uneven)


def sea(c, at, tint, haze, sun):
    """Water that mirrors the sky and the sun, waves, and a beach in front."""
    water = mix(
        [
            0.55 * haze + 0.45 * np.array((0.10, 0.42, 0.62)) * tint,
            np.array((0.04, 0.26, 0.46)) * tint,
        ],
        (c.y - at.horizon) / (0.92 - at.horizon) + 0 * c.x,
    )
    c.fill(at.horizon - c.y + 0 * c.x, water)
    depth = np.clip((c.y - at.horizon) / (1 - at.horizon), 0.02, 1)
    stretch = noise(0.5 + (c.x - 0.5) / (1 + 3 * depth), depth**0.5, at.rng, 34)
    below = (c.y > at.horizon) * 1.0
    c.blend(below * np.clip(4 * stretch - 2.6, 0, 1) * 0.45, 0.6 * haze + 0.3)
    c.blend(
        below
        * np.exp(-(((c.x - at.light) / (0.03 + 0.10 * depth)) ** 2))
        * np.clip(3 * stretch - 1.1, 0, 1)
        * 0.8,
        sun,
    )
    shore = ridge(c, at.rng, at.base - 0.03, 0.010, 3)
    c.fill(shore - 0.012 - c.y, (0.95, 0.97, 0.98) * tint, 0.8)
    land(c, at, tint, shore, ((0.88, 0.78, 0.58), (0.80, 0.68, 0.46)))


def meadow(c, at, tint, haze, sun):
    """Hills behind hills, grass, and small flowers."""
    land(
        c,
        at,
        tint,
        ridge(c, at.rng, at.horizon - 0.03, 0.03),
        (0.5 * haze + 0.5 * np.array((0.30, 0.55, 0.35)), (0.30, 0.55, 0.30)),
    )
    near = ridge(c, at.rng, at.horizon + 0.07, 0.025)
    land(c, at, tint, near, ((0.48, 0.72, 0.28), (0.18, 0.46, 0.14)), 0.16, 40)
    for _ in range(26):
        x, y = at.rng.uniform(0, 1), at.rng.uniform(0.72, 0.99)
        colour = ((1, 1, 1), (1.0, 0.88, 0.30), (0.95, 0.60, 0.75))[at.rng.integers(3)]
        c.dot(x, y, 0.004 + 0.008 * (y - 0.7) / 0.3, np.array(colour) * tint)


def desert(c, at, tint, haze, sun):
    """Dunes, each with a lit and a shaded flank."""
    for level, warm in ((-0.02, 0.55), (0.07, 0.25), (0.20, 0.0)):
        crest = ridge(c, at.rng, at.horizon + level, 0.035, 2)
        land(
            c,
            at,
            tint,
            crest,
            (warm * haze + (1 - warm) * np.array((0.96, 0.76, 0.45)), (0.86, 0.60, 0.31)),
            0.04,
            40,
        )
        flank = np.clip((c.y - crest) / 0.16, 0, 1) * (c.y > crest)
        slope = np.clip(np.gradient(crest[0]) * c.size * 3.0 * at.side, -1, 1)
        c.blend(
            flank * (1 - flank) * 1.6 * np.clip(slope, 0, 1), np.array((0.62, 0.38, 0.24)) * tint
        )


def snow(c, at, tint, haze, sun):
    """White hills, dark firs, and flakes in the air."""
    land(
        c,
        at,
        tint,
        ridge(c, at.rng, at.horizon - 0.02, 0.03),
        (0.4 * haze + 0.5, (0.84, 0.89, 0.96)),
        0.02,
    )
    near = ridge(c, at.rng, at.horizon + 0.08, 0.02)
    for _ in range(at.rng.integers(5, 10)):
        x, height = at.rng.uniform(0, 1), at.rng.uniform(0.10, 0.17)
        foot = at.horizon + 0.09
        for part in (0.0, 0.3, 0.6):
            half = height * (0.30 - 0.26 * part)
            fir = c.part(x - half - 0.02, foot - 1.1 * height, x + half + 0.02, foot)
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
    land(c, at, tint, near, ((0.97, 0.98, 1.0), (0.76, 0.84, 0.94)), 0.03)
    for _ in range(40):
        x, y, size = at.rng.uniform(0, 1), at.rng.uniform(0, 1), at.rng.uniform(0.003, 0.007)
        c.dot(x, y, size, (1, 1, 1), 0.85)


def mountains(c, at, tint, haze, sun):
    """Snow-capped peaks in the haze, and a green valley."""
    for level, far in ((-0.32, 0.45), (-0.16, 0.15)):
        crest = peaks(c, at.rng, at.horizon + level, 0.26, 6)
        rough = noise(c.x, c.y, at.rng, 22)
        rock = far * haze + (1 - far) * np.array((0.36, 0.38, 0.46)) * tint
        flank = np.clip(np.gradient(crest[0]) * c.size * at.side, -1, 1)[None, :, None]
        c.fill(crest - c.y, rock * (1 - 0.22 * flank) * (0.9 + 0.2 * rough[..., None]))
        cap = at.horizon + level + 0.12 + 0.10 * (rough - 0.5)
        c.fill(np.maximum(crest - c.y, c.y - cap), (0.96, 0.97, 1.0) * tint * (1 - 0.12 * flank))
    land(
        c,
        at,
        tint,
        ridge(c, at.rng, at.horizon + 0.04, 0.02),
        ((0.36, 0.50, 0.34), (0.22, 0.38, 0.22)),
        0.16,
        36,
    )


def city(c, at, tint, haze, sun):
    """Rows of houses with windows that are lit in the dark, and a street."""
    dark, columns, rows = tint[0] < 0.7, 3, 7
    for level, far, count in ((-0.20, 0.5, 9), (-0.06, 0.15, 8)):
        for k in at.rng.permutation(count):
            x, half = (k + at.rng.uniform(0.3, 0.7)) / count, at.rng.uniform(0.045, 0.075)
            top = at.horizon + level + at.rng.uniform(-0.12, 0.07)
            wall = np.array(
                ((0.45, 0.45, 0.52), (0.52, 0.46, 0.45), (0.38, 0.44, 0.52))[at.rng.integers(3)]
            )
            house = c.part(x - half - 0.02, top - 0.02, x + half + 0.02, at.horizon + 0.14)
            u, v = house.x - x, house.y - top
            house.fill(box(u, v - 0.3, half, 0.3), far * haze + (1 - far) * wall * tint)
            lamps = (1.0, 0.85, 0.45) if dark else 0.35 * haze + 0.25
            lit = at.rng.random((rows, columns)) < (0.5 if dark else 0.9)
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
    street = at.horizon + 0.12 + 0 * c.x
    land(c, at, tint, street, ((0.50, 0.50, 0.54), (0.34, 0.34, 0.39)), 0.05, 40)
    c.fill(box(c.x - 0.5, c.y - street - 0.012, 0.6, 0.012), np.array((0.70, 0.69, 0.68)) * tint)
    for x in np.arange(-0.1, 1.1, 0.22) + at.rng.uniform(0, 0.2):
        c.fill(box(c.x - x, c.y - 0.95, 0.06, 0.009), np.array((0.92, 0.90, 0.80)) * tint)


GROUNDS = {ground.__name__: ground for ground in (sea, meadow, desert, snow, mountains, city)}


def stand(c, at, card, tint, name, colour, centre, height, base):
    """Paint a thing with its shadow, or, for a boat on the sea, its mirror image."""
    if name == "balloon":
        base -= 0.30
    afloat = name == "boat" and card.ground == "sea"
    if afloat:
        base -= 0.10
    elif name != "balloon":
        shadow = ellipse(
            c.x - centre + at.side * 0.10 * height, c.y - base, 0.55 * height, 0.075 * height
        )
        c.blend(np.clip(0.5 - shadow / 0.02, 0, 1) * 0.38, np.array((0.08, 0.07, 0.16)))
    around = c.part(
        centre - 1.1 * height, base - 1.4 * height, centre + 1.1 * height, base + 0.3 * height
    )
    pen = things.Pen(
        around,
        centre,
        base,
        height,
        np.asarray(tint),
        at.side,
        card.time == "night",
        np.asarray(things.COLOURS[colour]),
        at.rng,
    )
    things.THINGS[name](pen)
    if afloat:
        rows = np.arange(c.size)
        mirror = (2 * base * c.size - rows).astype(int).clip(0, c.size - 1)
        ripple = np.abs(c.x - centre) < 0.62 * height
        below = (c.y > base) & (c.y < base + 0.35 * height) & ripple
        c.blend(below * 0.35 * np.exp(-(c.y - base) / (0.2 * height)), c.rgb[mirror])


def draw(card, size):
    """Draw a postcard: uint8 (size, size, 3)."""
    c, at = Canvas(size), Layout(card)
    colours, tint, sun = (np.asarray(part, np.float32) for part in TIMES[card.time])
    sky(c, at, card.time)
    GROUNDS[card.ground](c, at, tint, colours[2], sun)
    if card.second:
        stand(
            c,
            at,
            card,
            tint,
            card.second[1],
            card.second[0],
            at.second_centre,
            at.second_height,
            at.base - 0.07,
        )
    stand(c, at, card, tint, card.thing, card.colour, at.centre, at.height, at.base)
    return c.bytes()
