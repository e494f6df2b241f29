"""A small network that predicts the noise in points of the plane, and how it is trained."""

import torch
from torch import nn


def waves(x, octaves):
    """(..., n) -> (..., 2 n octaves): sine and cosine of x, 2x, 4x, ..., in which a small network sees fine detail.

    Fourier features (Tancik et al. 2020, arXiv:2006.10739).
    """
    angles = (x[..., None] * 2.0 ** torch.arange(octaves)).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], -1)


class PointDenoiser(nn.Module):
    """An MLP that predicts the noise in points of the plane.

    x (B, 2) noisy points, of unit variance in each coordinate; t an int or (B,) timesteps of `schedule`; returns
    (B, 2) predicted epsilon. The term `sqrt(1 - abar) x` is the best linear guess of the noise; what the MLP adds to
    it is v, which has unit scale at every noise level (compare Karras et al. 2022, arXiv:2206.00364, section 5).
    """

    def __init__(self, schedule, width=64, octaves=6):
        super().__init__()
        self.register_buffer("abar", schedule.alphas_cumprod.float())
        self.octaves = octaves
        self.mlp = nn.Sequential(
            nn.Linear(2 + 4 * octaves + 7, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 2),
        )
        for parameter in self.mlp[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x, t):
        abar = self.abar[t].expand(len(x))[:, None]  # (B, 1)
        level = torch.logit(abar) / 4  # the logarithm of the SNR, about -2.6 to 2.6
        seen = torch.cat([x, waves(x, self.octaves), level, waves(level, 3)], 1)
        return (1 - abar).sqrt() * x + abar.sqrt() * self.mlp(seen)


def train_points(nets, schedule, draw, generator, steps=2000, batch_size=256, lr=0.01):
    """Train K `PointDenoiser` at once, each on points of its own; returns their losses (steps, K).

    `draw(n, generator)` gives (n, 2) points of unit variance. DDPM's algorithm 1 with three changes that save time:
    a batch holds every timestep equally often; the learning rate falls to zero, so that the last weights are good
    ones; and the K networks run as one, with their weights stacked.
    """
    weights, _ = torch.func.stack_module_state(nets)  # of each a tensor (K, ...)

    def predict(weights, x, t):
        return torch.func.functional_call(nets[0], weights, (x, t))

    predict = torch.vmap(predict, in_dims=(0, 0, None))
    optimizer = torch.optim.Adam(weights.values(), lr, betas=(0.9, 0.99))
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps, pct_start=0.05, cycle_momentum=False
    )
    t = torch.arange(batch_size) * len(schedule) // batch_size
    losses = []
    for _ in range(steps):
        x0 = draw(batch_size * len(nets), generator).view(batch_size, -1, 2)  # (B, K, 2)
        noise = torch.randn(x0.shape, generator=generator)
        x_t = schedule.add_noise(x0, noise, t)
        loss = (
            (predict(weights, x_t.transpose(0, 1), t) - noise.transpose(0, 1)).square().mean((1, 2))
        )
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        rate.step()
        losses.append(loss.detach())
    for k, net in enumerate(nets):
        net.load_state_dict(
            {name: value[k].detach() for name, value in weights.items()}, strict=False
        )
    return torch.stack(losses)
