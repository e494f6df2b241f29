"""The files for a class server agree with each other, with the page about them and with run.py.

No hub is started: Docker, Kubernetes and The Littlest JupyterHub are not here.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from traitlets.config import Config

import run
from sdkit import __version__
from sdkit.files import ROOT

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "class-server.md").read_text(encoding="utf-8")
VARIABLES = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
CLUSTER = yaml.safe_load((DEPLOY / "config.yaml").read_text(encoding="utf-8"))["singleuser"]


@pytest.fixture
def littlest():
    """Variables and options that the file for The Littlest JupyterHub adds."""
    c = Config()
    source = (DEPLOY / "jupyterhub_config.d" / "sdkit.py").read_text(encoding="utf-8")
    exec(compile(source, "sdkit.py", "exec"), {"c": c})
    return c.Spawner.environment.get_value({}), c.Spawner.args.get_value([])


def test_every_road_sets_the_same_variables(littlest):
    assert CLUSTER["extraEnv"] == VARIABLES
    assert littlest[0] == VARIABLES
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert all(f"{name}={value}" in image for name, value in VARIABLES.items())


def test_every_road_gives_the_options_of_the_lab(littlest):
    options = [word for word in run.LAB if "tornado_settings" in word or "encryption" in word]
    assert sorted(littlest[1]) == sorted(options) == sorted(CLUSTER["cmd"][1:])


def test_no_road_asks_whether_a_person_wants_news_of_jupyter():
    settings = run.LAB_SETTINGS.relative_to(ROOT).as_posix()
    read = json.loads((ROOT / settings / "labconfig" / "page_config.json").read_text("utf-8"))
    assert read == {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    (folder,) = re.findall(r"^ENV JUPYTER_CONFIG_PATH=(\S+)$", image, re.M)
    copied = dict(re.findall(r"^COPY (\S+) (\S+)$", image, re.M))
    assert folder.replace(copied["sdkit"], "sdkit", 1) == settings


def test_the_limits_agree():
    script = (DEPLOY / "tljh.sh").read_text(encoding="utf-8")
    memory, cpu = CLUSTER["memory"], CLUSTER["cpu"]
    assert re.findall(r"set limits\.(\w+) (\S+)", script) == [
        ("memory", memory["limit"]),
        ("cpu", str(cpu["limit"])),
    ]
    said = f"reserves {memory['guarantee'][:-1]} GB and half a core, and allows "
    assert said + f"{memory['limit'][:-1]} GB and one core" in " ".join(PAGE.split())
    assert cpu["guarantee"] == 0.5 and cpu["limit"] == 1


def test_the_image_copies_what_is_there_and_the_ignore_file_lets_it_pass():
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    passing = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (\S+) ", image, re.M)
    assert "sdkit" in copied and "data" in copied
    for source in copied:
        assert (ROOT / source).exists() and f"!{source}" in passing
    assert __version__.startswith(CLUSTER["image"]["tag"] + ".")
    assert f"sdkit:{CLUSTER['image']['tag']} " in image
    hook = CLUSTER["lifecycleHooks"]["postStart"]["exec"]["command"][-1]
    folders = [word for word in hook.split() if word.startswith("/opt/kit/")]
    assert {folder.removeprefix("/opt/kit/") for folder in folders} <= set(copied)
    assert (ROOT / CLUSTER["defaultUrl"].removeprefix("/lab/tree/")).is_file()


@pytest.mark.skipif(os.name == "nt", reason="the script is for Linux")
def test_the_script_for_the_littlest_hub_runs_its_steps_in_order(tmp_path):
    """With stand-ins for pip, cp and the hub's own command, so that nothing is changed here."""
    (tmp_path / "tljh" / "user" / "bin").mkdir(parents=True)
    for path in ("tljh/user/bin/python", "tljh-config", "cp", "mkdir"):
        (tmp_path / path).write_text(f'#!/bin/sh\necho "{path.split("/")[-1]} $*"\n')
        (tmp_path / path).chmod(0o755)
    told = subprocess.run(
        [shutil.which("sh"), DEPLOY / "tljh.sh"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "TLJH": str(tmp_path / "tljh")},
    ).stdout.splitlines()
    assert told[0] == "python -m pip install -r .binder/requirements.txt"
    assert told[1] == "python -m pip install --no-deps -e ."
    # JupyterLab reads every file in page_config.d of the hub's environment
    labconfig = tmp_path / "tljh" / "user" / "etc" / "jupyter" / "labconfig"
    (copied,) = (line.split() for line in told if "page_config.json" in line)
    assert ROOT / copied[1] == run.LAB_SETTINGS / "labconfig" / "page_config.json"
    assert Path(copied[2]) == labconfig / "page_config.d" / "sdkit.json"
    assert told[-1] == "tljh-config reload"
    for line in told:
        for word in line.split()[1:]:
            if re.match(r"(\.binder|deploy|notebooks|docs|sdkit)\b", word):
                assert (ROOT / word).exists(), word


def test_every_file_of_the_folder_is_named_on_the_page():
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix != ".dockerignore" and "__pycache__" not in path.parts:
            assert f"../{path.relative_to(ROOT).as_posix()}" in PAGE, path


@pytest.mark.parametrize(
    ("cells", "people", "cores", "waited"),
    [
        ([2.0, 3.0], 1, 4, [2.0, 3.0]),  # nobody else: the time of the processor
        ([4.0], 2, 2, [4.0, 4.0]),  # a core for each
        ([4.0], 2, 1, [8.0, 8.0]),  # one core for two
        ([4.0], 3, 2, [6.0, 6.0, 6.0]),
    ],
)
def test_the_waits_of_a_class_are_those_of_a_shared_processor(cells, people, cores, waited):
    from tests.benchmarks import class_wait

    found = class_wait.waits(cells, people, cores, minutes=0)
    assert [wait for _, wait in found] == pytest.approx(waited)


def test_people_who_read_between_cells_wait_less():
    from tests.benchmarks import class_wait

    cells = [1.0, 5.0] * 10
    hurried, calm = (class_wait.waits(cells, 30, 4, minutes) for minutes in (1, 90))
    assert len(hurried) == len(calm) == 30 * len(cells)
    longest = [max(wait for _, wait in found) for found in (hurried, calm)]
    assert longest[0] > 2 * longest[1] and longest[1] > 4.99
