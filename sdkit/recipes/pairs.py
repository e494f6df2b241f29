"""Latents of paintings and photographs in pairs: each picture, and the same without its style.

Image to image starts from a noised photograph. A denoiser that only ever saw noised paintings takes
what is left of the photograph's colours for the colours of a painting, and keeps them. So it also
learns from pairs: a picture where it should arrive, and a plain version of it where it starts.
Nobody has photographs of the scenes that Van Gogh painted, but removing a style is easier than
adding one (StyleDiffusion, Wang et al. 2023): brush strokes are smoothed away (total variation,
Chambolle 2004), and the palette becomes that of some photograph.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from skimage.color import lab2rgb, rgb2lab
from skimage.restoration import denoise_tv_chambolle

from sdkit.recipes import training
from sdkit.recipes.strokes import transfer_palette


class Group(NamedTuple):
    """A group of pictures that are drawn equally often."""

    share: float  # how often the group is drawn
    scales: int  # at how many scales each of its pictures is encoded


# The lab demo asks for Van Gogh, and there are only 25 of his paintings to learn from.
GROUPS = {
    "van gogh": Group(0.24, 8),
    "van gogh, portrait": Group(0.22, 8),
    "van gogh, repainted": Group(0.04, 1),
    "a photo": Group(0.08, 3),
    "a photo, portrait": Group(0.12, 1),
    "ukiyo-e": Group(0.12, 3),
    "impressionism": Group(0.10, 3),
    "oil painting": Group(0.08, 1),
}
SMOOTHING = (0.05, 0.2)  # weights of the total variation
PALETTE = (0.6, 1.0)  # how far the colours move
PALETTE_SIZE = (128, 128)  # px, of the picture whose palette is taken


class Job(NamedTuple):
    """The versions of one picture that `versions` should make."""

    picture: object  # `art.Picture`
    palettes: list  # for each version the PIL image whose palette makes it plain
    original: object  # the photograph of a repainted picture, which is its plain version, or None
    mirrored: int  # which versions are mirrored: the odd ones (1) or the even ones (0)
    short_sides: tuple  # px, the smallest and the largest
    rng: np.random.Generator


def group_of(picture):
    """Key into ``GROUPS``."""
    if picture.file.startswith("repainted/"):
        return "van gogh, repainted"
    portrait = picture.is_portrait and picture.style in ("van gogh", "a photo")
    return f"{picture.style}, portrait" if portrait else picture.style


def plain(image, other, rng):
    """``image`` without its brush strokes, with most of the palette of ``other``; PIL images."""
    smooth = denoise_tv_chambolle(np.asarray(image) / 255, rng.uniform(*SMOOTHING), channel_axis=-1)
    lab = transfer_palette(rgb2lab(smooth), rgb2lab(np.asarray(other) / 255), rng.uniform(*PALETTE))
    return Image.fromarray((255 * lab2rgb(lab)).round().astype(np.uint8))


def versions(job):
    """A picture at several scales, each as it is and plain: list of uint8 (2, h, w, 3)."""
    picture, rng = job.picture, job.rng
    native, made = min(picture.image.size), []
    smallest, largest = job.short_sides
    low, high = np.log(smallest), np.log(max(smallest, min(largest, 1.2 * native)))
    for number, other in enumerate(job.palettes):
        short = np.exp(low + (high - low) * (number + rng.uniform()) / len(job.palettes))
        size = [8 * round(side * short / native / 8) for side in picture.image.size]
        image = picture.image.resize(size, Image.Resampling.LANCZOS)
        if job.original:
            start = job.original.resize(size, Image.Resampling.LANCZOS)
        else:
            start = plain(image, other, rng)
        pair = [image, start]
        if number % 2 == job.mirrored:
            pair = [ImageOps.mirror(one) for one in pair]
        made.append(np.stack(pair))
    return made


def encode_all(vae, pictures, originals, short_sides, rng, precision="no"):
    """Latents at several scales: group -> list of (picture, [float16 (2, C, h, w), ...]).

    A pair of latents shows the picture as it is and plain. A painting is made plain with the
    palette of a photograph, a photograph with that of a painting. ``originals``: file -> photograph
    that was repainted; it is the plain version of that picture.
    """
    photographs, paintings = (
        [
            ImageOps.contain(p.image, PALETTE_SIZE)
            for p in pictures
            if (p.style == "a photo") == is_photo
        ]
        for is_photo in (True, False)
    )
    jobs, encoded = [], {}
    for number, (picture, own) in enumerate(zip(pictures, rng.spawn(len(pictures)))):
        others = paintings if picture.style == "a photo" else photographs
        palettes = [
            others[own.integers(len(others))] for _ in range(GROUPS[group_of(picture)].scales)
        ]
        original = originals.get(picture.file)
        jobs.append(Job(picture, palettes, original, number % 2, short_sides, own))
    for job, made in zip(jobs, training.map_on_all_cores(versions, jobs, "pairs")):
        latents = [training.encode_batches(vae, pair, precision) for pair in made]
        encoded.setdefault(group_of(job.picture), []).append((job.picture, latents))
    return encoded
