"""All trainings in order, from nothing to the shipped networks: ``python -m sdkit.recipes``.

A stage whose ``recipe.json`` has the same settings and the same inputs is finished, and is skipped.
An unfinished one goes on from its last checkpoint. If the input of a stage was trained again, the
stage is trained again, too. To add a stage, write a recipe as sdkit/recipes/__init__.py says, and
put it into `stages`.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from sdkit.files import models_dir
from sdkit.recipes import (
    classifier,
    controlnet,
    decoder,
    guidance,
    painter,
    reader,
    text,
    training,
    unet,
    upscaler,
    vae,
)
from sdkit.recipes.settings import BaseSettings, input_folders, published

# Settings with which the whole chain runs in less than a minute, as a test. Nobody can recognise
# anything in the pictures of its networks.
TINY: dict[str, dict[str, Any]] = {
    "reader": dict(batch_size=4, drawn=12, size=32, channels=(8, 16), evaluate=4),
    "classifier": dict(batch_size=4, size=32, channels=(8, 16)),
    "text": dict(batch_size=4, postcards_per_step=6, drawn=8, size=32, width=16, layers=1),
    "vae": dict(
        batch_size=2,
        size=32,
        channels=(16, 16, 16),
        drawn=8,
        adversarial_from=1,
        evaluate=1,
        measured_side=32,
    ),
    "unet": dict(
        batch_size=2,
        sizes=(8, 12),
        channels=(16, 32),
        drawn=6,
        short_sides=(64, 80),
        measured_side=64,
        evaluate=2,
    ),
    "guidance": dict(
        batch_size=2, sizes=(8, 12), drawn=6, short_sides=(64, 80), measured_side=64, evaluate=2
    ),
    "painter": dict(
        batch_size=2,
        pairs=2,
        photographs=1,
        decoded_from=0,
        side=128,
        crop=128,
        sizes=(8, 12),
        drawn=6,
        short_sides=(128, 160),
        evaluate=2,
    ),
    "controlnet": dict(batch_size=2, size=32, drawn=6, evaluate=2),
    "decoder": dict(batch_size=2, size=32, drawn=8, evaluate=1, measured_side=32),
    "upscaler": dict(
        batch_size=2, sizes=(8, 12), channels=(16, 32), side=64, drawn=3, squares=3, evaluate=1
    ),
}
TINY_FOR_ALL = dict(steps=2, limit=2)
REDRAWN, TINY_REDRAWN = 2500, 2  # postcards that the second UNet training learns at twice the size


@dataclass(frozen=True)
class Stage:
    """One training of the chain."""

    name: str
    recipe: ModuleType
    settings: BaseSettings

    def is_finished(self) -> bool:
        """Whether the network is there, made with these settings from these inputs."""
        record = training.read_record(self.settings.record_folder)
        if record is None or record["settings"] != published(self.settings):
            return False
        inputs = {name: one["weights"] for name, one in record.get("inputs", {}).items()}
        return inputs == training.input_fingerprints(self.settings)

    @property
    def steps_done(self) -> int:
        """Steps in the last checkpoint."""
        return training.read_progress(self.settings.runs)["step"]

    def is_stale(self) -> bool:
        """Whether the checkpoint is of other settings or inputs, so that it cannot be continued."""
        inputs = training.input_fingerprints(self.settings)
        return bool(training.changes_since_checkpoint(self.settings, inputs))


def stages(
    art_dir: str | Path,
    out: str | Path | None = None,
    runs: str | Path = "runs",
    tiny: bool = False,
    features: str | Path | None = None,
) -> list[Stage]:
    """The stages in an order in which each finds its inputs: a list of `Stage`.

    The UNet learns on latents of the VAE and starts from CLIP's text network. Its second training
    needs a network that can draw already, and guidance needs one that knows the styles. The painter
    needs guidance, and the ControlNet needs the finished pipeline. The VAE's decoder is trained
    further, and the latents stay as they are. A network that is trained further is first saved in
    ``runs``. The upscaler is measured by the classifier and with its regressor. ``features``: the
    folder with the VGG16, by default beside ``art_dir``.
    """
    features = Path(features) if features else Path(art_dir).parent / "features"
    out, runs = Path(out) if out else models_dir(), Path(runs)
    mini_sd, clip = out / "mini-sd", out / "mini-clip"
    # the upscaler keeps the first VAE, whose decoder invents no strokes
    first_vae, first, second, guided = (
        runs / name / "model" for name in ("vae", "unet", "unet-redraw", "guidance")
    )
    networks = dict(vae=mini_sd / "vae", tokenizer=mini_sd / "tokenizer", clip=clip)
    enlarging = dict(out=out / "mini-upscaler", classifier=out / "style-classifier")
    enlarging |= networks | dict(vae=first_vae)
    redrawn = TINY_REDRAWN if tiny else REDRAWN
    second_unet: dict[str, Any] = dict(
        out=second,
        initial=first / "unet",
        text_encoder=first / "text_encoder",
        redrawn=redrawn,
        steps=2000,
        learning_rate=8e-4,
    )
    planned: list[tuple[str, ModuleType, dict[str, Any]]] = [
        ("classifier", classifier, dict(out=out / "style-classifier")),
        ("reader", reader, dict(out=out / "postcard-reader")),
        ("text", text, dict(out=mini_sd, out_clip=clip)),
        ("vae", vae, dict(out=first_vae)),
        ("decoder", decoder, dict(initial=first_vae, out=mini_sd / "vae", features=features)),
        ("unet", unet, dict(out=first, **networks)),
        ("unet-redraw", unet, dict(**second_unet, **networks)),
        (
            "guidance",
            guidance,
            dict(out=guided, teacher=second, vae=mini_sd / "vae", redrawn=redrawn),
        ),
        (
            "painter",
            painter,
            dict(
                out=mini_sd,
                teacher=guided,
                vae=mini_sd / "vae",
                features=features,
                redrawn=redrawn,
            ),
        ),
        (
            "controlnet",
            controlnet,
            dict(out=out / "mini-controlnet", pipeline=mini_sd, reader=out / "postcard-reader"),
        ),
        ("regressor", upscaler, dict(regression=True, **enlarging)),
        ("upscaler", upscaler, enlarging),
    ]
    made = []
    for name, recipe, changes in planned:
        if tiny:
            changes = {**TINY[recipe.__name__.rpartition(".")[2]], **changes, **TINY_FOR_ALL}
        places = dict(art_dir=Path(art_dir), runs=runs / name)
        made.append(Stage(name, recipe, recipe.Settings(**{**changes, **places})))
    return made


@dataclass(frozen=True)
class Plan:
    """The plan for a stage."""

    stage: Stage
    action: str  # "skip", "train", "resume" or "start over"
    minutes: float | None  # of training that is left; None: unknown
    source: str  # where the estimate comes from


def plan(chain: Sequence[Stage], known: str | Path | None = None) -> list[Plan]:
    """The plan of `run`: a list of `Plan`, one for each stage; see `estimate` for the minutes."""
    plans, trained = [], set()
    for stage in chain:
        waits = trained & set(map(_resolved, input_folders(stage.settings).values()))
        if not waits and stage.is_finished():
            plans.append(Plan(stage, "skip", 0.0, "finished"))
            continue
        trained |= set(map(_resolved, output_folders(stage.settings)))
        action = "train"
        if stage.steps_done:
            action = "start over" if waits or stage.is_stale() else "resume"
        done = stage.steps_done if action == "resume" else 0
        plans.append(Plan(stage, action, *estimate(stage, done, known)))
    return plans


def _resolved(path: str | Path) -> Path:
    return Path(path).resolve()


def output_folders(settings: BaseSettings) -> list[Path]:
    """The folders that a training writes; a pipeline's folder stands for the networks in it."""
    found = [getattr(settings, one.name) for one in fields(settings) if one.name.startswith("out")]
    if isinstance(settings, unet.LatentSettings):
        found += [settings.out / "unet", settings.out / "text_encoder"]
    if isinstance(settings, text.Settings):
        found += [settings.out / "tokenizer", settings.out / "text_encoder"]
    return found


