"""The kit's networks and the real Stable Diffusions behind the same calls: what and where they are, loading them."""

import functools
import json
import os
import re
import sys
from dataclasses import dataclass

from sdkit.errors import SdkitError
from sdkit.files import expand, model_dir, models_dir
from sdkit.models import formats, hardware, hub, loading
from sdkit.models.loading import ADAPTER

device = hardware.device  # lessons ask models.device()


@dataclass(frozen=True)
class Entry:
    """One model of the registry: of the kit, or (with `repos`) on the hub, at its `defaults` there."""

    does: str
    licence: str
    repos: tuple = ()  # the repository, and others with the same weights where it should be gone
    gigabytes: float = 0  # to download, in half precision
    defaults: dict | None = None
    adapter: str = ""  # repository of a LoRA that is laid over the weights


REGISTRY = {
    "mini-sd": Entry("text to image and image to image, a small Stable Diffusion", "MIT"),
    "mini-upscaler": Entry(
        'makes a picture four times larger; "regressor" in it does so in one step', "MIT"
    ),
    "mini-clip": Entry(
        "tells which sentence belongs to which picture; mini-sd's text encoder began as its text tower",
        "MIT",
    ),
    "postcard-reader": Entry("reads what a postcard shows; measures drawing", "MIT"),
    "style-classifier": Entry("tells styles of painting apart; used by sdkit measure only", "MIT"),
}
SD15 = (
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "benjamin-paine/stable-diffusion-v1-5",
    "botp/stable-diffusion-v1-5",
)
USUAL = {"strength": 0.6, "guidance_scale": 7.5, "num_inference_steps": 25, "size": 512}
REAL = {
    "sd15": Entry("Stable Diffusion 1.5 itself", "CreativeML OpenRAIL-M", SD15, 2.7, USUAL),
    "sd-turbo": Entry(
        "Stable Diffusion 2.1, distilled to 1 to 4 steps",
        "Stability AI Community",
        ("stabilityai/sd-turbo",),
        2.6,
        {
            "strength": 0.5,
            "guidance_scale": 1.0,
            "num_inference_steps": 4,
            "size": 512,
            "draw": {"num_inference_steps": 2},
            "inpaint": {"num_inference_steps": 4},
        },
    ),
    "lcm": Entry(
        "sd15 with the LCM LoRA: 4 to 8 steps",
        "CreativeML OpenRAIL-M, LoRA OpenRAIL++",
        SD15,
        2.9,
        {
            "strength": 0.6,
            "guidance_scale": 1.0,
            "num_inference_steps": 8,
            "size": 512,
            "draw": {"num_inference_steps": 4},
        },
        "latent-consistency/lcm-lora-sdv1-5",
    ),
    "small": Entry(
        "a distilled Stable Diffusion with 324 M instead of 860 M parameters in its UNet",
        "CreativeML OpenRAIL-M",
        ("nota-ai/bk-sdm-tiny", "nota-ai/bk-sdm-tiny-2m"),
        1.7,
        USUAL,
    ),
}


def label(name):
    """What a model is called in notes and messages: never where on this disk it lies."""
    return {"mini": "mini-sd"}.get(str(name)) or (
        expand(name).name if os.path.exists(expand(name)) else str(name)
    )


def find(name="mini-sd"):
    """Where a model lies on this disk, as a folder or a single .safetensors file; None: the hub may have it.

    name : of the registry; a folder in diffusers' layout; a .safetensors file; or a repository on the hub, owner/name.
    Raises `SdkitError` for whatever is none of these.
    """
    name = "mini-sd" if str(name) == "mini" else str(name)
    if name in REAL:
        entry = REAL[name]
        if entry.adapter and not hub.cached(entry.adapter, ADAPTER):
            return None
        return next(filter(None, map(hub.cached, entry.repos)), None)
    path = model_dir(name) if name in REGISTRY else expand(name)
    if os.path.isfile(path) or path.suffix == ".safetensors" or path.suffix in formats.PICKLES:
        return formats.check_file(path)
    # of os.path, for a name that no disk takes is no error there
    if os.path.isfile(path / "model_index.json"):
        return path
    if os.path.isfile(path / "config.json"):
        raise SdkitError(
            f"{name[:100]} is a single network and paints nothing alone. Take mini, or another model: "
            "sdkit models."
        )
    if name in REGISTRY:
        raise SdkitError(
            f"The weights of {name} are not in {path}. Clone the repository whole, or train "
            "them: python -m sdkit.recipes.vae, then .text, .unet and .upscaler."
        )
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and not os.path.exists(path):
        return hub.cached(name)
    raise SdkitError(
        f"There is no model {name[:100]!r}. Take {', '.join(['mini', *REAL])}, a repository on the hub "
        "(owner/name), a folder with a model_index.json, or a .safetensors file."
    )


def folder_of(name="mini-sd"):
    """As `find`, but what is not on this disk yet is fetched from the hub. Raises `SdkitError`."""
    found = find(name)
    if found:
        return found
    entry = REAL.get(str(name), Entry("", "", (str(name),)))
    if entry.adapter and not hub.cached(entry.adapter, ADAPTER):
        hub.fetch(entry.adapter, ADAPTER)
    return _first(entry.repos, lambda repo: hub.cached(repo) or hub.fetch(repo))


def _first(repos, get):
    """What `get` brings from the first of `repos` that is still on the hub."""
    for repo, following in zip(repos, [*repos[1:], None]):
        try:
            return get(repo)
        except hub.Gone as error:
            if not following:
                raise
            print(f"{error} Trying the same at {following}.", file=sys.stderr)


