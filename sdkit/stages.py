"""Stages after a picture was drawn: draw it again, enlarge it, or paint it in a style."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from sdkit import generate, upscale
from sdkit.models import Model, hardware
from sdkit.models.picture_settings import Settings

if TYPE_CHECKING:
    from diffusers import StableDiffusionImg2ImgPipeline


@dataclass(frozen=True)
class Stage:
    """One stage. It makes the next picture from the last one."""

    # apply(image, seed, on_step) gives the next picture, and calls on_step() after each step
    apply: Callable[..., Image.Image]
    # how often it calls on_step()
    steps: int
    # texts for the file; see `generate.note`
    note: dict[str, str]
    # the end of the file's name
    tail: str = ""


def paint_again(
    pipe: "StableDiffusionImg2ImgPipeline", settings: Settings, name: str, tail: str = ""
) -> Stage:
    """Paint the picture again as `generate.redraw` does, with the seed of the picture.

    name : what the note of the file calls this stage.

    Raises `SdkitError` if the picture does not fit into memory.
    """
    hardware.refuse_too_large(pipe, (settings.size, settings.size))
    note = {
        "Prompt": settings.prompt,
        "Strength": f"{float(settings.strength):g}",
        "Guidance scale": f"{float(settings.guidance_scale):g}",
        "Steps": str(settings.num_inference_steps),
        "Size": str(settings.size),
    }

    def apply(image: Image.Image, seed: int, on_step: Any = None) -> Image.Image:
        own = replace(settings, seed=seed)
        return generate.redraw(pipe, [image], own, on_step, advise=False)[0]

    return Stage(apply, settings.steps_run, _named(note, name), tail)


def enlarge(pipe: Any, upscaler: Model, size: int) -> Stage:
    """Make a square picture with sides of `size` px four times larger.

    pipe : from `upscaler.upscaler`. Raises `SdkitError` if the upscaler cannot take this size.
    """
    upscale.check_size(size, size)
    note = upscale.note(upscaler)
    note = {key: note[key] for key in ("Model", "Steps", "Strength", "Noise level")}

    def apply(image: Image.Image, seed: int, on_step: Any = None) -> Image.Image:
        return upscale.upscale(pipe, [image], seed=seed, on_step=on_step, drawn=True)[0]

    steps = upscale.steps_run(upscale.STEPS, upscale.STRENGTH)
    return Stage(apply, steps, _named(note, "enlargement"), "-x4")


def _named(note: dict[str, str], name: str) -> dict[str, str]:
    """The texts of a stage with its name in the keywords, so that they do not replace others."""
    return {f"{key} of the {name}": value for key, value in note.items()}
