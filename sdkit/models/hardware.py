"""The equipment of this computer: a device, the number format that is fast on it, and memory.

If there is too little memory, a sentence says so, if possible before the work begins.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdkit.errors import SdkitError

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

ROOM = 2e9  # bytes; a step at 512 px takes less than this beside the weights
TILE = 512  # px; if memory is short, larger pictures are decoded in tiles of this size


def device(name: str | None = None) -> str:
    """The device to compute on: "cpu", "cuda", "cuda:1" or "mps".

    It is `name` if that is given, or else the environment variable SDKIT_DEVICE. If neither is set,
    it is a graphics card if there is one. Raises `SdkitError` if there is no such device.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    name = (
        name
        or os.environ.get("SDKIT_DEVICE")
        or next(key for key, is_there in there.items() if is_there)
    )
    if not there.get(str(name).split(":")[0]):
        raise SdkitError(
            f"There is no device {str(name)!r} here. Choose one of: "
            f"{', '.join(key for key, is_there in there.items() if is_there)}."
        )
    return str(name)


def bf16_is_native(device: "str | torch.device" = "cpu") -> bool:
    """Whether `device` ("cpu", "cuda", "cuda:1", "mps", a torch.device) multiplies bfloat16 itself.

    Other hardware emulates bfloat16, which is several times slower than float32. avx512_bf16 alone
    does not count: without the matrix units of AMX, a convolution in bfloat16 ran at 0.6 times the
    speed of float32 (165 against 280 GFLOP/s, torch 2.13, two cores).
    """
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere and later
    if kind != "cpu":
        return False
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("amx_bf16", "bf16", "sve_bf16"))


def dtype(device: str) -> "torch.dtype":
    """The number format for large networks on `device`.

    bfloat16 if the hardware computes in it, and float16 on older CUDA cards. float32 on processors
    without matrix units for bfloat16, which would only be slower. float32 also on Apple's graphics
    processors: the first generation has no bfloat16, and float16 sometimes gives black pictures.
    """
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16 if bf16_is_native(device) else torch.float16
    fast = device == "cpu" and torch.cpu.get_capabilities().get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def free_memory(device: str = "cpu") -> float:
    """Bytes that are free on `device`.

    In a container, a program may get only a share of the memory. Then the free part of this share
    counts.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return min([psutil.virtual_memory().available, *_free_of_groups()])


def _free_of_groups(root: Path = Path("/")) -> Iterator[int]:
    """The bytes that are free of the limit of each cgroup that this program is in.

    A cgroup is how Linux limits the memory of a group of programs; there are versions 1 and 2.
    """
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, kinds, inside = line.split(":", 2)
            if kinds not in ("", "memory"):
                continue
            top = root / "sys/fs/cgroup" / kinds
            names = (
                ("memory.max", "memory.current", "")
                if not kinds
                else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
            )
            group = top / inside.lstrip("/")
            # a limit is valid for all groups inside the group; in a container, only the top is
            # visible
            for folder in (group, *group.parents):
                # "max" is no number and means no limit
                with contextlib.suppress(OSError, ValueError, KeyError):
                    limit, used = (int((folder / name).read_text()) for name in names[:2])
                    stat = dict(
                        entry.split() for entry in (folder / "memory.stat").read_text().splitlines()
                    )
                    files = sum(
                        int(stat[f"{names[2]}{kind}_file"]) for kind in ("active", "inactive")
                    )
                    yield limit - used + files  # copies of files are dropped when memory is needed
                if folder == top:
                    break


def used_memory(device: str) -> int:
    """The most bytes that this program has used so far, on a graphics card or in the computer."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device)
    import psutil

    memory = psutil.Process().memory_info()
    with contextlib.suppress(ImportError):
        import resource
        import sys

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )
    return getattr(memory, "peak_wset", memory.rss)


