"""Folders of other models, odd or damaged: one sentence before anything is painted."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from sdkit import models
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.models import configurations, loading

WEIGHTS = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
}
CONFIGS = {
    "unet": "unet/config.json",
    "vae": "vae/config.json",
    "text_encoder": "text_encoder/config.json",
    "tokenizer": "tokenizer/tokenizer_config.json",
    "scheduler": "scheduler/scheduler_config.json",
}


@pytest.fixture
def folder(tiny_sd, tmp_path):
    return shutil.copytree(tiny_sd, tmp_path / "foreign")


def change(path, key, value):
    """Give a JSON file another value. NaN and huge numbers are allowed, as Python writes them."""
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


NAN = float("nan")
ODD = [
    ("unet", "in_channels", 9, "inpainting model"),
    ("unet", "in_channels", "8", "whole number"),
    ("unet", "out_channels", 16, "gives 16 channels"),
    ("unet", "cross_attention_dim", 16, "embeddings of 16 numbers"),
    ("unet", "cross_attention_dim", [8, 8, 8], "whole number"),
    ("unet", "class_embed_type", "timestep", "more than a prompt"),
    ("unet", "addition_embed_type", "text_time", "more than a prompt"),
    ("unet", "block_out_channels", [10**9] * 3, "block_out_channels"),
    ("unet", "block_out_channels", [8] * 30, "block_out_channels"),
    ("unet", "layers_per_block", 2, "cannot be loaded"),
    ("unet", "layers_per_block", 10**9, "layers_per_block"),
    ("unet", "layers_per_block", [1, 10**9, 1], "layers_per_block"),
    ("unet", "transformer_layers_per_block", [[1], [10**9], 1], "layers_per_block"),
    ("vae", "layers_per_block", 10**9, "layers_per_block"),
    ("unet", "_diffusers_version", "odd", "do not fit together"),
    ("unet", "time_cond_proj_dim", 16, "lack the tensor"),
    ("unet", "act_fn", "odd", "cannot be loaded"),
    ("unet", "downsample_padding", -1, "downsample_padding"),
    ("unet", "flip_sin_to_cos", None, "true or false"),
    ("unet", "only_cross_attention", [False, "no", False], "true or false"),
    ("unet", "freq_shift", "odd", "freq_shift"),
    ("unet", "dropout", "odd", "dropout"),
    ("unet", "mid_block_scale_factor", None, "mid_block_scale_factor"),
    ("unet", "norm_eps", 1e30, "norm_eps"),
    ("vae", "latent_channels", 4, "takes 4|gives 4"),
    ("vae", "in_channels", 1, "from 3 to 3"),
    ("vae", "block_out_channels", [4] * 5, "up to 4"),
    ("vae", "scaling_factor", NAN, "scaling_factor"),
    ("vae", "scaling_factor", 0, "scaling_factor"),
    ("vae", "layers_per_block", 0, "do not fit|cannot be loaded"),
    ("text_encoder", "num_hidden_layers", 2, "lack the tensor"),
    ("text_encoder", "num_hidden_layers", 10**9, "num_hidden_layers"),
    ("text_encoder", "intermediate_size", 32, "another shape"),
    ("text_encoder", "vocab_size", 10**12, "vocab_size"),
    ("text_encoder", "hidden_act", "odd", "cannot be loaded"),
    ("text_encoder", "eos_token_id", [1], "eos_token_id"),
    ("text_encoder", "layer_norm_eps", None, "layer_norm_eps"),
    ("tokenizer", "pad_token", None, "pad_token"),
    ("tokenizer", "padding_side", "left", "left side"),
    ("tokenizer", "model_max_length", 1e30, "model_max_length"),
    ("tokenizer", "model_max_length", 77, "gives 77 tokens"),
    ("scheduler", "_class_name", "FlowMatchEulerDiscreteScheduler", "scheduler"),
    ("scheduler", "_class_name", None, "scheduler"),
    ("scheduler", "prediction_type", "flow_prediction", "flow matching"),
    ("scheduler", "beta_end", NAN, "beta_end"),
    ("scheduler", "beta_start", -1, "beta_start"),
    ("scheduler", "trained_betas", [NAN] * 1000, "trained_betas"),
    ("scheduler", "trained_betas", [0.1], "trained_betas"),
    ("scheduler", "num_train_timesteps", 10**9, "num_train_timesteps"),
    ("scheduler", "num_train_timesteps", 2, "num_train_timesteps"),
    ("scheduler", "steps_offset", 10**9, "steps_offset"),
    ("scheduler", "timestep_spacing", "odd", "cannot be loaded"),
    ("scheduler", "thresholding", "no", "true or false"),
    ("scheduler", "set_alpha_to_one", -1, "true or false"),
    ("scheduler", "steps_offset", "odd", "steps_offset"),
]


@pytest.mark.parametrize("part, key, value, words", ODD, ids=[f"{r[0]}-{r[1]}-{r[3]}" for r in ODD])
def test_an_odd_configuration_is_one_sentence(folder, part, key, value, words, capfd):
    change(folder / CONFIGS[part], key, value)
    with pytest.raises(SdkitError, match=words):
        models.load(folder, "text2img", device="cpu")
    assert capfd.readouterr().err == ""


def test_values_of_published_models_are_allowed(folder):
    """The unet of sd-turbo says null where false is usual, and gives some numbers in a list."""
    for key, value in {
        "upcast_attention": None,
        "only_cross_attention": [False] * 3,
        "attention_head_dim": [2, 2, 2],
        "layers_per_block": [1, 1, 1],
    }.items():
        change(folder / CONFIGS["unet"], key, value)
    assert models.load(folder, "text2img", device="cpu")


@pytest.mark.parametrize(
    "part, key, value, words",
    [
        ("unet", "in_channels", 8, "takes 8 channels"),
        ("unet", "down_block_types", ["CrossAttnDownBlock2D"] * 2, "needs a prompt"),
        ("scheduler", "beta_end", NAN, "beta_end"),
        ("scheduler", "_class_name", "FlowMatchEulerDiscreteScheduler", "scheduler"),
    ],
)
def test_an_odd_upscaler_is_one_sentence(tiny_sd, tiny_upscaler, tmp_path, part, key, value, words):
    folder = shutil.copytree(tiny_upscaler, tmp_path / "foreign")
    change(folder / CONFIGS[part], key, value)
    with pytest.raises(SdkitError, match=words):
        models.load_upscaler(folder, tiny_sd, device="cpu")


@pytest.mark.parametrize("part", CONFIGS)
@pytest.mark.parametrize("content", [None, "[1]", "{", "[" * 100_000, "{}" + " " * 2_000_000])
def test_a_damaged_configuration_is_one_sentence(folder, part, content):
    path = folder / CONFIGS[part]
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(SdkitError, match=f"{path.name} is missing or damaged"):
        models.load(folder, device="cpu")


@pytest.mark.parametrize("part", CONFIGS)
def test_a_part_that_is_missing_is_one_sentence(folder, part):
    shutil.rmtree(folder / part)
    with pytest.raises(SdkitError, match=f"{part}.* missing"):
        models.load(folder, device="cpu")


def lose(state, name):
    del state[name]


def rename(state, name):
    state[f"{name}_"] = state.pop(name)


def grow(state, name):
    state[name] = torch.zeros(3, *state[name].shape, dtype=torch.float16)


def add(state, name):
    state[f"{name}.more"] = state[name].clone()


def spoil(state, name):
    state[name].view(-1)[-1] = NAN


def overflow(state, name):
    state[name].view(-1)[0] = float("inf")


def make_whole(state, name):
    state[name] = torch.ones(state[name].shape, dtype=torch.int64)


@pytest.mark.parametrize("part", WEIGHTS)
@pytest.mark.parametrize("damage", [lose, rename, grow, add, spoil, overflow, make_whole])
@pytest.mark.parametrize("which", [0, -1])
def test_other_tensors_than_those_of_the_network_are_one_sentence(
    folder, part, damage, which, capfd
):
    path = folder / WEIGHTS[part]
    state = load_file(path)
    name = sorted(state)[which]
    damage(state, name)
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(SdkitError) as caught:
        models.load(folder, device="cpu")
    assert name in str(caught.value) and "meta tensor" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("part", WEIGHTS)
@pytest.mark.parametrize("size", [0, 7, 1000, -1])
def test_weights_that_are_cut_off_are_one_sentence(folder, part, size):
    path = folder / WEIGHTS[part]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SdkitError, match=rf"cannot be loaded \({path.name} is cut off"):
        models.load(folder, device="cpu")


def test_a_header_that_claims_to_be_huge_is_not_read(folder):
    path = folder / WEIGHTS["unet"]
    with open(path, "r+b") as file:
        file.write((2**40).to_bytes(8, "little"))
        file.truncate(2**41)  # a sparse file, which takes no room
    with pytest.raises(SdkitError, match="cannot be loaded"):
        models.load(folder, device="cpu")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
@pytest.mark.parametrize(
    "name", [*CONFIGS.values(), *WEIGHTS.values(), "tokenizer/tokenizer.json", "words.json"]
)
@pytest.mark.parametrize("device", [False, True])
def test_a_pipe_or_a_device_is_not_read(folder, name, device):
    """It would never end."""
    path = folder / name
    path.unlink()
    path.symlink_to("/dev/zero") if device else os.mkfifo(path)
    with pytest.raises(SdkitError, match=f"{path.name} is a pipe or a device"):
        models.load(folder, device="cpu")


def test_the_settings_are_not_read_from_a_device(tmp_path):
    path = tmp_path / "defaults.json"
    path.symlink_to(os.devnull)
    with pytest.raises(SdkitError, match="is missing or damaged"):
        configurations.read(path)


def test_a_huge_index_is_not_read(folder):
    path = folder / "model_index.json"
    path.write_text(path.read_text() + " " * 2_000_000)
    with pytest.raises(SdkitError, match="model_index.json .* is missing or damaged"):
        models.load(folder, device="cpu")


def split(path):
    """The weights in two files, and the list that says what is where. Returns the list."""
    state = load_file(path)
    names = {
        name: f"{path.stem}-0000{k % 2 + 1}-of-00002.safetensors" for k, name in enumerate(state)
    }
    for file in set(names.values()):
        part = {name: value for name, value in state.items() if names[name] == file}
        save_file(part, path.parent / file, metadata={"format": "pt"})
    path.unlink()
    listed = path.with_name(f"{path.name}.index.json")
    listed.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return listed


@pytest.mark.parametrize("part", WEIGHTS)
def test_weights_in_two_files_load_and_a_list_cannot_lead_elsewhere(folder, tmp_path, part):
    listed = split(folder / WEIGHTS[part])
    assert models.load(folder, device="cpu")
    (file, *_) = folder.glob(f"{part}/*-00001-of-00002.safetensors")
    shutil.copy(file, tmp_path / "outside.safetensors")
    other = shutil.copytree(folder, tmp_path / "other")
    for odd in ("../../outside.safetensors", "gone.safetensors", 5, None, [1]):
        names = json.loads(listed.read_text())["weight_map"]
        changed = {name: odd if value == file.name else value for name, value in names.items()}
        change(other / listed.relative_to(folder), "weight_map", changed)
        with pytest.raises(SdkitError, match=f"{listed.name} is damaged"):
            models.load(other, device="cpu")


@pytest.mark.parametrize("part", WEIGHTS)
def test_weights_that_are_mostly_zeros_are_one_sentence(folder, part):
    """So is a file for which the disk had made room, and whose copying then stopped."""
    path = folder / WEIGHTS[part]
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3 :] = bytes(len(data) - len(data) * 2 // 3)
    path.write_bytes(data)
    with pytest.raises(SdkitError, match=f"{part}.*only zeros"):
        models.load(folder, device="cpu")


@pytest.mark.parametrize("name", sorted(models.REGISTRY))
def test_no_large_tensor_that_ships_holds_only_zeros(name):
    for path in (ROOT / "data" / "models" / name).rglob("*.safetensors"):
        weights = [value for value in load_file(path).values() if value.ndim > 1]
        assert sum(not value.any() for value in weights) <= len(weights) * loading.ZEROS / 2


def empty(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"] = {}
    path.write_text(json.dumps(tokenizer))


def too_large(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"]["zzz"] = 100_000
    path.write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(
    "damage", [lambda folder: (folder / "tokenizer.json").unlink(), empty, too_large]
)
def test_a_tokenizer_that_does_not_fit_is_one_sentence(folder, damage):
    damage(folder / "tokenizer")
    with pytest.raises(SdkitError, match="The tokenizer of .* (has a vocab|cannot be load)"):
        models.load(folder, device="cpu")


@pytest.mark.parametrize(
    "content",
    [
        '["a", 5]',
        '{"a": 1}',
        "[[]]",
        "[]",
        '"word"',
        "5",
        "[" * 100_000,
        '["a"]' + " " * 10_000_001,
    ],
)
def test_an_odd_list_of_words_is_one_sentence(folder, content):
    (folder / "words.json").write_text(content)
    with pytest.raises(SdkitError, match=r"words\.json"):
        models.resolve(folder).advice("a cat")


@pytest.mark.parametrize(
    "values",
    [
        {"strength": "x"},
        {"strength": NAN},
        {"guidance_scale": [4]},
        {"num_inference_steps": 10**9},
        {"size": 10**9},
        {"size": None},
        {"styles": "van gogh"},
        {"styles": [5]},
        {"guidance_scales": ["gogh"]},
        {"guidance_scales": {"gogh": "much"}},
        {"one_call": "often"},
        {"draw": 5},
        {"draw": {"size": "large"}},
        {"redraw": {"strength": 7}},
        {"inpaint": [1]},
    ],
)
def test_odd_defaults_are_one_sentence(folder, values):
    path = folder / "defaults.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    with pytest.raises(SdkitError, match=r"defaults\.json"):
        models.settings("van gogh", folder)


def test_a_vae_with_the_names_of_old_versions_loads(tmp_path):
    """Stable Diffusion 1.5 itself has them: query instead of to_q, and so on."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=[8], norm_num_groups=2, latent_channels=4, layers_per_block=1
    )
    vae.save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    state, old = load_file(path), {}
    pairs = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for name, value in state.items():
        for new, before in pairs.items():
            name = name.replace(f".{new}.", f".{before}.")
        old[name] = value
    assert len(state.keys() & old.keys()) < len(state)
    save_file(old, path, metadata={"format": "pt"})
    loaded = loading.network(AutoencoderKL, Path(tmp_path)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in vae.state_dict().items())
