"""The common parts of all recipes: exact resume, the loop over steps, a log, the record.

Exact resume needs one rule: everything random in a step comes from ``rng(seed, step, rank)``. So a
run that was killed and then continued sees the same crops, noise and timesteps as a run that was
never killed.
"""

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from sdkit.diffusion import latents
from sdkit.errors import SdkitError
from sdkit.files import ROOT, models_dir, write_atomically
from sdkit.models import checksums, hardware
from sdkit.pictures import photos
from sdkit.recipes.settings import BaseSettings, SettingsType, input_folders, published

PREPARING = 2**31  # step number of the random numbers that are drawn before the first step

Item = TypeVar("Item")
Made = TypeVar("Made")
DataType = TypeVar("DataType")
BatchType = TypeVar("BatchType", bound=tuple[Any, ...])  # a named tuple, with tensors in it
Figures = dict[str, torch.Tensor]  # name -> a number to log
# the functions of a recipe that `Run.fit` calls
MakeBatch = Callable[[SettingsType, DataType, np.random.Generator], BatchType]
Loss = Callable[[SettingsType, Any, BatchType], tuple[torch.Tensor, Figures]]


def accelerator(mixed_precision: str | None = None) -> Accelerator:
    """An ``Accelerator``, in bfloat16 where that is native: it saves half of a training's time.

    ACCELERATE_MIXED_PRECISION (no or bf16) in the environment decides otherwise, as it does for
    all programs that use accelerate.
    """
    if mixed_precision is None and "ACCELERATE_MIXED_PRECISION" not in os.environ:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        mixed_precision = "bf16" if hardware.bf16_is_native(device) else "no"
    return Accelerator(mixed_precision=mixed_precision)


def map_on_all_cores(
    function: Callable[[Item], Made], items: Sequence[Item], name: str
) -> Iterator[Made]:
    """Yield ``function(item)`` for each item, with a bar; 200 items or more use all cores."""
    if len(items) < 200:
        yield from map(function, items)
        return
    # Started fresh: a copy made by fork can hang when the process has torch's threads in it.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        yield from tqdm(pool.map(function, items, chunksize=8), total=len(items), desc=name)


def rng(seed: int, step: int, rank: int = 0) -> np.random.Generator:
    """NumPy generator for one step of one process."""
    return np.random.default_rng([seed, step, rank])


def torch_rng(
    generator: np.random.Generator, device: str | torch.device = "cpu"
) -> torch.Generator:
    """Torch generator, seeded by a NumPy generator."""
    return torch.Generator(device).manual_seed(int(generator.integers(2**62)))


@torch.no_grad()
def encode_batches(
    vae: AutoencoderKL,
    squares: np.ndarray | Sequence[np.ndarray],
    mixed_precision: str = "no",
    batch_size: int = 32,
) -> torch.Tensor:
    """uint8 pictures (N, S, S, 3) -> scaled float16 latents (N, C, S/f, S/f) on the CPU."""
    batches = []
    bar = range(0, len(squares), batch_size)
    for first in tqdm(bar, desc="latents", disable=len(squares) < 500):
        x = photos.to_batch(squares[first : first + batch_size])  # (B, 3, S, S)
        x = x.to(vae.device, memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=mixed_precision == "bf16"):
            batches.append(latents.encode(vae, x).half().cpu())
    return torch.cat(batches)


def learning_rate_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: int, decay: float = 0.4
) -> LambdaLR:
    """Linear warm-up, then constant; in the last share ``decay`` of the steps down to a tenth.

    The rate is constant in between, so that a run can get more steps later. It then goes on as if
    it had them from the start (Hägele et al. 2024).
    """

    def factor(step: int) -> float:
        left = (steps - step) / max(1, decay * steps)
        return min((step + 1) / warmup, 1, max(0.1, left))

    return LambdaLR(optimizer, factor)


class BatchDataset(Dataset):
    """The batch of each step as a map-style dataset, for a ``DataLoader``."""

    def __init__(self, make: Callable[[int], Any]):
        self.make = make

    def __getitem__(self, step: int) -> Any:
        return self.make(step)


def _as_it_is(batch: BatchType) -> BatchType:
    return batch


