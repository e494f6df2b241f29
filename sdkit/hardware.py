"""What this computer has: device, number format that is fast on it, memory; and sentences where it falls short."""

import contextlib
import os
import re
from pathlib import Path

from sdkit.paths import SdkitError

ROOM = 2e9  # bytes that a step at 512 px takes beside the weights, generously


def device(name=None):
    """Where to compute: `name`, else SDKIT_DEVICE, else "cuda" or "mps" where there is one, otherwise "cpu"."""
    import torch
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = name or os.environ.get("SDKIT_DEVICE") or next(key for key, is_there in there.items() if is_there)
    if not there.get(str(name).split(":")[0]):
        raise SdkitError(f"There is no device {str(name)!r} here. Choose one of: "
                         f"{', '.join(key for key, is_there in there.items() if is_there)}.")
    return str(name)


def dtype(device):
    """The number format for large networks: bfloat16 where the hardware computes in it, float16 on older CUDA cards.

    float32 on processors without matrix units for bfloat16, where it would only be slower, and on Apple's GPUs, whose
    first generation has no bfloat16 and where float16 gives black pictures now and then.
    """
    import torch
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    fast = device == "cpu" and torch.cpu.get_capabilities().get("amx_bf16")
    return torch.bfloat16 if fast else torch.float32


def free_memory(device="cpu"):
    """Bytes that are free on `device`; on a computer whose programs get a share only (a container), of that share."""
    if device.startswith("cuda"):
        import torch
        return torch.cuda.mem_get_info(device)[0]
    import psutil
    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
        group = Path("/sys/fs/cgroup")
        free = min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return free


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
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return getattr(memory, "peak_wset", memory.rss)


def shortage(device, weights):
    """How short memory is for weights of so many bytes, still in the computer's memory: 0 not, 1 a little, 2 much."""
    card = device.startswith("cuda")
    free = free_memory(device) - (weights if card else 0)
    return (free < 2 * ROOM) + (card and free < ROOM)


def place(pipe, device, shortage):
    """Bring a pipeline to `device`, as the memory there allows, and return it.

    Where memory is short, attention is computed in slices and pictures beyond 512 px are decoded in tiles, which costs
    time; where it is very short, on a graphics card, each network visits it in turn.
    """
    if shortage:
        pipe.enable_attention_slicing()
        pipe.vae.enable_tiling()
    if shortage > 1:
        pipe.enable_model_cpu_offload(device=device)
        return pipe
    return pipe.to(device)


def refuse_what_cannot_fit(name, weights, device):
    """Raise `SdkitError` before weights are loaded that the computer cannot hold: the system would end the program."""
    free = free_memory("cpu" if device.startswith("cuda") else device)
    if weights > free:
        raise SdkitError(f"{name} takes {weights / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
                         "Close other programs, or take a smaller model: small, or the kit's own, mini.")


@contextlib.contextmanager
def enough_memory(what, remedy="Take a smaller size, or close other programs."):
    """Turn torch's ways of saying that memory is out into a sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search("memory|alloc", str(error), re.IGNORECASE):
            raise
        raise SdkitError(f"There is too little memory {what}. {remedy}") from error
