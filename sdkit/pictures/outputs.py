"""Save results under new names."""

import contextlib
import os
import re
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from PIL import Image

from sdkit.errors import AlreadyThere, SdkitError
from sdkit.pictures import provenance
from sdkit.pictures.certificate import Signer
from sdkit.pictures.manifest import Origin


def save(
    image: Image.Image,
    folder: str | os.PathLike,
    stem: str,
    note: dict[str, object],
    replace: bool = False,
    written: Iterable[Path] = (),
    origin: Origin | None = None,
    signer: Signer | None = None,
) -> Path:
    """Save `image` as ``<stem>.png`` in `folder` and return the path.

    note, origin, signer : what the file says about itself; see `provenance.png`.
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
            provenance.save_png(image, path, note, replace, origin, signer)
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
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or "no folder can have this name"
        raise SdkitError(
            f"Cannot make the folder {str(folder)!r}: {reason}. Choose another folder with --out."
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
