"""Check the files of a model before they are loaded, and refuse unsuitable ones.

Refused are pickled weights, models that bring their own program code, and other kinds of model.
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sdkit.errors import OTHERS, SdkitError

# the class of each part, or the beginning of its name
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
# what a damaged file may raise in `header`
DAMAGED = (OSError, ValueError, LookupError, TypeError, RecursionError, MemoryError)
# bytes; the limit of safetensors itself
LONGEST_HEADER = 100_000_000
LARGEST_INDEX = 1_000_000  # bytes; published ones have about 1,000
LARGEST_LIST = 10_000_000  # bytes, of a list of weights in several files; 400,000 are usual
PICKLED = "is pickled, and opening a pickle runs whatever program it holds"


def parts_of(index: Any, where: str | Path) -> list[str]:
    """The names of the parts to load, from a `model_index.json`.

    index : what is in that file, as Python's json reads it.
    where : the model, for messages.

    Raises `SdkitError` for another kind of model, and for one that brings its own program code:
    such code is never run.
    """
    kind = index.get("_class_name") if isinstance(index, dict) else None
    if not isinstance(kind, str) or kind not in PIPELINES:
        raise SdkitError(
            f"{where} is a {kind!r}. This kit needs a StableDiffusionPipeline (Stable Diffusion 1 "
            f"or 2). Use {OTHERS}."
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
                f"Use {OTHERS}."
            )
        if not name.startswith(CLASSES.get(part, "")):
            raise SdkitError(
                f"{where} has a {name} as its {part}, so it is not a Stable Diffusion 1 or 2. "
                f"Use {OTHERS}."
            )
    for part in [*CLASSES, *["feature_extractor"] * ("safety_checker" in given)]:
        if part not in given:
            raise SdkitError(f"{where} has no {part}. Copy or download it again.")
    return [part for part in given if part in (*CLASSES, "safety_checker", "feature_extractor")]


def weight_files(names: Iterable[str], part: str, where: str | Path) -> list[str]:
    """The files with the weights of `part`, in half precision if there are such.

    names : all files of the model, such as "unet/config.json".

    Raises `SdkitError` if there are none, or only pickled ones.
    """
    names = list(names)
    pattern = rf"{part}/(diffusion_pytorch_model|model)(\.fp16)?(-\d+-of-\d+)?\.safetensors"
    found = [name for name in names if re.fullmatch(pattern, name)]
    if not found and any(name.startswith(part + "/") and name.endswith(PICKLES) for name in names):
        raise SdkitError(
            f"The {part} of {where} {PICKLED}. Use a model whose weights are .safetensors."
        )
    if not found:
        raise SdkitError(
            f"The weights of the {part} are missing from {where}. Copy or download it again."
        )
    return [name for name in found if ".fp16" in name] or found


def read_index(folder: Path, where: str | Path) -> Any:
    """What is in the `model_index.json` of a folder.

    where : the model, for the message. Raises `SdkitError` if the file is missing or damaged.
    """
    try:
        path = folder / "model_index.json"
        if path.stat().st_size > LARGEST_INDEX:
            raise ValueError("too large")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SdkitError(
            f"The model_index.json of {where} is missing or damaged. Copy or download it again. If "
            f"that does not help, use {OTHERS}."
        ) from error


def refuse_special_files(folder: Path) -> None:
    """Raise `SdkitError` if something in a model's folder is a pipe or a device.

    Such a thing may never end, and the libraries would read it.
    """
    for path in [*folder.glob("*"), *folder.glob("*/*")]:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SdkitError(
                f"{path} is a pipe or a device, and not a file. Copy it again from where it came."
            )


def check(folder: Path) -> dict[str, list[str]]:
    """The parts in a folder in diffusers' layout: {part: names of its weights}.

    Raises `SdkitError` if the folder cannot be used; see `parts_of` and `weight_files`.
    """
    refuse_special_files(folder)
    index = read_index(folder, folder)
    names = [path.relative_to(folder).as_posix() for path in folder.glob("*/*") if path.is_file()]
    files = {
        part: weight_files(names, part, folder) if part in WEIGHTS else []
        for part in parts_of(index, folder)
    }
    for part in files:
        for path in (folder / part).glob("*.index.json"):
            _check_shards(path)
    return files


def _check_shards(path: Path) -> None:
    """Raise `SdkitError` if a list of several files of weights names one that is not beside it.

    path : the list; the libraries would follow a name out of the folder.
    """
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise ValueError("too large")
        named = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        if missing := named - {one.name for one in path.parent.iterdir() if one.is_file()}:
            raise ValueError(f"{min(missing, key=str)!r:.40} is not there")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SdkitError(
            f"{path} is damaged, or files that it lists are missing. Copy the folder again from "
            "where it came."
        ) from error


def check_file(path: Path) -> Path:
    """`path`, if it is a single file with a whole Stable Diffusion 1.x.

    Raises `SdkitError` if not.
    """
    if path.suffix in PICKLES:
        raise SdkitError(f"{path.name} {PICKLED}. Use the same model as .safetensors.")
    if not path.is_file():
        raise SdkitError(f"There is no file {path}. Give the path of a .safetensors file.")
    try:
        keys = header(path)
        channels = keys.get("model.diffusion_model.input_blocks.0.0.weight", {"shape": [0, 0]})[
            "shape"
        ][1]
    except DAMAGED as error:
        raise SdkitError(
            f"{path.name} is damaged, cut off, or not a safetensors file. Download it again."
        ) from error
    if not any(key.startswith("cond_stage_model.transformer.") for key in keys) or channels != 4:
        raise SdkitError(
            f"{path.name} is not a whole Stable Diffusion 1.x. It may be a LoRA, a VAE, an "
            f"inpainting model or SDXL. Use {OTHERS}."
        )
    return path


def header(path: Path) -> dict[str, dict[str, Any]]:
    """The header of a safetensors file: {tensor's name: {"dtype", "shape", "data_offsets"}}.

    The weights themselves are not read. Raises one of `DAMAGED` if there is no such header, or if
    the file ends before the weights do.
    """
    with open(path, "rb") as file:
        # the file starts with the length of its JSON header
        size, start = Path(path).stat().st_size, file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size, LONGEST_HEADER):
            raise ValueError(f"{path.name} is cut off, or has no header")
        entries = json.loads(file.read(length))
    if not isinstance(entries, dict) or not all(
        isinstance(entry, dict) for entry in entries.values()
    ):
        raise ValueError("not a header")
    entries.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    whole = 8 + length + end
    if size < whole:
        raise ValueError(f"{path.name} is cut off: it has {size:,} of its {whole:,} bytes")
    return entries


def resolution(folder: Path) -> int:
    """The side in px of the pictures that a model was trained on, or 512 if that is unknown."""
    try:
        unet, vae = (
            json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
            for part in ("unet", "vae")
        )
        side = int(unet["sample_size"]) * 2 ** (len(vae["block_out_channels"]) - 1)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return 512
    return min(max(side, 64), 2048)


def count_parameters(path: Path) -> int:
    """The number of values in a safetensors file, from its header."""
    return sum(math.prod(entry["shape"]) for entry in header(path).values())


def not_fractions(path: Path) -> str | None:
    """The first tensor in a safetensors file that holds no numbers with a fraction, or None.

    The numbers of positions, which old versions saved, are whole, and this is right. Raises one of
    `DAMAGED` if the file has no header.
    """
    for name, entry in header(path).items():
        fraction = str(entry.get("dtype")).startswith(("F", "BF"))
        if not fraction and not name.endswith("position_ids"):
            return name
    return None
