"""``python -m sdkit VERB``."""

import signal
import sys

from sdkit.cli import main

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # tidy up: no part of a file stays behind
sys.exit(main())
