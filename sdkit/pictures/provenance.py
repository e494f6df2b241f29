"""Say that AI made a picture: by a small mark in its corner, and by a note inside the file."""

import os
from collections.abc import Mapping
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sdkit.files import write_atomically

ROOM_FOR_MARK = 128  # px; if the short side is less, the mark would cover too much


def mark(image: Image.Image) -> Image.Image:
    """A copy of `image` in RGB with a small "AI" in its lower right corner.

    The mark is 1/18 of the short side high, so it stays in place when the picture is scaled.
    A picture with a short side below `ROOM_FOR_MARK` gets no mark.
    """
    image = image.convert("RGB")
    side = min(image.size)
    if side < ROOM_FOR_MARK:
        return image
    high, gap = round(side / 18), round(side / 50)
    font = ImageFont.load_default(high * 0.8)
    wide = round(font.getlength("AI") + high * 0.6)
    box = (
        image.width - gap - wide,
        image.height - gap - high,
        image.width - gap,
        image.height - gap,
    )
    veil = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(veil)
    draw.rounded_rectangle(box, radius=high / 4, fill=(0, 0, 0, 110))
    draw.text(
        ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
        "AI",
        font=font,
        fill=(255, 255, 255, 230),
        anchor="mm",
    )
    return Image.alpha_composite(image.convert("RGBA"), veil).convert("RGB")


def save_png(
    image: Image.Image, path: str | os.PathLike, note: dict[str, object], replace: bool = True
) -> None:
    """Save `image` as a PNG with the texts of `note` inside, and without any other metadata.

    note : {keyword: text}, such as {"Description": "..."}; each becomes a text chunk of the PNG.
    replace : False raises `AlreadyThere` if there is a file of that name.

    The file is written whole or not at all. Raises `SdkitError` if that is not possible.
    """
    with write_atomically(path, replace) as part:
        part.write_bytes(png(image, note))


def png(image: Image.Image, note: Mapping[str, object]) -> bytes:
    """The bytes of the file that `save_png` would write."""
    info = PngInfo()
    for key, value in note.items():
        info.add_itxt(key, str(value)) if not str(value).isascii() else info.add_text(
            key, str(value)
        )
    data = BytesIO()
    # an array holds only pixels, so nothing else of the photo reaches the file
    Image.fromarray(np.array(image.convert("RGB"))).save(data, format="PNG", pnginfo=info)
    return data.getvalue()
