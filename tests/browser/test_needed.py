"""Which cells of a notebook a cell needs."""

import nbformat
import pytest

from tests.browser.needed import needed
from tests.normalise import NOTEBOOKS


@pytest.mark.parametrize(
    "sources, places",
    [
        (["a = 1", "b = 2", "print(a)"], [0, 2]),
        (["import os", "def f():\n    return os.sep", "unused = 3", "f()"], [0, 1, 3]),
        (["a = 1", "a = 2", "print(a)"], [1, 2]),  # the later value is the one that counts
        (["a = 1", "a += 1", "print(a)"], [0, 1, 2]),
        (["a = {}", "a['x'] = 1", "print(a)"], [0, 1, 2]),
        (["a = f", "a.size[0] = 1", "print(a)"], [0, 1, 2]),
        (["k = 5", "for k in range(3):\n    x = k", "print(x)"], [1, 2]),
        (["a = [1]", "print([k for k in a])", "k = 3", "print([k for k in a])"], [0, 3]),
        (["n = 2", "def f(n):\n    return n", "f(1)"], [1, 2]),
    ],
)
def test_a_cell_needs_those_that_make_or_change_its_names(sources, places):
    assert needed(sources, len(sources) - 1) == places


def test_what_a_slider_of_a_lesson_needs_runs_by_itself():
    """Lesson 02 needs no network, so its slider can be made here, without what lies between."""
    code = [
        cell.source
        for cell in nbformat.read(NOTEBOOKS / "02_forward_diffusion.ipynb", as_version=4).cells
        if cell.cell_type == "code"
    ]
    first = next(i for i, source in enumerate(code) if "frames_slider(" in source)
    places = needed(code, first)
    assert len(places) < first + 1
    namespace = {}
    for place in places:
        exec(code[place], namespace)  # our own notebook, already under review
    assert "slider" in namespace
