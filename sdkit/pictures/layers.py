"""Find out what a picture file says about how it was made, for all kinds that the kit reads."""

import contextlib
import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from sdkit.errors import SdkitError, plain
from sdkit.pictures import kinds, manifest, photos, watermark
from sdkit.pictures.certificate import Signer

# what the IPTC's words for the source of a picture mean (https://cv.iptc.org, 2025)
MEANINGS = {
    "trainedAlgorithmicMedia": "made by AI",
    "compositeWithTrainedAlgorithmicMedia": "partly made or changed by AI",
    "algorithmicMedia": "made by a program without training",
    "algorithmicallyEnhanced": "changed by a program",
    "compositeSynthetic": "put together, with parts made by a program",
    "dataDrivenMedia": "drawn from data",
    "digitalCapture": "taken by a camera",
    "computationalCapture": "taken by a camera that computes",
    "composite": "put together from several pictures",
    "compositeCapture": "put together from several photographs",
    "digitalCreation": "made by a person on a computer",
    "digitalArt": "made by a person on a computer",
    "humanEdits": "changed by a person",
    "screenCapture": "taken from a screen",
}
# keywords of the texts in which programs say how they made a picture
KEYWORDS = (
    *("parameters", "workflow", "sd-metadata", "invokeai_metadata", "Dream", "fooocus_scheme"),
    "use_stable_diffusion_model",
)
# the kit's own sentence, the line that many other programs write, and parts of the notes of some
PHRASES = re.compile(
    r"Made with (?:Google )?AI|\bSteps: \d+, Sampler: |AI generated image|^NovelAI\b"
    r'|"class_type": ?"|\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-'
)
# tags of EXIF 3.0: description, maker, model, software; ComfyUI writes its notes as maker and model
EXIF_TEXTS = (0x010E, 0x010F, 0x0110, 0x0131)
USER_COMMENT, EXIF_PART = 0x9286, 0x8769


@dataclass(frozen=True)
class Layers:
    """What a picture file says about how it was made. A layer that is not there is None."""

    # a sentence in the texts of the file
    text: str | None
    # the digital source type in XMP, without the address of the IPTC's list
    xmp: str | None
    # the signed manifest
    signed: manifest.Found | None
    # what was found of the mark in the pixels
    pixels: watermark.Trace
    # why the manifest, if there is one, could not be checked
    unread: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the layers that are there."""
        there = {
            "a text note": self.text,
            "XMP": self.xmp,
            "a signed manifest": self.signed or self.unread,
            "a mark in the pixels": self.pixels.found,
        }
        return [name for name, value in there.items() if value]


def read(path: Path, own: Signer | None = None, quick: bool = False) -> Layers:
    """The layers of a picture file.

    own : the key of this computer, if it has one. quick : see `watermark.detect`.

    Raises `SdkitError` if the picture cannot be read.
    """
    pixels = photos.open_photo(path)  # refuses other files and damaged pictures
    data = path.read_bytes()
    with warnings.catch_warnings(), _opened(data, path.name) as image:
        warnings.simplefilter("ignore")  # damaged EXIF
        kind = "image/jpeg" if image.format == "MPO" else image.get_format_mimetype()
        texts = _texts(image)
        xmp = _xmp(image)
    try:
        signed, unread = manifest.read(data, kind or "", own), None
    except SdkitError as error:
        signed, unread = None, str(error)
    return Layers(_note(texts), xmp, signed, watermark.detect(pixels, quick), unread)


def _opened(data: bytes, name: str) -> ImageFile.ImageFile:
    return Image.open(BytesIO(data), formats=kinds.formats_for(data, name))


def meaning(source: str) -> str:
    """A digital source type with its meaning, such as "digitalCapture (taken by a camera)"."""
    return f"{source} ({MEANINGS[source]})" if source in MEANINGS else source


def _texts(image: Image.Image) -> dict[str, str]:
    """The texts of a picture file by their keywords: of PNG, comments, and some of EXIF."""
    with contextlib.suppress(Exception):  # the texts of a PNG may come after its pixels
        image.load()
    found = {str(key): _decode(value) for key, value in image.info.items() if key != "exif"}
    with contextlib.suppress(Exception):  # EXIF may be damaged although the pixels are whole
        exif = image.getexif()
        found |= {f"EXIF {tag}": _decode(exif.get(tag)) for tag in EXIF_TEXTS}  # no PNG keyword
        found["UserComment"] = _decode(exif.get_ifd(EXIF_PART).get(USER_COMMENT))
    return {key: value for key, value in found.items() if value}


def _decode(value: Any) -> str:
    """A text of a file; empty for anything else."""
    if isinstance(value, bytes):
        if value[:8] == b"UNICODE\0":  # as EXIF marks UTF-16; programs use either order of bytes
            order = "utf-16-le" if value[8:9] != b"\0" else "utf-16-be"
            return value[8:].decode(order, "replace")
        return value.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _note(texts: dict[str, str]) -> str | None:
    """The text that says how the picture was made, on one line of at most 150 letters."""
    for key, text in texts.items():
        if key != "XML:com.adobe.xmp" and (key in KEYWORDS or PHRASES.search(text)):
            line = plain(text)
            return line if len(line) <= 150 else f"{line[:147]}..."
    return None


def _xmp(image: Image.Image) -> str | None:
    """The digital source type in the XMP of a picture."""
    try:
        told = image.getxmp()
    except Exception:  # XML that is damaged or forbidden
        return None
    for key, value in _walk(told):
        if key == "DigitalSourceType" and isinstance(value, str):
            return plain(value.rstrip("/").rpartition("/")[2])[:100] or None
    return None


def _walk(part: Any) -> Any:
    """Yield (key, value) for all dictionaries inside `part`, at any depth."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield key, value.get("resource", value) if isinstance(value, dict) else value
            yield from _walk(value)
    elif isinstance(part, list):
        for one in part:
            yield from _walk(one)
