"""What every recipe shares: a command line from a signature, exact resume, a log with its curve, the record.

Exact resume rests on one rule: everything random in a step comes from ``rng(seed, step, rank)``. A run that was
killed and continued from a checkpoint therefore sees the same crops, noise and timesteps as one never killed.
"""

import argparse
import inspect
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from sdkit.errors import SdkitError
from sdkit.files import ROOT, write_atomically


def command_line(main):
    """Run ``main`` with a ``--flag`` for each of its keywords, typed like the default; docstring as help."""
    parser = argparse.ArgumentParser(
        description=inspect.getdoc(main), formatter_class=argparse.RawTextHelpFormatter
    )
    for name, parameter in inspect.signature(main).parameters.items():
        default = parameter.default
        kind = {bool: argparse.BooleanOptionalAction}.get(type(default))
        options = {"action": kind} if kind else {"type": str if default is None else type(default)}
        parser.add_argument(
            "--" + name.replace("_", "-"), default=default, help=f"default: {default}", **options
        )
    try:
        main(**vars(parser.parse_args()))
    except SdkitError as error:
        sys.exit(f"{error}")


def accelerator(mixed_precision=None):
    """An ``Accelerator``: bf16 where the processor multiplies it natively, as half the trainings' time is saved."""
    if mixed_precision is None:
        native = (
            torch.cuda.is_bf16_supported()
            if torch.cuda.is_available()
            else torch.cpu._is_avx512_bf16_supported()
        )
        mixed_precision = "bf16" if native else "no"
    return Accelerator(mixed_precision=mixed_precision)


def by_all_cores(function, items, name):
    """Yield ``function(item)`` for each of the ``items``, with a bar; many are shared among a process for each core."""
    if len(items) < 200:
        yield from map(function, items)
        return
    # Spawned, for a forked copy of a process with torch's threads in it may hang.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        yield from tqdm(pool.map(function, items, chunksize=8), total=len(items), desc=name)


def rng(seed, step, rank=0):
    """NumPy generator for one step of one process."""
    return np.random.default_rng([seed, step, rank])


def torch_rng(generator, device="cpu"):
    """Torch generator seeded from a NumPy one."""
    return torch.Generator(device).manual_seed(int(generator.integers(2**62)))


def learning_rate_schedule(optimizer, steps, warmup, decay=0.4):
    """Linear warm-up, then constant, and over the last share ``decay`` of the steps linearly down to a tenth.

    Constant, so that a run which is later given more steps goes on as if it had had them from the start
    (Hägele et al. 2024).
    """

    def factor(step):
        left = (steps - step) / max(1, decay * steps)
        return min((step + 1) / warmup, 1, max(0.1, left))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


class Made(Dataset):
    """What ``make`` makes, by number."""

    def __init__(self, make):
        self.make = make

    def __getitem__(self, number):
        return self.make(number)


def made_ahead(make, numbers, workers):
    """Yield ``make(number)`` for a range of ``numbers``, made ahead by ``workers`` processes, or (0) by one thread."""
    if workers:
        yield from DataLoader(
            Made(make),
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            collate_fn=tuple,
            multiprocessing_context="fork",
        )
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, numbers[0]) if numbers else None
        for number in numbers:
            made, coming = coming.result(), pool.submit(make, min(number + 1, numbers[-1]))
            yield made


