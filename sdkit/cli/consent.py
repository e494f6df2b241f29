"""What a run will cost on this computer, from one step tried beforehand; and what a person is asked before it."""

import sys
import time

from sdkit import models
from sdkit.errors import SdkitError
from sdkit.models import hardware

LONG = 180  # seconds from which a person is asked
# parameters x latent pixels x steps below which nothing is tried: a minute on two slow cores
UNNOTICED = 2e13


class Declined(SdkitError):
    """A person did not agree to a long run or a download; nothing more is done."""


def operations(pipe, settings, size, pictures):
    """Parameters of the UNet x pixels of the latents x steps: what the time of a run goes with."""
    latents = size[0] * size[1] / pipe.vae_scale_factor**2
    return sum(p.numel() for p in pipe.unet.parameters()) * latents * settings.steps_run * pictures


def estimate(pipe, settings, size, pictures=1):
    """Seconds that `pictures` of `size` (width, height in px) take here, from one step of the UNet and one decoding."""
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


def _seconds(device, call):
    """The time of a call, until the device is done with it."""
    began = time.perf_counter()
    _ = call()
    if str(device).startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter() - began


def agree_to_run(pipe, settings, size, pictures, yes=False):
    """Try one step where a run may take long, print what it will cost, and ask when that is more than a few minutes."""
    if operations(pipe, settings, size, pictures) < UNNOTICED:
        return
    hardware.refuse_too_large(pipe, size)
    device = str(pipe._execution_device)
    seconds = estimate(pipe, settings, size, pictures)
    memory = hardware.used_memory(device)
    print(
        f"{pictures} x {settings.steps_run} steps at {size[0]} x {size[1]} pixels: about {minutes(seconds)} and "
        f"{memory / 1e9:.1f} GB of memory on {device}.",
        file=sys.stderr,
    )
    if seconds > LONG:
        ask(
            "That is long.",
            yes,
            "take fewer steps, a smaller size, or a faster model: lcm, sd-turbo, small",
        )


def agree_to_fetch(name, yes=False):
    """Before a model comes from the hub, say how much that is, and ask; not for one that is on this disk."""
    if models.find(name):
        return
    entry = models.REAL.get(str(name))
    size = f" ({entry.gigabytes:g} GB, {entry.licence} licence)" if entry else ""
    ask(
        f"{name} is not on this computer and would be fetched from the hub{size}.",
        yes,
        "take the kit's own model: mini",
    )


def ask(what, yes, otherwise):
    """Go on only if a person agrees: by --yes, or at the terminal. Raises `Declined` otherwise."""
    if yes:
        return
    if sys.stdin is not None and sys.stdin.isatty():
        print(f"{what} Go on? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise Declined(f"Nothing was done. You can {otherwise}.")
    raise Declined(f"{what} Say --yes (in a lesson: YES = True) to go on, or {otherwise}.")


def minutes(seconds):
    """A duration in words: 40 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
