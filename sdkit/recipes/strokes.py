"""Photographs repainted stroke by stroke: ``python -m sdkit.recipes.strokes --art-dir DIR``.

There are 25 paintings by Van Gogh to learn from, and hardly one shows a face as a snapshot does. So
some of the pictures that the UNet learns as "van gogh" are made by a classical method. A photograph
gets the palette of one of his paintings (Pitié & Kokaram 2007) and is covered with curved brush
strokes: coarse ones first, then finer ones where the photograph has detail that the coarse ones
miss (after Hertzmann 1998), so that a face can be recognised. Strokes follow the edges and, where
there are none, a swirling field. Photographs and paintings are from the training split only.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, sobel
from skimage.color import lab2rgb, rgb2lab
from tqdm.auto import tqdm

from sdkit.files import write_atomically
from sdkit.pictures import art
from sdkit.recipes import training
from sdkit.recipes.settings import BaseSettings, command_line


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of the repainting; there is nothing to train."""

    out: Path = Path("runs/strokes")
    # official portraits to repaint
    portraits: int = 110
    # other photographs to repaint
    scenes: int = 55
    # short side of a repainted picture in px, the smallest and the largest
    short_sides: tuple[int, ...] = (240, 340)


class Brush(NamedTuple):
    """One size of brush; lengths are in px at a short side of 256."""

    width: float
    detail: float  # how much detail in Lab calls for this brush
    mixed: float  # the largest share of a pigment that is mixed in
    contrast: float  # standard deviation of lightness between bristles
    shade: float  # how much darker one flank of the stroke is


# The coarsest first. The fine ones are for eyes and mouths: without them the network would learn
# faces without eyes.
BRUSHES = (
    Brush(7.0, 0.0, 0.6, 3.5, 4.0),
    Brush(5.0, 2.0, 0.5, 3.5, 4.0),
    Brush(3.5, 1.6, 0.35, 3.0, 3.0),
    Brush(2.4, 1.4, 0.15, 2.0, 1.0),
    Brush(1.6, 1.2, 0.05, 0.7, 0.0),
    Brush(1.1, 1.2, 0.0, 0.3, 0.0),
)
BRISTLES = (-0.36, 0.0, 0.36)  # across the stroke, in widths
LENGTH = 5.0  # of a stroke, in widths
SCALE = 3  # strokes are drawn this much larger, then reduced: smooth edges


def blur(lab, sigma):
    """Gaussian blur of (H, W, 3) within each channel; ``sigma`` in px."""
    return gaussian_filter(lab, (sigma, sigma, 0))


def transfer_palette(photo, painting, amount):
    """Move mean and covariance of ``photo`` to those of ``painting``, both Lab (H, W, 3).

    The linear Monge-Kantorovitch map, which moves colours least (Pitié & Kokaram 2007, section 4).
    ``amount`` is the share of the way, 0 to 1.
    """
    colours, wanted = photo.reshape(-1, 3), painting.reshape(-1, 3)

    def power(matrix, exponent):
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * values.clip(1e-3) ** exponent) @ vectors.T

    own, other = np.cov(colours.T), np.cov(wanted.T)
    root, inverse = power(own, 0.5), power(own, -0.5)
    linear = inverse @ power(root @ other @ root, 0.5) @ inverse
    mapped = (colours - colours.mean(0)) @ linear.T + wanted.mean(0)
    return (amount * mapped + (1 - amount) * colours).reshape(photo.shape)


def directions(lightness, unit, rng):
    """Angles (H, W) of the strokes: along edges where there are some, else of a swirling field.

    The direction of an edge is the minor axis of the structure tensor of ``lightness`` (H, W),
    blurred by ``unit`` px.
    """
    soft = gaussian_filter(lightness, 0.4 * unit)
    dx, dy = sobel(soft, 1), sobel(soft, 0)
    xx, yy, xy = (gaussian_filter(product, unit) for product in (dx * dx, dy * dy, dx * dy))
    # Angles are doubled because a stroke has no sign: so directions can be added.
    along = np.stack([yy - xx, -2 * xy])
    swirl = np.stack(
        [gaussian_filter(rng.standard_normal(lightness.shape), 7 * unit) for _ in range(2)]
    )
    swirl /= np.hypot(*swirl) + 1e-9
    along += swirl * (30.0 + 0.1 * np.hypot(*along))
    return np.arctan2(along[1], along[0]) / 2


def paths(starts, angles, width, steps=6):
    """Lines (N, 2 * steps + 1, 2) that go from points (N, 2) along ``angles`` in both directions.

    Points are in px, x first.
    """
    height, length = np.array(angles.shape), LENGTH * width / (2 * steps)

    def follow(sign):
        here, before, found = starts.copy(), None, []
        for _ in range(steps):
            column, row = here.round().astype(int).T
            angle = angles[row.clip(0, height[0] - 1), column.clip(0, height[1] - 1)]
            move = np.stack([np.cos(angle), np.sin(angle)], 1)
            move *= (
                sign
                if before is None
                else np.where((move * before).sum(1, keepdims=True) < 0, -1, 1)
            )
            here, before = here + length * move, move
            found.append(here)
        return found

    return np.stack(follow(-1)[::-1] + [starts] + follow(1), 1)


