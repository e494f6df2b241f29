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


def upright(image: Image.Image) -> Image.Image:
    """Decode a `PIL.Image` and turn it as its EXIF says. Lets any error of Pillow pass."""
    with _quiet_libtiff() if getattr(image, "format", None) == "TIFF" else contextlib.nullcontext():
        image.load()
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
    """Convert a decoded picture of any mode to RGB: 8 bits, in sRGB, with white behind it."""
    if image.mode[0] in "IF":  # I;16, I;16B, I, F: convert("RGB") would clip these
        values = np.asarray(image)
        grey = to_8_bit(values, sixteen=image.mode.startswith("I;16"))
        # a grey PNG can name one shade that is transparent
        if isinstance(image.info.get("transparency"), int):
            grey[values == image.info["transparency"]] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("La", "RGBa"):  # premultiplied alpha: Pillow converts it only to this
        image = image.convert(image.mode.upper())
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        # Phones and screenshots often use Display P3. Its greens and reds would look dull as sRGB.
        # If the profile is broken, the numbers stay as they are.
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGBA" if image.mode == "RGBA" else "RGB",
            )
            image = converted or image  # None only if Pillow works in place
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


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
