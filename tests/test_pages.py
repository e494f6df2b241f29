"""The pages that people read: links lead somewhere, pictures have words, README keeps its word."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree

import pytest

from sdkit import models
from sdkit.cli import parser
from sdkit.files import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/**/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^)\s]+)\)")
AROUND = re.compile(r"\)\]\(([^)\s]+)\)")  # the link around a picture
# On GitHub this leads from the README to the page or the badge of a workflow, also in a fork.
WORKFLOW = re.compile(r"\.\./\.\./actions/workflows/(\w+\.yml)(/badge\.svg)?")
BADGE = re.compile(r"^\[!\[([^\]]+)\]\((\S+)\)\]\((\S+)\)$", re.M)


def anchor(heading):
    """The address of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def faults(page):
    """A sentence for each link of a Markdown page that leads nowhere, and each wordless picture."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    around = [("", "", target) for target in AROUND.findall(text)]
    for picture, words, target in LINK.findall(text) + around:
        path, _, place = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if (found := WORKFLOW.fullmatch(target)) and page == ROOT / "README.md":
            file = ROOT / ".github" / "workflows" / found[1]
        if picture and len(words.split()) < 3:
            yield f"{target} needs alt text"
        if re.match(r"https?://|mailto:", target):
            continue
        if ROOT not in file.parents or not file.exists():
            yield f"{target} is not in the repository"
        elif place and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            if place not in map(anchor, headings):
                yield f"{target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere_and_pictures_have_words(page):
    assert list(faults(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "[x](docs/gone.md)",
        "[x](../outside.md)",
        "[x](README.md#gone)",
        "![](docs/images/drawn.jpg)",
        "[![three more words](docs/images/drawn.jpg)](docs/gone.md)",
        "[![three more words](docs/images/gone.jpg)](docs)",
        "![three more words](../../actions/workflows/gone.yml/badge.svg)",
    ],
)
def test_a_bad_link_or_picture_is_found(tmp_path, monkeypatch, text):
    monkeypatch.setattr("tests.test_pages.ROOT", tmp_path)
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "docs" / "images" / "drawn.jpg").touch()
    page = tmp_path / "README.md"
    page.write_text(f"# Title\n\n[fine](README.md#title) {text}\n", encoding="utf-8")
    assert len(list(faults(page))) == 1


def words_of(badge):
    """What a reader of a badge sees, and what a screen reader says."""
    root = ElementTree.parse(ROOT / badge).getroot()
    texts = [node.text for node in root if node.tag.endswith("title")]
    seen = " ".join(node.text for node in root.iter() if node.tag.endswith("}text"))
    assert root.get("aria-label") == texts[0]
    return seen, texts[0]


def test_the_badges_of_the_readme_are_true():
    """They need no other computer, except the one that shows the page of the repository."""
    badges = {picture: (alt, target) for alt, picture, target in BADGE.findall(README)}
    tests, python, code, lessons = badges
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    versions = re.findall(r"3\.\d+", re.search(r"python: \[(.*)\]", workflow)[1])
    least, most = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()
    assert versions == [f"3.{minor}" for minor in range(int(least), int(most))]
    assert words_of(python)[0] == f"Python {' | '.join(versions)}"
    assert re.findall(r"3\.\d+", badges[python][0]) == versions
    assert WORKFLOW.fullmatch(tests)[1] == WORKFLOW.fullmatch(badges[tests][1])[1] == "tests.yml"
    mit, by = project["license"].split(" AND ")
    assert words_of(code)[0] == f"code {mit}"
    assert words_of(lessons)[0] == f"lessons {by.replace('-', ' ')}"
    assert [badges[code][1], badges[lessons][1]] == project["license-files"]
    for picture in (code, lessons):
        alt, file = badges[picture]
        assert alt.rpartition(": ")[2] in (ROOT / file).read_text(encoding="utf-8")[:80]
    assert all(words_of(picture)[1] == badges[picture][0] for picture in (python, code, lessons))


def test_the_readme_links_every_lesson_with_its_solutions_and_its_page_for_the_teacher():
    for lesson in ROOT.glob("notebooks/[0-9]*.ipynb"):
        name = lesson.stem
        for address in (
            f"notebooks/{name}.ipynb",
            f"notebooks/solutions/{name}.ipynb",
            f"docs/lessons/{name}.md",
        ):
            assert f"]({address})" in README, address


def test_the_readme_gives_the_size_of_mini_sd():
    (row,) = (row for row in models.table() if row["name"] == "mini-sd")
    assert f"{row['parameters'] / 1e6:.0f} million trained numbers" in README


def verbs():
    """What may stand behind ``run.py``."""
    commands = parser.make_parser()._subparsers._group_actions[0].choices
    return {*commands, "lab", "pack", "site", "test", "web"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_in_a_page_is_one_that_the_kit_has(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\brun\.py (?!COMMAND)(\w+)", text)) <= verbs()


def test_the_page_of_commands_names_every_verb():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert verbs() <= {name for cell in first for name in re.findall(r"`(\w+)`", cell)}


def test_the_page_on_the_code_names_functions_that_are_there():
    """Each row of "Where to look" has a linked file and, behind it, names that it defines."""
    page = ROOT / "docs" / "code.md"
    rows = re.findall(r"\]\(([^)]+\.py)\) \| (`.+`) \|$", page.read_text(encoding="utf-8"), re.M)
    assert len(rows) >= 25
    for address, cell in rows:
        source = (page.parent / address).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", cell):
            assert re.search(rf"^ *(def|class) {name}\b", source, re.M), f"{address}: {name}"


def test_the_page_on_the_code_names_every_folder_and_every_training():
    text = (ROOT / "docs" / "code.md").read_text(encoding="utf-8")
    places = {p.name for p in (ROOT / "sdkit").iterdir() if (p / "__init__.py").exists()}
    recipes = ROOT.glob("sdkit/recipes/*.py")
    places |= {
        f"recipes/{path.name}"
        for path in recipes
        if "\n    command_line(" in path.read_text("utf-8")
    }
    assert len(places) > 15
    assert [place for place in places if f"(../sdkit/{place})" not in text] == []
