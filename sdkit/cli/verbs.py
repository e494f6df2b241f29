"""The verbs that write pictures: draw, style, inpaint, upscale, and clear, which takes them out of notebooks again.

What is slow to import (torch, diffusers) is imported inside the verb that needs it.
"""

import contextlib
import io
import sys
import time
import warnings
from pathlib import Path

from sdkit import models
from sdkit.cli import consent
from sdkit.errors import SdkitError, plain, unexpected
from sdkit.pictures import outputs, photos, provenance

SHEET = 4  # photos on one before/after sheet


def draw(arguments):
    """Paint pictures from the prompt, make them larger, and where a style is asked for, paint them again in it."""
    consent.agree_to_fetch(arguments.model, arguments.yes)
    prompt, named = models.split_style(" ".join(arguments.prompt), arguments.model)
    in_style, own, following = arguments.style or named, models.defaults(arguments.model), []
    larger = arguments.upscale
    if larger is None:  # not said: as the model likes it, for mini-sd's 64 px are small
        larger = arguments.size is None and own.get("draw", {}).get("upscale", False)
    # before the work, for it may be missing
    upscaler = models.load_upscaler(device=arguments.device) if larger else None
    settings = _ready(arguments, prompt, "draw")
    pipe, began = _load(arguments, task="text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import generate, stages

    consent.agree_to_run(
        pipe, settings, (settings.size, settings.size), arguments.count, arguments.yes
    )
    if larger:
        size = settings.size
        if own.get("redraw", {}).get("size") == 2 * size:
            again = models.settings(
                prompt, arguments.model, "redraw", negative_prompt=arguments.negative_prompt
            )
            following.append(stages.paint_again(_load(arguments), again, "redrawing"))
            size = again.size
        following.append(stages.enlarge(upscaler, size))
    if in_style:
        second, painter = (
            models.settings(in_style, arguments.model, seed=settings.seed),
            _load(arguments),
        )
        consent.agree_to_run(
            painter, second, (second.size, second.size), arguments.count, arguments.yes
        )
        following.append(
            stages.paint_again(painter, second, "second go", f"-{outputs.slug(in_style)}")
        )
    note = generate.note(
        settings, models.label(arguments.model), "a picture painted from a sentence"
    )
    tail = "".join(stage.tail for stage in following)
    steps = len(
        generate.batches(settings, arguments.count)
    ) * settings.num_inference_steps + arguments.count * sum(stage.steps for stage in following)
    written, failed = [], []
    with (
        tqdm(total=steps, unit="step", disable=None, leave=False) as bar,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", generate.UnknownWords)  # said once, in _ready
        try:
            drawn = generate.draw(pipe, settings, arguments.count, on_step=bar.update)
        except generate.Withheld as error:
            drawn = error.images
        for seed, image in enumerate(drawn, settings.seed):
            with _told(f"seed {seed}", failed, bar.write):
                if image is None:
                    raise generate.Withheld([None])
                for stage in following:
                    image = stage.apply(image, seed, bar.update)
                _save(
                    arguments,
                    image,
                    f"{outputs.slug(prompt)}{tail}-seed{seed}",
                    {
                        **note,
                        "Seed": str(seed),
                        **dict(chunk for stage in following for chunk in stage.note.items()),
                    },
                    written,
                    bar.write,
                )
    print(f"{len(written)} in {time.perf_counter() - began:.1f} s")
    return 2 if failed else 0


def inpaint(arguments):
    """Paint the white part of the mask anew."""
    settings = _ready(arguments, arguments.prompt, "inpaint")
    image, mask = photos.open_photo(arguments.photo), photos.open_photo(arguments.mask)
    pipe, began = _load(arguments, task="text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import generate

    consent.agree_to_run(pipe, settings, photos.resize(image, settings.size).size, 1, arguments.yes)
    with (
        tqdm(total=settings.num_inference_steps, unit="step", disable=None, leave=False) as bar,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", generate.UnknownWords)
        painted = generate.inpaint(pipe, image, mask, settings, on_step=bar.update)
        _save(
            arguments,
            painted,
            f"{outputs.stem(arguments.photo)}-{_tail(settings)}",
            generate.note(settings, models.label(arguments.model), "a part of a picture repainted"),
            [],
            bar.write,
            began,
        )
    return 0


def _load(arguments, task="img2img"):
    return models.load(arguments.model, task=task, device=arguments.device)


def _ready(arguments, prompt, task):
    """The settings, once it is sure that results can be written; says which words the model does not know."""
    consent.agree_to_fetch(arguments.model, arguments.yes)
    changes = {
        name: getattr(arguments, name)
        for name in ("strength", "guidance_scale", "num_inference_steps", "size")
        if getattr(arguments, name, None) is not None
    }
    settings = models.settings(
        prompt,
        arguments.model,
        task,
        negative_prompt=arguments.negative_prompt,
        seed=arguments.seed,
        **changes,
    )
    outputs.make_folder(arguments.out)
    _advise(prompt, arguments.model, task)
    return settings


def style(arguments):
    """Style each photo; one that cannot be used gets its sentence, and the rest is still done."""
    settings = _ready(arguments, arguments.prompt, "style")
    sources, failed = _find(arguments.photos)

    from tqdm import tqdm

    from sdkit import generate

    note = generate.note(settings, models.label(arguments.model))
    # before the photos, so that what is wrong with it is said once
    pipe = _load(arguments) if sources else None
    written, pairs, start, agreed = [], [], time.perf_counter(), False
    with (
        tqdm(
            total=len(sources) * settings.steps_run, unit="step", disable=None, leave=False
        ) as bar,
        warnings.catch_warnings(),
    ):
        # unknown words are said once, above; fonts lack letters in a sheet
        warnings.simplefilter("ignore")
        for source in sources:
            with _told(Path(source).name, failed, bar.write):
                photo = photos.open_photo(source)
                if not agreed:
                    size = photos.resize(photo, settings.size).size
                    consent.agree_to_run(pipe, settings, size, len(sources), arguments.yes)
                    agreed = True
                began = time.perf_counter()
                after = generate.style(pipe, [photo], settings, on_step=bar.update)[0]
                _save(
                    arguments,
                    after,
                    f"{outputs.stem(source)}-{_tail(settings)}",
                    note,
                    written,
                    bar.write,
                    began,
                )
                if arguments.grid:
                    before = photo.resize(after.size, photos.Image.Resampling.LANCZOS)
                    pairs.append((before, after, outputs.stem(source)))
        done = len(written)
        for first in range(0, len(pairs), SHEET):
            with _told("sheet", failed, bar.write):
                _save(
                    arguments,
                    _sheet(pairs[first : first + SHEET], settings),
                    f"sheet-{_tail(settings)}",
                    note,
                    written,
                    bar.write,
                )
    return _close(done, failed, start)


def upscale(arguments):
    """Make each picture four times larger; one that cannot be used gets its sentence, and the rest is still done."""
    pipe, written = models.load_upscaler(arguments.model, device=arguments.device), []
    outputs.make_folder(arguments.out)
    from tqdm import tqdm

    from sdkit import upscale as large

    settings = {
        name: getattr(arguments, name)
        for name in ("num_inference_steps", "strength", "noise_level", "seed")
    }
    large.upscale(pipe, [], **settings)  # settings that make no sense are said once
    sources, failed = _find(arguments.pictures)
    start = time.perf_counter()
    steps = len(sources) * large.steps_run(arguments.num_inference_steps, arguments.strength)
    with tqdm(total=steps, unit="step", disable=None, leave=False) as bar:
        for source in sources:
            with _told(Path(source).name, failed, bar.write):
                picture, began = photos.open_photo(source), time.perf_counter()
                (after,) = large.upscale(pipe, [picture], **settings, on_step=bar.update)
                _save(
                    arguments,
                    after,
                    f"{outputs.stem(source)}-x4",
                    large.note(**settings),
                    written,
                    bar.write,
                    began,
                )
    return _close(len(written), failed, start)


@contextlib.contextmanager
def _told(name, failed, say):
    """Say what went wrong within and note the name in `failed`, so that the rest is still done."""
    try:
        yield
    except consent.Declined:
        raise
    except BrokenPipeError:  # nobody listens any more: for cli.main
        raise
    except Exception as error:
        sentence = str(error) if isinstance(error, SdkitError) else unexpected(error)
        failed.append(plain(name))
        say(f"failed   {plain(name)}: {sentence}", file=sys.stderr)


def _save(arguments, image, stem, note, written, say, began=None):
    """Write a picture, with the mark unless it is not wanted, say where it is, and append its path to `written`."""
    image = image if arguments.no_mark else provenance.mark(image)
    path = outputs.save(image, arguments.out, stem, note, arguments.overwrite, written)
    if path.name != f"{stem}.png" and not arguments.overwrite:
        say(
            f"{stem}.png is there already: the new one is called {path.name} (--overwrite would replace it)"
        )
    seconds = f", {time.perf_counter() - began:.1f} s" if began else ""
    say(f"wrote    {plain(path)}  ({image.width} x {image.height}{seconds})")
    written.append(path)


def _close(done, failed, start):
    """Say how many were done and which failed, where it was more than one; the exit code."""
    if done + len(failed) > 1:
        print(f"{done} done, {len(failed)} failed, {time.perf_counter() - start:.1f} s")
        if failed:
            print(f"Not done: {', '.join(failed)}", file=sys.stderr)
    return 2 if failed else 0


def clear(arguments):
    """Take pictures and all other outputs out of notebooks; one that cannot be cleared does not stop the rest."""
    failed, found = [], outputs.find_notebooks(arguments.notebooks)
    if not found:
        raise SdkitError(
            "There is no notebook (.ipynb) in there. Give a notebook, or a folder that holds some."
        )
    for path in found:
        with _told(path, failed, print):
            print(f"cleared  {plain(path)}  ({outputs.clear(path)} outputs)")
    return 2 if failed else 0


def _find(sources):
    """What to style, and the names that cannot be: each with its sentence on stderr."""

    def skip(path):
        print(f"skipped  {plain(path.name)}: not a picture")

    found, failed = [], []
    for source in sources:
        try:
            found += photos.find_photos([source], on_skip=skip)
        except SdkitError as error:
            print(f"failed   {plain(source)}: {error}", file=sys.stderr)
            failed.append(plain(source))
    return found, failed


def _advise(prompt, model, task):
    """Say which words of the prompt the model does not know, and which styles it has."""
    from sdkit import generate
    from sdkit.diffusion import prompts

    sentence = generate.advice(prompt, prompts.known_words(models.folder_of(model)))
    if sentence:
        styles = f" Its styles: {', '.join(models.defaults(model).get('styles', []))}." * (
            task == "style"
        )
        print(f"Note: {sentence}{styles}", file=sys.stderr)


def _tail(settings):
    """The part of a file name that tells of the prompt and the seed."""
    return f"{outputs.slug(settings.prompt)}-seed{settings.seed}"


def _sheet(pairs, settings):
    """Photos above, results below, the parameter table under both, as a picture."""
    from sdkit.lessons import plots

    befores, afters, titles = zip(*pairs, strict=True)
    titles = [title.replace("$", r"\$") for title in titles]  # no formula
    file = io.BytesIO()
    plots.before_after(list(befores), list(afters), settings, titles).savefig(file, format="png")
    return photos.Image.open(file)
