"""The photo booth in a real browser: visits with a camera, files, painting, saving and forgetting.

The browser has a camera that shows a test picture, and the model is the tiny random one.
"""

import http.client
import re
import shutil
import sys
import urllib.parse
from io import BytesIO
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from sdkit.booth import server as booth_server
from sdkit.files import ROOT
from sdkit.pictures import photos
from tests.browser import lab
from tests.browser.booths import HEIC, download, opened, paint, shows, take_sample
from tests.normalise import METADATA

pytestmark = lab.NEEDS
SLIDERS = []  # the fixture `server` wants lessons with sliders
USE_CAMERA = """
found = album.named(camera.taken)
print("members:", {name: image.size for name, image in album.open_each(found, print)})
""".strip()
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def booth(tiny_sd):
    with opened(tiny_sd.parent.parent) as booth:
        yield booth


@pytest.fixture(scope="module")
def playwright():
    with lab.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright):
    browser = playwright.chromium.launch(
        executable_path=lab.CHROMIUM,
        args=["--no-sandbox", "--disable-dev-shm-usage", *CAMERA],
    )
    yield browser
    browser.close()


@pytest.fixture
def visitor(browser, heard):
    """A function that opens the page of a booth for a new visitor, who has a browser alone."""
    addresses, errors = heard
    contexts = []

    def visit(booth, width=1280, height=860, **device):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **device))
        page = contexts[-1].new_page()
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(socket.url))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(booth.address)
        page.wait_for_selector(".booth.ready")
        return page

    yield visit
    for context in contexts:
        context.close()


def test_a_visitor_looks_into_the_camera_and_is_painted(booth, visitor, tmp_path):
    page = visitor(booth)
    assert page.get_by_role("button", name="Paint me").is_disabled()
    page.get_by_role("button", name="Camera").click()
    shows(page, "camera")
    page.evaluate(
        """() => {
            window.counted = [];
            const count = document.querySelector(".count");
            new MutationObserver(() => window.counted.push(count.textContent)).observe(
                count, { childList: true });
        }"""
    )
    page.get_by_role("button", name="Take it in 3 seconds").click()
    shows(page, "photo")
    assert page.evaluate("counted.join(' ').trim()") == "3 2 1"
    width, height = page.locator(".photo img").evaluate("i => [i.naturalWidth, i.naturalHeight]")
    assert width > height > 100
    assert page.evaluate("document.querySelector('video').srcObject") is None
    page.get_by_label("The Great Wave").check()
    paint(page)
    assert page.locator(".caption").inner_text() == "“the great wave by hokusai”"
    page.screenshot(path=tmp_path / "camera.png")


def test_a_phone_photograph_is_taken_and_a_broken_file_is_named(booth, visitor, tmp_path):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    page = visitor(booth)
    page.locator(".upload input").set_input_files([broken, HEIC])
    shows(page, "photo")
    assert "holiday.jpg" in page.locator(".alerts").inner_text()
    assert page.locator(".photos button").count() == 1
    # the file says that it was turned, so the picture is upright only if that was obeyed
    shape = page.locator(".photo img").evaluate("i => i.naturalHeight / i.naturalWidth")
    upright = photos.open_photo(HEIC)
    assert shape == pytest.approx(upright.height / upright.width, rel=0.05)


def test_of_several_people_the_nearest_is_chosen_first(booth, visitor, tmp_path):
    near = photos.sample("astronaut").crop((100, 0, 400, 400))
    group = Image.new("RGB", (480, 400), "grey")
    group.paste(near.resize((180, 240)), (0, 160))
    group.paste(near, (180, 0))
    group.save(tmp_path / "us.png")
    page = visitor(booth)
    page.locator(".upload input").set_input_files(tmp_path / "us.png")
    shows(page, "photo")
    assert page.locator(".cut").all_inner_texts() == ["Person 1", "Person 2", "Whole picture"]
    assert page.locator(".cut:has(:checked)").inner_text() == "Person 2"
    assert page.locator(".photo img").get_attribute("alt") == "us.png: Person 2"


