"""The style and the types of the code are checked, with the settings in pyproject.toml."""

import subprocess
import sys

import pytest

from sdkit.files import ROOT


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["mypy", "--no-incremental"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_complaint(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
