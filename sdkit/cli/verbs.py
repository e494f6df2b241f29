"""The verbs that work on files: draw, style, inpaint, edit and upscale make pictures.

clear removes them from notebooks, check says how they were made.

torch and diffusers take seconds to import, so each verb imports them when it needs them. The parser
has checked the arguments.
"""

import contextlib
import io
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from sdkit import models
from sdkit.cli import consent, forecast, teach
from sdkit.errors import SdkitError, plain, unexpected
from sdkit.files import expand
from sdkit.models import hardware
from sdkit.pictures import (
    certificate,
    layers,
    manifest,
    notebooks,
    outputs,
    photos,
    provenance,
    watermark,
)
from sdkit.pictures.manifest import Origin

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from sdkit.pictures import portraits

SHEET = 4  # photographs on one before/after sheet


def draw(arguments: Namespace) -> int:
    """Draw pictures from a sentence; then make them larger, or paint them in a style, if asked."""
    model = _model(arguments)
    if arguments.edges and not model.found:  # before a download that would be in vain
        raise SdkitError("--edges works with mini-sd only. Leave out --model or --edges.")
    if not arguments.edges and arguments.edges_scale != 1:
        raise SdkitError("--edges-scale needs a picture of edges. Add --edges PICTURE.")
    used = teach.loras(arguments)
    prompt, named = model.split_style(" ".join(arguments.prompt))
    in_style, own = arguments.style or named, model.defaults
    larger = arguments.upscale
    if larger is None:  # no option was given; the defaults of mini-sd say that it enlarges
        larger = arguments.size is None and own.get("draw", {}).get("upscale", False)
    upscaler = models.resolve("mini-upscaler") if larger else None
    known = teach.without_words(prompt, used)
    if why := model.refusal(known, "draw"):
        raise SdkitError(why)
    sentence, added = model.complete(prompt, arguments.seed)
    settings = _settings(arguments, model, sentence, "draw")
    outputs.make_folder(arguments.out)
    _advise(model, known, "draw")
    if in_style and (known_style := teach.without_words(in_style, used)):
        _advise(model, known_style, "style")
    if added:
        print(f"You did not say: {', '.join(added)}. The seed chose this. Drawn: {sentence}")
    guide = photos.open_photo(arguments.edges) if arguments.edges else None
    enlarging = _load_upscaler(arguments, upscaler, model) if upscaler else None
    pipe, began = _load(arguments, model, "text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import edges, generate, lora, stages, upscale

    size, count = settings.size, arguments.count
    along = edges.find(guide, size) if guide else None
    if along:
        pipe = edges.pipeline(pipe, edges.load())
    batches = generate.batches(settings, count)
    hardware.refuse_too_large(pipe, (size, size))
    following, work = [], [forecast.painting(pipe, settings, (size, size), count, encode=False)]
    if upscaler:
        if own.get("redraw", {}).get("size") == 2 * size:
            again = model.settings(sentence, "redraw", negative_prompt=arguments.negative_prompt)
            painter, size = _load(arguments, model), again.size
            following.append(stages.paint_again(painter, again, "redrawing"))
            work.append(forecast.painting(painter, again, (size, size), count))
        last = stages.enlarge(enlarging, upscaler, size)
        # the upscaler shares the text encoder, and did not learn with the LoRAs
        following.append(replace(last, apply=lora.paused(pipe, last.apply)))
        work.append(
            forecast.enlarging(enlarging, [(size, size)] * count, upscale.STEPS, upscale.STRENGTH)
        )
    if in_style:
        second, painter = model.settings(in_style, seed=settings.seed), _load(arguments, model)
        following.append(
            stages.paint_again(painter, second, "second go", f"-{outputs.slug(in_style)}")
        )
        work.append(forecast.painting(painter, second, (second.size, second.size), count))
    consent.agree(work, arguments.yes)
    note = generate.note(settings, model, "a picture painted from a sentence") | teach.note(used)
    if along:
        note |= {"Edges": "of a picture", "Scale of the edges": f"{arguments.edges_scale:g}"}
    for stage in following:
        note |= stage.note
    name = outputs.slug(prompt) + "".join(stage.tail for stage in following)
    steps = settings.num_inference_steps * len(batches)
    steps += count * sum(stage.steps for stage in following)
    written: list[Path] = []
    failed: list[str] = []
    with (
        lora.applied(pipe, used),
        tqdm(total=steps, unit="step", disable=None, leave=False) as bar,
    ):
        drawn: list[Image.Image | None]
        try:
            scale = arguments.edges_scale
            drawn = [*generate.draw(pipe, settings, count, bar.update, False, along, scale)]
        except generate.Withheld as error:
            drawn = error.images
        for seed, image in enumerate(drawn, settings.seed):
            with _report_failure(f"seed {seed}", failed, bar.write):
                if image is None:
                    raise generate.Withheld([None])
                for stage in following:
                    image = stage.apply(image, seed, bar.update)
                own_note = {**note, "Seed": str(seed)}
                _save(
                    arguments,
                    image,
                    f"{name}-seed{seed}",
                    own_note,
                    written,
                    bar.write,
                    source=arguments.edges,
                    origin=Origin.SENTENCE,
                )
    print(f"{len(written)} in {time.perf_counter() - began:.1f} s")
    return 2 if failed else 0


def inpaint(arguments: Namespace) -> int:
    """Paint the white part of the mask again."""
    model = _model(arguments)
    settings = _settings(arguments, model, arguments.prompt, "inpaint")
    outputs.make_folder(arguments.out)
    _advise(model, arguments.prompt, "draw")
    image, mask = photos.open_photo(arguments.photo), photos.open_photo(arguments.mask)
    pipe, began = _load(arguments, model, "text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import generate

    size = photos.resized_size(image, settings.size)
    consent.agree_to_run(pipe, settings, size, 1, arguments.yes)
    note = generate.note(settings, model, "a part of a picture repainted")
    name = f"{outputs.stem(arguments.photo)}-{_tail(settings)}"
    steps = settings.num_inference_steps
    with tqdm(total=steps, unit="step", disable=None, leave=False) as bar:
        painted = generate.inpaint(pipe, image, mask, settings, bar.update, advise=False)
        _save(arguments, painted, name, note, [], bar.write, began, arguments.photo)
    return 0


def edit(arguments: Namespace) -> int:
    """Change a word of what a picture shows, and keep the rest."""
    model = _model(arguments)
    for sentence in (arguments.source, arguments.prompt):
        if why := model.refusal(sentence, "draw"):
            raise SdkitError(why)
    settings = _settings(arguments, model, arguments.prompt, "edit")
    outputs.make_folder(arguments.out)
    for sentence in (arguments.source, arguments.prompt):
        _advise(model, sentence, "draw")
    image = photos.open_photo(arguments.photo)
    pipe, began = _load(arguments, model, "text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import generate

    size, steps = photos.resized_size(image, settings.size), settings.num_inference_steps
    hardware.refuse_too_large(pipe, size)
    consent.agree([forecast.editing(pipe, settings, size)], arguments.yes)
    note = generate.note(settings, model, "a picture edited")
    note |= {"Prompt before": arguments.source, "Kept": f"{arguments.keep:g}"}
    name = f"{outputs.stem(arguments.photo)}-{_tail(settings)}"
    with tqdm(total=2 * steps, unit="step", disable=None, leave=False) as bar:
        edited = generate.edit(
            pipe,
            image,
            arguments.source,
            settings,
            arguments.keep,
            not arguments.everywhere,
            bar.update,
            advise=False,
        )
        _save(arguments, edited, name, note, [], bar.write, began, arguments.photo)
    return 0


def style(arguments: Namespace) -> int:
    """Paint photographs in a style. If one cannot be used, say why and go on with the others."""
    model = _model(arguments)
    settings = _settings(arguments, model, arguments.prompt, "style")
    used = teach.loras(arguments)
    outputs.make_folder(arguments.out)
    known = teach.without_words(arguments.prompt, used)
    if known or not used:
        _advise(model, known, "style")
    sources, failed = _find(arguments.photos)
    # before the photographs are opened, so that a fault of the model is reported once
    pipe = _load(arguments, model) if sources else None
    from tqdm import tqdm

    from sdkit import generate, lora

    note = generate.note(settings, model) | teach.note(used)
    written: list[Path] = []
    pairs: list[tuple[Image.Image, Image.Image, str]] = []
    start, agreed = time.perf_counter(), False
    parts = _parts(sources, arguments.crop, failed)
    with (
        lora.applied(pipe, used if sources else []),
        tqdm(total=len(parts) * settings.steps_run, unit="step", disable=None, leave=False) as bar,
    ):
        for source, tail, box in parts:
            with _report_failure(f"{Path(source).name}{tail}", failed, bar.write):
                photo = photos.open_photo(source)
                photo = photo.crop(box) if box else photo
                if not agreed:
                    size = photos.resized_size(photo, settings.size)
                    with bar.external_write_mode():  # the question needs the line of the bar
                        consent.agree_to_run(pipe, settings, size, len(parts), arguments.yes)
                    agreed = True
                began, stem = time.perf_counter(), f"{outputs.stem(source)}{tail}"
                (after,) = generate.style(pipe, [photo], settings, bar.update, advise=False)
                name = f"{stem}-{_tail(settings)}"
                _save(arguments, after, name, note, written, bar.write, began, source)
                if arguments.grid:
                    before = photo.resize(after.size, Image.Resampling.LANCZOS)
                    pairs.append((before, after, stem))
        done = len(written)
        for first in range(0, len(pairs), SHEET):
            with _report_failure("sheet", failed, bar.write):
                sheet = _sheet(pairs[first : first + SHEET], settings)
                _save(arguments, sheet, f"sheet-{_tail(settings)}", note, written, bar.write)
    return _close(done, failed, start)


def upscale(arguments: Namespace) -> int:
    """Enlarge pictures four times. If one cannot be used, say why and go on with the others."""
    upscaler, shared = models.resolve(arguments.model), models.resolve()
    pipe, written = _load_upscaler(arguments, upscaler, shared), []
    outputs.make_folder(arguments.out)
    from tqdm import tqdm

    from sdkit import upscale

    settings = {
        name: getattr(arguments, name)
        for name in ("num_inference_steps", "strength", "noise_level", "seed")
    }
    upscale.upscale(pipe, [], **settings)  # reports settings that are not allowed, once
    note = upscale.note(upscaler, **settings)
    found, failed = _find(arguments.pictures)
    sources, sizes = [], []
    for source in found:
        with _report_failure(Path(source).name, failed, print):
            size = photos.open_photo(source).size
            upscale.check_size(*size)
            sources.append(source)
            sizes.append(size)
    steps = arguments.num_inference_steps, arguments.strength
    consent.agree([forecast.enlarging(pipe, sizes, *steps)], arguments.yes)
    start, total = time.perf_counter(), len(sources) * upscale.steps_run(*steps)
    with tqdm(total=total, unit="step", disable=None, leave=False) as bar:
        for source in sources:
            with _report_failure(Path(source).name, failed, bar.write):
                picture, began = photos.open_photo(source), time.perf_counter()
                (after,) = upscale.upscale(pipe, [picture], **settings, on_step=bar.update)
                name = f"{outputs.stem(source)}-x4"
                _save(arguments, after, name, note, written, bar.write, began, source)
    return _close(len(written), failed, start)


def clear(arguments: Namespace) -> int:
    """Remove pictures and other outputs from notebooks. If one fails, go on with the others.

    Also names the cells that could still hold a picture.
    """
    failed: list[str] = []
    found = notebooks.find_notebooks(arguments.notebooks)
    if not found:
        raise SdkitError(
            "No notebook (.ipynb) was found. Give a notebook, or a folder with notebooks."
        )
    for path in found:
        with _report_failure(str(path), failed, print):
            removed, doubtful = notebooks.clear(path)
            print(f"cleared  {plain(path)}  ({removed} outputs and pictures)")
            if doubtful:
                failed.append(path.name)
                print(
                    f"look at  {plain(path)}: {', '.join(doubtful)} could still hold a picture, as "
                    "data or as numbers. Delete it by hand.",
                    file=sys.stderr,
                )
    return 2 if failed else 0


def check(arguments: Namespace) -> int:
    """Say which layers of a picture tell how it was made. Returns the exit code.

    0: each picture has at least one layer, and every signature holds. 1: a picture has no layer.
    2: a picture cannot be read, or its manifest cannot be checked. 3: a signature does not hold.
    The highest code counts.
    """
    sources, failed = _find(arguments.pictures)
    codes, own = [2] * len(failed), certificate.find()
    for source in sources:
        with _report_failure(Path(source).name, failed, print):
            codes.append(2)
            if not isinstance(source, Path):
                raise SdkitError("A sample photo says nothing about itself. Give a picture file.")
            found = layers.read(source, own)
            print(f"{plain(source)}\n{_describe(found)}", flush=True)
            codes[-1] = 3 if found.signed and found.signed.fault else 2 if found.unread else 1
            if codes[-1] == 1 and found.names:
                codes[-1] = 0
    if 1 in codes:
        print("A picture without layers may still be made by AI: layers can be removed.")
    return max(codes)


def _describe(found: layers.Layers) -> str:
    """A line for each layer. p is the chance to find as much in a picture without the mark."""
    signed = "none"
    if found.unread:
        signed = found.unread
    elif found.signed:
        signed = _describe_signature(found.signed)
    pixels = found.pixels
    chance = f"(p = {pixels.p:.1g})"
    size = "" if round(pixels.scale, 2) == 1 else f", at {pixels.scale:.0%} of its first size"
    lines = {
        "text note": found.text or "none",
        "XMP": layers.meaning(found.xmp) if found.xmp else "none",
        "signed manifest": signed,
        "mark in pixels": f"found {chance}{size}" if pixels.found else f"none {chance}",
    }
    return "\n".join(f"  {name:<17}{line}" for name, line in lines.items())


def _describe_signature(signed: manifest.Found) -> str:
    """Whether the signature holds, whose it is, and what was signed."""
    holds = f"does NOT hold: {signed.fault}" if signed.fault else "holds"
    if signed == manifest.DAMAGED:
        return holds
    if signed.own:
        whose = f"{signed.signer}; this is the key of this computer"
    else:
        whose = f"{signed.signer or 'no name'}; this kit cannot tell who that is"
    said = ", ".join(map(layers.meaning, signed.sources)) or "nothing about its source"
    by = f", by {signed.program}" if signed.program else ""
    lines = [holds, f"signer: {whose}", f"says: {said}{by}"]
    if signed.earlier:
        lines.append(
            f"an older manifest in it says: {', '.join(map(layers.meaning, signed.earlier))}"
        )
    return "\n".join(f"{'' if k == 0 else ' ' * 19}{line}" for k, line in enumerate(lines))


def _model(arguments: Namespace) -> models.Model:
    """The model that --model names. Asks first if it must be downloaded."""
    model = models.resolve(arguments.model)
    consent.agree_to_fetch(model, arguments.yes)
    return model


def _settings(arguments: Namespace, model: models.Model, prompt: str, task: str) -> models.Settings:
    """The settings of the model for this task, changed by the options that were given."""
    changes = {
        name: getattr(arguments, name)
        for name in ("strength", "guidance_scale", "num_inference_steps", "size")
        if getattr(arguments, name, None) is not None
    }
    return model.settings(
        prompt, task, negative_prompt=arguments.negative_prompt, seed=arguments.seed, **changes
    )


def _load(arguments: Namespace, model: models.Model, task: str = "img2img") -> "DiffusionPipeline":
    return model.pipeline(task, arguments.device)


def _load_upscaler(
    arguments: Namespace, upscaler: models.Model, model: models.Model
) -> "DiffusionPipeline":
    """The upscaler's pipeline, with the text encoder and the tokenizer of mini-sd."""
    shared = model if model.entry is models.REGISTRY["mini-sd"] else models.resolve()
    return upscaler.upscaler(shared, arguments.device)


def _advise(model: models.Model, prompt: str, task: str) -> None:
    """Say which words of the prompt the model does not know, and what to write instead."""
    if sentence := model.advice(prompt, task):
        print(f"Note: {sentence}", file=sys.stderr)


@contextlib.contextmanager
def _report_failure(name: str, failed: list[str], say: Callable[..., Any]) -> Iterator[None]:
    """If the block fails, print why and add `name` to `failed`, so that the rest is still done."""
    try:
        yield
    except (consent.Declined, BrokenPipeError):  # these end the run; see `parser.main`
        raise
    except Exception as error:
        sentence = str(error) if isinstance(error, SdkitError) else unexpected(error)
        failed.append(plain(name))
        say(f"failed   {plain(name)}: {sentence}", file=sys.stderr)


def _save(
    arguments: Namespace,
    image: Image.Image,
    stem: str,
    note: dict[str, Any],
    written: list[Path],
    say: Callable[..., Any],
    began: float | None = None,
    source: str | Path | None = None,
    origin: Origin = Origin.PICTURE,
) -> None:
    """Write a picture with its marks, print its path, and add the path to `written`.

    say : prints a line above the progress bar.
    began : when the work on this picture began, by `time.perf_counter`.
    source : the picture that it was made from, if any.
    origin : the kind of what it was made from.
    """
    if not arguments.no_mark:
        image = provenance.mark(image)
    if not arguments.no_invisible_mark:
        image = watermark.embed(image)
    path = outputs.save(
        image,
        arguments.out,
        stem,
        note,
        arguments.overwrite,
        written,
        origin,
        _signer(arguments, say),
    )
    if path.name != f"{stem}.png" and not arguments.overwrite:
        say(
            f"{stem}.png exists already, so the new file is called {path.name} "
            "(--overwrite replaces the old one)"
        )
    seconds = f", {time.perf_counter() - began:.1f} s" if began else ""
    say(f"wrote    {plain(path)}  ({image.width} x {image.height}{seconds})")
    written.append(path)
    if source:
        _name_lost_layers(arguments, source, say)


def _name_lost_layers(arguments: Namespace, source: str | Path, say: Callable[..., Any]) -> None:
    """Say which layers of `source` are not in its result. Said once for each source."""
    told = vars(arguments).setdefault("told", set())
    path = expand(source)
    if source in told or not path.is_file():  # a sample photo has none
        return
    told.add(source)
    names: list[str] = []
    with contextlib.suppress(SdkitError, OSError):  # somebody may have deleted it meanwhile
        names = layers.read(path, quick=True).names
    if names:
        say(
            f"Note: {plain(path.name)} has {', '.join(names)}. This says how that picture was "
            "made. The result has its own instead.",
            file=sys.stderr,
        )


def _signer(arguments: Namespace, say: Callable[..., Any]) -> certificate.Signer | None:
    """The key that signs the pictures of this run, or None. Notes on it are printed once."""
    if arguments.unsigned:
        return None
    if not hasattr(arguments, "signer"):
        arguments.signer = None
        try:
            manifest.check_library()
            arguments.signer = certificate.own()
        except SdkitError as error:
            say(f"Note: The pictures are not signed. {error}", file=sys.stderr)
        else:
            if arguments.signer.new:
                say(
                    f"Note: A key for signing pictures was made: {plain(certificate.path())}. "
                    "It shows that a picture is unchanged. It does not show who made it. "
                    "--unsigned leaves the signature out.",
                    file=sys.stderr,
                )
    return arguments.signer


def _close(done: int, failed: list[str], start: float) -> int:
    """Print how many pictures are done and which are not, if there were several. The exit code."""
    if done + len(failed) > 1:
        print(f"{done} done, {len(failed)} failed, {time.perf_counter() - start:.1f} s")
        if failed:
            print(f"Not done: {', '.join(failed)}", file=sys.stderr)
    return 2 if failed else 0


def _find(sources: list[str]) -> tuple[list[Any], list[str]]:
    """The pictures in `sources`, and the names that are no pictures; the reason is printed."""

    def skip(path: Path) -> None:
        print(f"skipped  {plain(path.name)}: not a picture")

    found: list[Any] = []
    failed: list[str] = []
    for source in sources:
        try:
            found += photos.find_photos([source], on_skip=skip)
        except SdkitError as error:
            print(f"failed   {plain(source)}: {error}", file=sys.stderr)
            failed.append(plain(source))
    return found, failed


def _parts(
    sources: list[Any], crop: str | None, failed: list[str]
) -> list[tuple[Any, str, "portraits.Box | None"]]:
    """What is painted of the photographs: (source, end of the name, box or None for all of it).

    crop : None for whole photographs, "face" for head and shoulders of each person, "both" for the
        two together. A photograph without a face is reported and added to `failed`, because the
        person asked for faces.
    """
    if not crop:
        return [(source, "", None) for source in sources]
    from sdkit.pictures import portraits

    parts: list[tuple[Any, str, portraits.Box | None]] = []
    for source in sources:
        with _report_failure(Path(source).name, failed, print):
            photo = photos.open_photo(source)
            if crop == "both":
                parts.append((source, "", None))
            faces = portraits.find_faces(photo)
            if not faces:
                raise SdkitError(
                    "No face was found. Faces must look at the camera and be upright. "
                    "Crop the photograph by hand, or leave out --crop."
                )
            for number, face in enumerate(faces, 1):
                box = portraits.head_and_shoulders(face, photo.size)
                parts.append((source, f"-face{number}", box))
    return parts


def _tail(settings: models.Settings) -> str:
    """The end of a file's name: prompt and seed."""
    return f"{outputs.slug(settings.prompt)}-seed{settings.seed}"


def _sheet(
    pairs: list[tuple[Image.Image, Image.Image, str]], settings: models.Settings
) -> Image.Image:
    """A picture: photographs above, results below, and the settings in a table."""
    from sdkit.lessons import plots

    befores, afters, titles = zip(*pairs, strict=True)
    titles = tuple(title.replace("$", r"\$") for title in titles)  # matplotlib: no formula
    file = io.BytesIO()
    with warnings.catch_warnings():
        # the name of a photograph may have letters that matplotlib's font lacks; it draws a box
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = plots.before_after(list(befores), list(afters), settings, list(titles))
        figure.savefig(file, format="png")
    return Image.open(file)
