"""Forecast how long a run takes: the operations of its networks, times the seconds of each.

Operations are the multiplications and additions of convolutions, linear layers and attention. They
are counted on a copy of the network that has shapes but no numbers, so this works for any network.
The operations of convolutions and linear layers grow with the number of pixels, those of
self-attention with its square. The time of an operation depends on the computer and on the network.
A short trial measures it.
"""

import copy
import functools
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sdkit import models

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

ENOUGH = 1.0  # seconds; a trial that took so long says how fast the computer is
SMALLEST = 8  # latent pixels (pixels where a VAE encodes), the short side in the first trial


@dataclass(frozen=True)
class Calls:
    """Equal calls of a network.

    network : a UNet, or a VAE.
    shape : (B, C, h, w) of the input.
    times : how often the network is called.
    method : "forward" of a UNet, "encode" or "decode" of a VAE.
    words : tokens of the prompt that a UNet is given, or 0 if it is given none.
    """

    network: "torch.nn.Module"
    shape: tuple[int, ...]
    times: int
    method: str = "forward"
    words: int = 0

    @functools.cached_property
    def operations(self) -> int:
        """The operations of one call."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self._run(_without_numbers(self.network), torch.device("meta"))
        return counter.get_total_flops()

    def seconds(self, device: "torch.device | str") -> float:
        """The time of one call on `device`. Raises `torch`'s errors if memory runs out."""
        began = time.perf_counter()
        self._run(self.network, device)
        if str(device) != "cpu":
            import torch

            torch.accelerator.synchronize()  # a graphics card still works when the call returns
        return time.perf_counter() - began

    def _run(self, network: Any, device: "torch.device | str") -> None:
        """Call `network` with an input of zeros."""
        import torch

        where = {"device": device, "dtype": next(network.parameters()).dtype}
        x = torch.zeros(self.shape, **where)
        with torch.no_grad():
            if self.method != "forward":
                getattr(network, self.method)(x)
                return
            words = labels = None
            if self.words:
                width = network.config.cross_attention_dim
                words = torch.zeros(self.shape[0], self.words, width, **where)
            if network.config.num_class_embeds:
                labels = torch.zeros(self.shape[0], dtype=torch.long, device=device)
            network(x, torch.zeros((), device=device), words, class_labels=labels)


@dataclass(frozen=True)
class Work:
    """One stage of a run, for all its pictures.

    what : says in words what is done.
    calls : the calls of the networks.
    device : where they run.
    """

    what: str
    calls: list[Calls]
    device: "torch.device | str"

    @property
    def operations(self) -> int:
        """The operations of all calls."""
        return sum(calls.times * calls.operations for calls in self.calls)


def painting(
    pipe: "DiffusionPipeline",
    settings: models.Settings,
    size: tuple[int, int],
    pictures: int = 1,
    encode: bool = True,
) -> Work:
    """The work of `generate` for painting `pictures` of `size` (width, height in px).

    encode : whether the painting begins with a picture. `generate.draw` begins with noise alone.
    """
    from sdkit.generate import works_twice

    unet, vae, steps = pipe.unet, pipe.vae, settings.steps_run
    width, height = size
    sides = height // pipe.vae_scale_factor, width // pipe.vae_scale_factor
    shape = 2 if works_twice(pipe, settings) else 1, unet.config.in_channels, *sides
    words = pipe.tokenizer.model_max_length
    calls = [
        Calls(unet, shape, pictures * steps, words=words),
        Calls(vae, (1, vae.config.latent_channels, *sides), pictures, "decode"),
    ]
    if encode:
        calls.append(Calls(vae, (1, vae.config.in_channels, height, width), pictures, "encode"))
    what = f"{pictures} x {steps} steps at {width} x {height} pixels"
    return Work(what, calls, pipe._execution_device)


