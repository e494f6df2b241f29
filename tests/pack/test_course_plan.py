"""The course plan: no lesson comes before one that it needs, and its points are those elsewhere."""

import re

import pytest

from sdkit.files import ROOT
from sdkit.lessons import tickets
from tests.pack.test_build import LESSONS, build_pack

PLAN = (ROOT / "docs" / "course-plan.md").read_text(encoding="utf-8")
LINK = re.compile(r"\(lessons/(\d\d)_\w+\.md\)")


def part(title):
    return PLAN.partition(f"## {title}\n")[2].partition("\n## ")[0]


def needed(number):
    """The lessons that a lesson cannot do without, as the table at its top says."""
    stem = next(path.stem for path in LESSONS if path.stem.startswith(number))
    text = build_pack.lesson(ROOT, stem).needs["You need from before"]
    parts = [part for part in text.split(";") if "help" not in part and "say more" not in part]
    return set(re.findall(r"lessons? (\d\d)", " ".join(parts)))


def order(title):
    """The lessons of a plan in the order of its sessions."""
    rows = [line.split("|")[1:-1] for line in part(title).splitlines() if line.startswith("| ")]
    pairs = [
        (int(row[k]), LINK.search(row[k + 1])[1])
        for row in rows
        for k in range(0, len(row) - 1, 2)
        if row[k].strip().isdigit()
    ]
    assert sorted(number for number, _ in pairs) == list(range(1, len(pairs) + 1))
    return [lesson for _, lesson in sorted(pairs)]


def too_early(lessons):
    """The pairs (lesson, lesson that it needs) in which the second does not come first."""
    return [
        (lesson, before)
        for k, lesson in enumerate(lessons)
        for before in needed(lesson)
        if before not in lessons[:k]
    ]


@pytest.mark.parametrize(
    ("title", "count"), [("Six sessions", 6), ("Twelve sessions", 12), ("Eighteen sessions", 18)]
)
def test_a_plan_has_its_sessions_and_no_lesson_comes_too_early(title, count):
    lessons = order(title)
    assert len(lessons) == len(set(lessons)) == count
    assert too_early(lessons) == []


def test_a_lesson_that_comes_too_early_is_found():
    assert too_early(["00", "03", "02"]) == [("03", "02")]


def test_the_longest_plan_has_all_lessons():
    assert set(order("Eighteen sessions")) == {path.stem[:2] for path in LESSONS}


def test_the_points_are_those_of_the_tickets_and_the_weights_make_a_whole():
    rubric = part("Rubric")
    assert f"| **Exit ticket**, each question | {tickets.POINTS} |" in rubric
    assert sum(map(int, re.findall(r"(\d+) %", rubric))) == 100
    rows = re.findall(r"^\| \*\*[^*]+\*\* \| [^|]+ \| [^|]+ \| [^|]+ \|$", rubric, re.M)
    assert f"| **Project** | {4 * len(rows)} |" in rubric


def test_sections_that_the_tables_name_exist():
    stems = {path.stem[:2]: path.stem for path in LESSONS}
    named = re.findall(r"(\d\d) \(sections? ([\d, and to]+)\)", PLAN)
    assert len(named) > 10
    for number, sections in named:
        titles = [s.title for s in build_pack.lesson(ROOT, stems[number]).sections]
        for section in re.findall(r"\d", sections):
            assert any(title.startswith(f"{section} ") for title in titles), (number, section)


def test_exercises_that_the_plans_name_are_in_the_core_path():
    stems = {path.stem[:2]: path.stem for path in LESSONS}
    for exercise in re.findall(r"exercise (\d\d\.\d)", PLAN):
        core = build_pack.lesson(ROOT, stems[exercise[:2]]).core("exercise")
        assert any(step.title.startswith(f"Exercise {exercise} ") for step in core)
