"""The verbs that describe the kit: models, doctor, measure and bench."""

import contextlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from sdkit import models
from sdkit.cli import consent
from sdkit.errors import COMMAND, SdkitError
from sdkit.files import models_dir, write_atomically
from sdkit.language import translate
from sdkit.models import checksums, hardware
from sdkit.models.picture_settings import check_whole
from sdkit.pictures import outputs, provenance

DISK_NEEDED = 0.5  # GB, for results and notebooks
POSTCARD = "a red house by the sea at night"  # the sentence that bench draws
# GB; torch, diffusers and mini-sd take 0.5, and a picture of 768 px takes more
MEMORY_NEEDED = 1.0


def list_models(arguments: Namespace) -> int:
    """Print a table of the models, and the settings at which mini-sd looks best."""
    print(f"{'name':<18}{'parameters':>12}{'size':>10}  {'licence':<9}{'here':<6}what it does")
    for row in models.table():
        print(
            f"{row['name']:<18}{row['parameters'] / 1e6:>10.1f} M{row['megabytes']:>7.1f} MB  "
            f"{row['licence']:<9}{'yes' if row['present'] else 'no':<6}{row['does']}"
        )
    print(
        f"\n{'real weights':<18}{'size':>11}  {'licence':<40}{'here':<6}"
        "what it is, and its settings"
    )
    for row in models.real_table():
        usual = row["defaults"]
        print(
            f"{row['name']:<18}{row['gigabytes']:>8.1f} GB  {row['licence']:<40}"
            f"{'yes' if row['present'] else 'no':<6}{row['does']}; {usual['size']} px, "
            f"{usual['num_inference_steps']} steps, guidance {usual['guidance_scale']:g}, "
            f"strength {usual['strength']:g}"
        )
        print(f"{'':<18}from {', else '.join(row['repositories'])}")
    print(
        "--model also takes a repository on the hub (owner/name), a folder, or a .safetensors "
        "file.\n"
    )
    model = models.resolve()
    chosen = model.defaults
    for task in ("style", "draw", "redraw", "inpaint"):
        values = {
            name: value
            for name, value in {**chosen, **chosen.get(task, {})}.items()
            if not isinstance(value, (list, dict))
            and (name != "strength" or task in ("style", "redraw"))
        }
        print(
            f"defaults of mini-sd to {task}: "
            + ", ".join(f"{name} {value}" for name, value in values.items())
        )
    print("its styles: " + ", ".join(model.styles))
    return 0


def doctor(arguments: Namespace) -> int:
    """Print one line for each thing that the kit needs: a tick, or a cross and what to do."""
    lines = list(_examine())
    for fine, sentence in lines:
        print(f"{'✓' if fine else '✗'} {translate(sentence)}")
    wrong = sum(not fine for fine, _ in lines)
    end = "All is well." if not wrong else f"Problems: {wrong} of {len(lines)} lines."
    print(translate(end))
    return 2 if wrong else 0


def _examine() -> Iterator[tuple[bool, str]]:
    """Yield (whether it is fine, a sentence) for each thing that the kit needs."""
    version = sys.version_info
    fine = (3, 11) <= version[:2] < (3, 14)
    remedy = "" if fine else ": install Python 3.11, 3.12 or 3.13"
    yield fine, f"Python {platform.python_version()}{remedy}"
    for name in (
        "torch",
        "diffusers",
        "transformers",
        "jupyterlab",
        "ipywidgets",
        "matplotlib",
        "scikit-image",
        "c2pa-python",
    ):
        try:
            yield True, f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is missing: python3 run.py lab installs it"
    try:
        yield True, f"device {models.device()}, {os.cpu_count()} cores"
    except (ImportError, OSError) as error:  # OSError: the system lacks a library for torch
        yield (
            False,
            f"torch does not start ({error}): delete .venv and run python3 run.py lab again",
        )
    try:
        memory = hardware.free_memory() / 1e9
        yield (
            memory >= MEMORY_NEEDED,
            f"memory: {memory:.1f} GB free"
            + (
                ""
                if memory >= MEMORY_NEEDED
                else f", {MEMORY_NEEDED:g} GB are needed: close other programs"
            ),
        )
    except ImportError:
        yield False, "memory is unknown because psutil is missing: python3 run.py lab installs it"
    disk = shutil.disk_usage(Path.cwd()).free / 1e9
    yield (
        disk >= DISK_NEEDED,
        f"disk: {disk:.1f} GB free here"
        + ("" if disk >= DISK_NEEDED else f", {DISK_NEEDED:g} GB are needed: make room"),
    )
    yield from _examine_networks()


