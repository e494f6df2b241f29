"""Sampling as a generator: ``for state in denoise(...)``; the caller owns the loop and draws what it likes.

DDIM (Song et al. 2021, arXiv:2010.02502), which is Euler's method where the chain ends at abar = 1, and DPM-Solver++
(Lu et al. 2022, arXiv:2211.01095); classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598). The tests hold
`denoise` to diffusers' pipelines.
"""

import math
from dataclasses import dataclass

import torch

from sdkit.errors import SdkitError


@dataclass
class State:
    """What `denoise` knows after a step."""

    step: int  # 0, 1, ..., len(timesteps) - 1
    t: int  # the timestep that the network just looked at
    latents: torch.Tensor  # (B, C, h, w) after the step, a little less noisy
    pred_x0: torch.Tensor  # (B, C, h, w) the clean latents as the network sees them from here


def timesteps(schedule, num_inference_steps, strength=1.0):
    """The timesteps of a run, from noisy to clean, as a list of ints.

    "Leading" spacing with an offset of 1, as in Stable Diffusion's configuration. With `strength` < 1, only
    the last int(num_inference_steps * strength) of them: image-to-image starts part of the way (SDEdit, Meng
    et al. 2022, arXiv:2108.01073). Raises `SdkitError` when none is left.
    """
    T, n = len(schedule), num_inference_steps
    if not 1 <= n < T:
        raise SdkitError(f"{n} steps do not fit a schedule of {T}. Take 1 to {T - 1}.")
    keep = int(n * strength)
    if keep < 1:
        raise SdkitError(
            f"{n} steps x strength {strength:g} is less than one step. Raise one of them."
        )
    return [i * (T // n) + 1 for i in range(n)][::-1][-keep:]


def predictions(schedule, model_output, t, sample):
    """What the network's output says of the clean sample and the noise in it: (pred_x0, pred_epsilon)."""
    abar = schedule.alpha_cumprod(t)
    signal, noise = abar.sqrt().item(), (1 - abar).sqrt().item()
    if schedule.prediction_type == "epsilon":
        return (sample - noise * model_output) / signal, model_output
    if schedule.prediction_type == "v_prediction":
        return signal * sample - noise * model_output, signal * model_output + noise * sample
    raise SdkitError(
        f"Prediction type {schedule.prediction_type!r} is not known here. "
        "Take a model that predicts epsilon or v."
    )


def ddim_step(schedule, model_output, t, t_prev, sample, eta=0.0, noise=None):
    """One step from timestep t to t_prev (DDIM, equation 12): (prev_sample, pred_x0), shapes as `sample`.

    eta = 0 is deterministic, eta = 1 adds the noise of DDPM and then wants `noise`, shaped as `sample`.
    t_prev < 0 stands for the end of the chain.
    """
    abar, abar_prev = schedule.alpha_cumprod(t), schedule.alpha_cumprod(t_prev)
    pred_x0, pred_epsilon = predictions(schedule, model_output, t, sample)
    sigma = eta * ((1 - abar_prev) / (1 - abar) * (1 - abar / abar_prev)).sqrt()  # equation 16
    # "pointing to x_t"
    direction = (1 - abar_prev - sigma**2).clamp(min=0).sqrt().item() * pred_epsilon
    prev_sample = abar_prev.sqrt().item() * pred_x0 + direction
    if eta > 0:
        prev_sample = prev_sample + sigma.item() * noise
    return prev_sample, pred_x0


def dpm_step(schedule, model_output, t, t_prev, sample, before=None):
    """One step of DPM-Solver++(2M) from timestep t to t_prev (Lu et al. 2022, algorithm 2): (prev_sample, pred_x0).

    `before` = (t, pred_x0) of the step before makes it second order: the clean sample is not only believed, its drift is
    drawn on. Without it, and for the step to abar = 1, this is DDIM.
    """
    pred_x0, _ = predictions(schedule, model_output, t, sample)
    (signal, noise), (signal_prev, noise_prev) = (
        (abar.sqrt().item(), (1 - abar).sqrt().item())
        for abar in map(schedule.alpha_cumprod, (t, t_prev))
    )
    if noise_prev == 0:
        return signal_prev * pred_x0, pred_x0
    # in half log-SNR
    ahead, length = pred_x0, math.log(signal_prev / noise_prev) - math.log(signal / noise)
    if before is not None:
        abar = schedule.alpha_cumprod(before[0])
        length_before = math.log(signal / noise) - 0.5 * (abar / (1 - abar)).log().item()
        ahead = pred_x0 + length / (2 * length_before) * (pred_x0 - before[1])
    return noise_prev / noise * sample - signal_prev * math.expm1(-length) * ahead, pred_x0


def guide(uncond, cond, guidance_scale):
    """Classifier-free guidance: go from the answer without the prompt past the answer with it.

    Ho & Salimans 2022, equation 6, in the pipelines' numbering, where 1 means "no guidance" (w = scale - 1).
    """
    return uncond + guidance_scale * (cond - uncond)


@torch.no_grad()
def denoise(
    unet,
    schedule,
    latents,
    prompt_embeds,
    negative_embeds,
    timesteps,
    guidance_scale,
    solver="ddim",
):
    """Walk `latents` (B, C, h, w), noised to timesteps[0], back to clean ones; yield a `State` each step.

    prompt_embeds and negative_embeds are (B, L, D), or (1, L, D) for all. With guidance_scale <= 1 the
    network is asked once a step, with the prompt alone. `solver` is "ddim" or "dpm++" (second order, for few steps).
    Yields len(timesteps) states; the last one holds the result.
    """
    if solver not in ("ddim", "dpm++"):
        raise SdkitError(f"There is no solver {solver!r}. Take 'ddim' or 'dpm++'.")
    prompt_embeds = prompt_embeds.expand(len(latents), -1, -1)
    guided = guidance_scale > 1
    context, before = prompt_embeds, None
    if guided:
        context = torch.cat([negative_embeds.expand_as(prompt_embeds), prompt_embeds])  # (2B, L, D)
    for step, t in enumerate(timesteps):
        inputs = torch.cat([latents] * 2) if guided else latents  # (2B or B, C, h, w)
        output = unet(inputs, t, encoder_hidden_states=context).sample
        if guided:
            output = guide(*output.chunk(2), guidance_scale)
        t_prev = timesteps[step + 1] if step + 1 < len(timesteps) else -1
        if solver == "ddim":
            latents, pred_x0 = ddim_step(schedule, output, t, t_prev, latents)
        else:
            latents, pred_x0 = dpm_step(schedule, output, t, t_prev, latents, before)
            before = t, pred_x0
        yield State(step, t, latents, pred_x0)


@torch.no_grad()
def walk(network, schedule, x, generator=None, timesteps=None, eta=1.0):
    """Walk points x (B, 2), noised to timesteps[0], back to clean ones; yield (t, x after the step from t).

    `network(x, t)` predicts what the schedule's `prediction_type` says. All timesteps by default, or a falling list
    of some. eta = 1 is ancestral sampling (DDPM, Ho et al. 2020, algorithm 2, with the smaller of its variances),
    eta = 0 is DDIM, without fresh noise.
    """
    timesteps = list(reversed(range(len(schedule)))) if timesteps is None else timesteps
    for t, t_prev in zip(timesteps, [*timesteps[1:], -1]):
        noise = torch.randn(x.shape, generator=generator)
        x, _ = ddim_step(schedule, network(x, t), t, t_prev, x, eta, noise)
        yield t, x
