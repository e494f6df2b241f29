"""How a picture says that AI made it: a small mark in the corner, and a note inside the file."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sdkit.files import write_atomically

ROOM_FOR_MARK = 128  # px, short side: on less, the mark would cover what there is to see


def mark(image):
    """A copy of `image` with a small "AI" in its lower right corner; below 128 px, where there is no room, without.

    It is an eighteenth of the short side high, so that a picture made larger has it in the same place.
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


def save_png(image, path, note, replace=True):
    """Write `image` as PNG, whole or not at all, with the text chunks of `note` and no other metadata.

    With `replace` False, raises `AlreadyThere` where there is a file of that name.
    """
    info = PngInfo()
    for key, value in note.items():
        info.add_itxt(key, str(value)) if not str(value).isascii() else info.add_text(
            key, str(value)
        )
    with write_atomically(path, replace) as part:
        Image.fromarray(np.array(image.convert("RGB"))).save(part, format="PNG", pnginfo=info)
