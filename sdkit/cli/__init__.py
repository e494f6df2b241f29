"""The command line, ``python -m sdkit``; `main` runs one verb."""

from sdkit.cli.parser import main

__all__ = ["main"]
