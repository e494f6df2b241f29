"""Each lesson's first use of a term points to the glossary."""

import re

import nbformat
import pytest

from sdkit.files import ROOT
from tests.normalise import NOTEBOOKS

GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ENTRIES = dict(entry.split("\n", 1) for entry in GLOSSARY.split("\n### ")[1:])
LINK = re.compile(r"\[([^\]]+)\]\(\.\./docs/glossary\.md#([^)]+)\)")
NO_PROSE = re.compile(
    r"```.*?```|`[^`\n]*`|^#.*$|^\|.*$|\[[^\]]*\]\([^)]*\)", re.DOTALL | re.MULTILINE
)
LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


def prose_of(path):
    """The Markdown of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_entries_are_in_order_and_name_lessons_that_exist():
    assert list(ENTRIES) == sorted(ENTRIES, key=str.lower)
    numbers = {
        number
        for named in re.findall(r"Lessons? ([\d,\s]+)", GLOSSARY)
        for number in re.findall(r"\d+", named)
    }
    assert numbers <= {path.name[:2] for path in LESSONS}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_first_use_of_a_term_is_linked_and_no_other(path):
    prose = prose_of(path)
    links = list(LINK.finditer(prose))
    anchors = [link[2] for link in links]
    assert len(anchors) == len(set(anchors)) >= 5
    assert set(anchors) <= {term.lower().replace(" ", "-") for term in ENTRIES}
    for link in links:
        before = NO_PROSE.sub(" ", prose[: link.start()])
        assert not re.search(rf"(?<![\w/.-]){re.escape(link[1])}(?![\w-])", before), (
            f"{link[1]} is used before its link"
        )


# words with an everyday meaning, or another one in some lessons: they are linked by hand
AMBIGUOUS = {
    "attention",
    "beta",
    "generator",
    "logit",
    "mode",
    "regression",
    "score",
    "sigma",
    "skips",
    "strength",
    "v",
}
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$", re.DOTALL)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_term_that_a_lesson_uses_is_linked(path):
    prose = prose_of(path).partition("## Where to read on")[0]
    linked = {link[2] for link in LINK.finditer(prose)}
    plain = FORMULA.sub(" ", NO_PROSE.sub(" ", prose))
    for term in set(ENTRIES) - AMBIGUOUS:
        if re.search(rf"(?<![\w/.`*-]){re.escape(term)}s?(?![\w-])", plain):
            assert term.lower().replace(" ", "-") in linked, f"{term} is used and not linked"


def test_symbols_and_formulas_are_in_the_glossary():
    for term in ("abar", "beta", "epsilon", "eta", "score", "sigma", "timestep", "latents"):
        assert "Symbol: " in ENTRIES[term], term
    for term in ("abar", "attention", "FID", "guidance", "logit", "PSNR", "sigma", "SNR", "v"):
        assert "Formula:" in ENTRIES[term] and "$" in ENTRIES[term], term
