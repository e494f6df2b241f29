"""Muon: an optimizer that makes each step of a weight matrix equally long in all directions.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. Adam scales each weight separately.
So a network learns the few strong directions of a gradient first, and fine detail, which lies in
the weak directions, last. Muon replaces the momentum of a matrix by the nearest orthogonal matrix.
On the VAE of this kit, 250 such steps gained four times as much as 250 steps of Adam; each took 1.4
times as long.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sdkit.models import hardware

# a, b, c of the quintic in Jordan et al.; the singular values end between 0.7 and 1.2
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
SMALLEST_SIDE = 16  # matrices with a shorter side, such as those of RGB, are left to AdamW


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """About the nearest orthogonal matrices to (..., m, n): all singular values near 1.

    Newton-Schulz iteration: X <- a X + (b A + c A A) X with A = X X^T (Jordan et al. 2024). It runs
    in bfloat16 where the device multiplies that itself, and in float32 elsewhere. The results
    differ by a few per cent; where bfloat16 is emulated it is about ten times slower.
    """
    a, b, c = NEWTON_SCHULZ
    dtype = torch.bfloat16 if hardware.bf16_is_native(matrix.device) else torch.float32
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = (matrix.mT if tall else matrix).to(dtype)  # (..., short, long)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # the largest singular value is at most 1
    for _ in range(steps):
        square = x @ x.mT  # (..., short, short)
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrix)


def split(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters of a network in two lists: those for Muon, and those for AdamW.

    Muon is for the weights of convolutions and linear layers with at least 16 inputs and outputs.
    """
    matrices = [
        layer.weight
        for layer in module.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
        and min(layer.weight.shape[:2]) >= SMALLEST_SIDE
    ]
    chosen = set(map(id, matrices))
    return matrices, [p for p in module.parameters() if id(p) not in chosen]


class Muon(torch.optim.AdamW):
    """Muon for ``matrices``, each seen as (outputs, rest); AdamW at ``lr`` / 4 for all others.

    The root mean square of a step's entries is that of an AdamW step (Liu et al. 2025, "Muon is
    scalable for LLM training", equation 4). ``others`` are parameters, or groups of parameters as
    any optimizer takes them.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter] | list[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ):
        others = others if isinstance(others[0], dict) else [{"params": others}]
        super().__init__(
            [{"params": matrices, "lr": lr, "momentum": momentum}, *others],
            lr=lr / 4,
            betas=betas,
            weight_decay=weight_decay,
            fused=True,
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step. The matrices' gradients are None afterwards, so AdamW leaves them alone."""
        group, by_shape = self.param_groups[0], defaultdict(list)
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:  # AdamW wants an entry "step" when it loads a checkpoint
                state.update(step=torch.zeros(()), mean=torch.zeros_like(p))
            state["mean"].lerp_(p.grad, 1 - group["momentum"])
            nesterov = p.grad.lerp(state["mean"], group["momentum"]).flatten(1)  # (outputs, rest)
            by_shape[nesterov.shape].append((p, nesterov))
            p.grad = None
        # matrices of one shape are multiplied together: many small products would not fill a GPU
        for shape, pairs in by_shape.items():
            updates = orthogonal(torch.stack([nesterov for _, nesterov in pairs]))
            for (p, _), update in zip(pairs, updates):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(update.view(p.shape), alpha=group["lr"] * 0.2 * max(shape) ** 0.5)
        return super().step(closure)
