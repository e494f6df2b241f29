"""Settings of a training: a dataclass, in which the comment above a field is that field's help.

A comment is the shortest way to say what a number means. The reader of the code and the reader of
``--help`` see the same sentence. (With ``field(metadata={"help": ...})`` each line of a dataclass
would be three lines, and the number would be lost between them.)
"""

import argparse
import ast
import inspect
import json
import sys
import textwrap
import types
import typing
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from sdkit.errors import SdkitError
from sdkit.files import models_dir


def in_models(path: str) -> Callable[[], Path]:
    """A ``default_factory``: the folder ``path`` under ``data/models``."""
    return lambda: models_dir() / path


@dataclass(frozen=True)
class BaseSettings:
    """Settings of every training. A recipe adds its own fields below these.

    Fields of type ``Path`` are places on this computer and are never published. All of them except
    ``art_dir``, ``runs`` and those whose names begin with "out" are inputs: folders with networks
    that the training starts from or learns with. The checksums of the inputs go into the record.
    """

    # folder with the training pictures; data/README.md says how to get them
    art_dir: Path = Path("../shared/art")
    # folder where the trained network is saved
    out: Path = Path("runs/model")
    # folder for checkpoints, log and loss curve; a run that was stopped goes on from there
    runs: Path = Path("runs")
    # updates of the weights
    steps: int = 1000
    # examples in a batch
    batch_size: int = 16
    # seed of everything random
    seed: int = 0
    # pictures that are read from each folder, for a trial (0: all)
    limit: int = 0

    @property
    def record_folder(self) -> Path:
        """The folder that gets ``recipe.json``."""
        return self.out


SettingsType = TypeVar("SettingsType", bound=BaseSettings)


def field_help(cls: type[BaseSettings]) -> dict[str, str]:
    """The help of each field of a settings dataclass: the comment lines directly above the field.

    A field that repeats one of a base class, to change its default, needs no new comment.
    """
    texts = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, BaseSettings):
            continue
        source = textwrap.dedent(inspect.getsource(base))
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
                continue
            above, line = [], node.lineno - 2  # lineno counts from 1
            while lines[line].strip().startswith("#"):
                above.insert(0, lines[line].strip().lstrip("# "))
                line -= 1
            if above:
                texts[node.target.id] = " ".join(above)
    return texts


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


_whole_numbers.__name__ = "list of whole numbers, such as 32,64"


def parser(cls: type[BaseSettings], description: str | None = None) -> argparse.ArgumentParser:
    """An ``ArgumentParser`` with one ``--flag`` for each field of a settings dataclass."""
    made = argparse.ArgumentParser(description=description)
    texts, defaults = field_help(cls), cls()
    for one in fields(cls):
        default, kind = getattr(defaults, one.name), one.type
        if isinstance(kind, types.UnionType):  # Path | None
            kind = next(part for part in typing.get_args(kind) if part is not types.NoneType)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        help = f"{texts[one.name]} (default: {'none' if shown is None else shown})"
        options = (
            {"action": argparse.BooleanOptionalAction}
            if kind is bool
            else {"type": _whole_numbers if isinstance(default, tuple) else kind}
        )
        made.add_argument(
            "--" + one.name.replace("_", "-"),
            default=default,
            help=help.replace("%", "%%"),
            **options,
        )
    return made


def command_line(
    cls: type[SettingsType], main: Callable[[SettingsType], None], description: str | None
) -> None:
    """Run ``main(settings)`` with the settings that the command line asks for."""
    try:
        main(cls(**vars(parser(cls, description).parse_args())))
    except SdkitError as error:
        sys.exit(f"{error}")


def published(settings: BaseSettings) -> dict[str, Any]:
    """The settings without places, as JSON gives them back (a tuple becomes a list)."""
    chosen = {
        one.name: getattr(settings, one.name) for one in fields(settings) if not _is_path(one)
    }
    return json.loads(json.dumps(chosen))


def input_folders(settings: BaseSettings) -> dict[str, Path]:
    """Field name to folder, for each network that the training starts from or learns with."""
    return {
        one.name: getattr(settings, one.name)
        for one in fields(settings)
        if _is_path(one)
        and one.name not in ("art_dir", "runs")
        and not one.name.startswith("out")
        and getattr(settings, one.name) is not None
    }


def _is_path(one: Field[Any]) -> bool:
    return one.type is Path or Path in typing.get_args(one.type)
