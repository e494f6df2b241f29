"""A progress bar for cells of the lessons that work longer than a second."""

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm

QUIET = "SDKIT_QUIET"  # set it to anything, and no bar is shown


def bar(items: Iterable[Any] | None = None, what: str = "", total: int | None = None) -> tqdm:
    """A bar for a loop: ``for card in progress.bar(cards, "painting"):``.

    items : what the loop goes through. what : a word or two before the bar. total : how many items
        there are, if `items` has no length.

    For one long call, without `items`: ``with progress.bar(what="painting", total=8) as bar:``, and
    `bar.update` is what the call calls after each step.

    The bar appears after a second and goes away at the end, so a quick cell shows none. It is not
    shown if the environment variable SDKIT_QUIET is set, as it is when the stored outputs of the
    lessons are made and compared.
    """
    quiet = bool(os.environ.get(QUIET))
    return tqdm(items, desc=what or None, total=total, leave=False, delay=1, disable=quiet)
