"""sdkit: a teaching kit on Stable Diffusion, in small files sorted by subject.

``import sdkit`` is quick and does not import torch. A module is imported when you first ask for it.
You may leave out the name of its folder: ``from sdkit import photos`` and ``sdkit.photos`` give the
module `sdkit.pictures.photos`.

The kit stays offline. The libraries that could use the network read their switches when they are
imported, so this file sets the switches first. A switch that you have set yourself keeps its value.
The value "on" marks the kit's own switch. `sdkit.models.hub` may lift that switch to fetch a model
that you asked for. It never lifts your own HF_HUB_OFFLINE=1.
"""

import functools
import importlib
import os
import pkgutil
from collections.abc import Iterable
from types import ModuleType

__version__ = "0.2.0"

for _name, _value in {
    "HF_HUB_OFFLINE": "on",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}.items():
    os.environ.setdefault(_name, _value)


@functools.cache
def _modules() -> dict[str, str]:
    """The full name of each module and folder of the package, by its short name.

    This imports nothing.
    """
    found: dict[str, str] = {}

    def walk(folders: Iterable[str], package: str) -> None:
        for module in pkgutil.iter_modules(folders):
            full = f"{package}.{module.name}"
            found.setdefault(module.name, full)
            if module.ispkg:
                walk([os.path.join(folder, module.name) for folder in folders], full)

    walk(__path__, __name__)
    return {name: full for name, full in found.items() if not name.startswith("_")}


def __getattr__(name: str) -> ModuleType:
    if not name.startswith("_") and name in _modules():
        return importlib.import_module(_modules()[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules()})
