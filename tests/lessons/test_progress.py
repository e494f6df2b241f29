"""The bar of the lessons counts, appears only if it takes long, and is quiet for stored outputs."""

import subprocess
import sys

import pytest

from sdkit.lessons import progress


@pytest.fixture
def loud(monkeypatch):
    monkeypatch.delenv(progress.QUIET)  # tests/conftest.py has set it for the kernels


def test_a_loop_goes_through_all_items_with_a_bar_or_without(loud, monkeypatch):
    assert list(progress.bar("abc", "letters")) == ["a", "b", "c"]
    monkeypatch.setenv(progress.QUIET, "1")
    assert list(progress.bar(iter("abc"), total=3)) == ["a", "b", "c"]


def test_a_quick_loop_shows_nothing_and_a_slow_one_shows_how_far_it_is(loud, capsys):
    for _ in progress.bar(range(3), "quick"):
        pass
    assert capsys.readouterr().err.strip() == ""
    with progress.bar(what="painting", total=4) as bar:
        bar.start_t = bar.last_print_t = bar.start_t - 2  # as if it had begun two seconds ago
        bar.update(3)
        shown = capsys.readouterr().err
    assert "painting" in shown and "3/4" in shown


def test_the_variable_silences_a_slow_bar(monkeypatch, capsys):
    monkeypatch.setenv(progress.QUIET, "1")
    with progress.bar(what="painting", total=4) as bar:
        bar.start_t = bar.last_print_t = -1000
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_the_kernels_of_the_lessons_are_quiet():
    """nbval starts them from this process, and they take over its environment."""
    code = "import os; print(os.environ.get('SDKIT_QUIET'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "1"
