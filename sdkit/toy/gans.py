"""The game of lesson 01 with one more axis: K pairs of generator and discriminator, each on draws of its own, at once.

GAN (Goodfellow et al. 2014, arXiv:1406.2661). Every network works on (K, B, n): pair, sample, numbers. The pairs never
meet: the losses are summed over them, and the gradient of a sum holds for each pair what its own loss alone would give.
"""

import torch
from torch import nn
from torch.nn.functional import softplus


class Linear(nn.Module):
    """K linear layers side by side: (K, B, inside) -> (K, B, outside), initialised as `nn.Linear`."""

    def __init__(self, pairs, inside, outside):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter((2 * torch.rand(pairs, rows, outside) - 1) / inside**0.5)
            for rows in (inside, 1)
        )

    def forward(self, x):
        return torch.baddbmm(self.bias, x, self.weight)


def mlp(pairs, *sizes):
    """`pairs` networks side by side, (K, B, sizes[0]) -> (K, B, sizes[-1]), with leaky kinks between linear layers."""
    layers = []
    for inside, outside in zip(sizes, sizes[1:]):
        layers += [Linear(pairs, inside, outside), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def loss_D(D, real, fake):
    """(K,): -log D(real) - log(1 - D(fake)) averaged over the batch (equation 1); D gives logits."""
    return (softplus(-D(real)) + softplus(D(fake))).mean((1, 2))


def loss_G(D, fake):
    """(K,): -log D(fake), the non-saturating loss (section 3)."""
    return softplus(-D(fake)).mean((1, 2))


class Player:
    """A network and its Adam (Kingma & Ba 2015); `lr` is one learning rate, or K of them, one for each pair."""

    def __init__(self, net, lr, betas=(0.5, 0.999)):
        # pair by pair along the first axis, whatever axes follow
        self.parameters = list(net.parameters())
        self.rates = [
            torch.as_tensor(lr).reshape(-1, *[1] * (p.dim() - 1)) for p in self.parameters
        ]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1.0, betas=betas)

    def move(self, losses):
        """One update that lowers `losses` (K,)."""
        before = [p.detach().clone() for p in self.parameters]
        self.optimizer.zero_grad()
        losses.sum().backward(inputs=self.parameters)
        self.optimizer.step()  # with a learning rate of 1, of which each pair takes its part
        for p, old, rate in zip(self.parameters, before, self.rates):
            p.data = torch.lerp(old, p.data, rate)


def play(
    G,
    D,
    sample,
    updates,
    generator,
    lr_G=1e-3,
    lr_D=1e-3,
    batch=64,
    inputs=2,
    betas=(0.5, 0.999),
    D_moves=1,
    loss_D=loss_D,
    loss_G=loss_G,
):
    """Play for so many `updates` of the generators; yields 1, 2, ..., `updates`, and the caller looks on.

    sample(n, generator) gives (n, numbers) real samples; G turns (K, B, `inputs`) of normal noise into fakes.
    lr_G, lr_D : floats, or K numbers each, for pairs that learn at different speeds.
    D_moves : updates of the discriminators before each one of the generators, each on fresh draws.
    loss_D(D, real, fake) and loss_G(D, fake) -> (K,).
    """
    pairs, player_G, player_D = (
        len(next(G.parameters())),
        Player(G, lr_G, betas),
        Player(D, lr_D, betas),
    )
    for update in range(1, updates + 1):
        for _ in range(D_moves):
            real = sample(pairs * batch, generator).reshape(pairs, batch, -1)
            fake = G(torch.randn(pairs, batch, inputs, generator=generator))
            player_D.move(loss_D(D, real, fake.detach()))
        player_G.move(loss_G(D, fake))
        yield update
