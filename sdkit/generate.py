"""Text to image, image to image and inpainting, thin over diffusers' pipelines, for mini-sd and real weights alike."""

import difflib
import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real
from unicodedata import category

import numpy as np
import torch

from sdkit import __version__
from sdkit.diffusion import latents, prompts
from sdkit.errors import SdkitError
from sdkit.models import hardware
from sdkit.pictures import photos

AT_ONCE = 16 * 64 * 64  # pixels that `draw` paints in one batch
# "leading" spacing of more than half of the 1000 timesteps starts too late in the chain
MAX_STEPS = 500


class UnknownWords(UserWarning):
    """The prompt holds words that the model never saw in training."""


class Withheld(SdkitError):
    """The model's safety checker blacked a picture out. `images` holds what was painted, None for what was not shown."""

    def __init__(self, images):
        super().__init__(
            f"The model's safety checker withheld {images.count(None)} of {len(images)} pictures: it took "
            "what was painted for unsuitable. Try another seed or other words."
        )
        self.images = images


@dataclass(frozen=True)
class Settings:
    """All that decides about a picture, apart from the photo and the model. Checked when it is made.

    Parameters
    ----------
    prompt : what to paint, or what to paint like; may be empty
    strength : how far noise goes into the photo, in (0, 1]; 0 would leave it alone, 1 forgets it (and is what `draw`
        and `inpaint` always do)
    guidance_scale : how much the prompt is amplified, 0 to 100; up to 1 means not at all
    num_inference_steps : steps of the whole chain, 1 to 500; int(steps * strength) of them are run
    size : short side of the result in px, 64 to 2048, rounded to a multiple of 8
    negative_prompt : what to keep away from
    seed : of the noise, from 0 on

    Raises `SdkitError` for values outside.
    """

    prompt: str
    strength: float
    guidance_scale: float
    num_inference_steps: int
    size: int
    negative_prompt: str = ""
    seed: int = 0

    def __post_init__(self):
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
                    f"{_words(name)} holds a character that is no letter ({ascii(value)[:60]}). "
                    "Type the words anew."
                )
        for name, low, high in (("strength", 0, 1), ("guidance_scale", 0, 100)):
            value = getattr(self, name)
            # NaN fails the comparison, too
            if not isinstance(value, Real) or isinstance(value, bool) or not low <= value <= high:
                raise SdkitError(
                    f"{_words(name)} {value!r:.40} is outside {low} to {high}. "
                    "Choose a number in between."
                )
        whole = ("num_inference_steps", 1, MAX_STEPS), ("size", 64, 2048), ("seed", 0, 2**63 - 1)
        for name, low, high in whole:
            value = getattr(self, name)
            if (
                not isinstance(value, Integral)
                or isinstance(value, bool)
                or not low <= value <= high
            ):
                raise SdkitError(
                    f"{_words(name)} {value!r:.40} is not a whole number from {low} to {high}. "
                    "Choose one."
                )
        if self.steps_run < 1:
            need = f"a strength of {1 / self.num_inference_steps:.2g} or more, or more steps"
            raise SdkitError(
                f"{self.num_inference_steps} steps x strength {float(self.strength):g} is less than "
                f"one step, so nothing would be painted. Take {need}."
            )

    @property
    def steps_run(self):
        """How many steps the network really makes: int(num_inference_steps * strength), as in diffusers."""
        return int(self.num_inference_steps * self.strength)


def _words(name):
    return {"num_inference_steps": "Number of steps"}.get(name, name.replace("_", " ").capitalize())


def style(pipe, images, settings, on_step=None):
    """Paint each photo of `images` (list of `PIL.Image` in RGB) by `settings`: a list of `PIL.Image`.

    Noise goes part of the way into the photo's latents, then the network walks back under the prompt (SDEdit, Meng
    et al. 2022, arXiv:2108.01073). One picture at a time, each with a generator of its own: one seed gives one
    picture, whatever else is in the list. The generator lives on the CPU, so that a GPU gives the same picture.
    `on_step()` is called after each step. Warns with `UnknownWords` about words that the model was not trained on.
    """
    if isinstance(images, photos.Image.Image):
        raise SdkitError("style() wants a list of pictures. Put brackets around the one: [image].")
    styled = []
    for image in [photos.resize(image, settings.size) for image in images]:
        hardware.refuse_too_large(pipe, image.size)
        styled += _run(
            pipe,
            settings,
            f"{image.width} x {image.height} pixels",
            on_step,
            image=image,
            strength=settings.strength,
            generator=torch.Generator("cpu").manual_seed(settings.seed),
        )
    return styled


def draw(pipe, settings, count=1, on_step=None):
    """Paint `count` square pictures from the prompt alone, with the seeds settings.seed, settings.seed + 1, ...

    Returns a list of `PIL.Image` with sides of `settings.size`. Each picture has a generator of its own, so that it
    does not depend on how many are asked for. `pipe` is loaded for the task "text2img". Raises `Withheld`, with those
    that may be shown, where the model brings a safety checker that blacked some out.
    """
    drawn = []
    hardware.refuse_too_large(pipe, (settings.size, settings.size))
    for seeds in batches(settings, count):
        try:
            drawn += _run(
                pipe,
                settings,
                f"{len(seeds)} pictures of {settings.size} x {settings.size} pixels",
                on_step,
                count=len(seeds),
                height=settings.size,
                width=settings.size,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )
        except Withheld as error:  # the others are painted all the same
            drawn += error.images
    if None in drawn:
        raise Withheld(drawn)
    return drawn


