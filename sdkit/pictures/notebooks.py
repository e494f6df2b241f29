"""Take pictures out of notebooks before they are passed on.

What is surely a picture is removed. If something only could be a picture, it is named, so that a
person looks at it. Code must not be deleted on suspicion.
"""

import html
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from sdkit.errors import SdkitError
from sdkit.files import write_atomically
from sdkit.pictures import unusual

# How the files of pictures begin (PNG, JPEG, GIF, WebP, SVG, ...): in base64, in hexadecimal digits
# of at least five bytes, and as they are.
BASE64 = (
    r"iVBORw0KGgo|[/_]9j[/_][2-7]|R0lGOD[dl]|UklGR|PHN2Z|PD94bWw|AAAA[\w/+-]{2}Z0eXB|SUkqAA|TU0AKg"
)
HEX = "89504e470d|ffd8ff[de][0-9a-f]00|4749463839|4749463837|52494646[0-9a-f]{8}57454250"
BYTES = "\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|(?i:</?svg)"
MAGIC = re.compile(f"{BASE64}|(?i:{HEX})|{BYTES}")

# the start of a data URI; without a media type it has parameters
URI = re.compile(
    r"data:\s{0,9}(?:(?:image|application|audio|video|text|font|model|message|multipart)/[\w.+-]+)?"
    r"(?:\s{0,9};\s{0,9}[\w.+-]+(?:=[^,;\"'\s)]*)?)*\s{0,9},\s*",
    re.IGNORECASE,
)
CLOSING = {'"': '"', "'": "'", "`": "`", "(": ")", "<": ">"}
# What may come between two lines of one picture, in a text or in the strings of a program. The next
# line must be a long one, so that the words of a sentence do not count as one.
BETWEEN = r"(?:\\[nrt]|&#?\w{1,10};|[\\\s\"'])+"
BODY = re.compile(rf"(?:[\w+/=%-]|{BETWEEN}(?=[\w+/=%-]{{16}}))*")
RUN = re.compile(rf"(?:{BASE64})(?:[\w+/=-]|{BETWEEN}(?=[\w+/=-]{{16}}))+")
HEX_RUN = re.compile(rf"(?i)\b(?:{HEX})(?:[0-9a-f]|{BETWEEN}(?=[0-9a-f]{{16}}))+")
DRAWING = re.compile(r"<svg\b.*?</svg\s*>", re.IGNORECASE | re.DOTALL)
SHORTEST = 40  # letters; a shorter text without a data URI does not count as a picture

NUMBER = r"(?:0x[0-9a-f]+|[-+]?[\d.]+(?:e[-+]?\d+)?)"
# this could be a picture in an unknown form: packed, or as numbers
SUSPICIOUS = re.compile(
    r"[!-~]{200}"  # a long text without a blank
    r"|(?:[!-~]{40,}\s+){4}"  # the same, in lines
    rf"|(?:{NUMBER}[\s,;()\[\]]+){{64}}"  # many numbers
    r"|(?:\\(?:x[0-9a-f]{2}|u[0-9a-f{]|N\{|[0-7]{1,3})[^\\]{0,40}){32}"  # many bytes
    r"|^begin [0-7]{3} ",  # uuencode
    re.IGNORECASE | re.MULTILINE,
)
LONGEST = 20_000  # letters; a longer cell has room for a picture in any form
PIECE = 20  # letters; a shorter piece of a picture is not named
OF_CELLS = {"cell_type", "source", "outputs", "execution_count", "attachments", "metadata"}
OF_NOTEBOOKS = {"cells", "metadata", "nbformat", "nbformat_minor"}


class Cleared(NamedTuple):
    """The result of `clear` for a notebook."""

    removed: int  # outputs, pictures and entries of metadata
    doubtful: list[str]  # places that could still hold a picture, such as "cell 3"


