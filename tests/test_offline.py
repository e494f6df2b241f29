"""Verbs, libraries and lessons use no network, unless a person asks for other weights."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from sdkit.cli import parser
from sdkit.files import ROOT

RUNS = [
    ["draw", "a house, van gogh", "--steps", "2", "--upscale"],
    ["style", "coffee", "--prompt", "picasso", "--grid"],
    ["inpaint", "coffee", "coffee", "--prompt", "a photo"],
    ["edit", "coffee", "--from", "a red house", "--to", "a blue house", "--steps", "2"],
    ["learn", "mine", "--word", "dots", "--steps", "1", "--size", "32"],
    ["upscale", "drawn/a-house-x4-van-gogh-seed0.png"],
    ["check", "drawn/a-house-x4-van-gogh-seed0.png"],
    ["clear", "x.ipynb"],
    ["models"],
    ["doctor"],
    ["measure"],
    ["compare", "drawn", "mini", "mini", "--size", "64"],
]
# This program runs every verb in one process that may not open a socket. `measure` is quick here,
# because it has a small reader and few drawings.
PROGRAM = """
import functools, json, os, sys
exec(open(sys.argv[1]).read(), {})
import torch
from sdkit import cli, judges, measure
os.environ["SDKIT_DEVICE"] = "cpu"
reader = judges.PostcardReader((8, 8, 8), 64).eval()
judges.PostcardReader.load = lambda: reader
measure.NEIGHBOURS, measure.measure_all = 3, functools.partial(measure.measure_all, drawings=2)
codes = [cli.main(run) for run in json.loads(sys.argv[2])]
print("\\n" + json.dumps([codes, sys.attempts]))
"""
clean = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("HF_", "TRANSFORMERS_", "DIFFUSERS_"))
}


def test_no_verb_opens_a_socket(tiny_data, tiny_upscaler, tmp_path):
    nbformat.write(new_notebook(), tmp_path / "x.ipynb")
    (tmp_path / "mine").mkdir()
    for level in (50, 100, 200):
        Image.new("L", (40, 40), level).save(tmp_path / "mine" / f"a red house {level}.png")
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    words = Path("models", "mini-sd", "words.json")  # learn asks for the words of the postcards
    shutil.copy(ROOT / "data" / words, data / words)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            Path(__file__).with_name("no_network.py"),
            json.dumps(RUNS),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**clean, "PYTHONPATH": str(ROOT), "SDKIT_DATA": str(data), "NO_SOCKETS": "1"},
    )
    assert done.returncode == 0, done.stderr
    codes, attempts = json.loads(done.stdout.splitlines()[-1])
    assert attempts == []
    verbs = dict(zip([run[0] for run in RUNS], codes))
    # no style classifier
    assert {verb for verb, code in verbs.items() if code} == {"doctor"}, done.stderr
    verb = next(
        a for a in parser.make_parser()._actions if isinstance(a, argparse._SubParsersAction)
    )
    # bench runs some of these verbs again, for minutes; booth is a server, and
    # tests/browser/test_booth.py looks at all its connections
    assert set(verbs) == set(verb.choices) - {"bench", "booth"}


def test_the_kernel_of_a_lesson_has_no_network(tmp_path):
    """So `run.py test` runs all notebooks without a network, even on a machine that has one."""
    nbclient = pytest.importorskip("nbclient")
    tries = [
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1')",
        "import socket; socket.create_connection(('example.org', 443))",
        "refuse",
        "import sdkit; sdkit.photos.sample('coffee').size",
        "sdkit.photos.open_photo('gone.jpg')",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in tries])
    nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(ROOT)}},
    ).execute()
    said = [
        output.get("evalue") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.outputs
    ]
    assert "no network here" in said[0] and "no network here" in said[1]
    # the sentence, no lines of code
    assert notebook.cells[-1].outputs[0].traceback == ["SdkitError: " + said[4]]
    # nothing is left in a lesson's names
    assert "not defined" in said[2] and said[3] == "(600, 400)"


def test_telemetry_and_update_checks_are_off():
    code = (
        "import sdkit; from huggingface_hub import constants as c;"
        "print(c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY, c.HF_HUB_DISABLE_UPDATE_CHECK)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True"] * 3
    run = (ROOT / "run.py").read_text(encoding="utf-8")
    for switch in (
        "HF_HUB_OFFLINE",
        "HF_HUB_DISABLE_TELEMETRY",
        "HF_HUB_DISABLE_UPDATE_CHECK",
        "news_url=None",
        "NeverCheckForUpdate",
        "extension_manager=readonly",
    ):
        assert switch in run
