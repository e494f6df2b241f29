"""The commands ``sdkit COMMAND`` and ``python -m sdkit COMMAND``, which are the same."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

SLOW = ("torch", "transformers", "diffusers")  # to import


def stop(number: int, _: FrameType | None) -> None:
    """End the program after Ctrl-C or another signal, and leave no half-written file behind."""
    if any(
        getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)
        for name in ("sdkit.cli", "sdkit.cli.verbs", "sdkit.cli.about", *SLOW)
    ):
        # No file is open while these are being imported, and an exception would crash some of them.
        os._exit(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def run() -> NoReturn:
    """Run one verb of the command line and end with its exit status."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # a signal that is ignored stays ignored: nohup needs that
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)

    # Importing torch, transformers and diffusers makes most of a million objects, and nearly all of
    # them stay. Python would look for garbage among them more than a thousand times, which takes a
    # sixth of the time until the first step. A picture leaves a few dozen objects behind, so memory
    # does not grow.
    gc.set_threshold(1_000_000)

    from sdkit.cli import main  # this takes a moment, and Ctrl-C must work meanwhile

    sys.exit(main())


if __name__ == "__main__":
    run()