def repaint(photo, painting, rng):
    """PIL photo and painting -> the photo in brush strokes, with most of the painting's palette."""
    photo, painting = (
        rgb2lab(np.asarray(image.convert("RGB")) / 255) for image in (photo, painting)
    )
    target = transfer_palette(photo, painting, rng.uniform(0.5, 0.9)) * (
        1,
        *2 * [rng.uniform(1.1, 1.5)],
    )
    pigments = painting.reshape(-1, 3)
    pigments = pigments[pigments[:, 0].argsort()]
    (height, width), unit = target.shape[:2], min(target.shape[:2]) / 256
    angles = directions(target[..., 0], 4 * unit, rng)
    canvas, coarser = Image.new("RGB", (width * SCALE, height * SCALE)), target
    draw = ImageDraw.Draw(canvas)
    for brush in BRUSHES:
        width_px = brush.width * unit
        blurred, step = blur(target, 0.5 * width_px), 0.75 * width_px
        x, y = np.meshgrid(np.arange(0, width, step), np.arange(0, height, step))
        starts = np.stack([x, y], -1).reshape(-1, 2)
        starts = rng.permutation(starts + rng.uniform(-step / 2, step / 2, starts.shape))
        starts = starts.clip(0, (width - 1, height - 1))
        detail = gaussian_filter(np.sqrt(((blurred - coarser) ** 2).sum(-1)), 0.7 * width_px)
        starts = starts[detail[tuple(starts.round().astype(int).T[::-1])] >= brush.detail]
        rows, columns = starts.round().astype(int).T[::-1]
        colours = blurred[rows, columns]  # (N, 3)
        # Broken colour: each stroke mixes in some pigment of the painting that is about as light.
        place = np.searchsorted(pigments[:, 0], colours[:, 0] + rng.normal(0, 4, len(colours)))
        share = rng.uniform(0, brush.mixed, (len(colours), 1))
        colours = (1 - share) * colours + share * pigments[place.clip(0, len(pigments) - 1)]
        colours += (
            7 * brush.mixed * rng.normal(0, (1, 0.5, 0.5), colours.shape)
        )  # fine strokes err less
        # Paint is thick: bristles differ, and one flank of a stroke is in shade.
        light = rng.normal(
            0, brush.contrast, (len(colours), len(BRISTLES))
        ) + brush.shade * np.sign(BRISTLES)
        lab = np.repeat(colours[:, None], len(BRISTLES), 1)  # (N, bristles, 3)
        lab[..., 0] = (lab[..., 0] + light).clip(2, 98)
        shades = (255 * lab2rgb(lab)).round().astype(int)
        across = np.stack([-np.sin(angles[rows, columns]), np.cos(angles[rows, columns])], 1)
        lines = paths(starts, angles, width_px)
        for k in range(len(starts)):
            for offset, colour in zip(BRISTLES, shades[k]):
                points = SCALE * (lines[k] + offset * width_px * across[k] + 0.5)
                draw.line(
                    points.ravel().tolist(),
                    tuple(colour),
                    round(0.42 * width_px * SCALE),
                    joint="curve",
                )
        coarser = blurred
    return canvas.resize((width, height), Image.Resampling.LANCZOS)


def choose_photographs(settings, pictures):
    """The photographs to repaint: official portraits first, then others."""
    chosen = []
    for folder, count in (("portrait/", settings.portraits), ("photo/", settings.scenes)):
        some = [p for p in pictures if p.file.startswith(folder)]
        order = training.rng(settings.seed, 0).permutation(len(some))[:count]
        chosen += [some[number] for number in order]
    return chosen


def main(settings):
    """Repaint photographs of the training split as PNG files named by photograph and painting.

    Finished files are kept, so a second start goes on where the first one stopped.
    """
    pictures = art.load(settings.art_dir, "train", ("van gogh", "a photo"), settings.limit or None)
    paintings = [p for p in pictures if p.style == "van gogh"]
    for number, photo in enumerate(tqdm(choose_photographs(settings, pictures), desc="strokes")):
        rng = training.rng(settings.seed, 1 + number)
        painting = paintings[rng.integers(len(paintings))]
        name = Path(photo.file).parent.name + "-" + Path(photo.file).stem
        file = settings.out / f"{name}--{Path(painting.file).stem}.png"
        if file.exists():
            continue
        # the size at which brush strokes are as wide as in his paintings
        short = rng.uniform(*settings.short_sides)
        scaled = [
            image.resize(
                [round(side * short / min(image.size)) for side in image.size],
                Image.Resampling.LANCZOS,
            )
            for image in (photo.image, painting.image)
        ]
        with write_atomically(file) as path:
            repaint(*scaled, rng).save(path, "PNG")


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
