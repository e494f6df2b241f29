"""The GAN of lesson 01, K times at once: K generators, each with its own discriminator.

Goodfellow et al. 2014, arXiv:1406.2661. All tensors have one more axis in front, (K, B, n): pair,
sample, number. The K pairs do not influence one another: the total loss is the sum over the pairs,
so each network gets the same gradient as from its own loss alone.
"""

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.functional import softplus

from sdkit import progress


class Linear(nn.Module):
    """K linear layers at once: (K, B, in_features) -> (K, B, out_features).

    Each one is initialised as `nn.Linear` is.
    """

    def __init__(self, pairs: int, in_features: int, out_features: int):
        super().__init__()
        self.weight, self.bias = (  # (K, in, out) and (K, 1, out), uniform in +-1 / sqrt(in)
            nn.Parameter((2 * torch.rand(pairs, rows, out_features) - 1) / in_features**0.5)
            for rows in (in_features, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def mlp(pairs: int, *sizes: int) -> nn.Sequential:
    """K = `pairs` MLPs at once: (K, B, sizes[0]) -> (K, B, sizes[-1]), with leaky ReLUs."""
    layers = []
    for in_features, out_features in zip(sizes, sizes[1:]):
        layers += [Linear(pairs, in_features, out_features), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])  # the last layer is linear


def loss_D(D: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The discriminators' losses (K,): -log D(real) - log(1 - D(fake)), averaged over the batch.

    Goodfellow et al. 2014, equation 1, with its sign turned. `D` gives logits (K, B, 1).
    """
    return (softplus(-D(real)) + softplus(D(fake))).mean((1, 2))


def loss_G(D: nn.Module, fake: torch.Tensor) -> torch.Tensor:
    """The generators' losses (K,): -log D(fake), the non-saturating loss (section 3)."""
    return softplus(-D(fake)).mean((1, 2))


class Player:
    """A network with its Adam optimizer (Kingma & Ba 2015, arXiv:1412.6980).

    net : its parameters have the K pairs along their first axis.
    lr : one learning rate for all, or K of them, one for each pair.
    """

    def __init__(
        self,
        net: nn.Module,
        lr: float | torch.Tensor,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        self.parameters = list(net.parameters())
        self.rates = [
            torch.as_tensor(lr).reshape(-1, *[1] * (p.dim() - 1)) for p in self.parameters
        ]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1.0, betas=betas)

    def move(self, losses: torch.Tensor) -> None:
        """One update that lowers `losses` (K,)."""
        before = [p.detach().clone() for p in self.parameters]
        self.optimizer.zero_grad()
        losses.sum().backward(inputs=self.parameters)
        # Adam's step is proportional to its learning rate: step with 1, then keep each pair's share
        self.optimizer.step()
        for p, old, rate in zip(self.parameters, before, self.rates):
            p.data = torch.lerp(old, p.data, rate)


def play(
    G: nn.Module,
    D: nn.Module,
    sample: Callable[[int, torch.Generator], torch.Tensor],
    updates: int,
    generator: torch.Generator,
    lr_G: float | torch.Tensor = 1e-3,
    lr_D: float | torch.Tensor = 1e-3,
    batch: int = 64,
    inputs: int = 2,
    betas: tuple[float, float] = (0.5, 0.999),
    D_steps: int = 1,
    loss_D: Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor] = loss_D,
    loss_G: Callable[[nn.Module, torch.Tensor], torch.Tensor] = loss_G,
) -> Iterator[int]:
    """Train K GANs (Goodfellow et al. 2014, algorithm 1); yields 1, 2, ..., `updates`.

    The caller gets control after each update of the generators, and can look at `G` and `D`.

    G, D : K networks each, as `mlp` makes them.
    sample : sample(n, generator) gives (n, numbers) real samples.
    generator : the source of all random numbers.
    lr_G, lr_D : learning rates, one for all pairs or K of them.
    batch : samples per pair in each update.
    inputs : normal random numbers that G turns into one fake sample.
    D_steps : updates of the discriminators before each update of the generators ("k" in the
        paper), each on new samples.
    loss_D, loss_G : loss_D(D, real, fake) and loss_G(D, fake) give losses (K,).
    """
    pairs, player_G, player_D = (
        len(next(G.parameters())),
        Player(G, lr_G, betas),
        Player(D, lr_D, betas),
    )
    for update in progress.bar(range(1, updates + 1), "playing"):
        for _ in range(D_steps):
            real = sample(pairs * batch, generator).reshape(pairs, batch, -1)  # (K, B, n)
            fake = G(torch.randn(pairs, batch, inputs, generator=generator))  # (K, B, n)
            player_D.move(loss_D(D, real, fake.detach()))
        player_G.move(loss_G(D, fake))
        yield update
