"""The pages for the teacher: plans whose minutes add up, answers, and the sheet of exit tickets."""

import re

import nbformat
import pytest

from sdkit.files import ROOT
from sdkit.lessons import tickets
from tests import core_path, normalise
from tests.benchmarks import cells

LESSONS = sorted(normalise.NOTEBOOKS.glob("[01][0-9]_*.ipynb"))
LESSONS = [path for path in LESSONS if path.name[:2] != "17"]
ROW = re.compile(r"^\| (-|\d+-\d+) \| (\d+-\d+) \| ([^|]+) \| ([^|]+) \|$", re.M)


def page(path):
    return (ROOT / "docs" / "lessons" / f"{path.stem}.md").read_text(encoding="utf-8")


def adds_up(spans, total):
    """Whether spans such as "0-7", "7-15" follow each other from 0 to `total` minutes."""
    ends = [0]
    for span in spans:
        first, last = map(int, span.split("-"))
        if first != ends[-1] or last <= first:
            return False
        ends.append(last)
    return ends[-1] == total


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_minutes_of_both_plans_add_up_and_all_sections_have_a_place(path):
    rows = ROW.findall(page(path))
    assert adds_up([short for short, *_ in rows if short != "-"], 45)
    assert adds_up([long for _, long, *_ in rows], 90)
    planned = [int(what.split()[1]) for *_, what, _ in rows if what.startswith("section")]
    short = [
        int(what.split()[1])
        for span, _, what, _ in rows
        if what.startswith("section") and span != "-"
    ]
    sections = [s for s in core_path.sections(nbformat.read(path, as_version=4)) if s.number]
    assert planned == [s.number for s in sections]
    assert short == [s.number for s in sections if not s.further]
    assert rows[-1][2] == "exit ticket"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_page_has_answers_what_to_leave_out_and_the_ticket(path):
    text = page(path)
    questions = text.partition("## Questions to the class, and answers")[2].partition("\n## ")[0]
    answers = re.findall(r"^\* \*\*[^*]+[?.]\*\* (.+)$", questions, re.M)
    assert len(answers) >= 3 and all(len(answer.split()) >= 8 for answer in answers)
    assert "**A beginner may leave out:**" in text and "**For the fast ones:**" in text
    assert "exit-tickets.html" in text and "points" in text


def test_minutes_that_do_not_add_up_are_found():
    assert adds_up(["0-8", "8-45"], 45)
    assert not adds_up(["0-8", "9-45"], 45)
    assert not adds_up(["0-8", "8-44"], 45)
    assert not adds_up(["0-8", "8-8", "8-45"], 45)


def test_the_sheet_of_tickets_has_the_questions_of_the_lessons():
    sheet = tickets.SHEET.read_text(encoding="utf-8")
    assert sheet == tickets.page(), "run python -m sdkit.lessons.tickets"
    assert sheet.count("<section>") == len(list(normalise.NOTEBOOKS.glob("[0-9]*.ipynb")))
    assert "<details>" not in sheet and "**" not in sheet


def test_slow_cells_are_written_into_a_page():
    page = "# Lesson\n\n## Where people stumble\n\n* x\n"
    once = cells.written(page, [("section 2", "train(net)", 41.6)])
    assert "| section 2 | `train(net)` | 42 |" in once
    assert cells.written(once, []).count("## Slow cells") == 1
    assert "42" not in cells.written(once, []) and "## Where people stumble" in once


def test_times_of_the_last_run_are_read_from_the_cells():
    """nbclient stores when a cell began and ended; quick cells are left out."""
    cell = nbformat.v4.new_code_cell
    quick, slow = cell("x = 1"), cell("train(net)\nprint(net)")
    for one, end in ((quick, "10:00:02.500000"), (slow, "10:00:41.600000")):
        one.metadata["execution"] = {
            "iopub.execute_input": "2026-11-30T10:00:00.000000Z",
            "shell.execute_reply": f"2026-11-30T{end}Z",
        }
    heading = nbformat.v4.new_markdown_cell("## 2 · Train\n\nA text.")
    notebook = nbformat.v4.new_notebook(cells=[quick, heading, slow])
    assert cells.stored(notebook) == [("section 2", "train(net)", 41.6)]
    with pytest.raises(SystemExit, match="no times are stored"):
        cells.stored(normalise.normalise(notebook))
