"""Pictures four times larger, by an upscaler designed like Stable Diffusion's.

A UNet removes the noise from the latents of the large picture, and sees the small picture beside
them at every step (Rombach et al. 2022, arXiv:2112.10752, section 4.4). At strength 1 it starts
from pure noise. Below 1 it starts from the picture that the regressor predicts in one step, with
noise added (SDEdit: Meng et al. 2022, arXiv:2108.01073). The regressor predicts the mean of all
large pictures that fit the small one. With less noise the result stays nearer to that mean, and
less of the result is invented.

A picture beyond 144 px is done in overlapping tiles. Their predictions are averaged before each
step (MultiDiffusion: Bar-Tal et al. 2023, arXiv:2302.08113, equation 5), so there are no seams.
"""

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image

from sdkit import __version__, progress
from sdkit.diffusion.latents import decode
from sdkit.errors import SdkitError
from sdkit.models import Model, hardware
from sdkit.models.picture_settings import check_whole
from sdkit.pictures import broken, photos

if TYPE_CHECKING:
    from diffusers import StableDiffusionUpscalePipeline

# Sides of the result over sides of the picture. The VAE has the same factor, so the latents of the
# large picture have the size of the small one.
FACTOR = 4
SMALLEST, LARGEST = 16, 512  # px, sides of the pictures that can be enlarged
STEPS, STRENGTH = 20, 0.4  # the defaults, chosen on validation pictures
TILE, OVERLAP = 144, 20  # latent pixels; a side of 256 needs two tiles, one of 512 four


def upscale(
    pipe: "StableDiffusionUpscalePipeline",
    images: list[Image.Image],
    num_inference_steps: int = STEPS,
    strength: float = STRENGTH,
    noise_level: int = 0,
    seed: int = 0,
    on_step: Callable[[], object] | None = None,
    drawn: bool = False,
) -> list[Image.Image]:
    """Make each picture in `images` four times larger. Sides are 16 to 512 px.

    pipe : from `models.load_upscaler`.
    num_inference_steps : 1 to 500.
    strength : how much is invented, more than 0 and at most 1. The last int(num_inference_steps *
        strength) steps run, from the picture of the regressor. At 1 all of them run, from pure
        noise, as in diffusers.
    noise_level : noise that the small picture gets first, 0 to the model's maximum (100). It hides
        flaws of the picture, and the result then agrees with the picture in broad areas only.
    seed : seed of the noise, 0 or more.
    on_step : is called after each step. Without it, a notebook shows a progress bar.
    drawn : True for pictures that a model drew. Their single pixels are not reliable, so the
        result agrees with them at half their size only.

    Each picture has its own random generator, so a seed gives the same picture whatever else is in
    the list. Raises `SdkitError` if a picture or a number is not allowed.
    """
    check_whole(num_inference_steps, "Number of steps", 1, 500)
    running = steps_run(num_inference_steps, strength)
    check_whole(noise_level, "Noise level", 0, pipe.config.max_noise_level)
    check_whole(seed, "Seed", 0, 2**63 - 1)

    lows = tensors(images)
    with progress.counted(on_step, len(lows) * running, "enlarging") as on_step:

        def latents_of(low: torch.Tensor) -> torch.Tensor:
            generator = torch.Generator("cpu").manual_seed(seed)
            return sample(pipe, low, num_inference_steps, noise_level, generator, strength, on_step)

        return [
            enlarged(pipe, low, latents_of, 4 if noise_level else 2 if drawn else 1) for low in lows
        ]


def regress(pipe: "StableDiffusionUpscalePipeline", images: list[Image.Image]) -> list[Image.Image]:
    """Like `upscale`, but in one step, with the network `pipe.regressor` that predicts the mean."""
    level = torch.tensor([0], device=pipe.vae.device)
    return [
        enlarged(
            pipe, low, lambda low: regressed(pipe, low.to(pipe.vae.device, pipe.vae.dtype), level)
        )
        for low in tensors(images)
    ]


