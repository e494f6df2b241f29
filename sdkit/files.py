"""Where the data and the weights lie, and how a file is written whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path

from sdkit.errors import AlreadyThere, SdkitError

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # the repository, or the folder into which the package was installed


def expand(source):
    """`source` as a `Path`, with ~ for the home folder; a ~ of nobody stays as it is."""
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)


def data_dir():
    """The folder with the weights and the list of training pictures.

    It is ``SDKIT_DATA`` if that is set. Otherwise it is ``data`` inside the package, where a wheel
    puts it, or ``data`` beside the package, where it lies in the repository. Raises `SdkitError`
    when there is no such folder.
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


def models_dir():
    """The folder that holds one folder per network (it may not exist yet)."""
    return data_dir() / "models"


def model_dir(name):
    """The folder of the network `name`, whether it is there yet or not."""
    return models_dir() / name


@contextlib.contextmanager
def write_atomically(path, replace=True):
    """Yield a temporary path beside `path`, and put it in the place of `path` only when the block ends well.

    So a file is there whole or not at all, also when the program is stopped. Missing parent folders are made.
    Raises `SdkitError` where the file cannot be written (no permission, disk full, ...), and `AlreadyThere`, with
    `replace` False, where there is a file at `path` by the time that the new one is ready.
    """
    path = Path(path)
    # in the same folder, for os.replace does not cross disks
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
        # where there is no folder, there is no part of a file either
        with contextlib.suppress(OSError):
            part.unlink()


def _put(part, path):
    """Give the file `part` the name `path`, which it gets only if nobody has it, in one step of the system."""
    try:
        if os.name == "nt":
            os.rename(part, path)
            return
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:
            # no second names on this disk (exFAT of a stick): claim the name first, then fill it
            open(path, "x").close()
            os.replace(part, path)
    except FileExistsError as error:
        raise AlreadyThere(f"{path} is there already. Choose another name.") from error
