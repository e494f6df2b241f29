"""The teacher's pack in a browser: slides fit and turn, pages have no barrier, handouts print."""

import re

import pytest

from tests.browser import lab
from tests.browser.test_site import barriers, browser  # noqa: F401 (a fixture)
from tests.pack.test_build import LESSONS, pack  # noqa: F401 (a fixture)

pytestmark = lab.NEEDS

FEW = [path for path in LESSONS if path.name[:2] in ("00", "04", "14")]
PAGES = [  # one of each kind
    "index.html",
    "students/index.html",
    "students/glossary.html",
    "students/handouts/04_samplers.html",
    "teachers/04_samplers.html",
    "teachers/course-plan.html",
    "teachers/exit-ticket-answers.html",
]
# How far the words of a slide reach, in pixels of a slide of 1280 x 720; notes do not count
REACH = """() => {
  const slide = Reveal.getCurrentSlide();
  const parts = [...slide.querySelectorAll(':scope > :not(aside)')];
  return [slide.scrollWidth, Math.max(...parts.map(part => part.offsetTop + part.offsetHeight))];
}"""


def opened(browser, path, asked):  # noqa: F811
    tab = browser.new_page(viewport={"width": 1280, "height": 720})
    tab.set_default_timeout(lab.PATIENCE * 1000)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    return tab


def faults_of_slides(browser, path):  # noqa: F811
    """What does not fit on the slides of a lesson, and what else than the page was asked for."""
    asked = []
    tab = opened(browser, path, asked)
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    count = tab.evaluate("Reveal.getTotalSlides()")
    assert count > 15
    found = []
    for number in range(count):
        tab.evaluate(f"Reveal.slide({number})")
        width, height = tab.evaluate(REACH)
        if width > 1280 or height > 720:
            found.append(f"slide {number + 1} reaches {width} x {height}")
    broken = tab.evaluate("[...document.images].filter(i => !i.naturalWidth).length")
    tab.close()
    return found + [url for url in asked if not url.startswith((path.as_uri(), "data:"))], broken


@pytest.mark.parametrize("path", FEW, ids=lambda path: path.stem)
def test_everything_fits_on_the_slides_and_nothing_else_is_loaded(browser, pack, path):  # noqa: F811
    assert faults_of_slides(browser, pack / "slides" / f"{path.stem}.html") == ([], 0)


@pytest.mark.slow
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_everything_fits_on_the_slides_of_all_lessons(browser, pack, path):  # noqa: F811
    assert faults_of_slides(browser, pack / "slides" / f"{path.stem}.html") == ([], 0)


def test_words_that_do_not_fit_are_found(browser, pack, tmp_path):  # noqa: F811
    deck = (pack / "slides" / "04_samplers.html").read_text(encoding="utf-8")
    wrong = tmp_path / "deck.html"
    wrong.write_text(deck.replace('<p class="value">11', '<p class="value">' + "11<br>" * 9))
    (found,) = faults_of_slides(browser, wrong)[0]
    assert "reaches" in found


def test_keys_turn_the_slides_and_show_the_notes(browser, pack):  # noqa: F811
    tab = opened(browser, pack / "slides" / "04_samplers.html", [])
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    tab.keyboard.press("ArrowRight")
    tab.get_by_role("heading", name="The question").wait_for()
    notes = tab.locator("body > .reveal .speaker-notes, .reveal > .speaker-notes")
    tab.keyboard.press("ArrowRight")
    assert not notes.is_visible()
    tab.keyboard.press("t")
    notes.get_by_text("Which part of painting a picture").wait_for()
    heading = tab.get_by_role("heading", name="1 · What takes the time")
    assert heading.bounding_box()["x"] >= 0  # the slide makes room
    assert heading.bounding_box()["width"] < notes.bounding_box()["x"] <= 1280 * 3 / 4 + 1
    tab.keyboard.press("t")
    notes.wait_for(state="hidden")
    tab.close()


@pytest.mark.parametrize("address", PAGES)
def test_a_page_has_no_serious_barrier_and_fits_a_phone(browser, pack, address):  # noqa: F811
    asked = []
    tab = opened(browser, pack / address, asked)
    assert barriers(tab) == []
    tab.set_viewport_size({"width": 390, "height": 844})
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    tab.close()
    assert [url for url in asked if not url.startswith((pack.as_uri(), "data:"))] == []


@pytest.mark.parametrize("path", FEW, ids=lambda path: path.stem)
def test_a_handout_takes_at_most_four_sides_of_paper(browser, pack, path):  # noqa: F811
    tab = opened(browser, pack / "students" / "handouts" / f"{path.stem}.html", [])
    for paper in ("A4", "Letter"):
        sides = len(re.findall(rb"/Type\s*/Page\b", tab.pdf(format=paper)))
        assert 1 <= sides <= 4
    tab.close()
