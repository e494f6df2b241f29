"""Build the website of the kit: lessons, solutions, pages of docs and a gallery, as static HTML.

    python3 run.py site [--out FOLDER] [--repository ADDRESS] [--page FOLDER]

The pages work from a disk, without a server, and ask no other machine for anything: formulas are
MathML, and fonts are those of the system. A page of the site stands where its source stands in the
repository, so that links need only another ending: notebooks/04_samplers.ipynb becomes
notebooks/04_samplers.html. Alt text comes from the notebooks' outputs. Outputs that answer a
prediction (the tag "after-guess") and code that the lab hides are folded.
"""

import argparse
import base64
import html
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import jinja2
import mistune
from mistune.plugins.math import math as math_plugin
from mistune.plugins.table import table as table_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TITLE = "Stable Diffusion, small and in the open"
# Groups of the navigation, and the patterns of their sources.
GROUPS = {
    "Lessons": ("notebooks/[0-9]*.ipynb", "notebooks/photo_booth.ipynb"),
    "Auf Deutsch": ("notebooks/de/*.ipynb",),
    "Docs": ("docs/*.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    "For teachers": ("docs/lessons/*.md",),
    "Solutions": ("notebooks/solutions/*.ipynb",),
    "The networks": ("data/README.md", "data/models/*/README.md"),
}
FORMATS = {"image/jpeg": "jpg", "image/png": "png"}
COPIED = {".jpg", ".png", ".svg", ".html", ".ipynb", ".txt", ".tsv", ".lock", ".cff", ""}
LONG = 60  # lines of text in an output, above which it gets a scroll bar
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)
BADGES = re.compile(r"<!-- badges.*?<!-- end of the badges -->\n*", re.S)  # one is on GitHub
# what the README says about the word that the address replaces
ADDRESS_IS = re.compile(r"^\* ADDRESS is the address.*?copies it\.\s+", re.M | re.S)
TEXT = re.compile(r"<(script|style|math).*?</\1>|<[^>]+>", re.S)


class Trouble(Exception):
    """What is wrong with a source, as a sentence."""


@dataclass
class Page:
    """A page of the site: its source in the repository, and what it becomes."""

    source: str
    group: str
    title: str = ""
    body: str = ""
    headings: list[tuple[int, str, str]] = field(default_factory=list)  # level, anchor, words
    picture: tuple[str, str] | None = None  # the first one: address from the root, alt text

    @property
    def address(self) -> str:
        """Where the page is in the site."""
        return address_of(self.source)

    @property
    def language(self) -> str:
        """The language of its words, for screen readers."""
        found = re.match(r"notebooks/([a-z]{2})/", self.source)
        return found[1] if found else "en"

    @property
    def english(self) -> str:
        """An attribute for the site's own words, if the page is not English."""
        return "" if self.language == "en" else ' lang="en"'


def address_of(source: str) -> str:
    """The address of a source's page, from the root of the site."""
    if source == "README.md":
        return "index.html"
    return re.sub(r"\.(md|ipynb)$", ".html", source)


