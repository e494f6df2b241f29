"""The list of checksums of the shipped networks: make it, and compare the files with it.

The list is ``data/models/SHA256SUMS``. It names every file that has an effect on a picture, so
``sha256sum -c SHA256SUMS`` checks them, too. Cards and loss curves are not in it.
"""

import hashlib
import os
import re
from pathlib import Path

from sdkit.errors import SdkitError
from sdkit.files import write_atomically

LIST = "SHA256SUMS"
SUFFIXES = (".safetensors", ".json", ".txt")
REMAKE = "python -m sdkit.recipes --checksums"


def write(root: Path) -> Path:
    """Write the list for all networks in the folder `root`, and return its path."""
    lines = [f"{_checksum(root / name)}  {name}\n" for name in sorted(_names(root))]
    path = root / LIST
    with write_atomically(path) as part:
        part.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def read(root: Path) -> dict[str, str]:
    """The list in the folder `root`: {name of a file: SHA-256 in hexadecimal digits}.

    A name is relative to `root` and has slashes. Raises `SdkitError` if the list cannot be read.
    """
    path = root / LIST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (_split(line) for line in lines)}
    except (OSError, ValueError) as error:
        raise SdkitError(
            f"The list of checksums {path} is missing or damaged. Put it back from the repository."
        ) from error


def faults(root: Path, network: str) -> list[str]:
    """What is wrong with the files of a network: ["unet/config.json is missing", ...].

    network : the name of a folder in `root`. If no file of it is in the list, nothing is wrong.

    Raises `SdkitError` if the list cannot be read.
    """
    start = f"{network}/"
    listed = {name: digest for name, digest in read(root).items() if name.startswith(start)}
    if not listed:
        return []
    found = []
    for name in sorted({*listed, *_names(root, network)}):
        path, short = root / name, name.removeprefix(start)
        if not path.is_file():
            found.append(f"{short} is missing")
        elif name not in listed:
            found.append(f"{short} does not belong there")
        elif _checksum(path) != listed[name]:
            found.append(f"{short} has changed")
    return found


def verify(folder: Path) -> None:
    """Raise `SdkitError` if files of the network in `folder` are not those in the list.

    The list is looked for beside the folder. Networks without a list are not checked.
    """
    folder = Path(os.path.abspath(folder))
    if not (folder.parent / LIST).is_file():
        return
    if found := faults(folder.parent, folder.name):
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        raise SdkitError(
            f"{folder.name} is damaged ({', '.join(found[:3])}{more}). Put it back from the "
            f"repository. If you changed it on purpose, make a new list: {REMAKE}."
        )


def _names(root: Path, network: str = "*") -> list[str]:
    """The files that belong into the list, relative to `root`."""
    return [
        path.relative_to(root).as_posix()
        for path in root.glob(f"{network}/**/*")
        if path.suffix in SUFFIXES and path.is_file()
    ]


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _split(line: str) -> tuple[str, str]:
    """A line of the list: (checksum, name)."""
    match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
    if not match:
        raise ValueError(line)
    return match[1], match[2]
