"""Build the teacher's pack: slides, handouts, exit tickets, notebooks and a zip for a platform.

    python3 run.py pack [--out FOLDER]

All of it is made from the lessons in notebooks/ and the pages in docs/. The folder `students` holds
no solutions and no answers, and `students.zip` is the same folder. `teachers/nbgrader` is a course
for nbgrader. Every page works from a disk, without a server, and asks no other machine for
anything. The main figures of a lesson are those of the cells with the tag "slide". The folder
reveal holds reveal.js 6.0.2, unchanged from its package on npm.
"""

import argparse
import base64
import copy
import html
import importlib.util
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import mistune
from mistune.plugins.math import math as math_plugin
from mistune.plugins.table import table as table_plugin

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from sdkit.lessons import grading, tickets  # noqa: E402 (the folder above must be on the path first)

_spec = importlib.util.spec_from_file_location("build_site", HERE.parent / "site" / "build.py")
assert _spec and _spec.loader
build_site = importlib.util.module_from_spec(_spec)
sys.modules["build_site"] = build_site
_spec.loader.exec_module(build_site)
Trouble = build_site.Trouble

MARK = ".sdkit-pack"  # a file in the folder, so that a later run may make the folder anew
SLIDE, AFTER_GUESS = "slide", "after-guess"  # tags of cells
PAGES = {  # pages of docs that the pack holds: source, and address in the pack
    "docs/glossary.md": "students/glossary.html",
    "docs/course-plan.md": "teachers/course-plan.html",
}
TICKETS = "docs/exit-tickets.html"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
DETAILS = re.compile(r"\n*<details>.*?</details>", re.S)
FOLDED = re.compile(r"<details>\s*<summary>Answer</summary>(.*?)</details>", re.S)
MEASURED = re.compile(r"^(.*): your guess none, measured (.*)$", re.M)
FURTHER = "*Further: run these cells now, because later cells use them."
SHORT, LONG = 30, 55  # words on a slide, up to which letters are larger, above which smaller
INTRO = 45  # words of the first paragraph of a section that a slide shows; the rest is a note
BEFORE = 25  # words that may stand before a prediction which points back to them
BACK = re.compile(r"\b(it|its|there|this|these|they|them|such|the two|the three)\b")
SENTENCE = re.compile(r"(?<=[.?!])(?<!al\.)\s+(?=[A-Z*`(\"'])")
ROWS = 8  # of a table on a slide
SECTION = re.compile(r"(<t[dh]>(?:section|\d+)) (\w+)(?=</t[dh]>)")  # a cell such as "section 1"
ASIDE = re.compile(rf"{SENTENCE.pattern}|(?<=[.?!]\))\s+(?=[A-Z(])")  # also ends with ".)"
PREDICT = re.compile(r"\*\*[Pp]redict\.?\*\*")
ONE_LINE = 24  # letters of code that may not be broken
WORDS = 8  # words explained on a handout


# What a lesson holds


@dataclass
class Figure:
    """A picture of a lesson: its data, its kind and the words for it."""

    data: str
    kind: str
    alt: str

    def tag(self) -> str:
        """An HTML picture that holds its own data."""
        source = f"data:{self.kind};base64,{self.data}"
        return f'<img src="{source}" alt="{html.escape(self.alt)}">'


@dataclass
class Step:
    """A thing to show, in the order of the lesson.

    kind : figure, guess, answer or exercise. words : Markdown, or for an answer what was measured.
    """

    kind: str
    title: str
    words: str = ""
    figure: Figure | None = None
    notes: str = ""
    after: bool = False  # whether it answers a guess


@dataclass
class Section:
    """A numbered section of a lesson."""

    title: str
    intro: str
    notes: str
    further: bool
    steps: list[Step] = field(default_factory=list)


@dataclass
class Lesson:
    """What the pack shows of a lesson."""

    stem: str
    title: str
    question: str
    map: Figure
    needs: dict[str, str]
    goals: list[str]
    tickets: list[str]
    answers: list[str]
    sections: list[Section]
    words: list[tuple[str, str]]

    @property
    def number(self) -> str:
        return self.stem[:2]

    def core(self, kind: str) -> list[Step]:
        """The steps of a kind in the sections of the core path."""
        sections = [section for section in self.sections if not section.further]
        return [step for section in sections for step in section.steps if step.kind == kind]


