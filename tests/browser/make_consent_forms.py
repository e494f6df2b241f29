"""Print docs/consent-form.html into one PDF for each language.

From the root of the repository: PYTHONPATH=. python tests/browser/make_consent_forms.py
"""

import hashlib

from sdkit.files import ROOT
from tests.browser import lab

FORM = ROOT / "docs" / "consent-form.html"
LANGUAGES = ("en", "de")  # of the pages


def pdf_of(language):
    """The path of the PDF in a language."""
    return FORM.with_name(f"consent-form-{language}.pdf")


def made_of(text):
    """A line at the end of a PDF that says from which text of the form it was printed."""
    return f"% printed from {FORM.name}, SHA-256 {hashlib.sha256(text).hexdigest()}\n".encode()


def main():
    text = FORM.read_bytes()
    with lab.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(FORM.as_uri())
        for number, language in enumerate(LANGUAGES, 1):
            printed = tab.pdf(prefer_css_page_size=True, page_ranges=str(number))
            pdf_of(language).write_bytes(printed.rstrip(b"\n") + b"\n" + made_of(text))
        browser.close()


if __name__ == "__main__":
    main()
