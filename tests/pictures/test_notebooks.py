"""Cleared notebooks hold no picture in any form; what could be one and is left is named."""

import ast
import base64
import binascii
import gzip
import html
import io
import json
import re
import zlib
from urllib.parse import quote, unquote

import numpy as np
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
    writes,
)
from PIL import Image

from sdkit import cli
from sdkit.errors import SdkitError
from sdkit.pictures import notebooks

PIXELS = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)


def encoded(kind):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind)
    return file.getvalue()


PNG, JPEG, GIF, WEBP, TIFF = map(encoded, ("PNG", "JPEG", "GIF", "WEBP", "TIFF"))
GZIPPED = gzip.compress(JPEG, mtime=0)
PACKED = zlib.compress(JPEG + PIXELS.tobytes())
POINTS = " ".join(f"{x},{y}" for x, y in PIXELS.reshape(-1, 2)[:40])
SVG = f"<svg xmlns='http://www.w3.org/2000/svg'><polyline points='{POINTS}'/></svg>"


def text64(data, width=0):
    """Base64, in lines of `width` letters."""
    text = base64.b64encode(data).decode()
    return "\n".join(re.findall(f".{{1,{width}}}", text)) if width else text


def hexed(data, form):
    return "".join(form.format(byte) for byte in data)


URI = f"data:image/png;base64,{text64(PNG)}"


def md(text, **more):
    return new_notebook(cells=[new_markdown_cell(text, **more)])


def code(text, *outputs, **more):
    return new_notebook(cells=[new_code_cell(text, outputs=[*outputs], **more)])


def shown(data, **more):
    return code("show()", new_output("display_data", data, **more))


def with_keys(notebook, place, **entries):
    place(notebook).update(entries)
    return notebook


def first(notebook):
    return notebook.cells[0]


