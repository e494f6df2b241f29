"""``python -m sdkit VERB``."""

import os
import signal
import sys


def stop(number, _):
    """End by Ctrl-C or when asked to, so that no part of a file stays behind."""
    if any(
        getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)
        for name in ("sdkit.cli", "torch", "transformers", "diffusers")
    ):
        # while these are imported nothing is open, and an exception would crash some of them
        os._exit(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


for _name in ("SIGINT", "SIGTERM", "SIGHUP"):
    # nohup wants it so
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) != signal.SIG_IGN:
        signal.signal(getattr(signal, _name), stop)

from sdkit.cli import main  # noqa: E402  (takes a moment, in which one may press Ctrl-C)

sys.exit(main())
