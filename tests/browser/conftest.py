"""A JupyterLab and a headless Chromium for each file of tests in the browser.

The tests use an installed Chromium (Debian's package, or Chrome) and download none. If there is
none, they are skipped. The model is the tiny random one of tests/conftest.py, so no test depends on
what the pictures look like. Of a lesson only the cells run that its first slider needs: nbval runs
all cells, with the weights that ship.

The tests are in three files that take about equally long, so that two processes can share them: see
tests/order.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell

import run
from sdkit.files import ROOT

pytest.register_assert_rewrite("tests.browser.lab", "tests.browser.booths")

from tests.browser import lab  # noqa: E402 (its assertions must be rewritten first)
from tests.browser.needed import needed  # noqa: E402

# These lessons ask for more than the tiny model can answer: a picture that follows a word, more
# channels, an upscaler, and the reader of postcards.
SHIPPED = ("06", "07", "10", "16")
# Code cells of a lesson, counted from 0, that a slider needs by more than a name: cell 1 of lesson
# 17 writes the file that the next cell reads.
ALSO = {"17": (1,)}
OURS = f"import os\nos.environ['SDKIT_DATA'] = {str(ROOT / 'data')!r}"


@pytest.fixture(scope="module")
def server(request, tiny_sd, tmp_path_factory):
    """(address, folder) of a JupyterLab with the tiny model.

    In the folder are the lessons in SLIDERS of the file of tests, up to their first slider and
    without the cells that it does not need. The server answers only on this machine, and asks for
    no token.
    """
    home = tmp_path_factory.mktemp("home")
    folder, data, settings = home / "notebooks", home / "data", home / "settings"
    folder.mkdir()
    shutil.copytree(tiny_sd.parent.parent, data)
    _finish(data / "models")
    for path, *_ in request.module.SLIDERS:
        lesson = nbformat.read(ROOT / "notebooks" / path, as_version=4)
        code = [cell for cell in lesson.cells if cell.cell_type == "code"]
        first = next(i for i, cell in enumerate(code) if "frames_slider(" in cell.source)
        places = {*needed([cell.source for cell in code], first), *ALSO.get(path[:2], ())}
        kept = [code[place].id for place in sorted(places)]
        end = lesson.cells.index(code[first]) + 1
        lesson.cells = [
            cell for cell in lesson.cells[:end] if cell.cell_type != "code" or cell.id in kept
        ]
        if path.startswith(SHIPPED):
            lesson.cells.insert(0, new_code_cell(OURS))
        for cell in lesson.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            # the pictures of docs lie outside the folder of this server
            cell.source = re.sub(r"!\[[^\]]*\]\(\.\./docs/images/[^)]*\)", "", cell.source)
        nbformat.write(lesson, folder / path)
    # Without this JupyterLab takes cells outside the window off the page.
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))
    port = lab.free_port()
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
        *run.LAB,  # the options of `run.py lab`; its settings follow below
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}",
        "--allow-root",
    ]
    with open(home / "server.log", "w") as log:
        process = subprocess.Popen(
            command, env=run.with_lab_settings(environment), stdout=log, stderr=log
        )
    try:
        lab.wait(lambda: lab.answers(f"http://127.0.0.1:{port}/api"), "the server did not come up")
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _finish(models):
    """Add what the lessons need beside the tiny Stable Diffusion.

    That is enough steps for strength 0.1, a style classifier, a CLIP, and the reader of postcards
    that ships.
    """
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    from sdkit.evaluate.judges import StyleClassifier

    path = models / "mini-sd" / "defaults.json"
    defaults = json.loads(path.read_text()) | {"num_inference_steps": 10, "size": 64}
    path.write_text(json.dumps(defaults))
    StyleClassifier(tuple(defaults["styles"]), (8, 16)).save_pretrained(models / "style-classifier")
    shutil.copytree(ROOT / "data" / "models" / "postcard-reader", models / "postcard-reader")
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


@pytest.fixture(scope="module")
def heard():
    """(addresses that pages asked for, errors on their consoles).

    Every test adds to these two lists.
    """
    return [], []


@pytest.fixture(scope="module")
def page(heard):
    addresses, errors = heard
    with lab.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=lab.CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
