"""The networks that come with the kit: where they lie, what they are, how to load them, always offline."""

import functools
import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from sdkit.paths import SdkitError, model_dir, models_dir


@dataclass(frozen=True)
class Entry:
    """One network of the registry."""

    does: str
    licence: str


REGISTRY = {
    "mini-sd": Entry("text to image and image to image, a small Stable Diffusion", "MIT"),
    "mini-upscaler": Entry("makes a picture four times larger; \"regressor\" in it does so in one step", "MIT"),
    "mini-clip": Entry("tells which sentence belongs to which picture; mini-sd's text encoder began as its text tower", "MIT"),
    "postcard-reader": Entry("reads what a postcard shows; measures drawing", "MIT"),
    "style-classifier": Entry("tells styles of painting apart; used by sdkit measure only", "MIT"),
}


def folder_of(name):
    """The folder of a model: one of the registry, or any folder in diffusers' layout. Raises `SdkitError`."""
    folder = model_dir(name) if str(name) in REGISTRY else Path(name).expanduser()
    if (folder / "model_index.json").is_file():
        return folder
    if str(name) in REGISTRY:
        raise SdkitError(f"The weights of {name} are not in {folder}. Clone the repository whole, or train "
                         "them: python -m sdkit.recipes.vae, then .text, .unet and .upscaler.")
    raise SdkitError(f"There is no model {str(name)!r}. Take 'mini-sd', or a folder with a model_index.json.")


def defaults(name="mini-sd"):
    """The settings at which this model looks best, from its `defaults.json`.

    A dict with strength, guidance_scale, num_inference_steps, size and styles (the prompts it was made for); under
    "draw" and "inpaint" what is different there.
    """
    path = folder_of(name) / "defaults.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SdkitError(f"{path} is missing or damaged. Put it back from the repository, or write strength, "
                         "guidance_scale, num_inference_steps, size and styles into it.") from error


def settings(prompt, name="mini-sd", task="style", **changes):
    """`generate.Settings` for `prompt` at the model's defaults for "style", "draw" or "inpaint", but for `changes`."""
    chosen = defaults(name)
    if task != "style":
        chosen = {**chosen, "strength": 1.0, **chosen.get(task, {})}
    from sdkit.generate import Settings  # brings torch, so after what may be missing
    values = {key: value for key, value in chosen.items() if key in Settings.__dataclass_fields__}
    return Settings(**{**values, "prompt": prompt, **changes})


def split_style(prompt, name="mini-sd"):
    """Split "a red house by the sea, van gogh" into ("a red house by the sea", "van gogh").

    Named is a style of the model at the end of the prompt, after a comma, "by" or "in the style of", with something
    before it; otherwise the prompt stays whole and the style is None.
    """
    styles = "|".join(map(re.escape, defaults(name).get("styles", [])))
    link = r"(?:\s*,|\s+by|,?\s+in the style of)\s+"
    match = re.fullmatch(rf"(.*\w){link}({styles})[\s.]*", prompt, re.IGNORECASE | re.DOTALL) if styles else None
    return (match[1], match[2].lower()) if match else (prompt, None)


def device():
    """Where to compute: "cuda" or "mps" where there is one, otherwise "cpu"."""
    import torch
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load(name="mini-sd", task="img2img", device=None, dtype=None):
    """Load a model as a diffusers pipeline, in float32 unless `dtype` says otherwise.

    name : of the registry, or a folder; task : "img2img" or "text2img"; device : see `device`.
    Loaded once: a second call returns the same pipeline, and both tasks share their weights.
    Raises `SdkitError` where the weights are missing or damaged.
    """
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
    classes = {"img2img": StableDiffusionImg2ImgPipeline, "text2img": StableDiffusionPipeline}
    if task not in classes:
        raise SdkitError(f"There is no task {task!r}. Choose one of: {', '.join(classes)}.")
    return _load(folder_of(name), classes[task], device or globals()["device"](), dtype or torch.float32)


def load_upscaler(name="mini-upscaler", shared="mini-sd", device=None, dtype=None):
    """Load the x4 upscaler as diffusers' `StableDiffusionUpscalePipeline`, for `sdkit.upscale`.

    VAE, text encoder and tokenizer are those of the model `shared`. The pipeline's attribute `regressor` is the network
    that was trained as a plain regressor, or None where there is none. Loaded once; raises `SdkitError` as `load`.
    """
    import torch
    return _load_upscaler(folder_of(name), folder_of(shared), device or globals()["device"](), dtype or torch.float32)


@functools.lru_cache(maxsize=2)
def _load_upscaler(folder, shared, device, dtype):
    from diffusers import StableDiffusionUpscalePipeline, UNet2DConditionModel

    from sdkit.upscale import own_scaling
    parts = {name: part for name, part in _parts(shared, device, dtype).items()
             if name in ("vae", "text_encoder", "tokenizer")}
    how = {"local_files_only": True, "use_safetensors": True}
    try:
        with own_scaling(parts["vae"]):
            pipe = StableDiffusionUpscalePipeline.from_pretrained(folder, **parts, dtype=dtype, **how).to(device)
        regressor = folder / "regressor"
        pipe.regressor = (UNet2DConditionModel.from_pretrained(regressor, **how).to(device, dtype)
                          if regressor.is_dir() else None)
    except Exception as error:
        raise SdkitError(f"The weights in {folder} cannot be loaded ({error}). "
                         "Put the folder back from the repository.") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


@functools.lru_cache(maxsize=4)
def _load(folder, cls, device, dtype):
    pipe = cls(**_parts(folder, device, dtype), requires_safety_checker=False)
    pipe.register_to_config(_name_or_path=str(folder))  # `generate` looks there for words.json
    pipe.set_progress_bar_config(disable=True)
    return pipe


@functools.lru_cache(maxsize=2)
def _parts(folder, device, dtype):
    """The networks, tokenizer and scheduler in `folder`, on `device`."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging
    from transformers.utils import logging as transformers_logging
    logging.disable_progress_bar()  # "Loading pipeline components": half a second that needs no bar
    transformers_logging.disable_progress_bar()
    try:
        pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True,
                                                       use_safetensors=True)
    except Exception as error:  # a damaged folder makes anything: OSError, SafetensorError, KeyError, ...
        raise SdkitError(f"The weights in {folder} cannot be loaded ({error}). "
                         "Put the folder back from the repository.") from error
    return pipe.to(device).components


def table():
    """One dict per network for ``sdkit models``: name, does, parameters, megabytes, licence, present."""
    rows = []
    for name, entry in REGISTRY.items():
        folder = models_dir() / name
        weights = sorted(folder.rglob("*.safetensors"))
        rows.append({
            "name": name,
            "does": entry.does,
            "parameters": sum(map(count_parameters, weights)),
            "megabytes": sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6,
            "licence": entry.licence,
            "present": bool(weights),
        })
    return rows


def count_parameters(path):
    """The number of values in a safetensors file, read from its header alone."""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]  # the file starts with the length of its JSON header
        header = json.loads(file.read(length))
    return sum(math.prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__")


def __getattr__(name):
    if name == "DEFAULTS":
        return defaults()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
