"""The website in a browser: no barrier, no request to another machine, search, light and dark."""

import pytest

from sdkit.files import ROOT
from tests.browser import lab
from tests.site.test_build import site  # noqa: F401 (a fixture)

pytestmark = lab.NEEDS

SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desk": (1440, 900)}
FEW = [
    "index.html",
    "notebooks/05_vae_latents.html",
    "gallery.html",
    "docs/consent-form.html",
    "docs/exit-tickets.html",
]


@pytest.fixture(scope="module")
def browser():
    with lab.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=lab.CHROMIUM, args=["--no-sandbox", "--allow-file-access-from-files"]
        )
        yield opened
        opened.close()


def barriers(tab):
    """What axe finds serious or critical on the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab).response["violations"]
    return [
        (fault["id"], fault["nodes"][0]["html"][:200])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def visit(browser, folder, addresses, scheme, size):
    """Opens pages and gives what is wrong with each: barriers, scrolling sideways, requests.

    What is folded is opened first, because axe looks only at what can be seen.
    """
    tab = browser.new_page(
        viewport={"width": SIZES[size][0], "height": SIZES[size][1]}, color_scheme=scheme
    )
    tab.set_default_timeout(lab.PATIENCE * 1000)
    asked, wrong = [], {}
    tab.on("request", lambda request: asked.append(request.url))
    for address in addresses:
        tab.goto((folder / address).as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        found = barriers(tab)
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append("scrolls sideways")
        if found:
            wrong[address] = found
    tab.close()
    others = [url for url in asked if not url.startswith((folder.as_uri(), "data:"))]
    return wrong, others


@pytest.mark.parametrize(("scheme", "size"), [("light", "desk"), ("dark", "phone")])
def test_pages_have_no_serious_barrier_and_ask_no_other_machine(browser, site, scheme, size):  # noqa: F811
    assert visit(browser, site.out, FEW, scheme, size) == ({}, [])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_page_at_all_has_a_serious_barrier(browser, site, scheme, size):  # noqa: F811
    """Every HTML file of the site: its pages, and the sheets to print."""
    addresses = sorted(path.relative_to(site.out).as_posix() for path in site.out.rglob("*.html"))
    assert len(addresses) > len(site.pages) > len(list(ROOT.glob("notebooks/**/*.ipynb")))
    assert visit(browser, site.out, addresses, scheme, size) == ({}, [])


@pytest.mark.parametrize("width", [390, 700, 1000, 1440])
def test_the_heading_that_a_link_leads_to_is_not_under_the_header(browser, site, width):  # noqa: F811
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.set_default_timeout(lab.PATIENCE * 1000)
    tab.goto((site.out / "docs/glossary.html").as_uri() + "#ssim")
    heading = tab.locator("#ssim")
    heading.wait_for()
    # what lies on top at the heading's first letter
    on_top = (
        "(e) => { const b = e.getBoundingClientRect(); return b.top >= 0 && b.bottom < innerHeight"
    )
    on_top += " && e.contains(document.elementFromPoint(b.left + 5, b.top + 5)); }"
    assert heading.evaluate(on_top)
    tab.close()


def test_the_search_leads_to_a_section_and_the_button_changes_the_colours(browser, site):  # noqa: F811
    tab = browser.new_page(color_scheme="light")
    tab.set_default_timeout(lab.PATIENCE * 1000)
    tab.goto((site.out / "notebooks/05_vae_latents.html").as_uri())
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.get_by_role("button", name="Dark").click()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert tab.get_by_role("button", name="Light").is_visible()
    tab.get_by_label("Search").fill("ssim")
    link = tab.get_by_role("status").get_by_role("link", name="Glossary: SSIM")
    link.click()
    tab.wait_for_url("**/docs/glossary.html#ssim")
    tab.get_by_label("Search").fill("xylophonist")
    tab.get_by_text("Nothing was found.").wait_for()
    tab.close()
