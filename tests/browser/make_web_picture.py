"""Take the README's picture of the page: docs/images/web.png.

From the root of the repository: PYTHONPATH=. python tests/browser/make_web_picture.py

The page must be built from the weights that ship (python3 run.py web build).
"""

import io
import threading

from PIL import Image

from sdkit.files import ROOT
from sdkit.web import host
from tests.browser import lab

PICTURE = ROOT / "docs" / "images" / "web.png"
SENTENCE, WORD, STEP = "a red house by the sea at dawn", "house", 18
CAPTION = '"Look inside" at step {step} of {steps} for "{sentence}", seed 0.'
PATIENCE = 900_000  # ms, for a slow machine


def take(page):
    """A part of the page's window as a picture, and the number of steps of the drawing."""
    page.fill("#sentence", SENTENCE)
    page.click("#look .start")
    page.wait_for_selector("#level:enabled")
    steps = int(page.get_attribute("#which", "max"))
    page.eval_on_selector("#which", f"s => {{ s.value = {STEP}; s.oninput() }}")
    page.locator("#tokens label", has_text=WORD).click()
    page.evaluate("scrollTo(0, 0)")  # the boxes below count from the top of what is in view
    page.wait_for_timeout(1000)  # until the last frame is painted
    parts = [page.locator("#look .at"), *page.locator("#machine li").all()]
    boxes = [part.bounding_box() for part in parts]
    row = [box for box in boxes[1:] if box["y"] == boxes[1]["y"]]
    left, top = boxes[0]["x"], boxes[0]["y"]
    right, bottom = (
        max(box[side] + box[length] for box in row)
        for side, length in (("x", "width"), ("y", "height"))
    )
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return Image.open(io.BytesIO(page.screenshot(clip=clip, full_page=True))), steps


def main():
    with host.server() as opened, lab.sync_playwright() as playwright:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 1280, "height": 900}, locale="en-GB", color_scheme="light"
        )
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{opened.server_port}/?compute=processor")
        page.wait_for_selector("#draw .start:enabled")
        picture, steps = take(page)
        browser.close()
        opened.shutdown()
    picture.convert("RGB").quantize(256).save(PICTURE, optimize=True)
    caption = CAPTION.format(step=STEP, steps=steps, sentence=SENTENCE)
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    print(PICTURE, picture.size)
    if caption not in readme:
        print(f"The README must say: {caption}")


if __name__ == "__main__":
    main()
