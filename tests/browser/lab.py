"""What the tests in a browser share: JupyterLab is opened, run and driven by the keyboard."""

import contextlib
import re
import shutil
import socket
import time
import urllib.parse
import urllib.request

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.normalise import METADATA

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
try:
    from playwright.sync_api import TimeoutError as PlaywrightTimeout
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

NEEDS_PLAYWRIGHT = pytest.mark.skipif(
    sync_playwright is None, reason="playwright is not installed (pip install playwright)"
)
NEEDS = [
    NEEDS_PLAYWRIGHT,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)"
    ),
]
PATIENCE = 600  # seconds; a busy machine is slow, not wrong

# Each row of SLIDERS in a file of tests: the notebook, the slider's label before and after a key
# press, and the picture's own width and its width on the page (px).


def write_notebook(folder, name, source):
    """Write a notebook with one cell of code into the folder that JupyterLab shows."""
    cells = [new_code_cell(source.strip())]
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), folder / name)


def wait(condition, complaint):
    """Wait until `condition()` is true; fail with `complaint` after `PATIENCE` seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, complaint
        time.sleep(0.5)


def free_port():
    """A port of this machine at which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(address):
    """Whether a server answers there."""
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def run_all(page, server, name):
    """Open a notebook, Run > Run All Cells, save when all have run; returns the saved notebook."""
    address, folder = server
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    # in the status bar; the toolbar says idle before there is a kernel
    page.get_by_text("| Idle").wait_for()
    started = page.locator(".jp-InputPrompt", has_text=re.compile(r"\[[*\d]")).first
    for _ in range(10):  # on a busy machine the menu can be there before its commands are
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        with contextlib.suppress(PlaywrightTimeout):
            started.wait_for(timeout=10_000)
            break

    def saved():
        page.keyboard.press("Control+s")
        page.wait_for_timeout(2000)
        try:
            notebook = nbformat.read(folder / name, as_version=4)
        except nbformat.reader.NotJSONError:  # read while it was being written
            return False
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        errors = [
            output for cell in code for output in cell.outputs if output.output_type == "error"
        ]
        assert not errors, errors[0]
        return all(cell.execution_count for cell in code)

    wait(saved, f"{name} did not run to its end")
    return nbformat.read(folder / name, as_version=4)


def move_slider(page, server, tmp_path, path, first, second, widths):
    """Run a lesson, press the right arrow key on its first slider, and look at label and picture.

    The last four arguments are a row of SLIDERS.
    """
    run_all(page, server, path)
    handle = page.get_by_role("slider").first
    handle.scroll_into_view_if_needed()
    box = page.locator(".widget-vbox", has=handle).first
    label, image = box.locator(".frame-name"), box.locator("img")
    source = image.get_attribute("src")
    assert label.inner_text() == first
    # a screen reader hears the name of the frame, and what it shows
    assert first.endswith(handle.get_attribute("aria-valuetext"))
    assert image.get_attribute("alt").endswith(f" This frame: {first}.")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([node, old]) => node.textContent != old", arg=[label.element_handle(), first]
    )
    assert label.inner_text() == second
    page.wait_for_function("([node, old]) => node.src != old", arg=[image.element_handle(), source])
    assert second.endswith(handle.get_attribute("aria-valuetext"))
    assert image.get_attribute("alt").endswith(f" This frame: {second}.")
    # not stretched to the page
    assert image.evaluate("node => [node.naturalWidth, node.clientWidth]") == widths
    page.screenshot(path=tmp_path / "lesson.png")


def only_this_machine_and_no_error(heard, expected=None):
    """All that the pages of a file of tests asked for and logged; see the fixture `heard`.

    expected : pattern of the errors that the tests themselves cause.
    """
    addresses, errors = heard
    hosts = {
        urllib.parse.urlsplit(address).hostname
        for address in addresses
        if address.startswith(("http", "ws"))
    }
    assert hosts == {"127.0.0.1"}
    assert [one for one in errors if not (expected and re.search(expected, one))] == []
