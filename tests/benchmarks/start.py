"""How much processor time the kit takes to start, against an older checkout of it.

    python tests/benchmarks/start.py --against OLD_CHECKOUT [--repeats 5]

Each run is a new process: `python -m sdkit --help`, and `python -m sdkit style astronaut --prompt
"van gogh" --size 256` until the UNet is called for the first time. The size is given because the
checkouts may have different ones, and a larger photograph takes longer to encode. The two checkouts
take turns, after one run each that is not counted, so that both have their compiled files. The
figures are seconds of the processor, user and system together, so they depend little on what else
the computer does. Each process has one thread. The table gives medians.

Each checkout must hold the weights in `data/models`. Runs on Linux and macOS.
"""

import argparse
import os
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HELP = ["-m", "sdkit", "--help"]
STYLE = ["style", "astronaut", "--prompt", "van gogh", "--yes", "--size", "256"]


def style_until_first_step(folder):
    """Run the command as a person would, and end the process when the UNet is called."""
    from sdkit import photos  # quick to import in both checkouts

    open_photo = photos.open_photo

    def stop(module, _):
        if type(module).__name__ == "UNet2DConditionModel":
            os._exit(0)

    def open_and_watch(*arguments):
        # The verb loads the model before it opens the photo, so torch is there already.
        from torch.nn.modules.module import register_module_forward_pre_hook

        register_module_forward_pre_hook(stop)
        return open_photo(*arguments)

    photos.open_photo = open_and_watch
    sys.argv = ["sdkit", *STYLE, "--out", folder]
    runpy.run_module("sdkit", run_name="__main__", alter_sys=True)


def seconds(checkout, arguments):
    """Processor seconds, user and system, of a Python process that runs in `checkout`."""

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "PYTHONSAFEPATH": "1",  # the folder of this file is not searched
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "SDKIT_DEVICE": "cpu",
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"The run in {checkout} failed:\n{done.stderr}")
    return used() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="OLD_CHECKOUT")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--style-until-first-step", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.style_until_first_step:
        style_until_first_step(arguments.style_until_first_step)
        sys.exit("The command ended without a call of the UNet.")
    if not arguments.against:
        parser.error("--against is missing: give the folder of the older checkout")
    checkouts = {"old": arguments.against.resolve(), "new": Path(__file__).resolve().parents[2]}
    with tempfile.TemporaryDirectory() as folder:
        runs = {"style": [__file__, "--style-until-first-step", folder], "--help": HELP}
        print(f"{'':8}{'old, s':>10}{'new, s':>10}{'new / old':>11}   all runs, old then new")
        for name, command in runs.items():
            taken = {"old": [], "new": []}
            for repeat in range(arguments.repeats + 1):
                for which, checkout in checkouts.items():
                    value = seconds(checkout, command)
                    if repeat:  # the first one only fills the caches
                        taken[which].append(value)
            old, new = (statistics.median(taken[which]) for which in ("old", "new"))
            listed = "; ".join(" ".join(f"{value:.2f}" for value in taken[key]) for key in taken)
            print(f"{name:8}{old:10.2f}{new:10.2f}{new / old:11.2f}   {listed}", flush=True)


if __name__ == "__main__":
    main()