def test_several_files_can_be_dropped(booth, visitor, tmp_path):
    page = visitor(booth)
    picture = BytesIO()
    Image.new("RGB", (120, 160), "teal").save(picture, "PNG")
    dropped = page.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            for (const name of ["one.png", "two.png"])
                data.items.add(new File([new Uint8Array(bytes)], name));
            return data;
        }""",
        list(picture.getvalue()),
    )
    page.dispatch_event(".frame", "drop", {"dataTransfer": dropped})
    page.wait_for_function("document.querySelectorAll('.photos button').length == 2")
    assert page.locator(".photos img").nth(1).get_attribute("alt") == "two.png"


@pytest.mark.parametrize("width, height", [(1280, 860), (900, 700), (390, 844)])
@pytest.mark.parametrize("shape", [(400, 110), (160, 120), (110, 400)])
def test_a_picture_of_any_shape_stays_in_its_frame(booth, visitor, width, height, shape, tmp_path):
    page = visitor(booth, width, height)
    Image.new("RGB", shape, "teal").save(tmp_path / "shape.png")

    def within_the_frame(selector):
        frame, picture = (page.locator(s).bounding_box() for s in (".frame", selector))
        for place, length in (("x", "width"), ("y", "height")):
            assert frame[place] < picture[place]
            assert picture[place] + picture[length] < frame[place] + frame[length]
        assert picture["height"] < height  # nobody has to scroll to see it whole
        return picture["width"] / picture["height"]

    page.locator(".upload input").set_input_files(tmp_path / "shape.png")
    shows(page, "photo")
    within_the_frame(".photo img")
    paint(page)
    picture = page.locator(".compare .after")
    natural = picture.evaluate("i => i.naturalWidth / i.naturalHeight")
    assert within_the_frame(".compare .after") == pytest.approx(natural, rel=0.02)
    page.screenshot(path=tmp_path / "shape.jpg")


def test_the_slider_is_moved_by_keyboard(booth, visitor, tmp_path):
    page = visitor(booth)
    take_sample(page)
    paint(page)
    slider = page.get_by_role("slider", name="Slide between photograph and painting")
    edge = "n => Math.round(100 * (n.getBoundingClientRect().left - " + (
        "n.parentElement.getBoundingClientRect().left) / n.parentElement.clientWidth)"
    )
    handle = page.locator(".handle")
    middle = handle.evaluate(edge)
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "60 % photograph"
    assert handle.evaluate(edge) == pytest.approx(middle + 10, abs=1)
    page.keyboard.press("Home")
    assert "0%" in page.locator(".frame").get_attribute("style")
    page.screenshot(path=tmp_path / "slider.png")


def test_the_picture_is_saved_with_its_note(booth, visitor):
    page = visitor(booth)
    take_sample(page)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Seed").fill("7")
    paint(page)
    name, data = download(page, "Download")
    assert name == "portrait-van-gogh-seed7.png"
    with Image.open(BytesIO(data)) as image:
        assert image.text["Seed"] == "7" and image.text["Prompt"] == "van gogh"
        assert image.text["Description"].startswith("Made with AI")
        # the screen shows the pixels of the file
        side = page.locator(".compare .after").evaluate("i => [i.naturalWidth, i.naturalHeight]")
        assert list(image.size) == side


def test_an_empty_seed_gives_another_picture_each_time(booth, visitor):
    page = visitor(booth)
    take_sample(page)
    names = set()
    for count in (1, 2):
        page.get_by_role("button", name="Paint me").click()
        page.wait_for_function(
            "n => document.querySelectorAll('.gallery .thumb').length == n", arg=count
        )
        names.add(download(page, "Download")[0])
    assert len(names) == 2, names  # by chance they are equal once in a million times


def test_the_sheet_to_print_is_one_page_of_a5(booth, visitor):
    page = visitor(booth)
    take_sample(page)
    paint(page)
    name, pdf = download(page, "Sheet to print")
    assert re.fullmatch(r"portrait-van-gogh-seed\d+\.pdf", name) and pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    (box,) = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    assert [round(float(side) / 72 * 25.4) for side in box] == [148, 210]
    # the painting and the photograph; tests/booth/test_sheets.py compares their pixels
    sides = page.locator(".compare .after").evaluate("i => [i.naturalWidth, i.naturalHeight]")
    found = re.findall(rb"/Subtype /Image /Width (\d+) /Height (\d+)", pdf)
    assert [[int(side) for side in image] for image in found] == [sides, sides]


def test_all_styles_come_on_one_sheet(booth, visitor):
    page = visitor(booth)
    take_sample(page, "Coffee")
    paint(page, "All styles")
    labels = page.locator(".gallery .thumb span").all_inner_texts()
    assert labels == [
        "All styles",
        "Oil painting",
        "Impressionism",
        "Ukiyo-e (Japan)",
        "Van Gogh",
    ]
    name, data = download(page, "Download")
    assert name == "portraits-all-styles.png"
    with Image.open(BytesIO(data)) as image:
        assert image.text["Prompt"] == "van gogh, ukiyo-e, impressionism, oil painting"
    page.locator(".gallery .thumb").last.click()
    shows(page, "compare")
    assert page.locator(".caption").inner_text() == "“van gogh”"


def test_forget_me_empties_the_page(booth, visitor):
    page = visitor(booth)
    take_sample(page)
    paint(page)
    picture = page.locator(".compare .after").get_attribute("src")
    assert page.evaluate("u => fetch(u).then(r => r.ok)", picture)
    page.get_by_role("button", name="Forget me").click()
    shows(page, "empty")
    assert page.locator(".gallery").is_hidden()
    assert page.locator(".photos button").count() == 0
    assert page.locator(".frame img[src]").count() == 0
    assert not page.evaluate("u => fetch(u).then(r => r.ok, () => false)", picture)
    take_sample(page, "Cat")  # the next visitor


def test_a_visitor_who_has_gone_is_forgotten(tiny_sd, visitor):
    with opened(tiny_sd.parent.parent, time_out=8) as booth:
        page = visitor(booth)
        take_sample(page)
        page.wait_for_selector("dialog[open]")
        page.get_by_role("button", name="I am here").click()
        assert page.locator("dialog").is_hidden()
        assert page.locator(".frame").get_attribute("data-view") == "photo"
        page.wait_for_selector("dialog[open]")
        shows(page, "empty")
        assert page.locator("dialog").is_hidden()
        assert page.locator(".photos button").count() == 0


def test_two_visitors_do_not_see_each_other(booth, visitor):
    one, other = visitor(booth), visitor(booth)
    take_sample(one)
    take_sample(other, "Coffee")
    other.get_by_label("Water Lilies").check()
    for page in (one, other):
        page.get_by_role("button", name="Paint me").click()
    for page in (one, other):
        shows(page, "compare")
        assert page.locator(".gallery .thumb").count() == 1
    assert one.locator(".gallery .thumb").inner_text() == "Van Gogh"
    assert other.locator(".gallery .thumb").inner_text() == "Water Lilies"
    one.get_by_role("button", name="Forget me").click()
    shows(one, "empty")
    assert other.locator(".gallery .thumb").count() == 1


def test_a_worker_that_is_killed_before_an_order_starts_again(booth, visitor):
    page = visitor(booth)
    take_sample(page)
    booth._running["worker"].kill()
    page.get_by_role("button", name="Paint me").click()
    booth._running["worker"].wait()
    booth.mend()
    shows(page, "compare")


# a worker that gets stuck in the middle of a picture, after it has shown one step
STUCK = (
    "import itertools, time; from sdkit import generate; calls = itertools.count(); "
    "show = generate.preview; "
    "generate.preview = lambda *step: time.sleep(3600) if next(calls) else show(*step)"
)


def test_a_worker_that_is_killed_while_it_paints_is_replaced_and_the_visitor_is_told(
    tiny_sd, visitor
):
    with opened(tiny_sd.parent.parent, worker=STUCK) as booth:
        page = visitor(booth)
        take_sample(page)
        page.get_by_text("More", exact=True).click()
        page.locator("input.strength").fill("0.8")
        page.get_by_role("button", name="Paint me").click()
        page.wait_for_function("document.querySelector('.painting progress').value > 0")
        first = booth._running["worker"]
        assert page.locator(".frame").get_attribute("data-view") == "painting"
        first.kill()
        first.wait()
        booth.mend()
        page.locator(".alerts").get_by_text("The painting stopped, and begins again.").wait_for()
        shows(page, "compare")
        assert page.locator(".gallery .thumb").count() == 1
        assert booth._running["worker"].pid != first.pid


def kernel_of(page, booth):
    """The process of a visitor's kernel."""
    data = page.locator("#jupyter-config-data").evaluate("node => JSON.parse(node.text)")
    (kernel,) = [
        process
        for process in psutil.Process(booth._running["page"].pid).children(recursive=True)
        if data["kernelId"] in " ".join(process.cmdline())
    ]
    return kernel


