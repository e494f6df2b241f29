"""The website: every page is built, nothing of a lesson is lost, and every link leads somewhere."""

import html
import importlib.util
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from sdkit.files import ROOT

spec = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "site" / "build.py")
build_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_site)

ADDRESS = re.compile(r'<(\w+)[^>]*?\s(href|src)="([^"]*)"')
LESSONS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/**/*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site. This takes about two seconds."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    return build_site.build(ROOT, folder)


def read(site, address):
    return (site.out / address).read_text(encoding="utf-8")


def faults(folder):
    """A sentence for each address in the pages of `folder` that leads nowhere or to a stranger."""
    pages = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    names = {path: set(re.findall(r'\sid="([^"]+)"', text)) for path, text in pages.items()}
    for path, text in pages.items():
        where = path.relative_to(folder)
        text = re.sub(r"<script(?![^>]*\ssrc).*?</script>", "", text, flags=re.S)
        for tag, _, address in ADDRESS.findall(text):
            address = html.unescape(address)
            if re.match("https?:|mailto:", address):
                if tag != "a":
                    yield f"{where} loads {address}"
                continue
            if address.startswith("data:"):
                continue
            file, _, place = address.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            if not target.exists():
                yield f"{where}: {address} is not in the site"
            elif place and target in names and unquote(place) not in names[target]:
                yield f"{where}: {address} has no such heading"


def test_every_link_and_picture_of_the_site_leads_somewhere(site):
    assert list(faults(site.out)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        '<a href="gone.html">x</a>',
        '<a href="#gone">x</a>',
        '<img alt="x" src="https://example.org/x.png">',
        '<link rel="stylesheet" href="https://example.org/x.css">',
    ],
)
def test_a_bad_address_is_found(tmp_path, wrong):
    (tmp_path / "index.html").write_text(f'<h1 id="a">A</h1><a href="#a">a</a>{wrong}')
    assert len(list(faults(tmp_path))) == 1


def test_every_source_has_a_page_and_every_page_is_in_the_menu(site):
    expected = {*LESSONS, "README.md", "docs/glossary.md", "docs/lessons/05_vae_latents.md"}
    assert expected <= site.sources
    start = read(site, "index.html")
    for page in site.pages[1:]:
        assert f'href="{page.address}"' in start
        assert f"<title>{page.title} | " in html.unescape(read(site, page.address))


@pytest.mark.parametrize("source", LESSONS)
def test_a_lesson_keeps_its_pictures_its_words_for_them_and_its_folded_answers(site, source):
    cells = json.loads((ROOT / source).read_text(encoding="utf-8"))["cells"]
    outputs = [(cell, output) for cell in cells for output in cell.get("outputs", [])]
    words = [
        output["metadata"][kind]["alt"]
        for _, output in outputs
        for kind in output.get("data", {})
        if kind in build_site.FORMATS
    ]
    page = read(site, build_site.address_of(source))
    shown = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert [html.unescape(alt) for alt in shown if html.unescape(alt) in words] == words
    assert all(alt.strip() for alt in shown)
    asked = [c for c in cells if "after-guess" in c["metadata"].get("tags", []) if c["outputs"]]
    assert page.count("Make your guess, then unfold") == len(asked)
    hidden = [c for c in cells if c["metadata"].get("jupyter", {}).get("source_hidden")]
    assert page.count("Show the code") == len(hidden)
    for _, output in outputs:
        for line in "".join(output.get("text", "")).splitlines():
            assert html.escape(line.rstrip()) in page, line
    assert f'href="{Path(source).name}" download' in page


def test_the_search_finds_the_sections_of_all_pages(site):
    text = read(site, "search-index.js")
    entries = json.loads(text.removeprefix("window.searchIndex = ").rstrip(";\n"))
    assert {entry["at"].partition("#")[0] for entry in entries} == {p.address for p in site.pages}
    for entry in entries:
        address, _, place = entry["at"].partition("#")
        assert not place or f'id="{place}"' in read(site, address)
        assert entry["text"] and "<" not in entry["page"]
    (ssim,) = [entry for entry in entries if entry["at"] == "docs/glossary.html#ssim"]
    assert ssim["heading"] == "SSIM" and "pictures" in ssim["text"]


def test_the_gallery_shows_a_picture_of_each_lesson(site):
    page = read(site, "gallery.html")
    for source in LESSONS:
        lesson = next(page for page in site.pages if page.source == source)
        if lesson.picture and lesson.group == "Lessons":
            assert f'<li><a href="{lesson.address}">' in page
    assert page.count("<li><a") >= 14


# Small sites with one fault or one feature each


