"""The files for Binder, dev containers and Colab agree with the lock, the commands and the tree.

The services themselves cannot be reached from a test.
"""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import run
from sdkit.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BINDER = ROOT / ".binder"


def listed(path):
    """The requirements in a file, as {name: line}."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith(("#", "-"))]
    return {canonicalize_name(Requirement(line).name): line for line in lines}


def needed_by(lines, locked):
    """The locked packages that these requirements need on this machine, and those need, ..."""
    found, todo = set(), [(Requirement(line), "") for line in lines]
    while todo:
        need, extra = todo.pop()
        name = canonicalize_name(need.name)
        if need.marker and not need.marker.evaluate({"extra": extra}):
            continue
        if name not in locked or {(name, extra) for extra in need.extras or [""]} <= found:
            continue
        for extra in ["", *need.extras]:
            found.add((name, extra))
            try:
                todo += [(Requirement(line), extra) for line in requires(name) or []]
            except PackageNotFoundError:  # of another system
                continue
    return {name for name, _ in found}


@pytest.mark.skipif(sys.platform != "linux", reason="Binder is Linux")
def test_binder_installs_what_the_lessons_need_in_the_versions_of_the_lock_and_no_more():
    locked, binder = listed(ROOT / "requirements.lock"), listed(BINDER / "requirements.txt")
    assert all(locked[name] == line for name, line in binder.items())
    needed = needed_by(PROJECT["dependencies"], locked)
    only_older = {n for n in binder if "python_full_version <" in binder[n]}
    assert needed - only_older == set(binder) - only_older
    assert "torch" in binder and "pytest" not in binder and "playwright" not in binder


def test_binder_takes_a_python_that_the_kit_allows_and_the_small_build_of_torch():
    version = re.fullmatch(r"python-(\d\.\d+)\n", (BINDER / "runtime.txt").read_text())[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")
    options = [
        line for line in (BINDER / "requirements.txt").read_text().splitlines() if line[0] == "-"
    ]
    assert options == [f"--extra-index-url {run.INDEX}cpu"]


@pytest.mark.skipif(os.name == "nt", reason="Binder is Linux")
def test_binder_starts_the_server_with_the_kit_on_the_path_and_with_threads_that_yield(tmp_path):
    assert (BINDER / "start").stat().st_mode & stat.S_IXUSR
    ask = (
        "import os, sdkit; print(sdkit.__file__, os.environ['OMP_WAIT_POLICY']);"
        "print(os.environ['JUPYTER_CONFIG_PATH'])"
    )
    told = subprocess.run(
        [BINDER / "start", sys.executable, "-c", ask],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "REPO_DIR": str(ROOT), "PYTHONPATH": "", "JUPYTER_CONFIG_PATH": "/its"},
    )
    kit, path = told.stdout.splitlines()
    assert kit.split() == [str(ROOT / "sdkit" / "__init__.py"), "PASSIVE"]
    # JupyterLab does not ask whether a person wants its news; what Binder itself sets stays
    assert path.split(":") == [str(run.LAB_SETTINGS), "/its"]


def test_the_dev_container_sets_up_with_run_py_and_a_python_that_the_kit_allows():
    config = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    version = re.search(r":(\d\.\d+)$", config["image"])[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")
    assert re.fullmatch(r"python3 run\.py \w+", config["postCreateCommand"])
    for amount in ("memory", "storage"):
        assert re.fullmatch(r"\d+gb", config["hostRequirements"][amount])
    (file,) = config["customizations"]["codespaces"]["openFiles"]
    assert (ROOT / file).is_file()
    settings = config["containerEnv"]["JUPYTER_CONFIG_PATH"]
    assert ROOT / settings.removeprefix("${containerWorkspaceFolder}/") == run.LAB_SETTINGS
    python = config["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python.endswith("/.venv/bin/python")


def test_the_cell_for_colab_clones_installs_and_goes_where_the_lessons_are():
    page = (ROOT / "docs" / "one-click.md").read_text(encoding="utf-8")
    (cell,) = re.findall(r"```python\n(.*?)```", page, re.S)
    clone, install, go = cell.splitlines()
    folder = clone.split()[-1]
    assert clone == f"!git clone --depth 1 ADDRESS {folder}"
    assert install == f"%pip install --quiet ./{folder}" and PROJECT["name"] == "sdkit"
    assert (ROOT / go.removeprefix(f"%cd {folder}/")).is_dir()


def test_the_addresses_open_the_first_lesson():
    page = (ROOT / "docs" / "one-click.md").read_text(encoding="utf-8")
    (opened,) = re.findall(r"mybinder\.org/v2/gh/OWNER/NAME/main\?urlpath=lab/tree/(\S+)", page)
    assert (ROOT / opened).is_file()