def test_a_page_whose_kernel_is_killed_opens_again(booth, visitor):
    page = visitor(booth)
    take_sample(page)
    number = page.evaluate(
        "JSON.parse(document.querySelector('#jupyter-config-data').text).kernelId"
    )
    (kernel,) = [
        process
        for process in psutil.Process(booth._running["page"].pid).children(recursive=True)
        if number in " ".join(process.cmdline())
    ]
    page.evaluate("window.same = true")
    kernel.kill()
    page.wait_for_function("!window.same && document.querySelector('.booth.ready')")
    shows(page, "empty")
    take_sample(page)


def test_a_page_says_hello_until_it_is_answered(browser):
    """On a busy machine a connection can break while the page opens."""
    page = browser.new_page()
    page.set_default_timeout(lab.PATIENCE * 1000)
    page.evaluate(
        """async (source) => {
            const file = new Blob([source], { type: "text/javascript" });
            const { default: widget } = await import(URL.createObjectURL(file));
            window.said = [];
            const model = {
                get: () => false,
                on: (_, heard) => (window.heard = heard),
                send: ({ type }) => window.said.push(type),
            };
            widget.render({ model, el: document.body });
        }""",
        (ROOT / "sdkit" / "booth" / "page.js").read_text(encoding="utf-8"),
    )
    page.wait_for_function("said.join() == 'hello,hello,hello'")
    count = "said.filter(type => type == 'hello').length"
    hellos = page.evaluate(
        f"""(heard({{ type: "welcome", styles: [{{ prompt: "x", label: "X" }}], paintings: [],
            samples: [], strength: 0.5, seconds: 9 }}, []), {count})"""
    )
    page.wait_for_selector(".booth.ready")
    page.wait_for_function("said.at(-1) == 'ping'")
    assert page.evaluate(count) == hellos
    page.close()


