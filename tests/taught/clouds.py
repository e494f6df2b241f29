"""What the tests of lessons 14 and 15 share: eight clouds of points, and a straight road."""

import torch

from sdkit import points, schedule
from tests.taught import taught

CLOUDS = points.Mixture(1.4 * points.RING.centres, 0.1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def lesson_on_clouds(path, timesteps):
    """As `taught`, with what the lesson's functions take from other cells."""
    namespace = taught(path)
    namespace.update(T=timesteps, CLOUDS=CLOUDS, road=schedule.straight(timesteps))
    return namespace
