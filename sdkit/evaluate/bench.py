"""How long the kit takes on this computer: ``python3 run.py bench``.

Computers differ, and other programs disturb. So most figures are the median of some runs, and where
two things are compared, they take turns in one run and their ratio counts. docs/performance.md says
how to read the table.
"""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from diffusers import StableDiffusionImg2ImgPipeline, UNet2DConditionModel
from PIL import Image, ImageOps
from torch import nn
from tqdm.auto import tqdm

from sdkit import __version__, generate, models
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.models import hardware
from sdkit.pictures import photos

PROMPT = "van gogh"
SIZE = 512  # px, the short side of the portrait; its long side is 640
SIZES = (256, 384, 512, 768, 1024)  # px, sides of the squares that show how the time grows
REPEATS = 3
TURNS = 5  # how often sdkit and diffusers take turns; their difference is small
FULL_SIZE = 8e9  # bytes of free memory that the full-size network needs
# The most that each may take on two cores of an ordinary laptop: seconds, GB, ratio, exponent
COLD, MEMORY, WARM, OVERHEAD, POSTCARD, GROWTH = 9.0, 1.0, 4.0, 1.03, 3.0, 1.15

# Runs a command and prints what it took, as JSON. It is a small process of its own, because Linux
# counts the memory of the process that starts a command as memory of the command.
LAUNCHER = """
import json, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
used = {"wall": time.perf_counter() - began}
if code:
    sys.exit(1)
try:
    import resource
except ImportError:  # Windows
    pass
else:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    used |= {"processor": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * unit / 1e9}
print(json.dumps(used))
"""


@dataclass(frozen=True)
class Row:
    """One line of the table. Its numbers are rounded to four digits.

    name : what was measured.
    value : the figure, or None if it was not measured.
    unit : s or GB; empty for a ratio or an exponent.
    runs : what the single runs gave.
    limit : the most that `value` may be, or None.
    remark : why there is no figure.
    """

    name: str
    value: float | None = None
    unit: str = ""
    runs: tuple[float, ...] = ()
    limit: float | None = None
    remark: str = ""

    @property
    def verdict(self) -> str:
        """Kept, missed, or empty if there is no limit or no value."""
        if self.limit is None or self.value is None:
            return ""
        return "kept" if self.value <= self.limit else "missed"


def median_row(
    name: str, runs: Sequence[float], unit: str = "s", limit: float | None = None
) -> Row:
    """A row with the median of the runs."""
    value = _rounded(statistics.median(runs))
    return Row(name, value, unit, tuple(map(_rounded, runs)), limit)


def ratio_row(
    name: str, above: Sequence[float], below: Sequence[float], limit: float | None = None
) -> Row:
    """A row with the ratio of two medians. Its runs are the ratios of runs that took turns."""
    value = _rounded(statistics.median(above) / statistics.median(below))
    return Row(name, value, "", tuple(_rounded(a / b) for a, b in zip(above, below)), limit)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def head(name: str) -> dict[str, str]:
    """What the figures depend on, as texts: versions, machine, and settings of the model `name`.

    Raises `SdkitError` like `installed`.
    """
    model = installed(name)
    settings = model.settings(PROMPT, size=SIZE)
    packages = ("torch", "diffusers", "transformers")
    return {
        "date": datetime.date.today().isoformat(),
        "versions": ", ".join(
            [f"sdkit {__version__}", f"Python {platform.python_version()}"]
            + [f"{package} {version(package)}" for package in packages]
        ),
        "machine": f"{processor()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 1e9:.1f} GB of memory, {platform.system()}",
        "threads": str(torch.get_num_threads()),
        # a disturbed run shows here first
        "busy before": f"{psutil.cpu_percent(interval=1):.0f} % of the processor",
        "style": f"{model.label}, {PROMPT!r}, {settings.num_inference_steps} steps of which "
        f"{settings.steps_run} run, strength {settings.strength:g}, guidance "
        f"{settings.guidance_scale:g}",
    }


