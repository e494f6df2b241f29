"""Every committed notebook has been run, is clean and small, and has alt text for its pictures.

Every lesson has the usual parts.
"""

import base64
import re
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

from sdkit import plots
from sdkit.files import ROOT, models_dir
from sdkit.lessons import machine
from tests import core_path, normalise

NOTEBOOKS = normalise.all_notebooks()
LESSONS = [
    path for path in NOTEBOOKS if path.parent.name == "notebooks" and path.name[:2].isdigit()
]
# Until the weights are there the notebooks cannot have been run.
needs_model = pytest.mark.skipif(
    not (models_dir() / "mini-sd" / "model_index.json").exists(),
    reason="data/models/mini-sd is not there",
)


def name(path):
    return f"{path.parent.name}/{path.name}"


@needs_model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_committed_notebook_has_no_problem(path):
    assert normalise.problems(nbformat.read(path, as_version=4), path.stat().st_size) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_links_to_files_lead_to_files_that_exist(path):
    prose = "\n".join(
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )
    links = [
        link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link
    ]
    assert [link for link in links if not (path.parent / link).exists()] == []


@needs_model
@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_has_its_parts(path):
    assert normalise.lesson_problems(nbformat.read(path, as_version=4), path.name[:2]) == []


@needs_model
@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_the_solutions_are_right(path):
    solution = nbformat.read(path.parent / "solutions" / path.name, as_version=4)
    lesson = nbformat.read(path, as_version=4)
    printed = "".join(
        output.get("text", "") for cell in solution.cells for output in cell.get("outputs", [])
    )
    for exercise in exercises(lesson):
        assert f"{exercise}: ✓ right." in printed
    assert "not yet" not in printed and "not attempted" not in printed


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_every_exercise_has_a_solution_and_every_lesson_a_page(path):
    lesson = nbformat.read(path, as_version=4)
    solution = nbformat.read(path.parent / "solutions" / path.name, as_version=4)
    assert exercises(lesson) == exercises(solution)
    assert (normalise.NOTEBOOKS.parent / "docs" / "lessons" / f"{path.stem}.md").is_file()


def exercises(notebook):
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return sorted(set(re.findall(r"checks\.check\(\"(\d\d\.\d+)\"", source)))


# The rules themselves, on notebooks that break one each.


def picture(metadata):
    return new_output(
        "display_data", {"image/jpeg": "/9j/", "text/plain": "[figure]"}, metadata=metadata
    )


def clean(*cells):
    """A normalised, run notebook of `cells`."""
    notebook = new_notebook(cells=list(cells))
    for number, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = number
    return normalise.normalise(notebook)


def test_a_good_notebook_passes():
    good = clean(
        new_markdown_cell("# Title\n\nSee `notebooks/x.ipynb`, and/or https://example.org/a/b."),
        new_code_cell("1 + 1 / 2", outputs=[new_output("stream", text="1.5\n")]),
        new_code_cell("show()", outputs=[picture({"image/jpeg": {"alt": "A cat asleep"}})]),
    )
    assert normalise.problems(good) == []