@pytest.fixture
def small(tmp_path):
    """Builds a site of a README and one lesson, and gives the text of the lesson's page."""

    def make(words="# A lesson", outputs=(), repository="", **metadata):
        root = tmp_path / "root"
        (root / "notebooks").mkdir(parents=True, exist_ok=True)
        (root / "sdkit").mkdir(exist_ok=True)
        (root / "sdkit" / "x.py").touch()
        (root / "README.md").write_text(
            "# Start\n\n[lesson](notebooks/00_a.ipynb)\n\ngit clone --depth 1 ADDRESS"
        )
        cells = [
            {"cell_type": "markdown", "metadata": {}, "source": words},
            {"cell_type": "code", "metadata": metadata, "source": "1 < 2", "outputs": [*outputs]},
        ]
        (root / "notebooks" / "00_a.ipynb").write_text(json.dumps({"cells": cells}))
        build_site.build(root, tmp_path / "out", repository)
        assert list(faults(tmp_path / "out")) == []
        return (tmp_path / "out" / "notebooks" / "00_a.html").read_text(encoding="utf-8")

    return make


def shown(data, **metadata):
    return {"output_type": "display_data", "data": data, "metadata": metadata}


@pytest.mark.parametrize(
    ("words", "outputs", "why"),
    [
        ("# A\n[x](gone.md)", [], "the link gone.md leads nowhere"),
        ("# A\n[x](../../outside.md)", [], "leads nowhere"),
        ("# A\n![x](https://example.org/x.png)", [], "on another machine"),
        ("# A", [shown({"image/png": "AAAA"})], "a picture has no alt text"),
        ("# A", [shown({"application/x": "1"})], "an output is only application/x"),
        ("# A", [{"output_type": "error", "ename": "NameError"}], "ended with NameError"),
    ],
)
def test_a_fault_of_a_source_stops_the_build_with_a_sentence(small, words, outputs, why):
    with pytest.raises(build_site.Trouble, match=re.escape(why)):
        small(words, outputs)


def test_a_formula_becomes_mathml_with_its_source_as_a_name(small):
    page = small(
        "# A\n\nSo $x_t = \\alpha x$, and\n\n$$\n\\frac{1}{2} \\left( a + b \\right)\n$$\n"
    )
    assert page.count("<math ") == 2 and "<mfrac>" in page and "α" in html.unescape(page)
    assert 'aria-label="x_t = \\alpha x"' in page and "$" not in page.split("<main")[1]


def test_a_price_in_dollars_in_code_is_no_formula(small):
    assert "<math" not in small("# A\n\n`$HOME` and `$PATH`\n\n```\n$x$\n```\n")