def test_a_page_that_misses_its_kernel_opens_again(booth, browser):
    """On a slow computer the widget can come too late for its kernel, or get no answer."""
    page = browser.new_page()
    page.set_default_timeout(lab.PATIENCE * 1000)
    connections = []

    def connect(socket):
        connections.append(socket.url)
        if len(connections) > 1:
            socket.connect_to_server()  # the first connection never says anything

    page.route_web_socket(re.compile("/channels"), connect)
    page.clock.install()
    page.goto(booth.address)
    page.wait_for_function("document.body.innerText.includes('widget')")
    page.clock.fast_forward(31_000)
    page.wait_for_selector(".booth.ready")
    assert len({urllib.parse.urlsplit(url).path for url in connections}) == 2  # two kernels
    page.close()


def test_a_page_that_is_closed_ends_its_kernel(booth, visitor):
    page = visitor(booth)
    kernel = kernel_of(page, booth)
    page.goto("about:blank")
    lab.wait(lambda: not kernel.is_running(), "the kernel goes on")


def test_the_page_is_reached_from_this_machine_only(booth):
    page = psutil.Process(booth._running["page"].pid)
    addresses = {
        connection.laddr.ip
        for process in [page, *page.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_nothing_is_written_without_a_click(tiny_sd, visitor, tmp_path, monkeypatch):
    """The booth has a home, a folder for temporary files and a place to run of its own."""
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "JUPYTER_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def files():
        folders = [tmp_path, Path(booth._folders[0].name)]
        found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {path: path.stat().st_mtime_ns for path in found}

    with opened(tiny_sd.parent.parent) as booth:
        page = visitor(booth)
        take_sample(page, "Cat")
        page.get_by_role("button", name="Forget me").click()
        shows(page, "empty")
        before = files()
        page.locator(".upload input").set_input_files(HEIC)
        shows(page, "photo")
        paint(page)
        paint(page, "All styles")
        assert files() == before
        processes = [psutil.Process(one.pid) for one in booth._running.values()]
        written = {
            file.path
            for parent in processes
            for process in [parent, *parent.children(recursive=True)]
            for file in process.open_files()
            if file.mode[0] in "wa" and file.path.startswith(str(tmp_path))
        }
        assert written == set()


@pytest.mark.slow
def test_thirty_visits_leave_no_memory_behind(booth, visitor):
    page = visitor(booth)
    kernel, worker = kernel_of(page, booth), psutil.Process(booth._running["worker"].pid)
    used = []
    for number in range(30):
        page.locator(".upload input").set_input_files(HEIC)
        shows(page, "photo")
        page.get_by_text("More", exact=True).click()
        page.get_by_label("Seed").fill(str(number))
        paint(page)
        paint(page, "All styles")
        download(page, "Sheet to print")
        page.get_by_role("button", name="Forget me").click()
        shows(page, "empty")
        page.request_gc()
        blobs = page.evaluate("performance.memory.usedJSHeapSize")
        used.append([process.memory_info().rss for process in (kernel, worker)] + [blobs])
    print("MB of kernel, worker and page:", [[round(n / 1e6) for n in row] for row in used[::5]])
    grown = [last - tenth for tenth, last in zip(used[9], used[29])]
    assert max(grown) < 20e6, grown  # a photograph of a phone alone has 36 MB in memory


def test_no_file_of_the_disk_is_served_and_no_other_site_is_answered(booth):
    port = urllib.parse.urlsplit(booth.address).port

    def get(path, host=f"127.0.0.1:{port}"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=lab.PATIENCE)
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse()

    paths = ["README.md", "notebooks/photo_booth.ipynb", "docs/images/drawn.jpg", "run.py"]
    paths += ["../README.md", "%2e%2e/README.md", "data/models/mini-sd/defaults.json"]
    for path in [f"/voila/files/{path}" for path in paths] + ["/api/contents", "/voila/tree"]:
        assert get(path).status in (302, 403, 404), path
    assert get("/README.md").status != 200
    assert get("/voila/templates/booth/static/alive.txt").status == 200
    assert get("/voila/templates/booth/static/../index.html.j2").status != 200
    assert get("/voila/templates/booth/static/../../../../../server.py").status != 200
    assert get("/voila/static/voila.js", host="evil.example").status == 200  # nothing private
    assert get("/", host="evil.example").status == 403


def test_the_kernel_takes_no_code_from_the_page(booth, visitor, tmp_path):
    page = visitor(booth)
    written = tmp_path / "written.txt"
    answers = page.evaluate(
        """async (code) => {
            const id = JSON.parse(document.querySelector("#jupyter-config-data").text).kernelId;
            const socket = new WebSocket(`ws://${location.host}/api/kernels/${id}/channels`);
            await new Promise((done) => (socket.onopen = done));
            const send = (msg_type, content) => {
                const header = { msg_id: msg_type, username: "", session: "s", msg_type,
                    version: "5.3", date: new Date().toISOString() };
                socket.send(JSON.stringify({ header, parent_header: {}, metadata: {}, content,
                    channel: "shell", buffers: [] }));
            };
            const heard = [];
            await new Promise((done) => {
                socket.onmessage = ({ data }) => {
                    const type = typeof data === "string" && JSON.parse(data).msg_type;
                    heard.push(type);
                    if (type === "kernel_info_reply") done();
                };
                send("execute_request", { code, silent: false, store_history: false,
                    user_expressions: {}, allow_stdin: false });
                send("kernel_info_request", {});
            });
            return heard;
        }""",
        f"open({str(written)!r}, 'w')",
    )
    assert answers[-1] == "kernel_info_reply"  # it listens, and answers in order
    assert "execute_reply" not in answers and not written.exists()


def test_a_booth_for_the_network_wants_its_token(tiny_sd):
    with opened(tiny_sd.parent.parent, ip="0.0.0.0") as booth:
        address = urllib.parse.urlsplit(booth.address)
        token = urllib.parse.parse_qs(address.query)["token"][0]
        assert len(token) >= 32

        def get(path):
            connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=600)
            connection.request("GET", path)
            return connection.getresponse().status

        assert get("/") in (302, 403) and get("/?token=wrong") in (302, 403)
        assert get(f"/?token={token}") == 200


def test_a_phone_has_all_in_reach(booth, visitor, tmp_path):
    page = visitor(booth, 390, 844, has_touch=True, is_mobile=True, device_scale_factor=2)

    def nothing_is_too_wide_or_too_small():
        assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
        # 44 px is what the guidelines of phones ask for; WCAG asks for 24
        small = page.evaluate(
            """[...document.querySelectorAll(
                '.booth :is(button, .button, .chip, .cut, summary, input:not([type=radio]))')]
            .filter(n => n.checkVisibility() && n.type != "file")
            .map(n => [n.className || n.textContent, n.getBoundingClientRect()])
            .filter(([_, box]) => Math.min(box.width, box.height) < 44)
            .map(([name, box]) => [name, box.width, box.height])"""
        )
        assert small == []

    def fits(selector):
        """The picture is whole on the screen, inside its frame, when it is scrolled to."""
        page.locator(".frame").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('.frame').scrollIntoView()")
        frame, picture = (page.locator(s).bounding_box() for s in (".frame", selector))
        for place, length, screen in (("x", "width", 390), ("y", "height", 844)):
            assert frame[place] >= -1 and frame[place] + frame[length] <= screen
            assert frame[place] <= picture[place] and picture[length] >= 200
            assert picture[place] + picture[length] <= frame[place] + frame[length]

    nothing_is_too_wide_or_too_small()
    # all samples, and nobody has to scroll for the camera
    assert page.locator(".go").bounding_box()["y"] > page.locator(".samples").bounding_box()["y"]
    camera = page.get_by_role("button", name="Camera")
    assert camera.bounding_box()["y"] + camera.bounding_box()["height"] <= 844
    assert page.get_by_text("drop a photograph").is_hidden()
    page.screenshot(path=tmp_path / "phone-1.png")
    camera.click()
    shows(page, "camera")
    fits(".camera video")
    nothing_is_too_wide_or_too_small()
    page.get_by_role("button", name="Cancel").click()
    take_sample(page)
    page.get_by_text("More", exact=True).click()
    fits(".photo img")
    nothing_is_too_wide_or_too_small()
    paint(page)
    page.get_by_text("How it was made").click()
    fits(".compare .after")
    nothing_is_too_wide_or_too_small()
    page.screenshot(path=tmp_path / "phone-2.png")
    paint(page, "All styles")
    fits(".sheet img")
    nothing_is_too_wide_or_too_small()
    page.screenshot(path=tmp_path / "phone-3.png")


def findings(page):
    """What axe says about the page as it stands: (rule, how bad, the places), the worst only."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("Promise.all(document.getAnimations().map(a => a.finished))")
    return [
        (found["id"], found["impact"], [node["target"] for node in found["nodes"]])
        for found in Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("width, height", [(1280, 860), (390, 844)])
def test_the_words_in_an_empty_field_are_not_cut(booth, visitor, width, height):
    page = visitor(booth, width, height)
    page.get_by_text("More", exact=True).click()
    fields = page.evaluate(
        """() => [...document.querySelectorAll(".booth [placeholder]")].map((field) => {
            const pen = document.createElement("canvas").getContext("2d");
            const style = getComputedStyle(field);
            pen.font = style.font;
            const aside = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
            const needed = pen.measureText(field.placeholder).width + aside;
            return [field.placeholder, needed, field.clientWidth];
        })"""
    )
    assert len(fields) == 2
    assert [words for words, needed, room in fields if needed > room] == []


def test_the_picture_is_in_sight_while_it_is_painted(booth, visitor):
    page = visitor(booth, 1280, 700)
    take_sample(page)
    page.get_by_text("More", exact=True).click()
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    assert page.locator(".frame").bounding_box()["y"] < 0
    page.get_by_role("button", name="Paint me").click()
    page.wait_for_function("document.querySelector('.frame').getBoundingClientRect().top >= 0")
    shows(page, "compare")


@pytest.mark.parametrize("width, height", [(1280, 860), (390, 844)])
def test_axe_finds_no_serious_barrier(booth, visitor, width, height):
    page = visitor(booth, width, height)
    assert findings(page) == []
    page.get_by_role("button", name="Camera").click()
    shows(page, "camera")
    assert findings(page) == []
    page.get_by_role("button", name="Cancel").click()
    take_sample(page)
    page.get_by_text("More", exact=True).click()
    assert findings(page) == []
    paint(page, "All styles")
    assert findings(page) == []
    page.locator(".gallery .thumb").last.click()
    page.get_by_text("How it was made").click()
    assert findings(page) == []
    page.evaluate("document.querySelector('dialog').showModal()")
    assert findings(page) == []
    page.get_by_role("button", name="I am here").click()
    page.get_by_role("button", name="Forget me").click()
    page.locator(".alerts").get_by_text("forgotten").wait_for()
    assert findings(page) == []
    # axe itself works here: it finds a picture without words and grey words on grey
    page.evaluate(
        """() => {
            document.querySelector("h1 + p").style.color = "#cfc7b4";
            document.querySelector(".samples img").removeAttribute("alt");
            document.querySelector(".samples span").remove();
        }"""
    )
    assert {rule for rule, *_ in findings(page)} >= {"color-contrast", "button-name", "image-alt"}


def test_a_kiosk_has_no_window_for_files_and_no_menus(tiny_sd, visitor, monkeypatch):
    waiting = [sys.executable, "-c", "import time; time.sleep(3600)"]
    monkeypatch.setattr(booth_server, "kiosk_command", lambda address, profile: waiting)
    with opened(tiny_sd.parent.parent, kiosk=True) as booth:
        page = visitor(booth)
        assert page.get_by_text("Choose files").is_hidden()
        assert page.get_by_text("drop a photograph").is_hidden()
        assert page.get_by_role("button", name="Full screen").is_hidden()
        assert page.locator("textarea, .cm-editor, .jp-InputArea, [role=menu]").count() == 0
        # also on the wall beside the page
        done = page.evaluate(
            """() => {
                const fire = (kind, what = {}) => !document.body.dispatchEvent(
                    new (kind === "keydown" ? KeyboardEvent : MouseEvent)(
                        kind, { bubbles: true, cancelable: true, ...what }));
                const key = (key, what) => fire("keydown", { key, ...what });
                const ctrl = { ctrlKey: true };
                return {
                    stopped: [
                        fire("contextmenu"), key("F12"), key("F5"),
                        key("Escape", { shiftKey: true }), key("I", { ...ctrl, shiftKey: true }),
                        ...["o", "p", "s", "u", "n", "t"].map(letter => key(letter, ctrl)),
                    ],
                    left: [key("a"), key("f"), key("Tab"), key("Escape"), key("v", ctrl)],
                };
            }"""
        )
        assert all(done["stopped"]) and not any(done["left"])
        take_sample(page)


def test_a_kiosk_fills_the_screen_and_begins_anew_after_each_visit(
    tiny_sd, monkeypatch, playwright
):
    """The booth opens its own browser here, a Chromium without a screen."""
    port, command = lab.free_port(), booth_server.kiosk_command

    def without_a_screen(address, profile):
        program, *options = command(address, profile)
        here = ["--headless", "--no-sandbox", "--disable-dev-shm-usage", *CAMERA[:1]]
        return [program, *here, f"--remote-debugging-port={port}", *options]

    def its_page():
        debugger = f"http://127.0.0.1:{port}"
        lab.wait(lambda: lab.answers(f"{debugger}/json/version"), "the browser did not open")
        page = playwright.chromium.connect_over_cdp(debugger).contexts[0].pages[0]
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.wait_for_selector(".booth.ready")
        return page

    monkeypatch.setattr(booth_server, "kiosk_command", without_a_screen)
    with opened(tiny_sd.parent.parent, kiosk=True, time_out=12) as booth:
        page = its_page()
        window = page.context.new_cdp_session(page).send("Browser.getWindowForTarget")
        assert window["bounds"]["windowState"] == "fullscreen"
        assert page.evaluate("outerHeight == innerHeight && innerHeight == screen.height")
        # a visitor is painted and goes away without a word
        page.get_by_role("button", name="Camera").click()
        page.get_by_role("button", name="Take it in 3 seconds").click()
        shows(page, "photo")
        page.get_by_label("The Great Wave").check()
        page.get_by_text("More", exact=True).click()
        page.get_by_label("Seed").fill("7")
        paint(page)
        page.wait_for_selector("dialog[open]")
        shows(page, "empty")
        assert page.locator("dialog").is_hidden() and page.locator(".gallery").is_hidden()
        assert page.get_by_label("Van Gogh", exact=True).is_checked()
        assert page.locator(".seed").input_value() == ""
        assert page.locator("details[open]").count() == 0 and page.evaluate("scrollY") == 0
        # the next one only opens the camera
        page.get_by_role("button", name="Camera").click()
        shows(page, "camera")
        shows(page, "empty")
        assert page.evaluate("document.querySelector('video').srcObject") is None
        # another one closes the browser
        first = booth._running["browser"]
        first.terminate()
        first.wait()
        booth.mend()
        assert booth._running["browser"].pid != first.pid
        take_sample(its_page())


def test_a_lesson_has_a_camera_whose_photographs_are_not_stored(browser, server, heard):
    _, folder = server
    cells = ["from sdkit import album, widgets\ncamera = widgets.camera()", USE_CAMERA]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=METADATA)
    nbformat.write(notebook, folder / "camera.ipynb")
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(lab.PATIENCE * 1000)
    page.on("request", lambda request: heard[0].append(request.url))
    lab.run_all(page, server, "camera.ipynb")
    assert page.get_by_text("members: {}").count() == 1
    for number in (1, 2):
        page.get_by_role("button", name="Camera", exact=True).click()
        page.get_by_role("button", name="Take it in 3 seconds").click()
        page.get_by_text(f"{number} taken").wait_for()
    assert page.locator(".sdkit-camera .taken img").count() == 2
    assert page.evaluate("document.querySelector('.sdkit-camera video').srcObject") is None
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("members: {'camera-1': (").wait_for()
    page.keyboard.press("Control+s")
    saved = folder / "camera.ipynb"
    lab.wait(lambda: "camera-1" in saved.read_text(), "the notebook was not saved")
    assert "base64" not in saved.read_text() and "widget-state" not in saved.read_text()
    page.get_by_role("button", name="Forget them").click()
    page.wait_for_function("!document.querySelector('.sdkit-camera .taken img')")
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text("members: {}").wait_for()
    context.close()


def test_the_notebook_runs_in_jupyterlab_too(browser, server, heard):
    _, folder = server
    shutil.copy(ROOT / "notebooks" / "photo_booth.ipynb", folder)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(lab.PATIENCE * 1000)
    page.on("request", lambda request: heard[0].append(request.url))
    notebook = lab.run_all(page, server, "photo_booth.ipynb")
    page.wait_for_selector(".booth.ready")
    take_sample(page)
    paint(page)
    page.keyboard.press("Control+s")
    page.close()
    text = nbformat.writes(notebook)
    assert "image/" not in text and "base64" not in text and "widget-state" not in text


def test_no_page_asked_another_machine_or_logged_an_error(heard):
    """This holds for all the tests above."""
    # the kernel that was killed could not be reached any more
    lab.only_this_machine_and_no_error(heard, "WebSocket|ERR_|Failed to load|Cannot send")