@pytest.mark.parametrize(
    "cell, words",
    [
        (
            new_code_cell(
                "f()", outputs=[new_output("error", ename="ValueError", evalue="", traceback=[])]
            ),
            "error",
        ),
        (
            new_code_cell("f()", outputs=[new_output("stream", name="stderr", text="UserWarning")]),
            "warning",
        ),
        (new_code_cell("f()", outputs=[picture({})]), "alt text"),
        (new_code_cell("f()", outputs=[picture({"image/jpeg": {"alt": "image"}})]), "alt text"),
        (new_markdown_cell("![](cat.png)"), "alt text"),
        (new_markdown_cell('<img src="cat.png">'), "alt text"),
        (new_code_cell("\n".join(["x = 1"] * 26)), "26 lines"),
        (new_code_cell("x = " + "1 + " * 30 + "1"), "98 characters"),
        (new_code_cell('open("/home/ann/cat.png")'), "absolute path"),
        (new_code_cell(r'open("C:\Users\ann\cat.png")'), "absolute path"),
        (
            new_code_cell("f()", outputs=[new_output("stream", text="saved ~/cat.png")]),
            "absolute path",
        ),
        (
            new_code_cell("f()", outputs=[new_output("stream", text="in /tmp/x1/cat.png")]),
            "absolute path",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_cell_is_refused(cell, words):
    found = normalise.problems(clean(cell))
    assert len(found) == 1 and words in found[0]


def test_notebooks_not_run_in_order_too_large_or_with_widget_state_are_refused():
    unrun = clean(new_code_cell("1"), new_code_cell("2"))
    unrun.cells[1].execution_count = None
    assert normalise.problems(unrun) == ["cell 1: was not run"]
    disordered = clean(new_code_cell("1"), new_code_cell("2"))
    disordered.cells[0].execution_count = 3
    assert "in order" in normalise.problems(disordered)[0]
    assert "1,500,001 bytes" in normalise.problems(clean(), size=1_500_001)[0]
    with_state = clean()
    with_state.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    assert "widget state" in normalise.problems(with_state)[0]


def test_normalise_removes_what_changes_and_keeps_what_is_compared():
    view = {normalise.VIEW: {"model_id": "f00"}, "text/plain": "[slider]"}
    cell = new_code_cell(
        "f()",
        metadata={"tags": ["nbval-ignore-output"], "execution": {"iopub.busy": "now"}},
        outputs=[
            new_output("stream", text="a\n"),
            new_output("stream", text="b\n"),
            new_output("display_data", view),
            picture({"image/jpeg": {"alt": "A cat asleep"}}),
        ],
    )
    notebook = new_notebook(cells=[cell], metadata={"widgets": {}, "toc": 1})
    cell.execution_count = 7
    once = normalise.normalise(notebook)
    assert once.metadata == normalise.METADATA
    assert once.cells[0].metadata == {"tags": ["nbval-ignore-output"]}
    text, slider, figure = once.cells[0].outputs
    assert text.text == "a\nb\n" and slider.data == {"text/plain": "[slider]"}
    assert figure.metadata["image/jpeg"]["alt"] == "A cat asleep"
    assert once.cells[0].execution_count == 1
    assert normalise.normalise(once) == once
    assert cell.execution_count == 7  # the original is left alone


def test_outputs_that_answer_a_guess_are_folded():
    """In JupyterLab by the cell's metadata, in the exported page by <details>."""
    guess = new_code_cell('checks.compare("modes", 3)', outputs=[new_output("stream", text="3\n")])
    assert normalise.unfolded_answers(clean(guess)) == [guess.id]
    guess.metadata["tags"] = [normalise.AFTER_GUESS]
    other = new_code_cell("4", outputs=[new_output("stream", text="4\n")])
    notebook = clean(guess, other)
    assert normalise.unfolded_answers(notebook) == []
    assert normalise.normalise(notebook) == notebook
    assert [cell.metadata.get("jupyter") for cell in notebook.cells] == [
        {"outputs_hidden": True},
        None,
    ]
    exporter = pytest.importorskip("nbconvert").HTMLExporter(
        template_name="kit",
        extra_template_basedirs=[str(normalise.NOTEBOOKS.parent / "docs" / "templates")],
    )
    html, _ = exporter.from_notebook_node(notebook)
    folded = re.findall(r"<details>.*?</details>", html, re.DOTALL)
    assert len(folded) == 1 and "<pre>3" in folded[0] and "<pre>4" not in folded[0]


def test_the_command_line_of_normalise(tmp_path, capsys):
    path = tmp_path / "x.ipynb"
    notebook = new_notebook(cells=[new_code_cell("1", execution_count=4)], metadata={"toc": 1})
    nbformat.write(notebook, path)
    before = path.read_bytes()
    assert normalise.main(["--check", str(path)]) == 1
    assert "not normalised" in capsys.readouterr().out and path.read_bytes() == before
    assert normalise.main([str(path)]) == 0
    assert normalise.main(["--check", str(path)]) == 0


def test_the_html_export_has_the_alt_text():
    exporter = pytest.importorskip("nbconvert").HTMLExporter(
        template_name="kit",
        extra_template_basedirs=[str(normalise.NOTEBOOKS.parent / "docs" / "templates")],
    )
    jpeg = base64.b64encode(plots.jpeg(np.zeros((8, 8, 3), np.uint8))).decode()
    output = new_output(
        "display_data", {"image/jpeg": jpeg}, metadata={"image/jpeg": {"alt": 'A "cat" <asleep>'}}
    )
    html, _ = exporter.from_notebook_node(clean(new_code_cell("f()", outputs=[output])))
    tags = re.findall(r"<img[^>]*>", html)
    assert len(tags) == 1 and "No description" not in tags[0]
    assert (
        'alt="A &quot;cat&quot; &lt;asleep&gt;"' in tags[0]
        or "alt='A \"cat\" &lt;asleep&gt;'" in tags[0]
    )


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_the_core_path_takes_at_most_45_minutes_and_the_top_says_so(path):
    lesson = nbformat.read(path, as_version=4)
    core, _ = core_path.minutes(lesson)
    assert core <= 45
    assert [row for row in core_path.rows(lesson) if row not in lesson.cells[0].source] == []


def test_minutes_of_a_core_path_are_counted():
    text = " ".join(["word"] * 65)
    lesson = new_notebook(
        cells=[
            new_markdown_cell(f"## 1 · One\n\n{text}\n\n### Exercise 00.1 · Do it"),
            new_code_cell("\n".join(["x = 1"] * 12)),
            new_markdown_cell(f"## 2 · Two\n\n{core_path.FURTHER}\n\n{text}"),
            new_markdown_cell(f"## Where to read on\n\n{text * 9}"),
        ]
    )
    core, further = core_path.minutes(lesson)
    assert core == pytest.approx(75 / 130 + 1 + 4, abs=0.05)
    assert further == pytest.approx(85 / 130, abs=0.1)
    assert core_path.rows(lesson) == [
        "| **Core path** | section 1: about 5 minutes with the exercises |",
        "| **Further** | section 2: about 5 minutes |",
    ]


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_the_map_of_the_machine_is_at_the_top_with_the_lessons_part_lit(path):
    number = path.name[:2]
    first = nbformat.read(path, as_version=4).cells[0].source
    assert f"![{machine.words(number)}](../docs/images/machine/{number}.svg)" in first
    drawing = (machine.FOLDER / f"{number}.svg").read_text(encoding="utf-8")
    assert drawing == machine.svg(number), "run python -m sdkit.lessons.machine"
    assert drawing.count('font-weight="bold"') == len(machine.lit(number)) >= 1
    ElementTree.fromstring(drawing)


def test_each_rule_about_trainings_hides_only_their_figures():
    """Processors round differently. A rule without a line, or one that eats words, is wrong."""
    rules = (ROOT / "tests" / "sanitize.cfg").read_text(encoding="ascii")
    texts = [
        "".join(output.get("text", ""))
        for path in NOTEBOOKS
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    for regex, replacement in get_sanitize_patterns(rules.partition("# Processors")[2]):
        hits = [text for text in texts if re.search(regex, text)]
        assert hits, regex
        for text in hits:
            hidden = re.sub(regex, replacement, text)
            before, after = (re.findall("[a-z]{2,}", one) for one in (text, hidden))
            assert before == after, regex
