"""Muon: gradient descent whose steps turn all directions of a weight matrix equally far (Jordan et al. 2024).

Adam scales each weight by itself, so the few directions that a matrix's gradient is strong in are learned first, and
fine detail, which lies in the weak ones, last. Muon replaces the momentum of a matrix by the nearest orthogonal one. On
the VAE here 250 such steps brought four times what 250 of Adam did, each 1.4 times as long.
"""

from collections import defaultdict

import torch
from torch import nn

# of the quintic in Jordan et al.; singular values end within 0.7 to 1.2
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
SMALLEST = 16  # matrices with a side under this, as of colours, are left to AdamW


def orthogonal(matrix, steps=5):
    """Roughly the nearest orthogonal matrices to (..., m, n), by Newton-Schulz iteration: singular values near 1."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[-2] > matrix.shape[-1]
    # as in torch.optim.Muon: precise enough, and much faster
    x = (matrix.mT if tall else matrix).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrix)


def split(module):
    """The kernels and matrices of a network that Muon is for, and all its other parameters: two lists."""
    large = [
        layer.weight
        for layer in module.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and min(layer.weight.shape[:2]) >= SMALLEST
    ]
    chosen = set(map(id, large))
    return large, [p for p in module.parameters() if id(p) not in chosen]


class Muon(torch.optim.AdamW):
    """Muon for ``large``, kernels and matrices as (outputs, rest); AdamW, at a quarter of ``lr``, for ``others``.

    Steps are as long as AdamW's would be, by the root mean square of their entries (Liu et al. 2025, Moonlight,
    equation 4). ``others`` are parameters, or groups of them as any optimizer takes.
    """

    def __init__(self, large, others, lr, momentum=0.95, betas=(0.9, 0.99), weight_decay=0.0):
        others = others if isinstance(others[0], dict) else [{"params": others}]
        super().__init__(
            [{"params": large, "lr": lr, "momentum": momentum}, *others],
            lr=lr / 4,
            betas=betas,
            weight_decay=weight_decay,
            fused=True,
        )

    @torch.no_grad()
    def step(self, closure=None):
        """Orthogonal steps for the large, whose gradients are then gone; AdamW's for those that still have one."""
        group, alike = self.param_groups[0], defaultdict(list)
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:  # AdamW asks for a step when it loads a checkpoint
                state.update(step=torch.zeros(()), mean=torch.zeros_like(p))
            state["mean"].lerp_(p.grad, 1 - group["momentum"])
            ahead = p.grad.lerp(state["mean"], group["momentum"]).flatten(1)  # Nesterov's
            alike[ahead.shape].append((p, ahead))
            p.grad = None
        # those of one shape together, for small products starve a GPU
        for shape, several in alike.items():
            for (p, _), update in zip(
                several, orthogonal(torch.stack([ahead for _, ahead in several]))
            ):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(update.view(p.shape), alpha=group["lr"] * 0.2 * max(shape) ** 0.5)
        return super().step(closure)
