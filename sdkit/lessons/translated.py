"""Lessons in other languages, made from the English ones and a text file for each lesson.

    python -m sdkit.lessons.translated             write notebooks/de, and name what is out of date
    python -m sdkit.lessons.translated --accept    say that the translations fit the English again

A text file such as docs/translations/de/00_start_here.txt has a part for each cell. Its first line
is "@@", the id of the cell, and a fingerprint of the English that was translated. Below stands the
Markdown of the cell. For a cell with code each line is "English => translated", for a string or a
comment. Links are those of the English lesson. Cells whose code is as before keep their outputs.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdkit.errors import SdkitError
from sdkit.files import ROOT

CATALOGUES = ROOT / "docs" / "translations"
NOTEBOOKS = ROOT / "notebooks"
HEAD = re.compile(r"^@@ (\S+) ?(\S*)\n", re.M)
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s]+)\)")
START = 'from sdkit import language\n\nlanguage.use("{language}")'


def files(language: str) -> list[Path]:
    """The text files of the lessons that are translated into a language."""
    return sorted((CATALOGUES / language).glob("[0-9]*.txt"))


def languages() -> list[str]:
    """The languages that have translated lessons, such as "de"."""
    return sorted(folder.name for folder in CATALOGUES.iterdir() if folder.is_dir())


def read(catalogue: Path) -> dict[str, tuple[str, str]]:
    """The fingerprint and the text of each part of a text file, by the id of its cell."""
    _, *parts = HEAD.split(catalogue.read_text(encoding="utf-8"))
    return {
        cell: (mark, text.strip("\n"))
        for cell, mark, text in zip(parts[::3], parts[1::3], parts[2::3])
    }


def english(stem: str) -> dict[str, Any]:
    """The English lesson."""
    return json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))


def fingerprint(cell: dict[str, Any]) -> str:
    """Eight letters that change with the words of an English cell, but not with its other code."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "code":
        text = "\n".join(words(text))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def words(code: str) -> list[str]:
    """The strings in a piece of code, in their order."""
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    return [node.value for node in found if isinstance(node.value, str)]


def stale(catalogue: Path) -> Iterator[str]:
    """What no longer fits the English lesson, a line for each cell."""
    parts, cells = read(catalogue), english(catalogue.stem)["cells"]
    for cell in cells:
        if cell["id"] not in parts:
            yield f"{catalogue.name}: {cell['id']} is not translated"
        elif parts[cell["id"]][0] != fingerprint(cell):
            yield f"{catalogue.name}: the English of {cell['id']} has changed"
    for name in parts.keys() - {cell["id"] for cell in cells}:
        yield f"{catalogue.name}: the lesson has no cell {name}"


def accept(catalogue: Path) -> None:
    """Write the fingerprints of the English cells into a text file."""
    marks = {cell["id"]: fingerprint(cell) for cell in english(catalogue.stem)["cells"]}
    text = catalogue.read_text(encoding="utf-8")
    marked = HEAD.sub(
        lambda found: f"@@ {found[1]} {marks.get(found[1], '')}".rstrip() + "\n", text
    )
    catalogue.write_text(marked, encoding="utf-8")


def notebook(catalogue: Path) -> dict[str, Any]:
    """The translated lesson: the cells of the English one, with other words and without outputs.

    Raises SdkitError if a part is missing or a string of it is not in the code.
    """
    language, made = catalogue.parent.name, english(catalogue.stem)
    parts, own = read(catalogue), {path.stem for path in files(language)}
    for cell in made["cells"]:
        if cell["id"] not in parts:
            raise SdkitError(f"{catalogue.name} has no part for {cell['id']}. Translate this cell.")
        text, source = parts[cell["id"]][1], "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell["source"] = _code(source, text, f"{catalogue.name}, {cell['id']}")
            cell["outputs"], cell["execution_count"] = [], None
        else:
            cell["source"] = LINK.sub(lambda found: f"]({_moved(found[1], own)})", text)
    start = {
        "cell_type": "code",
        "execution_count": None,
        "id": "code-language",
        "metadata": {},
        "outputs": [],
        "source": START.format(language=language),
    }
    first = next(k for k, cell in enumerate(made["cells"]) if cell["cell_type"] == "code")
    made["cells"].insert(first, start)
    return made


def _code(source: str, lines: str, where: str) -> str:
    """The code with translated strings and comments."""
    for line in lines.splitlines():
        before, arrow, after = line.partition(" => ")
        if not arrow or before not in source:
            raise SdkitError(f"{where}: {before!r} is not in the code. Correct the translation.")
        source = source.replace(before, after)
    return source


def _moved(url: str, own: set[str]) -> str:
    """A link of an English lesson, as it is in the folder of the translated ones."""
    path = url.partition("#")[0]
    return url if path.removesuffix(".ipynb") in own else f"../{url}"


def keep_outputs(made: dict[str, Any], before: dict[str, Any]) -> None:
    """Give the cells of `made` the outputs that the same cells with the same code had `before`."""
    old = {cell["id"]: cell for cell in before["cells"]}
    for cell in made["cells"]:
        then = old.get(cell["id"], {})
        if cell["cell_type"] == "code" and "".join(then.get("source", "")) == cell["source"]:
            cell["outputs"], cell["execution_count"] = then["outputs"], then["execution_count"]


def write(language: str) -> list[str]:
    """Write the notebooks of a language; return what is out of date in their translations."""
    folder = NOTEBOOKS / language
    folder.mkdir(exist_ok=True)
    for catalogue in files(language):
        path, made = folder / f"{catalogue.stem}.ipynb", notebook(catalogue)
        if path.is_file():
            keep_outputs(made, json.loads(path.read_text(encoding="utf-8")))
        for cell in made["cells"]:  # as Jupyter writes it, so that git sees what has changed
            cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        text = json.dumps(made, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    return [line for catalogue in files(language) for line in stale(catalogue)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sdkit.lessons.translated",
        description="Make the translated notebooks, and say which translations are out of date.",
    )
    parser.add_argument("--accept", action="store_true", help="the translations fit the English")
    arguments = parser.parse_args(argv)
    problems = []
    for language in languages():
        if arguments.accept:
            for catalogue in files(language):
                accept(catalogue)
        problems += write(language)
    print("\n".join(problems) or "All translations fit the English lessons.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