def batches_ahead(
    make: Callable[[int], BatchType], steps: range, workers: int
) -> Iterator[BatchType]:
    """Yield ``make(step)`` for a range of steps. The next one is made during the present step.

    With ``workers`` processes, or, for 0, with one thread.
    """
    if workers:
        yield from DataLoader(
            BatchDataset(make),
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            collate_fn=_as_it_is,
            multiprocessing_context="fork",
        )
        return
    if not steps:
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, steps[0])
        for step in steps:
            batch, coming = coming.result(), pool.submit(make, min(step + 1, steps[-1]))
            yield batch


def with_autocast(accelerator: Accelerator, function: Callable[..., Made]) -> Callable[..., Made]:
    """``function`` in the accelerator's number format, for networks that it did not prepare."""

    def call(*args: Any, **keywords: Any) -> Made:
        with accelerator.autocast():
            return function(*args, **keywords)

    return call


def to_device(batch: BatchType, device: str | torch.device) -> BatchType:
    """A named tuple with its tensors on ``device``; pictures (4 dimensions) as channels_last."""

    def move(value: Any) -> Any:
        if not torch.is_tensor(value):
            return value
        if value.ndim == 4:
            return value.to(device, memory_format=torch.channels_last)
        return value.to(device)

    return type(batch)(*map(move, batch))


def last_checkpoint(folder: str | Path) -> Path | None:
    """The folder of the last whole checkpoint of a run, None where there is none."""
    # if a run was killed between the two renames of `Run.save`, there is only "old"
    for name in ("checkpoint", "checkpoint.old"):
        if (Path(folder) / name / "progress.json").exists():
            return Path(folder) / name
    return None


def read_progress(folder: str | Path) -> dict[str, Any]:
    """The step, seconds, settings and inputs of the last checkpoint of a run."""
    last = last_checkpoint(folder)
    if last is None:
        return {"step": 0, "seconds": 0.0}
    return json.loads((last / "progress.json").read_text())


def changes_since_checkpoint(settings: BaseSettings, inputs: dict[str, str | None]) -> list[str]:
    """Names of settings and inputs that are not those of the last checkpoint in ``settings.runs``.

    ``steps`` may change: a training can be given more of them.
    """
    progress = read_progress(settings.runs)
    if "settings" not in progress:
        return []
    then = {**progress["settings"], **progress["inputs"]}
    now = {**published(settings), **inputs}
    changed = {name for name in then.keys() | now.keys() if then.get(name) != now.get(name)}
    return sorted(changed - {"steps"})


