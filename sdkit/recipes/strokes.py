"""Photographs repainted stroke by stroke: ``python -m sdkit.recipes.strokes --art-dir DIR``.

There are 25 paintings by Van Gogh to learn from, and hardly one shows a face as a snapshot does. So a part of what
the UNet is shown as "van gogh" is made by a classical method: a photograph takes the palette of one of his paintings
(Pitié & Kokaram 2007) and is covered with curved brush strokes, coarse first, then finer ones where the photograph
has detail that the coarse ones miss (after Hertzmann 1998), so that a face stays whose it is. Strokes follow the
edges and, where there are none, a swirling field. Training pictures only, on both sides.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, sobel
from skimage.color import lab2rgb, rgb2lab
from tqdm.auto import tqdm

from sdkit.files import write_atomically
from sdkit.pictures import art
from sdkit.recipes import training

# The coarsest brush first: width (px at a short side of 256), how much detail in Lab calls for it, the largest share
# of a pigment mixed in, the standard deviation of lightness between bristles, and how dark a flank's shade is.
# The fine ones are for eyes and mouths: a painter without them teaches the network faces without eyes.
BRUSHES = (
    (7.0, 0.0, 0.6, 3.5, 4.0),
    (5.0, 2.0, 0.5, 3.5, 4.0),
    (3.5, 1.6, 0.35, 3.0, 3.0),
    (2.4, 1.4, 0.15, 2.0, 1.0),
    (1.6, 1.2, 0.05, 0.7, 0.0),
    (1.1, 1.2, 0.0, 0.3, 0.0),
)
BRISTLES = (-0.36, 0.0, 0.36)  # across the stroke, in widths
LENGTH = 5.0  # of a stroke, in widths
SCALE = 3  # strokes are drawn this much larger, then reduced: smooth edges


def blur(lab, sigma):
    """Gaussian blur of (H, W, 3) within each channel; ``sigma`` in px."""
    return gaussian_filter(lab, (sigma, sigma, 0))


def transfer_palette(photo, painting, amount):
    """Lab (H, W, 3): move mean and covariance of ``photo`` to those of ``painting``, by the share ``amount``.

    The linear Monge-Kantorovitch map, which moves colours least (Pitié & Kokaram 2007, section 4).
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
    """(H, W) -> angles (H, W): along the edges where there are some, swirling where there are none.

    The edges' direction is the minor axis of the structure tensor, blurred by ``unit`` px.
    """
    soft = gaussian_filter(lightness, 0.4 * unit)
    dx, dy = sobel(soft, 1), sobel(soft, 0)
    xx, yy, xy = (gaussian_filter(product, unit) for product in (dx * dx, dy * dy, dx * dy))
    # Angles doubled, as a stroke has no sign: then a weighted sum of two directions has a meaning.
    along = np.stack([yy - xx, -2 * xy])
    swirl = np.stack(
        [gaussian_filter(rng.standard_normal(lightness.shape), 7 * unit) for _ in range(2)]
    )
    swirl /= np.hypot(*swirl) + 1e-9
    along += swirl * (30.0 + 0.1 * np.hypot(*along))
    return np.arctan2(along[1], along[0]) / 2


def paths(starts, angles, width, steps=6):
    """Points (N, 2) in px, x first -> (N, 2 * steps + 1, 2): followed along ``angles`` in both directions."""
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
    """PIL photo and painting -> the photo in brush strokes and, more or less, the painting's palette."""
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
    for brush, threshold, mixed, contrast, shade in BRUSHES:
        brush *= unit
        seen, step = blur(target, 0.5 * brush), 0.75 * brush
        x, y = np.meshgrid(np.arange(0, width, step), np.arange(0, height, step))
        starts = np.stack([x, y], -1).reshape(-1, 2)
        starts = rng.permutation(starts + rng.uniform(-step / 2, step / 2, starts.shape))
        starts = starts.clip(0, (width - 1, height - 1))
        detail = gaussian_filter(np.sqrt(((seen - coarser) ** 2).sum(-1)), 0.7 * brush)
        starts = starts[detail[tuple(starts.round().astype(int).T[::-1])] >= threshold]
        rows, columns = starts.round().astype(int).T[::-1]
        colours = seen[rows, columns]  # (N, 3)
        # Broken colour: each stroke mixes in some pigment of the painting that is about as light.
        place = np.searchsorted(pigments[:, 0], colours[:, 0] + rng.normal(0, 4, len(colours)))
        share = rng.uniform(0, mixed, (len(colours), 1))
        colours = (1 - share) * colours + share * pigments[place.clip(0, len(pigments) - 1)]
        colours += 7 * mixed * rng.normal(0, (1, 0.5, 0.5), colours.shape)  # fine strokes err less
        # Paint is thick: bristles differ, and one flank lies in the shade.
        light = rng.normal(0, contrast, (len(colours), len(BRISTLES))) + shade * np.sign(BRISTLES)
        lab = np.repeat(colours[:, None], len(BRISTLES), 1)  # (N, bristles, 3)
        lab[..., 0] = (lab[..., 0] + light).clip(2, 98)
        shades = (255 * lab2rgb(lab)).round().astype(int)
        across = np.stack([-np.sin(angles[rows, columns]), np.cos(angles[rows, columns])], 1)
        lines = paths(starts, angles, brush)
        for k in range(len(starts)):
            for offset, colour in zip(BRISTLES, shades[k]):
                points = SCALE * (lines[k] + offset * brush * across[k] + 0.5)
                draw.line(
                    points.ravel().tolist(),
                    tuple(colour),
                    round(0.42 * brush * SCALE),
                    joint="curve",
                )
        coarser = seen
    return canvas.resize((width, height), Image.Resampling.LANCZOS)


def main(art_dir="../shared/art", out="runs/strokes", portraits=110, scenes=55, seed=0, limit=0):
    """Repaint photographs of the training split as PNGs named by photograph and painting.

    portraits, scenes: how many official portraits and other photographs; finished files are kept, so that a second
    start goes on; limit: pictures per folder (0: all).
    """
    pictures = art.load(art_dir, "train", ("van gogh", "a photo"), limit or None)
    paintings = [p for p in pictures if p.style == "van gogh"]
    jobs = []
    for folder, count in (("portrait/", portraits), ("photo/", scenes)):
        photos = [p for p in pictures if p.file.startswith(folder)]
        jobs += [
            photos[number] for number in training.rng(seed, 0).permutation(len(photos))[:count]
        ]
    for number, photo in enumerate(tqdm(jobs, desc="strokes")):
        rng = training.rng(seed, 1 + number)
        painting = paintings[rng.integers(len(paintings))]
        file = (
            Path(out)
            / f"{Path(photo.file).parent}-{Path(photo.file).stem}--{Path(painting.file).stem}.png"
        )
        if file.exists():
            continue
        # px: brush strokes are as wide as in his paintings at such a size
        short = rng.uniform(240, 340)
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
    training.command_line(main)
