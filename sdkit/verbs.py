"""The verbs that write pictures: draw, style, inpaint, upscale. Each says what it wrote and how long it took.

What is slow to import (torch, diffusers) is imported inside the verb that needs it.
"""

import os
import re
import sys
import time
import warnings
from pathlib import Path

from sdkit import models, photos
from sdkit.paths import SdkitError, write_atomically

SHEET = 4            # photos on one before/after sheet


def draw(arguments):
    """Paint pictures from the prompt; where a style is asked for, paint them again in it; then make them larger."""
    prompt, named = models.split_style(" ".join(arguments.prompt), arguments.model)
    in_style = arguments.style or named
    upscaler = models.load_upscaler() if arguments.upscale else None    # before the work, for it may be missing
    settings = _ready(arguments, prompt, "draw")
    pipe, began = models.load(arguments.model, task="text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import generate, upscale as large
    note, tail = generate.note(settings, Path(arguments.model).name, "a picture painted from a sentence"), ""
    if upscaler:
        side = models.settings("", arguments.model).size if in_style else settings.size
        large.tensors([photos.Image.new("RGB", (side, side))])          # says now whether the size can be taken
    with (tqdm(unit="step", disable=None, leave=False) as bar, warnings.catch_warnings()):
        warnings.simplefilter("ignore", generate.UnknownWords)  # said once, in _ready
        drawn = generate.draw(pipe, settings, arguments.count, on_step=bar.update)
        if in_style:
            second = models.settings(in_style, arguments.model, seed=settings.seed)
            note |= {f"{key} of the second go": value for key, value in generate.note(second, "").items()
                     if key in ("Prompt", "Strength", "Guidance scale", "Steps", "Size")}
            tail = "-" + _slug(in_style)
            drawn = generate.style(models.load(arguments.model), drawn, second, on_step=bar.update)
        if upscaler:
            note |= {f"{key} of the enlargement": value for key, value in large.note(large.STEPS, 0, 0).items()
                     if key in ("Model", "Steps")}
            tail += "-x4"
            drawn = [large.upscale(upscaler, [image], seed=settings.seed + k, on_step=bar.update)[0]
                     for k, image in enumerate(drawn)]
    written = []
    for k, image in enumerate(drawn):
        path = _free(arguments, f"{_slug(prompt)}{tail}-seed{settings.seed + k}", written, print)
        photos.save_png(image, path, {**note, "Seed": str(settings.seed + k)})
        written.append(path)
        print(f"wrote    {path}  ({image.width} x {image.height})")
    print(f"{len(written)} in {time.perf_counter() - began:.1f} s")
    return 0


def inpaint(arguments):
    """Paint the white part of the mask anew."""
    settings = _ready(arguments, arguments.prompt, "inpaint")
    image, mask = photos.open_photo(arguments.photo), photos.open_photo(arguments.mask)
    pipe, began = models.load(arguments.model, task="text2img"), time.perf_counter()
    from tqdm import tqdm

    from sdkit import generate
    with (tqdm(unit="step", disable=None, leave=False) as bar, warnings.catch_warnings()):
        warnings.simplefilter("ignore", generate.UnknownWords)
        painted = generate.inpaint(pipe, image, mask, settings, on_step=bar.update)
    path = _free(arguments, f"{Path(arguments.photo).stem[:80]}-{_tail(settings)}", [], print)
    photos.save_png(painted, path, generate.note(settings, Path(arguments.model).name, "a part of a picture repainted"))
    print(f"wrote    {path}  ({painted.width} x {painted.height}, {time.perf_counter() - began:.1f} s)")
    return 0


def _ready(arguments, prompt, task):
    """The settings, once it is sure that results can be written; says which words the model does not know."""
    changes = {name: getattr(arguments, name)
               for name in ("strength", "guidance_scale", "num_inference_steps", "size")
               if getattr(arguments, name, None) is not None}
    settings = models.settings(prompt, arguments.model, task, negative_prompt=arguments.negative_prompt,
                               seed=arguments.seed, **changes)
    _make_folder(arguments.out)
    _advise(prompt, arguments.model, task)
    return settings


def style(arguments):
    """Style each photo; one that cannot be used gets its sentence, and the rest is still done."""
    settings = _ready(arguments, arguments.prompt, "style")
    sources, failed = _find(arguments.photos)

    from tqdm import tqdm

    from sdkit import generate
    note = generate.note(settings, Path(arguments.model).name)
    written, pairs, start = [], [], time.perf_counter()
    with (tqdm(total=len(sources) * settings.steps_run, unit="step", disable=None, leave=False) as bar,
          warnings.catch_warnings()):
        warnings.simplefilter("ignore", generate.UnknownWords)  # said once, above
        for source in sources:
            name = Path(source).name
            try:
                photo = photos.open_photo(source)
                pipe = models.load(arguments.model)  # loaded once; not at all when no photo can be opened
                began = time.perf_counter()
                after = generate.style(pipe, [photo], settings, on_step=bar.update)[0]
                path = _free(arguments, f"{Path(name).stem[:80]}-{_tail(settings)}", written, bar.write)
                photos.save_png(after, path, note)
            except SdkitError as error:
                failed.append(name)
                bar.total -= settings.steps_run
                bar.write(f"failed   {name}: {error}", file=sys.stderr)
                continue
            written.append(path)
            seconds = time.perf_counter() - began
            bar.write(f"wrote    {path}  ({after.width} x {after.height}, {seconds:.1f} s)")
            if arguments.grid:
                before = photo.resize(after.size, photos.Image.Resampling.LANCZOS)
                pairs.append((before, after, Path(name).stem))
    done = len(written)
    for first in range(0, len(pairs), SHEET):
        path = _free(arguments, f"sheet-{_tail(settings)}", written, print)
        _write_sheet(pairs[first:first + SHEET], settings, path, note)
        written.append(path)
        print(f"wrote    {path}")
    if done + len(failed) > 1:
        print(f"{done} done, {len(failed)} failed, {time.perf_counter() - start:.1f} s")
    return 2 if failed else 0


def upscale(arguments):
    """Make each picture four times larger; one that cannot be used gets its sentence, and the rest is still done."""
    pipe, written = models.load_upscaler(), []
    _make_folder(arguments.out)
    from tqdm import tqdm

    from sdkit import upscale as large
    settings = {"num_inference_steps": arguments.num_inference_steps, "noise_level": arguments.noise_level,
                "seed": arguments.seed}
    large.upscale(pipe, [], **settings)  # settings that make no sense are said once
    sources, failed = _find(arguments.pictures)
    with tqdm(total=len(sources) * arguments.num_inference_steps, unit="step", disable=None, leave=False) as bar:
        for source in sources:
            try:
                picture, began = photos.open_photo(source), time.perf_counter()
                after, = large.upscale(pipe, [picture], **settings, on_step=bar.update)
                path = _free(arguments, f"{Path(source).stem[:80]}-x4", written, bar.write)
                photos.save_png(after, path, large.note(**settings))
            except SdkitError as error:
                failed.append(source)
                bar.write(f"failed   {Path(source).name}: {error}", file=sys.stderr)
                continue
            written.append(path)
            bar.write(f"wrote    {path}  ({after.width} x {after.height}, {time.perf_counter() - began:.1f} s)")
    return 2 if failed else 0


def _find(sources):
    """What to style, and the names that cannot be: each with its sentence on stderr."""
    def skip(path):
        print(f"skipped  {path.name}: not a picture")

    found, failed = [], []
    for source in sources:
        try:
            found += photos.find_photos([source], on_skip=skip)
        except SdkitError as error:
            print(f"failed   {source}: {error}", file=sys.stderr)
            failed.append(source)
    return found, failed


def _make_folder(folder):
    """Make the folder for results now, so that a wrong one is known before the work and not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SdkitError(f"Cannot make the folder {folder}: {error.strerror}. "
                         "Choose another with --out.") from error
    if not os.access(folder, os.W_OK):
        raise SdkitError(f"Nothing may be written into {folder}. Choose another folder with --out.")


def _advise(prompt, model, task):
    """Say which words of the prompt the model does not know, and which styles it has."""
    from sdkit import generate, text
    sentence = generate.advice(prompt, text.known_words(models.folder_of(model)))
    if sentence:
        styles = f" Its styles: {', '.join(models.defaults(model).get('styles', []))}." * (task == "style")
        print(f"Note: {sentence}{styles}", file=sys.stderr)


def _tail(settings):
    """The part of a file name that tells of the prompt and the seed."""
    return f"{_slug(settings.prompt)}-seed{settings.seed}"


def _slug(prompt):
    """The prompt as part of a file name."""
    return re.sub(r"[\W_]+", "-", prompt.lower()).strip("-")[:60].rstrip("-") or "no-prompt"


def _free(arguments, stem, written, say):
    """A path for a PNG called `stem` that replaces nothing of this run, nor before it without --overwrite."""
    path = arguments.out / f"{stem}.png"
    number = 2
    while path in written or (path.exists() and not arguments.overwrite):
        path = arguments.out / f"{stem}-{number}.png"
        number += 1
    if number > 2 and not arguments.overwrite:
        say(f"{stem}.png is there already: the new one is called {path.name} (--overwrite would replace it)")
    return path


def _write_sheet(pairs, settings, path, note):
    """Photos above, results below, the parameter table under both, as PNG."""
    from sdkit import plots
    befores, afters, titles = zip(*pairs, strict=True)
    figure = plots.before_after(list(befores), list(afters), settings, list(titles))
    with write_atomically(path) as part:
        figure.savefig(part, format="png", metadata=note)
