"""What an opened picture shows: decoded, upright, and of any mode and depth as 8 bits of sRGB."""

import contextlib
import os
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

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
)  # what each value of EXIF's orientation asks for


def upright(image):
    """Decode a `PIL.Image`, and turn it as its EXIF says; raises whatever Pillow does."""
    with _quiet_libtiff() if getattr(image, "format", None) == "TIFF" else contextlib.nullcontext():
        image.load()
    turn = None
    # unreadable EXIF says nothing about how to turn the picture
    with contextlib.suppress(Exception):
        turn = TURNS.get(image.getexif().get(0x0112))
    # not by ImageOps.exif_transpose: it writes all of the EXIF anew, and gives up over any odd entry in it
    return image.transpose(Image.Transpose[turn]) if turn else image


@contextlib.contextmanager
def _quiet_libtiff():
    """Send to nowhere what libtiff writes to the terminal, past Python, about a damaged file: a sentence says it."""
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def to_rgb(image):
    """Any mode of Pillow to RGB, 8 bit, over white, in sRGB."""
    if image.mode[0] in "IF":  # I;16, I;16B, I, F: convert("RGB") would clip these
        values = np.asarray(image)
        grey = to_8_bit(values, sixteen=image.mode.startswith("I;16"))
        # the one shade of a PNG that is not shown
        if isinstance(image.info.get("transparency"), int):
            grey[values == image.info["transparency"]] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("La", "RGBa"):  # premultiplied alpha has one way out only
        image = image.convert(image.mode.upper())
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        # phones save Display P3, as do pictures of a screen: without this step its greens and reds go dull
        # a broken profile: take the numbers as they are
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            image = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGBA" if image.mode == "RGBA" else "RGB",
            )
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def to_8_bit(array, sixteen=False):
    """Grey or colour values of more than 8 bits to uint8, rounded: 65535 (or 1.0) becomes 255."""
    most = np.fmax.reduce(array, axis=None)  # without NaN
    top = 65535 if sixteen or most > 255 else 255 if most > 1 else 1
    small = np.empty(array.shape, np.uint8)
    # a few rows at a time: 100 million pixels as float64 take 800 MB
    for rows in range(0, len(array), 256):
        part = np.nan_to_num(array[rows : rows + 256].astype(np.float64), posinf=top, neginf=0)
        small[rows : rows + 256] = np.clip(part * (255 / top), 0, 255).round()
    return small
