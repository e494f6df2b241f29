"""Rendered postcards for the recipes; all cores draw them once, and they stay in memory."""

from functools import partial

import numpy as np

from sdkit import postcards
from sdkit.postcards import Postcard
from sdkit.recipes import training


def _draw(index: int, seed: int, size: int, held_out: bool) -> tuple[Postcard, np.ndarray]:
    card = postcards.sample(seed, index, held_out)
    return card, postcards.draw(card, size)


def render(
    count: int, size: int = 64, seed: int = 1, held_out: bool = False
) -> tuple[list[Postcard], np.ndarray]:
    """The first ``count`` postcards of a seed: (cards, uint8 (count, size, size, 3))."""
    draw = partial(_draw, seed=seed, size=size, held_out=held_out)
    cards, pictures = zip(*training.map_on_all_cores(draw, range(count), "postcards"))
    return list(cards), np.stack(pictures)
