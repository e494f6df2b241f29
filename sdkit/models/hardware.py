"""What this computer has: device, number format that is fast on it, memory; and sentences where it falls short."""

import contextlib
import os
import re
from pathlib import Path

from sdkit.errors import SdkitError

ROOM = 2e9  # bytes that a step at 512 px takes beside the weights, generously
TILE = 512  # px; where memory is short, larger pictures are decoded in tiles of this size


def device(name=None):
    """Where to compute: `name`, else SDKIT_DEVICE, else "cuda" or "mps" where there is one, otherwise "cpu"."""
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


def bf16_is_native(device="cpu"):
    """Whether `device` ("cpu", "cuda", "cuda:1", "mps" or a torch.device) multiplies bfloat16 itself.

    Where it does not, torch emulates bfloat16, and that is several times slower than float32.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere and later
    if kind != "cpu":
        return False
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))


def dtype(device):
    """The number format for large networks: bfloat16 where the hardware computes in it, float16 on older CUDA cards.

    float32 on processors without matrix units for bfloat16, where it would only be slower, and on Apple's GPUs, whose
    first generation has no bfloat16 and where float16 gives black pictures now and then.
    """
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16 if bf16_is_native(device) else torch.float16
    fast = device == "cpu" and torch.cpu.get_capabilities().get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def free_memory(device="cpu"):
    """Bytes that are free on `device`; on a computer whose programs get a share only (a container), of that share."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return min([psutil.virtual_memory().available, *_free_of_groups()])


def _free_of_groups(root=Path("/")):
    """What each group of programs that this one is in (a cgroup of Linux, of version 2 or 1) has left of its share."""
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
            # a limit holds for all below; in a container, only the top is seen
            for folder in (group, *group.parents):
                # "max" is no number: no limit
                with contextlib.suppress(OSError, ValueError, KeyError):
                    limit, used = (int((folder / name).read_text()) for name in names[:2])
                    stat = dict(
                        entry.split() for entry in (folder / "memory.stat").read_text().splitlines()
                    )
                    files = sum(
                        int(stat[f"{names[2]}{kind}_file"]) for kind in ("active", "inactive")
                    )
                    yield limit - used + files  # what is read from files gives way
                if folder == top:
                    break


def used_memory(device):
    """Bytes that this program has taken at most so far, of a graphics card's memory or of the computer's."""
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


def shortage(device, weights):
    """How short memory is for weights of so many bytes, still in the computer's memory: 0 not, 1 a little, 2 much."""
    card = device.startswith("cuda")
    free = free_memory(device) - (weights if card else 0)
    return (free < 2 * ROOM) + (card and free < ROOM)


def place(pipe, device, shortage):
    """Bring a pipeline to `device`, as the memory there allows, and return it.

    Where memory is short, pictures beyond 512 px are decoded in tiles, which costs time; where it is very short, on a
    graphics card, each network visits it in turn. Attention is computed in slices on Apple's GPUs only: elsewhere
    torch never holds the matrix of all pairs, and slices would (at 768 px 2.7 GB for 0.1, in five times the time).
    """
    if shortage:
        decode_in_tiles(pipe)
        if device.startswith("mps"):
            pipe.enable_attention_slicing()
    if shortage > 1:
        pipe.enable_model_cpu_offload(device=device)
        return pipe
    return pipe.to(device)


def decode_in_tiles(pipe):
    """Let the VAE work tile by tile; left to itself it would take tiles as small as what it was trained on."""
    pipe.vae.enable_tiling()
    pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = (
        TILE,
        TILE // pipe.vae_scale_factor,
    )


def least_memory(pipe, size):
    """Bytes that a picture of `size` (width, height in px) takes at the very least beside the weights.

    Of the VAE, three of the tensors that its last but one level hands to its last; of the UNet, what the feed-forward
    layer in its widest transformer holds. Measured: 1.3 times as much.
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


def refuse_too_large(pipe, size):
    """Raise `SdkitError` before a picture that this computer cannot hold, also not in tiles: the system would end the
    program. On a graphics card nothing is foreseen: there torch says it itself; see `enough_memory`.
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
            f"{free / 1e9:.1f} GB are free. Take a smaller size (--size), or close other programs."
        )


def refuse_what_cannot_fit(name, weights, device):
    """Raise `SdkitError` before weights are loaded that the computer cannot hold: the system would end the program."""
    free = free_memory("cpu" if device.startswith("cuda") else device)
    if weights > free:
        raise SdkitError(
            f"{name} takes {weights / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
            "Close other programs, or take a smaller model: small, or the kit's own, mini."
        )


@contextlib.contextmanager
def enough_memory(what, remedy="Take a smaller size, or close other programs."):
    """Turn torch's ways of saying that memory is out into a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search(
            "memory|alloc", str(error), re.IGNORECASE
        ):
            raise
        raise SdkitError(f"There is too little memory {what}. {remedy}") from error
