"""Contact sheets of several pictures, and sheets to print, in the format PDF.

A print sheet is A5, upright: the picture, the prompt, how it was made, that AI made it, and a line
for a signature.
"""

import datetime
import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from sdkit import __version__
from sdkit.pictures import provenance
from sdkit.pictures.certificate import Signer
from sdkit.pictures.manifest import Origin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sdkit.booth.visit import Picture

A5 = (148, 210)  # mm
MM = 1 / 25.4  # inch
INK, GREY, PAPER, GOLD = "#1f2a44", "#5d6475", "#fbf8f1", "#b58a2e"
SHOWN_ROWS = ("Model", "Strength", "Guidance scale", "Steps", "Seed", "Size")
COLUMNS = 3  # of a contact sheet
CELL, GAP, CAPTION = 400, 24, 44  # px: width of a picture, space, height of a caption


def rows(note: dict[str, str]) -> list[list[str]]:
    """How a picture was made, as pairs of name and value, from the note of its file."""
    units = {"Size": " px"}
    return [[key, note[key] + units.get(key, "")] for key in SHOWN_ROWS if key in note]


def print_sheet(picture: "Picture") -> bytes:
    """A PDF of one page in A5 with the picture and how it was made."""
    figure = _page()
    box = _fit(picture.after.size, (14, 14, A5[0] - 28, 128))
    _frame(figure, box)
    _show(figure, picture.after, box)
    lines = wrapped(f"“{picture.prompt}”")
    size = 13 if len(lines) == 1 else 8
    for k, line in enumerate(lines):
        y = 151.5 + 4 * (k - (len(lines) - 1) / 2)
        _text(figure, A5[0] / 2, y, line, size=size, style="italic", family="serif")
    small = _fit(picture.before.size, (14, 159, 22, 27))
    _show(figure, picture.before, small)
    _text(figure, 14 + small[2] / 2, 188.5, "the photograph", size=6, color=GREY)
    for k, (name, value) in enumerate(rows(picture.note)):
        y = 161.5 + 4.8 * k
        _text(figure, 46, y, name, size=7.5, ha="left", color=GREY)
        _text(figure, 74, y, value, size=7.5, ha="left")
    _sign(figure, f"Made with AI by {picture.note.get('Model', 'a diffusion model')}")
    return _pdf(figure, f"Made with AI: {picture.prompt}")


def wrapped(prompt: str) -> list[str]:
    """A prompt in at most three lines of 60 letters; a longer one ends in dots."""
    return textwrap.wrap(prompt, 60, max_lines=3, placeholder=" ...") or [""]


