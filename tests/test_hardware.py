"""What is chosen for which hardware; none of it is here, so it is said to be."""

import pytest
import torch

from sdkit import hardware
from sdkit.paths import SdkitError


def test_a_device_is_chosen_named_or_refused(monkeypatch):
    monkeypatch.delenv("SDKIT_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.device() == "cuda" and hardware.device("cuda:1") == "cuda:1" and hardware.device("cpu") == "cpu"
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    assert hardware.device() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SdkitError, match="no device 'cuda'"):
        hardware.device("cuda")


@pytest.mark.parametrize("amx, expected", [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_computes_in_bfloat16_only_where_that_is_fast(monkeypatch, amx, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    assert hardware.dtype("cpu") == expected
    assert hardware.dtype("mps") == torch.float32


@pytest.mark.parametrize("capability, expected", [
    ((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16)])
def test_a_graphics_card_computes_in_what_it_is_fast_in(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert hardware.dtype("cuda") == expected


class Pipe:
    """Remembers what was asked of it."""

    def __init__(self):
        self.asked, self.vae = [], self

    def __getattr__(self, name):
        def note(*arguments, **keywords):
            self.asked.append(name)
            return self
        return note


@pytest.mark.parametrize("device, free, asked", [
    ("cuda", 20e9, ["to"]), ("cuda", 6e9, ["enable_attention_slicing", "enable_tiling", "to"]),
    ("cuda", 3e9, ["enable_attention_slicing", "enable_tiling", "enable_model_cpu_offload"]),
    ("cpu", 20e9, ["to"]), ("cpu", 3e9, ["enable_attention_slicing", "enable_tiling", "to"])])
def test_the_less_memory_the_more_is_saved(monkeypatch, device, free, asked):
    monkeypatch.setattr(hardware, "free_memory", lambda device: free)
    pipe = Pipe()
    assert hardware.place(pipe, device, hardware.shortage(device, 2.7e9)) is pipe and pipe.asked == asked


def test_weights_that_cannot_fit_are_refused_before_they_are_read(monkeypatch):
    assert 0 < hardware.used_memory("cpu") < 200e9 and hardware.free_memory() > 0
    monkeypatch.setattr(hardware, "free_memory", lambda device: 3e9)
    hardware.refuse_what_cannot_fit("x", 2e9, "cuda")
    with pytest.raises(SdkitError, match="x takes 4.0 GB of memory, and 3.0 GB are free"):
        hardware.refuse_what_cannot_fit("x", 4e9, "cpu")


def test_too_little_memory_is_a_sentence_and_other_errors_are_not_hidden():
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory."),
                  RuntimeError("DefaultCPUAllocator: can't allocate memory"),
                  RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)")):
        with pytest.raises(SdkitError, match="too little memory for a test"), hardware.enough_memory("for a test"):
            raise error
    with pytest.raises(RuntimeError, match="else"), hardware.enough_memory("for a test"):
        raise RuntimeError("something else")