def anchor(heading: str) -> str:
    """The address of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


class Renderer(mistune.HTMLRenderer):
    """Markdown to HTML, for one page."""

    def __init__(self, page: Page, site: "Site") -> None:
        super().__init__(escape=False)
        self.page, self.site = page, site

    def heading(self, text: str, level: int, **attrs: object) -> str:
        words = html.unescape(TEXT.sub("", text)).strip()
        name = self.site.unused(self.page, anchor(words))
        self.page.headings.append((level, name, words))
        if level == 1 and not self.page.title:
            self.page.title = words
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        target = self.site.target(self.page, url)
        if target is None:  # a file of the repository, whose address nobody gave
            return f'<span class="file">{text}</span>'
        return f'<a href="{html.escape(target)}">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        alt = html.unescape(TEXT.sub("", text))
        source = self.site.resolve(self.page, url)
        if source is None:
            raise Trouble(f"{self.page.source}: the picture {url} is on another machine.")
        self.site.copy(source)
        if not self.page.picture:
            self.page.picture = source, alt
        return picture(self.site.relative(self.page, source), alt)

    def block_code(self, code: str, info: str | None = None) -> str:
        return coloured(code, (info or "").split(" ")[0])

    def table(self, text: str) -> str:
        head = re.match(r"<thead>.*?</thead>", text, re.S)
        if head and not TEXT.sub("", head[0]).strip():  # a table of two columns without a head
            text = text[head.end() :]
        text = re.sub(r"<th([^>]*)></th>", r"<td\1></td>", text)  # an empty cell names no column
        return f'<div class="scroll" tabindex="0"><table>{text}</table></div>\n'

    def inline_math(self, text: str) -> str:
        return formula(text, "inline", self.page)

    def block_math(self, text: str) -> str:
        return formula(text, "block", self.page)


def formula(tex: str, display: str, page: Page) -> str:
    """A formula as MathML, which browsers show without a library."""
    from latex2mathml.converter import convert

    try:
        made = convert(tex, display=display)
    except Exception as error:  # the library has many kinds
        raise Trouble(f"{page.source}: the formula {tex!r} cannot be read ({error!r}).") from error
    made = made.replace("<math ", f'<math aria-label="{html.escape(tex)}" ', 1)
    return (
        f'<div class="scroll formula" tabindex="0">{made}</div>\n' if display == "block" else made
    )


def close_gaps(page: Page) -> None:
    """Raise the headings of a page below which a level is left out, as level 3 below level 1."""
    above: list[int] = []  # the levels of a heading and of those that it is under
    depths = []
    for level, _, _ in page.headings:
        above = [*(other for other in above if other < level), level]
        depths.append(len(above))
    for depth, (level, name, _) in zip(depths, page.headings):
        page.body = re.sub(
            rf'<h{level} (id="{re.escape(name)}">.*?)</h{level}>',
            lambda found: f"<h{depth} {found[1]}</h{depth}>",  # noqa: B023 (called at once)
            page.body,
            count=1,
            flags=re.S,
        )
    page.headings = [(depth, name, words) for depth, (_, name, words) in zip(depths, page.headings)]


def coloured(code: str, language: str) -> str:
    """Code as HTML, with classes for the colours in site.css."""
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    inside = highlight(code.rstrip("\n"), lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0"><code>{inside}</code></pre>\n'


def picture(address: str, alt: str) -> str:
    return f'<img src="{html.escape(address)}" alt="{html.escape(alt)}" loading="lazy">'


class Site:
    """All pages, and where they are written.

    root : the repository. out : the folder of the site. repository : its address on the web, or "".
    live : the folder with the page that computes in the browser, from `run.py web build`, or None.
    """

    def __init__(
        self, root: Path, out: Path, repository: str = "", live: Path | None = None
    ) -> None:
        self.root, self.out, self.repository = root, out, repository.rstrip("/")
        self.live = live
        self.pages = [Page("README.md", "")]
        for group, patterns in GROUPS.items():
            found = [path for pattern in patterns for path in sorted(root.glob(pattern))]
            self.pages += [Page(path.relative_to(root).as_posix(), group) for path in found]
        self.sources = {page.source for page in self.pages}
        self.index: list[dict[str, str]] = []

    def build(self) -> None:
        """Write the whole site. Raises `Trouble` if a source has a fault."""
        for page in self.pages:
            (self._notebook if page.source.endswith(".ipynb") else self._markdown)(page)
            close_gaps(page)
            page.title = page.title or Path(page.source).stem
        self.pages[0].title = "Start"
        self.pages.append(self._gallery())
        for page in self.pages:
            self._write(page)
        if self.live:
            shutil.copytree(self.live, self.out / "web")
        for name in ("site.css", "site.js"):
            shutil.copy(HERE / name, self.out / name)
        data = json.dumps(self.index, ensure_ascii=False).replace("</", "<\\/")
        (self.out / "search-index.js").write_text(f"window.searchIndex = {data};\n", "utf-8")
        (self.out / ".nojekyll").touch()

    # Addresses

    def relative(self, page: Page, address: str) -> str:
        """The way from a page to an address of the site."""
        folder = os.path.dirname(page.address)
        path, sharp, place = address.partition("#")
        return os.path.relpath(path, folder or ".").replace(os.sep, "/") + sharp + place

    def resolve(self, page: Page, url: str) -> str | None:
        """The path in the repository to which a link leads; None if it leads elsewhere.

        Raises `Trouble` if there is no such file.
        """
        if ELSEWHERE.match(url):
            return None
        path = unquote(url.partition("#")[0])
        base = self.root / Path(page.source).parent
        full = Path(os.path.normpath(base / path))
        if not full.is_relative_to(self.root) or not full.exists():
            raise Trouble(f"{page.source}: the link {url} leads nowhere.")
        return full.relative_to(self.root).as_posix()

    def target(self, page: Page, url: str) -> str | None:
        """What a link of a page becomes; None if it can lead nowhere."""
        if ELSEWHERE.match(url) or url.startswith("#"):
            return url
        source = self.resolve(page, url)
        place = "#" + url.partition("#")[2] if "#" in url else ""
        if source in self.sources:
            return self.relative(page, address_of(source) + place)
        path = self.root / str(source)
        if path.is_file() and path.suffix in COPIED:
            self.copy(str(source))
            return self.relative(page, str(source))
        if self.repository:
            return f"{self.repository}/{'tree' if path.is_dir() else 'blob'}/main/{source}{place}"
        return None

    def copy(self, source: str) -> None:
        """Copy a file of the repository into the site, at the same place."""
        path = self.out / source
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.root / source, path)

    def unused(self, page: Page, name: str) -> str:
        """An address for a heading that no other heading of the page has."""
        taken = {one for _, one, _ in page.headings}
        names = [name, *(f"{name}-{k}" for k in range(1, 999))]
        return next(one for one in names if one not in taken)

    # Pages

    def _render(self, page: Page, text: str) -> str:
        markdown = mistune.Markdown(
            Renderer(page, self), plugins=[table_plugin, math_plugin], inline=mistune.InlineParser()
        )
        return str(markdown(text))

    def _markdown(self, page: Page) -> None:
        text = (self.root / page.source).read_text(encoding="utf-8")
        text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)  # the head of a model card
        text = BADGES.sub("", text)
        if self.repository:
            text = text.replace(
                "git clone --depth 1 ADDRESS", f"git clone --depth 1 {self.repository}"
            )
            text = ADDRESS_IS.sub("* ", text)
        page.body = self._render(page, text)

    def _notebook(self, page: Page) -> None:
        cells = json.loads((self.root / page.source).read_text(encoding="utf-8"))["cells"]
        parts = []
        for cell in cells:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(f'<div class="words">{self._render(page, source)}</div>')
            elif cell["cell_type"] == "code" and source.strip():
                parts.append(self._code(page, cell, source))
        self.copy(page.source)
        links = [f'<a href="{Path(page.source).name}" download>Download this notebook</a>']
        links += [f'<a href="{url}">{words}</a>' for words, url in self._services(page)]
        tool = f'<p class="tool"{page.english}>{" ".join(links)}</p>'
        # below the title
        page.body = re.sub(r"(</h1>)", lambda m: m[1] + tool, "\n".join(parts), count=1)

    def _services(self, page: Page) -> list[tuple[str, str]]:
        """Services that run the notebook, if the repository is on GitHub; see docs/one-click.md."""
        where = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", self.repository)
        if not where:
            return []
        path = f"{where[1]}/main?urlpath=lab/tree/{page.source}"
        colab = f"{where[1]}/blob/main/{page.source}"
        return [
            ("Open in Binder", f"https://mybinder.org/v2/gh/{path}"),
            ("Open in Colab", f"https://colab.research.google.com/github/{colab}"),
        ]

    def _code(self, page: Page, cell: dict, source: str) -> str:
        tags = cell["metadata"].get("tags", [])
        code = coloured(source, "python")
        english = page.english
        if cell["metadata"].get("jupyter", {}).get("source_hidden"):
            code = f"<details><summary{english}>Show the code</summary>{code}</details>"
        shown = "".join(self._output(page, output) for output in cell.get("outputs", []))
        if shown and "after-guess" in tags:
            summary = f"<summary{english}>Make your guess, then unfold the answer.</summary>"
            shown = f"<details>{summary}{shown}</details>"
        return f'<div class="cell">{code}<div class="output">{shown}</div></div>'

    def _output(self, page: Page, output: dict) -> str:
        if output["output_type"] == "stream":
            return printed("".join(output["text"]))
        if output["output_type"] == "error":
            raise Trouble(f"{page.source}: a cell ended with {output['ename']}.")
        for kind, ending in FORMATS.items():
            if kind in output["data"]:
                alt = output["metadata"].get(kind, {}).get("alt", "")
                if not alt:
                    raise Trouble(f"{page.source}: a picture has no alt text.")
                data = base64.b64decode("".join(output["data"][kind]))
                return self._picture(page, data, ending, alt)
        if "text/html" in output["data"]:
            return f'<div class="scroll" tabindex="0">{"".join(output["data"]["text/html"])}</div>'
        if "text/plain" in output["data"]:
            return printed("".join(output["data"]["text/plain"]))
        raise Trouble(f"{page.source}: an output is only {', '.join(output['data'])}.")

    def _picture(self, page: Page, data: bytes, ending: str, alt: str) -> str:
        """Write a picture beside its page."""
        folder = self.out / address_of(page.source).removesuffix(".html")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{len(list(folder.iterdir())):02}.{ending}"
        path.write_bytes(data)
        address = path.relative_to(self.out).as_posix()
        if not page.picture or len(data) > (self.out / page.picture[0]).stat().st_size:
            page.picture = address, alt
        return picture(self.relative(page, address), alt)

    def _gallery(self) -> Page:
        """A page with the pictures of the docs, and the largest picture of each lesson."""
        page = Page("gallery.md", "Docs", "Gallery")
        shown = ["<h1>Gallery</h1>", "<p>A picture of each lesson. It leads to its lesson.</p>"]
        shown.append('<ul class="gallery">')
        for lesson in self.pages:
            if lesson.picture and lesson.group in ("", "Lessons"):
                address, alt = lesson.picture
                link = self.relative(page, lesson.address)
                title = TITLE if not lesson.group else lesson.title
                shown.append(
                    f'<li><a href="{link}">{picture(self.relative(page, address), alt)}'
                    f"<span>{html.escape(title)}</span></a></li>"
                )
        page.body = "\n".join([*shown, "</ul>"])
        return page

    def _write(self, page: Page) -> None:
        groups = {group: [p for p in self.pages if p.group == group] for group in GROUPS}
        made = TEMPLATE.render(
            site=TITLE,
            page=page,
            groups={group: pages for group, pages in groups.items() if pages},
            to=lambda address: self.relative(page, address),
            root=self.relative(page, "index.html").removesuffix("index.html"),
            neighbours=self._neighbours(page),
            repository=self.repository,
            live=bool(self.live),
        )
        path = self.out / page.address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made, encoding="utf-8")
        self.index += entries(page)

    def _neighbours(self, page: Page) -> list[tuple[str, Page]]:
        """The page before and the page after, in the same group."""
        group = [other for other in self.pages if other.group == page.group]
        at = group.index(page)
        near = [("Before", group[at - 1])] if at else []
        return near + [("Next", other) for other in group[at + 1 : at + 2]]


def printed(text: str) -> str:
    """What a cell has printed."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip()
    long = " long" if text.count("\n") > LONG else ""
    return f'<pre class="printed{long}" tabindex="0">{html.escape(text)}</pre>\n' if text else ""