B64 = f"data = '{text64(JPEG)}'"
LINES = "\n".join(f"    '{line}'" for line in text64(PNG, 70).split("\n"))
NUMBERS = ", ".join(map(str, JPEG))
# what a notebook is, and whether its picture is removed or named
WAYS = {
    "output, PNG": (shown({"image/png": text64(PNG)}), "removed"),
    "output, SVG": (shown({"image/svg+xml": SVG}), "removed"),
    "output, HTML": (shown({"text/html": f"<img src='{URI}'>"}), "removed"),
    "output, text": (code("x", new_output("stream", text=str([*JPEG]))), "removed"),
    "output's metadata": (shown({"text/plain": "x"}, metadata={"picture": URI}), "removed"),
    "output of a text cell": (
        with_keys(md("x"), first, outputs=[{"data": {"image/png": text64(PNG)}}]),
        "removed",
    ),
    "attachment": (
        md("![a](attachment:a.png)", attachments={"a.png": {"image/png": text64(PNG)}}),
        "removed",
    ),
    "widget": (
        with_keys(md("x"), lambda n: n.metadata, widgets={"state": {"value": text64(PNG)}}),
        "removed",
    ),
    "Markdown": (md(f"![a]({URI})"), "removed"),
    "Markdown, title": (md(f'![a]({URI} "me")'), "removed"),
    "Markdown, reference": (md(f"![a][b]\n\n[b]: {URI}\n"), "removed"),
    "Markdown, reference in <>": (md(f"![a][b]\n\n[b]: <{URI}>"), "removed"),
    "HTML": (md(f'<img src="{URI}">'), "removed"),
    "HTML, no quotes": (md(f"<img src={URI} width=3>"), "removed"),
    "HTML, lines": (md(f'<img src="data:image/png;base64,{text64(PNG, 76)}">'), "removed"),
    "lines, no quotes": (md(f"see data:image/png;base64,{text64(PNG, 76)}\n\nend"), "removed"),
    "blank after the comma": (md(f'<img src="data:image/png;base64, {text64(PNG)}">'), "removed"),
    "blanks in the head": (md(f'<img src="data: image/png ; base64 , {text64(PNG)}">'), "removed"),
    "&#10;": (
        md(f'<img src="data:image/png;base64,{text64(PNG, 60)}">'.replace("\n", "&#10;")),
        "removed",
    ),
    "&NewLine;": (
        md(f"<img src=data:image/png;base64,{text64(PNG, 60)}>".replace("\n", "&NewLine;")),
        "removed",
    ),
    "entities in the head": (
        md(f'<img src="data&colon;image/png&#59;base64&#x2c;{text64(PNG)}">'),
        "removed",
    ),
    "every letter an entity": (
        md("<img src='" + "".join(f"&#{ord(c)};" for c in URI) + "'>"),
        "named",
    ),
    "application/octet-stream": (
        md(f'<img src="data:application/octet-stream;base64,{text64(JPEG)}">'),
        "removed",
    ),
    "no media type": (md(f'<img src="data:;base64,{text64(JPEG)}">'), "removed"),
    "media type in capitals": (md(f"![a]({URI.replace('data:image', 'DATA:IMAGE')})"), "removed"),
    "percent-encoded base64": (
        md(f'<img src="data:image/png;base64,{quote(text64(PNG), safe="")}">'),
        "removed",
    ),
    "percent-encoded SVG": (md(f'<img src="data:image/svg+xml,{quote(SVG)}">'), "removed"),
    "plain SVG": (md(f'<img src="data:image/svg+xml;utf8,{SVG}">'), "removed"),
    "percent-encoded bytes": (md(f'<img src="data:image/gif,{quote(GIF)}">'), "removed"),
    "SVG in the text": (md(f"before {SVG} after"), "removed"),
    "SVG that does not end": (md(f"{SVG[:-6]}"), "named"),
    "CSS": (md(f"<style>p {{ background: url('{URI}') }}</style>"), "removed"),
    "raw cell": (new_notebook(cells=[new_raw_cell(f"\\image{{{URI}}}")]), "removed"),
    "bare base64 in the text": (md(f"my picture: {text64(WEBP)}"), "removed"),
    "base64 for addresses": (md(base64.urlsafe_b64encode(JPEG).decode()), "removed"),
    "base64 of a TIFF": (md(text64(TIFF)), "removed"),
    "code, URI": (code(f"show('{URI}')"), "removed"),
    "code, base64": (code(B64), "removed"),
    "code, three quotes": (code(f'x = """\n{text64(PNG, 76)}\n"""'), "removed"),
    "code, pieces": (code(f"x = (\n{LINES}\n)"), "removed"),
    "code, sum": (code("x = " + " + ".join(f"'{p}'" for p in text64(PNG, 9).split())), "named"),
    "code, bytes": (code(f"x = {JPEG!r}"), "named"),
    "code, escapes": (code(f"x = b'{hexed(JPEG, chr(92) + 'x{:02x}')}'"), "named"),
    "code, octal escapes": (code(f"x = b'{hexed(JPEG, chr(92) + '{:03o}')}'"), "named"),
    "code, hexadecimal digits": (code(f"x = bytes.fromhex('{JPEG.hex()}')"), "removed"),
    "code, digits with blanks": (code(f"x = bytes.fromhex('{JPEG.hex(' ')}')"), "named"),
    "code, numbers": (code(f"x = bytes([{NUMBERS}])"), "named"),
    "code, numbers in base 16": (code(f"x = [{hexed(JPEG, '0x{:02x}, ')}]"), "named"),
    "code, pixels": (code(f"x = np.array({PIXELS.tolist()})"), "named"),
    "code, floats": (code(f"x = {(PIXELS / 255).round(3).tolist()}"), "named"),
    "code, packed": (code(f"x = '{text64(PACKED)}'"), "named"),
    "code, packed, lines": (code(f"x = '''\n{text64(GZIPPED, 60)}\n'''"), "named"),
    "code, base85": (code(f"x = {base64.b85encode(JPEG)!r}"), "named"),
    "code, base32": (code(f"x = {base64.b32encode(JPEG)!r}"), "named"),
    "code, SVG": (code(f'display("""{SVG}""")'), "named"),
    "%%html": (code(f"%%html\n<img src='{URI}'>"), "removed"),
    "%%svg": (code(f"%%svg\n{SVG}"), "named"),
    "%%javascript": (code(f'%%javascript\nimage.src = "{URI}"'), "removed"),
    "uuencode": (
        md(
            "begin 644 me.jpg\n"
            + "".join(binascii.b2a_uu(JPEG[i : i + 45]).decode() for i in range(0, 200, 45))
        ),
        "named",
    ),
    "metadata of the notebook": (
        with_keys(md("x"), lambda n: n.metadata, thumbnail=text64(PNG)),
        "removed",
    ),
    "metadata, deep": (
        with_keys(md("x"), lambda n: n.metadata, a={"b": [{"c": [URI]}]}),
        "removed",
    ),
    "metadata, pixels": (
        with_keys(md("x"), lambda n: n.metadata, a=PIXELS.tolist()),
        "removed",
    ),
    "metadata, lines": (
        with_keys(md("x"), lambda n: n.metadata, a=text64(JPEG, 70).split("\n")),
        "removed",
    ),
    "metadata, a name": (with_keys(md("x"), lambda n: n.metadata, **{URI: 1}), "removed"),
    "metadata of a cell": (code("x", metadata={"thumbnail": URI}), "removed"),
    "an entry of the notebook": (with_keys(md("x"), lambda n: n, thumbnail=URI), "removed"),
    "an entry of a cell": (with_keys(md("x"), first, thumbnail=URI), "removed"),
}


