"""A small picture of noise, for lessons that start from a photograph."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8))
