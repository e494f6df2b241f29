"""Lessons, solutions and pages are easy to read: short sentences, and no word of the list below."""

import re
import statistics

import nbformat
import pytest

from sdkit.files import ROOT
from tests import normalise

LONGEST = 40  # words of a sentence
MEAN = 16  # words of a sentence, over a page
# Old-fashioned, private or inflated words that were in earlier versions, or come easily to a writer
NEVER = (
    "heed foretold foretell heretofore hitherto thereof wherein whereby whilst amidst betwixt "
    "henceforth notwithstanding albeit lest ere "
    "delve tapestry realm leverage leverages seamless seamlessly crucially pivotal unleash "
    "harness showcase showcases testament intricate vibrant bustling game-changer groundbreaking "
    "as-it-were so-to-speak needless-to-say it-goes-without-saying"
).split()
PAGES = sorted([*ROOT.glob("docs/lessons/*.md"), ROOT / "docs" / "glossary.md", ROOT / "README.md"])


def prose(text):
    """A Markdown text without code, tables, formulas, lists of papers and addresses."""
    text = text.partition("## Where to read on")[0]
    text = re.sub(r"```.*?```|\$\$.*?\$\$|<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"^(#|\||> \*\*|!\[).*$", "\n", text, flags=re.M)
    text = re.sub(r"`[^`\n]*`|\$[^$\n]*\$", "X", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"<[^>]+>|[*_]", " ", text)


def sentences(text):
    """The sentences of a text, each as its words."""
    for block in re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.)\s", prose(text)):
        block = re.sub(r"\b(et al|e\.g|i\.e|St|Dr)\.", r"\1", " ".join(block.split()))
        for sentence in re.split(r"(?<=[.!?:;])[\"')]*\s+(?=[\"'(]?[A-Z0-9])", block):
            if words := re.findall(r"[A-Za-z][\w'-]*|\d[\d,.]*", sentence):
                yield words


def texts():
    for path in normalise.all_notebooks():
        notebook = nbformat.read(path, as_version=4)
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        yield pytest.param("\n\n".join(cells), id=f"{path.parent.name}/{path.name}")
    for path in PAGES:
        yield pytest.param(path.read_text(encoding="utf-8"), id=path.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("text", texts())
def test_sentences_are_short_and_words_are_plain(text):
    found = list(sentences(text))
    assert [" ".join(words) for words in found if len(words) > LONGEST] == []
    if len(found) >= 20:
        assert statistics.mean(map(len, found)) <= MEAN
    low = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", prose(text).lower())
    assert sorted(set(low) & set(NEVER)) == []


def test_hints_are_short_and_plain():
    """Hints and messages stand in the code of the checks."""
    for path in ROOT.glob("sdkit/lessons/checks/*.py"):
        for text in re.findall(r"\"((?:[^\"\\]|\\.)*)\"", path.read_text(encoding="utf-8")):
            words = re.findall(r"[a-z]+", text.lower())
            assert not set(words) & set(NEVER), text


def test_sentences_are_counted():
    text = "One two three. Four five (six), et al. 2020!\n\n* Seven `code` eight:\n* Nine"
    assert [len(words) for words in sentences(text)] == [3, 6, 3, 1]
    assert len(next(sentences("word " * 41))) > LONGEST
    assert set(re.findall(r"\w+", "We delve.".lower())) & set(NEVER)