def _examine_networks() -> Iterator[tuple[bool, str]]:
    """The part of `_examine` on the shipped networks. It compares checksums."""
    try:
        rows, root = models.table(), models_dir()
    except SdkitError as error:  # no data folder at all
        yield False, str(error)
        return
    has_list = True
    try:
        checksums.read(root)
    except SdkitError as error:
        has_list = False
        yield False, str(error)
    for row in rows:
        wrong = checksums.faults(root, row["name"]) if has_list else []
        if row["present"] and not wrong:
            yield True, f"model {row['name']}: {row['megabytes']:.1f} MB"
        elif wrong:
            files = ", ".join(wrong)
            yield False, f"model {row['name']} is damaged ({files}): clone the repository again"
        else:
            yield (
                False,
                f"model {row['name']} is missing or damaged: clone the whole repository",
            )


def measure(arguments: Namespace) -> int:
    """Print figures that say how good the weights are; see `sdkit.evaluate.measure`."""
    sheet, folder = arguments.sheet, arguments.save
    if sheet and os.path.lexists(sheet):
        raise SdkitError(f"{sheet} exists already. Name another file for the sheet.")
    if folder and os.path.lexists(folder):
        raise SdkitError(f"{folder} exists already. Name another folder for the pictures.")
    if (sheet or folder) and not (arguments.art and "style" in arguments.only):
        raise SdkitError("Only styled photographs can be written. Add --art DIR and --only style.")
    check_whole(arguments.portraits, "Number of portraits", 0, 10_000)
    model = models.resolve(arguments.model)
    consent.agree_to_fetch(model, arguments.yes)
    if arguments.size is not None:
        model.settings("", size=arguments.size)  # reports a size that is not allowed
    from sdkit.evaluate import measure

    def show(
        names: list[str],
        before: list[Image.Image],
        after: list[Image.Image],
        settings: models.Settings,
    ) -> None:
        if sheet and settings.prompt == "van gogh":
            _write_sheet(sheet, model, before, after, settings)
        if folder:
            _save_pictures(folder, model, names, before, after, settings)

    figures = measure.measure_all(
        arguments.art,
        model,
        arguments.split,
        arguments.portraits,
        only=arguments.only,
        size=arguments.size,
        show=show,
    )
    print(json.dumps({**figures, "meanings": measure.explain(figures)}, indent=1))
    return 0


def bench(arguments: Namespace) -> int:
    """Print how long pictures take on this computer; see `sdkit.evaluate.bench`."""
    file = arguments.json
    if file and os.path.lexists(file):
        raise SdkitError(f"{file} exists already. Name another file for the figures.")
    from sdkit.cli import parser, verbs
    from sdkit.evaluate import bench

    draw = ["draw", POSTCARD, "--model", arguments.model, "--device", "cpu", "--yes"]

    def draw_postcard(folder: Path) -> None:
        options = parser.make_parser().parse_args([*draw, "--overwrite", "--out", str(folder)])
        with contextlib.redirect_stdout(io.StringIO()):
            if verbs.draw(options):
                raise SdkitError(f"The postcard was not drawn. Try: {COMMAND} {' '.join(draw)}")

    texts, rows = bench.head(arguments.model), []
    for key, text in texts.items():
        print(f"{key + ':':<13}{text}")
    print(f"\n{bench.TABLE_HEAD}", flush=True)
    for row in bench.measure(arguments.model, draw_postcard, arguments.quick):
        print(bench.table_line(row), flush=True)
        rows.append(row)
    if file:
        with write_atomically(file, replace=False) as part:
            part.write_text(bench.report(texts, rows), encoding="utf-8")
    return 0


def _save_pictures(
    folder: Path,
    model: models.Model,
    names: list[str],
    before: list[Image.Image],
    after: list[Image.Image],
    settings: models.Settings,
) -> None:
    """Write the photographs into ``folder``/photos, the styled ones into ``folder``/STYLE."""
    from sdkit import generate

    note: dict[str, object] = {**generate.note(settings, model)}
    for name, photo, styled in zip(names, before, after, strict=True):
        original = folder / "photos" / f"{name}.png"
        if not original.exists():  # every style begins with the same photographs
            provenance.save_png(photo, original, {})
        provenance.save_png(styled, folder / outputs.slug(settings.prompt) / f"{name}.png", note)


def _write_sheet(
    sheet: Path,
    model: models.Model,
    before: list[Image.Image],
    after: list[Image.Image],
    settings: models.Settings,
) -> None:
    """Write the PNG `sheet`: photographs above, results below, and a table of the settings."""
    from sdkit import generate
    from sdkit.lessons import plots

    with write_atomically(sheet, replace=False) as part:
        plots.before_after(before, after, settings).savefig(
            part, format="png", metadata=generate.note(settings, model)
        )