def redraw(pipe, images, settings, on_step=None):
    """Paint each of `images`, as `draw` gave them, again at settings.size, the k-th with the seed settings.seed + k.

    This is the "hires fix" of those who use Stable Diffusion, a cascade with one network (Ho et al. 2022): a small
    picture decides what is where, for there the network sees it whole; in a larger one it has room for the edges.
    Returns a list. `pipe` is loaded for the task "img2img".
    """
    return [
        style(pipe, [image], replace(settings, seed=settings.seed + k), on_step)[0]
        for k, image in enumerate(images)
    ]


def batches(settings, count):
    """The seeds of `count` pictures, 1 to 1000, in the batches in which `draw` paints them: list of ranges."""
    if not isinstance(count, Integral) or isinstance(count, bool) or not 1 <= count <= 1000:
        raise SdkitError(
            f"Number of pictures {count!r:.40} is not a whole number from 1 to 1000. Choose one."
        )
    seeds, together = (
        range(settings.seed, settings.seed + count),
        max(1, AT_ONCE // settings.size**2),
    )
    return [seeds[first : first + together] for first in range(0, count, together)]


def inpaint(pipe, image, mask, settings, on_step=None):
    """Repaint what is white in `mask` (a `PIL.Image` shaped as `image`), and leave the rest as it is: a `PIL.Image`.

    After each step, what is known is put back with as much noise as the step has left (blended latents: Avrahami et
    al. 2023, arXiv:2206.02779). `pipe` is loaded for the task "text2img". Raises `SdkitError` for a mask that is
    black or of another shape.
    """
    ratio = image.width * mask.height / (image.height * mask.width)
    if not 0.97 < ratio < 1.03:
        raise SdkitError(
            f"The mask is {mask.width} x {mask.height} pixels, the picture {image.width} x "
            f"{image.height}. Give a mask of the same shape."
        )
    image = photos.resize(image, settings.size)
    mask = np.asarray(mask.convert("L").resize(image.size), np.float32) / 255
    if mask.max() < 0.5:
        raise SdkitError(
            "The mask is black, so nothing would be repainted. Make white what shall be new."
        )
    what = f"{image.width} x {image.height} pixels"
    hardware.refuse_too_large(pipe, image.size)
    with hardware.enough_memory(f"for {what}"):
        known = latents.encode(pipe.vae, photos.to_tensor(image))  # (1, C, h, w)
    new = (
        torch.nn.functional.adaptive_max_pool2d(
            torch.tensor(mask)[None, None], known.shape[-2:]
        ).to(known)
        > 0.5
    )
    noise = torch.randn(
        known.shape, generator=torch.Generator("cpu").manual_seed(settings.seed)
    ).to(known)

    def put_back(pipe, step, timestep, tensors):
        later = pipe.scheduler.timesteps[step + 1 : step + 2]
        then = pipe.scheduler.add_noise(known, noise, later) if len(later) else known
        return {"latents": torch.where(new, tensors["latents"], then)}

    (painted,) = _run(
        pipe,
        settings,
        what,
        on_step,
        put_back,
        width=image.width,
        height=image.height,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
    )
    mixed = np.asarray(image) + mask[..., None] * (
        np.asarray(painted, np.float32) - np.asarray(image)
    )
    return photos.Image.fromarray(mixed.round().astype(np.uint8))


def _run(pipe, settings, what, on_step, change=None, count=1, **keywords):
    """Call a pipeline with `settings`; `change(pipe, step, timestep, tensors)` may replace latents after a step."""
    sentence = advice(settings.prompt, prompts.known_words(pipe.config._name_or_path))
    if sentence:
        warnings.warn(sentence, UnknownWords, stacklevel=3)

    def after_step(pipe, step, timestep, tensors):
        if on_step:
            on_step()
        return change(pipe, step, timestep, tensors) if change else tensors

    with hardware.enough_memory(f"for {what}"):
        made = pipe(
            prompt=[settings.prompt] * count,
            negative_prompt=[settings.negative_prompt] * count,
            guidance_scale=float(settings.guidance_scale),
            callback_on_step_end=after_step,
            num_inference_steps=settings.num_inference_steps,
            **keywords,
        )
    flagged = getattr(made, "nsfw_content_detected", None) or [False] * count
    if any(flagged):
        raise Withheld([None if black else image for image, black in zip(made.images, flagged)])
    return made.images


def advice(prompt, known):
    """A sentence on the words of `prompt` that are not in the set `known`, or None when there are none."""
    unknown = [
        word for word in prompts.split_prompt(prompt, known)[1] if word not in prompts.STOP_WORDS
    ]
    if not unknown:
        return None
    near = {match for word in unknown for match in difflib.get_close_matches(word, known, n=1)}
    listed = sorted(near) or sorted(known, key=lambda word: (len(word) < 3, word))[:20]
    kind = "near ones that it knows" if near else "some that it knows"
    return (
        f"This model was not trained on {', '.join(map(repr, unknown))} and may not heed it; "
        f"{kind}: {', '.join(listed)}."
    )


def note(settings, model, kind="a photograph restyled"):
    """How a picture was made, as text chunks for `provenance.save_png`: nothing of a photo is in it."""
    chunks = {
        "Software": f"sdkit {__version__}",
        "Description": f"Made with AI: {kind} by the diffusion model {model}",
        "Model": model,
        "Prompt": settings.prompt,
        "Negative prompt": settings.negative_prompt,
        "Strength": f"{float(settings.strength):g}",
        "Guidance scale": f"{float(settings.guidance_scale):g}",
        "Steps": str(settings.num_inference_steps),
        "Seed": str(settings.seed),
        "Size": str(settings.size),
    }
    return {key: value for key, value in chunks.items() if value or key == "Prompt"}
