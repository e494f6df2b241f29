"""Noise schedules: how much of a picture is left after t steps of noise.

The notation is that of DDPM (Ho et al. 2020, arXiv:2006.11239). beta_t is the variance added at
step t. abar_t = prod_{s <= t} (1 - beta_s) is the share of the picture's variance that is left
after step t; diffusers and this file call it `alphas_cumprod`. Timesteps run from 0 (one step of
noise) to T - 1 (nearly all noise).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from sdkit.errors import SdkitError


class Schedule:
    """A noise schedule of T steps.

    Parameters
    ----------
    betas : (T,) tensor or sequence, each in (0, 1]
    final_alpha_cumprod : abar at the end of the chain, after the step from timestep 0. None means
        abar_0, as in Stable Diffusion (`set_alpha_to_one=False`). The DDIM paper has 1.
    prediction_type : what the network was trained to predict: "epsilon" (the noise),
        "v_prediction" (Salimans & Ho 2022, arXiv:2202.00512, appendix D), or "flow_prediction"
        (the velocity noise - x0 on a straight road; Liu et al. 2023, arXiv:2209.03003).
    """

    def __init__(
        self,
        betas: torch.Tensor | Sequence[float],
        final_alpha_cumprod: float | torch.Tensor | None = None,
        prediction_type: str = "epsilon",
    ):
        self.betas = torch.as_tensor(betas, dtype=torch.float64)  # (T,)
        self.alphas_cumprod = (1 - self.betas).cumprod(0)  # (T,), falls from about 1 to about 0
        self.final_alpha_cumprod = (
            self.alphas_cumprod[0]
            if final_alpha_cumprod is None
            else torch.as_tensor(final_alpha_cumprod, dtype=torch.float64)
        )
        self.prediction_type = prediction_type

    @classmethod
    def of(cls, scheduler: Any) -> "Schedule":
        """The schedule of a diffusers scheduler, for instance of `pipe.scheduler`.

        Schedulers that work with noise levels (sigmas: Euler, DPM-Solver++) end without noise, at
        abar = 1.
        """
        final = getattr(
            scheduler, "final_alpha_cumprod", 1.0 if hasattr(scheduler, "sigmas") else None
        )
        return cls(scheduler.betas, final, scheduler.config.prediction_type)

    def __len__(self) -> int:
        return len(self.betas)

    def alpha_cumprod(self, t: int | torch.Tensor) -> torch.Tensor:
        """abar at timestep(s) t, shaped as t; `final_alpha_cumprod` for t < 0."""
        t = torch.as_tensor(t, device="cpu")
        return torch.where(t < 0, self.final_alpha_cumprod, self.alphas_cumprod[t.clamp(min=0)])

    def factors(self, t: int | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The factors of the picture and of the noise at timestep(s) t, both shaped as t.

        Their squares add up to 1: sqrt(abar) and sqrt(1 - abar). On a straight road the factors
        themselves add up to 1: 1 - u and u, with the same signal-to-noise ratio.
        """
        abar = self.alpha_cumprod(t)
        signal, noise = abar.sqrt(), (1 - abar).sqrt()
        total = signal + noise if self.prediction_type == "flow_prediction" else 1
        return signal / total, noise / total

    def snr_db(self, t: int | slice | torch.Tensor = slice(None)) -> torch.Tensor:
        """Signal-to-noise ratio abar / (1 - abar) in decibels at timestep(s) t; (T,) by default."""
        abar = self.alphas_cumprod[t]
        return 10 * torch.log10(abar / (1 - abar))

    def add_noise(
        self, x0: torch.Tensor, noise: torch.Tensor, t: int | torch.Tensor
    ) -> torch.Tensor:
        """Noise x0 to timestep t in one jump: sqrt(abar_t) x0 + sqrt(1 - abar_t) noise.

        DDPM, equation 4; on a straight road (1 - u) x0 + u noise. x0 and noise are (B, ...); t is
        an int, or (B,) ints, one per picture.
        """
        signal, strength = self._factors_like(x0, t)
        return signal * x0 + strength * noise

    def target(self, x0: torch.Tensor, noise: torch.Tensor, t: int | torch.Tensor) -> torch.Tensor:
        """What the network should answer to `add_noise(x0, noise, t)`, by `prediction_type`."""
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "v_prediction":
            signal, strength = self._factors_like(x0, t)
            return signal * noise - strength * x0
        if self.prediction_type == "flow_prediction":
            return noise - x0  # the slope of the straight line from x0 to the noise
        raise SdkitError(f"Prediction type {self.prediction_type!r} is not known here.")

    def _factors_like(
        self, x0: torch.Tensor, t: int | torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`factors` as tensors (B or 1, 1, 1, ...) that multiply x0 (B, ...)."""
        signal, noise = (f.reshape(-1, *[1] * (x0.ndim - 1)).to(x0) for f in self.factors(t))
        return signal, noise


def linear(
    num_train_timesteps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Schedule:
    """DDPM's schedule: betas rise linearly (Ho et al. 2020, section 4)."""
    return Schedule(torch.linspace(beta_start, beta_end, num_train_timesteps, dtype=torch.float64))


def scaled_linear(
    num_train_timesteps: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012
) -> Schedule:
    """Stable Diffusion's schedule: the square roots of the betas rise linearly.

    Rombach et al. 2022 (arXiv:2112.10752); the end values are those of the released models.
    """
    roots = torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, dtype=torch.float64)
    return Schedule(roots**2)


def cosine(num_train_timesteps: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> Schedule:
    """abar follows a squared cosine (Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17)."""

    def abar(u: float) -> float:
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2

    T = num_train_timesteps
    return Schedule([min(1 - abar((t + 1) / T) / abar(t / T), max_beta) for t in range(T)])


def log_linear(
    num_train_timesteps: int = 200, start_db: float = 45.0, end_db: float = -45.0
) -> Schedule:
    """The SNR falls by the same number of decibels at each step, from start_db to end_db.

    So every scale of detail gets equally many steps. The logarithm of the SNR is uniform (compare
    Kingma et al. 2021, arXiv:2107.00630). Sampling ends at abar = 1.
    """
    snr = 10 ** (torch.linspace(start_db, end_db, num_train_timesteps, dtype=torch.float64) / 10)
    abar = torch.cat([torch.ones(1, dtype=torch.float64), snr / (1 + snr)])  # (T + 1,)
    return Schedule(1 - abar[1:] / abar[:-1], final_alpha_cumprod=1.0)


def straight(num_train_timesteps: int = 1000) -> Schedule:
    """A straight road from picture to noise: x_t = (1 - u) x0 + u noise, u = 1/T, 2/T, ..., 1.

    Rectified flow (Liu et al. 2023, arXiv:2209.03003, equation 1) and flow matching (Lipman et al.
    2023, arXiv:2210.02747) walk it, and the network predicts the velocity. Timestep t of T has u =
    (t + 1) / T; the last one is pure noise. Both papers count from noise to data. The direction
    here is that of diffusers and of Stable Diffusion 3.
    """
    u = torch.arange(num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
    abar = (1 - u) ** 2 / ((1 - u) ** 2 + u**2)  # (T + 1,), the share of the variance
    return Schedule(1 - abar[1:] / abar[:-1], 1.0, "flow_prediction")