def read(path: Path) -> list[dict]:
    """The cells of a notebook, each with its source in one piece."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def figures(cell: dict) -> list[Figure]:
    """The pictures among the outputs of a cell."""
    return [
        Figure("".join(output["data"][kind]).replace("\n", ""), kind, words["alt"])
        for output in cell.get("outputs", [])
        for kind, words in output.get("metadata", {}).items()
        if kind in build_site.FORMATS and kind in output.get("data", {})
    ]


def printed(cell: dict) -> str:
    """What a cell has printed."""
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def guess(before: list[dict], label: str) -> str:
    """The question of a prediction: it stands in the text above the cell, after "Predict".

    In a section without the word, the heading asks.
    """
    heading = ""
    for cell in reversed(before):
        if cell["cell_type"] != "markdown":
            continue
        parts = paragraphs(cell["source"])
        for k in reversed(range(len(parts))):
            if found := PREDICT.search(parts[k]):
                rest = parts[k][found.end() :]
                for part in parts[k + 1 :]:  # a formula may stand before the question
                    if "?" in rest or not rest.endswith((":", "$$")):
                        break
                    rest += f"\n\n{part}"
                return _asked(found[0], rest, label, parts[k][: found.start()].strip())
        if cell["source"].startswith("## "):
            heading = cell["source"].partition("\n")[0].partition(" · ")[2]
            break
    return f"{heading} (*{label}*)" if heading.endswith("?") else f"*{label}* = ?"


def _asked(mark: str, rest: str, label: str, earlier: str = "") -> str:
    """A prediction as a text of its own.

    mark : how the lesson wrote "Predict". earlier : what its paragraph says before.
    """
    said = [] if earlier.startswith(("*", "|", "#", "$")) else ASIDE.split(earlier)
    words = re.sub(r"^(, then look\.| first[:,]|[:.,])\s*", "", rest)
    verb = words == rest and not mark.endswith(".**")  # "**Predict** the share"
    if verb:
        words = "Predict" + rest
    else:
        words = words.strip()
        words = words[:1].upper() + words[1:]
        if "?" not in words and said and said[-1].endswith("?"):
            return f"{said[-1]} {words}"
        if "?" not in words:
            words = f"{words} *{label}* = ?"
    if verb or BACK.search(SENTENCE.split(words)[0]):
        words = " ".join([*_last(said, BEFORE), words])
    return words


def _last(sentences: list[str], most: int) -> list[str]:
    """The last sentences that have at most so many words together."""
    kept: list[str] = []
    for sentence in reversed(sentences):
        whole = sentence.endswith((".", "?")) and sentence.count("(") == sentence.count(")")
        if not whole or len(" ".join([sentence, *kept]).split()) > most:
            break
        kept.insert(0, sentence)
    return kept


def lesson(root: Path, stem: str) -> Lesson:
    """Read a lesson and its page for the teacher. Raises `Trouble` if a part is missing."""
    path = root / "notebooks" / f"{stem}.ipynb"
    cells = read(path)
    top = cells[0]["source"]
    drawn = re.search(r"!\[([^\]]*)\]\(([^)\s]+)\)", top)
    question = re.search(r"\*\*The question\.\*\* (.*?)(?=\n\s*\n|\Z)", top, re.S)
    if not drawn or not question:
        raise Trouble(f"{path.name}: the first cell has no map or no question.")
    title, asked = tickets.questions(path)
    ticket = next(c["source"] for c in cells if c["source"].startswith("## Exit ticket"))
    page = (root / "docs" / "lessons" / f"{stem}.md").read_text(encoding="utf-8")
    goals = page.partition("## What people can do afterwards")[2].partition("\n## ")[0]
    return Lesson(
        stem=stem,
        title=title,
        question=question[1],
        map=_map(path.parent / drawn[2], drawn[1]),
        needs=dict(re.findall(r"^\| \*\*(.*?)\*\* \| (.*?) \|$", top, re.M)),
        goals=[" ".join(goal.split()) for goal in re.split(r"^\* ", goals, flags=re.M)[1:]],
        tickets=asked,
        answers=[answer.strip() for answer in FOLDED.findall(ticket)],
        sections=list(_sections(cells)),
        words=_words(root, cells),
    )


def _map(path: Path, alt: str) -> Figure:
    return Figure(base64.b64encode(path.read_bytes()).decode(), "image/svg+xml", alt)


def _sections(cells: list[dict]) -> Iterator[Section]:
    """The numbered sections, with their figures, predictions, answers and exercises."""
    starts = [k for k, cell in enumerate(cells) if cell["source"].startswith("## ")]
    for start, end in zip(starts, [*starts[1:], len(cells)]):
        head, _, body = cells[start]["source"].partition("\n")
        if not re.match(r"## \d · ", head):
            continue
        further = FURTHER in body
        parts = [part for part in paragraphs(body) if not part.startswith("*Further")]
        section = Section(head[3:], _start_of(parts), "\n\n".join(parts), further)
        for k in range(start, end):
            section.steps += _steps(cells, k, end, section.title)
        yield section


def _start_of(parts: list[str]) -> str:
    """The first paragraph of a section, without a prediction in it.

    If it ends with a colon, the formula or table below belongs to it.
    """
    if not parts or parts[0].startswith("#"):
        return ""
    start = PREDICT.split(parts[0])[0].strip()
    if start.startswith("* "):  # of a long list, only what it is about
        leads = re.findall(r"^\* \*\*(.*?)\*\*", start, re.M)
        return "\n".join(f"* {lead}" for lead in leads)
    start = re.sub(r"(?<=[.?!])[^.?!]*,$", "", start)  # "Before you run it, **predict**"
    for part in parts[1:2]:
        table = part.startswith("|") and part.count("\n") < ROWS
        if part.startswith("$$") or (start.endswith(":") and (table or part.startswith("```"))):
            return f"{start}\n\n{part}"
    return re.sub(r":$", ".", shortened(SENTENCE.split(start), INTRO))


def shortened(sentences: list[str], most: int) -> str:
    """As many sentences from the start as have `most` words together, but at least one."""
    kept = sentences[:1]
    for sentence in sentences[1:]:
        if len(" ".join([*kept, sentence]).split()) > most:
            break
        kept.append(sentence)
    return " ".join(kept)


def _steps(cells: list[dict], k: int, end: int, title: str) -> Iterator[Step]:
    cell = cells[k]
    source = cell["source"]
    if cell["cell_type"] == "markdown":
        for found in re.finditer(
            r"^### (Exercise \d\d\.\d.*?)\n(.*?)(?=^##|\Z)", source, re.M | re.S
        ):
            yield Step("exercise", found[1].strip(), found[2].strip())
        return
    labels = re.findall(r"checks\.predict\(\s*\"(.*?)\"", source)
    if labels:
        yield Step("guess", title, guess(cells[:k], labels[0]))
    happened = next(
        (c["source"] for c in cells[k:end] if "**What just happened.**" in c["source"]), ""
    )
    for label, value in MEASURED.findall(printed(cell)):
        yield Step("answer", label, value.strip(), notes=happened)
    if SLIDE in tags(cell):
        for figure in figures(cell):
            yield Step("figure", title, "", figure, happened, AFTER_GUESS in tags(cell))


def _words(root: Path, cells: list[dict]) -> list[tuple[str, str]]:
    """The words of the glossary that a lesson links, with the first sentence for each."""
    glossary = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    known = {}
    for part in re.split(r"^### ", glossary, flags=re.M)[1:]:
        word, _, text = part.partition("\n")
        first = re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(text.split()))[0]
        known[build_site.anchor(word)] = (word, first)
    prose = "".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    linked = dict.fromkeys(re.findall(r"glossary\.md#([\w-]+)\)", prose))
    return [known[name] for name in linked if name in known][:WORDS]


# Markdown


class Plain(build_site.Renderer):
    """Markdown for slides and handouts: no links, and every picture inside the page."""

    def heading(self, text: str, level: int, **attrs: object) -> str:
        return f"<p><b>{text}</b></p>\n"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def codespan(self, text: str) -> str:
        """Code in a line. Short code stays in one line, so that its end is easy to see."""
        made = super().codespan(text)
        return made.replace("<code>", '<code class="short">') if len(text) <= ONE_LINE else made


@dataclass
class Page(build_site.Page):
    """A page of the pack that is made from a page of the repository."""

    at: str = ""

    @property
    def address(self) -> str:
        return self.at


class Pack(build_site.Site):
    """The pack, and where its parts are written."""

    def __init__(self, root: Path, out: Path) -> None:
        super().__init__(root, out)
        stems = [path.stem for path in sorted(root.glob("notebooks/[0-9]*.ipynb"))]
        self.pages = [Page(source, "", at=at) for source, at in PAGES.items()]
        self.pages += [
            Page(f"docs/lessons/{stem}.md", "", at=f"teachers/{stem}.html") for stem in stems
        ]
        self.addresses = {page.source: page.address for page in self.pages}
        self.addresses[TICKETS] = "students/exit-tickets.html"
        self.lessons = [lesson(root, stem) for stem in stems]
        self._plain = Page("notebooks/x.ipynb", "", at="x")

    def build(self) -> None:
        """Write the whole pack."""
        for one in self.lessons:
            self._write("slides", one, SLIDES)
            self._write("students/handouts", one, HANDOUT)
            for folder in ("students", "teachers"):
                self._notebook(one, folder)
        sheet = tickets.page(answers="")  # the notebooks of the students have none
        (self.out / "students" / "exit-tickets.html").write_text(
            sheet, encoding="utf-8", newline="\n"
        )
        self.copy_to("LICENSE-lessons", "students/LICENSE-lessons.txt")
        self.copy_to("docs/pack/reveal/LICENSE", "slides/LICENSE-reveal.txt")
        for page in self.pages:
            self._markdown(page)
            self._sheet(page.address, page.title, page.body)
        answers = self._answers()
        self._sheet("teachers/exit-ticket-answers.html", "Exit tickets: answers", answers)
        for folder in ("students", "teachers"):
            self._index(folder)
        grading.write(self.out / "teachers" / "nbgrader", self.root)
        self._zip()
        (self.out / MARK).touch()

    # Addresses

    def place(self, page: Page, source: str) -> str | None:
        """Where a file of the repository is in the pack, seen from a page; None if it is not.

        A page for students never leads to one for teachers.
        """
        students = page.address.startswith("students/")
        if found := re.fullmatch(r"notebooks/(solutions/)?(\d.*\.ipynb)", source):
            if found[1] and students:
                return None
            return f"{'students' if students else 'teachers'}/notebooks/{found[2]}"
        at = self.addresses.get(source)
        return None if at and students and at.startswith("teachers/") else at

    def target(self, page: Page, url: str) -> str | None:
        if build_site.ELSEWHERE.match(url) or url.startswith("#"):
            return url
        at = self.place(page, str(self.resolve(page, url)))
        place = "#" + url.partition("#")[2] if "#" in url else ""
        return self.relative(page, at + place) if at else None

    def copy_to(self, source: str, at: str) -> None:
        path = self.out / at
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.root / source, path)

    # Parts

    def words(self, text: str) -> str:
        """Markdown as HTML for a slide or a handout."""
        markdown = mistune.Markdown(
            Plain(self._plain, self),
            plugins=[table_plugin, math_plugin],
            inline=mistune.InlineParser(),
        )
        return str(markdown(text))

    def _write(self, folder: str, one: Lesson, template: jinja2.Template) -> None:
        later = self.lessons[self.lessons.index(one) + 1 :]
        path = self.out / folder / f"{one.stem}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = template.render(
            lesson=one,
            words=self.words,
            size=size,
            next=later[0] if later else None,
            file=lambda name: (HERE / name).read_text(encoding="utf-8"),
            points=tickets.POINTS,
        )
        path.write_text(made, encoding="utf-8")

    def _sheet(self, at: str, title: str, body: str) -> None:
        path = self.out / at
        path.parent.mkdir(parents=True, exist_ok=True)
        css = (HERE / "sheet.css").read_text(encoding="utf-8")
        body = SECTION.sub(r"\1&nbsp;\2", body)
        path.write_text(SHEET.render(title=title, body=body, css=css), encoding="utf-8")

    def _answers(self) -> str:
        parts = ["<h1>Exit tickets: answers</h1>"]
        for one in self.lessons:
            parts.append(f"<h2>{html.escape(one.title)}</h2>")
            for number, (asked, answer) in enumerate(zip(one.tickets, one.answers), 1):
                parts.append(f"<p><b>{number}.</b> {html.escape(asked)}</p>")
                parts.append(f"<blockquote>{self.words(answer)}</blockquote>")
        return "\n".join(parts)

    def _notebook(self, one: Lesson, folder: str) -> None:
        """The lesson for students, or for teachers: with solutions and answers."""
        source = f"notebooks/{one.stem}.ipynb"
        at = f"{folder}/{source}"
        notebook = json.loads((self.root / source).read_text(encoding="utf-8"))
        page = Page(source, "", at=at)
        if folder == "students":
            notebook["cells"] = [for_students(cell) for cell in notebook["cells"]]
        else:
            solutions = read(self.root / "notebooks" / "solutions" / f"{one.stem}.ipynb")
            notebook["cells"] = list(with_solutions(notebook["cells"], solutions))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                cell["source"] = LINK.sub(lambda found: self._link(page, found), text)
        path = self.out / at
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(notebook, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")

    def _link(self, page: Page, found: re.Match[str]) -> str:
        """A link or picture of a notebook, as it must be in the pack."""
        picture, text, url = found.groups()
        path = url.partition("#")[0]
        if build_site.ELSEWHERE.match(url) or not (self.root / "notebooks" / path).is_file():
            return found[0]  # an address on the web, a place in the page, or code that looks so
        if picture:
            source = str(self.resolve(page, url))
            at = f"{page.address.partition('/')[0]}/notebooks/images/{Path(source).name}"
            self.copy_to(source, at)
            return f"![{text}]({self.relative(page, at)})"
        target = self.target(page, url)
        return f"[{text}]({target})" if target else text

    def _index(self, folder: str) -> None:
        """The start page of a folder; that of the teachers is the start of the pack."""
        students = folder == "students"
        at = "students/index.html" if students else "index.html"
        made = INDEX.render(
            lessons=self.lessons,
            students=students,
            to="" if students else "students/",
            css=(HERE / "sheet.css").read_text(encoding="utf-8"),
        )
        (self.out / at).write_text(made, encoding="utf-8")

    def _zip(self) -> None:
        """The folder for students as one file. Its bytes depend only on what is in it."""
        folder = self.out / "students"
        with zipfile.ZipFile(self.out / "students.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                    packed.writestr(entry, path.read_bytes())


def size(text: str) -> str:
    """The class of a slide's words: "short" and "long" have larger and smaller letters."""
    count = len(text.split())
    return "short" if count <= SHORT else "long" if count > LONG else ""


