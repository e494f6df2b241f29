"""Find the folders of data, weights and configuration; write files whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from sdkit.errors import AlreadyThere, SdkitError

PACKAGE = Path(__file__).resolve().parent
# the repository, or the folder where the package is installed
ROOT = PACKAGE.parent


def expand(source: str | os.PathLike) -> Path:
    """`source` as a `Path`, with ~ replaced by the home folder.

    It stays as it is if there is no such home folder, as for ~nobody.
    """
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)


def data_dir() -> Path:
    """The folder with the weights and the list of training pictures.

    It is ``SDKIT_DATA`` if that is set. Otherwise it is ``data`` inside the package, where a wheel
    puts it, or ``data`` beside the package, where it is in the repository.

    Raises `SdkitError` if there is no such folder.
    """
    override = os.environ.get("SDKIT_DATA")
    if override:
        folder, source = Path(override).expanduser(), "SDKIT_DATA points to it"
    else:
        inside, beside = PACKAGE / "data", ROOT / "data"
        folder, source = inside if inside.is_dir() else beside, "it belongs to the repository"
    if not folder.is_dir():
        raise SdkitError(
            f"There is no data folder {folder} ({source}). "
            "Clone the whole repository, or set SDKIT_DATA to its data folder."
        )
    return folder


def models_dir() -> Path:
    """The folder that has one folder per network. It may not exist yet."""
    return data_dir() / "models"


def model_dir(name: str) -> Path:
    """The folder of the network `name`. It may not exist yet."""
    return models_dir() / name


def config_dir() -> Path:
    """The folder for what the kit keeps about its user. It may not exist yet.

    It is ``SDKIT_CONFIG`` if that is set. Otherwise it is the place that the system has for this:
    ``~/.config/sdkit`` on Linux, ``~/Library/Application Support/sdkit`` on a Mac, and
    ``AppData\\Local\\sdkit`` on Windows.
    """
    override = os.environ.get("SDKIT_CONFIG")
    if override:
        return expand(override)
    from platformdirs import user_config_path

    return user_config_path("sdkit", appauthor=False)


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename this file to `path` if the block succeeds.

    So the file is complete or does not exist, even if the program is stopped. Missing parent
    folders are made.

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
        # it may not exist: renamed, or never written
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
        raise AlreadyThere(f"{path} exists already. Choose another name.") from error
