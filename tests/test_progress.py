"""Bars in notebooks: seen if it takes long, one at a time, quiet where outputs are compared."""

import ast
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from sdkit import progress
from sdkit.files import ROOT
from tests import normalise

# a bar appears after a second, and so must a test wait for one
SLOW = """
import time
from sdkit import progress
for k in progress.bar(range(3), "slow loop"):
    for _ in progress.bar([1, 2], "inside"):
        time.sleep(0.5)
"""
LIVE = """
import numpy
from sdkit import widgets
with widgets.live() as show:
    show(numpy.zeros((8, 8)))
"""
QUICK = 'from sdkit import progress\nprint(*progress.bar("abc", "quick loop"))'
AFTER_AN_ERROR = """
broken = progress.bar(range(3), "broken loop")
try:
    for k in broken:
        raise ValueError
except ValueError:
    pass
"""


def outputs(cells, monkeypatch, quiet):
    """What the cells of a notebook show, as text, and the notebook."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    if not quiet:  # tests/conftest.py has set it
        monkeypatch.delenv("TQDM_DISABLE")
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return [str(cell.outputs) for cell in notebook.cells], notebook


def test_a_slow_cell_shows_one_bar_and_a_quick_one_none(monkeypatch):
    cells = [SLOW, QUICK, AFTER_AN_ERROR, SLOW, LIVE]
    (slow, quick, _, later, live), notebook = outputs(cells, monkeypatch, quiet=False)
    assert "slow loop" in slow and slow.count("%|") == 1
    assert "a b c" in quick and "%|" not in quick
    assert "slow loop" in later  # although a loop is open still
    assert progress.LEFT in live
    # what is left of the bars and of the picture does not go into the repository
    stored = nbformat.writes(normalise.normalise(notebook))
    assert "%|" not in stored and progress.LEFT not in stored and "a b c" in stored


def test_where_stored_outputs_are_made_no_bar_is_seen(monkeypatch):
    slow, live = outputs([SLOW, LIVE], monkeypatch, quiet=True)[0]
    assert slow == live == "[]"


def test_the_kernels_of_the_lessons_are_quiet():
    """nbval starts them from this process, and they take over its environment."""
    code = "import os; print(os.environ.get('TQDM_DISABLE'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "1"


def test_outside_a_notebook_nothing_is_shown_and_nothing_is_lost(monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE")
    assert list(progress.bar(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
    with progress.counted(None, 4, "steps") as step:
        step()
    calls = []
    with progress.counted(lambda: calls.append(1), 4, "steps") as step:
        step()
    assert calls == [1] and capsys.readouterr().err == ""


def loops_without_a_bar(code):
    """The heads of the loops in `code` that train or ask a UNet, and are in no loop with a bar."""
    found = []

    def look(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.For):
                calls = {
                    call.func.attr
                    for call in ast.walk(child)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
                }
                head = ast.unparse(child.iter)
                if calls & {"backward", "unet"}:
                    if "progress.bar" not in head:
                        found.append(head)
                    continue
            look(child)

    look(ast.parse(code))
    return found


LESSONS = sorted(normalise.NOTEBOOKS.glob("**/[01]*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=[f"{p.parent.name}-{p.stem[:2]}" for p in LESSONS])
def test_each_loop_of_a_lesson_that_trains_or_paints_has_a_bar(path):
    cells = nbformat.read(path, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert [head for source in code for head in loops_without_a_bar(source)] == []


def test_a_loop_without_a_bar_is_found():
    inner = "    for k in two:\n        loss.backward()\n"
    assert loops_without_a_bar(f"for n in range(9):\n{inner}") == ["range(9)"]
    assert loops_without_a_bar(f"for n in progress.bar(range(9)):\n{inner}") == []
