"""Tiny random models in the layouts of real ones, loaded by the kit and by diffusers."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    LCMScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from sdkit import formats, generate, loading, models, photos
from sdkit.errors import SdkitError
from tests import one_file

NETWORKS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def real(tiny_sd, tmp_path_factory):
    """A tiny pipeline built like Stable Diffusion 1.5 (f = 8, 4 channels, PNDM), and its folder."""
    tiny = StableDiffusionPipeline.from_pretrained(
        tiny_sd, local_files_only=True, dtype=torch.float32
    )
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[8] * 4,
        norm_num_groups=2,
        layers_per_block=2,
        latent_channels=4,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=[8] * 4,
        layers_per_block=2,
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
    )
    pipe = StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        scheduler=scheduler,
        text_encoder=tiny.text_encoder,
        tokenizer=tiny.tokenizer,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    folder = tmp_path_factory.mktemp("real") / "model"
    pipe.save_pretrained(folder)
    return pipe, folder


def assert_same(ours, theirs):
    for name in NETWORKS:
        ours_, theirs_ = ours[name].state_dict(), getattr(theirs, name).state_dict()
        assert ours_.keys() == theirs_.keys()
        assert all(torch.equal(ours_[key], theirs_[key]) for key in ours_)


def test_a_folder_gives_the_pictures_of_diffusers_with_a_faster_scheduler(real):
    pipe, folder = real
    ours = models.load(folder, "text2img", device="cpu")
    assert type(ours.scheduler) is DPMSolverMultistepScheduler
    settings = models.settings("van gogh", folder, "draw", num_inference_steps=3, size=64)
    theirs = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    theirs.scheduler = DPMSolverMultistepScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="linspace"
    )
    expected = theirs(
        "van gogh",
        negative_prompt="",
        guidance_scale=7.5,
        num_inference_steps=3,
        height=64,
        width=64,
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    np.testing.assert_array_equal(generate.draw(ours, settings)[0], expected)
    told = []
    generate.style(
        models.load(folder, device="cpu"),
        [photos.sample("coffee")],
        models.settings("x", folder, size=64),
        on_step=lambda: told.append(1),
    )
    assert len(told) == models.settings("x", folder).steps_run == 15
    assert models.settings("x", folder).size == 128  # 16 x 8, from its configuration


@pytest.mark.parametrize("name", ["DiffusionPipeline", "UNet2DConditionModel", "Nonsense", 5])
def test_only_a_scheduler_is_accepted_as_scheduler(real, tmp_path, name):
    folder = shutil.copytree(real[1], tmp_path / "model")
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(SdkitError, match="its scheduler has a class that does not work here"):
        models.load(folder, device="cpu")


def test_text_encoders_saved_by_old_versions_load(real, tmp_path):
    folder = shutil.copytree(real[1], tmp_path / "old")
    path = folder / "text_encoder" / "model.safetensors"
    state = {
        "text_model." + key.removeprefix("text_model."): value
        for key, value in load_file(path).items()
    }
    state["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(state, path, metadata={"format": "pt"})
    assert_same(loading.load(folder, "cpu")[0], real[0])


def test_a_single_file_gives_the_networks_of_its_folder(real, tmp_path, monkeypatch):
    pipe, folder = real
    path = tmp_path / "my model.safetensors"
    save_file(one_file.to_ldm(pipe), path)
    monkeypatch.setattr(
        models.hub, "cached", lambda repo, file=None: folder if repo == models.SD15[0] else None
    )
    ours = models.load(path, device="cpu")
    assert_same(ours.components, pipe)
    assert models.defaults(path)["size"] == 512 and models.label(path) == "my model.safetensors"
    assert generate.style(ours, [photos.sample("coffee")], models.settings("x", path, size=64))


def test_unsuitable_single_files_are_refused(real, tmp_path):
    state = one_file.to_ldm(real[0])
    nine = torch.zeros(8, 9, 3, 3)
    for name, content in {
        "lora": {"lora_unet": torch.zeros(1)},
        "vae": {"decoder.conv_in.weight": torch.zeros(1)},
        "inpainting": {**state, "model.diffusion_model.input_blocks.0.0.weight": nine},
    }.items():
        save_file(content, tmp_path / f"{name}.safetensors")
        with pytest.raises(SdkitError, match="not a whole Stable Diffusion 1.x"):
            models.load(tmp_path / f"{name}.safetensors")
    for content in (
        b"",
        b"PK\x03\x04 a zip, as torch saves it",
        b"\xff" * 100,
        b"\x02\0\0\0\0\0\0\0[]",
    ):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(SdkitError, match="not a safetensors"):
            models.load(tmp_path / "x.safetensors")
    with pytest.raises(SdkitError, match="There is no file"):
        models.load(tmp_path / "gone.safetensors")


@pytest.mark.parametrize(
    "start", ["cond_stage_model.", "first_stage_model.", "model.diffusion_model.out."]
)
def test_a_single_file_that_lacks_a_tensor_is_one_sentence(real, tmp_path, monkeypatch, start):
    pipe, folder = real
    state = one_file.to_ldm(pipe)
    del state[[name for name in state if name.startswith(start)][-1]]
    save_file(state, tmp_path / "lacking.safetensors")
    monkeypatch.setattr(models.hub, "cached", lambda repo, file=None: folder)
    with pytest.raises(SdkitError, match="is missing from|cannot be loaded"):
        models.load(tmp_path / "lacking.safetensors", device="cpu")


def test_lcm_is_the_base_model_with_the_lora_added(real, tmp_path):
    pipe, folder = real
    theirs = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    theirs.unet.add_adapter(
        LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    )
    StableDiffusionPipeline.save_lora_weights(
        tmp_path, unet_lora_layers=get_peft_model_state_dict(theirs.unet)
    )
    ours, _ = loading.load(folder, "cpu", adapter=tmp_path)
    assert type(ours["scheduler"]) is LCMScheduler
    assert ours["unet"].state_dict().keys() == pipe.unet.state_dict().keys()
    x, words = torch.randn(1, 4, 8, 8), torch.randn(1, 16, 8)
    with torch.no_grad():
        made, expected, bare = (
            net(x, 500, encoder_hidden_states=words).sample
            for net in (ours["unet"], theirs.unet.eval(), pipe.unet)
        )
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(made, bare, atol=1e-3)


def test_every_entry_of_the_registry_gives_settings_without_the_network(monkeypatch):
    monkeypatch.setattr(models.hub, "cached", lambda *arguments: None)
    monkeypatch.setattr(models.hub, "fetch", lambda *arguments: pytest.fail("fetched"))
    for name in models.REAL:
        for task in ("style", "draw", "inpaint"):
            assert models.settings("x", name, task).steps_run >= 1
        assert models.find(name) is None
    rows = models.real_table()
    assert [row["name"] for row in rows] == ["sd15", "sd-turbo", "lcm", "small"]
    assert all(row["licence"] and row["gigabytes"] > 1 and not row["present"] for row in rows)


def test_weights_in_half_precision_are_preferred():
    names = [
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model-00001-of-00002.safetensors",
        "vae/diffusion_pytorch_model-00002-of-00002.safetensors",
        "text_encoder/pytorch_model.bin",
    ]
    assert formats.weight_files(names, "unet", "x") == names[1:2]
    assert formats.weight_files(names, "vae", "x") == names[3:5]
    with pytest.raises(SdkitError, match="pickle"):
        formats.weight_files(names, "text_encoder", "x")


@pytest.mark.slow
def test_a_full_size_stable_diffusion_restyles_512_pixels_within_12_gb(tiny_sd, tmp_path):
    """Random weights in the configuration of Stable Diffusion 1.5: 860 M parameters in the UNet."""
    from transformers import CLIPTextConfig, CLIPTextModel

    from sdkit import hardware

    tiny = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    levels, down, up = [320, 640, 1280, 1280], "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=levels,
            cross_attention_dim=768,
            attention_head_dim=8,
            down_block_types=[down] * 3 + ["DownBlock2D"],
            up_block_types=["UpBlock2D"] + [up] * 3,
        )
        vae = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[128, 256, 512, 512],
            layers_per_block=2,
            latent_channels=4,
            sample_size=512,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                bos_token_id=0,
                eos_token_id=2,
                projection_dim=768,
            )
        )
    finally:
        torch.set_default_dtype(before)
    assert round(sum(p.numel() for p in unet.parameters()) / 1e6) == 860
    scheduler = PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1)
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tiny.tokenizer,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(tmp_path / "sd15")
    del unet, vae, text_encoder
    pipe = models.load(tmp_path / "sd15", device="cpu")
    settings = models.settings("van gogh", tmp_path / "sd15", strength=0.5, num_inference_steps=4)
    (image,) = generate.style(pipe, [photos.sample("astronaut")], settings)
    assert image.size == (512, 512) and settings.size == 512
    assert hardware.used_memory("cpu") < 12e9, json.dumps(hardware.used_memory("cpu"))
