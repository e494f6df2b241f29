"""The forecast of a run beside the clock.

    python tests/benchmarks/forecast.py [--only style] [--model mini] [--threads 2]

Each row is one verb of the command line on one picture, with the settings that the model has. All
runs are forecast, also those that are too short for a forecast outside this script. The clock runs
from the moment when a person would be asked until the verb has written its picture. "counting" and
"trial" are the seconds that the forecast itself took, before that moment. The ratio should be
between 0.67 and 1.5.

Nothing else should run on the computer meanwhile. The large sizes take minutes.
"""

import argparse
import contextlib
import io
import os
import tempfile
import time
from pathlib import Path

from sdkit import cli, consent, forecast, photos

SIZES = 256, 384, 512, 768, 1024  # px
SMALL = 64, 128, 256, 512  # px, before they are enlarged


def runs(folder, model):
    """(name, arguments of the command line) of each row. `folder` gets the pictures they need."""
    square = photos.sample("astronaut")  # 512 x 512
    common = ["--model", model, "--yes", "--out", str(folder / "out")]
    whole, left = folder / "photo.png", folder / "mask.png"
    square.save(whole)
    square.point(lambda level: 255).save(left)
    for side in SIZES:
        size = [*common, "--size", str(side)]
        yield f"style {side}", ["style", str(whole), "--prompt", "van gogh", *size]
    for name, more in {
        "draw": [],
        "draw --style": ["--style", "van gogh"],
        "draw --no-upscale": ["--no-upscale"],
        "draw 512": ["--size", "512"],
    }.items():
        yield name, ["draw", "a red house by the sea", *more, *common]
    for side in SIZES:
        size = [*common, "--size", str(side)]
        prompt = ["--prompt", "a red house"]
        yield f"inpaint {side}", ["inpaint", str(whole), str(left), *prompt, *size]
    for side in SMALL:
        small = folder / f"{side}.png"
        square.resize((side, side)).save(small)
        yield f"upscale {side}", ["upscale", str(small), "--yes", "--out", str(folder / "out")]


def measure(arguments):
    """The seconds of one run: (forecast, clock, counting, trial)."""
    found, agree = {}, consent.agree

    def watched(work, yes):
        began = time.perf_counter()
        for stage in work:
            _ = stage.operations
        found["counting"] = time.perf_counter() - began
        began = time.perf_counter()
        found["forecast"] = forecast.seconds(work)
        found["trial"] = found["began"] = time.perf_counter()
        found["trial"] -= began

    consent.agree = watched
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = cli.main(arguments)
        clock = time.perf_counter() - found.get("began", 0)
    finally:
        consent.agree = agree
    if code or not found:
        raise SystemExit(f"sdkit {' '.join(arguments)} failed:\n{said.getvalue()}")
    return found["forecast"], clock, found["counting"], found["trial"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the start of the rows to run, such as style")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--threads", type=int, help="threads of torch (default: as it chooses)")
    options = parser.parse_args()
    os.environ.setdefault("SDKIT_DEVICE", "cpu")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    heads = "forecast, s", "clock, s", "ratio", "counting, s", "trial, s"
    print(f"{'':20}" + "".join(f"{head:>13}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in runs(Path(folder), options.model):
            if name.startswith(options.only):
                said, clock, counting, trial = measure(arguments)
                row = said, clock, said / clock, counting, trial
                print(f"{name:20}" + "".join(f"{value:13.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