def for_students(cell: dict) -> dict:
    """A cell without what answers a question: measurements after a guess, and folded answers."""
    cell = copy.deepcopy(cell)
    text = "".join(cell["source"])
    if AFTER_GUESS in tags(cell):
        cell["outputs"], cell["execution_count"] = [], None
    if cell["cell_type"] == "markdown" and text.startswith("## Exit ticket"):
        text = text.replace("Answer each before you unfold it.", "Write your answers below.")
        cell["source"] = DETAILS.sub("\n\n*Your answer:*", text)
    return cell


def with_solutions(cells: list[dict], solutions: list[dict]) -> Iterator[dict]:
    """The cells, and below each exercise a folded cell with the code that solves it."""
    for cell in cells:
        yield cell
        found = re.search(r"checks\.check\(\"(\d\d\.\d+)\"", "".join(cell["source"]))
        if cell["cell_type"] != "code" or not found:
            continue
        asks = found[0]
        code = next(
            c["source"] for c in solutions if c["cell_type"] == "code" and asks in c["source"]
        )
        head = f"<details><summary>Solution {found[1]}</summary>"
        yield {
            "cell_type": "markdown",
            "id": f"solution-{found[1].replace('.', '-')}",
            "metadata": {},
            "source": f"{head}\n\n```python\n{code}\n```\n\n</details>",
        }


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
SLIDES = ENVIRONMENT.get_template("slides.html.j2")
HANDOUT = ENVIRONMENT.get_template("handout.html.j2")
SHEET = ENVIRONMENT.get_template("sheet.html.j2")
INDEX = ENVIRONMENT.get_template("index.html.j2")


def build(root: Path, out: Path) -> Pack:
    """Build the pack of the kit in `root` into the folder `out`, which is made anew."""
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise Trouble(f"{out} is not empty and no pack. Choose another folder with --out.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    pack = Pack(root, out)
    pack.build()
    return pack


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py pack",
        description="Build slides, handouts, exit tickets and notebooks for a class.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("pack"), help="folder for the pack (default: pack)"
    )
    arguments = parser.parse_args(argv)
    out = arguments.out.resolve()
    try:
        pack = build(ROOT, out)
    except Trouble as trouble:
        print(f"pack: {trouble}", file=sys.stderr)
        return 2
    megabytes = (out / "students.zip").stat().st_size / 1e6
    print(f"{len(pack.lessons)} lessons. Open {out / 'index.html'}")
    print(f"For a learning platform: {out / 'students.zip'} ({megabytes:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
