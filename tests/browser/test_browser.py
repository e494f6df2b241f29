"""The lesson in a real browser: JupyterLab in a headless Chromium, driven by the keyboard.

The tests use an installed Chromium (Debian's package, or Chrome) and download none. If there is
none, they are skipped. The model is the tiny random one of tests/conftest.py, so no test depends on
what the pictures look like.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from sdkit.files import ROOT
from tests.normalise import METADATA

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
try:
    from playwright.sync_api import TimeoutError as PlaywrightTimeout
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)"
    ),
    pytest.mark.skipif(
        sync_playwright is None, reason="playwright is not installed (pip install playwright)"
    ),
]
PATIENCE = 600  # seconds; a busy machine is slow, not wrong
# Each row: the notebook, the slider's label before and after a key press, and the picture's own
# width and its width on the page (px).
SLIDERS = [
    ("00_start_here.ipynb", "style none", "style van gogh", [64, 256]),
    ("01_gans.ipynb", "updates 0", "updates 100", [210, 256]),
    ("02_forward_diffusion.ipynb", "steps of noise 0", "steps of noise 100", [192, 256]),
    ("03_reverse_diffusion.ipynb", "steps back 0", "steps back 80", [192, 256]),
    ("04_samplers.ipynb", "calls 2", "calls 4", [192, 256]),
    ("05_vae_latents.ipynb", "push 0", "push 1", [160, 256]),
    ("06_text_encoder.ipynb", "ask for: a", "ask for: a blue", [576, 576]),
    ("07_unet_denoising.ipynb", "step 15", "step 25", [828, 768]),
    ("08_guidance.ipynb", "scale 1", "scale 2", [512, 512]),
    ("09_assembled.ipynb", "day 0 %", "day 20 %", [64, 256]),
    ("10_super_resolution.ipynb", "strength 0.4", "strength 0.7", [288, 288]),
    ("11_style_transfer.ipynb", "strength 0.6", "strength 0.8", [64, 256]),
    ("12_how_good.ipynb", "suspect 1", "suspect 2", [256, 256]),
]
# these lessons ask for more than the tiny model can answer
SHIPPED = ("06", "07", "08", "09", "10", "12")
OURS = f"import os\nos.environ['SDKIT_DATA'] = {str(ROOT / 'data')!r}"
PRIVATE = """
import numpy as np
from PIL import Image
from sdkit import widgets
rng = np.random.default_rng(0)
frames = {name: Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) \
for name in ("ann", "bob")}
slider = widgets.frames_slider(frames, "member", start="ann", alt="Members before and after.", \
keep=False)
"""

TURING = """
import numpy as np
from sdkit import turing
rng = np.random.default_rng(0)
shades = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(8)]
game = turing.Game({"GAN": list(zip(shades[:2], shades[2:4])), \
"diffusion": list(zip(shades[4:6], shades[6:]))})
box = turing.play(game)
"""


@pytest.fixture(scope="module")
def server(tiny_sd, tmp_path_factory):
    """(address, folder) of a JupyterLab with the beginnings of lessons and the tiny model.

    It answers only on this machine, and asks for no token.
    """
    home = tmp_path_factory.mktemp("home")
    folder, data, settings = home / "notebooks", home / "data", home / "settings"
    folder.mkdir()
    shutil.copytree(tiny_sd.parent.parent, data)
    _finish(data / "models")
    for path, *_ in SLIDERS:
        lesson = nbformat.read(ROOT / "notebooks" / path, as_version=4)
        first = next(i for i, cell in enumerate(lesson.cells) if "frames_slider(" in cell.source)
        del lesson.cells[first + 1 :]  # nbval runs the rest; here the first slider is enough
        if path.startswith(SHIPPED):
            lesson.cells.insert(0, new_code_cell(OURS))
        for cell in lesson.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(lesson, folder / path)
    private = new_notebook(cells=[new_code_cell(PRIVATE.strip())], metadata=METADATA)
    nbformat.write(private, folder / "private.ipynb")
    turing = new_notebook(cells=[new_code_cell(TURING.strip())], metadata=METADATA)
    nbformat.write(turing, folder / "turing.ipynb")
    # Without this JupyterLab takes cells outside the window off the page.
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))
    port = _free_port()
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "SDKIT_DATA": str(data),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}",
        "--allow-root",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with open(home / "server.log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{port}/api"), "the server did not come up")
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _finish(models):
    """Add what the lessons need beside the tiny Stable Diffusion.

    That is enough steps for strength 0.1, a style classifier and a CLIP.
    """
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    from sdkit.evaluate.judges import StyleClassifier

    path = models / "mini-sd" / "defaults.json"
    defaults = json.loads(path.read_text()) | {"num_inference_steps": 10, "size": 64}
    path.write_text(json.dumps(defaults))
    StyleClassifier(tuple(defaults["styles"]), (8, 16)).save_pretrained(models / "style-classifier")
    tokenizer = CLIPTokenizer.from_pretrained(models / "mini-sd" / "tokenizer")
    tower = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    words = dict(
        vocab_size=len(tokenizer), max_position_embeddings=16, eos_token_id=tokenizer.eos_token_id
    )
    CLIPModel(
        CLIPConfig(
            text_config=tower | words,
            vision_config=tower | dict(image_size=64, patch_size=8),
            projection_dim=8,
        )
    ).save_pretrained(models / "mini-clip")


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _answers(address):
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def _wait(condition, complaint):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, complaint
        time.sleep(0.5)


@pytest.fixture(scope="module")
def heard():
    """(addresses that pages asked for, errors on their consoles).

    Every test adds to these two lists.
    """
    return [], []


@pytest.fixture(scope="module")
def page(heard):
    addresses, errors = heard
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(PATIENCE * 1000)
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()


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

    _wait(saved, f"{name} did not run to its end")
    return nbformat.read(folder / name, as_version=4)


@pytest.mark.parametrize("path, first, second, widths", SLIDERS)
def test_a_lesson_runs_and_the_arrow_key_moves_its_slider(
    page, server, tmp_path, path, first, second, widths
):
    run_all(page, server, path)
    handle = page.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    box = page.locator(".widget-vbox", has=handle).first
    label, image = box.locator(".widget-label").last, box.locator("img")
    source = image.get_attribute("src")
    assert label.inner_text() == first
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([node, old]) => node.textContent != old", arg=[label.element_handle(), first]
    )
    assert label.inner_text() == second
    page.wait_for_function("([node, old]) => node.src != old", arg=[image.element_handle(), source])
    # not stretched to the page
    assert image.evaluate("node => [node.naturalWidth, node.clientWidth]") == widths
    page.screenshot(path=tmp_path / "lesson.png")


def test_private_frames_are_shown_but_not_saved(page, server, tmp_path):
    notebook = run_all(page, server, "private.ipynb")
    image = page.locator(".widget-vbox img")
    image.wait_for()
    assert image.evaluate("node => node.naturalWidth") == 64
    page.screenshot(path=tmp_path / "private.png")
    text = nbformat.writes(notebook)
    assert "image/" not in text and "base64" not in text and "widget-state" not in text


def test_the_turing_test_is_played_by_keyboard_and_hides_the_answers(page, server, tmp_path):
    run_all(page, server, "turing.ipynb")
    box = page.locator(".widget-vbox", has=page.locator("button", has_text="left is real")).first
    line, image, left = (
        box.locator(".widget-html-content").last,
        box.locator("img"),
        box.locator("button").first,
    )
    for number in range(1, 5):
        assert line.inner_text() == f"Pair {number} of 4: which one is real?"
        assert image.evaluate("node => node.naturalWidth") == 3 * (64 + 8 + 64)
        page_text = box.evaluate("node => node.outerHTML")
        assert "GAN" not in page_text and "diffusion" not in page_text
        source = image.get_attribute("src")
        if number == 1:
            left.focus()
        elif number == 2:
            page.keyboard.press("Tab")  # on to the other button, where it stays
        page.keyboard.press("Enter" if number % 2 else "Space")
        page.wait_for_function(
            "([node, old]) => node.textContent != old",
            arg=[line.element_handle(), f"Pair {number} of 4: which one is real?"],
        )
        if number < 4:
            page.wait_for_function(
                "([node, old]) => node.src != old", arg=[image.element_handle(), source]
            )
    assert "The end." in line.inner_text() and "of 2 right" in line.inner_text()
    assert left.is_disabled()
    page.screenshot(path=tmp_path / "turing.png")


def test_no_page_asked_another_machine_or_logged_an_error(page, heard):
    """This holds for all the tests above."""
    addresses, errors = heard
    hosts = {
        urllib.parse.urlsplit(address).hostname
        for address in addresses
        if address.startswith(("http", "ws"))
    }
    assert hosts == {"127.0.0.1"}
    assert errors == []
