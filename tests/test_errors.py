"""The sentences for errors that the kit does not expect."""

import errno
import os
import subprocess
import sys

import pytest

from sdkit import errors
from sdkit.files import ROOT


def test_the_sentence_for_an_unexpected_error_names_a_full_disk(monkeypatch):
    monkeypatch.delenv("SDKIT_DEBUG", raising=False)
    assert errors.unexpected(OSError(errno.ENOSPC, "No space left on device")).startswith(
        "The disk is full."
    )
    assert errors.unexpected(OSError("else")).startswith("This should not happen")


@pytest.mark.parametrize("command", [None, "python3 run.py"])
def test_sentences_name_commands_as_the_person_calls_them(command):
    """Whoever uses run.py has no command `sdkit` in the shell."""
    environment = {k: v for k, v in os.environ.items() if k != "SDKIT_COMMAND"}
    environment |= {"SDKIT_COMMAND": command} if command else {}
    code = (
        "from sdkit.cli import main; from sdkit.models import hub\n"
        "print(hub.SENTENCES['gone'].format(repo='x/y', others=hub.OTHERS))\n"
        "main(['style', '--help'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    name = command or "sdkit"
    assert f"Use another model ({name} models lists them)." in said
    assert f"usage: {name} style" in said
    assert f"({name} models lists them)" in " ".join(said.partition("usage:")[2].split())
