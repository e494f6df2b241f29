"""The models that the kit knows by name: its own networks, and real models on the hub."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """What the kit knows about one model."""

    does: str
    licence: str
    # where it is on the hub; the later ones hold the same weights, in case the first one is removed
    repos: tuple[str, ...] = ()
    # size of the download, in half precision
    gigabytes: float = 0
    # the settings at which it looks best; None if its folder says so, in defaults.json
    defaults: dict[str, Any] | None = None
    # repository of a LoRA that is added to the weights
    adapter: str = ""


# The kit's own networks, in data/models.
REGISTRY = {
    "mini-sd": Entry("text to image and image to image, a small Stable Diffusion", "MIT"),
    "mini-upscaler": Entry(
        'makes a picture four times larger; "regressor" in it does so in one step', "MIT"
    ),
    "mini-clip": Entry(
        "tells which sentence belongs to which picture; mini-sd's text encoder began as its text "
        "tower",
        "MIT",
    ),
    "mini-controlnet": Entry("makes mini-sd draw along edges", "MIT"),
    "postcard-reader": Entry("reads what a postcard shows; measures drawing", "MIT"),
    "style-classifier": Entry("tells styles of painting apart; used by sdkit measure only", "MIT"),
}

SD15 = (
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "benjamin-paine/stable-diffusion-v1-5",
    "botp/stable-diffusion-v1-5",
)

# Settings for a model that has no settings of its own.
USUAL = {"strength": 0.6, "guidance_scale": 7.5, "num_inference_steps": 25, "size": 512}

# Real Stable Diffusions on the hub.
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
