"""sdkit: a teaching kit on Stable Diffusion, small enough to read in one sitting.

``import sdkit`` is cheap and does not import torch; a submodule is loaded when it is first touched
(``sdkit.photos``, ``sdkit.sampler``, ...). Nothing here reaches for the network: the libraries below read
their offline switches when they are imported, so these are set before that, where nobody set them already.
"on" instead of "1" tells the kit's own switch, which `sdkit.hub` may lift for a model that somebody asked for by name,
from a person's HF_HUB_OFFLINE=1, which holds always.
"""

import importlib
import os

__version__ = "0.1.0"

_MODULES = ("paths", "layout", "hardware", "hub", "parts", "photos", "points", "text", "latents", "schedule", "unet",
            "gans", "sampler", "generate", "upscale", "outputs", "models", "cost", "metrics", "measure", "plots",
            "widgets", "checks", "recipes", "cli")

for _name, _value in {
    "HF_HUB_OFFLINE": "on",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}.items():
    os.environ.setdefault(_name, _value)


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_MODULES})