def installed(name: str) -> models.Model:
    """The model `name`. Raises `SdkitError` if it is no folder on this disk.

    Nothing is downloaded for a measurement, and diffusers alone loads only folders.
    """
    model = models.resolve(name)
    if model.found is None or not model.found.is_dir():
        raise SdkitError(
            f"{model.label} is not a folder on this disk. Use mini-sd, or a folder in diffusers' "
            "layout."
        )
    return model


def processor() -> str:
    """The name of the processor, or only its kind if the system does not tell the name."""
    name = platform.processor()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True).stdout
    elif Path("/proc/cpuinfo").is_file():  # Linux; on ARM it has no name
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2]
                break
    return name.strip() or platform.machine()


def measure(name: str, draw: Callable[[Path], object], quick: bool = False) -> Iterator[Row]:
    """Yield the rows of the table as soon as they are measured, on the CPU.

    name : as in `installed`.
    draw : draws one postcard into a folder, with all stages, as the verb does.
    quick : leave out sizes beyond `SIZE` and the full-size network, which take minutes.

    Raises `SdkitError` like `installed`, and if a command fails.
    """
    model = installed(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        yield from first_picture(name, folder)
        pipe = model.pipeline("img2img", "cpu")
        yield from warm_portrait(model, pipe)
        yield postcard(draw, folder / "drawn")
    yield from growth(model, pipe, [size for size in SIZES if size <= SIZE or not quick])
    yield from full_size(model, pipe, quick)


def portrait() -> Image.Image:
    """A sample photograph with sides as 4 to 5: 512 x 640 px."""
    return ImageOps.fit(photos.sample("grace_hopper"), (SIZE, SIZE * 5 // 4))


def first_picture(name: str, folder: Path) -> Iterator[Row]:
    """Rows of a new process that paints the portrait: seconds, processor seconds, peak memory."""
    photo = portrait()
    file = folder / "portrait.png"
    photo.save(file)
    command = [sys.executable, "-m", "sdkit", "style", str(file), "--prompt", PROMPT]
    command += ["--size", str(SIZE), "--model", name, "--device", "cpu", "--yes"]
    command += ["--out", str(folder / "styled")]
    runs = [
        run_fresh(command) for _ in tqdm(range(REPEATS), "new process", leave=False, disable=None)
    ]
    what = f"style, {photo.width} x {photo.height} px, new process"
    yield median_row(what, [run["wall"] for run in runs], limit=COLD)
    for kind, words, unit, limit in (
        ("processor", "processor seconds", "s", None),
        ("memory", "peak memory", "GB", MEMORY),
    ):
        if kind in runs[0]:
            yield median_row(f"{what}: {words}", [run[kind] for run in runs], unit, limit)
        else:
            yield Row(f"{what}: {words}", remark="this system does not tell")


def run_fresh(command: list[str]) -> dict[str, float]:
    """What a command took in a new process.

    wall and processor are in seconds, memory is the peak in GB. Windows tells only wall.
    Raises `SdkitError` if the command fails.
    """
    # the command takes the kit from where it is running now
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-I", "-c", LAUNCHER, *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise SdkitError(
            f"A command that bench runs has failed. It said: {said[:300]} "
            f"Run it yourself to see more: {' '.join(command[1:])}"
        )
    return json.loads(done.stdout)


def alternate(
    calls: dict[str, Callable[[], object]], repeats: int, what: str
) -> dict[str, list[float]]:
    """Seconds of each call, `repeats` times, after one round that does not count.

    what : what the progress bar says.

    The calls take turns, and every second round goes backwards. So a disturbance that comes slowly
    hits all of them alike.
    """
    taken: dict[str, list[float]] = {key: [] for key in calls}
    with tqdm(total=(repeats + 1) * len(calls), desc=what, leave=False, disable=None) as bar:
        for repeat in range(repeats + 1):
            for key in list(calls)[:: -1 if repeat % 2 else 1]:
                began = time.perf_counter()
                calls[key]()
                if repeat:
                    taken[key].append(time.perf_counter() - began)
                bar.update()
    return taken


def warm_portrait(model: models.Model, pipe: Any) -> Iterator[Row]:
    """Rows of the portrait with everything loaded, beside bare diffusers and a feed-forward net."""
    settings, photo, network = model.settings(PROMPT, size=SIZE), portrait(), feed_forward()
    tensor = photos.to_tensor(photo)
    own = bare_pipeline(model, pipe)
    taken = alternate(
        {
            "sdkit": lambda: generate.style(pipe, [photo], settings, advise=False),
            "diffusers": lambda: bare_style(own, photo, settings),
            "feed-forward": lambda: without_gradients(network, tensor),
        },
        TURNS,
        "portrait",
    )
    what = f"{photo.width} x {photo.height} px"
    yield median_row(f"style, {what}, warm", taken["sdkit"], limit=WARM)
    yield ratio_row(
        "the same, over the bare diffusers pipeline", taken["sdkit"], taken["diffusers"], OVERHEAD
    )
    yield median_row(f"a feed-forward net of one style, {what}", taken["feed-forward"])
    yield ratio_row("style, over this net", taken["sdkit"], taken["feed-forward"])


def bare_pipeline(model: models.Model, pipe: Any) -> StableDiffusionImg2ImgPipeline:
    """The model as diffusers alone loads it, with the number format and the scheduler of `pipe`."""
    own = StableDiffusionImg2ImgPipeline.from_pretrained(
        model.folder,
        dtype=pipe.unet.dtype,
        scheduler=type(pipe.scheduler).from_config(pipe.scheduler.config),
        safety_checker=None,
        requires_safety_checker=False,
        local_files_only=True,
    )
    own.set_progress_bar_config(disable=True)
    return own


def bare_style(
    pipe: StableDiffusionImg2ImgPipeline, photo: Image.Image, settings: models.Settings
) -> Image.Image:
    """Paint a photograph of the right size, by diffusers alone."""
    return pipe(
        prompt=settings.prompt,
        negative_prompt=settings.negative_prompt,
        image=photo,
        strength=settings.strength,
        guidance_scale=settings.guidance_scale,
        num_inference_steps=settings.num_inference_steps,
        generator=torch.Generator("cpu").manual_seed(settings.seed),
    ).images[0]


def without_gradients(network: nn.Module, *inputs: Any) -> Any:
    """The output of a network, as for a finished picture."""
    with torch.no_grad():
        return network(*inputs)


class Residual(nn.Module):
    """Two convolutions whose output is added to their input (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(channels, channels, 3), *_convolution(channels, channels, 3)[:-1]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def feed_forward() -> nn.Sequential:
    """A network that paints in one style and in one step, of the published size, not trained.

    The layers of Johnson et al. 2016 (arXiv:1603.08155), with the instance norm of Ulyanov et al.
    2016 (arXiv:1607.08022). Its input and output are (B, 3, H, W), with sides that are multiples
    of 4.
    """
    return nn.Sequential(
        *_convolution(3, 32, 9),
        *_convolution(32, 64, 3, 2),
        *_convolution(64, 128, 3, 2),
        *(Residual(128) for _ in range(5)),
        *_twice_as_large(128, 64),
        *_twice_as_large(64, 32),
        nn.Conv2d(32, 3, 9, padding=4),
    ).eval()


def _convolution(inputs: int, outputs: int, width: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, width, stride, padding=width // 2)
    return [convolution, nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]


def _twice_as_large(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)
    return [convolution, nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]


def postcard(draw: Callable[[Path], object], folder: Path) -> Row:
    """The row of a postcard drawn from a sentence, with everything loaded."""
    taken = alternate({"draw": lambda: draw(folder)}, REPEATS, "postcard")["draw"]
    with Image.open(max(folder.glob("*.png"))) as image:
        width, height = image.size
    return median_row(f"postcard, {width} x {height} px, warm", taken, limit=POSTCARD)


def growth(model: models.Model, pipe: Any, sizes: list[int]) -> Iterator[Row]:
    """Rows of squares with sides of `sizes` px, and how the time grows with the pixels.

    The limit of the growth holds for all of `SIZES`, so there is none for fewer.
    """
    photo = photos.sample("astronaut")
    calls: dict[str, Callable[[], object]] = {
        f"style, {size} x {size} px, warm": partial(
            generate.style, pipe, [photo], model.settings(PROMPT, size=size), advise=False
        )
        for size in sizes
    }
    taken = alternate(calls, REPEATS, "growth")
    for name, runs in taken.items():
        yield median_row(name, runs)
    pixels = [size**2 for size in sizes]
    value = exponent(pixels, [statistics.median(runs) for runs in taken.values()])
    single = tuple(_rounded(exponent(pixels, seconds)) for seconds in zip(*taken.values()))
    limit = GROWTH if sizes == list(SIZES) else None
    what = f"growth over pixels, {sizes[0]} to {sizes[-1]} px, exponent"
    yield Row(what, _rounded(value), "", single, limit)


def exponent(pixels: Sequence[float], seconds: Sequence[float]) -> float:
    """The p for which seconds = c * pixels**p fits best, by least squares of the logarithms.

    1 means that twice the pixels take twice the time; 2, four times the time.
    """
    return float(np.polyfit(np.log(pixels), np.log(seconds), 1)[0])


def full_size(model: models.Model, pipe: Any, quick: bool) -> Iterator[Row]:
    """Rows of one step of a full-size Stable Diffusion, beside a whole picture of this model."""
    what, free = "one step of full-size Stable Diffusion 1.5, 512 px", hardware.free_memory()
    if quick:
        yield Row(what, remark="left out by --quick")
        return
    if free < FULL_SIZE:
        needs = f"needs {FULL_SIZE / 1e9:g} GB of free memory, and there are {free / 1e9:.1f}"
        yield Row(what, remark=needs)
        return
    settings, photo = model.settings(PROMPT, size=512), photos.sample("astronaut")
    network = full_size_unet().to(hardware.dtype("cpu")).eval()
    latents, words = (
        torch.randn(shape).to(network.dtype) for shape in ((1, 4, 64, 64), (1, 77, 768))
    )
    taken = alternate(
        {
            "step": lambda: without_gradients(network, latents, 500, words),
            "style": lambda: generate.style(pipe, [photo], settings, advise=False),
        },
        REPEATS,
        "full size",
    )
    yield median_row(what, taken["step"])
    yield ratio_row("style, 512 x 512 px, over this step", taken["style"], taken["step"])


def full_size_unet() -> UNet2DConditionModel:
    """The UNet of Stable Diffusion 1.5 with random weights: 860 million parameters.

    The other values of its published configuration are the defaults of diffusers.
    """
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768)


def table_line(row: Row) -> str:
    """A row as a line of the table: name, value, unit, range of the runs, limit, verdict."""
    if row.value is None:
        return f"{row.name:<52}{'-':>8}  {row.remark}"
    runs = f"{min(row.runs):g} to {max(row.runs):g}" if row.runs else ""
    limit = "" if row.limit is None else f"{row.limit:g}"
    return (
        f"{row.name:<52}{row.value:>8g} {row.unit:<3}{runs:>16}{limit:>8}  {row.verdict}".rstrip()
    )


TABLE_HEAD = f"{'what':<52}{'median':>8} {'':<3}{'runs':>16}{'at most':>8}"


def report(texts: dict[str, str], rows: Sequence[Row]) -> str:
    """The texts of `head` and the rows as JSON."""
    listed = [{**asdict(row), "verdict": row.verdict} for row in rows]
    return json.dumps({**texts, "rows": listed}, indent=1)
