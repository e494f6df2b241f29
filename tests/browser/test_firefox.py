"""One visit to the booth in the Firefox that is installed here."""

import re
import shutil
from io import BytesIO

import pytest
from PIL import Image

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
