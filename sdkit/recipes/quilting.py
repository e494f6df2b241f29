"""Portraits repainted with patches of Van Gogh's: ``python -m sdkit.recipes.quilting --art-dir DIR``.

There are 25 of his paintings to learn from and few show a face as small as in a snapshot. So a part of what the UNet
is shown as "van gogh" is made by a classical method: the photograph takes a painting's palette (Pitié & Kokaram
2007), is covered with patches of that painting whose blurred colours agree (image quilting, Efros & Freeman 2001),
and keeps its own low frequencies and sharpest details, so that the face stays whose it is. Training pictures
only, on both sides.
"""
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb, rgb2lab
from tqdm.auto import tqdm

from sdkit import art
from sdkit.paths import write_atomically
from sdkit.recipes import training

PATCH, STEP, CANDIDATES = 16, 10, 16   # px, px, patches compared at the seams


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


def grid(image, step):
    """(H, W, 3) -> all PATCH x PATCH squares at multiples of ``step``, (N, PATCH, PATCH, 3)."""
    views = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH), (0, 1))[::step, ::step]
    return views.reshape(-1, 3, PATCH, PATCH).transpose(0, 2, 3, 1)


def seam(cost):
    """(n, overlap) squared differences -> for each row the column where the cheapest top-to-bottom cut passes."""
    total = cost.copy()
    for row in range(1, len(total)):
        above = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] += np.minimum(np.minimum(above[:-2], above[1:-1]), above[2:])
    path = [int(total[-1].argmin())]
    for row in range(len(total) - 2, -1, -1):
        left = max(0, path[-1] - 1)
        path.append(left + int(total[row, left:path[-1] + 2].argmin()))
    return path[::-1]


def quilt(target, painting, rng):
    """Cover ``target`` with patches of ``painting`` (both Lab) whose blurred colours agree, cut along cheap seams."""
    sources = [side for side in (painting, painting[:, ::-1])]
    bank = np.concatenate([grid(source, 5) for source in sources]).astype(np.float32)
    keys = np.concatenate([grid(blur(source, 2), 5)[:, 2::4, 2::4] for source in sources])
    chosen = rng.permutation(len(bank))[:8000]
    bank, keys = bank[chosen], keys[chosen].reshape(len(chosen), -1).astype(np.float32)
    squared = (keys ** 2).sum(1)
    height, width, _ = target.shape
    soft, out = blur(target, 2), np.zeros_like(target, np.float32)
    rows, columns = ([*range(0, side - PATCH, STEP), side - PATCH] for side in (height, width))
    overlap = PATCH - STEP
    for top in rows:
        wanted = np.stack([soft[top:top + PATCH, left:left + PATCH][2::4, 2::4].ravel() for left in columns])
        distances = squared - 2 * wanted.astype(np.float32) @ keys.T
        nearest = np.argpartition(distances, CANDIDATES, 1)[:, :CANDIDATES]
        for left, options in zip(columns, nearest):
            here = out[top:top + PATCH, left:left + PATCH]
            old = np.zeros((PATCH, PATCH), bool)
            old[:overlap if top else 0], old[:, :overlap if left else 0] = True, True
            misfit = (((bank[options] - here) ** 2).sum(-1) * old).sum((1, 2)) * rng.uniform(0.7, 1.3, CANDIDATES)
            patch = bank[options[misfit.argmin() if old.any() else rng.integers(CANDIDATES)]]
            cost, keep = ((patch - here) ** 2).sum(-1), np.zeros((PATCH, PATCH), bool)
            for row, cut in enumerate(seam(cost[:, :overlap]) if left else ()):
                keep[row, :cut] = True
            for column, cut in enumerate(seam(cost[:overlap].T) if top else ()):
                keep[:cut, column] = True
            here[~keep] = patch[~keep]
    return out


def repaint(photo, painting, rng):
    """PIL photo and painting -> the photo in the painting's strokes and, more or less, its palette."""
    photo, painting = (rgb2lab(np.asarray(image) / 255) for image in (photo, painting))
    target = transfer_palette(photo, painting, rng.uniform(0.7, 1.0))
    strokes, sigma = quilt(target, painting, rng), rng.uniform(1.8, 2.6)
    detail = target - blur(target, sigma)
    # Where the photograph itself has fine structure, such as an eye, that stays; elsewhere the strokes take over.
    own = np.clip(np.sqrt(blur(detail[..., :1] ** 2, 2 * sigma)) / 6 - 0.6, 0, 0.7)
    rgb = lab2rgb(blur(target, sigma) + own * detail + (1 - own) * (strokes - blur(strokes, sigma)))
    return Image.fromarray((rgb.clip(0, 1) * 255).astype(np.uint8))


def main(art_dir="../shared/art", out="runs/quilted", portraits=60, seed=0, limit=0):
    """Repaint official portraits with patches of training Van Goghs, as PNGs named by photograph and painting.

    portraits: how many; finished files are kept, so that a second start goes on; limit: pictures per folder (0: all).
    """
    pictures = art.load(art_dir, "train", ("van gogh", "a photo"), limit or None)
    paintings = [p for p in pictures if p.style == "van gogh"]
    heads = [p for p in paintings if p.is_portrait]
    photos = [p for p in pictures if p.file.startswith("portrait/")]
    for number in tqdm(training.rng(seed, 0).permutation(len(photos))[:portraits], desc="quilting"):
        photo, rng = photos[number], training.rng(seed, 1 + int(number))
        choice = heads if rng.random() < 0.5 else paintings
        painting = choice[rng.integers(len(choice))]
        file = Path(out) / f"{Path(photo.file).stem}-{Path(painting.file).stem}.png"
        if file.exists():
            continue
        short = rng.uniform(240, 300)
        scaled = [image.resize([round(side * goal / min(image.size)) for side in image.size], Image.Resampling.LANCZOS)
                  for image, goal in ((photo.image, short), (painting.image, rng.uniform(1.2, 1.8) * short))]
        with write_atomically(file) as path:
            repaint(*scaled, rng).save(path, "PNG")


if __name__ == "__main__":
    training.command_line(main)
