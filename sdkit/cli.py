"""The verbs of ``python -m sdkit``: style, models, doctor, measure.

What is slow to import (torch, diffusers) is imported inside the verb that needs it: ``--help`` is instant.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import time
import warnings
from pathlib import Path

from sdkit import __version__, models, photos
from sdkit.paths import SdkitError, write_atomically

DISK_NEEDED = 0.5    # GB free, for results and notebooks
MEMORY_NEEDED = 1.0  # GB free: one process with torch, diffusers and mini-sd takes 0.5, a 768 px picture more
SHEET = 4            # photos on one before/after sheet


def main(argv=None):
    """Run a verb and return its exit code: 0 done, 2 something is wrong (and was said in a sentence)."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter or a tick shows a ? instead
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    try:
        return arguments.verb(arguments)
    except SdkitError as error:
        print(f"sdkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsdkit: stopped; what was written before is whole.", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="sdkit", description="Stable Diffusion, small and in the open.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("style", help="paint photographs in the style of a prompt", epilog=(
        "Where a setting is left out, the model's own default holds (see: sdkit models)."))
    verb.add_argument("photos", nargs="+", metavar="PHOTO",
                      help=f"picture file, folder, or sample photo: {', '.join(photos.SAMPLES)}")
    verb.add_argument("--prompt", required=True, help='what to paint like, for instance "van gogh"')
    verb.add_argument("--negative-prompt", default="", help="what to keep away from")
    verb.add_argument("--strength", type=float, help="0 to 1: how far to go from the photo")
    verb.add_argument("--guidance-scale", type=float, help="how much to amplify the prompt; 1 is not at all")
    verb.add_argument("--steps", type=int, dest="num_inference_steps", help="steps of the whole chain")
    verb.add_argument("--seed", type=int, default=0, help="of the noise (default 0): one seed, one picture")
    verb.add_argument("--size", type=int, help="short side of the result in pixels")
    verb.add_argument("--out", type=Path, default=Path("styled"),
                      help="folder for the results (default: styled)")
    verb.add_argument("--grid", action="store_true", help="also write a before/after sheet with the settings")
    verb.add_argument("--overwrite", action="store_true", help="replace files of the same name")
    verb.add_argument("--model", default="mini-sd", help="model name or folder (default: mini-sd)")
    verb.set_defaults(verb=style)

    verb = verbs.add_parser("models", help="list the networks, their size, licence and default settings")
    verb.set_defaults(verb=list_models)

    verb = verbs.add_parser("doctor", help="check that all is there, and say what to do where it is not")
    verb.set_defaults(verb=doctor)

    verb = verbs.add_parser("measure", help="print the figures of the shipped weights on held-out pictures")
    verb.add_argument("--art", type=Path, metavar="DIR", help="folder with the pictures of data/art.tsv")
    verb.add_argument("--split", default="validation", choices=("validation", "test"),
                      help="validation (default) for tuning, test for closing figures only")
    verb.add_argument("--sheet", type=Path, metavar="PNG", help="also write a sheet of the styled photographs")
    verb.add_argument("--model", default="mini-sd", help="model name or folder (default: mini-sd)")
    verb.set_defaults(verb=measure)
    return parser


def style(arguments):
    """Style each photo; one that cannot be used gets its sentence, and the rest is still done."""
    changes = {name: getattr(arguments, name)
               for name in ("strength", "guidance_scale", "num_inference_steps", "size")
               if getattr(arguments, name) is not None}
    settings = models.settings(arguments.prompt, arguments.model, negative_prompt=arguments.negative_prompt,
                               seed=arguments.seed, **changes)
    _make_folder(arguments.out)
    _advise(settings.prompt, arguments.model)
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


def _advise(prompt, model):
    """Say which words of the prompt the model does not know, and which styles it has."""
    from sdkit import generate, text
    sentence = generate.advice(prompt, text.known_words(models.folder_of(model)))
    if sentence:
        styles = ", ".join(models.defaults(model).get("styles", []))
        print(f"Note: {sentence} Its styles: {styles}.", file=sys.stderr)


def _tail(settings):
    """The part of a file name that tells of the prompt and the seed."""
    slug = re.sub(r"[\W_]+", "-", settings.prompt.lower()).strip("-")[:40].rstrip("-")
    return f"{slug or 'no-prompt'}-seed{settings.seed}"


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


def list_models(arguments):
    """Print the registry as a table, and the settings at which mini-sd looks best."""
    print(f"{'name':<18}{'parameters':>12}{'size':>10}  {'licence':<9}{'here':<6}what it does")
    for row in models.table():
        print(f"{row['name']:<18}{row['parameters'] / 1e6:>10.1f} M{row['megabytes']:>7.1f} MB  "
              f"{row['licence']:<9}{'yes' if row['present'] else 'no':<6}{row['does']}")
    chosen = models.defaults()
    print("defaults of mini-sd: " + ", ".join(
        f"{name} {value}" for name, value in chosen.items() if not isinstance(value, list)))
    print("its styles: " + ", ".join(chosen.get("styles", [])))
    return 0


def doctor(arguments):
    """Print one line per thing that the kit needs: a tick, or what to do about it."""
    lines = list(_examine())
    for fine, sentence in lines:
        print(f"{'✓' if fine else '✗'} {sentence}")
    wrong = sum(not fine for fine, _ in lines)
    print("All is well." if not wrong else f"{wrong} of {len(lines)} to put right.")
    return 2 if wrong else 0


def _examine():
    """Yield (is it fine, sentence) for each thing."""
    version = sys.version_info
    fine = (3, 11) <= version[:2] < (3, 14)
    remedy = "" if fine else ": install Python 3.11, 3.12 or 3.13"
    yield fine, f"Python {platform.python_version()}{remedy}"
    for name in ("torch", "diffusers", "transformers", "jupyterlab", "ipywidgets", "matplotlib",
                 "scikit-image"):
        try:
            yield True, f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is missing: python3 run.py lab installs it"
    try:
        yield True, f"device {models.device()}, {os.cpu_count()} cores"
    except (ImportError, OSError) as error:  # OSError: a library that torch needs is missing
        yield False, f"torch does not start ({error}): delete .venv and run python3 run.py lab again"
    try:
        import psutil  # comes with Jupyter's kernel
        memory = psutil.virtual_memory().available / 1e9
        yield memory >= MEMORY_NEEDED, f"memory: {memory:.1f} GB free" + (
            "" if memory >= MEMORY_NEEDED else f", {MEMORY_NEEDED:g} GB are needed: close other programs")
    except ImportError:
        yield False, "memory unknown, for psutil is missing: python3 run.py lab installs it"
    disk = shutil.disk_usage(Path.cwd()).free / 1e9
    yield disk >= DISK_NEEDED, f"disk: {disk:.1f} GB free here" + (
        "" if disk >= DISK_NEEDED else f", {DISK_NEEDED:g} GB are needed: make room")
    try:
        for row in models.table():
            yield row["present"], f"model {row['name']}" + (
                f": {row['megabytes']:.1f} MB" if row["present"] else
                " is missing: clone the repository whole")
    except SdkitError as error:  # no data folder at all
        yield False, str(error)


def measure(arguments):
    """Print the measures of the weights; see `sdkit.measure`."""
    from sdkit import measure as measures
    return measures.main(art_dir=arguments.art, model=arguments.model, split=arguments.split,
                         sheet=arguments.sheet) or 0
