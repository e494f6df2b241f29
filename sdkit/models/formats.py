"""What a model must hold, and what is refused: pickled weights, code of its own, other kinds of model."""

import json
import math
import re
import struct
from pathlib import Path

from sdkit.errors import SdkitError

CLASSES = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
    "scheduler": "",
}
WEIGHTS = ("unet", "vae", "text_encoder", "safety_checker")
PIPELINES = {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"}
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
# over a header
DAMAGED = (OSError, ValueError, LookupError, TypeError, RecursionError, struct.error, MemoryError)
PICKLED = "is pickled, and opening a pickle runs whatever program it holds"


def parts_of(index, where):
    """The names of the parts in a `model_index.json`, read into `index`, that have something to load.

    Raises `SdkitError` for another kind of model, and for one that brings its own code: none is ever run.
    """
    kind = index.get("_class_name") if isinstance(index, dict) else None
    if not isinstance(kind, str) or kind not in PIPELINES:
        raise SdkitError(
            f"{where} is a {kind!r}, and this kit drives a StableDiffusionPipeline (Stable Diffusion 1 "
            "and 2). Take another model: sdkit models."
        )
    given = {
        part: entry
        for part, entry in index.items()
        if isinstance(entry, list)
        and len(entry) == 2
        and all(isinstance(word, str) for word in entry)
    }
    for part, (library, name) in given.items():
        if library not in ("diffusers", "transformers", "stable_diffusion"):
            raise SdkitError(
                f"{where} brings code of its own ({library}), and such code is never run here. "
                "Take a model without: sdkit models."
            )
        if not name.startswith(CLASSES.get(part, "")):
            raise SdkitError(
                f"{where} has a {name} as its {part} and is no Stable Diffusion 1 or 2. "
                "Take another model: sdkit models."
            )
    for part in [*CLASSES, *["feature_extractor"] * ("safety_checker" in given)]:
        if part not in given:
            raise SdkitError(f"{where} has no {part}. Copy or download it again.")
    return [part for part in given if part in (*CLASSES, "safety_checker", "feature_extractor")]


def weight_files(names, part, where):
    """Of all files of a model, those with the weights of `part`: in half precision where there are such."""
    pattern = rf"{part}/(diffusion_pytorch_model|model)(\.fp16)?(-\d+-of-\d+)?\.safetensors"
    found = [name for name in names if re.fullmatch(pattern, name)]
    if not found and any(name.startswith(part + "/") and name.endswith(PICKLES) for name in names):
        raise SdkitError(
            f"The {part} of {where} {PICKLED}. Take a model whose weights are .safetensors."
        )
    if not found:
        raise SdkitError(
            f"The weights of the {part} are missing from {where}. Copy or download it again."
        )
    return [name for name in found if ".fp16" in name] or found


def read_index(folder, where):
    """What stands in the `model_index.json` of a folder; `where` names the model in the `SdkitError`."""
    try:
        return json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SdkitError(
            f"The model_index.json of {where} is missing or damaged. Copy or download it again; if it "
            "stays so, take another model: sdkit models."
        ) from error


def check(folder):
    """What is to be loaded from a folder in diffusers' layout: {part: names of its weights}; or the `SdkitError`."""
    index = read_index(folder, folder)
    names = [path.relative_to(folder).as_posix() for path in folder.glob("*/*") if path.is_file()]
    return {
        part: weight_files(names, part, folder) if part in WEIGHTS else []
        for part in parts_of(index, folder)
    }


def check_file(path):
    """The path of a single file of Stable Diffusion 1.x, or the `SdkitError` why it cannot be taken."""
    if path.suffix in PICKLES:
        raise SdkitError(f"{path.name} {PICKLED}. Take the same model as .safetensors.")
    if not path.is_file():
        raise SdkitError(f"There is no file {path}. Give the path of a .safetensors file.")
    try:
        keys = header(path)
        channels = keys.get("model.diffusion_model.input_blocks.0.0.weight", {"shape": [0, 0]})[
            "shape"
        ][1]
    except DAMAGED as error:
        raise SdkitError(
            f"{path.name} is damaged, cut off, or no safetensors file. Download it again."
        ) from error
    if not any(key.startswith("cond_stage_model.transformer.") for key in keys) or channels != 4:
        raise SdkitError(
            f"{path.name} is not a whole Stable Diffusion 1.x (a LoRA, a VAE, an inpainting model, SDXL). "
            "Of other models take the folder in diffusers' layout."
        )
    return path


def header(path):
    """The tensors of a safetensors file, {name: {"dtype", "shape", "data_offsets"}}, from its first bytes alone."""
    with open(path, "rb") as file:
        # the file starts with the length of its JSON header
        (length,) = struct.unpack("<Q", file.read(8))
        if length > Path(path).stat().st_size:
            raise ValueError("cut off")
        entries = json.loads(file.read(length))
    if not isinstance(entries, dict) or not all(
        isinstance(entry, dict) for entry in entries.values()
    ):
        raise ValueError("not a header")
    return {key: entry for key, entry in entries.items() if key != "__metadata__"}


def resolution(folder):
    """The side in pixels of the pictures that the model in `folder` was trained on; 512 where it does not say."""
    try:
        unet, vae = (
            json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
            for part in ("unet", "vae")
        )
        side = int(unet["sample_size"]) * 2 ** (len(vae["block_out_channels"]) - 1)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return 512
    return min(max(side, 64), 2048)


def count_parameters(path):
    """The number of values in a safetensors file, read from its header alone."""
    return sum(math.prod(entry["shape"]) for entry in header(path).values())
