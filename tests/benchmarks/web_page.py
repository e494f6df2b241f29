"""How long the page takes in headless Chromium, beside PyTorch on the same machine.

    python tests/benchmarks/web_page.py

The page must be built (python3 run.py web build). It is loaded from this computer into a fresh
browser, so nothing is cached. Each picture is painted twice, and the second time counts. PyTorch
has as many threads as it takes by itself.
"""

import argparse
import threading
import time
from io import BytesIO

import torch

from sdkit import generate, models
from sdkit.pictures import photos
from sdkit.web import host
from tests.browser import lab

SENTENCE, STYLE, PHOTO = "a red house by the sea at dawn", "van gogh", "astronaut"
PATIENCE = 600_000  # ms
SIZE = 256  # px, of the photograph on the page


def on_the_page():
    """{what: seconds} of the page."""
    times = {}
    with host.server() as opened, lab.sync_playwright() as playwright:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        began = time.perf_counter()
        page.goto(f"http://127.0.0.1:{opened.server_port}/")
        page.wait_for_selector("#draw .start:enabled")
        times["first load"] = time.perf_counter() - began
        file = BytesIO()
        photos.sample(PHOTO).save(file, "PNG")
        page.set_input_files(
            "#file", {"name": "photo.png", "mimeType": "image/png", "buffer": file.getvalue()}
        )
        page.fill("#sentence", SENTENCE)
        for what, part, done in (
            ("sentence", "#draw", "#drawn a"),
            ("photograph", "#paint", "#paint .saving a"),
        ):
            for _ in range(2):
                began = time.perf_counter()
                page.click(f"{part} .start")
                page.wait_for_selector(f"{part} .stop:visible")
                page.wait_for_selector(f"{part} .start:enabled")
                page.wait_for_selector(f"{done}:visible")
                times[what] = time.perf_counter() - began
        browser.close()
        opened.shutdown()
    return times


def in_pytorch():
    """{what: seconds} of PyTorch, for the same pictures, without previews."""
    model, times = models.resolve("mini-sd"), {}
    text, image = (model.pipeline(task, "cpu", torch.float32) for task in ("text2img", "img2img"))
    drawing, again = model.settings(SENTENCE, "draw"), model.settings(SENTENCE, "redraw")
    photo, styling = photos.sample(PHOTO), model.settings(STYLE, size=SIZE)
    for _ in range(2):
        began = time.perf_counter()
        generate.redraw(image, generate.draw(text, drawing), again)
        times["sentence"] = time.perf_counter() - began
        began = time.perf_counter()
        generate.style(image, [photo], styling)
        times["photograph"] = time.perf_counter() - began
    return times


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    page, torch_times = on_the_page(), in_pytorch()
    print("| seconds | the page | PyTorch |\n|---|---|---|")
    for what, seconds in page.items():
        beside = f"{torch_times[what]:.1f}" if what in torch_times else ""
        print(f"| {what} | {seconds:.1f} | {beside} |")
