"""The teacher's pack: it is whole, its links lead somewhere, and students get no solutions."""

import functools
import html
import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

from sdkit.files import ROOT
from sdkit.lessons import grading
from tests import core_path, normalise
from tests.site.test_build import faults

BUILDER = ROOT / "docs" / "pack" / "build.py"
spec = importlib.util.spec_from_file_location("build_pack", BUILDER)
build_pack = importlib.util.module_from_spec(spec)
sys.modules["build_pack"] = build_pack  # its dataclasses look themselves up there
spec.loader.exec_module(build_pack)

LESSONS = sorted(normalise.NOTEBOOKS.glob("[0-9]*.ipynb"))
lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """The folder of the whole pack. This takes a few seconds."""
    folder = tmp_path_factory.mktemp("pack") / "pack"
    build_pack.build(ROOT, folder)
    return folder


def read(path):
    return path.read_text(encoding="utf-8")


def squeezed(text):
    """A text without spaces and marks, so that Markdown, code and pages can be compared."""
    return re.sub(r"[\W_]+", "", text)


def words_of(page):
    """The words of an HTML page, squeezed."""
    page = re.sub(r"<(script|style).*?</\1>|<[^>]+>", "", page, flags=re.S)
    return squeezed(html.unescape(page))


def texts(folder):
    """The text of each page and notebook in a folder, squeezed; without the data of pictures."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix == ".ipynb":
            cells = json.loads(read(path))["cells"]
            found[path] = squeezed("\n".join("".join(cell["source"]) for cell in cells))
        elif path.suffix == ".html":
            found[path] = words_of(read(path))
    return found


@functools.cache
def taught():
    """All lessons, squeezed. A later lesson may use what an exercise asked for."""
    cells = [cell for path in LESSONS for cell in nbformat.read(path, as_version=4).cells]
    return squeezed("\n".join(cell.source for cell in cells))


def solutions(path):
    """What solves the exercises of a lesson: lines of code that no lesson has."""
    for cell in nbformat.read(path.parent / "solutions" / path.name, as_version=4).cells:
        if cell.cell_type == "code" and "checks.check(" in cell.source:
            for line in cell.source.splitlines():
                if len(squeezed(line)) > 12 and squeezed(line) not in taught():
                    yield squeezed(line)


# What is there


@lessons
def test_every_lesson_has_its_files(pack, path):
    for name in (
        f"slides/{path.stem}.html",
        f"students/handouts/{path.stem}.html",
        f"students/notebooks/{path.stem}.ipynb",
        f"teachers/notebooks/{path.stem}.ipynb",
        f"teachers/{path.stem}.html",
    ):
        assert (pack / name).is_file(), name
        start = read(pack / "index.html")
        assert f'href="{name}"' in start
    for name in ("students.zip", "students/index.html", "students/exit-tickets.html"):
        assert (pack / name).is_file()
    for name in ("course-plan.html", "exit-ticket-answers.html"):
        assert f'href="teachers/{name}"' in start


@lessons
def test_the_course_for_nbgrader_has_every_lesson(pack, path):
    course = pack / "teachers" / "nbgrader"
    made = json.loads(read(course / "source" / path.stem / path.name))
    assert made == grading.assignment(path)
    assert (course / "nbgrader_config.py").is_file()


def test_every_link_leads_somewhere_and_no_page_loads_from_another_machine(pack):
    assert list(faults(pack)) == []
    for path in pack.rglob("*.html"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:|//)", read(path))


def test_the_links_and_pictures_of_the_notebooks_lead_somewhere(pack):
    checked = 0
    for path in pack.rglob("*.ipynb"):
        for cell in json.loads(read(path))["cells"]:
            if cell["cell_type"] != "markdown":
                continue
            code = re.compile(r"```.*?```|`[^`]*`", re.S)
            for url in re.findall(r"\]\(([^)\s]+)\)", code.sub("", "".join(cell["source"]))):
                if "://" not in url:
                    target = (path.parent / url.partition("#")[0]).resolve()
                    assert target.is_file() and pack in target.parents, (path, url)
                    assert "students" not in path.parts or "students" in target.parts
                    checked += 1
    assert checked > 300


@lessons
def test_slides_have_the_title_pictures_guesses_exercises_and_the_ticket(pack, path):
    deck = read(pack / "slides" / f"{path.stem}.html")
    notebook = nbformat.read(path, as_version=4)
    lesson = build_pack.lesson(ROOT, path.stem)
    assert f"<h1>{html.escape(lesson.title, quote=False)}</h1>" in html.unescape(deck).replace(
        "&", "&amp;"
    )
    shown = re.findall(r'<img src="data:image/(\S+?);base64,[^"]+" alt="([^"]+)"', deck)
    assert shown[0][0] == "svg+xml" and len(shown) >= 3
    tagged = [c for c in notebook.cells if "slide" in c.metadata.get("tags", [])]
    words = [
        output.metadata[kind]["alt"]
        for cell in tagged
        for output in cell.outputs
        for kind in output.get("metadata", {})
    ]
    assert [html.unescape(alt) for _, alt in shown[1:]] == words
    source = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    guesses = len([c for c in notebook.cells if "checks.predict(" in c.source])
    assert source and deck.count('<section class="guess">') == guesses
    assert deck.count('<section class="exercise">') == len(
        re.findall(r"^### Exercise", prose, re.M)
    )
    assert deck.count('<section class="ticket">') == 2
    assert deck.count('<section class="section">') == len(re.findall(r"^## \d · ", prose, re.M))


@lessons
def test_each_section_of_the_core_path_with_a_figure_shows_one(path):
    """The tag "slide" chooses the figures, so a section without it would have none."""
    notebook, missing = nbformat.read(path, as_version=4), []
    ends = [k for k, c in enumerate(notebook.cells) if c.source.startswith("## ")]
    for start, end in zip(ends, [*ends[1:], len(notebook.cells)]):
        cells = notebook.cells[start:end]
        figures = [c for c in cells if build_pack.figures(c)]
        chosen = [c for c in figures if "slide" in c.metadata.get("tags", [])]
        if figures and not chosen and core_path.FURTHER not in cells[0].source:
            missing.append(cells[0].source.splitlines()[0])
    assert missing == []


@lessons
def test_a_handout_has_the_core_path_and_room_to_write(pack, path):
    page = read(pack / "students" / "handouts" / f"{path.stem}.html")
    lesson = build_pack.lesson(ROOT, path.stem)
    assert page.count("<li>") == len(lesson.goals) >= 3
    assert page.count("<tr><td>") == len(lesson.core("guess")) >= 1
    assert page.count('<div class="exercise">') == len(lesson.core("exercise")) >= 1
    assert page.count('<div class="line">') >= 4
    answers = [step.figure.alt for step in lesson.core("figure") if step.after]
    assert not [alt for alt in answers if html.escape(alt) in page]  # made to be filled in first


# What students must not get


@lessons
def test_solutions_are_in_the_notebook_of_the_teacher_and_nowhere_for_students(pack, path):
    secret = list(solutions(path))
    assert secret
    whole = texts(pack / "teachers")[pack / "teachers" / "notebooks" / path.name]
    assert [line for line in secret if line not in whole] == []
    for file, text in texts(pack / "students").items():
        assert [line for line in secret if line in text] == [], file


@lessons
def test_answers_to_the_exit_ticket_are_only_for_the_teacher(pack, path):
    lesson = build_pack.lesson(ROOT, path.stem)
    assert len(lesson.answers) == len(lesson.tickets) == 2
    page = words_of(read(pack / "teachers" / "exit-ticket-answers.html"))
    for answer in lesson.answers:
        start = squeezed(build_pack.paragraphs(answer)[0].partition("$")[0].partition("](")[0])[:60]
        assert len(start) > 15 and start in page
        assert not [file for file, text in texts(pack / "students").items() if start in text]


@lessons
def test_a_student_notebook_is_the_lesson_without_the_measurements_after_a_guess(pack, path):
    made = nbformat.read(pack / "students" / "notebooks" / path.name, as_version=4)
    nbformat.validate(made)
    lesson = nbformat.read(path, as_version=4)
    code = [c for c in made.cells if c.cell_type == "code"]
    assert [c.source for c in code] == [c.source for c in lesson.cells if c.cell_type == "code"]
    after = [c for c in code if "after-guess" in c.metadata.get("tags", [])]
    assert after and not any(c.outputs for c in after)
    assert any(c.outputs for c in code)
    shown = read(pack / "students" / "notebooks" / path.name)
    assert "your guess none, measured" not in shown and "your guess none, measured" in read(path)
    assert not any("<details>" in c.source for c in made.cells if c.source.startswith("## Exit"))
    assert sum(c.source.count("*Your answer:*") for c in made.cells) == 2


@lessons
def test_a_teacher_notebook_has_a_folded_solution_below_each_exercise(pack, path):
    made = nbformat.read(pack / "teachers" / "notebooks" / path.name, as_version=4)
    nbformat.validate(made)
    asked = [
        k for k, c in enumerate(made.cells) if "checks.check(" in c.source and c.cell_type == "code"
    ]
    assert asked
    for k in asked:
        number = re.search(r"checks\.check\(\"([\d.]+)\"", made.cells[k].source)[1]
        assert made.cells[k + 1].source.startswith(f"<details><summary>Solution {number}</summary>")


def test_no_page_for_students_leads_to_one_for_teachers(pack):
    for path in (pack / "students").rglob("*.html"):
        assert "teachers/" not in "".join(re.findall(r'href="([^"]*)"', read(path))), path


def test_the_zip_is_the_folder_of_the_students_and_the_same_each_time(pack, tmp_path):
    with zipfile.ZipFile(pack / "students.zip") as packed:
        assert packed.testzip() is None
        names = {n: packed.read(n) for n in packed.namelist()}
    folder = pack / "students"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert names == {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    assert "index.html" in names
    build_pack.build(ROOT, tmp_path / "again")
    assert (tmp_path / "again" / "students.zip").read_bytes() == (
        pack / "students.zip"
    ).read_bytes()


# The command


def test_a_folder_with_other_things_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "letter.txt").touch()
    assert build_pack.main(["--out", str(tmp_path)]) == 2
    assert "is not empty and no pack" in capsys.readouterr().err
    assert (tmp_path / "letter.txt").exists()


def test_a_pack_is_made_anew_without_a_network(tmp_path):
    """The command runs in a process that may not open a socket."""
    program = (
        "import sys; exec(open(sys.argv[1]).read()); import runpy; sys.argv[:2] = ['build.py']\n"
    )
    program += f"try: runpy.run_path({str(BUILDER)!r}, run_name='__main__')\n"
    program += "except SystemExit as end: print(end.code, sys.attempts)"
    out = tmp_path / "pack"
    for _ in range(2):
        (out / "old.html").touch() if out.exists() else None
        done = subprocess.run(
            [sys.executable, "-c", program, ROOT / "tests" / "no_network.py", "--out", out],
            capture_output=True,
            text=True,
            env={**os.environ, "NO_SOCKETS": "1", "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert not (out / "old.html").exists() and (out / "index.html").exists()


# How text is chosen


@pytest.mark.parametrize(
    ("mark", "rest", "words"),
    [
        ("**Predict**", ": how many?", "How many?"),
        ("**Predict**", " first: how many?", "How many?"),
        ("**Predict**", " the share.", "Predict the share."),
        ("**Predict.**", " We turn it. How far?", "We turn it. How far?"),
        ("**Predict**", ", then look. Here.", "Here. *a number* = ?"),
    ],
)
def test_a_prediction_is_a_text_of_its_own(mark, rest, words):
    assert build_pack._asked(mark, rest, "a number") == words


LONG = "A sentence that has as many words as this one is too long to stand before " * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("We look at it. **Predict**: how many?", "How many?"),
        (
            "We look at pixels. **Predict**: how large are they?",
            "We look at pixels. How large are they?",
        ),
        ("We count. **Predict** the share.", "We count. Predict the share."),
        ("Which is it? **Predict**, then look. Here.", "Which is it? Here."),
        ("**Predict**: in all it is\n\n* this", "In all it is *n* = ?"),
        ("**Predict**: with half:\n\n$$x$$\n\nHow many?", "With half:\n\n$$x$$\n\nHow many?"),
        ("**Predict**: how many?\n\nAnd this?", "How many?"),
        ("We look. (A word. It is an aside.) **Predict** it.", "Predict it."),
        ("(A word.) We look. **Predict** it.", "We look. Predict it."),
        (f"{LONG}. **Predict** the share.", "Predict the share."),
        ("## 5 · How far can you see?\n\nLook.", "How far can you see? (*n*)"),
        ("## 5 · A look\n\nLook.", "*n* = ?"),
    ],
)
def test_a_prediction_has_the_words_that_it_points_back_to(text, words):
    assert build_pack.guess([{"cell_type": "markdown", "source": text}], "n") == words


@lessons
def test_every_guess_of_a_lesson_asks_for_something(path):
    for step in build_pack.lesson(ROOT, path.stem).core("guess"):
        assert re.search(r"\?|\bPredict\b", step.words), step.words
        assert "Make your guess" not in step.words  # the slide has this title
        assert not step.words.endswith(":")


def test_short_code_stays_in_one_line(pack):
    deck = read(pack / "slides" / "11_style_transfer.html")
    assert '<code class="short">strength = 0.35</code>' in deck
    one = build_pack.Pack(ROOT, pack)
    assert "<code>" in one.words("`" + "x" * 40 + "`") and "&lt;" in one.words("`a < b`")


def test_the_number_of_a_section_stays_beside_the_word():
    row = "<tr><td>section 1</td><th>45 minutes</th><td>section 1 and more</td></tr>"
    kept = "<tr><td>section&nbsp;1</td><th>45&nbsp;minutes</th><td>section 1 and more</td></tr>"
    assert build_pack.SECTION.sub(r"\1&nbsp;\2", row) == kept


def test_the_exit_tickets_of_the_students_promise_no_answers(pack):
    page = read(pack / "students" / "exit-tickets.html")
    assert "Print the page of your lesson.</p>" in page and "folded" not in page
    assert "folded in the notebooks." in read(ROOT / "docs" / "exit-tickets.html")


@pytest.mark.parametrize(
    ("parts", "start"),
    [
        (["One. Two."], "One. Two."),
        (["One thing. **Predict**: how many?"], "One thing."),
        (["Here it is:", "| a |"], "Here it is:\n\n| a |"),
        (["Here it is:", "words"], "Here it is."),
        (["This is", "$$x$$"], "This is\n\n$$x$$"),
        (["* **A.** long text\n* **B.** more"], "* A.\n* B."),
        (["### Exercise"], ""),
        ([], ""),
        (
            ["A sentence of seven words, no more. " * 9],
            " ".join(["A sentence of seven words, no more."] * 6),
        ),
    ],
)
def test_a_section_begins_with_few_words(parts, start):
    assert build_pack._start_of([part.strip() for part in parts]) == start
