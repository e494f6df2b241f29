"""The kit's point denoiser against a common tutorial: time and sliced Wasserstein-1 distance.

    python tests/benchmarks/points.py [--repeats 3]

Both learn the same 8,000 points of the dinosaur in one run, one after the other, with the same
seed. The printed numbers are medians over the repeats.

The tutorial has a drawing about 8 wide, an MLP of 3 x 128, T = 50, betas from 1e-4 to 0.02, batches
of 32 and 50,000 updates of plain Adam. It has a bug: its chain ends at a signal share of 0.6, but
it samples from pure noise. So it also runs without the bug (variance 1, betas times 20), which
shows how much of the error comes from the bug. All distances are in the units of the drawing.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from sdkit import denoiser, metrics, points, sampler, schedule

N, SIZE = 8000, 2.0  # the drawing's standard deviation
BETAS = torch.linspace(1e-4, 0.02, 50, dtype=torch.float64)
WAYS = {
    "tutorial": schedule.Schedule(BETAS, 1.0),
    "tutorial, mended": schedule.Schedule(20 * BETAS, 1.0),
    "sdkit": schedule.log_linear(400),
}


class TutorialNet(nn.Module):
    """3 x 128 with sinusoids of both coordinates and of the timestep, as the tutorials have it."""

    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(384, 128),
            nn.GELU(),
            nn.Linear(128, 128),
            nn.GELU(),
            nn.Linear(128, 128),
            nn.GELU(),
            nn.Linear(128, 2),
        )
        self.register_buffer(
            "rates", torch.exp(-torch.arange(64) / 63 * torch.log(torch.tensor(1e4)))
        )

    def forward(self, x, t):
        seen = torch.cat([25 * x, torch.as_tensor(t).expand(len(x))[:, None]], 1)
        angles = (seen[..., None] * self.rates).flatten(1)
        return self.mlp(torch.cat([angles.sin(), angles.cos()], 1))


def tutorial(chain, data, generator, steps=50_000):
    """A trained `TutorialNet`."""
    net = TutorialNet()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        x0 = data[torch.randint(N, (32,), generator=generator)]
        t, noise = (
            torch.randint(len(chain), (32,), generator=generator),
            torch.randn(32, 2, generator=generator),
        )
        loss = (net(chain.add_noise(x0, noise, t), t) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def ours(chain, data, generator):
    """A trained `PointDenoiser`."""
    net = denoiser.PointDenoiser(chain)
    denoiser.train_points(
        [net],
        chain,
        lambda n, g: data[torch.randint(N, (n,), generator=g)],
        generator,
        batch_size=512,
    )
    return net


def measure(way, seed):
    """(seconds of training, distance of 8,000 generated points to 8,000 fresh ones)."""
    chain, generator = WAYS[way], torch.Generator().manual_seed(seed)
    size = SIZE if way == "tutorial" else 1.0
    data, fresh = size * points.dino(N, generator), points.dino(N, generator)
    torch.manual_seed(seed)
    start = time.perf_counter()
    net = (ours if way == "sdkit" else tutorial)(chain, data, generator)
    seconds = time.perf_counter() - start
    *_, (_, x) = sampler.denoise_points(
        net, chain, torch.randn(N, 2, generator=generator), generator
    )
    return seconds, metrics.sliced_wasserstein(x * (SIZE / size), fresh * SIZE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    results = {way: [] for way in WAYS}
    for seed in range(repeats):
        for way in WAYS:
            results[way].append(measure(way, seed))
            print(
                f"seed {seed}, {way}: {results[way][-1][0]:.1f} s, {results[way][-1][1]:.3f}",
                flush=True,
            )
    pairs = [
        [points.dino(N, torch.Generator().manual_seed(2 * seed + k)) for k in (0, 1)]
        for seed in range(repeats)
    ]
    floor = SIZE * statistics.median(metrics.sliced_wasserstein(*pair) for pair in pairs)
    print(
        f"\n{repeats} repeats, {torch.get_num_threads()} threads; "
        f"two fresh drawings are {floor:.3f} apart"
    )
    medians = {
        way: [statistics.median(column) for column in zip(*runs)] for way, runs in results.items()
    }
    for way, (seconds, distance) in medians.items():
        print(f"{way:18} {seconds:6.1f} s to learn   sliced Wasserstein-1 {distance:.3f}")
    print(
        f"sdkit learns in {medians['sdkit'][0] / medians['tutorial'][0]:.2f} "
        "of the tutorial's time (aim: 0.10, at a distance of at most 0.065)"
    )


if __name__ == "__main__":
    main()