def estimate(
    stage: Stage, steps_done: int = 0, known: str | Path | None = None
) -> tuple[float | None, str]:
    """Minutes that a stage will take, and the source of this figure: (minutes or None, source).

    From the checkpoint of the same training, else from a ``recipe.json`` of the same recipe and
    kind of device: of the stage's own folder, or of ``known``, the folder of networks that are
    there (default: data/models). The time of a recorded training is scaled by the number of steps
    and by the batch size, whatever its other settings were.
    """
    left = stage.settings.steps - steps_done
    if steps_done:
        seconds = training.read_progress(stage.settings.runs)["seconds"]
        return seconds / steps_done * left / 60, f"its first {steps_done} steps"
    device = training.accelerator().device.type
    name = stage.recipe.__name__.rpartition(".")[2]
    folders = [stage.settings.record_folder]
    folders += [Path(known or models_dir()) / place for place in RECORDED[stage.name]]
    for folder, record in [(one, record) for one in folders for record in records(one)]:
        if (
            record["command"].endswith(f".{name}")
            and f", {device}," in record["machine"]
            and record["settings"]["steps"]
        ):
            then = record["settings"]["steps"] * record["settings"]["batch_size"]
            minutes = record["wall_time_minutes"] * left * stage.settings.batch_size / then
            return minutes, f"recipe.json of {folder.name}, {record['machine']}"
    return None, f"no training on a {device} is recorded"


