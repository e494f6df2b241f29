"""Refuse broken pictures: numbers that are not finite, or one colour everywhere.

Both come from a broken network. Saved as pictures, they would be black, and nobody would know why.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from sdkit.errors import COMMAND, SdkitError

REMEDY = (
    f"Its weights may be damaged: {COMMAND} doctor checks those of the kit. Or half precision is "
    "too coarse for it: use --device cpu, or load it with dtype=torch.float32."
)


# grey levels; a difference that nobody sees, as rounding leaves it
UNSEEN = 2


def refuse_not_finite(values: Any, what: str) -> None:
    """Raise `SdkitError` if a number in `values`, a tensor of any shape, is not finite.

    what : what the numbers are, as in "pixels".
    """
    # one bad number makes the sum bad
    if not values.float().sum().isfinite():
        raise SdkitError(
            f"The model gave {what} that are not finite (NaN), so there is no picture. {REMEDY}"
        )


@contextlib.contextmanager
def decoder_watched(vae: Any) -> Iterator[None]:
    """In this block, raise `SdkitError` if the decoder of `vae` gives numbers that are not finite.

    diffusers clips them to the range of a picture. Afterwards, infinity looks like white.
    """

    def look(module: Any, inputs: Any, made: Any) -> None:
        refuse_not_finite(made, "pixels")

    hook = vae.decoder.register_forward_hook(look)
    try:
        yield
    finally:
        hook.remove()


def refuse_one_colour(image: Image.Image, source: Image.Image | None = None) -> None:
    """Raise `SdkitError` if all pixels of `image` (RGB) look the same.

    source : the picture that it was made from, if any. If that has only one colour, so may `image`.
    """
    if _one_colour(image) and not (source and _one_colour(source)):
        raise SdkitError(
            f"The model gave a picture of one colour only, so it was not kept. {REMEDY} A guidance "
            "scale that is far too high does this, too."
        )


def _one_colour(image: Image.Image) -> bool:
    channels: Any = image.convert("RGB").getextrema()
    return all(most - least <= UNSEEN for least, most in channels)