def contact_sheet(pictures: "Sequence[Picture]", paper: str = PAPER) -> Image.Image:
    """The photograph and all pictures made of it, each with its prompt, on one sheet in RGB.

    paper : the colour between the pictures.
    """
    cells = [("the photograph", pictures[0].before), *((p.prompt, p.after) for p in pictures)]
    high = round(CELL * max(image.height / image.width for _, image in cells))
    count = -(-len(cells) // COLUMNS)  # rows
    size = (
        GAP + (CELL + GAP) * min(COLUMNS, len(cells)),
        GAP + (high + CAPTION + GAP) * count,
    )
    sheet = Image.new("RGB", size, paper)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(22)
    for k, (caption, image) in enumerate(cells):
        left = GAP + (CELL + GAP) * (k % COLUMNS)
        top = GAP + (high + CAPTION + GAP) * (k // COLUMNS)
        fitted = image.resize(
            (CELL, round(CELL * image.height / image.width)), Image.Resampling.LANCZOS
        )
        sheet.paste(fitted, (left, top))
        draw.text((left + CELL / 2, top + high + CAPTION / 2), caption, INK, font, anchor="mm")
    if len(cells) % COLUMNS:  # the first free cell says how the pictures were made
        left = GAP + (CELL + GAP) * (len(cells) % COLUMNS)
        top = GAP + (high + CAPTION + GAP) * (count - 1)
        lines = ["Made with AI", "", *(": ".join(row) for row in _common_rows(pictures))]
        for k, line in enumerate(lines):
            draw.text((left + 20, top + 60 + 36 * k), line, GREY if k else INK, font)
    return sheet


def single_png(picture: "Picture", signer: Signer | None = None) -> bytes:
    """A picture as a PNG file with a note on how it was made. A `signer` signs it."""
    return provenance.png(picture.after, dict(picture.note), Origin.PICTURE, signer)


def contact_png(pictures: "Sequence[Picture]", signer: Signer | None = None) -> bytes:
    """The contact sheet as a PNG file, as `single_png` does it for one picture."""
    note: dict[str, object] = {**_common_note(pictures)}
    return provenance.png(contact_sheet(pictures), note, Origin.PICTURE, signer)


def contact_pdf(pictures: "Sequence[Picture]") -> bytes:
    """A PDF of one page in A5 with the contact sheet."""
    figure, sheet = _page(), contact_sheet(pictures, "white")
    box = _fit(sheet.size, (8, 12, A5[0] - 16, 168))
    _show(figure, sheet, box)
    model = pictures[0].note.get("Model", "a diffusion model")
    _sign(figure, f"Made with AI by {model}")
    return _pdf(figure, "Made with AI: a portrait in several styles")


def _common_note(pictures: "Sequence[Picture]") -> dict[str, str]:
    """The entries that the notes of all pictures share, and all their prompts."""
    first = pictures[0].note
    shared = {k: v for k, v in first.items() if all(p.note.get(k) == v for p in pictures)}
    return {**shared, "Prompt": ", ".join(p.prompt for p in pictures)}


def _common_rows(pictures: "Sequence[Picture]") -> list[list[str]]:
    return rows(_common_note(pictures))


# The page is measured in mm from its upper left corner. A box is left, top, width and height.
Box = tuple[float, float, float, float]


def _page() -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(A5[0] * MM, A5[1] * MM), facecolor="white")


def _fit(size: tuple[int, int], room: Box) -> Box:
    """The largest box of the shape of `size` (px) in the middle of `room`."""
    left, top, width, height = room
    scale = min(width / size[0], height / size[1])
    wide, high = size[0] * scale, size[1] * scale
    return left + (width - wide) / 2, top + (height - high) / 2, wide, high


def _place(box: Box) -> Any:
    """A box in the units of matplotlib: shares of the page, from its lower left corner."""
    left, top, width, height = box
    return left / A5[0], 1 - (top + height) / A5[1], width / A5[0], height / A5[1]


def _show(figure: "Figure", image: Image.Image, box: Box) -> None:
    axes = figure.add_axes(_place(box))
    axes.imshow(image, interpolation="none", aspect="auto")
    axes.set_axis_off()


def _frame(figure: "Figure", box: Box) -> None:
    """A thin golden line around a box."""
    from matplotlib.patches import Rectangle

    left, top, width, height = _place((box[0] - 2, box[1] - 2, box[2] + 4, box[3] + 4))
    figure.add_artist(Rectangle((left, top), width, height, fill=False, ec=GOLD, lw=0.8))


def _text(figure: "Figure", x: float, y: float, text: str, **how: Any) -> None:
    """Write `text` at x and y (mm). A $ stays a $."""
    how = {"ha": "center", "va": "center", "color": INK, "size": 8, **how}
    figure.text(x / A5[0], 1 - y / A5[1], text, parse_math=False, **how)


def _sign(figure: "Figure", made: str) -> None:
    """The foot of a page: who made it, the day, and a line for a signature."""
    from matplotlib.lines import Line2D

    y = 1 - 195 / A5[1]
    figure.add_artist(Line2D((84 / A5[0], 134 / A5[0]), (y, y), color=GREY, lw=0.6))
    _text(figure, 109, 198, "signature", size=6, color=GREY)
    _text(figure, 14, 194, made, size=8, ha="left", weight="bold")
    day = datetime.date.today().isoformat()
    _text(figure, 14, 198.5, f"{day}, with sdkit {__version__}", size=6, ha="left", color=GREY)


def _pdf(figure: "Figure", title: str) -> bytes:
    from matplotlib import rc_context

    data = BytesIO()
    about = {"Title": title, "Creator": f"sdkit {__version__}", "Producer": None}
    # fonttype 42 embeds fonts as they are, so that the text can be searched and copied
    with rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans"}):
        figure.savefig(data, format="pdf", metadata=about)
    return data.getvalue()
