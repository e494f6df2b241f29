"""Find the folders of data and weights, and write files whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from sdkit.errors import AlreadyThere, SdkitError

# the repository, or the folder where the package is installed
ROOT = Path(__file__).resolve().parent.parent


def expand(source: str | os.PathLike) -> Path:
    """`source` as a `Path`, with ~ replaced by the home folder.

    It stays as it is if there is no such home folder, as for ~nobody.
    """
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)


def data_dir() -> Path:
    """The folder with weights and frames: ``SDKIT_DATA`` if set, or ``data`` in the repository.

    Raises `SdkitError` if there is no such folder.
    """
    override = os.environ.get("SDKIT_DATA")
    folder = Path(override).expanduser() if override else ROOT / "data"
    if not folder.is_dir():
        source = "SDKIT_DATA points to it" if override else "it belongs to the repository"
        raise SdkitError(
            f"There is no data folder {folder} ({source}). "
            "Clone the repository whole, or set SDKIT_DATA to its data folder."
        )
    return folder


def models_dir() -> Path:
    """The folder that has one folder per network. It may not exist yet."""
    return data_dir() / "models"


def model_dir(name: str) -> Path:
    """The folder of the network `name`. It may not exist yet."""
    return models_dir() / name


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename that file to `path` if the block succeeds.

    So the file is there whole or not at all, even if the program is stopped. Missing parent folders
    are made.

    replace : False raises `AlreadyThere` if there is a file at `path` when the new one is ready.

    Raises `SdkitError` if the file cannot be written (no permission, disk full, ...).
    """
    path = Path(path)
    # in the same folder, because os.replace cannot move a file to another disk
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path) if replace else _put(part, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SdkitError(
            f"Cannot write {path}: {reason}. Choose another folder, or make room on the disk."
        ) from error
    finally:
        # it may be gone: renamed, or never written
        with contextlib.suppress(OSError):
            part.unlink()


def _put(part: Path, path: Path) -> None:
    """Rename `part` to `path` in one step, or raise `AlreadyThere` if that name is taken."""
    try:
        if os.name == "nt":
            os.rename(part, path)
            return
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:
            # a disk without hard links (a USB stick with exFAT): take the name first, then fill it
            open(path, "x").close()
            os.replace(part, path)
    except FileExistsError as error:
        raise AlreadyThere(f"{path} is there already. Choose another name.") from error
