"""Training points in the plane: two mixtures of Gaussians and the outline of a dinosaur.

The mixtures are standard benchmarks for GANs (VEEGAN, Srivastava et al. 2017; PacGAN, Lin et al.
2018). Their density and their score are known in closed form.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Mixture:
    """A mixture of K round Gaussians of equal weight and equal standard deviation."""

    centres: torch.Tensor  # (K, 2)
    sigma: float  # standard deviation of each Gaussian

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw (n, 2) independent points."""
        which = torch.randint(len(self.centres), (n,), generator=generator)
        return self.centres[which] + self.sigma * torch.randn(n, 2, generator=generator)

    def scaled(self, factor: float) -> "Mixture":
        """The distribution of `factor` times a point of this mixture."""
        return Mixture(factor * self.centres, factor * self.sigma)

    def noised(self, abar: float) -> "Mixture":
        """The distribution after forward diffusion: of sqrt(abar) x0 + sqrt(1 - abar) noise.

        DDPM's equation 4 (Ho et al. 2020) turns each Gaussian into another Gaussian.
        """
        abar = float(abar)
        return Mixture(abar**0.5 * self.centres, (abar * self.sigma**2 + 1 - abar) ** 0.5)

    def _log_components(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 2) -> (n, K): the logarithm of each Gaussian's term of the density."""
        scale = 2 * torch.pi * self.sigma**2 * len(self.centres)
        square = (x[:, None] - self.centres.to(x)).square().sum(-1)  # (n, K)
        return -square / (2 * self.sigma**2) - torch.tensor(scale).log()

    def density(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 2) -> (n,): probability per unit of area."""
        return self._log_components(x).logsumexp(1).exp()

    def score(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 2) -> (n, 2): the gradient of the log density. It points to where density rises."""
        # (n, K): the probability that a point came from each Gaussian
        weights = self._log_components(x).softmax(1)
        return (weights @ self.centres.to(x) - x) / self.sigma**2


_steps = torch.arange(-4.0, 5, 2)
_angles = torch.arange(8) * torch.pi / 4
# 25 Gaussians, their centres at -4, -2, ..., 4 along both axes
GRID = Mixture(torch.cartesian_prod(_steps, _steps), 0.05)
# 8 Gaussians, their centres on a circle of radius 1
RING = Mixture(torch.stack([_angles.cos(), _angles.sin()], 1), 0.01)


# A dinosaur of our own. Each stroke is a smooth curve through these points on a 100 x 100 sheet.
_STROKES = (
    # outline, from the tip of the tail along the back to the head, and back along the belly
    "1,34 9,30 18,31 26,37 33,44 41,50 48,57 53,66 57,76 61,85 67,90 75,91 84,88 92,83 95,78 "
    "91,75 83,75 76,74 73,68 73,60 73,52 71,44 68,37 68,28 69,17 69,9 75,6 75,3 62,3 60,10 58,20 "
    "55,26 49,26 46,20 46,11 51,7 51,4 38,4 37,12 37,21 33,25 25,24 17,23 8,27 1,34",
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


def _smooth(stroke: str, between: int = 12) -> torch.Tensor:
    """A stroke, written as "x,y x,y ...", to (m, 2) points on a smooth curve through its corners.

    A Catmull-Rom spline (Catmull & Rom 1974) with `between` points per corner.
    """
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


def dino(n: int, generator: torch.Generator) -> torch.Tensor:
    """Draw (n, 2) points on the lines of a dinosaur, with mean about 0 and variance about 1."""
    curves = [_smooth(stroke) for stroke in _STROKES]
    start, end = (  # (segments, 2) each
        torch.cat([curve[part] for curve in curves]) for part in (slice(-1), slice(1, None))
    )
    length = (end - start).norm(dim=1)  # a segment is chosen in proportion to its length
    which = torch.multinomial(length, n, replacement=True, generator=generator)
    u = torch.rand(n, 1, generator=generator)
    x = start[which] + u * (end - start)[which]  # (n, 2) on the curves
    x = x + 0.5 * torch.randn(n, 2, generator=generator)  # the width of the pen
    return (x - torch.tensor([55.0, 45.5])) / torch.tensor([22.2, 27.5])
