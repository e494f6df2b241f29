"""Latents of paintings and photographs in pairs: each picture, and the same without its style.

Image to image starts from a noised photograph. If a denoiser has seen only noised paintings, it
takes the rest of the photograph's colours for the colours of a painting, and keeps them. So it also
learns from pairs: it starts from a plain version of a picture, and should end at the picture
itself. Nobody has photographs of the scenes that Van Gogh painted, but removing a style is easier
than adding one (StyleDiffusion, Wang et al. 2023): brush strokes are smoothed away (total
variation, Chambolle 2004), and the palette becomes that of some photograph.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageOps
from skimage.color import lab2rgb, rgb2lab
from skimage.restoration import denoise_tv_chambolle

from sdkit.pictures import art
from sdkit.recipes import captions, training


class Group(NamedTuple):
    """A group of pictures that are drawn equally often."""

    share: float  # how often the group is drawn
    scales: int  # at how many scales each of its pictures is encoded


# The lab demo asks for Van Gogh, and there are only 80 of his paintings to learn from.
GROUPS = {
    "van gogh": Group(0.24, 5),
    "van gogh, portrait": Group(0.20, 8),
    "a painting by name": Group(0.12, 8),
    "a photo": Group(0.08, 3),
    "a photo, portrait": Group(0.12, 1),
    "ukiyo-e": Group(0.10, 3),
    "impressionism": Group(0.08, 4),
    "oil painting": Group(0.06, 1),
}
WINDOW = 320  # px, the largest side of what is encoded; a larger picture is cropped to it
SMOOTHING = (0.05, 0.2)  # weights of the total variation
PALETTE = (0.6, 1.0)  # how far the colours move
PALETTE_SIZE = (128, 128)  # px, of the picture whose palette is taken


class Job(NamedTuple):
    """The versions of one picture that `versions` should make."""

    picture: art.Picture
    palettes: list[Image.Image]  # for each version the PIL image whose palette makes it plain
    plain: bool  # whether plain versions are wanted
    mirrored: int  # which versions are mirrored: the odd ones (1) or the even ones (0)
    short_sides: tuple[int, ...]  # px, the smallest and the largest
    rng: np.random.Generator


# group -> its pictures, each with float16 latents (2, C, h, w) at several scales
Crops = dict[str, list[tuple[art.Picture, list[torch.Tensor]]]]


def group_of(picture: art.Picture) -> str:
    """Key into ``GROUPS``."""
    if captions.painting_of(picture.file):
        return "a painting by name"
    portrait = picture.is_portrait and picture.style in ("van gogh", "a photo")
    return f"{picture.style}, portrait" if portrait else picture.style


def transfer_palette(photo: np.ndarray, painting: np.ndarray, amount: float) -> np.ndarray:
    """Move mean and covariance of ``photo`` to those of ``painting``, both Lab (H, W, 3).

    The linear Monge-Kantorovitch map, which moves colours least (Pitié & Kokaram 2007, section 4).
    ``amount`` is the share of the way, 0 to 1.
    """
    colours, wanted = photo.reshape(-1, 3), painting.reshape(-1, 3)

    def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * values.clip(1e-3) ** exponent) @ vectors.T

    own, other = np.cov(colours.T), np.cov(wanted.T)
    root, inverse = power(own, 0.5), power(own, -0.5)
    linear = inverse @ power(root @ other @ root, 0.5) @ inverse
    mapped = (colours - colours.mean(0)) @ linear.T + wanted.mean(0)
    return (amount * mapped + (1 - amount) * colours).reshape(photo.shape)


def plain(image: Image.Image, other: Image.Image, rng: np.random.Generator) -> Image.Image:
    """``image`` without its brush strokes, with most of the palette of ``other``; PIL images."""
    pixels, palette = (np.asarray(one, np.float32) / 255 for one in (image, other))
    smooth = denoise_tv_chambolle(pixels, rng.uniform(*SMOOTHING), channel_axis=-1)
    lab = transfer_palette(rgb2lab(smooth), rgb2lab(palette), rng.uniform(*PALETTE))
    return Image.fromarray((255 * lab2rgb(lab)).round().astype(np.uint8))


def versions(job: Job) -> list[np.ndarray]:
    """Windows of a picture at several scales: list of uint8 (2, h, w, 3), as they are and plain.

    Without plain versions: (1, h, w, 3).
    """
    picture, rng = job.picture, job.rng
    native, made = min(picture.image.size), []
    smallest, largest = job.short_sides
    low, high = np.log(smallest), np.log(max(smallest, min(largest, 1.2 * native)))
    for number, other in enumerate(job.palettes):
        short = np.exp(low + (high - low) * (number + rng.uniform()) / len(job.palettes))
        size = [8 * round(side * short / native / 8) for side in picture.image.size]
        left, top = (rng.integers(max(0, side - WINDOW) + 1) for side in size)
        window = (left, top, left + min(WINDOW, size[0]), top + min(WINDOW, size[1]))
        image = picture.image.resize(size, Image.Resampling.LANCZOS).crop(window)
        pair = [image, plain(image, other, rng)] if job.plain else [image]
        if number % 2 == job.mirrored:
            pair = [ImageOps.mirror(one) for one in pair]
        made.append(np.stack([np.asarray(one) for one in pair]))
    return made


def encode_all(
    vae: AutoencoderKL,
    pictures: Sequence[art.Picture],
    short_sides: tuple[int, ...],
    rng: np.random.Generator,
    precision: str = "no",
    with_plain: bool = True,
) -> Crops:
    """Latents at several scales: group -> list of (picture, [float16 (2, C, h, w), ...]).

    A pair of latents shows the picture as it is and plain. A painting is made plain with the
    palette of a photograph, a photograph with that of a painting. Without plain versions there are
    no pairs: (1, C, h, w).
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
        jobs.append(Job(picture, palettes, with_plain, number % 2, short_sides, own))
    for job, made in zip(jobs, training.map_on_all_cores(versions, jobs, "pairs")):
        latents = [training.encode_batches(vae, pair, precision) for pair in made]
        encoded.setdefault(group_of(job.picture), []).append((job.picture, latents))
    return encoded
