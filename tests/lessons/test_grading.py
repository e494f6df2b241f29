"""The exercises as assignments for nbgrader.

nbgrader is not among the libraries of the kit. Its own tests run where the command `nbgrader` is on
the PATH, or where the variable SDKIT_NBGRADER names it.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from sdkit.files import ROOT
from sdkit.lessons import checks, grading
from tests import normalise

LESSONS = sorted(normalise.NOTEBOOKS.glob("[0-9]*.ipynb"))
lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
QUICK = "13_make_it_yours"  # only torch is imported
NBGRADER = os.environ.get("SDKIT_NBGRADER") or shutil.which("nbgrader")
needs_nbgrader = pytest.mark.skipif(
    not NBGRADER, reason="nbgrader is not installed: SDKIT_NBGRADER may name its command"
)
REGION = re.compile(r"### BEGIN SOLUTION\n.*?### END SOLUTION", re.S)


def cells(notebook, part):
    """The cells whose grade_id begins with a word."""
    return [c for c in notebook["cells"] if c["metadata"]["nbgrader"]["grade_id"].startswith(part)]


def starters(lesson):
    """The first lines of each exercise in the lesson itself, up to its check."""
    for cell in nbformat.read(lesson, as_version=4).cells:
        if cell.cell_type == "code" and "checks.check(" in cell.source:
            yield cell.source.partition("checks.check(")[0].strip()


@lessons
def test_an_assignment_has_question_answer_and_test_of_each_exercise(path):
    made = grading.assignment(path)
    nbformat.validate(nbformat.from_dict(made))
    mine = [number for number in checks._checkers if number.startswith(path.stem[:2])]
    assert len(mine) >= 2
    for part in ("question", "answer", "test"):
        found = [c["metadata"]["nbgrader"]["grade_id"] for c in cells(made, part)]
        assert found == [f"{part}-{number.replace('.', '-')}" for number in sorted(mine)]
    for question, number in zip(cells(made, "question"), sorted(mine)):
        assert question["source"].startswith(f"### Exercise {number} · ")
        assert not re.search(r"\]\((?!https?:)", question["source"])
    for test in cells(made, "test"):
        kept = test["metadata"]["nbgrader"]
        assert kept["grade"] and kept["locked"] and kept["points"] == grading.POINTS
    for answer in cells(made, "answer"):
        kept = answer["metadata"]["nbgrader"]
        assert kept["solution"] and not kept["locked"] and not kept["grade"]


@lessons
def test_without_the_solution_the_answer_is_the_cell_of_the_lesson(path):
    made = grading.assignment(path)
    left = [REGION.sub("", c["source"]) for c in cells(made, "answer")]
    assert [text.strip() for text in left] == list(starters(path))
    secret = [REGION.search(c["source"])[0] for c in cells(made, "answer")]
    assert all(len(text.splitlines()) > 2 for text in secret)


def test_the_points_are_those_of_the_rubric():
    plan = (ROOT / "docs" / "course-plan.md").read_text(encoding="utf-8")
    assert f"| **Exercise** | {grading.POINTS} |" in plan


def test_the_setup_has_what_an_answer_needs_and_nothing_else():
    solutions = [
        ("code", "import math\nn = math.sqrt(4)\nm = n + 1\nprint(m)\nunused = 3"),
        ("code", "later = 1\nchecks.check('00.1', later)"),
    ]
    assert grading.setup(solutions, {"m"}).splitlines() == [
        "from sdkit import checks",
        "import math",
        "n = math.sqrt(4)",
        "m = n + 1",
    ]
    assert grading._free("def f(a, b=c):\n    d = a\n    return d + e") == {"c", "e"}


def fails(made, change):
    """Which tests of an assignment fail when its answers are changed; runs its cells in a row."""
    names, failed = {}, []
    for cell in made["cells"]:
        name, source = cell["metadata"]["nbgrader"]["grade_id"], cell["source"]
        if cell["cell_type"] != "code":
            continue
        try:
            exec(change(source) if name.startswith("answer") else source, names)
        except Exception:  # as in a notebook, the next cell runs all the same
            failed.append(name)
    return [name for name in failed if name.startswith("test")]


@lessons
def test_only_right_answers_pass_the_tests(path, capsys):
    made = grading.assignment(path)
    tests = [cell["metadata"]["nbgrader"]["grade_id"] for cell in cells(made, "test")]
    assert fails(made, lambda source: source) == []
    assert fails(made, lambda source: REGION.sub("", source)) == tests
    assert fails(made, lambda source: wrong(REGION.sub("", source))) == tests
    assert "not yet. Hint:" in capsys.readouterr().out


# With nbgrader itself


def wrong(source):
    """An answer that was attempted and is not right."""
    return source.replace("return ...", "return 0.12").replace("None", "0.12")


def submissions(release, solved):
    """The notebooks of five students, by name."""

    def changed(part, change):
        made = json.loads(json.dumps(release))
        for cell in made["cells"]:
            if cell["metadata"]["nbgrader"]["grade_id"].startswith(part):
                cell["source"] = change("".join(cell["source"]))
        return made

    return {
        "right": (solved, True),
        "empty": (release, False),
        "wrong": (changed("answer", wrong), False),
        "stops": (changed("answer", lambda source: "1 / 0"), False),
        "changes the test": (changed("test", lambda source: "pass"), False),
    }


def course(folder, stems):
    """Hand out assignments, hand in, mark, and give feedback: the points of all."""
    grading.write(folder)
    kernels = folder / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
        "env": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    }
    (kernels / "kernel.json").write_text(json.dumps(kernel))
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["JUPYTER_PATH"] = str(folder / "jupyter")
    variables["PATH"] = str(Path(NBGRADER).parent) + os.pathsep + variables["PATH"]

    def nbgrader(*words):
        done = subprocess.run(
            [NBGRADER, *words], cwd=folder, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]

    for stem in stems:
        nbgrader("generate_assignment", stem)
        notebook = f"{stem}/{stem}.ipynb"
        release = json.loads((folder / "release" / notebook).read_text(encoding="utf-8"))
        assert "SOLUTION" not in json.dumps(release)
        solved = json.loads((folder / "source" / notebook).read_text(encoding="utf-8"))
        for student, (made, _) in submissions(release, solved).items():
            path = folder / "submitted" / student / notebook
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(made), encoding="utf-8")
        nbgrader("autograde", stem)
        nbgrader("generate_feedback", stem)
    nbgrader("export")
    with open(folder / "grades.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_marked(folder, stems):
    rows = course(folder, stems)
    assert {row["assignment"] for row in rows} == set(stems)
    for row in rows:
        made = grading.assignment(normalise.NOTEBOOKS / f"{row['assignment']}.ipynb")
        assert float(row["max_score"]) == grading.POINTS * len(cells(made, "test"))
        full = float(row["max_score"]) if row["student_id"] == "right" else 0
        assert float(row["score"]) == full, row
    assert len(rows) == 5 * len(stems)
    for stem in stems:
        page = (folder / "feedback" / "wrong" / stem / f"{stem}.html").read_text(encoding="utf-8")
        assert "not yet. Hint:" in page


@needs_nbgrader
def test_nbgrader_gives_full_points_to_right_answers_and_none_to_others(tmp_path):
    assert_marked(tmp_path, [QUICK])


@needs_nbgrader
@pytest.mark.slow
def test_nbgrader_marks_the_exercises_of_all_lessons(tmp_path):
    assert_marked(tmp_path, [path.stem for path in LESSONS if path.stem != QUICK])
