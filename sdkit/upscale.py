"""Pictures four times larger, by the upscaler in the design of Stable Diffusion's (Rombach et al. 2022, section 4.4).

A UNet denoises the large picture's latents with the small picture beside them at every step. It starts from noise alone
(strength 1), or from what the regressor names at once, with noise on it (SDEdit, Meng et al. 2022): the less noise, the
nearer to the mean of all pictures that it may be, and the less is invented. Anything beyond 144 px is done in
overlapping tiles, whose predictions are averaged before each step (MultiDiffusion, Bar-Tal et al. 2023,
arXiv:2302.08113, equation 5), so that there are no seams.
"""

import contextlib
import warnings
from numbers import Integral, Real

import torch
import torch.nn.functional as F

from sdkit import __version__
from sdkit.diffusion import latents as latent
from sdkit.errors import SdkitError
from sdkit.models import hardware
from sdkit.pictures import photos

# the result's sides over the picture's; also the VAE's, so latents are as large as the picture
FACTOR = 4
SMALLEST, LARGEST = 16, 512  # px, sides of the pictures that are taken
STEPS, STRENGTH = 20, 0.4  # where nothing else is asked for; chosen on validation pictures
TILE, OVERLAP = 144, 20  # latent pixels; a side of 256 has two tiles, one of 512 four


def upscale(
    pipe,
    images,
    num_inference_steps=STEPS,
    strength=STRENGTH,
    noise_level=0,
    seed=0,
    on_step=None,
    drawn=False,
):
    """Make each picture of `images` (list of `PIL.Image` with sides of 16 to 512 px) four times larger: a list.

    pipe : from `models.load_upscaler`; num_inference_steps : 1 to 500; strength : how much is invented, over 0 to 1: the
    last int(num_inference_steps * strength) steps are made, from the regressor's picture; all of them at 1, from noise
    alone, as in diffusers. noise_level : how much noise the small picture gets first, 0 to the model's most (100): it
    hides flaws of the picture, and the result then agrees with it in broad areas only. drawn : whether a model drew the
    pictures: single pixels are then soft and woven, so the result agrees with them at half their size only. Each
    picture has a generator of its own: one seed gives one picture, whatever else is in the list. `on_step()` is called
    after each step. Raises `SdkitError` for pictures and numbers outside.
    """
    check(num_inference_steps, "Number of steps", 1, 500)
    steps_run(num_inference_steps, strength)
    check(noise_level, "Noise level", 0, pipe.config.max_noise_level)
    check(seed, "Seed", 0, 2**63 - 1)

    def latents_of(low):
        generator = torch.Generator("cpu").manual_seed(seed)
        return sample(pipe, low, num_inference_steps, noise_level, generator, strength, on_step)

    return [
        enlarged(pipe, low, latents_of, 4 if noise_level else 2 if drawn else 1)
        for low in tensors(images)
    ]


def regress(pipe, images):
    """As `upscale`, by the same network trained to name the latents at once, in one call: `pipe.regressor`."""
    level = torch.tensor([0], device=pipe.vae.device)
    return [
        enlarged(
            pipe, low, lambda low: regressed(pipe, low.to(pipe.vae.device, pipe.vae.dtype), level)
        )
        for low in tensors(images)
    ]


def enlarged(pipe, low, latents_of, coarser=1):
    """The large `PIL.Image` for the small picture low (1, 3, h, w), by the latents that `latents_of(low)` gives."""
    with hardware.enough_memory(f"to upscale {low.shape[3]} x {low.shape[2]} pixels"):
        return finish(pipe.vae, latents_of(low), low, coarser)


