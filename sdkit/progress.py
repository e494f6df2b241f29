"""Progress bars in notebooks, for work that takes longer than a second.

The slow functions of the kit show a bar themselves: `sdkit.generate`, `sdkit.upscale`, `gans.play`
and others. In a lesson, `bar` is for loops. If one bar is inside another, only the outer one is
shown. Outside notebooks nothing is shown. The commands have their own bars.

The environment variable TQDM_DISABLE=1 switches the bars off. The tests set it.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")
LEFT = "[a picture while it was painted]"  # the file of a notebook keeps this
_busy: list[Any] = []  # the number of the cell in which a bar is open


def bar(items: Iterable[Item], what: str = "", total: int | None = None) -> Iterator[Item]:
    """Go through `items` with a bar: ``for card in progress.bar(cards, "painting"):``.

    what : a word or two before the bar.
    total : how many items there are, if `items` has no length.
    """
    with steps(len(items) if isinstance(items, Sized) else total, what) as shown:
        for item in items:
            yield item
            shown.update()


@contextlib.contextmanager
def steps(total: int | None, what: str = "") -> Iterator[tqdm]:
    """A bar for work that counts its steps: ``with`` gives the bar; call its `update`.

    It appears after a second and disappears at the end.
    """
    cell = _cell()
    hide = quiet() or cell in _busy
    with tqdm(total=total, desc=what or None, leave=False, delay=1, disable=hide) as shown:
        if shown.disable:
            yield shown
            return
        # A bar may stay open after an error in its loop. It has the number of an earlier cell, so
        # it does not count any more.
        _busy.append(cell)
        try:
            yield shown
        finally:
            _busy.remove(cell)


@contextlib.contextmanager
def counted(
    on_step: Callable[[], object] | None, total: int, what: str
) -> Iterator[Callable[[], object]]:
    """The function to call after each of `total` steps: `on_step`, or one that moves a bar."""
    if on_step:
        yield on_step
    else:
        with steps(total, what) as shown:
            yield shown.update


def of_pipeline(iterable: Iterable[Any] | None = None, total: int | None = None) -> Any:
    """A bar of this module in place of the bar of diffusers' pipelines."""
    return steps(total, "painting") if iterable is None else bar(iterable, "painting", total)


def quiet() -> bool:
    """Whether nothing is shown here: outside a notebook, or with TQDM_DISABLE set."""
    # tqdm reads the variable itself, but not for the bars of notebooks
    return _cell() is None or bool(os.environ.get("TQDM_DISABLE"))


def _cell() -> int | None:
    """The number of the notebook's cell that runs, or None outside a notebook."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    shell = ipython and ipython.get_ipython()
    return shell.execution_count if shell and hasattr(shell, "kernel") else None
