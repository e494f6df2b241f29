"""What is done with a picture after it was drawn: drawn again at twice the size, enlarged, painted in a style."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sdkit import generate, upscale
from sdkit.pictures import photos


@dataclass(frozen=True)
class Stage:
    """One stage: `apply(image, seed, on_step)` gives the next `PIL.Image` and calls `on_step()` `steps` times."""

    apply: Callable
    steps: int
    note: dict  # text chunks for the file
    tail: str = ""  # of the file's name


def paint_again(pipe, settings, name, tail=""):
    """Image to image by `settings` with the seed of each picture, as `generate.redraw`."""
    note = {
        f"{key} of the {name}": value
        for key, value in generate.note(settings, "").items()
        if key in ("Prompt", "Strength", "Guidance scale", "Steps", "Size")
    }

    def apply(image, seed, on_step=None):
        return generate.redraw(pipe, [image], replace(settings, seed=seed), on_step)[0]

    return Stage(apply, settings.steps_run, note, tail)


def enlarge(pipe, size):
    """Four times larger by the upscaler, from sides of `size` px; raises `SdkitError` where it cannot take those."""
    upscale.tensors([photos.Image.new("RGB", (size, size))])
    note = {
        f"{key} of the enlargement": value
        for key, value in upscale.note().items()
        if key in ("Model", "Steps", "Strength", "Noise level")
    }

    def apply(image, seed, on_step=None):
        return upscale.upscale(pipe, [image], seed=seed, on_step=on_step, drawn=True)[0]

    return Stage(apply, upscale.steps_run(upscale.STEPS, upscale.STRENGTH), note, "-x4")
