"""Lessons 12, 13, 15, 16 and 17 in a real browser, and the Turing test."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from tests.browser import lab

pytestmark = lab.NEEDS
SLIDERS = [
    ("12_how_good.ipynb", "suspect 1", "suspect 2", [256, 256]),
    ("13_make_it_yours.ipynb", "strength 1", "strength 1.5", [256, 256]),
    ("15_straight_roads.ipynb", "u 1.0", "u 0.8", [352, 352]),
    ("16_edit.ipynb", "share 0", "share 0.2", [256, 256]),
    ("17_whose_picture.ipynb", "cut off (px) 0", "cut off (px) 8", [512, 512]),
]
TURING = """
import numpy as np
from sdkit import turing
rng = np.random.default_rng(0)
shades = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(8)]
game = turing.Game({"GAN": list(zip(shades[:2], shades[2:4])), \
"diffusion": list(zip(shades[4:6], shades[6:]))})
box = turing.play(game)
"""


@pytest.mark.parametrize("path, first, second, widths", SLIDERS)
def test_a_lesson_runs_and_the_arrow_key_moves_its_slider(
    page, server, tmp_path, path, first, second, widths
):
    lab.move_slider(page, server, tmp_path, path, first, second, widths)


PAD = """
from PIL import Image
from sdkit import widgets
pad = widgets.drawing_pad(Image.new("RGB", (128, 128), (0, 0, 250)))
"""
LOOK = """
image = pad.picture()
print("size", image.size, "corner", image.getpixel((5, 5)), "middle", image.getpixel((64, 64)))
"""


def test_what_is_drawn_on_the_pad_reaches_the_kernel(page, server, tmp_path):
    lab.write_notebook(server[1], "pad.ipynb", PAD)
    notebook = nbformat.read(server[1] / "pad.ipynb", as_version=4)
    notebook.cells.append(new_code_cell(LOOK.strip()))
    nbformat.write(notebook, server[1] / "pad.ipynb")
    lab.run_all(page, server, "pad.ipynb")
    page.get_by_text("size (128, 128) corner (0, 0, 250) middle (0, 0, 250)").wait_for()
    pad = page.locator(".sdkit-pad")
    pad.get_by_role("button", name="red").click()
    pad.get_by_role("button", name="thick").click()
    box = pad.locator("canvas").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 3 * box["width"] / 4, y, steps=4)
    page.mouse.up()
    page.get_by_text("The drawing is in the kernel.").wait_for()
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("size (128, 128) corner (0, 0, 250) middle (200, 30, 30)").wait_for()
    pad.get_by_role("button", name="Start again").click()
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("size (128, 128) corner (0, 0, 250) middle (0, 0, 250)").wait_for()
    page.screenshot(path=tmp_path / "pad.png")


def test_the_turing_test_is_played_by_keyboard_and_hides_the_answers(page, server, tmp_path):
    lab.write_notebook(server[1], "turing.ipynb", TURING)
    lab.run_all(page, server, "turing.ipynb")
    box = page.locator(".widget-vbox", has=page.locator("button", has_text="left is real")).first
    line, image, left = (
        box.locator(".widget-html-content").last,
        box.locator("img"),
        box.locator("button").first,
    )
    for number in range(1, 5):
        assert line.inner_text() == f"Pair {number} of 4: which one is real?"
        assert image.evaluate("node => node.naturalWidth") == 3 * (64 + 8 + 64)
        page_text = box.evaluate("node => node.outerHTML")
        assert "GAN" not in page_text and "diffusion" not in page_text
        source = image.get_attribute("src")
        if number == 1:
            left.focus()
        elif number == 2:
            page.keyboard.press("Tab")  # on to the other button, where it stays
        page.keyboard.press("Enter" if number % 2 else "Space")
        page.wait_for_function(
            "([node, old]) => node.textContent != old",
            arg=[line.element_handle(), f"Pair {number} of 4: which one is real?"],
        )
        if number < 4:
            page.wait_for_function(
                "([node, old]) => node.src != old", arg=[image.element_handle(), source]
            )
    assert "The end." in line.inner_text() and "of 2 right" in line.inner_text()
    assert left.is_disabled()
    page.screenshot(path=tmp_path / "turing.png")


def test_no_page_asked_another_machine_or_logged_an_error(page, heard):
    """This holds for all the tests above."""
    lab.only_this_machine_and_no_error(heard)
