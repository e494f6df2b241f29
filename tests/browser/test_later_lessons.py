"""Lessons 07 to 11 in a real browser, and the button that uploads photographs."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from PIL import Image

from tests.browser import lab

pytestmark = lab.NEEDS
SLIDERS = [
    ("07_unet_denoising.ipynb", "step 15", "step 25", [828, 768]),
    ("08_guidance.ipynb", "scale 1", "scale 2", [512, 512]),
    ("09_assembled.ipynb", "steps 1", "steps 3", [128, 256]),
    ("10_super_resolution.ipynb", "strength 0.4", "strength 0.7", [288, 288]),
    ("11_style_transfer.ipynb", "strength 0.6", "strength 0.8", [512, 512]),
]
UPLOAD = """
from sdkit import album, widgets
button = widgets.upload_button()
"""
# as in section 8 of lesson 11
USE = """
left_out = []
found = album.named(widgets.uploaded(button), left_out.append)
members = dict(album.open_each(found, left_out.append, 64))
widgets.show_lines(left_out)
print("members:", {name: image.size for name, image in members.items()})
"""


@pytest.mark.parametrize("path, first, second, widths", SLIDERS)
def test_a_lesson_runs_and_the_arrow_key_moves_its_slider(
    page, server, tmp_path, path, first, second, widths
):
    lab.move_slider(page, server, tmp_path, path, first, second, widths)


def test_photographs_are_uploaded_into_memory_and_not_stored(page, server, tmp_path):
    picture = tmp_path / "member.png"
    Image.new("RGB", (64, 64), "teal").save(picture)
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    lab.write_notebook(server[1], "upload.ipynb", UPLOAD)
    notebook = nbformat.read(server[1] / "upload.ipynb", as_version=4)
    notebook.cells.append(new_code_cell(USE.strip()))
    nbformat.write(notebook, server[1] / "upload.ipynb")
    lab.run_all(page, server, "upload.ipynb")
    output = page.locator(".jp-OutputArea-output", has_text="members:")
    assert output.inner_text().strip() == "members: {}"
    button = page.get_by_role("button", name="Photos (0)")
    with page.expect_file_chooser() as chooser:
        button.click()
    assert chooser.value.is_multiple()
    chooser.value.set_files([picture, broken])
    page.get_by_role("button", name="Photos (2)").wait_for()
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("members: {'member': (64, 64)}").wait_for()
    assert "holiday.jpg" in page.locator(".widget-html").inner_text()
    page.screenshot(path=tmp_path / "upload.png")
    page.keyboard.press("Control+s")
    saved = server[1] / "upload.ipynb"
    lab.wait(lambda: "(64, 64)" in saved.read_text(), "the notebook was not saved")
    text = saved.read_text()
    assert "base64" not in text and "widget-state" not in text and "holiday" not in text


def test_no_page_asked_another_machine_or_logged_an_error(page, heard):
    """This holds for all the tests above."""
    lab.only_this_machine_and_no_error(heard)