def editing(pipe: "DiffusionPipeline", settings: models.Settings, size: tuple[int, int]) -> Work:
    """The work of `generate.edit` for a picture of `size` (width, height in px)."""
    work = painting(pipe, settings, size)
    there = Calls(
        pipe.unet, (1, *work.calls[0].shape[1:]), work.calls[0].times, words=work.calls[0].words
    )
    back = replace(there, shape=(2 * work.calls[0].shape[0], *there.shape[1:]))
    what = f"{settings.steps_run} steps to noise and as many back, at {size[0]} x {size[1]} pixels"
    return Work(what, [there, back, *work.calls[1:]], work.device)


def enlarging(
    pipe: "DiffusionPipeline",
    sizes: Iterable[tuple[int, int]],
    num_inference_steps: int,
    strength: float,
) -> Work:
    """The work of `upscale.upscale` for enlarging pictures of `sizes` (width, height in px).

    num_inference_steps, strength : as in `upscale.upscale`.
    """
    from sdkit import upscale

    steps = upscale.steps_run(num_inference_steps, strength)
    sizes, tiles = list(sizes), Counter[tuple[int, ...]]()
    for width, height in sizes:
        one = tuple(_rounded(min(side, upscale.TILE)) for side in (height, width))
        tiles[one] += math.prod(
            len(upscale.starts(side, upscale.TILE, upscale.OVERLAP)) for side in (height, width)
        )
    calls = []
    for sides, times in tiles.items():
        shape = (1, pipe.unet.config.in_channels, *sides)
        calls.append(Calls(pipe.unet, shape, times * steps))
        if steps < num_inference_steps and pipe.regressor is not None:
            calls.append(Calls(pipe.regressor, shape, times))
        latents = (1, pipe.vae.config.latent_channels, *sides)
        calls.append(Calls(pipe.vae, latents, times, "decode"))
    what = f"{len(sizes)} x {steps} steps to make pictures four times larger"
    return Work(what, calls, pipe._execution_device)


def _rounded(side: int) -> int:
    """A side as a multiple of 16. A folder of different pictures then has only a few shapes."""
    return round(side / 16) * 16


def seconds(work: Iterable[Work]) -> float:
    """How long `work` takes on this computer.

    Each network is tried on the largest picture that it will see, or on a smaller one.
    """
    same = defaultdict(list)
    for stage in work:
        for calls in stage.calls:
            same[id(calls.network), calls.method, str(stage.device)].append(calls)
    total = 0.0
    for (*_, device), group in same.items():
        largest = max(group, key=lambda calls: math.prod(calls.shape))
        total += _trial(largest, device) * sum(calls.times * calls.operations for calls in group)
    return total


def _trial(calls: Calls, device: "torch.device | str") -> float:
    """Seconds per operation.

    The first call is a very small one. The sides double until a call takes longer than `ENOUGH` or
    has the real size. So the trial is short on a slow computer, and long enough on a fast one.
    """
    *outer, height, width = calls.shape
    halvings = max(0, int(math.log2(min(height, width) / SMALLEST)))
    sizes = [
        replace(calls, shape=(*outer, height >> k, width >> k)) for k in range(halvings, -1, -1)
    ]
    sizes[0].seconds(device)  # the very first call also prepares the libraries, which can take long
    for tried in sizes:
        measured = tried.seconds(device)
        if measured > ENOUGH:
            break
    else:  # a quick call of the real size: the preparation of the first call would count too much
        measured = min(measured, tried.seconds(device))
    return measured / tried.operations


def _without_numbers(network: "torch.nn.Module") -> "torch.nn.Module":
    """A copy of a network on torch's device "meta": a call computes shapes, but no numbers.

    The copy lacks layers that have no operations to count. On "meta" they would take most of the
    time.
    """
    import torch
    from accelerate.hooks import remove_hook_from_module

    nn = torch.nn
    uncounted = nn.GroupNorm, nn.LayerNorm, nn.SiLU, nn.Dropout
    # `copy.deepcopy` treats all objects in here as already copied
    done: dict[int, Any] = {
        id(tensor): torch.empty_like(tensor, device="meta")
        for tensor in (*network.parameters(), *network.buffers())
    }
    done |= {id(layer): nn.Identity() for layer in network.modules() if type(layer) in uncounted}
    # a hook would bring the weights to a graphics card before each call
    return remove_hook_from_module(copy.deepcopy(network, done), recurse=True)
