"""Text to image, image to image and inpainting with diffusers' pipelines.

The functions are the same for mini-sd and for real Stable Diffusion weights.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from sdkit import __version__, edges, progress
from sdkit.diffusion import editing, latents, prompts, sampler
from sdkit.diffusion.schedule import Schedule
from sdkit.errors import SdkitError
from sdkit.models import Model, hardware, loading
from sdkit.models.picture_settings import MAX_STEPS, Settings, check_whole
from sdkit.pictures import broken, photos

if TYPE_CHECKING:
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

__all__ = [
    "AT_ONCE",
    "MAX_STEPS",
    "Settings",
    "UnknownWords",
    "Withheld",
    "batches",
    "draw",
    "edit",
    "inpaint",
    "note",
    "preview",
    "redraw",
    "style",
    "twice",
    "works_twice",
]

AT_ONCE = 16 * 64 * 64  # pixels that `draw` paints in one batch


class UnknownWords(UserWarning):
    """The prompt has words that the model did not see in training."""


class Withheld(SdkitError):
    """The safety checker of the model held pictures back.

    images : the pictures, with None for each one that was held back.
    """

    def __init__(self, images: list[Image.Image | None]) -> None:
        super().__init__(
            f"The model's safety checker withheld {images.count(None)} of {len(images)} pictures "
            "because it found them unsuitable. Try another seed or other words."
        )
        self.images = images


def style(
    pipe: "StableDiffusionImg2ImgPipeline",
    images: list[Image.Image],
    settings: Settings,
    on_step: Callable[[], object] | None = None,
    advise: bool = True,
    on_preview: Callable[[Image.Image], object] | None = None,
) -> list[Image.Image]:
    """Paint each photograph in `images` (RGB) again, as the prompt says.

    pipe : from `models.load`, with the task "img2img".
    on_step : is called after each step. Without it, a notebook shows a progress bar.
    on_preview : is called after each step but the last with a preview; see `preview`.
    advise : warn with `UnknownWords` if the model did not see a word of the prompt in training.

    Noise is added to the latents of the photograph, and the model removes it under the prompt
    (SDEdit: Meng et al. 2022, arXiv:2108.01073). Each picture has its own random generator, so a
    seed gives the same picture whatever else is in the list. The generator is on the CPU, so a GPU
    starts from the same noise. Raises `SdkitError` if a picture is too large or too long, and if
    the model gives none: numbers that are not finite, or one colour only.
    """
    if isinstance(images, Image.Image):
        raise SdkitError("style() needs a list of pictures. Put brackets around the one: [image].")
    if advise:
        _warn(pipe, settings.prompt, "style")
    styled = []
    with progress.counted(on_step, len(images) * settings.steps_run, "painting") as on_step:
        for image in [photos.resize(image, settings.size) for image in images]:
            hardware.refuse_too_large(pipe, image.size)
            styled += _run(
                pipe,
                settings,
                f"{image.width} x {image.height} pixels",
                on_step,
                on_preview=on_preview,
                source=image,
                image=image,
                strength=settings.strength,
                generator=torch.Generator("cpu").manual_seed(settings.seed),
            )
    return styled


def draw(
    pipe: "StableDiffusionPipeline",
    settings: Settings,
    count: int = 1,
    on_step: Callable[[], object] | None = None,
    advise: bool = True,
    along: Image.Image | None = None,
    scale: float = 1.0,
) -> list[Image.Image]:
    """Paint `count` square pictures of `settings.size` px from the prompt alone.

    pipe : from `models.load`, with the task "text2img".
    on_step, advise : as in `style`.
    along : a picture of edges, from `edges.find`. The pictures are drawn along these edges. Then
        `pipe` must be from `edges.pipeline`.
    scale : how much the edges count, 0 to 2; 0: not at all.

    The k-th picture has the seed settings.seed + k and its own random generator, so it does not
    depend on `count`. Raises `Withheld`, which has the other pictures, if the safety checker of the
    model holds some back.
    """
    hardware.refuse_too_large(pipe, (settings.size, settings.size))
    if (along is None) == hasattr(pipe, "controlnet"):
        raise SdkitError(
            "To draw along edges, give draw() both the edges and a pipeline with a ControlNet: "
            "edges.pipeline(pipe, edges.load())."
        )
    if advise:
        _warn(pipe, settings.prompt, "draw")
    drawn: list[Image.Image | None] = []
    together = batches(settings, count)
    total = len(together) * settings.num_inference_steps
    with progress.counted(on_step, total, "painting") as on_step:
        for seeds in together:
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
                    **(edges.keywords(along, len(seeds), settings.size, scale) if along else {}),
                )
            except Withheld as error:  # the other batches are painted all the same
                drawn += error.images
    if None in drawn:
        raise Withheld(drawn)
    return [image for image in drawn if image is not None]


def redraw(
    pipe: "StableDiffusionImg2ImgPipeline",
    images: list[Image.Image],
    settings: Settings,
    on_step: Callable[[], object] | None = None,
    advise: bool = True,
) -> list[Image.Image]:
    """Paint each of `images`, which `draw` has made, again at the larger size `settings.size`.

    pipe : from `models.load`, with the task "img2img".
    on_step, advise : as in `style`.

    The k-th picture has the seed settings.seed + k. Users of Stable Diffusion call this "hires
    fix"; it is a cascade with one network (Ho et al. 2022, arXiv:2106.15282). In the small picture
    the network sees everything at once and decides where things are; in the large one it can add
    details.
    """
    if advise:
        _warn(pipe, settings.prompt, "draw")
    with progress.counted(on_step, len(images) * settings.steps_run, "painting") as on_step:
        redrawn = []
        for k, image in enumerate(images):
            own = replace(settings, seed=settings.seed + k)
            redrawn += style(pipe, [image], own, on_step, advise=False)
        return redrawn


def batches(settings: Settings, count: int) -> list[range]:
    """The seeds of `count` pictures, 1 to 1000, in the batches in which `draw` paints them."""
    check_whole(count, "Number of pictures", 1, 1000)
    seeds = range(settings.seed, settings.seed + count)
    together = max(1, AT_ONCE // settings.size**2)
    return [seeds[first : first + together] for first in range(0, count, together)]


def inpaint(
    pipe: "StableDiffusionPipeline",
    image: Image.Image,
    mask: Image.Image,
    settings: Settings,
    on_step: Callable[[], object] | None = None,
    advise: bool = True,
) -> Image.Image:
    """Paint the part of a picture that is white in `mask` again, and leave the rest as it is.

    pipe : from `models.load`, with the task "text2img".
    mask : a picture with the aspect ratio of `image`.
    on_step, advise : as in `style`.

    After each step, the known part of the latents is replaced by that of the picture with as much
    noise as this step has (blended latent diffusion: Avrahami et al. 2023, arXiv:2206.02779).
    Raises `SdkitError` if the mask is black or has another aspect ratio.
    """
    ratio = image.width * mask.height / (image.height * mask.width)
    if not 0.97 < ratio < 1.03:
        raise SdkitError(
            f"The mask is {mask.width} x {mask.height} pixels, the picture {image.width} x "
            f"{image.height}. Give a mask of the same shape."
        )
    image = photos.resize(image, settings.size)
    weight = np.asarray(mask.convert("L").resize(image.size), np.float32) / 255  # (H, W)
    if weight.max() < 0.5:
        raise SdkitError(
            "The mask is black, so nothing would change. Paint white the part that is to be new."
        )
    what = f"{image.width} x {image.height} pixels"
    hardware.refuse_too_large(pipe, image.size)
    if advise:
        _warn(pipe, settings.prompt, "draw")
    with hardware.enough_memory(f"for {what}"):
        known = latents.encode(pipe.vae, photos.to_tensor(image))  # (1, C, h, w)
    new = (
        torch.nn.functional.adaptive_max_pool2d(
            torch.tensor(weight)[None, None], known.shape[-2:]
        ).to(known)
        > 0.5
    )  # (1, 1, h, w)
    noise = torch.randn(
        known.shape, generator=torch.Generator("cpu").manual_seed(settings.seed)
    ).to(known)

    def put_back(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        later = pipe.scheduler.timesteps[step + 1 : step + 2]
        then = pipe.scheduler.add_noise(known, noise, later) if len(later) else known
        return {"latents": torch.where(new, tensors["latents"], then)}

    with progress.counted(on_step, settings.num_inference_steps, "painting") as on_step:
        (painted,) = _run(
            pipe,
            settings,
            what,
            on_step,
            put_back,
            source=image,
            width=image.width,
            height=image.height,
            generator=torch.Generator("cpu").manual_seed(settings.seed),
        )
    mixed = np.asarray(image) + weight[..., None] * (
        np.asarray(painted, np.float32) - np.asarray(image)
    )
    return Image.fromarray(mixed.round().astype(np.uint8))


def edit(
    pipe: "StableDiffusionPipeline",
    image: Image.Image,
    source: str,
    settings: Settings,
    share: float = 0.4,
    local: bool = True,
    on_step: Callable[[], object] | None = None,
    advise: bool = True,
) -> Image.Image:
    """Change the parts in which the prompt of `settings` differs from `source`, and keep the rest.

    pipe : from `models.load`, with the task "text2img" or "img2img".
    source : what the picture shows now, in words.
    share, local : how much of the old attention maps stays, and whether the old picture stays
        where no changed word looks; see `sdkit.diffusion.editing`.
    on_step : as in `style`. It is called twice for each step: on the way to noise, and back.
    advise : as in `style`.

    Raises `SdkitError` as `style` does, and if the two prompts are the same.
    """
    same = (source.split(), settings.prompt.split())
    if same[0] == same[1]:
        raise SdkitError(
            "The two sentences are the same, so nothing would change. Change a word of the second."
        )
    image = photos.resize(image, settings.size)
    hardware.refuse_too_large(pipe, image.size)
    if advise:
        for prompt in (source, settings.prompt):
            _warn(pipe, prompt, "draw")
    schedule, steps = Schedule.of(pipe.scheduler), settings.num_inference_steps
    timesteps = sampler.timesteps(schedule, steps)
    control = editing.AttentionControl(pipe.tokenizer, source, settings.prompt, share)
    with (
        progress.counted(on_step, 2 * steps, "editing") as on_step,
        hardware.enough_memory(f"for {image.width} x {image.height} pixels"),
        twice(pipe) if works_twice(pipe, settings) else contextlib.nullcontext(),
    ):
        z = latents.encode(pipe.vae, photos.to_tensor(image))  # (1, C, h, w)
        before, after, without = (
            prompts.encode(pipe.tokenizer, pipe.text_encoder, text)
            for text in (source, settings.prompt, settings.negative_prompt)
        )
        path = editing.invert(pipe.unet, schedule, z, before, without, timesteps, on_step=on_step)
        for state in editing.edit(
            pipe.unet,
            schedule,
            path,
            before,
            after,
            without,
            timesteps,
            settings.guidance_scale,
            control,
            local,
            on_step,
        ):
            broken.refuse_not_finite(state.latents, "latents")
        x = latents.decode(pipe.vae, state.latents)  # (1, 3, H, W)
        _, flagged = pipe.run_safety_checker(x, x.device, x.dtype)
    if flagged and any(flagged):
        raise Withheld([None])
    edited = photos.to_image(x)
    broken.refuse_one_colour(edited, image)
    return edited


@torch.no_grad()
def preview(pipe: Any, tensors: torch.Tensor) -> Image.Image:
    """The picture that the model expects after a step: RGB, half as wide and high.

    tensors : the latents (1, C, h, w) after the step.

    DPM-Solver keeps the clean latents that the network predicts. For another scheduler the noisy
    `tensors` are shown. They are decoded at half size, which takes a fifth of the time.
    """
    believed = (getattr(pipe.scheduler, "model_outputs", None) or [None])[-1]
    clean = getattr(pipe.scheduler.config, "algorithm_type", "") == "dpmsolver++"
    if believed is None or not clean or believed.shape != tensors.shape:
        believed = tensors
    half = torch.nn.functional.avg_pool2d(believed.to(tensors), 2)  # (1, C, h/2, w/2)
    return photos.to_image(latents.decode(pipe.vae, half))


def works_twice(pipe: Any, settings: Settings) -> bool:
    """Whether each step asks the UNet twice, with the prompt and without it.

    A UNet into which guidance was distilled gives the guided answer in one call (Meng et al. 2023,
    arXiv:2210.03142). Ours learned this for an empty negative prompt and for the guidance scales
    that its defaults name as "one_call", so for others it is asked twice as well.
    """
    if settings.guidance_scale <= 1:
        return False
    if pipe.unet.config.time_cond_proj_dim is None:
        return True
    largest = _largest_in_one_call(pipe)
    return largest is not None and (
        settings.guidance_scale > largest or bool(settings.negative_prompt)
    )


def _largest_in_one_call(pipe: Any) -> float | None:
    """The largest guidance scale that our UNet learned, or None for a UNet that is not ours."""
    model = getattr(pipe, "sdkit_model", None)
    return model and model.defaults.get("one_call")


@contextlib.contextmanager
def twice(pipe: Any) -> Iterator[None]:
    """In this block, a pipeline calls its UNet as if guidance had not been distilled into it.

    So there are two calls with guidance, and one call without a scale if there is no guidance.
    """
    distilled = pipe.unet.config.time_cond_proj_dim
    pipe.unet.register_to_config(time_cond_proj_dim=None)
    try:
        yield
    finally:
        pipe.unet.register_to_config(time_cond_proj_dim=distilled)


def _warn(pipe: Any, prompt: str, task: str) -> None:
    """Warn with `UnknownWords`, if the pipeline comes from a `Model` that has advice.

    An empty prompt gives no warning, because a program passes it on purpose.
    """
    model = getattr(pipe, "sdkit_model", None)
    if model is not None and prompt.strip() and (sentence := model.advice(prompt, task)):
        warnings.warn(sentence, UnknownWords, stacklevel=3)


def _run(
    pipe: Any,
    settings: Settings,
    what: str,
    on_step: Callable[[], object] | None,
    change: Callable[..., dict[str, Any]] | None = None,
    count: int = 1,
    source: Image.Image | None = None,
    on_preview: Callable[[Image.Image], object] | None = None,
    **keywords: Any,
) -> list[Image.Image]:
    """Call a pipeline with `settings`, for `count` pictures.

    what : what is painted, for the sentence about too little memory.
    change : change(pipe, step, timestep, tensors) may give other latents after each step.
    source : the picture that is painted again, if any.
    on_preview : as in `style`.

    Raises `SdkitError` if the pipeline is of another task, and if the result is no picture; see
    `sdkit.pictures.broken`.
    """
    task, kind = "img2img" if "image" in keywords else "text2img", type(pipe).__name__
    if kind in loading.PIPELINES.values() and kind != loading.PIPELINES[task]:
        raise SdkitError(
            f'This pipeline was loaded for another task. Load it with the task "{task}", for '
            f'example: models.load("mini-sd", task="{task}").'
        )

    def after_step(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        broken.refuse_not_finite(tensors["latents"], "latents")
        if on_step:
            on_step()
        if on_preview and step + 1 < settings.steps_run:
            on_preview(preview(pipe, tensors["latents"]))
        return change(pipe, step, timestep, tensors) if change else tensors

    unguided = settings.guidance_scale <= 1 and _largest_in_one_call(pipe)
    plainly = works_twice(pipe, settings) or unguided
    with (
        hardware.enough_memory(f"for {what}"),
        broken.decoder_watched(pipe.vae),
        twice(pipe) if plainly else contextlib.nullcontext(),
    ):
        made = pipe(
            prompt=[settings.prompt] * count,
            negative_prompt=[settings.negative_prompt] * count,
            guidance_scale=float(settings.guidance_scale),
            callback_on_step_end=after_step,
            num_inference_steps=settings.num_inference_steps,
            output_type="np",
            **keywords,
        )
    broken.refuse_not_finite(torch.from_numpy(made.images), "pixels")
    images = pipe.image_processor.numpy_to_pil(made.images)  # (count, H, W, 3) in [0, 1]
    flagged = getattr(made, "nsfw_content_detected", None) or [False] * count
    for image, black in zip(images, flagged):
        if not black:
            broken.refuse_one_colour(image, source)
    if any(flagged):
        raise Withheld([None if black else image for image, black in zip(images, flagged)])
    return images


def note(
    settings: Settings, model: Model | str, kind: str = "a photograph restyled"
) -> dict[str, str]:
    """How a picture was made, as texts for `provenance.save_png`. Nothing of a photograph is in it.

    model : the model that made the picture, or its label.
    kind : what was done, for the description.
    """
    label = model.label if isinstance(model, Model) else model
    chunks = {
        "Software": f"sdkit {__version__}",
        "Description": f"Made with AI: {kind} by the diffusion model {label}",
        "Model": label,
        "Prompt": settings.prompt,
        "Negative prompt": settings.negative_prompt,
        "Strength": f"{float(settings.strength):g}",
        "Guidance scale": f"{float(settings.guidance_scale):g}",
        "Steps": str(settings.num_inference_steps),
        "Seed": str(settings.seed),
        "Size": str(settings.size),
    }
    return {key: value for key, value in chunks.items() if value or key == "Prompt"}
