"""Decode an opened picture, turn it upright, and convert any mode and depth to sRGB with 8 bits."""

import contextlib
import os
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# how to turn a picture for each value (2 to 8) of the orientation in its EXIF
TURNS = dict(
    enumerate(
        (
            "FLIP_LEFT_RIGHT",
            "ROTATE_180",
            "FLIP_TOP_BOTTOM",
            "TRANSPOSE",
            "ROTATE_270",
            "TRANSVERSE",
            "ROTATE_90",
        ),
        2,
    )
)


# the largest value of grey PNGs with 2 and 4 bits, by the names that Pillow has for them
GREY_LEVELS = {"L;2": 3, "L;4": 15}


def png_kind(image: Image.Image) -> str:
    """Pillow's name for the pixels of a PNG that is not decoded yet, such as "L;4"; or ""."""
    if getattr(image, "format", None) != "PNG" or not getattr(image, "tile", None):
        return ""
    return str(image.tile[0][3])  # type: ignore[attr-defined]  # only a file has it


def upright(image: Image.Image) -> Image.Image:
    """Decode a `PIL.Image` and turn it as its EXIF says. Lets any error of Pillow pass."""
    kind = png_kind(image)
    with _quiet_libtiff() if getattr(image, "format", None) == "TIFF" else contextlib.nullcontext():
        image.load()
    if kind in GREY_LEVELS and isinstance(image.info.get("transparency"), int):
        # Pillow scales the pixels to 8 bits, but not the shade that is transparent
        image.info["transparency"] = image.info["transparency"] * 255 // GREY_LEVELS[kind]
    turn = None
    # leave the picture as it is if its EXIF cannot be read
    with contextlib.suppress(Exception):
        turn = TURNS.get(image.getexif().get(0x0112, 1))
    # ImageOps.exif_transpose would fail on any odd entry, because it writes the whole EXIF again
    return image.transpose(Image.Transpose[turn]) if turn else image


@contextlib.contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Hide the messages that libtiff writes to the terminal about a damaged file.

    They do not pass through Python, and our own sentence says what is wrong.
    """
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a decoded picture of any mode to RGB: 8 bits, in sRGB, with white behind it.

    It uses the ICC profile in ``image.info``; without one the picture counts as sRGB.
    """
    info, alpha = image.info, None
    if image.mode[0] in "IF":  # I;16, I;16B, I, F: convert("RGB") would clip these
        values = np.asarray(image)
        grey = to_8_bit(values, sixteen=image.mode.startswith("I;16"))
        tags = getattr(image, "tag_v2", {})
        if tags.get(262) == 0:  # a TIFF in which 0 is white; Pillow turns only its 8 bits
            grey = 255 - grey
        # a grey PNG can name one shade that is transparent
        if isinstance(info.get("transparency"), int):
            grey[values == info["transparency"]] = 255
        image = Image.fromarray(grey)
    elif image.mode in ("La", "RGBa"):  # premultiplied alpha: Pillow converts it only to this
        image = image.convert(image.mode.upper())
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("L", "LA") else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert(image.mode.removesuffix("A"))
    image = _to_srgb(image, info.get("icc_profile")).convert("RGB")
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha) if alpha else image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture without transparency to sRGB by its ICC profile.

    Phones and screenshots often use Display P3. Its greens and reds would look dull as sRGB. If the
    profile is broken, or is not one for this kind of picture, the numbers stay as they are.
    """
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space == "RGB" and image.mode not in ("CMYK", "LAB"):
            image = image.convert("RGB")  # from a palette, or from grey with a profile for colours
        if (space, image.mode) not in (("RGB", "RGB"), ("GRAY", "L"), ("CMYK", "CMYK")):
            return image
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image  # None only if Pillow works in place


def to_8_bit(array: np.ndarray, sixteen: bool = False) -> np.ndarray:
    """Scale values of more than 8 bits to uint8, rounded.

    array : of any shape. White, the value that becomes 255, is 65535 if `sixteen` or if a value is
        above 255; otherwise it is 255 if a value is above 1; otherwise it is 1. NaN becomes 0.
    """
    most = np.fmax.reduce(array, axis=None)  # passes over NaN
    top = 65535 if sixteen or most > 255 else 255 if most > 1 else 1
    small = np.empty(array.shape, np.uint8)
    # a few rows at a time: 100 million pixels as float64 take 800 MB
    for rows in range(0, len(array), 256):
        part = np.nan_to_num(array[rows : rows + 256].astype(np.float64), posinf=top, neginf=0)
        small[rows : rows + 256] = np.clip(part * (255 / top), 0, 255).round()
    return small
