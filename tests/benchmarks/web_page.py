"""How long the page takes in headless Chromium, beside PyTorch on the same machine.

    python -m tests.benchmarks.web_page [--rounds 2]

The page must be built (python3 run.py web build). It is loaded from this computer into a fresh
browser, so nothing is cached. Each picture is painted in each round, and the last time counts.
PyTorch has as many threads as it takes by itself. Beside the seconds of the clock stand those of
the processor, all threads together, of the page's process. They depend little on what else the
computer does. Linux only.
"""

import argparse
import os
import threading
import time
from io import BytesIO

import torch

from sdkit import generate, models
from sdkit.pictures import photos
from sdkit.web import host
from tests.benchmarks.web_enlarge import largest_child, processor
from tests.browser import lab

SENTENCE, STYLE, PHOTO = "a red house by the sea at dawn", "van gogh", "astronaut"
PATIENCE = 600_000  # ms
SIZE = 256  # px, of the photograph on the page


def on_the_page(rounds):
    """{what: (seconds, seconds of the processor)} of the page."""
    times = {}
    with host.server() as opened, lab.sync_playwright() as playwright:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        began = time.perf_counter()
        page.goto(f"http://127.0.0.1:{opened.server_port}/")
        page.wait_for_selector("#draw .start:enabled")
        seconds, pid = time.perf_counter() - began, largest_child(os.getpid())
        times["first load"] = seconds, processor(pid)
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
            for _ in range(rounds):
                used, began = processor(pid), time.perf_counter()
                page.click(f"{part} .start")
                page.wait_for_selector(f"{part} .stop:visible")
                page.wait_for_selector(f"{part} .start:enabled")
                page.wait_for_selector(f"{done}:visible")
                times[what] = time.perf_counter() - began, processor(pid) - used
        browser.close()
        opened.shutdown()
    return times


def in_pytorch(rounds):
    """{what: (seconds, seconds of the processor)} of PyTorch for the same pictures.

    PyTorch makes no previews.
    """
    model, times = models.resolve("mini-sd"), {}
    text, image = (model.pipeline(task, "cpu", torch.float32) for task in ("text2img", "img2img"))
    drawing, again = model.settings(SENTENCE, "draw"), model.settings(SENTENCE, "redraw")
    photo, styling = photos.sample(PHOTO), model.settings(STYLE, size=SIZE)
    tasks = {
        "sentence": lambda: generate.redraw(image, generate.draw(text, drawing), again),
        "photograph": lambda: generate.style(image, [photo], styling),
    }
    for _ in range(rounds):
        for what, paint in tasks.items():
            used, began = time.process_time(), time.perf_counter()
            paint()
            times[what] = time.perf_counter() - began, time.process_time() - used
    return times


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    page, torch_times = on_the_page(arguments.rounds), in_pytorch(arguments.rounds)
    print("| | page, s | of the processor | PyTorch, s | of the processor |\n|---|---|---|---|---|")
    for what, figures in page.items():
        row = [f"{figure:.1f}" for figure in (*figures, *torch_times.get(what, ()))]
        print(f"| {what} | {' | '.join(row + [''] * (4 - len(row)))} |")
