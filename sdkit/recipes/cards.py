"""Rendered postcards for the recipes; all cores draw them once, and they stay in memory."""

from functools import partial

import numpy as np

from sdkit import postcards
from sdkit.recipes import training


def _draw(index, seed, size, held_out):
    card = postcards.sample(seed, index, held_out)
    return card, postcards.draw(card, size)


def render(count, size=64, seed=1, held_out=False):
    """The first ``count`` postcards of a seed: (cards, uint8 (count, size, size, 3))."""
    draw = partial(_draw, seed=seed, size=size, held_out=held_out)
    cards, pictures = zip(*training.map_on_all_cores(draw, range(count), "postcards"))
    return list(cards), np.stack(pictures)
