"""Say that AI made a picture: by a small mark in its corner, and by notes inside the file."""

import os
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sdkit import __version__
from sdkit.files import write_atomically
from sdkit.pictures import manifest
from sdkit.pictures.certificate import Signer
from sdkit.pictures.manifest import Origin

# XMP, ISO 16684-1: the form of notes that photo programs and picture agencies read
XMP_KEYWORD = "XML:com.adobe.xmp"
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="sdkit {version}"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    Iptc4xmpExt:DigitalSourceType="{source}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
ROOM_FOR_MARK = 128  # px; on a picture with a smaller short side the mark would cover too much


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
    image: Image.Image,
    path: str | os.PathLike,
    note: dict[str, object],
    replace: bool = True,
    origin: Origin | None = None,
    signer: Signer | None = None,
) -> None:
    """Save `image` as a PNG with the texts of `note` inside, and without any other metadata.

    note, origin, signer : see `png`.
    replace : False raises `AlreadyThere` if there is a file of that name.

    The file is written whole or not at all. Raises `SdkitError` if that is not possible.
    """
    data = png(image, note, origin, signer)
    with write_atomically(path, replace) as part:
        part.write_bytes(data)


def png(
    image: Image.Image,
    note: dict[str, object],
    origin: Origin | None = None,
    signer: Signer | None = None,
) -> bytes:
    """The bytes of a PNG file with the texts of `note` inside, and without any other metadata.

    note : {keyword: text}, such as {"Description": "..."}; each becomes a text chunk of the PNG.
    origin : if AI made the picture, what it was made from. Then the file also says this in XMP.
    signer : a key; then the file also has a signed manifest. It needs an `origin`.

    Raises `SdkitError` if the picture cannot be signed.
    """
    info = PngInfo()
    for key, value in note.items():
        info.add_itxt(key, str(value)) if not str(value).isascii() else info.add_text(
            key, str(value)
        )
    if origin:
        info.add_itxt(XMP_KEYWORD, XMP.format(version=__version__, source=manifest.IPTC + origin))
    file = BytesIO()
    # an array holds only pixels, so nothing else of the photo reaches the file
    Image.fromarray(np.array(image.convert("RGB"))).save(file, format="PNG", pnginfo=info)
    if origin and signer:
        return manifest.sign(file.getvalue(), note, origin, signer)
    return file.getvalue()
