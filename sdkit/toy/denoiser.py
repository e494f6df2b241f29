"""A small network that denoises points of the plane, and its training."""

from collections.abc import Callable

import torch
from torch import nn

from sdkit import progress
from sdkit.diffusion.schedule import Schedule


def fourier_features(x: torch.Tensor, octaves: int) -> torch.Tensor:
    """(..., n) -> (..., 2 n octaves): the sines, then the cosines, of x, 2x, 4x, ...

    They let a small network learn fine detail (Tancik et al. 2020, arXiv:2006.10739).
    """
    angles = (x[..., None] * 2.0 ** torch.arange(octaves)).flatten(-2)  # (..., n octaves)
    return torch.cat([angles.sin(), angles.cos()], -1)


class PointDenoiser(nn.Module):
    """An MLP that predicts the noise in points of the plane, or v, or the velocity.

    ``forward(x, t)``: x (B, 2) points, noised by `schedule` from points of unit variance in each
    coordinate; t an int or (B,) timesteps of `schedule`; returns what the schedule's
    `prediction_type` says, (B, 2).

    The MLP gives v, which has unit scale at every noise level (compare Karras et al. 2022,
    arXiv:2206.00364, section 5). The noise is ``sqrt(1 - abar) x + sqrt(abar) v``, whose first term
    is its best linear prediction. The last layer starts at zero, so training starts there. The
    velocity is the noise minus the clean point.
    """

    def __init__(self, schedule: Schedule, width: int = 64, octaves: int = 6):
        super().__init__()
        self.register_buffer("abar", schedule.alphas_cumprod.float())
        self.prediction_type, self.octaves = schedule.prediction_type, octaves
        self.mlp = nn.Sequential(
            nn.Linear(2 + 4 * octaves + 7, width),  # x and its features, the level and its six
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 2),
        )
        for parameter in self.mlp[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor, t: int | torch.Tensor) -> torch.Tensor:
        abar = self.abar[t].expand(len(x))[:, None]  # (B, 1)
        signal, noise = abar.sqrt(), (1 - abar).sqrt()
        if self.prediction_type == "flow_prediction":
            x = x * (signal + noise)  # from a straight road; now of unit variance
        level = torch.logit(abar, 1e-6) / 4  # (B, 1) log-SNR, scaled to about -2.6 to 2.6
        inputs = torch.cat(
            [x, fourier_features(x, self.octaves), level, fourier_features(level, 3)], 1
        )  # (B, 2 + 4 octaves + 1 + 6)
        v = self.mlp(inputs)  # (B, 2)
        if self.prediction_type == "v_prediction":
            return v
        epsilon = noise * x + signal * v
        if self.prediction_type == "flow_prediction":
            return epsilon - (signal * x - noise * v)
        return epsilon


def train_points(
    nets: list[PointDenoiser],
    schedule: Schedule,
    draw: Callable[[int, torch.Generator], torch.Tensor],
    generator: torch.Generator,
    steps: int = 2000,
    batch_size: int = 256,
    lr: float = 0.01,
) -> torch.Tensor:
    """Train K `PointDenoiser` at the same time, each on its own points; returns losses (steps, K).

    `draw(n, generator)` gives (n, 2) points of unit variance. The networks learn the target that
    belongs to the schedule's `prediction_type`. This is DDPM's algorithm 1 (Ho et al. 2020) with
    three changes that save time: each batch holds every timestep equally often; the learning rate
    falls to zero, so the last weights are good ones; and the K networks run as one, with their
    weights stacked.
    """
    weights, _ = torch.func.stack_module_state(nets)  # each tensor (K, ...)

    def predict_one(
        weights: dict[str, torch.Tensor], x: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        return torch.func.functional_call(nets[0], weights, (x, t))

    predict = torch.vmap(predict_one, in_dims=(0, 0, None))  # (K, B, 2), (B,) -> (K, B, 2)
    optimizer = torch.optim.Adam(weights.values(), lr, betas=(0.9, 0.99))
    lr_schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, steps, pct_start=0.05, cycle_momentum=False
    )
    t = torch.arange(batch_size) * len(schedule) // batch_size  # (B,)
    losses = []
    for _ in progress.bar(range(steps), "training"):
        x0 = draw(batch_size * len(nets), generator).view(batch_size, -1, 2)  # (B, K, 2)
        noise = torch.randn(x0.shape, generator=generator)
        x_t = schedule.add_noise(x0, noise, t)
        target = schedule.target(x0, noise, t).transpose(0, 1)
        error = predict(weights, x_t.transpose(0, 1), t) - target  # (K, B, 2)
        loss = error.square().mean((1, 2))  # (K,), DDPM's equation 14
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        lr_schedule.step()
        losses.append(loss.detach())
    for k, net in enumerate(nets):
        net.load_state_dict(
            {name: value[k].detach() for name, value in weights.items()}, strict=False
        )
    return torch.stack(losses)