def steps_run(num_inference_steps, strength):
    """How many steps are really made, int(num_inference_steps * strength); raises `SdkitError` where that is none."""
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
    pipe, low, num_inference_steps, noise_level, generator, strength=1.0, on_step=None, tile=TILE
):
    """Latents (1, C, h, w) of the large picture for the small one, low (1, 3, h, w) in [-1, 1].

    At strength 1, for a picture of one tile, the same as `StableDiffusionUpscalePipeline` without guidance (the tests
    hold it to that).
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
    for t in timesteps:
        # (1, C + 3, h, w)
        inputs = torch.cat([scheduler.scale_model_input(latents, t), low], dim=1)
        output = tiled(
            lambda part, t=t: pipe.unet(part, t, None, class_labels=level).sample, inputs, tile
        )
        latents = scheduler.step(output, t, latents, return_dict=False)[0]
        if on_step:
            on_step()
    return latents


@torch.no_grad()
def regressed(pipe, low, level, tile=TILE):
    """The mean (1, C, h, w) of all latents that may belong to low (1, 3, h, w) with noise of `level`, in one call."""
    if pipe.regressor is None:
        raise SdkitError(
            "This upscaler came without its regressor. Clone the repository whole, or train it "
            "(python -m sdkit.recipes.upscaler --regression); strength 1 needs none."
        )
    # in the place of noisy latents
    nothing = low.new_zeros(1, pipe.vae.config.latent_channels, *low.shape[2:])
    return tiled(
        lambda part: pipe.regressor(part, 0, None, class_labels=level).sample,
        torch.cat([nothing, low], dim=1),
        tile,
    )


def tiled(function, x, tile=TILE, overlap=OVERLAP):
    """`function` of x (B, C, h, w), taken of overlapping tiles and averaged: (B, C', k h, k w) for any whole k.

    Each tile counts with a weight that falls smoothly towards its edges, where it sees nothing of what is beyond.
    """
    height, width = x.shape[2:]
    if max(height, width) <= tile:
        return function(x)
    total = weights = 0
    for top in starts(height, tile, overlap):
        for left in starts(width, tile, overlap):
            part = function(x[:, :, top : top + tile, left : left + tile])
            factor = part.shape[2] // min(tile, height)
            weight = torch.outer(*(window(side, overlap * factor) for side in part.shape[2:])).to(
                part
            )
            if not torch.is_tensor(total):
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


def starts(length, tile, overlap):
    """Where tiles begin that cover `length`, evenly spread, each with at least `overlap` in common with the next."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(k * (length - tile) / (count - 1)) for k in range(count)]


def window(length, ramp):
    """Weights (length,) that rise as a sine squared over `ramp` values, stay 1 and fall again."""
    # from the nearer edge
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 0.5
    return torch.sin(torch.pi / 2 * (distance / ramp).clamp(max=1)).square()


def finish(vae, latents, low, coarser=1):
    """Latents (1, C, h, w) -> the large `PIL.Image`, which shrinks to the small picture `low` (1, 3, h, w) again.

    Where the pixels of `low` are not trusted, only to what is left of it when it is `coarser` times smaller.
    """
    large = tiled(lambda part: latent.decode(vae, part), latents).float().cpu()
    if coarser > 1:
        low = F.interpolate(
            low, [side // coarser for side in low.shape[2:]], mode="bicubic", antialias=True
        )
    return photos.to_image(project(large, low))


def project(large, low):
    """Back-projection (Irani & Peleg 1991): change large (B, 3, H, W) so that it shrinks to low (B, 3, h, w).

    What decoder and network got wrong in broad areas, colours above all, is known from the small picture; the change is
    smooth, and one go takes most of the error away.
    """
    missing = low - F.interpolate(large, low.shape[2:], mode="bicubic", antialias=True)
    return large + F.interpolate(missing, large.shape[2:], mode="bicubic", antialias=True)


def tensors(images):
    """Each `PIL.Image` as a tensor (1, 3, h, w) in [-1, 1]; raises `SdkitError` before any of them is worked on."""
    if isinstance(images, photos.Image.Image):
        raise SdkitError("A list of pictures is wanted. Put brackets around the one: [image].")
    for image in images:
        if not SMALLEST <= min(image.size) <= max(image.size) <= LARGEST:
            raise SdkitError(
                f"A picture of {image.width} x {image.height} pixels cannot be upscaled here. Give one "
                f"with sides of {SMALLEST} to {LARGEST} pixels; it becomes four times larger."
            )
    return [photos.to_tensor(image) for image in images]


def check(value, what, low, high):
    """Raise `SdkitError` unless `value` is a whole number from `low` to `high`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= value <= high:
        raise SdkitError(
            f"{what} {value!r:.40} is not a whole number from {low} to {high}. Choose one."
        )


def load(folder, shared, device, dtype=None):
    """The pipeline in `folder` around the VAE, text encoder and tokenizer of `shared`; see `models.load_upscaler`."""
    from diffusers import StableDiffusionUpscalePipeline, UNet2DConditionModel

    parts = {name: shared[name] for name in ("vae", "text_encoder", "tokenizer")}
    how = {"local_files_only": True, "use_safetensors": True}
    index = "" if folder.is_file() else (folder / "model_index.json").read_text("utf-8", "replace")
    if '"StableDiffusionUpscalePipeline"' not in index:
        raise SdkitError(
            f"{folder.name} is no upscaler. Take mini-upscaler, or a folder of its kind."
        )
    try:
        with own_scaling(parts["vae"]):
            pipe = StableDiffusionUpscalePipeline.from_pretrained(
                folder, **parts, dtype=dtype or torch.float32, **how
            ).to(device)
        regressor = folder / "regressor"
        pipe.regressor = (
            UNet2DConditionModel.from_pretrained(regressor, **how).to(
                device, dtype or torch.float32
            )
            if regressor.is_dir()
            else None
        )
    except Exception as error:
        raise SdkitError(
            f"The weights in {folder} cannot be loaded ({error}). "
            "Put the folder back from the repository."
        ) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextlib.contextmanager
def own_scaling(vae):
    """Let `vae` keep its scaling factor while a `StableDiffusionUpscalePipeline` is built around it.

    Diffusers gives every VAE there the factor of the real upscaler, 0.08333.
    """
    factor = vae.config.scaling_factor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            yield
        finally:
            vae.register_to_config(scaling_factor=factor)


def note(
    num_inference_steps=STEPS, strength=STRENGTH, noise_level=0, seed=0, model="mini-upscaler"
):
    """How a picture was made, as text chunks for `provenance.save_png`: nothing of the small picture is in it."""
    return {
        "Software": f"sdkit {__version__}",
        "Description": f"Made with AI: a picture made four times larger by the diffusion model {model}",
        "Model": model,
        "Steps": str(num_inference_steps),
        "Strength": f"{strength:g}",
        "Noise level": str(noise_level),
        "Seed": str(seed),
    }
