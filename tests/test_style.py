"""The code passes its checks of style and types, and the hooks before a commit do their work."""

import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml
from nbformat.v4 import new_notebook

from sdkit.files import ROOT

CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for repository in CONFIG["repos"] for hook in repository["hooks"]}


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["mypy", "--no-incremental"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_checker_reports_no_problem(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_of_pre_commit_use_the_locked_versions():
    """Otherwise a hook could lay out code in a way that the test above refuses."""
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wanted = [needed for hook in HOOKS.values() for needed in hook["additional_dependencies"]]
    assert [n for n in wanted if n not in locked] == ["pre-commit-hooks==6.0.0"]


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a clone")
def test_only_weights_and_notebooks_are_larger_than_the_hook_allows():
    """The hook sees only what is added on a machine that has it; this test sees every file."""
    hook = HOOKS["large-files"]
    limit = 1024 * int(hook["entry"].partition("--maxkb=")[2])
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    large = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.is_file() and path.stat().st_size > limit
    ]
    assert large  # the weights are among them, so the list was read
    assert [name for name in large if not re.match(hook["exclude"], name)] == []


def test_the_hook_for_notebooks_removes_widget_state(tmp_path):
    notebook = new_notebook(metadata={"widgets": {"application/x": {"state": {}}}})
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    command = HOOKS["notebooks"]["entry"].split()
    subprocess.run([sys.executable, *command[1:], tmp_path / "lesson.ipynb"], cwd=ROOT, check=True)
    assert "widgets" not in nbformat.read(tmp_path / "lesson.ipynb", as_version=4).metadata
