"""Models by name: the kit's own networks, and real Stable Diffusions behind the same calls.

`resolve` gives a `Model`, with all its properties and pipelines. The other functions here are short
forms that take a name: ``models.load("mini-sd")`` is ``models.resolve("mini-sd").pipeline()``.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdkit.files import models_dir
from sdkit.models import formats, hub
from sdkit.models.hardware import device
from sdkit.models.model import Model, resolve
from sdkit.models.picture_settings import Settings
from sdkit.models.registry import REAL, REGISTRY, SD15, USUAL, Entry

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

__all__ = [
    "REAL",
    "REGISTRY",
    "SD15",
    "USUAL",
    "Entry",
    "Model",
    "Settings",
    "defaults",
    "device",
    "find",
    "folder_of",
    "hub",
    "label",
    "load",
    "load_upscaler",
    "real_table",
    "resolve",
    "settings",
    "split_style",
    "table",
]


def label(name: str | os.PathLike | Model) -> str:
    """What notes and messages call a model; see `Model`."""
    return resolve(name).label


def find(name: str | os.PathLike | Model = "mini-sd") -> Path | None:
    """The folder or file of a model on this disk, or None if it is still on the hub."""
    return resolve(name).found


def folder_of(name: str | os.PathLike | Model = "mini-sd") -> Path:
    """The folder or file of a model; see `Model.folder`, which downloads it if it is not here."""
    return resolve(name).folder


def defaults(name: str | os.PathLike | Model = "mini-sd") -> dict[str, Any]:
    """The settings at which a model looks best; see `Model.defaults`."""
    return dict(resolve(name).defaults)


def settings(
    prompt: str, name: str | os.PathLike | Model = "mini-sd", task: str = "style", **changes: Any
) -> Settings:
    """The settings of a model for a prompt and a task; see `Model.settings`."""
    return resolve(name).settings(prompt, task, **changes)


def split_style(prompt: str, name: str | os.PathLike | Model = "mini-sd") -> tuple[str, str | None]:
    """Split a prompt into what to paint and in which style; see `Model.split_style`."""
    return resolve(name).split_style(prompt)


def load(
    name: str | os.PathLike | Model = "mini-sd",
    task: str = "img2img",
    device: str | None = None,
    dtype: "torch.dtype | None" = None,
) -> "DiffusionPipeline":
    """A model as a diffusers pipeline; see `Model.pipeline`."""
    return resolve(name).pipeline(task, device, dtype)


def load_upscaler(
    name: str | os.PathLike | Model = "mini-upscaler",
    shared: str | os.PathLike | Model = "mini-sd",
    device: str | None = None,
    dtype: "torch.dtype | None" = None,
) -> "DiffusionPipeline":
    """The x4 upscaler as a diffusers pipeline; see `Model.upscaler`."""
    return resolve(name).upscaler(resolve(shared), device, dtype)


def real_table() -> list[dict[str, Any]]:
    """One row for each model on the hub, for ``sdkit models``: name, does, repositories, ..."""
    return [
        {
            "name": name,
            "does": entry.does,
            "repositories": entry.repos,
            "gigabytes": entry.gigabytes,
            "licence": entry.licence,
            "present": resolve(name).found is not None,
            "defaults": entry.defaults,
        }
        for name, entry in REAL.items()
    ]


def table() -> list[dict[str, Any]]:
    """One row for each network of the kit, for ``sdkit models``: name, parameters, present, ..."""
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


def __getattr__(name: str) -> Any:
    if name == "DEFAULTS":  # read when someone asks for it
        return defaults()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
