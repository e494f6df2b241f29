"""What a command imports. How long that takes is in tests/benchmarks/start.py."""

import json
import os
import subprocess
import sys

from sdkit.files import ROOT

# Run a command as `python -m sdkit` does, and say at its end what Python did meanwhile.
CODE = """
import atexit, gc, json, os, runpy, sys

def report():
    runs = sum(generation["collections"] for generation in gc.get_stats())
    with open(os.environ["REPORT"], "w") as file:
        json.dump({"modules": sorted(sys.modules), "garbage collections": runs}, file)

atexit.register(report)
runpy.run_module("sdkit", run_name="__main__", alter_sys=True)
"""


def run(tmp_path, *arguments):
    """What a command printed, the modules that are loaded at its end, and how often Python looked
    for garbage."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "REPORT": str(report)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(report.read_text())
    return done.stdout, set(found["modules"]), found["garbage collections"]


def test_help_imports_nothing_slow(tmp_path):
    printed, modules, _ = run(tmp_path, "--help")
    assert "style" in printed
    slow = {"torch", "numpy", "diffusers", "transformers", "matplotlib", "PIL", "scipy", "skimage"}
    assert modules & slow == set()


def test_style_imports_nothing_that_it_does_not_use(tmp_path):
    """The sample photograph is read by Pillow, and no figure is drawn without --grid."""
    printed, modules, collections = run(
        tmp_path, "style", "astronaut", "--prompt", "van gogh", "--size", "64", "--steps", "5"
    )
    assert "wrote" in printed
    assert {"torch", "diffusers"} <= modules  # the report is from the end of the run
    unused = {"skimage.io", "tifffile", "imageio", "matplotlib", "torchvision", "pandas", "sklearn"}
    assert modules & unused == set()
    assert collections < 100  # more than 1,000 with Python's own threshold