def shortage(device: str, weights: float) -> int:
    """How short memory is: 0 not at all, 1 a little, 2 very.

    weights : size of the weights in bytes. They are in the computer's memory, not yet on a card.
    """
    card = device.startswith("cuda")
    free = free_memory(device) - (weights if card else 0)
    return (free < 2 * ROOM) + (card and free < ROOM)


def place(pipe: "DiffusionPipeline", device: str, shortage: int) -> "DiffusionPipeline":
    """Bring a pipeline to `device` in a way that fits its memory, and return it.

    If memory is short, pictures beyond 512 px are decoded in tiles, which takes longer. If it is
    very short on a graphics card, only the network that computes is on the card. Attention in
    slices saves memory on Apple's graphics processors only. Elsewhere torch never stores the matrix
    of all pairs of tokens, and slices would store it (2.7 GB instead of 0.1 at 768 px, and five
    times slower).
    """
    if shortage:
        decode_in_tiles(pipe)
        if device.startswith("mps"):
            pipe.enable_attention_slicing()
    if shortage > 1:
        pipe.enable_model_cpu_offload(device=device)
        return pipe
    return pipe.to(device)


def decode_in_tiles(pipe: "DiffusionPipeline") -> None:
    """Let the VAE work in tiles of 512 px. diffusers would use the size of its training."""
    pipe.vae.enable_tiling()
    pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = (
        TILE,
        TILE // pipe.vae_scale_factor,
    )


def least_memory(pipe: Any, size: tuple[int, int]) -> float:
    """Bytes that a picture of `size` (width, height in px) takes at least, beside the weights.

    For the VAE: three of the tensors between its last two levels. For the UNet: what the
    feed-forward layer in its largest transformer holds. Measurements give 1.3 times as much.
    """
    vae, unet, pixels = pipe.vae, pipe.unet, size[0] * size[1]
    latents = pixels / pipe.vae_scale_factor**2
    step = max(
        (
            16 * channels * latents / 4**level
            for level, (channels, kind) in enumerate(
                zip(unet.config.block_out_channels, unet.config.down_block_types)
            )
            if "CrossAttn" in kind
        ),
        default=0,
    )
    decoding = (
        3
        * vae.config.block_out_channels[:2][-1]
        * (min(pixels, TILE**2) if vae.use_tiling else pixels)
    )
    return max(step * unet.dtype.itemsize, decoding * vae.dtype.itemsize)


def refuse_too_large(pipe: Any, size: tuple[int, int]) -> None:
    """Raise `SdkitError` if a picture of `size` (width, height in px) does not fit into memory.

    Otherwise the operating system would end the program. Decodes in tiles if only that fits. On a
    graphics card nothing is estimated, because torch reports it there; see `enough_memory`.
    """
    if size[0] * size[1] <= TILE**2 or str(pipe._execution_device) != "cpu":
        return
    import psutil

    free = free_memory() + psutil.swap_memory().free
    if least_memory(pipe, size) > free:
        decode_in_tiles(pipe)
    need = least_memory(pipe, size)
    if need > free:
        raise SdkitError(
            f"{size[0]} x {size[1]} pixels take at least {need / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free. Use a smaller size (--size), or close other programs."
        )


def refuse_what_cannot_fit(name: str, weights: float, device: str) -> None:
    """Raise `SdkitError` if `weights` bytes of the model `name` do not fit into memory.

    Otherwise the operating system would end the program.
    """
    free = free_memory("cpu" if device.startswith("cuda") else device)
    if weights > free:
        raise SdkitError(
            f"{name} takes {weights / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
            "Close other programs, or use a smaller model: small, or the kit's own, mini."
        )


@contextlib.contextmanager
def enough_memory(
    what: str, remedy: str = "Use a smaller size, or close other programs."
) -> Iterator[None]:
    """Turn the errors that torch raises when memory runs out into a sentence.

    what : what the memory is for, as "to load mini-sd".
    remedy : what to do.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search(
            "memory|alloc", str(error), re.IGNORECASE
        ):
            raise
        raise SdkitError(f"There is too little memory {what}. {remedy}") from error
