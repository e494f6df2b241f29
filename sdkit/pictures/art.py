"""The pictures the networks learn from: free paintings and photographs in a folder, listed in ``data/art.tsv``.

None of the pictures is part of the kit. The list names each of them with title, licence basis, checksum and split:
within a folder, sorted by checksum, every tenth picture from the fourth on is for validation and every tenth from
the ninth on for testing. One exception: both versions of Van Gogh's *Bedroom* are for validation, so that no
composition lies on two sides.
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.files import data_dir
from sdkit.pictures.photos import to_batch  # noqa: F401  (lessons and recipes call art.to_batch)

# The style of each folder: what the captions say and what the classifier tells apart.
STYLE_OF_FOLDER = {
    "van_gogh": "van gogh",
    "ukiyo_e": "ukiyo-e",
    "impressionism": "impressionism",
    "oil_painting": "oil painting",
    "pointillism": "pointillism",
    "photo": "a photo",
    "portrait": "a photo",
}
STYLES = ("van gogh", "ukiyo-e", "impressionism", "oil painting", "a photo")
# px; crops are never taken at a larger scale, so larger pictures only cost memory
LONGEST_SHORT_SIDE = 640


@dataclass
class Picture:
    """One picture of the training folder, held in memory with a short side of at most 640 px."""

    file: str
    style: str
    title: str
    image: Image.Image

    @property
    def is_portrait(self):
        """Whether it shows one person's head: half of what people bring to the lab demo."""
        return self.file.startswith("portrait/") or "portrait" in self.title.lower()


def manifest():
    """Rows of ``data/art.tsv`` as dictionaries: file, split, artist, title, basis, source_repository, sha256."""
    with open(data_dir() / "art.tsv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def load(folder, split, styles=STYLES, limit=None):
    """Pictures of one ``split`` ("train", "validation" or "test") under ``folder``, checksums verified.

    ``limit`` takes only the first so many of each folder (for tests). Raises SdkitError when the folder lacks a
    listed picture or holds a different one.
    """
    folder, pictures, taken = Path(folder), [], {}
    if not folder.is_dir():
        raise SdkitError(
            f"There is no folder {folder} with training pictures; data/README.md says how to get the "
            "same ones. Nothing but training needs them."
        )
    for row in manifest():
        kind = row["file"].split("/")[0]
        if (
            row["split"] != split
            or STYLE_OF_FOLDER[kind] not in styles
            or taken.get(kind, 0) == limit
        ):
            continue
        taken[kind] = taken.get(kind, 0) + 1
        path = folder / row["file"]
        if not path.is_file():
            raise SdkitError(
                f"{path} is missing; data/README.md says how to get the training pictures."
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            raise SdkitError(
                f"{path} is not the picture listed in data/art.tsv (other checksum); fetch it again."
            )
        image = Image.open(path).convert("RGB")
        scale = min(1, LONGEST_SHORT_SIDE / min(image.size))
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)
        pictures.append(Picture(row["file"], STYLE_OF_FOLDER[kind], row["title"], image))
    return pictures


def data_hash(pictures):
    """First 12 hex digits of the SHA-256 of the file names and checksums used: which data made these weights."""
    used = {picture.file for picture in pictures}
    lines = sorted(row["file"] + row["sha256"] for row in manifest() if row["file"] in used)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def crop(picture, size, rng, short_sides=(256, 512)):
    """A random square of ``size`` px as uint8 (size, size, 3), half of them mirrored.

    It is cut as if the whole picture had been scaled to a short side drawn (log-uniformly) from ``short_sides``,
    in px; a picture is enlarged by a fifth at most, unless the smallest short side asks for more.
    """
    native = min(picture.image.size)
    low, high = short_sides
    high = max(low, min(high, 1.2 * native))
    short_side = max(size, np.exp(rng.uniform(np.log(low), np.log(high))))
    window = size * native / short_side
    left, top = (rng.uniform(0, side - window) for side in picture.image.size)
    square = picture.image.resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + window, top + window)
    )
    if rng.random() < 0.5:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(square)
