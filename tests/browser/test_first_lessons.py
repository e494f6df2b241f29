"""Lessons 00 to 06 in a real browser, and frames that must not be saved."""

import nbformat
import pytest

from tests.browser import lab

pytestmark = lab.NEEDS
SLIDERS = [
    ("00_start_here.ipynb", "style none", "style van gogh", [512, 512]),
    ("01_gans.ipynb", "updates 0", "updates 100", [210, 256]),
    ("02_forward_diffusion.ipynb", "steps of noise 0", "steps of noise 100", [192, 256]),
    ("03_reverse_diffusion.ipynb", "steps back 0", "steps back 80", [192, 256]),
    ("04_samplers.ipynb", "calls 2", "calls 4", [192, 256]),
    ("05_vae_latents.ipynb", "push 0", "push 1", [160, 256]),
    ("06_text_encoder.ipynb", "ask for: a", "ask for: a blue", [576, 576]),
]
PRIVATE = """
import numpy as np
from PIL import Image
from sdkit import widgets
rng = np.random.default_rng(0)
frames = {name: Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) \
for name in ("ann", "bob")}
slider = widgets.frames_slider(frames, "member", start="ann", alt="Members before and after.", \
keep=False)
"""


@pytest.mark.parametrize("path, first, second, widths", SLIDERS)
def test_a_lesson_runs_and_the_arrow_key_moves_its_slider(
    page, server, tmp_path, path, first, second, widths
):
    lab.move_slider(page, server, tmp_path, path, first, second, widths)


def test_private_frames_are_shown_but_not_saved(page, server, tmp_path):
    lab.write_notebook(server[1], "private.ipynb", PRIVATE)
    notebook = lab.run_all(page, server, "private.ipynb")
    image = page.locator(".widget-vbox img").first
    image.wait_for()
    assert image.evaluate("node => node.naturalWidth") == 64
    page.screenshot(path=tmp_path / "private.png")
    text = nbformat.writes(notebook)
    assert "image/" not in text and "base64" not in text and "widget-state" not in text


def test_a_screen_reader_hears_the_name_of_the_frame_and_what_it_shows(page, server):
    lab.write_notebook(server[1], "frames.ipynb", PRIVATE)
    lab.run_all(page, server, "frames.ipynb")
    handle = page.get_by_role("slider").first
    image = page.locator(".widget-vbox", has=handle).first.locator("img")
    first, alt = handle.get_attribute("aria-valuetext"), image.get_attribute("alt")
    assert alt.endswith(f" {first}.")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([node, old]) => node.alt != old", arg=[image.element_handle(), alt])
    second = handle.get_attribute("aria-valuetext")
    assert second != first and image.get_attribute("alt").endswith(f" {second}.")


def test_the_first_start_is_quiet(page, server, tmp_path):
    """No news and no question on the page, and no warning about encryption in the terminal."""
    lab.write_notebook(server[1], "quiet.ipynb", "1 + 1")
    lab.run_all(page, server, "quiet.ipynb")
    page.screenshot(path=tmp_path / "quiet.png")
    notices = page.locator(".jp-toastContainer [role=alert], .Toastify__toast, .jp-Dialog")
    assert notices.all_inner_texts() == []
    log = (server[1].parent / "server.log").read_text(encoding="utf-8", errors="replace")
    assert "Kernel started" in log and "encryption" not in log


def test_no_page_asked_another_machine_or_logged_an_error(page, heard):
    """This holds for all the tests above."""
    lab.only_this_machine_and_no_error(heard)
