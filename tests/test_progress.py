"""Bars in notebooks: seen if it takes long, one at a time, quiet where outputs are compared."""

import subprocess
import sys

import nbformat
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
