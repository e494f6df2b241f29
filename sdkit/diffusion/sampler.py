"""Samplers as generators: ``for state in denoise(...)`` gives control back after each step.

DDIM (Song et al. 2021, arXiv:2010.02502), which is Euler's method if the chain ends at abar = 1;
DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095); and classifier-free guidance (Ho & Salimans 2022,
arXiv:2207.12598). The tests compare `denoise` with the diffusers pipelines.

Notation: abar is `alphas_cumprod`, sqrt(abar) the signal's factor in x_t, sqrt(1 - abar) the
noise's. In the DPM-Solver papers these two are alpha and sigma.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from sdkit import progress
from sdkit.diffusion.schedule import Schedule
from sdkit.errors import SdkitError


@dataclass
class State:
    """The state of `denoise` after one step."""

    step: int  # 0, 1, ..., len(timesteps) - 1
    t: int  # the timestep at which the network was called
    latents: torch.Tensor  # (B, C, h, w), a little less noisy than before the step
    pred_x0: torch.Tensor  # (B, C, h, w), the clean latents that the network predicts at t


def timesteps(schedule: Schedule, num_inference_steps: int, strength: float = 1.0) -> list[int]:
    """The timesteps of a run, from noisy to clean.

    Their spacing is "leading" with an offset of 1, as in Stable Diffusion's configuration. For
    image-to-image, `strength` in (0, 1] keeps only the last int(num_inference_steps * strength) of
    them, so that the run starts part of the way (SDEdit, Meng et al. 2022, arXiv:2108.01073).
    Raises `SdkitError` if no step is left.
    """
    T, n = len(schedule), num_inference_steps
    if not 1 <= n < T:
        raise SdkitError(f"{n} steps do not fit a schedule of {T}. Choose 1 to {T - 1}.")
    keep = int(n * strength)
    if keep < 1:
        raise SdkitError(
            f"{n} steps x strength {strength:g} is less than one step. Raise one of them."
        )
    return [i * (T // n) + 1 for i in range(n)][::-1][-keep:]


def predictions(
    schedule: Schedule, model_output: torch.Tensor, t: int, sample: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn the network's output at timestep t into (pred_x0, pred_epsilon), shaped as `sample`.

    The output is read as the schedule's `prediction_type` says: "epsilon" (DDPM, equation 4, solved
    for x0), "v_prediction" (Salimans & Ho 2022, arXiv:2202.00512, appendix D) or "flow_prediction"
    (the velocity on a straight road, Liu et al. 2023, arXiv:2209.03003). Any other type raises
    `SdkitError`.
    """
    signal, noise = (factor.item() for factor in schedule.factors(t))
    if schedule.prediction_type == "epsilon":
        return (sample - noise * model_output) / signal, model_output
    if schedule.prediction_type == "v_prediction":  # v = signal * epsilon - noise * x0
        return signal * sample - noise * model_output, signal * model_output + noise * sample
    if schedule.prediction_type == "flow_prediction":  # velocity = epsilon - x0
        return sample - noise * model_output, sample + signal * model_output
    raise SdkitError(
        f"Prediction type {schedule.prediction_type!r} is not known here. "
        "Use a model that predicts epsilon, v or the velocity."
    )


