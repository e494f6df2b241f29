"""Estimate how long a run will take on this computer, and ask before a long run or a download."""

import os
import sys
from typing import TYPE_CHECKING

from sdkit import models
from sdkit.cli import forecast
from sdkit.errors import SdkitError
from sdkit.models import hardware

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

LONG = 180  # seconds; a longer run needs consent
# Operations of the networks. Two slow cores do as many in one or two minutes, so a run with less is
# not even tried.
UNNOTICED = 2e12


class Declined(SdkitError):
    """A person did not agree to a long run or a download, so nothing more is done."""


def estimate(
    pipe: "DiffusionPipeline", settings: models.Settings, size: tuple[int, int], pictures: int = 1
) -> float:
    """Seconds that `pictures` of `size` (width, height in px) will take on this computer.

    Each network is tried for a short time; see `forecast`.
    """
    return _seconds([forecast.painting(pipe, settings, size, pictures)])


def _seconds(work: list[forecast.Work]) -> float:
    with hardware.enough_memory("to try the networks"):
        return forecast.seconds(work)


def agree_to_run(
    pipe: "DiffusionPipeline",
    settings: models.Settings,
    size: tuple[int, int],
    pictures: int,
    yes: bool = False,
) -> None:
    """Before a run that may be long, print an estimate; ask if it is more than `LONG` seconds.

    size : width and height of the pictures in px.
    yes : True means that nobody is asked.

    Raises `Declined` if the person does not agree.
    """
    hardware.refuse_too_large(pipe, size)
    agree([forecast.painting(pipe, settings, size, pictures)], yes)


def agree(work: list[forecast.Work], yes: bool = False) -> None:
    """Like `agree_to_run`, for a run that has the stages `work`."""
    if sum(stage.operations for stage in work) < UNNOTICED:
        return
    seconds, device = _seconds(work), str(work[0].device)
    print(
        f"{', then '.join(stage.what for stage in work)}: about {minutes(seconds)} and "
        f"{hardware.used_memory(device) / 1e9:.1f} GB of memory on {device}.",
        file=sys.stderr,
    )
    if seconds > LONG:
        ask(
            "That is long.",
            yes,
            "use fewer steps, smaller or fewer pictures, or a faster model: lcm, sd-turbo, small",
        )


def agree_to_fetch(name: str | os.PathLike | models.Model, yes: bool = False) -> None:
    """Before a model is downloaded from the hub, say how large it is, and ask.

    Does nothing for a model that is on this disk. Raises `Declined` if the person does not agree.
    """
    model = models.resolve(name)
    if model.found:
        return
    entry = model.entry
    size = f" ({entry.gigabytes:g} GB, {entry.licence} licence)" if entry else ""
    ask(
        f"{model.label} is not on this computer. It must be downloaded from the hub{size}.",
        yes,
        "use the kit's own model: mini",
    )


def ask(what: str, yes: bool, otherwise: str) -> None:
    """Go on only if a person agrees, with --yes or at the terminal. Otherwise raise `Declined`.

    what : a sentence that says what would happen.
    otherwise : what the person can do instead.
    """
    if yes:
        return
    if sys.stdin is not None and sys.stdin.isatty():
        print(f"{what} Go on? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise Declined(f"Nothing was done. You can {otherwise}.")
    raise Declined(f"{what} To go on, add --yes (in a lesson: YES = True). Or {otherwise}.")


def minutes(seconds: float) -> str:
    """A duration in words: 40 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