def entries(page: Page) -> Iterator[dict[str, str]]:
    """The sections of a page for the search: address, title of the page, heading, text."""
    pieces = re.split(r'<h\d id="([^"]*)">', page.body)
    words = {name: heading for _, name, heading in page.headings}
    for name, body in zip(["", *pieces[1::2]], pieces[::2]):
        body = re.sub(r'<pre class="code".*?</pre>', " ", body, flags=re.S)
        text = " ".join(html.unescape(TEXT.sub(" ", body)).split())
        if text:
            place = f"#{name}" if name else ""
            yield {
                "at": page.address + place,
                "page": page.title,
                "heading": words.get(name, ""),
                "text": text,
            }


TEMPLATE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
).get_template("page.html.j2")


def build(root: Path, out: Path, repository: str = "", live: Path | None = None) -> Site:
    """Build the site of the kit in `root` into the folder `out`, which is made anew.

    `live` is as in `Site`. Raises `Trouble` if it is not built.
    """
    if live and not ((live / "index.html").is_file() and (live / "model").is_dir()):
        raise Trouble(f"{live} is no built page. Build it first: python3 run.py web build")
    if out.exists() and any(out.iterdir()) and not (out / ".nojekyll").exists():
        raise Trouble(f"{out} is not empty and no site. Choose another folder with --out.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    site = Site(root, out, repository, live)
    site.build()
    return site


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py site", description="Build the website of the kit."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("site"), help="folder for the pages (default: site)"
    )
    parser.add_argument(
        "--repository",
        default=os.environ.get("SDKIT_REPOSITORY", ""),
        metavar="ADDRESS",
        help="address of the repository on the web, for links to files that are no pages",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FOLDER",
        help="the page that `run.py web build` made (web/dist): put it into the folder web of the "
        "site, and link it from every page",
    )
    arguments = parser.parse_args(argv)
    try:
        site = build(ROOT, arguments.out.resolve(), arguments.repository, arguments.page)
    except Trouble as trouble:
        print(f"site: {trouble}", file=sys.stderr)
        return 2
    print(f"{len(site.pages)} pages. Open {arguments.out.resolve() / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
