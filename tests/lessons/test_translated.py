"""Translated lessons: in step with the English ones, with the same code and the same links."""

import ast
import json
import os
import re
import shutil

import nbformat
import pytest

from sdkit.errors import SdkitError
from sdkit.lessons import translated

FILES = [file for language in translated.languages() for file in translated.files(language)]
each = pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
AGAIN = "run python -m sdkit.lessons.translated"
LINK = re.compile(r"\]\((?!#)([^)\s]+)\)")


def stored(file):
    """The translated notebook in the repository."""
    path = translated.NOTEBOOKS / file.parent.name / f"{file.stem}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))


def pairs(file):
    """The cells of the English lesson, each with its translation."""
    own = stored(file)
    cells = [cell for cell in own["cells"] if cell["id"] != "code-language"]
    return list(zip(translated.english(file.stem)["cells"], cells, strict=True))


def test_lessons_00_and_11_are_there_in_german():
    assert [file.stem for file in translated.files("de")] == ["00_start_here", "11_style_transfer"]


@each
def test_a_translation_fits_the_present_english(file):
    advice = "Translate these cells again, then run python -m sdkit.lessons.translated --accept"
    assert list(translated.stale(file)) == [], advice


@each
def test_the_stored_notebook_is_made_from_the_english_one(file):
    own = stored(file)
    nbformat.validate(nbformat.from_dict(own))
    made = translated.notebook(file)
    for notebook in (own, made):
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            cell.pop("outputs", None)
            cell.pop("execution_count", None)
    assert own == made, AGAIN


class NoText(ast.NodeTransformer):
    """Code without its strings. An f-string keeps what it computes."""

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node


@each
def test_the_code_is_that_of_the_lesson_except_for_strings_and_comments(file):
    for before, after in pairs(file):
        if before["cell_type"] == "code":
            trees = [NoText().visit(ast.parse("".join(c["source"]))) for c in (before, after)]
            assert ast.dump(trees[0]) == ast.dump(trees[1]), before["id"]


@each
def test_text_has_the_links_formulas_and_answers_of_the_english(file):
    for before, after in pairs(file):
        if before["cell_type"] != "markdown":
            continue
        texts = ["".join(cell["source"]) for cell in (before, after)]
        texts = [re.sub(r"\\text\{[^}]*\}", r"\\text{}", text) for text in texts]  # is translated
        for pattern in (r"\$\$.*?\$\$", r"<details>", r"^#+ ", r"^\| ", r"^\* ", r"\b\d\d\.\d\b"):
            found = [re.findall(pattern, text, re.M | re.S) for text in texts]
            assert found[0] == found[1], (before["id"], pattern)
        folders = translated.NOTEBOOKS, translated.NOTEBOOKS / file.parent.name
        links = []
        for text, folder in zip(texts, folders):
            found = [url if ":" in url else (folder / url).resolve() for url in LINK.findall(text)]
            for target in found:
                if not isinstance(target, str):
                    assert target.with_name(target.name.partition("#")[0]).is_file(), target
            own = f"{os.sep}{file.parent.name}{os.sep}"
            links.append(sorted(str(target).replace(own, os.sep) for target in found))
        assert links[0] == links[1], before["id"]
        assert texts[0] != texts[1]


def test_only_cells_with_the_same_code_keep_their_outputs():
    def cell(name, source, *outputs):
        count = len(outputs) or None
        code = {"outputs": list(outputs), "execution_count": count}
        return {"cell_type": "code", "id": name, "source": source, **code}

    before = {"cells": [cell("a", ["1\n", "2"], "two"), cell("b", ["3"], "three")]}
    made = {"cells": [cell("a", "1\n2"), cell("b", "4"), cell("c", "5")]}
    translated.keep_outputs(made, before)
    assert [one["outputs"] for one in made["cells"]] == [["two"], [], []]
    assert [one["execution_count"] for one in made["cells"]] == [1, None, None]


def test_writing_again_changes_no_byte_of_a_stored_notebook(tmp_path, monkeypatch):
    for file in FILES:
        for name in (f"{file.stem}.ipynb", f"{file.parent.name}/{file.stem}.ipynb"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copy(translated.NOTEBOOKS / name, tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.ipynb")}
    monkeypatch.setattr(translated, "NOTEBOOKS", tmp_path)
    for language in translated.languages():
        assert translated.write(language) == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.ipynb")} == before


def test_a_changed_english_cell_is_reported(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    cells = [
        {"cell_type": "markdown", "id": "a", "source": "# Hello"},
        {"cell_type": "code", "id": "b", "source": "n = 1\nprint('Hello')"},
    ]
    lesson = tmp_path / "00_x.ipynb"
    lesson.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    file = tmp_path / "x" / "00_x.txt"
    file.write_text("@@ a\n# Hallo\n@@ b\n'Hello' => 'Hallo'\n", encoding="utf-8")
    monkeypatch.setattr(translated, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(translated, "CATALOGUES", tmp_path)
    assert len(list(translated.stale(file))) == 2
    translated.accept(file)
    assert list(translated.stale(file)) == []
    made = [cell["source"] for cell in translated.notebook(file)["cells"]]
    assert made == ["# Hallo", translated.START.format(language="x"), "n = 1\nprint('Hallo')"]

    cells[1]["source"] = "n = 2\nprint('Hello')"  # other code, the same words
    lesson.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert list(translated.stale(file)) == []
    cells[1]["source"] = "print('Good day')"
    cells[0]["source"] = "# Good day"
    lesson.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert list(translated.stale(file)) == [
        "00_x.txt: the English of a has changed",
        "00_x.txt: the English of b has changed",
    ]
    with pytest.raises(SdkitError, match="is not in the code"):
        translated.notebook(file)


@each
def test_the_checks_of_a_translated_lesson_speak_its_language(file):
    """nbval sees that the cells still print this."""
    own = stored(file)
    outputs = [one for cell in own["cells"] for one in cell.get("outputs", [])]
    printed = "".join("".join(one.get("text", "")) for one in outputs)
    assert "noch nicht versucht" in printed and "deine Schätzung keine" in printed
    assert "not attempted" not in printed and "your guess" not in printed