def records(place: str | Path) -> Iterator[dict[str, Any]]:
    """The record of the network in a folder, and those of the networks that it started from."""
    waiting = [training.read_record(place)]
    while waiting:
        record = waiting.pop(0)
        if record:
            yield record
            waiting += [one["recipe"] for one in record.get("inputs", {}).values()]


# where a recorded training of each stage lies under data/models
RECORDED = {
    "classifier": ["style-classifier"],
    "reader": ["postcard-reader"],
    "text": ["mini-clip"],
    "vae": ["mini-sd/vae"],
    "unet": ["mini-sd/unet"],
    "unet-redraw": ["mini-sd/unet"],
    "guidance": ["mini-sd/unet"],
    "painter": ["mini-sd/unet"],
    "decoder": ["mini-sd/vae"],
    "controlnet": ["mini-controlnet"],
    "regressor": ["mini-upscaler/regressor"],
    "upscaler": ["mini-upscaler/unet", "mini-upscaler/regressor"],
}


def describe(plans: Sequence[Plan]) -> str:
    """The plan as a table, with the sum of the estimates."""
    lines = [f"{'stage':12} {'what happens':12} {'minutes':>8}  estimated from"]
    for one in plans:
        minutes = "?" if one.minutes is None else f"{one.minutes:.1f}"
        lines.append(f"{one.stage.name:12} {one.action:12} {minutes:>8}  {one.source}")
    known = [one.minutes for one in plans if one.minutes is not None]
    most = "" if len(known) == len(plans) else "at least "
    lines.append(f"{'all':12} {'':12} {sum(known):8.1f}  {most}{sum(known) / 60:.1f} hours")
    return "\n".join(lines)


def run(chain: Sequence[Stage]) -> None:
    """Train every stage that is not finished, in order."""
    for stage in chain:
        if stage.is_finished():
            print(f"{stage.name}: finished, skipped", flush=True)
            continue
        if stage.is_stale():
            print(f"{stage.name}: settings or inputs have changed, so it starts over", flush=True)
            shutil.rmtree(Path(stage.settings.runs) / "checkpoint", ignore_errors=True)
            shutil.rmtree(Path(stage.settings.runs) / "checkpoint.old", ignore_errors=True)
        print(f"{stage.name}: {stage.settings.steps} steps", flush=True)
        started = time.monotonic()
        stage.recipe.main(stage.settings)
        print(f"{stage.name}: done in {(time.monotonic() - started) / 60:.1f} minutes", flush=True)
