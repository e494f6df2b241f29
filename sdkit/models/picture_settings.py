"""All numbers and words that decide about a picture. They are checked when they are put together.

torch is not imported here, so a wrong setting is reported at once.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any
from unicodedata import category

from sdkit.errors import SdkitError

# A scheduler with "leading" spacing takes every (1000 // steps)-th of the 1000 timesteps. With more
# than 500 steps that is every one, counted from 0, so the noisiest timesteps would be left out.
MAX_STEPS = 500
NUMBERS = ("strength", "guidance_scale", "num_inference_steps", "size")


@dataclass(frozen=True)
class Settings:
    """All that decides about a picture, apart from the model and the photograph.

    prompt : what to paint, or the style to paint in; may be empty.
    strength : how much noise goes into the photograph, more than 0 and at most 1. At 1 nothing is
        left of the photograph; `generate.draw` and `generate.inpaint` always work like this.
    guidance_scale : how much the prompt is amplified (classifier-free guidance), 0 to 100. Up to 1,
        it is not amplified at all.
    num_inference_steps : steps from pure noise to a picture, 1 to 500. If the strength is below 1,
        only the last int(num_inference_steps * strength) of them run.
    size : short side of the picture in px, 64 to 2048; it is rounded to a multiple of 8.
    negative_prompt : what to avoid.
    seed : seed of the noise, 0 or more.

    Raises `SdkitError` if a value is not allowed.
    """

    prompt: str
    strength: float
    guidance_scale: float
    num_inference_steps: int
    size: int
    negative_prompt: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("prompt", "negative_prompt"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise SdkitError(
                    f"{_words(name)} is not text: {value!r:.60}. "
                    "Give a few words, such as 'van gogh'."
                )
            if len(value) > 2000:
                raise SdkitError(
                    f"{_words(name)} has {len(value)} characters. Keep it to a sentence or two."
                )
            if any(category(c) in ("Cc", "Cs") and c not in "\t\n\r" for c in value):
                raise SdkitError(
                    f"{_words(name)} has a character that is not a letter ({ascii(value)[:60]}). "
                    "Type the words again."
                )
        for name, low, high in (("strength", 0, 1), ("guidance_scale", 0, 100)):
            value = getattr(self, name)
            real = isinstance(value, Real) and not isinstance(value, bool)
            if not real or not _in(value, low, high):
                raise SdkitError(
                    f"{_words(name)} {value!r:.40} is outside {low} to {high}. "
                    "Choose a number in between."
                )
        whole = ("num_inference_steps", 1, MAX_STEPS), ("size", 64, 2048), ("seed", 0, 2**63 - 1)
        for name, low, high in whole:
            check_whole(getattr(self, name), _words(name), low, high)
        if self.steps_run < 1:
            need = f"a strength of {1 / self.num_inference_steps:.2g} or more, or more steps"
            raise SdkitError(
                f"{self.num_inference_steps} steps x strength {float(self.strength):g} is less "
                f"than one step, so nothing would be painted. Use {need}."
            )

    @property
    def steps_run(self) -> int:
        """The number of steps that run, int(num_inference_steps * strength), as in diffusers."""
        return int(self.num_inference_steps * self.strength)


def check_defaults(values: dict[str, Any]) -> None:
    """Raise `SdkitError` if the settings in a `defaults.json` cannot be used.

    values : the settings, as in `sdkit.models.Model.defaults`.
    """
    for task in (None, "draw", "redraw", "inpaint", "edit"):
        own = values.get(task, {}) if task else values
        if not isinstance(own, dict):
            raise SdkitError(f"{task} is not a list of settings in braces. Write some.")
        own = {**values, "strength": 1.0, **own} if task else values
        numbers: dict[str, Any] = {key: own.get(key) for key in NUMBERS}
        Settings("", **numbers)
    styles, scales = values.get("styles", []), values.get("guidance_scales", {})
    if not isinstance(styles, list) or not all(isinstance(s, str) and s for s in styles):
        raise SdkitError("styles is not a list of words. Write the names of styles.")
    if not isinstance(scales, dict):
        raise SdkitError("guidance_scales is not a list of words and numbers. Write some.")
    largest = [values["one_call"]] if values.get("one_call") is not None else []
    for scale in [*scales.values(), *largest]:
        Settings("", **{**{key: values[key] for key in NUMBERS}, "guidance_scale": scale})


def check_whole(value: Any, what: str, low: int, high: int) -> None:
    """Raise `SdkitError` unless `value` is a whole number from `low` to `high`.

    what : the name of the number, as the start of a sentence.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or not _in(value, low, high):
        raise SdkitError(
            f"{what} {value!r:.40} is not a whole number from {low} to {high}. Choose one."
        )


def _in(value: Any, low: float, high: float) -> bool:
    """Whether `value` is from `low` to `high`; NaN is not."""
    return low <= value <= high


def _words(name: str) -> str:
    """The name of a setting as the start of a sentence."""
    return {"num_inference_steps": "Number of steps"}.get(name, name.replace("_", " ").capitalize())
