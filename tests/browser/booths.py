"""What the tests of the booth share: it is opened, and a visitor does the usual things."""

import contextlib

import pytest

from sdkit.booth import server as booth_server
from sdkit.files import ROOT

HEIC = ROOT / "tests" / "pictures" / "heic" / "turned-6.heic"


@contextlib.contextmanager
def opened(data, worker=None, **options):
    """An open booth with the networks of the folder `data`.

    worker : a line of Python that its first worker runs before it begins.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDKIT_DATA", str(data))
        patch.setenv("OMP_NUM_THREADS", "1")  # as in tests/browser/conftest.py
        booth = booth_server.Booth(booth_server.Options(**{"port": 18866, **options}))
        python, flag, program = usual = booth._commands["worker"]
        if worker:
            booth._commands["worker"] = [python, flag, f"{worker}; {program}"]
        with booth:
            booth._commands["worker"] = usual
            booth.wait_until_open()
            yield booth


def shows(page, view):
    page.wait_for_selector(f".frame[data-view={view}]")


def take_sample(page, name="Astronaut"):
    page.get_by_role("button", name=name).click()
    shows(page, "photo")


def paint(page, button="Paint me"):
    page.get_by_role("button", name=button).click()
    shows(page, "sheet" if button == "All styles" else "compare")


def download(page, button):
    """The name and the bytes of the file that a button saves."""
    with page.expect_download() as saved:
        page.get_by_role("button", name=button).click()
    with open(saved.value.path(), "rb") as file:
        return saved.value.suggested_filename, file.read()