def ddim_step(
    schedule: Schedule,
    model_output: torch.Tensor,
    t: int,
    t_prev: int,
    sample: torch.Tensor,
    eta: float = 0.0,
    noise: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One DDIM step from timestep t to t_prev: (prev_sample, pred_x0), both shaped as `sample`.

    Song et al. 2021, equation 12. eta = 0 is deterministic. eta = 1 adds as much fresh noise as
    DDPM. With eta > 0, give `noise` (normal, shaped as `sample`). A negative t_prev means the end
    of the chain.
    """
    abar, abar_prev = schedule.alpha_cumprod(t), schedule.alpha_cumprod(t_prev)
    pred_x0, pred_epsilon = predictions(schedule, model_output, t, sample)
    signal_prev, noise_prev = (factor.item() for factor in schedule.factors(t_prev))
    fresh = eta**2 * (1 - abar / abar_prev) / (1 - abar)  # share of the noise; equation 16
    # "direction pointing to x_t"
    direction = noise_prev * (1 - fresh).clamp(min=0).sqrt().item() * pred_epsilon
    prev_sample = signal_prev * pred_x0 + direction
    if eta > 0:
        prev_sample = prev_sample + noise_prev * fresh.sqrt().item() * noise
    return prev_sample, pred_x0


def dpm_step(
    schedule: Schedule,
    model_output: torch.Tensor,
    t: int,
    t_prev: int,
    sample: torch.Tensor,
    previous: tuple[int, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One DPM-Solver++(2M) step from timestep t to t_prev: (prev_sample, pred_x0), as `sample`.

    Lu et al. 2022, algorithm 2. `previous` = (t, pred_x0) of the step before makes the step second
    order: D extrapolates the change of pred_x0 from the last step to this one. Without `previous`
    the step equals DDIM, and so does the last step to abar = 1.
    """
    pred_x0, _ = predictions(schedule, model_output, t, sample)
    (_, noise), (signal_prev, noise_prev) = (
        (signal.item(), noise.item()) for signal, noise in map(schedule.factors, (t, t_prev))
    )
    if noise_prev == 0:
        return signal_prev * pred_x0, pred_x0
    # h is the step's length in lambda = log(signal / noise)
    D, h = pred_x0, _lambda(schedule, t_prev) - _lambda(schedule, t)
    if previous is not None:
        t_before, x0_before = previous
        h_before = _lambda(schedule, t) - _lambda(schedule, t_before)
        D = pred_x0 + h / (2 * h_before) * (pred_x0 - x0_before)
    return noise_prev / noise * sample - signal_prev * math.expm1(-h) * D, pred_x0


def _lambda(schedule: Schedule, t: int) -> float:
    """log(signal / noise) at timestep t, half the log-SNR; minus infinity where nothing is left."""
    signal, noise = schedule.factors(t)
    return (signal / noise).log().item()


def guide(uncond: torch.Tensor, cond: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    """Classifier-free guidance: extrapolate from the output without the prompt to the one with it.

    Ho & Salimans 2022, equation 6, with the pipelines' guidance_scale = w + 1. Scale 0 ignores the
    prompt, 1 is no guidance, more than 1 amplifies what the prompt changes.
    """
    return uncond + guidance_scale * (cond - uncond)


def embed_scales(guidance_scales: torch.Tensor, width: int) -> torch.Tensor:
    """Embedding (B, width) of guidance scales (B,), for a UNet into which guidance was distilled.

    Sines and cosines of 1000 (scale - 1), as for the timesteps. Equal to
    `get_guidance_scale_embedding` of diffusers' pipelines (Meng et al. 2023, arXiv:2210.03142).
    width : an even number, `unet.config.time_cond_proj_dim`.
    """
    half = width // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angles = (guidance_scales[:, None] - 1) * 1000 * rates.to(guidance_scales)  # (B, width / 2)
    return torch.cat([angles.sin(), angles.cos()], 1)


@torch.no_grad()
def ask(
    unet: nn.Module,
    latents: torch.Tensor,
    t: int,
    prompt_embeds: torch.Tensor,
    negative_embeds: torch.Tensor,
    guidance_scale: float,
) -> torch.Tensor:
    """The network's answer (B, C, h, w) about `latents` at timestep t, guided as `denoise` says."""
    prompt_embeds = prompt_embeds.expand(len(latents), -1, -1)
    width = getattr(getattr(unet, "config", None), "time_cond_proj_dim", None)
    if guidance_scale > 1 and width is None:
        context = torch.cat([negative_embeds.expand_as(prompt_embeds), prompt_embeds])
        inputs = torch.cat([latents] * 2)  # (2B, C, h, w)
        uncond, cond = unet(inputs, t, encoder_hidden_states=context).sample.chunk(2)
        return guide(uncond, cond, guidance_scale)
    told: dict[str, torch.Tensor] = {}
    if guidance_scale > 1 and width:
        scales = torch.full((len(latents),), float(guidance_scale))
        told = {"timestep_cond": embed_scales(scales, width).to(latents)}
    return unet(latents, t, encoder_hidden_states=prompt_embeds, **told).sample


@torch.no_grad()
def denoise(
    unet: nn.Module,
    schedule: Schedule,
    latents: torch.Tensor,
    prompt_embeds: torch.Tensor,
    negative_embeds: torch.Tensor,
    timesteps: list[int],
    guidance_scale: float,
    solver: str = "ddim",
) -> Iterator[State]:
    """Denoise `latents` (B, C, h, w) from the noise level of timesteps[0]; a `State` per step.

    prompt_embeds and negative_embeds are (B, L, D), or (1, L, D) for the whole batch. With
    guidance_scale <= 1 there is no guidance: the UNet sees each latent once a step, with the prompt
    alone. A UNet into which guidance was distilled sees each latent once, too: the scale is its
    input, and it does not need negative_embeds. The scale must be one that it learned (mini-sd: up
    to 10). Any other UNet sees each latent twice.

    `solver` is "ddim" or "dpm++" (second order, for few steps); any other raises `SdkitError`.
    Yields len(timesteps) states, of which the last one holds the result.
    """
    if solver not in ("ddim", "dpm++"):
        raise SdkitError(f"There is no solver {solver!r}. Choose 'ddim' or 'dpm++'.")
    previous = None
    for step, t in enumerate(progress.bar(timesteps, "denoising")):
        output = ask(unet, latents, t, prompt_embeds, negative_embeds, guidance_scale)
        t_prev = timesteps[step + 1] if step + 1 < len(timesteps) else -1
        if solver == "ddim":
            latents, pred_x0 = ddim_step(schedule, output, t, t_prev, latents)
        else:
            latents, pred_x0 = dpm_step(schedule, output, t, t_prev, latents, previous)
            previous = t, pred_x0
        yield State(step, t, latents, pred_x0)


@torch.no_grad()
def denoise_points(
    network: Callable[[torch.Tensor, int], torch.Tensor],
    schedule: Schedule,
    x: torch.Tensor,
    generator: torch.Generator | None = None,
    timesteps: list[int] | None = None,
    eta: float = 1.0,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Denoise points x (B, 2) without a prompt; yield (t, x after the step from t) for each step.

    `network(x, t)` predicts what the schedule's `prediction_type` says. `timesteps` is a falling
    list, by default all T of them; x has the noise level of the first one. eta = 1 is ancestral
    sampling (DDPM, Ho et al. 2020, algorithm 2, with the smaller of its two variances), eta = 0 is
    DDIM, without fresh noise.
    """
    timesteps = list(reversed(range(len(schedule)))) if timesteps is None else timesteps
    for t, t_prev in zip(progress.bar(timesteps, "denoising"), [*timesteps[1:], -1]):
        noise = torch.randn(x.shape, generator=generator)
        x, _ = ddim_step(schedule, network(x, t), t, t_prev, x, eta, noise)
        yield t, x
