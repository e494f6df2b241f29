"""``python -m sdkit VERB``."""

import sys

from sdkit.cli import main

sys.exit(main())
