"""The page of the folder web, in Chromium with a fake camera: it paints, and asks no other host."""

import json
import shutil
import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sdkit.files import ROOT
from sdkit.pictures import layers, photos
from sdkit.web import host
from tests.browser import lab

pytestmark = [
    *lab.NEEDS,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
    pytest.mark.skipif(
        not (host.DIST / "model" / "model.json").is_file(),
        reason="the page is not built (python3 run.py web build)",
    ),
]
PATIENCE = 300_000  # ms, for a slow machine


@pytest.fixture(scope="module")
def address():
    with host.server() as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{opened.server_port}/"
        opened.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    with lab.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--use-fake-device-for-media-stream"]
        arguments.append("--use-fake-ui-for-media-stream")
        opened = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser, address, request):
    """The loaded page. Afterwards: no error on its console, and no request to another host."""
    asked, errors = [], []
    page = browser.new_page(**getattr(request, "param", {}))
    page.set_default_timeout(PATIENCE)
    page.context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#draw .start:enabled")
    yield page
    page.close()
    assert errors == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def pixels(tab, selector):
    """The canvas as a picture."""
    data = tab.eval_on_selector(
        selector,
        "c => [c.width, c.height, "
        "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]",
    )
    return Image.frombytes("RGBA", data[:2], bytes(data[2])).convert("RGB")


def choose_photo(tab):
    file = BytesIO()
    photos.sample("astronaut").save(file, "PNG")
    upload = {"name": "astronaut.png", "mimeType": "image/png", "buffer": file.getvalue()}
    tab.set_input_files("#file", upload)
    tab.wait_for_selector("#paint .start:enabled")


def test_a_photo_is_painted_and_downloaded_with_its_note(tab, tmp_path):
    choose_photo(tab)
    before = pixels(tab, "#paint .before")
    assert before.size == (256, 256)
    tab.click("#paint .start")
    tab.wait_for_selector("#paint .saving a:visible")
    after = pixels(tab, "#paint .after")
    assert after.size == before.size and after != before
    with tab.expect_download() as waiting:
        tab.click("#paint .saving a")
    waiting.value.save_as(tmp_path / "painted.png")
    found = layers.read(tmp_path / "painted.png", None)
    assert "Made with AI: a photograph restyled" in found.text
    assert found.xmp
    assert Image.open(tmp_path / "painted.png").text["Seed"] == "0"


def test_another_seed_paints_another_picture(tab, tmp_path):
    choose_photo(tab)
    pictures = {}
    for seed in ("7", "8"):
        tab.fill("#photo-seed", seed)
        tab.click("#paint .start")
        tab.wait_for_selector("#paint .stop", state="visible")
        tab.wait_for_selector("#paint .saving a:visible")
        pictures[seed] = pixels(tab, "#paint .after")
        with tab.expect_download() as waiting:
            tab.click("#paint .saving a")
        waiting.value.save_as(tmp_path / f"{seed}.png")
        assert Image.open(tmp_path / f"{seed}.png").text["Seed"] == seed
    assert pictures["7"] != pictures["8"]


def test_the_camera_gives_a_photo(tab):
    tab.click("#camera")
    tab.wait_for_selector("#snap:visible")
    tab.click("#snap")
    tab.wait_for_selector("#paint .start:enabled")
    assert min(pixels(tab, "#paint .before").size) == 256
    assert tab.is_hidden("#viewfinder")


LIVE = "document.querySelector('#video').srcObject?.getTracks().some(t => t.readyState == 'live')"


def test_the_camera_can_be_closed_and_a_file_closes_it(tab):
    for close in (lambda: tab.click("#close-camera"), lambda: choose_photo(tab)):
        tab.click("#camera")
        tab.wait_for_selector("#snap:visible")
        assert tab.evaluate(LIVE)
        track = tab.evaluate_handle("document.querySelector('#video').srcObject.getTracks()[0]")
        close()
        assert tab.is_hidden("#viewfinder") and not tab.evaluate(LIVE)
        assert track.evaluate("track => track.readyState") == "ended"


def test_no_other_photo_is_taken_while_one_is_painted(tab):
    choose_photo(tab)
    tab.click("#paint .start")
    tab.wait_for_selector("#paint .stop:visible")
    assert tab.is_disabled("#file") and tab.is_disabled("#camera")
    assert tab.inner_text("#paint .says").startswith(("The model begins", "Step"))
    tab.click("#paint .stop")
    tab.wait_for_selector("#paint .start:enabled")
    assert tab.is_enabled("#file") and tab.is_enabled("#camera")


