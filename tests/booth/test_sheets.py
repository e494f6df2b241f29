"""Contact sheets and sheets to print."""

import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sdkit.booth import sheets
from sdkit.booth.visit import Picture

NOTE = {"Model": "mini-sd", "Prompt": "van gogh", "Strength": "0.4", "Seed": "7", "Size": "512"}


def picture(prompt="van gogh", size=(64, 80), colour="navy", **note):
    before, after = Image.new("RGB", size, "white"), Image.new("RGB", size, colour)
    return Picture(before, after, prompt, {**NOTE, "Prompt": prompt, **note}, "portrait")


def images(pdf):
    """The pictures in a PDF, whose objects hold the bytes of PNG files (ISO 32000, 7.4.4)."""
    found = []
    for part in pdf.split(b"endobj"):
        if b"/Subtype /Image" not in part:
            continue
        head, _, rest = part.partition(b"stream\n")
        width, height = (int(re.search(rb"/%s (\d+)" % n, head)[1]) for n in (b"Width", b"Height"))
        assert re.search(rb"/DeviceRGB\s+/BitsPerComponent 8\b", head) and b"/Predictor 10" in head
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", rest.rpartition(b"\nendstream")[0]), (b"IEND", b"")]
        png = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        found.append(np.asarray(Image.open(BytesIO(png))))
    return found


def test_a_print_sheet_is_one_a5_page_with_both_pictures():
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 255, (80, 64, 3), dtype=np.uint8) for _ in range(2)]
    before, after = map(Image.fromarray, pixels)
    pdf = sheets.print_sheet(Picture(before, after, "van gogh", NOTE, "portrait"))
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    (box,) = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    assert [round(float(side) / 72 * 25.4) for side in box] == [148, 210]
    # matplotlib stores rows from the bottom up, and turns them again on the page
    assert sorted(i[::-1].tobytes() for i in images(pdf)) == sorted(p.tobytes() for p in pixels)
    assert b"Made with AI" in pdf  # the title


@pytest.mark.parametrize("prompt", ["van gogh", "$x^2$ costs $5", "a \\frac{", "  ", "日本 é 🙂"])
def test_any_prompt_can_be_printed(prompt):
    assert sheets.print_sheet(picture(prompt)).startswith(b"%PDF-")


def test_a_long_prompt_stays_on_the_page():
    lines = sheets.wrapped("word " * 40)
    assert len(lines) <= 3 and max(map(len, lines)) <= 60


def test_rows_leave_out_the_prompt_and_name_units():
    assert sheets.rows(NOTE) == [
        ["Model", "mini-sd"],
        ["Strength", "0.4"],
        ["Seed", "7"],
        ["Size", "512 px"],
    ]


def test_a_contact_sheet_has_a_cell_for_the_photograph_and_each_picture():
    colours = [(200, 0, 0), (0, 160, 0), (0, 0, 200), (90, 90, 0)]
    sheet = sheets.contact_sheet([picture(str(c), colour=c) for c in colours])
    pixels = np.asarray(sheet).reshape(-1, 3)
    cell = sheets.CELL * sheets.CELL * 80 // 64
    for colour in [(255, 255, 255), *colours]:
        assert (pixels == colour).all(1).sum() >= 0.99 * cell


def test_a_contact_sheet_has_a_note_of_what_its_pictures_share():
    pictures = [picture("van gogh", Strength="0.4"), picture("monet", Strength="0.7")]
    with Image.open(BytesIO(sheets.contact_png(pictures))) as image:
        assert image.text["Prompt"] == "van gogh, monet"
        assert image.text["Seed"] == "7" and "Strength" not in image.text
    assert sheets.contact_pdf(pictures).startswith(b"%PDF-")
