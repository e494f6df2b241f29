"""Noise schedules: how much of a picture is left after t steps of noise.

Notation of DDPM (Ho et al. 2020, arXiv:2006.11239): beta_t is the variance added at step t, and
abar_t = prod_s (1 - beta_s) the share of the picture's variance that is left, `alphas_cumprod` in code.
Timesteps run from 0 (one step of noise) to T-1 (nearly all noise).
"""

import math

import torch


class Schedule:
    """A noise schedule of T steps.

    Parameters
    ----------
    betas : (T,) tensor or sequence, each in (0, 1]
    final_alpha_cumprod : what a sampler takes for abar "before" step 0. Stable Diffusion takes abar_0
        (`set_alpha_to_one=False`, the default here), DDIM's paper takes 1.
    prediction_type : what the network was trained to predict: "epsilon" (the noise), or
        "v_prediction" (Salimans & Ho 2022, arXiv:2202.00512, appendix D).
    """

    def __init__(self, betas, final_alpha_cumprod=None, prediction_type="epsilon"):
        self.betas = torch.as_tensor(betas, dtype=torch.float64)  # (T,)
        self.alphas_cumprod = (1 - self.betas).cumprod(0)  # (T,), falls from about 1 to about 0
        self.final_alpha_cumprod = (
            self.alphas_cumprod[0]
            if final_alpha_cumprod is None
            else (torch.as_tensor(final_alpha_cumprod, dtype=torch.float64))
        )
        self.prediction_type = prediction_type

    @classmethod
    def of(cls, scheduler):
        """The schedule inside a diffusers scheduler, for instance `pipe.scheduler`.

        Those that count in noise levels (Euler, DPM-Solver++) end without noise, at abar = 1.
        """
        final = getattr(
            scheduler, "final_alpha_cumprod", 1.0 if hasattr(scheduler, "sigmas") else None
        )
        return cls(scheduler.betas, final, scheduler.config.prediction_type)

    def __len__(self):
        return len(self.betas)

    def alpha_cumprod(self, t):
        """abar at timestep t (int); `final_alpha_cumprod` for t < 0."""
        return self.alphas_cumprod[t] if t >= 0 else self.final_alpha_cumprod

    def snr_db(self, t=slice(None)):
        """Signal-to-noise ratio abar / (1 - abar) at timestep(s) t in decibel; of all T steps by default."""
        abar = self.alphas_cumprod[t]
        return 10 * torch.log10(abar / (1 - abar))

    def add_noise(self, x0, noise, t):
        """Jump from x0 to timestep t at once: sqrt(abar_t) x0 + sqrt(1 - abar_t) noise (DDPM, equation 4).

        x0 and noise (B, ...); t an int, or one int per picture (B,).
        """
        t = torch.as_tensor(t, device="cpu")
        # (B or 1, 1, 1, ...)
        abar = self.alphas_cumprod[t].reshape(-1, *[1] * (x0.ndim - 1)).to(x0.device)
        return abar.sqrt().to(x0.dtype) * x0 + (1 - abar).sqrt().to(x0.dtype) * noise


def linear(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02):
    """DDPM's schedule: betas rise linearly (Ho et al. 2020, section 4)."""
    return Schedule(torch.linspace(beta_start, beta_end, num_train_timesteps, dtype=torch.float64))


def scaled_linear(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012):
    """Stable Diffusion's schedule: the square roots of the betas rise linearly (Rombach et al. 2022)."""
    roots = torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, dtype=torch.float64)
    return Schedule(roots**2)


def cosine(num_train_timesteps=1000, s=0.008, max_beta=0.999):
    """abar follows a squared cosine (Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17)."""

    def abar(u):
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2

    T = num_train_timesteps
    return Schedule([min(1 - abar((t + 1) / T) / abar(t / T), max_beta) for t in range(T)])


def log_linear(num_train_timesteps=200, start_db=45.0, end_db=-45.0):
    """The SNR falls by equally many decibels at each step, so every scale of detail gets equally many steps.

    Uniform in the logarithm of the SNR (compare Kingma et al. 2021, arXiv:2107.00630); a walk back ends at abar = 1.
    """
    snr = 10 ** (torch.linspace(start_db, end_db, num_train_timesteps, dtype=torch.float64) / 10)
    abar = torch.cat([torch.ones(1, dtype=torch.float64), snr / (1 + snr)])
    return Schedule(1 - abar[1:] / abar[:-1], final_alpha_cumprod=1.0)
