"""Points in the plane to learn from: two mixtures of Gaussians whose truth is known in closed form, and a dinosaur.

The mixtures are those on which GANs are compared (VEEGAN, Srivastava et al. 2017; PacGAN, Lin et al. 2018).
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Mixture:
    """Round Gaussians of one size and equal weight. `centres` (K, 2), `sigma` the standard deviation of each."""

    centres: torch.Tensor
    sigma: float

    def sample(self, n, generator):
        """(n, 2) independent points, drawn with the torch `generator`."""
        which = torch.randint(len(self.centres), (n,), generator=generator)
        return self.centres[which] + self.sigma * torch.randn(n, 2, generator=generator)

    def scaled(self, factor):
        """The mixture of points multiplied by `factor`."""
        return Mixture(factor * self.centres, factor * self.sigma)

    def noised(self, abar):
        """What forward diffusion makes of it: again a mixture, that of sqrt(abar) x0 + sqrt(1 - abar) noise."""
        abar = float(abar)
        return Mixture(abar**0.5 * self.centres, (abar * self.sigma**2 + 1 - abar) ** 0.5)

    def _log_parts(self, x):
        """(n, 2) -> (n, K): the logarithm of what each Gaussian adds to the density."""
        scale = 2 * torch.pi * self.sigma**2 * len(self.centres)
        square = (x[:, None] - self.centres.to(x)).square().sum(-1)
        return -square / (2 * self.sigma**2) - torch.tensor(scale).log()

    def density(self, x):
        """(n, 2) -> (n,): probability per unit of area."""
        return self._log_parts(x).logsumexp(1).exp()

    def score(self, x):
        """(n, 2) -> (n, 2): the gradient of the log density, which points towards where points are likelier."""
        weights = self._log_parts(x).softmax(1)  # (n, K): whose point is it?
        return (weights @ self.centres.to(x) - x) / self.sigma**2


_steps = torch.arange(-4.0, 5, 2)
_angles = torch.arange(8) * torch.pi / 4
GRID = Mixture(torch.cartesian_prod(_steps, _steps), 0.05)  # 25, on a field 8 wide
RING = Mixture(torch.stack([_angles.cos(), _angles.sin()], 1), 0.01)  # 8, on the circle of radius 1


def grid(n, generator):
    """(n, 2) points of the 25 Gaussians: centres at -4, -2, ..., 4 both ways, sigma 0.05."""
    return GRID.sample(n, generator)


def ring(n, generator):
    """(n, 2) points of the 8 Gaussians on a circle of radius 1, sigma 0.01."""
    return RING.sample(n, generator)


# A dinosaur of our own: pen strokes through these points on a sheet of 100 x 100, joined by smooth curves.
_STROKES = (
    # outline, from the tip of the tail along the back to the head, and back along the belly
    "1,34 9,30 18,31 26,37 33,44 41,50 48,57 53,66 57,76 61,85 67,90 75,91 84,88 92,83 95,78 91,75 83,75 76,74 "
    "73,68 73,60 73,52 71,44 68,37 68,28 69,17 69,9 75,6 75,3 62,3 60,10 58,20 55,26 49,26 46,20 46,11 51,7 51,4 "
    "38,4 37,12 37,21 33,25 25,24 17,23 8,27 1,34",
    "72,51 78,51 83,48 82,44",  # upper arm
    "72,46 76,46 79,43 78,40",  # lower arm
    "79,79 85,80 91,79",  # mouth
    "70,84 72,86 74,84 72,82 70,84",  # eye
    # plates on the back
    "35,47 35,53 41,52",
    "43,54 43,61 50,61",
    "50,64 48,71 55,73",
    "55,76 53,83 60,84",
)


def _smooth(stroke, between=12):
    """A stroke as text -> (m, 2) points on the curve through its corners (Catmull & Rom 1974)."""
    p = torch.tensor([[float(v) for v in pair.split(",")] for pair in stroke.split()])
    closed = bool((p[0] == p[-1]).all())
    ends = (p[-2:-1], p[1:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    a, b, c, d = (torch.cat([ends[0], p, ends[1]])[i : i + len(p) - 1, None] for i in range(4))
    u = torch.arange(between)[:, None] / between
    curve = (
        b
        + (c - a) / 2 * u
        + (a - 2.5 * b + 2 * c - d / 2) * u**2
        + (1.5 * (b - c) + (d - a) / 2) * u**3
    )
    return torch.cat([curve.reshape(-1, 2), p[-1:]])


def dino(n, generator):
    """(n, 2) points along the lines of a dinosaur: mean about 0, standard deviation about 1 both ways."""
    curves = [_smooth(stroke) for stroke in _STROKES]
    start, end = (
        torch.cat([curve[cut] for curve in curves]) for cut in (slice(-1), slice(1, None))
    )
    length = (end - start).norm(dim=1)
    which = torch.multinomial(length, n, replacement=True, generator=generator)
    u = torch.rand(n, 1, generator=generator)
    # width of the pen
    x = start[which] + u * (end - start)[which] + 0.5 * torch.randn(n, 2, generator=generator)
    return (x - torch.tensor([55.0, 45.5])) / torch.tensor([22.2, 27.5])
