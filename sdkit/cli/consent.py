"""Estimate how long a run will take on this computer, and ask before a long run or a download."""

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sdkit import models
from sdkit.errors import SdkitError
from sdkit.models import hardware

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

LONG = 180  # seconds; a longer run needs consent
# Parameters x latent pixels x steps. A run with less takes about a minute on two slow cores, so it
# is not even estimated.
UNNOTICED = 2e13


class Declined(SdkitError):
    """A person did not agree to a long run or a download, so nothing more is done."""


def operations(
    pipe: "DiffusionPipeline", settings: models.Settings, size: tuple[int, int], pictures: int
) -> float:
    """Parameters of the UNet x pixels of the latents x steps. The time of a run grows with it.

    size : width and height of the pictures in px.
    """
    latents = size[0] * size[1] / pipe.vae_scale_factor**2
    return sum(p.numel() for p in pipe.unet.parameters()) * latents * settings.steps_run * pictures


def estimate(
    pipe: "DiffusionPipeline", settings: models.Settings, size: tuple[int, int], pictures: int = 1
) -> float:
    """Seconds that `pictures` of `size` (width, height in px) will take on this computer.

    Measures one step of the UNet and one decoding.
    """
    import torch

    unet, vae, factor = pipe.unet, pipe.vae, pipe.vae_scale_factor
    where = {"device": pipe._execution_device, "dtype": unet.dtype}
    device, batch = where["device"], 2 if settings.guidance_scale > 1 else 1
    with torch.no_grad(), hardware.enough_memory(f"for {size[0]} x {size[1]} pixels"):
        x = torch.zeros(
            batch, unet.config.in_channels, size[1] // factor, size[0] // factor, **where
        )
        words = torch.zeros(batch, 77, unet.config.cross_attention_dim, **where)
        step = _seconds(device, lambda: unet(x, 1, encoder_hidden_states=words))
        decoding = _seconds(
            device, lambda: vae.decode(x[:1, : vae.config.latent_channels].to(vae.dtype))
        )
    # encoding takes about half of decoding
    return pictures * (settings.steps_run * step + 1.5 * decoding)


def _seconds(device: Any, call: Callable[[], object]) -> float:
    """The time of a call, until the device has finished it."""
    began = time.perf_counter()
    _ = call()
    if str(device).startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter() - began


def agree_to_run(
    pipe: "DiffusionPipeline",
    settings: models.Settings,
    size: tuple[int, int],
    pictures: int,
    yes: bool = False,
) -> None:
    """Before a run that may be long, print an estimate; ask if it is more than `LONG` seconds.

    size : width and height of the pictures in px.
    yes : True agrees beforehand.

    Raises `Declined` if the person does not agree.
    """
    if operations(pipe, settings, size, pictures) < UNNOTICED:
        return
    hardware.refuse_too_large(pipe, size)
    device = str(pipe._execution_device)
    seconds = estimate(pipe, settings, size, pictures)
    memory = hardware.used_memory(device)
    print(
        f"{pictures} x {settings.steps_run} steps at {size[0]} x {size[1]} pixels: "
        f"about {minutes(seconds)} and {memory / 1e9:.1f} GB of memory on {device}.",
        file=sys.stderr,
    )
    if seconds > LONG:
        ask(
            "That is long.",
            yes,
            "take fewer steps, a smaller size, or a faster model: lcm, sd-turbo, small",
        )


def agree_to_fetch(name: str | os.PathLike | models.Model, yes: bool = False) -> None:
    """Before a model is downloaded from the hub, say how large it is, and ask.

    Does nothing for a model that is on this disk. Raises `Declined` if the person does not agree.
    """
    model = models.resolve(name)
    if model.found:
        return
    entry = model.entry
    size = f" ({entry.gigabytes:g} GB, {entry.licence} licence)" if entry else ""
    ask(
        f"{model.label} is not on this computer and would be fetched from the hub{size}.",
        yes,
        "take the kit's own model: mini",
    )


def ask(what: str, yes: bool, otherwise: str) -> None:
    """Go on only if a person agrees, with --yes or at the terminal. Otherwise raise `Declined`.

    what : a sentence that says what would happen.
    otherwise : what the person can do instead.
    """
    if yes:
        return
    if sys.stdin is not None and sys.stdin.isatty():
        print(f"{what} Go on? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise Declined(f"Nothing was done. You can {otherwise}.")
    raise Declined(f"{what} To go on, say --yes (in a lesson: YES = True). Or {otherwise}.")


def minutes(seconds: float) -> str:
    """A duration in words: 40 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