@pytest.mark.parametrize("refused", [False, True])
def test_a_photo_is_turned_as_its_file_says(tab, refused):
    """Also by the other way of reading it, for browsers that refuse an option of the first."""
    if refused:
        rejects = "() => Promise.reject(new TypeError('option'))"
        tab.evaluate(f"() => {{ window.createImageBitmap = {rejects} }}")
    image = Image.new("RGB", (320, 160), "blue")
    image.paste("red", (0, 0, 160, 160))  # on the left; above, when it is turned to the right
    exif, file = Image.Exif(), BytesIO()
    exif[274] = 6
    image.save(file, "JPEG", exif=exif, quality=95)
    upload = {"name": "turned.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    tab.set_input_files("#file", upload)
    tab.wait_for_selector("#paint .start:enabled")
    seen = pixels(tab, "#paint .before")
    assert seen.size == (256, 512)
    assert seen.getpixel((128, 30))[0] > 200 and seen.getpixel((128, 480))[2] > 200


def test_two_sentences_are_drawn_side_by_side_with_one_seed(tab):
    assert tab.input_value("#sentence") == "a red house by the sea at dawn"
    tab.check("input[name=colour][value=blue]")
    tab.check("input[name=place][value=left]")
    assert tab.input_value("#sentence") == "a blue house on the left by the sea at dawn"
    tab.check("#two")
    tab.fill("#second", "a dog by the sea")
    tab.eval_on_selector("#steps", "s => { s.value = 5; s.oninput() }")
    tab.click("#draw .start")
    tab.wait_for_selector("#drawn figure:nth-child(2) a")
    pictures = [pixels(tab, f"#drawn figure:nth-child({k}) canvas") for k in (1, 2)]
    assert [picture.size for picture in pictures] == [(128, 128)] * 2
    assert pictures[0] != pictures[1]
    assert "dog" in tab.inner_text("#draw .says")


def look_inside(tab):
    """Draw in five steps with the numbers shown; the redrawing at twice the size has more steps."""
    tab.eval_on_selector("#steps", "s => { s.value = 5; s.oninput() }")
    tab.click("#look .start")
    tab.wait_for_selector("#level:enabled")
    return int(tab.get_attribute("#which", "max"))


def test_the_numbers_of_every_step_can_be_seen(tab):
    settings = json.loads((host.DIST / "model" / "model.json").read_text("utf-8"))
    again = settings["defaults"]["redraw"]
    steps = look_inside(tab)
    assert steps == 5 + int(again["num_inference_steps"] * again["strength"])
    chips = tab.locator("#tokens label").all_inner_texts()
    words = [chip.split(" (")[0].strip() for chip in chips]
    assert words == ["START", *"a red house by the sea at dawn".split(), "END"]
    assert 0 < sum(int(chip.split(": ")[1].rstrip("%")) for chip in chips) <= 105  # rounded
    # the slider at the end, with the keyboard alone: the picture is the one that was drawn
    assert tab.inner_text("#which ~ output") == f"{steps} of {steps}"
    last = {name: pixels(tab, f"#machine .{name}") for name in ("believed", "latents", "noise")}
    assert last["believed"].size == (again["size"],) * 2
    tab.focus("#which")
    tab.keyboard.press("Home")
    assert f"1 of {steps}" in tab.inner_text("#which ~ output")
    for name, picture in last.items():
        assert pixels(tab, f"#machine .{name}") != picture
    # another word has another map
    maps = [pixels(tab, "#machine .attention")]
    tab.focus("#tokens :checked")
    tab.keyboard.press("ArrowRight")
    maps.append(pixels(tab, "#machine .attention"))
    assert maps[0] != maps[1]


def test_a_reader_chooses_the_noise_level(tab):
    """With hardly any noise the model believes in the finished picture; in thick noise it errs."""
    look_inside(tab)
    finished = np.asarray(pixels(tab, "#machine .believed"), float)
    errors = {}
    for key in ("Home", "End"):
        tab.focus("#level")
        tab.keyboard.press(key)
        t = tab.input_value("#level")
        tab.locator("#look .at").filter(has_text=f"noise level: t = {t},").wait_for()
        errors[t] = np.abs(np.asarray(pixels(tab, "#machine .believed"), float) - finished).mean()
    assert list(errors) == ["0", "999"]
    assert errors["0"] < 5 < errors["999"]  # of 255


def test_the_decoder_works_patch_by_patch(tab):
    steps = look_inside(tab)
    before, believed = (
        np.asarray(pixels(tab, f"#machine .{name}"), float) for name in ("patches", "believed")
    )
    assert np.abs(before - believed).mean() > 10  # a channel of the latents
    tab.focus("#decode")
    tab.keyboard.press("Enter")
    tab.locator("#decoded").filter(has_text="16 of 16").wait_for()
    after = believed
    for _ in range(100):  # the whole picture comes after the last patch
        after = np.asarray(pixels(tab, "#machine .patches"), float)
        if np.abs(after - believed).mean() < 4:
            break
        tab.wait_for_timeout(100)
    assert 0 < np.abs(after - believed).mean() < 4  # of 255
    tab.focus("#which")
    tab.keyboard.press("Home")
    assert tab.inner_text("#decoded") == "" and steps > 1


FALLBACK = "The graphics chip cannot be used here, so the processor computes."


@pytest.mark.parametrize("broken", ["page", "worker"])
def test_without_a_graphics_chip_that_works_the_processor_computes(browser, address, broken):
    """WebGPU is there but fails, in the page or only in its worker: a sentence says so."""
    none = "{requestAdapter: () => Promise.reject(new Error('lost'))}"
    some = "{requestAdapter: () => Promise.resolve({info: {}})}"
    fake = "Object.defineProperty(navigator, 'gpu', {value: %s, configurable: true});"
    page = browser.new_page(locale="en-GB")
    page.set_default_timeout(PATIENCE)
    page.add_init_script(fake % (none if broken == "page" else some))

    def with_fake(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text() + fake % none)

    page.route("**/assets/worker-*.js", with_fake)
    page.goto(address)
    page.wait_for_selector("#draw .start:enabled")
    assert page.inner_text("#loading") == f"The model is ready. {FALLBACK}"
    if broken == "worker":
        page.eval_on_selector("#steps", "s => { s.value = 5; s.oninput() }")
        page.click("#draw .start")
        page.wait_for_selector("#drawn figure a")
    page.select_option("#language", "de")
    assert "Deshalb rechnet der Prozessor" in page.inner_text("#loading")
    page.close()


def test_a_drawn_picture_becomes_four_times_larger(tab):
    tab.eval_on_selector("#steps", "s => { s.value = 5; s.oninput() }")
    tab.click("#draw .start")
    tab.click("#drawn button")
    tab.locator("#drawn button").wait_for(state="detached")
    small, large = (128, 128), pixels(tab, "#drawn canvas")
    assert large.size == (4 * small[0], 4 * small[1])
    assert "Done in" in tab.inner_text("#draw .says")


def test_a_drawing_can_be_stopped(tab):
    tab.click("#draw .start")
    tab.locator("#draw .says").filter(has_text="Step 1 of").wait_for()
    tab.click("#draw .stop")
    tab.wait_for_selector("#draw .start:enabled")
    assert tab.inner_text("#draw .says") == "Stopped."
    assert tab.locator("#drawn a").count() == 0


def test_what_is_no_picture_is_refused_with_a_sentence(tab):
    upload = {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}
    # the error on the console is ours, so this test takes it away
    tab.evaluate("console.error = () => {}")
    tab.set_input_files("#file", upload)
    tab.locator("#paint .says").filter(has_text="no picture").wait_for()
    assert tab.is_disabled("#paint .start")


@pytest.mark.parametrize(
    "tab",
    [
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "de-DE"},
        {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "locale": "en-GB"},
    ],
    indirect=True,
)
def test_the_page_has_no_barrier_in_either_language(tab):
    from axe_playwright_python.sync_playwright import Axe

    language = tab.evaluate("navigator.language")[:2]
    words = {"de": "Einen Satz zeichnen", "en": "Draw a sentence"}
    assert tab.inner_text("#draw-title") == words[language]
    assert tab.evaluate("document.documentElement.lang") == language
    choose_photo(tab)
    look_inside(tab)
    found = Axe().run(tab).response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == []
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    for part in json.loads((ROOT / "web" / "tests" / "values.json").read_text("utf-8"))["phrases"]:
        assert tab.locator(f"input[value={part}]").count() == 1


def test_the_page_is_isolated_so_that_wasm_has_threads(tab):
    assert tab.evaluate("crossOriginIsolated")


def test_after_the_first_visit_the_page_works_without_a_network(browser):
    """And without the server: only the service worker can answer."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with host.server() as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        page.goto(f"http://127.0.0.1:{opened.server_port}/")
        page.wait_for_selector("#draw .start:enabled")
        page.evaluate(
            "limit => Promise.race([navigator.serviceWorker.ready, new Promise((_, fail) => "
            "setTimeout(fail, limit, new Error('no service worker')))]).then(() => null)",
            PATIENCE,
        )
        opened.shutdown()
        thread.join()
    page.reload()
    page.wait_for_selector("#draw .start:enabled")
    page.eval_on_selector("#steps", "s => { s.value = 5; s.oninput() }")
    page.click("#draw .start")
    page.wait_for_selector("#drawn figure a")
    context.close()
