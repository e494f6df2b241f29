"""The training pictures: free paintings and photographs in a folder, listed in ``data/art.tsv``.

The pictures themselves are not part of the kit. The list gives the title, the licence, the
checksum and the split of each one. It has two batches: 68 Van Goghs came later. In each folder and
batch, sorted by checksum, every tenth picture from the fourth on is for validation, and every tenth
from the ninth on is for testing. So the pictures of the first batch have kept their splits. There
is one exception: both versions of Van Gogh's *Bedroom* are for validation, so that no scene is in
two splits.
"""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.files import data_dir
from sdkit.pictures.photos import to_batch  # noqa: F401  (lessons and recipes call art.to_batch)

# The style of the pictures in each folder. Captions use these names, and so does the classifier.
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
# px; crops are never taken at a larger scale, so larger pictures would only cost memory
LONGEST_SHORT_SIDE = 640


@dataclass
class Picture:
    """One picture of the training folder, held in memory with a short side of at most 640 px."""

    file: str
    style: str
    title: str
    image: Image.Image

    @property
    def is_portrait(self) -> bool:
        """Whether it shows the head of one person, as half of the pictures in a lab demo do."""
        return self.file.startswith("portrait/") or "portrait" in self.title.lower()


def manifest() -> list[dict[str, str]]:
    """The rows of ``data/art.tsv`` as dictionaries.

    Their keys are file, split, artist, title, basis, source_repository, sha256 and batch.
    """
    with open(data_dir() / "art.tsv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def load(
    folder: str | Path,
    split: str,
    styles: Sequence[str] = STYLES,
    limit: int | None = None,
    short_side: int = LONGEST_SHORT_SIDE,
) -> list[Picture]:
    """Load the pictures of one split from ``folder``, and check their checksums.

    split : "train", "validation" or "test".
    limit : at most so many pictures of each folder (for tests).
    short_side : larger pictures are reduced to this short side in px.

    Raises `SdkitError` if a listed picture is missing or is a different one.
    """
    folder, pictures, taken = Path(folder), [], {}
    if not folder.is_dir():
        raise SdkitError(
            f"There is no folder {folder} with training pictures. data/README.md says how to get "
            "them. Only trainings and measurements need them."
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
                f"{path} is missing. data/README.md says how to get the training pictures."
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            raise SdkitError(
                f"{path} is not the picture that data/art.tsv lists: its checksum is different. "
                "Download it again."
            )
        image = Image.open(path).convert("RGB")
        scale = min(1, short_side / min(image.size))
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)
        pictures.append(Picture(row["file"], STYLE_OF_FOLDER[kind], row["title"], image))
    return pictures


def data_hash(pictures: Iterable[Picture]) -> str:
    """12 hex digits that name a set of pictures: from the SHA-256 of their names and checksums."""
    used = {picture.file for picture in pictures}
    lines = sorted(row["file"] + row["sha256"] for row in manifest() if row["file"] in used)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def crop(
    picture: Picture,
    size: int,
    rng: np.random.Generator,
    short_sides: Sequence[float] = (256, 512),
) -> np.ndarray:
    """A random square of ``size`` px as uint8 (size, size, 3). Half of the squares are mirrored.

    The whole picture is first scaled to a random short side between the two ``short_sides`` in px
    (log-uniform). A picture is enlarged by at most a fifth, unless the smaller short side needs
    more.
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
