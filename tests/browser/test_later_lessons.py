"""Lessons 07 to 11 in a real browser."""

import pytest

from tests.browser import lab

pytestmark = lab.NEEDS
SLIDERS = [
    ("07_unet_denoising.ipynb", "step 15", "step 25", [828, 768]),
    ("08_guidance.ipynb", "scale 1", "scale 2", [512, 512]),
    ("09_assembled.ipynb", "day 0 %", "day 20 %", [64, 256]),
    ("10_super_resolution.ipynb", "strength 0.4", "strength 0.7", [288, 288]),
    ("11_style_transfer.ipynb", "strength 0.6", "strength 0.8", [512, 512]),
]


@pytest.mark.parametrize("path, first, second, widths", SLIDERS)
def test_a_lesson_runs_and_the_arrow_key_moves_its_slider(
    page, server, tmp_path, path, first, second, widths
):
    lab.move_slider(page, server, tmp_path, path, first, second, widths)


def test_no_page_asked_another_machine_or_logged_an_error(page, heard):
    """This holds for all the tests above."""
    lab.only_this_machine_and_no_error(heard)
