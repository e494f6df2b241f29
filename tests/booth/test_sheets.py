"""Contact sheets and sheets to print."""

import re
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


def streams(pdf):
    """Each unpacked stream of a PDF with the dictionary before it, as ISO 32000 lays them out."""
    found = []
    for match in re.finditer(rb"<<((?:(?!<<).)*?)>>\s*stream\r?\n", pdf, re.DOTALL):
        length = re.search(rb"/Length (\d+)(?! \d+ R)", match[1])
        end = match.end() + int(length[1]) if length else pdf.index(b"endstream", match.end())
        data = pdf[match.end() : end]
        if b"FlateDecode" in match[1]:
            data = zlib.decompressobj().decompress(data)
        found.append((match[1], data))
    return found


def test_a_print_sheet_is_one_a5_page_with_both_pictures():
    pdf = sheets.print_sheet(picture(colour=(10, 20, 200)))
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    (box,) = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    assert [round(float(side) / 72 * 25.4) for side in box] == [148, 210]
    images = [(head, data) for head, data in streams(pdf) if b"/Subtype /Image" in head]
    assert len(images) == 2
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
