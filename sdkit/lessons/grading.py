"""The exercises of a lesson as an assignment for nbgrader, which hands out and marks notebooks.

`assignment` makes the source version: nbgrader's ``generate_assignment`` takes the solutions out
of it, and ``autograde`` runs it. Each exercise becomes three cells: the question, an answer, and a
test. The test runs the checker of the exercise and fails unless it says "right".
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdkit.files import ROOT

POINTS = 2  # of an exercise, as in the rubric of docs/course-plan.md
LINK = re.compile(r"!?\[([^\]]*)\]\((?!https?:)[^)\s]+\)")
TOP = """# {title} · Exercises

Answer each exercise in the cell below it. The cell after that says whether your answer is right,
and gives a hint if it is not. Changes in this cell do not count. "Section 5" means section 5 of the
lesson.

Before you hand this in: choose *Restart Kernel and Run All Cells* and read what each check says."""
TEST = """{check}
assert checks.done("{number}"), "not right yet"
"""
# What nbgrader must know about a course. Its own stub for an answer would stop the cell, so it is
# empty: students get the lesson's own first lines.
CONFIG = """c = get_config()  # noqa: F821 (nbgrader defines it)

c.CourseDirectory.course_id = "stable-diffusion"
c.ClearSolutions.code_stub = {"python": ""}
c.ExecutePreprocessor.timeout = 300  # seconds for one cell
c.ExecutePreprocessor.iopub_timeout = 120  # for its outputs: a busy machine is slow
"""
NOTEBOOK = {
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


def assignment(lesson: Path) -> dict[str, Any]:
    """The notebook of an assignment: all exercises of a lesson, with solutions and tests."""
    cells = _cells(lesson)
    solutions = _cells(lesson.parent / "solutions" / lesson.name)
    title = next(text for kind, text in cells if kind == "markdown").partition("\n")[0]
    asked = dict(_questions(cells))
    starters, solved = dict(_answers(cells)), dict(_answers(solutions))
    needed = set().union(*(_free(code) for code, _ in (*starters.values(), *solved.values())))
    made = [
        _cell("top", TOP.format(title=title.removeprefix("# "))),
        _cell("setup", setup(solutions, needed), "code"),
    ]
    for number, (starter, check) in starters.items():
        solution = f"### BEGIN SOLUTION\n{solved[number][0]}\n### END SOLUTION"
        test = TEST.format(check=check, number=number)
        made += [
            _cell(f"question-{number}", asked[number]),
            _cell(f"answer-{number}", f"{starter}\n\n{solution}", "code", solution=True),
            _cell(f"test-{number}", test, "code", grade=True, points=POINTS),
        ]
    return {"cells": made, **NOTEBOOK}


def setup(solutions: list[tuple[str, str]], needed: set[str]) -> str:
    """The imports of the solutions, and what binds the names in `needed` in their first cells."""
    lines = []
    for kind, text in solutions:
        if kind == "code" and "checks.check(" in text:
            break
        for line in ast.parse(text).body if kind == "code" else []:
            lines.append((line, ast.get_source_segment(text, line) or ""))
    kept, here = [], set()
    for line, source in reversed(lines):
        if isinstance(line, (ast.Import, ast.ImportFrom)) or _bound(line) & needed:
            needed = needed | _free(source)
            kept.append(source)
            here |= _bound(line)
    if "checks" not in here:
        kept.append("from sdkit import checks")
    return "\n".join(reversed(kept))


def _free(code: str) -> set[str]:
    """The names that a piece of code uses and does not make itself."""
    nodes = list(ast.walk(ast.parse(code)))
    made = {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        made |= _bound(node) if isinstance(node, ast.stmt) else set()
    return {node.id for node in nodes if isinstance(node, ast.Name)} - made


def _bound(line: ast.stmt) -> set[str]:
    """The names that a statement gives a value."""
    if isinstance(line, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in line.names}
    if isinstance(line, (ast.FunctionDef, ast.ClassDef)):
        return {line.name}
    stored = (node for node in ast.walk(line) if isinstance(node, ast.Name))
    return {node.id for node in stored if isinstance(node.ctx, ast.Store)}


def _cells(path: Path) -> list[tuple[str, str]]:
    """The kind and the source of each cell of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]


def _questions(cells: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The number and the text of each exercise, without links to files of the kit."""
    for kind, text in cells:
        if kind == "markdown":
            for part in re.findall(r"^### Exercise \d.*?(?=^##|\Z)", text, re.M | re.S):
                yield part.split()[2], LINK.sub(r"\1", part).strip()


def _answers(cells: list[tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """For each exercise its number, the code before the check, and the check itself."""
    for kind, text in cells:
        if kind != "code" or "checks.check(" not in text:
            continue
        for line in ast.parse(text).body:
            check = ast.get_source_segment(text, line) or ""
            if found := re.match(r"checks\.check\(\"(\d\d\.\d+)\"", check):
                before = "\n".join(text.splitlines()[: line.lineno - 1])
                yield found[1], (before.strip(), check)


def _cell(
    name: str,
    source: str,
    kind: str = "markdown",
    solution: bool = False,
    grade: bool = False,
    points: int = 0,
) -> dict[str, Any]:
    """A cell with nbgrader's metadata. What students must not change is locked."""
    name = name.replace(".", "-")
    metadata = {
        "cell_type": kind,
        "grade": grade,
        "grade_id": name,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if grade:
        metadata["points"] = points
    code = {"execution_count": None, "outputs": []} if kind == "code" else {}
    nbgrader = {"nbgrader": metadata}
    return {"cell_type": kind, "id": name, "metadata": nbgrader, "source": source, **code}


def write(folder: Path, root: Path = ROOT) -> list[str]:
    """Write a course for nbgrader into `folder`; return the names of its assignments."""
    lessons = sorted(root.glob("notebooks/[0-9]*.ipynb"))
    for lesson in lessons:
        path = folder / "source" / lesson.stem / lesson.name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(assignment(lesson), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    return [lesson.stem for lesson in lessons]
