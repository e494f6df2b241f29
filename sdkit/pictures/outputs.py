"""What leaves the kit: pictures under a name that replaces nothing, and notebooks without pictures."""

import contextlib
import json
import os
import re
import shutil
import time
from itertools import count
from pathlib import Path

from sdkit.errors import AlreadyThere, SdkitError
from sdkit.files import write_atomically
from sdkit.pictures import provenance

# where an editor writes pictures into the text, perhaps with a name and in characters of an address
PASTED = re.compile(r"data:image/[\w.+-]+(;[^;,\s]*)*;base64,[\w+/=%-]*", re.IGNORECASE)


def save(image, folder, stem, note, replace=False, written=()):
    """Write `image` as the PNG `stem` into `folder` and return its path; `note` as for `provenance.save_png`.

    Where there is such a file it becomes ``stem-2``, ``stem-3``, ..., also when another run is quicker by a moment.
    With `replace` it takes the place of a file, but not of one in `written`: those are of this run.
    """
    for number in count(1):
        path = Path(folder) / (f"{stem}-{number}.png" if number > 1 else f"{stem}.png")
        if os.path.lexists(path) and (not replace or any(_same(path, other) for other in written)):
            continue
        try:
            provenance.save_png(image, path, note, replace)
            return path
        except AlreadyThere:
            continue


def _same(path, other):
    """Whether two names lead to one file; A.png and a.png do on some disks."""
    return path.exists() and other.exists() and os.path.samefile(path, other)


def make_folder(folder):
    """Make the folder for results now, so that a wrong one is known before the work and not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SdkitError(
            f"Cannot make the folder {folder}: {error.strerror}. Choose another with --out."
        ) from error
    if not os.access(folder, os.W_OK):
        raise SdkitError(f"Nothing may be written into {folder}. Choose another folder with --out.")
    for part in folder.glob(".????????????????.part"):
        # of a run that was killed outright, and not of one that is at work
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()


def slug(prompt):
    """The prompt as part of a file name."""
    return (
        _cut(re.sub(r"[\W_]+", "-", prompt.lower()).strip("-")[:60], 80).rstrip("-") or "no-prompt"
    )


def stem(source):
    """The name of a photo as part of a file name: printable letters only, and no more bytes than all disks take."""
    return _cut("".join(c if c.isprintable() else "-" for c in Path(source).stem)[:80], 100)


def _cut(text, size):
    return text.encode(errors="ignore")[:size].decode(errors="ignore")


def clear(path):
    """Take every output, pasted picture and widget state out of the notebook at `path`: how many it were.

    Jupyter's checkpoint of it goes, too, for it is an older copy. What else is in the cells stays.
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
            f"{checkpoint} cannot be removed: {error.strerror}. Delete it by hand."
        ) from error
    return gone


def find_notebooks(sources):
    """The notebooks among `sources`: a file as it is, of a folder all in it and below, but checkpoints."""
    found = []
    for source in map(Path, sources):
        inside = sorted(source.rglob("*.ipynb")) if source.is_dir() else [source]
        found += [path for path in inside if ".ipynb_checkpoints" not in path.parts]
    return found
