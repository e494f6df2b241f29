"""Every Markdown cell and page is rendered: no stray list or sign, and formulas that parse."""

import html
import re

import nbformat
import pytest
from matplotlib.mathtext import MathTextParser
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from sdkit.files import ROOT
from tests import normalise

ITEM = re.compile(r"( *)(?:[-+*]|\d+[.)]) +\S")
MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
PARSER = MathTextParser("agg")


def formulas(text):
    """The formulas of a Markdown text, without their dollar signs."""
    return [" ".join((a or b).split()) for a, b in MATH.findall(without_code(text))]


def without_code(text):
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def faults(text):
    """A sentence for each thing in a Markdown text that does not look as it was meant."""
    yield from _stray_items(text)
    prose = MATH.sub("", without_code(text))
    if "$" in prose:
        yield "a dollar sign without its partner"
    for formula in formulas(text):
        try:
            PARSER.parse(f"${formula}$")
        except ValueError as error:
            yield f"{formula} does not parse: {str(error).splitlines()[-1]}"
    shown = markdown2html_mistune(MATH.sub("", text))
    shown = re.sub(r"<(pre|code)\b.*?</\1>", "", shown, flags=re.DOTALL)
    shown = html.unescape(re.sub(r"<[^>]+>", "", shown))
    yield from (f"shows the sign {sign}" for sign in re.findall(r"\*\S*|`\S*|\]\(\S*", shown))


def _stray_items(text):
    """A line of a paragraph that begins like an item makes a list where none was meant."""
    before, fenced = "", False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        item = None if fenced else ITEM.match(line)
        if item and before.strip() and not ITEM.match(before) and not before.startswith(" "):
            yield f"a list begins inside a paragraph: {line[:40]}"
        if not item and not fenced and re.match(r" {0,3}[-+*]$", line):
            yield f"an item without words: {line}"
        before = line


def texts():
    for path in normalise.all_notebooks():
        notebook = nbformat.read(path, as_version=4)
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        yield pytest.param(cells, id=f"{path.parent.name}/{path.name}")
    for path in sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]):
        yield pytest.param([path.read_text(encoding="utf-8")], id=path.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("cells", texts())
def test_markdown_looks_as_it_was_meant(cells):
    assert [fault for cell in cells for fault in faults(cell)] == []


@pytest.mark.parametrize(
    "text, words",
    [
        ("the middle\n+ c / n is added", "inside a paragraph"),
        ("a scale of\n4. It burns.", "inside a paragraph"),
        ("a **bold word* here", "shows the sign"),
        ("a `name here", "shows the sign"),
        ("see [the page] (x.md) or [it](x y.md)", "shows the sign"),
        ("it is $\\sqrt{x$ here", "does not parse"),
        ("it costs 5 $ here", "dollar"),
    ],
)
def test_a_fault_is_found(text, words):
    found = list(faults(text))
    assert found and words in found[0]


def test_sound_markdown_passes():
    text = "A *word*, `a * b`:\n\n* one\n  more\n* two\n\n$$x_t = \\sqrt{1 - \\beta}$$\n\n1. first"
    assert list(faults(text)) == []