SHADES = PIXELS[..., 0].astype(int)


def grey(form, between=""):
    """The grey pixels, each written in a form, one row a line."""
    return "\n".join(between.join(form.format(v) for v in row.tolist()) for row in SHADES)


def pieces(text, width, form="{}"):
    """A text in pieces of `width` letters, each in a form."""
    return [form.format(piece) for piece in re.findall(f".{{1,{width}}}", text)]


def lines(*texts):
    return "\n".join(texts)


BMP = encoded("BMP")
BMP64, NOISE64, JPEG32 = text64(BMP), text64(PIXELS.tobytes()), base64.b32encode(JPEG).decode()
PLACES = [(x, y, int(v)) for (x, y), v in np.ndenumerate(SHADES)]
WIDE = np.random.default_rng(4).integers(0, 256, (24, 24))
NUMERALS = "zero one two three four five six seven eight nine".split()
BITS = "".join(f"{byte:08b}" for byte in JPEG[:300])
# Ways of no known form, as the texts of the cells. Nothing is removed, and each cell is named.
UNUSUAL = {
    "short lines": [lines(*pieces(BMP64, 30))],
    "backwards, in short lines": [lines(*pieces(BMP64[::-1], 30))],
    "a variable for each piece": [lines(*pieces(BMP64, 20, "a = '{}'"))],
    "base32, in small letters": [lines(*pieces(JPEG32.lower(), 32))],
    "dump": [
        lines(*(f"{i:08x}  {BMP[i : i + 16].hex(' ')}" for i in range(0, len(BMP), 16))),
    ],
    "append": [grey("pixels.append({})", "\n")],
    "a line for each pixel": [lines(*(f"p[{x}, {y}] = {v}" for x, y, v in PLACES))],
    "dictionary": [str({(x, y): (v, v) for x, y, v in PLACES})],
    "JSON": [json.dumps([{"x": x, "y": y, "v": v} for x, y, v in PLACES])],
    "colours in HTML": [f"<table>{grey('<td bgcolor=#{0:02x}{0:02x}{0:02x}>')}</table>"],
    "colours in CSS": [f"<b style='box-shadow: {grey('1px 2px #{0:02x}{0:02x}{0:02x}, ')}'>"],
    "colours in words": [grey("<i style='color: rgb({0}, {0}, {0})'></i>")],
    "emojis": [lines(*("".join("⬛🟫🟥🟧🟨⬜"[v // 43] for v in row) for row in SHADES))],
    "braille": [lines(*("".join(chr(0x2800 + v) for v in row) for row in SHADES))],
    "other letters": ["".join(chr(0x4E00 + v) for _, _, v in PLACES)],
    "signs": [lines(*("".join(".:-=+*#%@&"[v // 26] * 2 for v in row) for row in SHADES))],
    "bytes as letters": ["".join(map(chr, JPEG))],
    "names of letters": [grey("\\N{{BRAILLE PATTERN DOTS-{}}}")],
    "short octal escapes": [grey("\\{:o}")],
    "lines of letters": [lines(*("".join("abcdefghijklmnop"[v // 16] for v in r) for r in WIDE))],
    "blanks": [grey("word", " ").replace(" ", "   ")],
    "blanks at the end of each line": [lines(*("word" + " " * (2 + v) for _, _, v in PLACES))],
    "numbers in words": [lines(*(NUMERALS[v // 26] for _, _, v in PLACES))],
    "Morse code": [" ".join(f"{byte:08b}".replace("0", ".").replace("1", "-") for byte in JPEG)],
    "blanks without width": ["a" + "".join("\u200b\u200c"[int(bit)] for bit in BITS) + "b"],
    "variation selectors": ["a" + "".join(chr(0xE0100 + byte) for byte in JPEG[:300])],
    "accents": ["".join(f"a{chr(0x300 + byte % 100)}" for byte in JPEG[:600])],
    "letters that nobody sees": ["\u200b".join(pieces(BMP64, 10))],
    "many cells": pieces(NOISE64, 32),
    "many cells with code": pieces(NOISE64, 64, "a += '{}'"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_way_to_hold_a_picture_is_named(tmp_path, name):
    path = tmp_path / "a.ipynb"
    cells = list(map(new_markdown_cell, UNUSUAL[name]))
    path.write_text(json.dumps(new_notebook(cells=cells)))
    assert notebooks.clear(path) == (0, [f"cell {k}" for k in range(1, len(cells) + 1)])


def test_a_picture_in_the_metadata_of_many_cells_is_named(tmp_path):
    path = tmp_path / "a.ipynb"
    cells = [new_code_cell("x", metadata={"part": part}) for part in pieces(NOISE64, 64)]
    path.write_text(json.dumps(new_notebook(cells=cells)))
    assert notebooks.clear(path) == (0, [f"cell {k}" for k in range(1, len(cells) + 1)])


@pytest.mark.parametrize("name", ["nbformat", "nbformat_minor", "cell_type"])
def test_a_notebook_whose_format_is_a_picture_is_refused(tmp_path, name):
    notebook = md("x")
    (notebook if name in notebook else notebook.cells[0])[name] = text64(PNG)
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook))
    with pytest.raises(SdkitError, match="is not a notebook"):
        notebooks.clear(path)


def test_a_count_of_runs_that_is_a_picture_is_removed(tmp_path):
    path = tmp_path / "a.ipynb"
    for notebook in (code("x"), md("x")):
        notebook.cells[0]["execution_count"] = text64(PNG)
        path.write_text(json.dumps(notebook))
        assert notebooks.clear(path) == (1, []) and not traces(path)


def strings(value):
    """All texts and numbers in what JSON holds, as one text."""
    if isinstance(value, dict):
        return "\n".join(f"{name}\n{strings(inside)}" for name, inside in value.items())
    return "\n".join(map(strings, value)) if isinstance(value, list) else str(value)


def unescaped(text):
    """A text as a Python literal of bytes would read it."""
    pieces = re.findall(r"b'((?:[^'\\]|\\.)*)'|b\"((?:[^\"\\]|\\.)*)\"", text)
    return b"".join(ast.literal_eval(f"b'''{a or b}'''") for a, b in pieces).decode("latin-1")


def needles():
    """Parts of the picture in each usual writing, {writing: [(what it is, part)]}.

    A part is 15 bytes long. There is one of each of many places.
    """
    contents = {"PNG": PNG, "JPEG": JPEG, "GIF": GIF, "WebP": WEBP, "TIFF": TIFF}
    contents |= {"packed": PACKED, "gzip": GZIPPED, "pixels": PIXELS.tobytes()}
    made = {"SVG": [("SVG", POINTS[:60])]}
    for name, data in contents.items():
        in85, in32 = base64.b85encode(data).decode(), base64.b32encode(data).decode()
        for start in range(30, len(data) - 30, 15):
            part = data[start : start + 15]
            for form, text in {
                "base64": text64(part),
                "hexadecimal": part.hex(),
                "numbers": ",".join(map(str, part)),
                "floats": ",".join(str(round(byte / 255, 3)) for byte in part),
                "bytes": part.decode("latin-1"),
                "base85": in85[start : start + 20],
                "base32": in32[start : start + 20],
                "uuencode": binascii.b2a_uu(part)[1:-1].decode(),
            }.items():
                made.setdefault(form, []).append((name, text))
    return made


NEEDLES = needles()


def traces(file):
    """Which forms of the picture are in a file. Knows nothing of how `clear` looks for them."""
    whole = strings(json.loads(file.read_text()))
    joined = re.sub(r"[\"']\s*\+\s*[\"']", "", whole)  # a sum of strings
    found = set()
    for view in {whole, joined, html.unescape(whole), unquote(whole), unescaped(whole)}:
        writings = {
            "SVG": view,
            "base64": re.sub(r"[^A-Za-z0-9+/]", "", view.replace("-", "+").replace("_", "/")),
            "hexadecimal": re.sub(r"[^0-9a-f]", "", view.lower().replace("0x", "")),
            "numbers": ",".join(re.findall(r"\d+", view)),
            "floats": ",".join(re.findall(r"\d\.\d+", view)),
            "bytes": unquote(view, encoding="latin-1"),
            "base85": view,
            "base32": view,
            "uuencode": view,
        }
        found |= {
            f"{name} in {form}"
            for form, text in writings.items()
            for name, part in NEEDLES[form]
            if part in text
        }
    return found


@pytest.mark.parametrize("name", WAYS)
def test_a_picture_is_removed_or_named_however_it_is_held(tmp_path, name):
    notebook, what = WAYS[name]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook))
    assert traces(path), "the scanner does not know this form"
    cleared = notebooks.clear(path)
    if what == "named":
        assert cleared == (0, ["cell 1"])
    else:
        assert cleared == (1, []) and not traces(path)
    assert notebooks.clear(path) == (0, cleared.doubtful)  # once is enough


TEXTS = [
    "The **forward process** adds noise: $q(x_t|x_{t-1}) = \\mathcal{N}(\\sqrt{1-\\beta_t}, 1)$.",
    "| steps | seconds |\n|---|---|\n" + "\n".join(f"| {k} | {k / 3:.2f} |" for k in range(40)),
    "A long address: https://example.org/" + "a-part-of-it/" * 10,
    "data: 5, 6 and 7; the data:image of a function",
    "Größe, 中文文本没有空格" * 60,
    "扩散模型从噪声开始，一步一步地去掉噪声，最后得到一张图画。每一步只去掉一点点噪声。" * 20,
    "ปัญญาประดิษฐ์ วาดภาพ จากเสียงรบกวน ทีละขั้น " * 20,
    "- ✅ done ⚠️ careful 👍🏽\n" * 12,
    "$$" + r"\frac{\partial L}{\partial w_{ij}} = \sum_{k=1}^{n} (x_{ik} - y_{ik})^2, " * 6 + "$$",
    "نمی\u200cخواهم می\u200cروم، " * 80,  # Persian needs a sign that nobody sees, one at a time
    "one, two and three, " * 40,
    "| model | time |  good  |\n|-------|:----:|-------:|\n" + "| a  |  1.5  |   b |\n" * 30,
    "![a](https://drive.example.org/file/d/1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV/view)\n" * 3,
]
PROGRAMS = [
    "x = 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode()",
    "html = f'<img src=\"data:image/png;base64,{base64.b64encode(picture_of_me).decode()}\">'",
    "f = lambda data: data[:, 0]\nprint(f'{data:,.2f} {another_long_name_of_a_variable}')",
    f"checksum = '{'0123456789abcdef' * 4}'",
    "BETAS = [" + ", ".join(f"{k / 50:.3f}" for k in range(50)) + "]",
    "colours = ['#ffd8ff', '#89504e', '#474946']",
    f"# {'-' * 76}\nx = 1\n# {'=' * 76}",
    "\n".join(f"A[{k}, {k + 1}] = x[{k}]  # {k}" for k in range(11)),
    "\n".join(f"value_{k} = compute(value_{k - 1}, steps=20)" for k in range(1, 100)),
]


def test_ordinary_text_and_programs_stay_as_they_are(tmp_path):
    cells = [new_markdown_cell(text) for text in TEXTS] + [new_code_cell(p) for p in PROGRAMS]
    path = tmp_path / "a.ipynb"
    path.write_text(writes(new_notebook(cells=cells)))
    before = path.read_bytes()
    assert notebooks.clear(path) == (0, [])
    assert path.read_bytes().rstrip() == before.rstrip()


def test_no_cell_of_the_lessons_is_suspected():
    from sdkit.files import ROOT

    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            assert not notebooks.could_be_picture(source), (path.name, source[:80])
            assert notebooks.without_pictures(source, cell["cell_type"] == "code") == (source, 0)


def test_only_the_picture_leaves_the_text(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(
        writes(
            new_notebook(
                cells=[
                    new_markdown_cell(f"one ![a]({URI}) two <img src='{URI}'> three"),
                    new_code_cell(f"show('{URI}', 5)\nx = '{text64(JPEG)}'  # me"),
                ]
            )
        )
    )
    assert notebooks.clear(path) == (4, [])
    text, program = ("".join(c["source"]) for c in json.loads(path.read_text())["cells"])
    assert text == "one ![a]() two <img src=''> three"
    assert program == "show('', 5)\nx = ''  # me"


def test_an_entry_that_stands_there_twice_leaves_nothing(tmp_path):
    """JSON allows it; a program reads the last one, and the first one stays in the file."""
    path = tmp_path / "a.ipynb"
    plain = writes(new_notebook(metadata={"x": 1}))
    path.write_text(plain.replace('"x": 1', f'"x": "{URI}", "x": 1'))
    assert "iVBOR" in path.read_text() and "iVBOR" not in json.dumps(json.loads(path.read_text()))
    notebooks.clear(path)
    assert "iVBOR" not in path.read_text()


def test_the_command_names_the_cells_that_a_person_must_look_at(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(writes(new_notebook(cells=[new_markdown_cell("x"), new_code_cell(B64)])))
    assert cli.main(["clear", str(path)]) == 0
    assert "(1 outputs and pictures)" in capsys.readouterr().out
    path.write_text(writes(new_notebook(cells=[new_markdown_cell("x"), new_code_cell(NUMBERS)])))
    assert cli.main(["clear", str(path)]) == 2
    said = capsys.readouterr()
    assert "(0 outputs and pictures)" in said.out and "cell 2 could still hold" in said.err


def test_a_checkpoint_whose_notebook_is_gone_is_cleared(tmp_path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    checkpoint = tmp_path / ".ipynb_checkpoints" / "gone-checkpoint.ipynb"
    checkpoint.write_text(writes(notebook()))
    assert cli.main(["clear", str(tmp_path)]) == 0
    assert "SECRET" not in checkpoint.read_text()


def test_half_a_letter_in_a_notebook_is_written_as_it_was(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(code("x = '\ud83d'", new_output("stream", text="x"))))
    assert notebooks.clear(path) == (1, [])
    assert json.loads(path.read_text())["cells"][0]["source"] == "x = '\ud83d'"


def notebook():
    jpeg = {"image/jpeg": "SECRET", "text/plain": "[figure]"}
    return new_notebook(
        cells=[
            new_markdown_cell(
                "![me](attachment:me.png)", attachments={"me.png": {"image/png": "SECRET"}}
            ),
            new_code_cell(
                "show()",
                execution_count=3,
                outputs=[
                    new_output("display_data", jpeg),
                    new_output("stream", text="SECRET.jpg\n"),
                    new_output(
                        "display_data", {"text/html": "<img src='data:image/png;base64,SECRET'>"}
                    ),
                ],
            ),
        ],
        metadata={
            "widgets": {"application/vnd.jupyter.widget-state+json": {"state": "SECRET"}},
            "kernelspec": {"name": "python3", "display_name": "Python"},
        },
    )


def test_clear_removes_outputs_pasted_pictures_widgets_and_checkpoints(tmp_path, capsys):
    (tmp_path / "in" / ".ipynb_checkpoints").mkdir(parents=True)
    path, copy = (
        tmp_path / "in" / "a.ipynb",
        tmp_path / "in" / ".ipynb_checkpoints" / "a-checkpoint.ipynb",
    )
    for place in (path, copy):
        place.write_text(writes(notebook()))
    (tmp_path / "no.ipynb").write_text("[1]")
    assert cli.main(["clear", str(tmp_path / "no.ipynb"), str(tmp_path / "in"), "gone.ipynb"]) == 2
    said = capsys.readouterr()
    assert (
        "(5 outputs and pictures)" in said.out
        and said.err.count("failed") == 2
        and "Traceback" not in said.err
    )
    assert "SECRET" not in path.read_text() and not copy.exists()
    cleared, before = json.loads(path.read_text()), notebook()
    assert ["".join(cell["source"]) for cell in cleared["cells"]] == [
        cell.source for cell in before.cells
    ]
    assert cleared["metadata"] == {"kernelspec": before.metadata.kernelspec}
    assert cleared["cells"][1]["outputs"] == [] and cleared["cells"][1]["execution_count"] is None
    assert notebooks.clear(path) == (0, [])
    assert cli.main(["clear", str(tmp_path / "in" / ".ipynb_checkpoints")]) == 2
    assert "No notebook (.ipynb) was found" in capsys.readouterr().err


@pytest.mark.parametrize(
    "pasted",
    [
        "data:image/png;base64,SECRET/+0==",
        "data:image/jpeg;name=me.jpg;base64,SECRET",
        "DATA:image/svg+xml;charset=utf-8;BASE64,SECRET%2B%3D",
    ],
)
def test_clear_removes_pictures_that_an_editor_wrote_into_the_text(tmp_path, pasted):
    path = tmp_path / "a.ipynb"
    path.write_text(
        writes(new_notebook(cells=[new_markdown_cell(f"before\n![me]({pasted}) after")]))
    )
    assert notebooks.clear(path) == (1, [])
    assert "".join(json.loads(path.read_text())["cells"][0]["source"]) == "before\n![me]() after"


def test_clear_of_a_notebook_without_write_permission_gives_a_sentence(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text(writes(notebook()))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notebooks.shutil, "copymode", full)
    with pytest.raises(SdkitError, match="No space left"):
        notebooks.clear(path)
    assert "SECRET" in path.read_text() and list(tmp_path.iterdir()) == [path]