def clear(path: str | os.PathLike) -> Cleared:
    """Remove all outputs, pictures in the text and widget states from a notebook.

    Also deletes Jupyter's checkpoint, which is an older copy. The rest of the cells stays, also in
    code. Raises `SdkitError` if the file cannot be read or written, or is not a notebook.
    """
    path = Path(path)
    try:
        before = path.read_text(encoding="utf-8")
        notebook = json.loads(before)
        if type(notebook["nbformat"]) is not int or type(notebook["nbformat_minor"]) is not int:
            raise ValueError("the number of the format is none")
        cells = notebook["cells"]
        removed = _clear_entries(notebook, OF_NOTEBOOKS)
        removed += _clear_entries(notebook["metadata"], set())
        removed += sum(map(_clear_cell, cells))
        doubtful = [f"cell {number}" for number in _doubtful(cells)]
    except OSError as error:
        raise SdkitError(
            f"{path} cannot be read: {error.strerror}. Check its name and permissions."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SdkitError(
            f"{path} is not a notebook of Jupyter's format 4. Open it in JupyterLab and save it."
        ) from error
    after = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    # possible even if nothing was counted: an entry that is there twice is read once
    if after != before:
        with write_atomically(path.resolve()) as part:
            part.write_text(after, encoding="utf-8", errors="backslashreplace")
            shutil.copymode(path, part)
    checkpoint = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint.ipynb"
    try:
        checkpoint.unlink(missing_ok=True)
    except OSError as error:
        raise SdkitError(
            f"{checkpoint} cannot be deleted: {error.strerror}. Delete it by hand."
        ) from error
    return Cleared(removed, doubtful)


def find_notebooks(sources: Iterable[str | os.PathLike]) -> list[Path]:
    """Replace each folder in `sources` by all notebooks in it and below it.

    A checkpoint is left out if its notebook is there, because `clear` deletes it.
    """
    found: list[Path] = []
    for source in map(Path, sources):
        inside = sorted(source.rglob("*.ipynb")) if source.is_dir() else [source]
        found += [path for path in inside if not _notebook_of(path).is_file() or path == source]
    return found


def could_be_picture(text: str) -> bool:
    """Whether a text may hold a picture: in a known form, or as a long and strange text."""
    hidden = unusual.is_hidden(text)
    text = unusual.without_invisible(text)
    plain = _decoded(text)
    bare = re.sub(r"[\s\"'`+,\\]+", "", plain)  # a picture may be written in pieces
    return (
        hidden
        or len(text) > LONGEST
        or unusual.is_unusual(text)
        or bool(SUSPICIOUS.search(text))
        or any(MAGIC.search(form) for form in (text, plain, bare))
        or any(_is_picture(head[0], plain[head.end() :][:400]) for head in URI.finditer(plain))
    )


def without_pictures(text: str, code: bool) -> tuple[str, int]:
    """A text without the pictures in it, and how many there were.

    code : whether it is program text; then drawings in SVG stay, because programs write them.
    """
    kept, place, count = [], 0, 0
    for head in URI.finditer(text):
        start, end = head.start(), _end_of_body(text, head)
        body = text[head.end() : end]
        if start >= place and (not code or len(body) >= SHORTEST) and _is_picture(head[0], body):
            kept.append(text[place:start])
            place, count = end, count + 1
    text = "".join(kept) + text[place:]
    for form in (RUN, HEX_RUN) if code else (RUN, HEX_RUN, DRAWING):
        found = [match[0] for match in form.finditer(text) if len(match[0]) >= SHORTEST]
        count += len(found)
        for picture in found:
            text = text.replace(picture, "", 1)
    return text, count


def _notebook_of(path: Path) -> Path:
    """The notebook of a checkpoint; for any other path, one that is not there."""
    if path.parent.name != ".ipynb_checkpoints":
        return path / "none"
    return path.parent.parent / f"{path.stem.removesuffix('-checkpoint')}.ipynb"


def _clear_cell(cell: dict[str, Any]) -> int:
    """Remove everything from a cell that holds pictures; the number of things removed."""
    removed = len(cell.get("outputs", [])) + len(cell.pop("attachments", {}))
    if cell["cell_type"] not in ("code", "markdown", "raw"):
        raise ValueError("a cell of an unknown kind")
    code = cell["cell_type"] == "code"
    source, count = without_pictures("".join(cell["source"]), code)
    if count:
        cell["source"] = source
    removed += isinstance(cell.get("execution_count"), str)  # a number in a sound notebook
    if code:
        cell |= {"outputs": [], "execution_count": None}
    else:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
    removed += _clear_entries(cell, OF_CELLS) + _clear_entries(cell["metadata"], set())
    return removed + count


def _doubtful(cells: list[dict[str, Any]]) -> list[int]:
    """The numbers of the cells that could hold a picture, alone or together with others."""
    texts = ["".join(cell["source"]) for cell in cells]
    parts = [unusual.mixed(text + json.dumps(cell["metadata"])) for text, cell in zip(texts, cells)]
    many = sum(parts) >= unusual.MUCH
    return [
        number
        for number, (text, part) in enumerate(zip(texts, parts), 1)
        if could_be_picture(text) or (many and part >= PIECE)
    ]


def _clear_entries(entries: dict[str, Any], known: set[str]) -> int:
    """Remove the entries that could hold a picture, but not those in `known`; their number."""
    bad = [
        name
        for name, value in entries.items()
        if name not in known
        and (name == "widgets" or could_be_picture(json.dumps({name: value}, ensure_ascii=False)))
    ]
    for name in bad:
        del entries[name]
    return len(bad)


def _end_of_body(text: str, head: re.Match) -> int:
    """Where the data of a URI end: at the sign that closes it, or after the last letter."""
    opening = text[: head.start()].rstrip()[-1:]
    end = text.find(CLOSING[opening], head.end()) if opening in CLOSING else -1
    if end < 0:
        matched = BODY.match(text, head.end())
        return matched.end() if matched else head.end()
    return end - 1 if text[end - 1] == "\\" else end


def _is_picture(head: str, body: str) -> bool:
    """Whether a data URI holds data, and not the name of a variable, as in a program."""
    plain = re.sub(r"\s+", "", _decoded(body[:400]))
    if ";base64" in re.sub(r"\s", "", head.lower()):
        return bool(re.match(r"[\w+/-]{16}|[\w+/-]+=*$", plain))
    return bool(MAGIC.search(_decoded(body[:400])))


def _decoded(text: str) -> str:
    """A text in which the codes of HTML, addresses and programs are replaced by their letters."""
    text = re.sub(
        r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([0-3][0-7]{2}))",
        lambda m: chr(int(m[3], 8) if m[3] else int(m[1] or m[2], 16)),
        text.replace("\\n", "\n").replace("\\r", "\n").replace("\\t", "\n"),
    )
    return unquote(html.unescape(text), encoding="latin-1")