def enlarged(
    pipe: "StableDiffusionUpscalePipeline",
    low: torch.Tensor,
    latents_of: Callable[[torch.Tensor], torch.Tensor],
    coarser: int = 1,
) -> Image.Image:
    """The large picture for the small one, low (1, 3, h, w); `latents_of(low)` gives its latents.

    coarser : as in `finish`.
    """
    with hardware.enough_memory(f"to upscale {low.shape[3]} x {low.shape[2]} pixels"):
        latents = latents_of(low)
        broken.refuse_not_finite(latents, "latents")
        return finish(pipe.vae, latents, low, coarser)


def steps_run(num_inference_steps: int, strength: float) -> int:
    """The number of steps that run, int(num_inference_steps * strength).

    Raises `SdkitError` if that is less than one, or if `strength` is not a number from 0 to 1.
    """
    if not isinstance(strength, Real) or isinstance(strength, bool) or not 0 <= strength <= 1:
        raise SdkitError(f"Strength {strength!r:.40} is not a number from 0 to 1. Choose one.")
    if int(num_inference_steps * strength) < 1:
        raise SdkitError(
            f"{num_inference_steps} steps x strength {float(strength):g} is less than one step. "
            "Raise one of them."
        )
    return int(num_inference_steps * strength)


@torch.no_grad()
def sample(
    pipe: "StableDiffusionUpscalePipeline",
    low: torch.Tensor,
    num_inference_steps: int,
    noise_level: int,
    generator: torch.Generator,
    strength: float = 1.0,
    on_step: Callable[[], object] | None = None,
    tile: int = TILE,
) -> torch.Tensor:
    """Latents (1, C, h, w) of the large picture for the small one, low (1, 3, h, w) in [-1, 1].

    At strength 1, a picture of one tile gets the same latents as from diffusers'
    `StableDiffusionUpscalePipeline` without guidance.
    """
    device, dtype, scheduler = pipe.unet.device, pipe.unet.dtype, pipe.scheduler
    level = torch.tensor([noise_level])
    grain, noise = (
        torch.randn((1, channels, *low.shape[2:]), generator=generator)
        for channels in (3, pipe.vae.config.latent_channels)
    )
    low = pipe.low_res_scheduler.add_noise(low, grain, level).to(device, dtype)
    noise, level = noise.to(device, dtype), level.to(device)
    scheduler.set_timesteps(num_inference_steps, device=device)
    skipped = num_inference_steps - steps_run(num_inference_steps, strength)
    timesteps, latents = scheduler.timesteps[skipped:], noise * scheduler.init_noise_sigma
    if skipped:
        scheduler.set_begin_index(skipped)
        latents = scheduler.add_noise(regressed(pipe, low, level, tile), noise, timesteps[:1])

    def denoise(t: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        return pipe.unet(part, t, None, class_labels=level).sample

    for t in timesteps:
        inputs = torch.cat([scheduler.scale_model_input(latents, t), low], dim=1)  # (1, C+3, h, w)
        output = tiled(partial(denoise, t), inputs, tile)
        latents = scheduler.step(output, t, latents, return_dict=False)[0]
        if on_step:
            on_step()
    return latents


@torch.no_grad()
def regressed(
    pipe: "StableDiffusionUpscalePipeline",
    low: torch.Tensor,
    level: torch.Tensor,
    tile: int = TILE,
) -> torch.Tensor:
    """The latents (1, C, h, w) that the regressor predicts for low (1, 3, h, w), in one step.

    level : (1,), the noise level of `low`.

    They are an estimate of the mean of all latents that fit `low`. Raises `SdkitError` if the
    upscaler has no regressor.
    """
    if pipe.regressor is None:
        raise SdkitError(
            "This upscaler has no regressor. Clone the whole repository, or train it "
            "(python -m sdkit.recipes.upscaler --regression); strength 1 needs none."
        )
    # the regressor has the inputs of the UNet, but there are no noisy latents
    nothing = low.new_zeros(1, pipe.vae.config.latent_channels, *low.shape[2:])
    return tiled(
        lambda part: pipe.regressor(part, 0, None, class_labels=level).sample,
        torch.cat([nothing, low], dim=1),
        tile,
    )


def tiled(
    function: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    tile: int = TILE,
    overlap: int = OVERLAP,
) -> torch.Tensor:
    """Apply `function` to overlapping tiles of x (B, C, h, w), and average: (B, C', k h, k w).

    k is a whole number, the factor by which `function` enlarges. The weight of a tile falls towards
    its edges, because there the function does not see what is beyond.
    """
    height, width = x.shape[2:]
    if max(height, width) <= tile:
        return function(x)
    total = weights = torch.zeros(0)
    for top in starts(height, tile, overlap):
        for left in starts(width, tile, overlap):
            part = function(x[:, :, top : top + tile, left : left + tile])
            factor = part.shape[2] // min(tile, height)
            weight = torch.outer(*(window(side, overlap * factor) for side in part.shape[2:])).to(
                part
            )
            if not len(total):  # the first tile gives the shape of the result
                total = part.new_zeros(*part.shape[:2], factor * height, factor * width)
                weights = torch.zeros_like(total[:1, :1])
            place = (
                ...,
                slice(factor * top, factor * top + part.shape[2]),
                slice(factor * left, factor * left + part.shape[3]),
            )
            total[place] += part * weight
            weights[place] += weight
    return total / weights


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where the tiles begin that cover `length`.

    They are evenly spread, and each overlaps with the next by at least `overlap`.
    """
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(k * (length - tile) / (count - 1)) for k in range(count)]


def window(length: int, ramp: int) -> torch.Tensor:
    """Weights (length,) that rise like a squared sine over `ramp` values, stay 1, then fall."""
    # to the nearer edge
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 0.5
    return torch.sin(torch.pi / 2 * (distance / ramp).clamp(max=1)).square()


def finish(
    vae: torch.nn.Module, latents: torch.Tensor, low: torch.Tensor, coarser: int = 1
) -> Image.Image:
    """Decode latents (1, C, h, w) to the large picture, and make it agree with low (1, 3, h, w).

    coarser : the two agree when both are shrunk to 1/coarser of the sides of `low`. Above 1, the
        single pixels of `low` do not matter.
    """
    large = tiled(lambda part: decode(vae, part), latents).float().cpu()
    # what comes next would paint the small picture into one colour
    broken.refuse_one_colour(photos.to_image(large), photos.to_image(low))
    if coarser > 1:
        low = F.interpolate(
            low, [side // coarser for side in low.shape[2:]], mode="bicubic", antialias=True
        )
    return photos.to_image(project(large, low))


def project(large: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Change large (B, 3, H, W) so that it shrinks to low (B, 3, h, w): back-projection.

    One iteration (Irani and Peleg 1991, "Improving resolution by image registration"). The small
    picture shows the errors of broad areas, above all in colours. The change is smooth, and removes
    most of this error.
    """
    missing = low - F.interpolate(large, low.shape[2:], mode="bicubic", antialias=True)
    return large + F.interpolate(missing, large.shape[2:], mode="bicubic", antialias=True)


def tensors(images: list[Image.Image]) -> list[torch.Tensor]:
    """Each picture as a tensor (1, 3, h, w) in [-1, 1].

    Raises `SdkitError` if one of them cannot be enlarged.
    """
    if isinstance(images, Image.Image):
        raise SdkitError("A list of pictures is needed. Put brackets around the one: [image].")
    for image in images:
        check_size(*image.size)
    return [photos.to_tensor(image) for image in images]


def check_size(width: int, height: int) -> None:
    """Raise `SdkitError` if a picture of this size, in px, cannot be enlarged."""
    if not SMALLEST <= min(width, height) <= max(width, height) <= LARGEST:
        raise SdkitError(
            f"A picture of {width} x {height} pixels cannot be upscaled here. Give one with sides "
            f"of {SMALLEST} to {LARGEST} pixels; it becomes four times larger."
        )


def note(
    model: Model,
    num_inference_steps: int = STEPS,
    strength: float = STRENGTH,
    noise_level: int = 0,
    seed: int = 0,
) -> dict[str, str]:
    """How a picture was made, as texts for `provenance.save_png`. No small picture is in it.

    model : the upscaler that made the picture. The numbers are those of `upscale`.
    """
    return {
        "Software": f"sdkit {__version__}",
        "Description": "Made with AI: a picture made four times larger by the diffusion model "
        f"{model.label}",
        "Model": model.label,
        "Steps": str(num_inference_steps),
        "Strength": f"{strength:g}",
        "Noise level": str(noise_level),
        "Seed": str(seed),
    }
