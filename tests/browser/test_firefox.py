"""The booth, and the page that computes in the browser, in the Firefox that is installed here."""

import re
import shutil
import threading
from io import BytesIO

import pytest
from PIL import Image

from sdkit.web import host
from tests.browser import lab
from tests.browser.booths import HEIC, opened
from tests.browser.firefox import Page

FIREFOX = shutil.which("firefox")
pytestmark = pytest.mark.skipif(
    FIREFOX is None, reason="no Firefox on this machine (Debian: apt install firefox-esr)"
)


def test_a_visit_in_firefox(tiny_sd, tmp_path):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    with opened(tiny_sd.parent.parent) as booth, Page(FIREFOX) as page:
        page.open(booth.address)
        page.wait("document.querySelector('.booth.ready')")
        page.click("[data-do=camera]")
        page.wait("document.querySelector('video').videoWidth > 0")
        page.click("[data-do=shoot]", "Take it in 3 seconds")
        page.wait("document.querySelector('.frame[data-view=photo]')")
        assert page.ask("document.querySelector('video').srcObject === null")
        assert page.ask("document.querySelector('.photo img').naturalWidth") > 100
        page.choose(".upload input", [broken, HEIC])
        page.wait("document.querySelectorAll('.photos button').length == 2")
        page.wait("document.querySelector('.alerts').innerText.includes('holiday.jpg')")
        page.click(".chip", "The Great Wave")
        page.click("button:enabled", "Paint me")
        page.wait("document.querySelector('.frame[data-view=compare]')")
        slider = "document.querySelector('.compare input')"
        page.ask(f"{slider}.focus()")
        page.press("ArrowRight")
        assert page.ask(f"{slider}.getAttribute('aria-valuetext')") == "51 % photograph"
        name, data = page.download("Download")
        with Image.open(BytesIO(data)) as image:
            assert image.text["Prompt"] == "the great wave by hokusai"
        name, pdf = page.download("Sheet to print")
        assert name.endswith(".pdf") and len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
        page.click("button:enabled", "All styles")
        page.wait("document.querySelector('.frame[data-view=sheet]')")
        assert page.ask("document.querySelectorAll('.gallery .thumb').length") == 6
        page.click("button", "Forget me")
        page.wait("document.querySelector('.frame[data-view=empty]')")
        assert page.ask("document.querySelectorAll('.gallery .thumb, .photos button').length") == 0
        page.click(".samples button", "Cat")  # the next visitor
        page.wait("document.querySelector('.frame[data-view=photo]')")
    lab.only_this_machine_and_no_error((page.addresses, page.errors))


@pytest.mark.skipif(
    not (host.DIST / "model" / "model.json").is_file(),
    reason="the page is not built (python3 run.py web build)",
)
def test_the_page_that_computes_in_the_browser_works_in_firefox():
    with host.server() as opened, Page(FIREFOX) as page:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        try:
            _draw_and_paint(page, f"http://127.0.0.1:{opened.server_port}/")
        finally:
            opened.shutdown()
            thread.join()
    lab.only_this_machine_and_no_error((page.addresses, page.errors))


def _draw_and_paint(page, address):
    page.open(address)
    page.wait("document.querySelector('#draw .start:enabled')")
    assert page.ask("crossOriginIsolated")  # so WASM may use threads
    page.ask("(steps => { steps.value = 5; steps.oninput() })(document.querySelector('#steps'))")
    page.click("#draw .start")
    page.wait("document.querySelector('#drawn figure a')")
    _, data = page.download("Download", "#drawn figure a")
    with Image.open(BytesIO(data)) as image:
        assert image.size == (128, 128) and image.text["Seed"] == "0"
        assert len(set(image.convert("L").resize((8, 8)).tobytes())) > 8  # no plain colour
    page.click("#camera")
    page.wait("document.querySelector('#video').videoWidth > 0")
    page.click("#close-camera")
    assert page.ask("document.querySelector('#video').srcObject === null")
    page.click("#camera")
    page.wait("document.querySelector('#video').videoWidth > 0")
    page.click("#snap")
    page.wait("document.querySelector('#paint .start:enabled')")
    page.click("#paint .start")
    page.wait("document.querySelector('#paint .saving:not([hidden]) a')")
    _, data = page.download("Download", "#paint .saving a")
    with Image.open(BytesIO(data)) as image:
        assert min(image.size) == 256 and image.text["Prompt"] == "van gogh"
