"""A decoder that can work patch by patch and still paint one picture.

Group normalisation takes mean and spread over the whole picture (Wu and He 2018, arXiv:1803.08494).
A patch that is decoded alone has another mean and spread, so its colours and its contrast differ
from those of its neighbours. The decoder of the page therefore tells these statistics, and takes
them from outside. The page asks for them with a smaller form of the whole picture, then decodes
each patch with them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def statistics(network: nn.Module, given: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """All group norms of `network` use the statistics `given`, in the order in which they run.

    given : (norms, 2, groups), the mean and the standard deviation of each group. A norm whose
        standard deviations are zero uses those of its own input, as it always does.

    Gives a list that fills with the statistics that were used, each (2, groups).
    """
    norms = [part for part in network.modules() if isinstance(part, nn.GroupNorm)]
    used: list[torch.Tensor] = []

    def normalise(norm: nn.GroupNorm, x: torch.Tensor) -> torch.Tensor:
        groups = x.reshape(norm.num_groups, -1)  # a batch of one picture
        mean = groups.mean(1)
        # the page has few operations that need no copy of all numbers; the length is one of them
        square = torch.linalg.vector_norm(groups, dim=1).square() / groups.shape[1]
        own = torch.stack([mean, (square - mean.square()).clamp(min=0).add(norm.eps).sqrt()])
        wanted = given[len(used)]
        used.append(torch.where(wanted[1] > 0, wanted, own))
        mean, spread = used[-1].unbind()
        scale = norm.weight.view(norm.num_groups, -1) / spread[:, None]
        shift = norm.bias.view(norm.num_groups, -1) - mean[:, None] * scale
        return x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)

    for norm in norms:
        norm.forward = lambda x, norm=norm: normalise(norm, x)
    try:
        yield used
    finally:
        for norm in norms:
            del norm.forward


def count(network: nn.Module) -> tuple[int, int, int]:
    """The shape of the statistics of a network whose group norms all have as many groups."""
    groups = [part.num_groups for part in network.modules() if isinstance(part, nn.GroupNorm)]
    if len(set(groups)) != 1:
        raise ValueError("the group norms have different numbers of groups")
    return len(groups), 2, groups[0]
