"""Rendered postcards for the recipes: drawn once by all cores, then kept in memory."""
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
from tqdm.auto import tqdm

from sdkit import postcards


def _one(index, seed, size, held_out):
    card = postcards.sample(seed, index, held_out)
    return card, postcards.draw(card, size)


def render(count, size=64, seed=1, held_out=False):
    """The first ``count`` postcards of a row: (list of `Postcard`, uint8 (count, size, size, 3))."""
    draw = partial(_one, seed=seed, size=size, held_out=held_out)
    if count < 200:
        made = list(map(draw, range(count)))
    else:      # spawned, for a forked copy of a process with torch's threads in it may hang
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            made = list(tqdm(pool.map(draw, range(count), chunksize=64), total=count, desc="postcards"))
    cards, pictures = zip(*made)
    return list(cards), np.stack(pictures)
