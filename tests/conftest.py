"""Fixtures: a whole Stable Diffusion of a few thousand random parameters.

It is saved in the same layout as the shipped one.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from sdkit import certificate  # importing sdkit switches the libraries below to offline
from tests import order

IPYTHON, CONFIGURATION = pytest.StashKey(), pytest.StashKey()
STYLES = ["van gogh", "ukiyo-e", "impressionism", "oil painting", "a photo"]
DEFAULTS = {
    "strength": 0.5,
    "guidance_scale": 4.0,
    "num_inference_steps": 8,
    "size": 64,
    "styles": STYLES,
}
WORDS = [
    "a",
    "photo",
    "portrait",
    "of",
    "in",
    "the",
    "style",
    "van",
    "gogh",
    "vincent",
    "ukiyo-e",
    "impressionism",
    "oil",
    "painting",
    "wave",  # the two paintings by name that the booth's tests ask for
    "lilies",
]
BETAS = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}


def pytest_configure(config):
    """Give every kernel a start-up file that allows connections only to this machine.

    This includes the kernels in which nbval runs the lessons. Also gives the tests a key for
    signing pictures, in a folder of their own.
    """
    os.environ["SDKIT_CONFIG"] = config.stash[CONFIGURATION] = tempfile.mkdtemp()
    certificate.own()
    os.environ["TQDM_DISABLE"] = "1"  # no progress bars among the outputs that are compared
    os.environ["IPYTHONDIR"] = config.stash[IPYTHON] = tempfile.mkdtemp()
    startup = Path(os.environ["IPYTHONDIR"], "profile_default", "startup", "00-no-network.py")
    startup.parent.mkdir(parents=True)
    startup.write_text(
        f"exec({Path(__file__).with_name('no_network.py').read_text(encoding='utf-8')!r}, {{}})\n",
        encoding="utf-8",
    )


def pytest_collection_modifyitems(config, items):
    """In a worker of pytest-xdist, put the files that take minutes first.

    Otherwise one of them may start last, and the other worker has nothing to do meanwhile.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: order.place(item.path.relative_to(config.rootpath).as_posix()))


def pytest_unconfigure(config):
    for key in (IPYTHON, CONFIGURATION):
        shutil.rmtree(config.stash[key], ignore_errors=True)


def _tokenizer(folder):
    """A CLIP tokenizer of single letters: no merges, L = 16."""
    from transformers import CLIPTokenizer

    letters = [chr(c) for c in range(ord("!"), ord("~") + 1)]
    tokens = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=16), len(tokens)


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory):
    """Folder of a tiny random model in the layout of mini-sd.

    It has f = 4 and 8 latent channels, predicts epsilon and samples with DDIM.
    """
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionImg2ImgPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    root = tmp_path_factory.mktemp("tiny")
    tokenizer, vocabulary = _tokenizer(root / "tokenizer")
    torch.manual_seed(0)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=16,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
        )
    )
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[4, 4, 4],
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=8,
        sample_size=64,
        scaling_factor=0.6,
        mid_block_add_attention=False,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=[4, 8, 8],
        layers_per_block=1,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    folder = root / "models" / "mini-sd"
    StableDiffusionImg2ImgPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(dtype=torch.float16).save_pretrained(folder)
    (folder / "defaults.json").write_text(json.dumps(DEFAULTS))
    (folder / "words.json").write_text(json.dumps(WORDS))
    return folder


@pytest.fixture(scope="session")
def tiny_upscaler(tiny_sd):
    """A tiny random upscaler beside the tiny mini-sd, in the layout of the shipped one."""
    from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel

    root = tiny_sd.parent / "mini-upscaler"
    for seed, place in enumerate(("unet", "regressor")):
        torch.manual_seed(seed)
        UNet2DConditionModel(
            sample_size=16,
            in_channels=11,
            out_channels=8,
            block_out_channels=[8, 8],
            layers_per_block=1,
            norm_num_groups=2,
            num_class_embeds=41,
            cross_attention_dim=8,
            down_block_types=["DownBlock2D"] * 2,
            mid_block_type="UNetMidBlock2D",
            up_block_types=["UpBlock2D"] * 2,
        ).half().save_pretrained(root / place)
    DPMSolverMultistepScheduler(
        **BETAS, prediction_type="v_prediction", timestep_spacing="trailing"
    ).save_pretrained(root / "scheduler")
    DDPMScheduler(**BETAS).save_pretrained(root / "low_res_scheduler")
    index = {
        "_class_name": "StableDiffusionUpscalePipeline",
        "max_noise_level": 40,
        "unet": UNet2DConditionModel,
        "scheduler": DPMSolverMultistepScheduler,
        "low_res_scheduler": DDPMScheduler,
    }
    index = {
        key: ["diffusers", value.__name__] if isinstance(value, type) else value
        for key, value in index.items()
    }
    (root / "model_index.json").write_text(
        json.dumps(
            {
                **index,
                "vae": ["diffusers", "AutoencoderKL"],
                "text_encoder": ["transformers", "CLIPTextModel"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
            }
        )
    )
    return root


@pytest.fixture(scope="session")
def tiny_controlnet(tiny_sd):
    """A tiny random ControlNet beside the tiny mini-sd. Its last layers are not zero."""
    from diffusers import UNet2DConditionModel

    from sdkit.recipes import controlnet

    torch.manual_seed(0)
    denoiser = UNet2DConditionModel.from_pretrained(tiny_sd / "unet")
    network = controlnet.new_network(controlnet.Settings(), denoiser)
    for layer in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight, std=0.3)
    torch.nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight)
    network.half().save_pretrained(tiny_sd.parent / "mini-controlnet")
    return tiny_sd.parent / "mini-controlnet"


@pytest.fixture
def tiny_data(tiny_sd, monkeypatch):
    """SDKIT_DATA set to a data folder in which mini-sd is the tiny model."""
    monkeypatch.setenv("SDKIT_DATA", str(tiny_sd.parent.parent))
    return tiny_sd.parent.parent


@pytest.fixture
def one_call(tiny_sd, tmp_path):
    """The tiny model with a UNet that takes a guidance scale, loaded for image to image."""
    from diffusers import UNet2DConditionModel

    from sdkit import models

    folder = tmp_path / "one_call"
    shutil.copytree(tiny_sd, folder)
    torch.manual_seed(0)
    config = UNet2DConditionModel.load_config(folder / "unet")
    UNet2DConditionModel.from_config(config, time_cond_proj_dim=256).save_pretrained(
        folder / "unet"
    )
    defaults = json.loads((folder / "defaults.json").read_text()) | {"one_call": 10}
    (folder / "defaults.json").write_text(json.dumps(defaults))
    return models.load(folder, device="cpu")


@pytest.fixture(scope="session")
def tiny_pipe(tiny_sd):
    """The tiny model, loaded for image to image."""
    from sdkit import models

    return models.load(tiny_sd, device="cpu")