def defaults(name="mini-sd"):
    """The settings at which this model looks best, from the registry or its `defaults.json`; otherwise the usual ones.

    A dict with strength, guidance_scale, num_inference_steps, size and styles (the prompts it was made for);
    guidance_scales: what suits prompts with words that begin so; under "draw", "redraw" and "inpaint" what is different
    there.
    """
    if str(name) in REAL:
        return dict(REAL[str(name)].defaults)
    path = folder_of(name) / "defaults.json"
    if not path.is_file() and str(name) not in ("mini", "mini-sd"):
        return {**USUAL, "size": formats.resolution(path.parent)}
    try:
        return {**USUAL, **json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SdkitError(
            f"{path} is missing or damaged. Put it back from the repository, or write strength, "
            "guidance_scale, num_inference_steps, size and styles into it."
        ) from error


def settings(prompt, name="mini-sd", task="style", **changes):
    """`generate.Settings` for `prompt`: the model's own for "style", "draw", "redraw" or "inpaint", but for `changes`."""
    chosen = defaults(name)
    if task == "style":
        named = (
            scale
            for words, scale in chosen.get("guidance_scales", {}).items()
            if re.search(rf"\b{re.escape(words)}", str(prompt), re.IGNORECASE)
        )
        chosen["guidance_scale"] = next(named, chosen["guidance_scale"])
    else:
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
    match = (
        re.fullmatch(rf"(.*\w){link}({styles})[\s.]*", prompt, re.IGNORECASE | re.DOTALL)
        if styles
        else None
    )
    return (match[1], match[2].lower()) if match else (prompt, None)


def load(name="mini-sd", task="img2img", device=None, dtype=None):
    """Load a model as a diffusers pipeline, and fetch it from the hub where it is not on this disk yet.

    name : as in `find`; task : "img2img" or "text2img"; device, dtype : chosen by `sdkit.models.hardware` unless given; small
    networks are in float32 everywhere. Loaded once: a second call returns the same pipeline, and both tasks share their
    weights. Raises `SdkitError` where the weights are missing or damaged, or memory is too small for them.
    """
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

    classes = {"img2img": StableDiffusionImg2ImgPipeline, "text2img": StableDiffusionPipeline}
    if task not in classes:
        raise SdkitError(f"There is no task {task!r}. Choose one of: {', '.join(classes)}.")
    entry, where = REAL.get(str(name)), folder_of(name)
    adapter = hub.cached(entry.adapter, ADAPTER) if entry and entry.adapter else None
    return _load(
        where,
        classes[task],
        hardware.device(device) if device else globals()["device"](),
        dtype,
        adapter,
    )


def load_upscaler(name="mini-upscaler", shared="mini-sd", device=None, dtype=None):
    """Load the x4 upscaler as diffusers' `StableDiffusionUpscalePipeline`, for `sdkit.upscale`.

    VAE, text encoder and tokenizer are those of the model `shared`. The pipeline's attribute `regressor` is the network
    that was trained as a plain regressor, or None where there is none. Loaded once; raises `SdkitError` as `load`.
    """
    device = hardware.device(device) if device else globals()["device"]()
    folder = find(name)
    if not folder or name in REAL:  # there is none on the hub that would fit, so nothing is fetched
        raise SdkitError(f"{name} is no upscaler. Take mini-upscaler, or a folder of its kind.")
    parts, _, pipes = _parts(folder_of(shared), device, dtype, None)
    if folder not in pipes:
        from sdkit import upscale

        pipes[folder] = upscale.load(folder, parts, device, dtype)
    return pipes[folder]


def _load(where, cls, device, dtype, adapter):
    parts, shortage, pipes = _parts(where, device, dtype, adapter)
    if cls not in pipes:
        pipe = cls(**parts, requires_safety_checker=False)
        pipe.register_to_config(_name_or_path=str(where))  # `generate` looks there for words.json
        pipe.set_progress_bar_config(disable=True)
        with hardware.enough_memory(f"on {device} to load {where.name}", "Take a smaller model."):
            pipes[cls] = hardware.place(pipe, device, shortage)
    return pipes[cls]


@functools.lru_cache(maxsize=2)
def _parts(where, device, dtype, adapter):
    """The parts of a model, how short memory is for them, and a dict for the pipelines that are made of them."""
    parts, weights = loading.load(
        where, device, dtype, adapter, _like_sd15() if where.is_file() else None
    )
    return parts, hardware.shortage(device, weights), {}


def _like_sd15():
    """A folder with tokenizer and configurations of Stable Diffusion 1.5, which a single file lacks (2 MB)."""
    for repo in SD15:
        found = hub.cached(repo) or hub.cached(repo, "tokenizer/vocab.json")
        if found:
            return found
    return _first(SD15, lambda repo: hub.fetch(repo, weights=False))


def real_table():
    """One dict per model on the hub for ``sdkit models``: name, does, repositories, gigabytes, ..."""
    return [
        {
            "name": name,
            "does": entry.does,
            "repositories": entry.repos,
            "gigabytes": entry.gigabytes,
            "licence": entry.licence,
            "present": find(name) is not None,
            "defaults": entry.defaults,
        }
        for name, entry in REAL.items()
    ]


def table():
    """One dict per network of the kit for ``sdkit models``: name, does, parameters, megabytes, licence, present."""
    rows = []
    for name, entry in REGISTRY.items():
        folder = models_dir() / name
        weights = sorted(folder.rglob("*.safetensors"))
        try:
            parameters = sum(map(formats.count_parameters, weights))
        except formats.DAMAGED:
            weights, parameters = [], 0
        rows.append(
            {
                "name": name,
                "does": entry.does,
                "parameters": parameters,
                "megabytes": sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6,
                "licence": entry.licence,
                "present": bool(weights),
            }
        )
    return rows


def __getattr__(name):
    if name == "DEFAULTS":
        return defaults()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