def test_a_table_without_a_head_gets_none(small):
    page = small(
        "# A\n\n| | |\n|---|---|\n| Time | 5 minutes |\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    assert page.count("<table>") == 2 and page.count("<thead>") == 1


def test_headings_of_the_same_name_have_addresses_of_their_own(small):
    page = small("# A\n\n## Why?\n\n## Why?\n\n[one](#why) [two](#why-1)\n")
    assert 'id="why"' in page and 'id="why-1"' in page


def test_files_that_are_no_pages_are_linked_in_the_repository_if_its_address_is_known(small):
    words = "# A\n[code](../sdkit) and [file](../sdkit/x.py)"
    assert '<span class="file">code</span>' in small(words)
    page = small(words, repository="https://example.org/a/b/")
    assert 'href="https://example.org/a/b/tree/main/sdkit"' in page
    assert 'href="https://example.org/a/b/blob/main/sdkit/x.py"' in page


def test_a_lesson_leads_to_services_if_the_repository_is_on_github(small):
    page = small(repository="https://github.com/a/b")
    path = "notebooks/00_a.ipynb"
    assert f'"https://mybinder.org/v2/gh/a/b/main?urlpath=lab/tree/{path}"' in page
    assert f'"https://colab.research.google.com/github/a/b/blob/main/{path}"' in page
    assert "mybinder" not in small(repository="https://example.org/a/b")


def test_the_page_that_paints_is_copied_and_linked_from_every_page(tmp_path):
    (tmp_path / "README.md").write_text("# Start\n")
    dist = tmp_path / "dist"
    with pytest.raises(build_site.Trouble, match="no built page. Build it first"):
        build_site.build(tmp_path, tmp_path / "out", live=dist)
    (dist / "model").mkdir(parents=True)
    (dist / "index.html").write_text("<title>the page</title>")
    (dist / "model" / "unet.onnx").write_bytes(b"weights")
    build_site.build(tmp_path, tmp_path / "out", live=dist)
    assert (tmp_path / "out" / "web" / "model" / "unet.onnx").read_bytes() == b"weights"
    for name in ("index.html", "gallery.html"):
        assert 'href="web/"' in (tmp_path / "out" / name).read_text(encoding="utf-8")
    assert list(faults(tmp_path / "out")) == []
    build_site.build(tmp_path, tmp_path / "out")
    assert '"web/"' not in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_the_site_leaves_out_the_badges_of_the_readme(site, tmp_path):
    """One of them is on the computer that shows the page of the repository."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    alts = re.findall(r"^\[!\[([^\]]+)\]", readme, re.M)
    start = read(site, "index.html")
    assert len(alts) == 4 and not [alt for alt in alts if f'alt="{alt}"' in start]
    assert "badge" not in start
    badge = "![x](https://example.org/x.svg)"
    text = f"# Start\n\n<!-- badges: why -->\n{badge}\n<!-- end of the badges -->\n\nwords"
    (tmp_path / "README.md").write_text(text)
    build_site.build(tmp_path, tmp_path / "out")
    assert "<p>words</p>" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(f"# Start\n\n{badge}\n")
    with pytest.raises(build_site.Trouble, match="on another machine"):
        build_site.build(tmp_path, tmp_path / "out")


def test_a_folder_with_other_things_is_not_overwritten(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").touch()
    with pytest.raises(build_site.Trouble, match="not empty and no site"):
        small()
    assert (tmp_path / "out" / "letter.txt").exists()


def test_the_command_says_what_it_wrote_or_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("# Start\n")
    assert build_site.main(["--out", str(tmp_path / "out")]) == 0
    assert "2 pages" in capsys.readouterr().out
    (tmp_path / "README.md").write_text("# Start\n\n[x](gone.md)\n")
    assert build_site.main(["--out", str(tmp_path / "out")]) == 2
    assert "site: README.md: the link gone.md leads nowhere." in capsys.readouterr().err


def test_a_german_lesson_says_that_it_is_german(site):
    page = read(site, "notebooks/de/00_start_here.html")
    assert '<main id="content" tabindex="-1" lang="de">' in page
    assert '<main id="content" tabindex="-1">' in read(site, "notebooks/00_start_here.html")


def test_words_of_another_language_say_so_in_menu_and_lesson(site):
    """A screen reader reads German words with a German voice, and English ones with an English."""
    for address in ("index.html", "notebooks/de/00_start_here.html"):
        menu = read(site, address).split("<nav")[1].split("</nav>")[0]
        assert '<summary lang="de">Auf Deutsch</summary>' in menu
        links = re.findall(r"<li><a [^>]*>", menu)
        german = [link for link in links if 'lang="de"' in link]
        assert len(german) == len(list(ROOT.glob("notebooks/de/*.ipynb"))) < len(links)
    inside = read(site, "notebooks/de/11_style_transfer.html").split("<main")[1]
    for words in ("On this page", "Make your guess"):
        assert inside.count(words) == inside.count(f'<summary lang="en">{words}') > 0, words
    assert '<p class="tool" lang="en">' in inside and '<span lang="en">Before:</span>' in inside
    assert 'lang="en"' not in read(site, "notebooks/11_style_transfer.html").split("<main")[1]


def test_no_page_leaves_out_a_level_of_its_headings(site):
    for path in sorted(site.out.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", text)]
        assert levels[0] == 1, path
        assert all(low <= high + 1 for high, low in zip(levels, levels[1:])), (path, levels)
        assert levels == [int(level) for level in re.findall(r"</h([1-6])>", text)], path


def test_a_heading_rises_below_a_gap_and_only_there(small):
    page = small("# A\n\n### B\n\n### C\n\n## D\n\n### E\n\n##### F\n")
    found = re.findall(r'<h(\d) id="(\w)">\w</h(\d)>', page)
    assert found == [(n, name, n) for n, name in zip("122234", "abcdef")]
    assert all(f'href="#{name}"' in page for name in "bcd") and 'href="#e"' not in page


def test_an_empty_cell_is_no_head_of_a_column(site, small):
    page = small("# A\n\n| | b |\n|:--|---|\n| 1 | 2 |\n")
    assert "<th>b</th>" in page and re.search(r"<td[^>]*></td>\s*<th>", page)
    for path in site.out.rglob("*.html"):
        assert not re.search(r"<th[^>]*>\s*</th>", path.read_text(encoding="utf-8")), path


def test_sheets_that_are_no_pages_have_a_main_part_and_fit_a_phone(site):
    sheets = {*site.out.rglob("*.html")} - {site.out / page.address for page in site.pages}
    assert len(sheets) >= 2
    for path in sheets:
        text = path.read_text(encoding="utf-8")
        assert text.count("<main>") == text.count("</main>") == 1, path
        assert '<meta name="viewport"' in text, path


def test_each_line_of_the_form_that_takes_words_has_a_name(site):
    lines = re.findall(r"<[^>]*\scontenteditable[^>]*>", read(site, "docs/consent-form.html"))
    assert len(lines) == 22
    assert not [one for one in lines if not re.search(r'role="textbox" aria-label="[^"]+"', one)]


def test_the_start_page_explains_the_word_address_only_where_it_stands(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = "* ADDRESS is the address of this repository."
    assert start in readme
    text = "# Start\n\ngit clone --depth 1 ADDRESS\n\n" + readme[readme.index(start) :][:220]
    (tmp_path / "README.md").write_text(text)
    for repository in ("", "https://example.org/a/b"):
        build_site.build(tmp_path, tmp_path / "out", repository)
        page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert ("ADDRESS" in page) == (not repository)
        assert "<code>--depth 1</code> leaves out the" in page
