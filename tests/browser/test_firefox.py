"""One visit to the booth in Firefox, where Playwright's Firefox is installed.

Playwright needs a Firefox of its own: python -m playwright install firefox. The tests download
none, so without it they are skipped.
"""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import lab
from tests.browser.booths import HEIC, download, opened, paint, shows, take_sample

pytestmark = lab.NEEDS_PLAYWRIGHT
CAMERA = {"media.navigator.streams.fake": True, "media.navigator.permission.disabled": True}


@pytest.fixture
def firefox():
    with lab.sync_playwright() as playwright:
        if not Path(playwright.firefox.executable_path).is_file():
            pytest.skip("no Firefox of Playwright (python -m playwright install firefox)")
        browser = playwright.firefox.launch(firefox_user_prefs=CAMERA)
        yield browser
        browser.close()


def test_a_visit_in_firefox(firefox, tiny_sd, tmp_path):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    heard = [], []
    with opened(tiny_sd.parent.parent) as booth:
        page = firefox.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.on("request", lambda request: heard[0].append(request.url))
        page.on("pageerror", lambda error: heard[1].append(str(error)))
        page.goto(booth.address)
        page.wait_for_selector(".booth.ready")
        page.get_by_role("button", name="Camera").click()
        shows(page, "camera")
        page.get_by_role("button", name="Take it in 3 seconds").click()
        shows(page, "photo")
        page.locator(".upload input").set_input_files([broken, HEIC])
        page.wait_for_function("document.querySelectorAll('.photos button').length == 2")
        assert "holiday.jpg" in page.locator(".alerts").inner_text()
        page.get_by_label("The Great Wave").check()
        paint(page)
        slider = page.get_by_role("slider", name="Slide between photograph and painting")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == "51 % photograph"
        name, data = download(page, "Download")
        with Image.open(BytesIO(data)) as image:
            assert image.text["Prompt"] == "the great wave by hokusai"
        name, pdf = download(page, "Sheet to print")
        assert name.endswith(".pdf") and len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
        paint(page, "All styles")
        assert page.locator(".gallery .thumb").count() == 6
        page.screenshot(path=tmp_path / "firefox.png")
        page.get_by_role("button", name="Forget me").click()
        shows(page, "empty")
        assert page.locator(".gallery").is_hidden()
        take_sample(page, "Cat")
    lab.only_this_machine_and_no_error(heard)