class Run(Generic[SettingsType]):
    """A folder that a training is resumed from: ``checkpoint/``, ``log.jsonl`` and ``curve.png``.

    The checkpoint is always whole or absent. Call `begin` with the network to train; prepare a
    second network, such as a discriminator, with ``accelerator.prepare`` before that. Then use
    `batches`, `descend` and `record`, or `fit` for all three, and `averaged` at the end.
    """

    def __init__(self, settings: SettingsType, accelerator: Accelerator, save_every: float = 240.0):
        self.settings, self.accelerator, self.save_every = settings, accelerator, save_every
        self.folder = Path(settings.runs)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.workers = (
            min(12, (os.cpu_count() or 1) - 1) if accelerator.device.type == "cuda" else 0
        )
        self.started = self.saved = time.monotonic()  # of this session
        self.earlier_seconds, self.log = 0.0, []
        self.inputs = input_fingerprints(settings)

    def begin(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        warmup: int = 100,
        ema_decay: float = 0.999,
    ) -> torch.nn.Module:
        """Prepare a network and load the last checkpoint, if there is one; see ``start``."""
        steps = self.settings.steps
        self.schedule = learning_rate_schedule(optimizer, steps, min(warmup, steps // 10 + 1))
        self.ema = EMAModel(
            model.parameters(), decay=ema_decay, use_ema_warmup=True, power=0.75, foreach=True
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.accelerator.register_for_checkpointing(self.schedule, self.ema)
        self.start = self.resume()
        self.ema.to(self.accelerator.device)
        return self.model

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, so that no training data is needed any more."""
        return self.start >= self.settings.steps

    def resume(self) -> int:
        """Load the last checkpoint and return the step to go on with; 0 where there is none.

        Raises SdkitError when the checkpoint belongs to a training with other settings or inputs.
        More ``steps`` are allowed.
        """
        last = last_checkpoint(self.folder)
        if last is None:
            return 0
        changed = changes_since_checkpoint(self.settings, self.inputs)
        if changed:
            raise SdkitError(
                f"{self.folder} holds a training with other settings ({', '.join(changed)}). "
                "Use the same settings, choose another folder (--runs), or delete this one."
            )
        progress = read_progress(self.folder)
        self.accelerator.load_state(str(last))
        self.earlier_seconds = progress["seconds"]
        log = self.folder / "log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        self.log = [entry for entry in map(json.loads, lines) if entry["step"] < progress["step"]]
        return progress["step"]

    @property
    def seconds(self) -> float:
        """Time of this training so far in seconds, earlier sessions included."""
        return self.earlier_seconds + time.monotonic() - self.started

    def batches(
        self,
        name: str,
        make_batch: MakeBatch[SettingsType, DataType, BatchType],
        data: DataType | None,
    ) -> Iterator[tuple[int, BatchType]]:
        """Yield ``(step, batch)`` for the steps that are left, with a bar.

        A batch is ``make_batch(settings, data, rng)``; the next one is made during the present
        step. A checkpoint is saved after a step when it is due, and always after the last step.
        """
        steps, rank = self.settings.steps, self.accelerator.process_index

        def make(step: int) -> BatchType:
            # there is data as long as a step is left
            return make_batch(
                self.settings, cast(DataType, data), rng(self.settings.seed, step, rank)
            )

        left = range(self.start, steps)
        bar = tqdm(
            total=steps,
            initial=self.start,
            desc=name,
            disable=not self.accelerator.is_main_process,
        )
        began = time.monotonic()
        with bar:
            for step, batch in zip(left, batches_ahead(make, left, self.workers)):
                yield step, to_device(batch, self.accelerator.device)
                self.save(step + 1)
                bar.update()
                bar.set_postfix(list(self.log[-1].items())[1:2], refresh=False)
        if left:
            self.step_seconds = (time.monotonic() - began) / len(left)
        self.save(steps, force=True)

    step_seconds: float | None = None  # of the last session, known after its steps

    def fit(
        self,
        name: str,
        make_batch: MakeBatch[SettingsType, DataType, BatchType],
        loss: Loss[SettingsType, BatchType],
        data: DataType | None,
    ) -> None:
        """Do all steps that are left. ``loss(settings, model, batch)`` gives (loss, figures)."""
        for step, batch in self.batches(name, make_batch, data):
            value, figures = loss(self.settings, self.model, batch)
            self.descend(value)
            self.record(step, **figures)

    def descend(self, loss: torch.Tensor) -> None:
        """One step of optimizer, learning rate and moving average; gradients clipped to norm 1."""
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.ema.step(self.model.parameters())

    def averaged(self) -> torch.nn.Module:
        """The network with the moving average of its weights, on the CPU and ready for use."""
        model = self.accelerator.unwrap_model(self.model)
        self.ema.copy_to(model.parameters())
        return model.to("cpu", memory_format=torch.contiguous_format).eval()

    def record(self, step: int, **values: torch.Tensor | float) -> None:
        """Add one line of figures to the log. Raises SdkitError when one is not a finite number."""
        figures = {name: round(torch.as_tensor(value).item(), 5) for name, value in values.items()}
        if not all(map(math.isfinite, figures.values())):
            raise SdkitError(
                f"In step {step} a loss is not a finite number: {figures}. {self.folder} still has "
                "the last checkpoint before that. Use a smaller learning rate or look at the data."
            )
        self.log.append({"step": step, **figures})

    def save(self, step: int, force: bool = False) -> None:
        """Checkpoint after ``step`` steps if the last one is ``save_every`` seconds ago."""
        if not force and time.monotonic() - self.saved < self.save_every:
            return
        new, last, old = (
            self.folder / name for name in ("checkpoint.new", "checkpoint", "checkpoint.old")
        )
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(new))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            progress = {
                "step": step,
                "seconds": self.seconds,
                "settings": published(self.settings),
                "inputs": self.inputs,
            }
            (new / "progress.json").write_text(json.dumps(progress))
            shutil.rmtree(old, ignore_errors=True)
            if last.exists():
                os.rename(last, old)
            os.rename(new, last)
            with write_atomically(self.folder / "log.jsonl") as path:
                Path(path).write_text("".join(json.dumps(entry) + "\n" for entry in self.log))
            draw_curve(self.log, self.folder / "curve.png")
        self.accelerator.wait_for_everyone()
        self.saved = time.monotonic()


def draw_curve(log: list[dict[str, Any]], path: str | Path) -> None:
    """Loss curves of a log, one panel for each quantity, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted({name for entry in log for name in entry} - {"step"})
    if not names:
        return
    figure, axes = plt.subplots(
        1, len(names), figsize=(3 * len(names), 2.6), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], names):
        points = np.array([(entry["step"], entry[name]) for entry in log if name in entry])
        axis.plot(*points.T, linewidth=0.5, color="#a6cee3")
        width = max(1, len(points) // 25)
        smooth = np.convolve(points[:, 1], np.ones(width) / width, "valid")
        axis.plot(points[width - 1 :, 0], smooth, color="#1f4e79")
        axis.set(xlabel="step", title=name)
        # without this the peak of the first steps would hide the rest
        axis.set_ylim(top=np.percentile(points[:, 1], 99) * 1.05 + 1e-9)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def fingerprint(folder: str | Path) -> str | None:
    """First 12 hex digits of the SHA-256 of all weights, pictures and tokenizers under a folder.

    None where there are none.
    """
    files = sorted(
        path
        for path in Path(folder).rglob("*")
        if path.name == "tokenizer.json"
        or (path.suffix in (".safetensors", ".png") and path.name != "curve.png")
    )
    if not files:
        return None
    total = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        if path.name == "tokenizer.json":  # without how the last batch was padded
            content = json.dumps(json.loads(content)["model"]).encode()
        total.update(path.name.encode() + hashlib.sha256(content).digest())
    return total.hexdigest()[:12]


def input_fingerprints(settings: BaseSettings) -> dict[str, str | None]:
    """Field name to `fingerprint`, for each folder that a training starts from."""
    return {name: fingerprint(folder) for name, folder in input_folders(settings).items()}


def read_record(folder: str | Path) -> dict[str, Any] | None:
    """The ``recipe.json`` of a trained network as a dict, None where there is none."""
    path = Path(folder) / "recipe.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_record(
    folder: str | Path, run: Run, recipe: str, metrics: dict[str, Any], data_hash: str
) -> None:
    """Write ``recipe.json`` and, beside it, the loss curve; this is the last thing a training does.

    The record holds command, settings, revision, inputs, data, time, machine and held-out figures.
    ``recipe`` is the module's name. An input is recorded with its checksum and its own record.
    """

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()

    inputs = {
        # the record of a pipeline lies with its UNet
        name: {
            "weights": run.inputs[name],
            "recipe": read_record(place) or read_record(Path(place) / "unet"),
        }
        for name, place in input_folders(run.settings).items()
    }
    record = {
        "command": f"python -m sdkit.recipes.{recipe}",
        "settings": published(run.settings),
        "inputs": inputs,
        "git_revision": git("rev-parse", "--short=12", "HEAD"),
        "data_hash": data_hash,
        "wall_time_minutes": round(run.seconds / 60, 1),
        "seconds_per_step": run.step_seconds and round(run.step_seconds, 3),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {run.accelerator.device.type}, "
        f"{run.accelerator.mixed_precision}",
        "metrics": metrics,
    }
    with write_atomically(Path(folder) / "recipe.json") as path:
        Path(path).write_text(json.dumps(record, indent=1) + "\n")
    shutil.copy(run.folder / "curve.png", folder)
    if models_dir() in Path(folder).resolve().parents and (models_dir() / checksums.LIST).exists():
        checksums.write(models_dir())  # of the shipped networks, this one is new