class Run:
    """A folder that a training can be resumed from: ``checkpoint/`` (whole or absent), ``log.jsonl``, ``curve.png``.

    ``begin`` takes the network that is trained; a second one (a discriminator) is prepared with
    ``accelerator.prepare`` before that. Then ``steps``, ``descend`` and ``record``, and ``averaged`` at the end.
    """

    def __init__(self, folder, accelerator, save_every=240.0):
        self.folder, self.accelerator, self.save_every = Path(folder), accelerator, save_every
        self.folder.mkdir(parents=True, exist_ok=True)
        self.workers = min(12, os.cpu_count() - 1) if accelerator.device.type == "cuda" else 0
        self.saved, self.started, self.before, self.log = (
            time.monotonic(),
            time.monotonic(),
            0.0,
            [],
        )

    def begin(self, model, optimizer, steps, warmup=100, ema_decay=0.999):
        """Give a network its learning rates and moving average and load the last checkpoint: (network, first step)."""
        self.schedule = learning_rate_schedule(optimizer, steps, min(warmup, steps // 10 + 1))
        self.ema = EMAModel(
            model.parameters(), decay=ema_decay, use_ema_warmup=True, power=0.75, foreach=True
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.accelerator.register_for_checkpointing(self.schedule, self.ema)
        start = self.resume()
        self.ema.to(self.accelerator.device)
        return self.model, start

    def resume(self):
        """Load the last checkpoint, if there is one, and return the step to go on with."""
        last = self.folder / "checkpoint"
        if not (last / "progress.json").exists():
            last = self.folder / "checkpoint.old"  # killed between the two renames of ``save``
        if not (last / "progress.json").exists():
            return 0
        self.accelerator.load_state(str(last))
        progress = json.loads((last / "progress.json").read_text())
        self.before = progress["seconds"]
        log = self.folder / "log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        self.log = [entry for entry in map(json.loads, lines) if entry["step"] < progress["step"]]
        return progress["step"]

    @property
    def seconds(self):
        """Training time so far in seconds, earlier sessions included."""
        return self.before + time.monotonic() - self.started

    def steps(self, name, make, start, steps):
        """Yield ``(step, make(step))`` for start <= step < steps, with a bar; the next batches are made meanwhile.

        After each step a checkpoint is saved if it is due, and after the last one in any case.
        """
        bar = tqdm(
            total=steps, initial=start, desc=name, disable=not self.accelerator.is_main_process
        )
        with bar:
            for step, batch in zip(
                range(start, steps), made_ahead(make, range(start, steps), self.workers)
            ):
                yield step, batch
                self.save(step + 1)
                bar.update()
                bar.set_postfix(list(self.log[-1].items())[1:2], refresh=False)
        self.save(steps, force=True)

    def descend(self, loss):
        """One step of the optimizer down ``loss``, gradients clipped to norm 1; then learning rate and average."""
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.ema.step(self.model.parameters())

    def averaged(self):
        """The network with the moving average of its weights, on the CPU and ready for use."""
        model = self.accelerator.unwrap_model(self.model)
        self.ema.copy_to(model.parameters())
        return model.to("cpu", memory_format=torch.contiguous_format).eval()

    def record(self, step, **values):
        """Add one line of figures to the log."""
        figures = {name: round(torch.as_tensor(value).item(), 5) for name, value in values.items()}
        self.log.append({"step": step, **figures})

    def save(self, step, force=False):
        """Checkpoint after ``step`` steps if ``save_every`` seconds have passed since the last."""
        if not force and time.monotonic() - self.saved < self.save_every:
            return
        new, last, old = (
            self.folder / name for name in ("checkpoint.new", "checkpoint", "checkpoint.old")
        )
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(new))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            (new / "progress.json").write_text(json.dumps({"step": step, "seconds": self.seconds}))
            shutil.rmtree(old, ignore_errors=True)
            if last.exists():
                os.rename(last, old)
            os.rename(new, last)
            with write_atomically(self.folder / "log.jsonl") as path:
                Path(path).write_text("".join(json.dumps(entry) + "\n" for entry in self.log))
            draw_curve(self.log, self.folder / "curve.png")
        self.accelerator.wait_for_everyone()
        self.saved = time.monotonic()


def draw_curve(log, path):
    """Loss curves of a log, one panel a quantity, as PNG."""
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
        # the first steps' peak hides the rest
        axis.set_ylim(top=np.percentile(points[:, 1], 99) * 1.05 + 1e-9)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def write_record(folder, run, settings, metrics, data_hash):
    """Write ``recipe.json``, and the loss curve beside it.

    The record holds the command, revision, seed, data, time, machine and held-out figures of a training.
    """

    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()

    command = "python -m " + settings["recipe"]
    # of this machine, no business of the reader's
    places = ("recipe", "art_dir", "out", "pipeline", "runs")
    settings = {name: value for name, value in settings.items() if name not in places}
    record = {
        "command": command,
        "settings": settings,
        "git_revision": git("rev-parse", "--short=12", "HEAD"),
        "data_hash": data_hash,
        "wall_time_minutes": round(run.seconds / 60, 1),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {run.accelerator.device.type}, "
        f"{run.accelerator.mixed_precision}",
        "metrics": metrics,
    }
    with write_atomically(Path(folder) / "recipe.json") as path:
        Path(path).write_text(json.dumps(record, indent=1) + "\n")
    shutil.copy(run.folder / "curve.png", folder)
