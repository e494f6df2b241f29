"""Draw along edges: a ControlNet beside the denoiser.

A ControlNet (Zhang et al. 2023, arXiv:2302.05543) is a second network. It reads a picture of edges
and adds numbers to the skips of the denoiser. So the edges say where things are, and the sentence
says what they are. Ours learned edges of postcards; the recipe is `sdkit.recipes.controlnet`.

scikit-image and diffusers take long to import, so this module imports them inside its functions.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from sdkit.errors import SdkitError
from sdkit.models import loading

if TYPE_CHECKING:
    from diffusers import (
        ControlNetModel,
        StableDiffusionControlNetPipeline,
        StableDiffusionPipeline,
    )

BLUR = 1.0  # px; standard deviation of the blur before edges are searched for
LARGEST_SCALE = 2.0
# In a drawing of dark lines on light paper, at most this share of the pixels is ink, and at most
# this share of the ink is in spots that are thicker than a line. A line is thinner than this share
# of the side.
MOST_INK, MOST_THICK, THICK = 0.25, 0.1, 1 / 20
# what a ControlNet and its denoiser have in common
SHAPE = ("in_channels", "block_out_channels", "layers_per_block", "cross_attention_dim")


def find(picture: Image.Image, size: int = 64, blur: float = BLUR) -> Image.Image:
    """The edges of a picture, as a picture of `size` px a side: white on black, one pixel wide.

    A picture that is not square loses its longer ends. In a drawing of dark lines on light paper,
    the middles of the lines are the edges. In any other picture they are Canny's edges (1986),
    after a blur of `blur` px.
    """
    from skimage.morphology import skeletonize

    large = np.asarray(ImageOps.fit(picture.convert("RGB"), (4 * size, 4 * size)))
    lines = _lines(large)
    if lines is None:
        square = Image.fromarray(large).resize((size, size), Image.Resampling.BOX)
        found = of_square(np.asarray(square), blur)
    else:
        cells = skeletonize(lines, method="lee").reshape(size, 4, size, 4).any((1, 3))
        found = skeletonize(cells, method="lee")
    return Image.fromarray(found).convert("RGB")


def of_square(square: np.ndarray, blur: float = BLUR) -> np.ndarray:
    """Canny's edges (1986) of a picture, uint8 (S, S, 3) -> bool (S, S). By scikit-image."""
    from skimage.color import rgb2gray
    from skimage.feature import canny

    return canny(rgb2gray(square), sigma=blur)


def _lines(picture: np.ndarray) -> np.ndarray | None:
    """Where the lines of a drawing are, uint8 (S, S, 3) -> bool (S, S); None if it has none."""
    from scipy.ndimage import binary_opening
    from skimage.color import rgb2gray
    from skimage.filters import threshold_otsu

    lightness = rgb2gray(picture)
    ink = lightness < threshold_otsu(lightness)
    side = max(2, round(THICK * len(ink)))
    thick = binary_opening(ink, np.ones((side, side)))
    is_drawing = 0 < ink.mean() < MOST_INK and thick.sum() < MOST_THICK * ink.sum()
    return ink if is_drawing else None


def load() -> "ControlNetModel":
    """The kit's ControlNet. Raises `SdkitError` if its files are missing or damaged."""
    from diffusers import ControlNetModel

    return loading.shipped(ControlNetModel, "mini-controlnet")


def pipeline(
    pipe: "StableDiffusionPipeline", network: "ControlNetModel"
) -> "StableDiffusionControlNetPipeline":
    """A pipeline with the same networks as `pipe`, and a ControlNet; for `generate.draw`.

    Raises `SdkitError` if the ControlNet was made for a denoiser of another shape.
    """
    from diffusers import StableDiffusionControlNetPipeline

    if any(getattr(pipe.unet.config, name) != getattr(network.config, name) for name in SHAPE):
        raise SdkitError(
            "This ControlNet does not fit this model. The kit's ControlNet works with mini-sd only."
        )
    made = StableDiffusionControlNetPipeline(
        **pipe.components, controlnet=network.to(pipe.unet.device), requires_safety_checker=False
    )
    made.progress_bar = pipe.progress_bar
    made.sdkit_model = getattr(pipe, "sdkit_model", None)
    return made


def keywords(edges: Image.Image, count: int, size: int, scale: float) -> dict[str, Any]:
    """What the call of a `pipeline` needs for `count` pictures of `size` px along edges.

    Raises `SdkitError` if the picture of edges has another size, or if `scale` is not in 0 to 2.
    """
    if edges.size != (size, size):
        raise SdkitError(
            f"The edges are {edges.width} x {edges.height} pixels, the picture {size} x {size}. "
            f"Find them for this size: edges.find(picture, {size})."
        )
    if not 0 <= scale <= LARGEST_SCALE:
        raise SdkitError(f"The scale of the edges is {scale:g}. Choose 0 to {LARGEST_SCALE:g}.")
    return {"image": [edges] * count, "controlnet_conditioning_scale": float(scale)}
