"""Save results under new names, and take pictures out of notebooks before they are passed on."""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from PIL import Image

from sdkit.errors import AlreadyThere, SdkitError
from sdkit.files import write_atomically
from sdkit.pictures import provenance

# a picture that an editor pasted into the text of a cell, maybe with a name, maybe URL-encoded
PASTED = re.compile(r"data:image/[\w.+-]+(;[^;,\s]*)*;base64,[\w+/=%-]*", re.IGNORECASE)


def save(
    image: Image.Image,
    folder: str | os.PathLike,
    stem: str,
    note: dict[str, object],
    replace: bool = False,
    written: Iterable[Path] = (),
) -> Path:
    """Save `image` as ``<stem>.png`` in `folder` and return the path.

    note : the text inside the file; see `provenance.save_png`.
    replace : True overwrites a file of that name, unless it is in `written`.
    written : the files that this run has saved already.

    If the name is taken, the file becomes ``<stem>-2.png``, ``<stem>-3.png``, and so on. Two runs
    at the same moment get two different names. Raises `SdkitError` if the file cannot be written.
    """
    for number in count(1):
        path = Path(folder) / (f"{stem}-{number}.png" if number > 1 else f"{stem}.png")
        if os.path.lexists(path) and (
            not replace or any(_same_file(path, other) for other in written)
        ):
            continue
        try:
            provenance.save_png(image, path, note, replace)
            return path
        except AlreadyThere:
            continue
    raise AssertionError("count() does not end")


def _same_file(path: Path, other: Path) -> bool:
    """Whether two paths are the same file, as A.png and a.png are on some disks."""
    return path.exists() and other.exists() and os.path.samefile(path, other)


def make_folder(folder: Path) -> None:
    """Make the folder for results before the work starts. Raises `SdkitError` if that fails.

    Also deletes unfinished files that a killed run left there more than an hour ago.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SdkitError(
            f"Cannot make the folder {folder}: {error.strerror}. Choose another folder with --out."
        ) from error
    if not os.access(folder, os.W_OK):
        raise SdkitError(f"You may not write into {folder}. Choose another folder with --out.")
    for part in folder.glob(".????????????????.part"):
        # a younger one may belong to a run that is still working
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()


def slug(prompt: str) -> str:
    """The prompt as part of a file name: lower case, - between words, at most 60 letters."""
    return (
        _cut(re.sub(r"[\W_]+", "-", prompt.lower()).strip("-")[:60], 80).rstrip("-") or "no-prompt"
    )


def stem(source: str | os.PathLike) -> str:
    """The name of a photo as part of a file name: printable, at most 80 letters and 100 bytes."""
    return _cut("".join(c if c.isprintable() else "-" for c in Path(source).stem)[:80], 100)


def _cut(text: str, size: int) -> str:
    """The start of `text`, at most `size` bytes in UTF-8."""
    return text.encode(errors="ignore")[:size].decode(errors="ignore")


def clear(path: str | os.PathLike) -> int:
    """Remove all outputs, pasted pictures and widget states from a notebook; return their number.

    Also deletes Jupyter's checkpoint, which is an older copy. The rest of the cells stays.
    Raises `SdkitError` if the file cannot be read or written, or is not a notebook.
    """
    path = Path(path)
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = notebook["cells"]
        gone = sum(
            len(cell.get("outputs", [])) + len(cell.get("attachments", {})) for cell in cells
        )
        gone += notebook["metadata"].pop("widgets", None) is not None
        for cell in cells:
            cell.pop("attachments", None)
            source, pasted = PASTED.subn("", "".join(cell.get("source", "")))
            if pasted and cell["cell_type"] != "code":
                cell["source"], gone = source, gone + pasted
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}
    except OSError as error:
        raise SdkitError(
            f"{path} cannot be read: {error.strerror}. Check its name and permissions."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SdkitError(
            f"{path} is not a notebook of Jupyter's format 4. Open it in JupyterLab and save it."
        ) from error
    if gone:
        with write_atomically(path.resolve()) as part:
            part.write_text(
                json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
            )
            shutil.copymode(path, part)
    checkpoint = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint.ipynb"
    try:
        checkpoint.unlink(missing_ok=True)
    except OSError as error:
        raise SdkitError(
            f"{checkpoint} cannot be deleted: {error.strerror}. Delete it by hand."
        ) from error
    return gone


def find_notebooks(sources: Iterable[str | os.PathLike]) -> list[Path]:
    """Replace each folder in `sources` by all notebooks in it and below it, but no checkpoints."""
    found = []
    for source in map(Path, sources):
        inside = sorted(source.rglob("*.ipynb")) if source.is_dir() else [source]
        found += [path for path in inside if ".ipynb_checkpoints" not in path.parts]
    return found
