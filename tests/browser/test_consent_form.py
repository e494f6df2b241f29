"""The consent form fits on one page in each language, and both languages ask the same."""

import re

import pytest

from tests.browser import lab
from tests.browser.make_consent_forms import FORM, LANGUAGES, made_of, pdf_of

needs_browser = pytest.mark.skipif(
    lab.CHROMIUM is None or lab.sync_playwright is None, reason="no Chromium or no playwright here"
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_is_one_page_printed_from_the_form_as_it_is(language):
    pdf = pdf_of(language).read_bytes()
    assert pdf.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    # otherwise run tests/browser/make_consent_forms.py
    assert pdf.endswith(made_of(FORM.read_bytes()))


def test_an_empty_box_always_means_no():
    """As docs/consent.md says; so no sentence may say what happens without a tick."""
    boxes = re.findall(r"<li>.*?</li>", FORM.read_text(encoding="utf-8"), re.DOTALL)
    assert len(boxes) == 16
    assert not [box for box in boxes if re.search(r"no tick|kein Kreuz", box)]


@needs_browser
def test_the_form_prints_one_page_in_each_language_and_loads_nothing_else():
    with lab.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.set_default_timeout(600_000)
        loaded = []
        tab.on("request", lambda request: loaded.append(request.url))
        tab.goto(FORM.as_uri())
        pdf = tab.pdf(prefer_css_page_size=True)
        pages = tab.locator("section")
        counts = [
            [pages.nth(k).locator(what).count() for what in ("h2", "li", ".line", ".inline")]
            for k in range(pages.count())
        ]
        languages = [pages.nth(k).get_attribute("lang") for k in range(pages.count())]
        tab.emulate_media(media="print")
        assert not tab.locator(".hint").is_visible()
        browser.close()
    assert loaded == [FORM.as_uri()]
    assert languages == ["en", "de"] and counts[0] == counts[1] and min(counts[0]) > 0
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 2
    (size,) = set(re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf))
    assert [round(float(side) / 72 * 25.4) for side in size] == [210, 297]  # A4 in mm
