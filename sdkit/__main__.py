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
        # if a signal is ignored, leave it so: nohup needs this
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)

    # The imports of torch, transformers and diffusers make nearly a million objects, and almost all
    # of them stay. Python would search them for garbage more than a thousand times. That is a sixth
    # of the time until the first step. A picture leaves a few dozen objects behind, so memory does
    # not grow.
    gc.set_threshold(1_000_000)

    from sdkit.cli import main  # this takes a moment, and Ctrl-C must work meanwhile

    sys.exit(main())


if __name__ == "__main__":
    run()
