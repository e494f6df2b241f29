"""What is chosen for which hardware. The tests only pretend that it is there."""

import contextlib
from types import SimpleNamespace

import psutil
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from sdkit import consent, generate, hardware
from sdkit.errors import SdkitError


def test_a_device_is_chosen_or_named_or_refused(monkeypatch):
    monkeypatch.delenv("SDKIT_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (
        hardware.device() == "cuda"
        and hardware.device("cuda:1") == "cuda:1"
        and hardware.device("cpu") == "cpu"
    )
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    assert hardware.device() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SdkitError, match="no device 'cuda'"):
        hardware.device("cuda")


@pytest.mark.parametrize("amx, expected", [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_gets_bfloat16_only_if_that_is_fast(monkeypatch, amx, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    assert hardware.dtype("cpu") == expected
    assert hardware.dtype("mps") == torch.float32


@pytest.mark.parametrize(
    "capability, expected",
    [((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16)],
)
def test_a_graphics_card_gets_a_format_that_is_fast_on_it(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert hardware.dtype("cuda") == expected


class Pipe:
    """Remembers which methods were called."""

    vae_scale_factor = 8

    def __init__(self):
        self.asked, self.vae = [], self

    def __getattr__(self, name):
        def note(*arguments, **keywords):
            self.asked.append(name)
            return self

        return note


@pytest.mark.parametrize(
    "device, free, asked",
    [
        ("cuda", 20e9, ["to"]),
        ("cuda", 6e9, ["enable_tiling", "to"]),
        ("cuda", 3e9, ["enable_tiling", "enable_model_cpu_offload"]),
        ("cpu", 20e9, ["to"]),
        ("cpu", 3e9, ["enable_tiling", "to"]),
        ("mps", 3e9, ["enable_tiling", "enable_attention_slicing", "to"]),
    ],
)
def test_less_memory_means_more_ways_to_save_it(monkeypatch, device, free, asked):
    monkeypatch.setattr(hardware, "free_memory", lambda device: free)
    pipe = Pipe()
    assert (
        hardware.place(pipe, device, hardware.shortage(device, 2.7e9)) is pipe
        and pipe.asked == asked
    )


def test_tiles_leave_pictures_up_to_512_pixels_alone(tiny_sd):
    """diffusers would use tiles of 64 px for a VAE that was trained on 64 px."""
    pipe = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    latents = {side: torch.randn(1, 8, side // 4, side // 4) for side in (512, 520)}
    with torch.no_grad():
        whole = {side: pipe.vae.decode(x).sample for side, x in latents.items()}
        hardware.place(pipe, "cpu", 1)
        tiled = {side: pipe.vae.decode(x).sample for side, x in latents.items()}
    assert torch.equal(whole[512], tiled[512]) and not torch.equal(whole[520], tiled[520])
    assert tiled[520].shape == whole[520].shape


def full_size(dtype=torch.float32):
    """The attributes of Stable Diffusion 1.5 that `hardware` uses."""
    vae = SimpleNamespace(dtype=dtype, use_tiling=False)
    vae.config = SimpleNamespace(block_out_channels=[128, 256, 512, 512])
    vae.enable_tiling = lambda: setattr(vae, "use_tiling", True)
    unet = SimpleNamespace(
        dtype=dtype,
        config=SimpleNamespace(
            block_out_channels=[320, 640, 1280, 1280],
            down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        ),
    )
    return SimpleNamespace(
        vae=vae, unet=unet, vae_scale_factor=8, _execution_device=torch.device("cpu")
    )


def test_the_least_memory_for_a_picture_is_less_than_was_measured():
    """Measured: how much one decoding raises the peak, without the weights, on two cores."""
    assert 0.7 * 1009 * 2**20 < hardware.least_memory(full_size(), (512, 512)) < 1009 * 2**20
    mini = full_size()
    mini.vae.config.block_out_channels, mini.vae_scale_factor = [32, 64, 160], 4
    mini.unet.config = SimpleNamespace(
        block_out_channels=[64, 128, 192],
        down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
    )
    assert 0.7 * 571 * 2**20 < hardware.least_memory(mini, (768, 768)) < 571 * 2**20


def test_each_level_of_the_unet_has_a_quarter_of_the_places_of_the_one_before():
    """A wide second level without a VAE to speak of: 16 numbers of 4 bytes for each channel."""
    pipe = full_size()
    pipe.vae.config.block_out_channels = [1, 1]
    pipe.unet.config.block_out_channels = [10, 1000, 10]
    pipe.unet.config.down_block_types = ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2
    assert hardware.least_memory(pipe, (512, 512)) == 4 * 16 * 1000 * 64 * 64 / 4


@pytest.mark.parametrize(
    "free, size, tiles, refused",
    [
        (12e9 - 4.3e9, (512, 512), False, False),
        (0.1e9, (512, 512), False, False),
        (20e9, (2048, 2048), False, False),
        (4e9, (2048, 2048), True, False),
        (1e9, (2048, 2048), True, True),
        (0.5e9, (768, 768), True, True),
    ],
)
def test_a_picture_too_large_for_memory_is_done_in_tiles_or_refused(
    monkeypatch, free, size, tiles, refused
):
    monkeypatch.setattr(hardware, "free_memory", lambda: free)
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))
    pipe = full_size()
    said = pytest.raises(SdkitError, match=r"at least \d\.\d GB .* smaller size")
    with said if refused else contextlib.nullcontext():
        hardware.refuse_too_large(pipe, size)
    assert pipe.vae.use_tiling == tiles
    pipe._execution_device = torch.device("cuda")
    hardware.refuse_too_large(pipe, size)


def test_no_function_begins_a_picture_that_does_not_fit_into_memory(tiny_pipe, monkeypatch):
    monkeypatch.setattr(hardware, "least_memory", lambda pipe, size: 1e15)
    monkeypatch.setattr(hardware, "decode_in_tiles", lambda pipe: None)
    settings = generate.Settings("x", 0.5, 1.0, 2, 520)
    photo = Image.new("RGB", (64, 64), "white")
    for call in (
        lambda: generate.style(tiny_pipe, [photo], settings),
        lambda: generate.draw(tiny_pipe, settings),
        lambda: generate.inpaint(tiny_pipe, photo, photo, settings),
        lambda: consent.agree_to_run(tiny_pipe, settings, (2048, 2048), 10**9),
    ):
        with pytest.raises(SdkitError, match="pixels take at least"):
            call()


@pytest.mark.parametrize(
    "line, files, free",
    [
        (
            "0::/",
            {
                "memory.max": "3000",
                "memory.current": "2000",
                "memory.stat": "active_file 300\ninactive_file 50",
            },
            [1350],
        ),
        (
            "0::/",
            {
                "memory.max": "max",
                "memory.current": "2000",
                "memory.stat": "active_file 0\ninactive_file 0",
            },
            [],
        ),
        (
            "0::/all/me",
            {
                "all/memory.max": "3000",
                "all/memory.current": "500",
                "all/me/memory.max": "max",
                "all/memory.stat": "active_file 0\ninactive_file 0",
            },
            [2500],
        ),
        (
            "5:cpu:/\n4:memory:/docker/1",
            {  # of version 1, seen from within a container
                "memory/memory.limit_in_bytes": "9000",
                "memory/memory.usage_in_bytes": "8000",
                "memory/memory.stat": "total_active_file 1\ntotal_inactive_file 2\nactive_file 5",
            },
            [1003],
        ),
        ("", {}, []),
    ],
)
def test_free_memory_respects_the_limits_of_cgroups(tmp_path, line, files, free):
    for name, content in {
        "proc/self/cgroup": line,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content and content + "\n")
    assert list(hardware._free_of_groups(tmp_path)) == free
    assert list(hardware._free_of_groups(tmp_path / "no such system")) == []


def test_weights_that_do_not_fit_are_refused_before_they_are_read(monkeypatch):
    assert 0 < hardware.used_memory("cpu") < 200e9 and hardware.free_memory() > 0
    monkeypatch.setattr(hardware, "free_memory", lambda device: 3e9)
    hardware.refuse_what_cannot_fit("x", 2e9, "cuda")
    with pytest.raises(SdkitError, match="x takes 4.0 GB of memory, and 3.0 GB are free"):
        hardware.refuse_what_cannot_fit("x", 4e9, "cpu")


def test_too_little_memory_is_reported_and_other_errors_pass():
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ):
        with (
            pytest.raises(SdkitError, match="too little memory for a test"),
            hardware.enough_memory("for a test"),
        ):
            raise error
    with pytest.raises(RuntimeError, match="else"), hardware.enough_memory("for a test"):
        raise RuntimeError("something else")


@pytest.mark.parametrize(
    "has, native",
    [
        ({"avx2": True}, False),
        ({"avx512_bf16": True}, False),  # without matrix units float32 is faster
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": False}, False),
        ({"neon": True, "bf16": True}, True),
    ],
)
def test_a_processor_multiplies_bfloat16_itself_only_with_the_units_for_it(
    monkeypatch, has, native
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert hardware.bf16_is_native() == hardware.bf16_is_native(torch.device("cpu")) == native
    assert not hardware.bf16_is_native("mps")


@pytest.mark.parametrize("capability, native", [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_graphics_cards_multiply_bfloat16_themselves_from_ampere_on(
    monkeypatch, capability, native
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert hardware.bf16_is_native("cuda:0") == native
