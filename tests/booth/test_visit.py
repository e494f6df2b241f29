"""A visit to the booth, without a browser and without a model: what is said, kept and forgotten."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sdkit.booth import visit, worker
from sdkit.errors import SdkitError
from sdkit.models.picture_settings import Settings
from sdkit.pictures import certificate, layers, photos


def settings(order):
    return Settings(order.prompt, order.strength or 0.5, 4.0, 8, 64, seed=order.seed)


def painted(order):
    """What a worker would answer: two previews and an inverted picture."""
    for step in (1, 2):
        yield worker.Preview(step, 3, Image.new("RGB", (8, 8)))
    image = Image.fromarray(255 - np.asarray(order.image.resize((64, 80))))
    note = {"Description": "Made with AI", "Model": "test", "Prompt": order.prompt}
    note["Seed"] = str(order.seed)
    yield worker.Painted(image, settings(order), note, None)


class Page:
    """Keeps what a visit says, and has a clock that the test moves."""

    def __init__(self, paint=painted, time_out=100):
        self.said, self.now = [], 0.0
        self.visit = visit.Visit(
            lambda message, buffers: self.said.append((message, buffers)),
            paint,
            time_out,
            lambda: self.now,
        )

    def hear(self, message, *buffers):
        """Send a message and wait for the answers, without those that only say busy or idle."""
        first = len(self.said)
        self.visit.hear(message, list(buffers))
        self.visit.wait()
        return [said for said in self.said[first:] if said[0]["type"] not in ("busy", "idle")]

    def kinds(self):
        return [message["type"] for message, _ in self.said]


@pytest.fixture
def page(tiny_data):
    return Page()


def jpeg(image):
    data = BytesIO()
    image.save(data, "JPEG")
    return data.getvalue()


def sizes(buffers):
    return [Image.open(BytesIO(buffer)).size for buffer in buffers]


def test_the_page_learns_what_there_is(page):
    page.hear({"type": "hello"})
    ((message, buffers),) = [said for said in page.said if said[0]["type"] == "welcome"]
    prompts = [style["prompt"] for style in message["styles"]]
    assert prompts == ["van gogh", "ukiyo-e", "impressionism", "oil painting"]  # not "a photo"
    assert len(message["paintings"]) == 6
    assert len(buffers) == len(message["samples"]) == 4


def test_head_and_shoulders_come_first_and_the_whole_picture_last(page):
    ((message, buffers),) = page.hear({"type": "sample", "name": "astronaut"})
    assert message["cuts"] == ["Portrait", "Whole picture"] and message["people"] == 1
    portrait, whole = sizes(buffers)
    assert whole == photos.sample("astronaut").size
    assert portrait[0] < whole[0] and portrait[1] > portrait[0]


def test_each_person_of_a_group_and_the_group_can_be_chosen(page):
    one = photos.sample("astronaut").crop((100, 0, 400, 400))
    group = Image.new("RGB", (600, 400))
    group.paste(one, (0, 0))
    group.paste(one, (300, 0))
    ((message, _),) = page.hear({"type": "photo", "name": "us.jpg"}, jpeg(group))
    assert message["cuts"] == ["Person 1", "Person 2", "Whole picture"]


def test_a_picture_without_faces_is_whole(page):
    ((message, _),) = page.hear({"type": "sample", "name": "coffee"})
    assert message["cuts"] == ["Whole picture"] and message["people"] == 0


@pytest.mark.parametrize(
    "data, words", [(b"", "empty"), (b"\xff\xd8 no picture", "holiday.jpg"), (b"text", "holiday")]
)
def test_a_broken_file_is_named_and_kept_out(page, data, words):
    ((message, _),) = page.hear({"type": "photo", "name": "holiday.jpg"}, data)
    assert message["type"] == "problem" and words in message["text"]
    assert page.visit.empty


def test_a_picture_comes_step_by_step(page):
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    said = page.hear(
        {"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh", "seed": 3}
    )
    assert [message["type"] for message, _ in said] == ["begin", "step", "step", "picture"]
    message, (before, after) = said[-1]
    assert ["Seed", "3"] in message["rows"]
    # the test's worker inverts, so photograph and painting add up to white
    both = [np.asarray(Image.open(BytesIO(b)), float) for b in (before, after)]
    assert abs(both[0] + both[1] - 255).mean() < 12


def test_settings_of_the_page_reach_the_worker(tiny_data):
    orders = []

    def paint(order):
        orders.append(order)
        return painted(order)

    page = Page(paint)
    ((photo, _),) = page.hear({"type": "sample", "name": "chelsea"})
    asked = {"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "oil painting"}
    page.hear({**asked, "strength": 0.7, "seed": 9})
    page.hear({**asked, "strength": "much", "seed": -4})
    assert [(o.prompt, o.strength, o.seed) for o in orders] == [
        ("oil painting", 0.7, 9),
        ("oil painting", None, 0),
    ]


def test_all_styles_give_single_pictures_and_a_sheet(page):
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    said = page.hear({"type": "all", "photo": photo["photo"], "cut": 0})
    kinds = [message["type"] for message, _ in said]
    assert kinds.count("picture") == 4 and kinds[-1] == "sheet"
    labels = [m["label"] for m, _ in said if m["type"] == "picture"]
    assert labels == ["Van Gogh", "Ukiyo-e (Japan)", "Impressionism", "Oil painting"]


@pytest.mark.parametrize("kind, start", [("png", b"\x89PNG"), ("pdf", b"%PDF-")])
def test_a_picture_and_a_sheet_can_be_saved(page, kind, start):
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    page.hear({"type": "all", "photo": photo["photo"], "cut": 0})
    numbers = {
        m["type"]: m.get("picture") or m.get("sheet")
        for m, _ in page.said
        if m["type"] in ("picture", "sheet")
    }
    for what, number in numbers.items():
        ((message, (data,)),) = page.hear({"type": "file", "kind": kind, what: number})
        assert message["name"].endswith(kind) and data.startswith(start)


def test_a_saved_picture_says_in_each_layer_that_ai_made_it(tiny_data, monkeypatch, tmp_path):
    monkeypatch.setattr(certificate, "path", lambda: tmp_path / "key.pem")

    def paint(order):
        *_, last = painted(order)
        yield replace(last, image=photos.sample("coffee").resize((512, 512)))

    page = Page(paint)
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    *_, (message, _) = page.hear(
        {"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh"}
    )
    names = []
    for _ in range(2):
        ((_, (data,)),) = page.hear({"type": "file", "kind": "png", "picture": message["picture"]})
        (tmp_path / "saved.png").write_bytes(data)
        names.append(layers.read(tmp_path / "saved.png").names)
        if len(names) == 1:
            assert not (tmp_path / "key.pem").exists()  # saving makes no key
            certificate.own()
    unsigned = ["a text note", "XMP", "a mark in the pixels"]
    assert names == [unsigned, [*unsigned[:2], "a signed manifest", unsigned[2]]]


@pytest.mark.parametrize(
    "message",
    [
        None,
        "paint",
        {},
        {"type": "open", "name": "run.py"},
        {"type": "sample", "name": "run.py"},
        {"type": "sample", "name": ["astronaut"]},
    ],
)
def test_an_unknown_message_does_nothing(page, message):
    assert page.hear(message) == [] and page.visit.empty


@pytest.mark.parametrize(
    "message",
    [
        {"type": "paint", "photo": 99, "cut": 0, "prompt": "van gogh"},
        {"type": "paint", "photo": "1", "cut": None},
        {"type": "paint", "photo": 1, "cut": -1, "prompt": "van gogh"},
        {"type": "all"},
        {"type": "file", "kind": "png", "picture": 1e400},
        {"type": "file", "kind": "pdf", "sheet": [1]},
        {"type": "photo", "name": 7},
    ],
)
def test_a_wrong_message_is_answered_with_a_sentence(page, message):
    page.hear({"type": "sample", "name": "coffee"})
    ((answer, _),) = page.hear(message)
    assert answer["type"] == "problem" and "should not happen" not in answer["text"]


def test_an_error_of_the_worker_is_told(tiny_data):
    def paint(order):
        raise SdkitError("The paint is dry. Buy more.")
        yield

    page = Page(paint)
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    said = page.hear({"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh"})
    assert said[-1][0] == {"type": "problem", "text": "The paint is dry. Buy more."}


def test_stop_ends_the_painting(tiny_data):
    closed = []

    def paint(order):
        try:
            for step in range(100):
                page.visit.hear({"type": "stop"})
                yield worker.Preview(step, 100, order.image)
        finally:
            closed.append(True)

    page = Page(paint)
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    said = page.hear({"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh"})
    assert [m["type"] for m, _ in said] == ["begin", "stopped"] and closed == [True]


def test_forgetting_while_painting_leaves_nothing(tiny_data):
    def paint(order):
        yield worker.Preview(1, 2, order.image)
        page.visit.hear({"type": "forget"})
        yield from painted(order)

    page = Page(paint)
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    said = page.hear({"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh"})
    assert [m["type"] for m, _ in said] == ["begin", "step", "forgotten"]
    assert page.visit.empty


def test_nothing_of_a_forgotten_visit_stays_in_memory(page):
    import gc
    import weakref

    ((photo, _),) = page.hear({"type": "sample", "name": "astronaut"})
    page.hear({"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh"})
    has = page.visit._has
    kept = [cut.image for cut in has.photos[photo["photo"]]]
    kept += [image for p in has.pictures.values() for image in (p.before, p.after)]
    watched = [weakref.ref(image) for image in kept]
    assert len(watched) == 4
    del has, kept
    page.said.clear()
    page.hear({"type": "forget"})
    page.hear({"type": "sample", "name": "coffee"})  # the thread of the jobs lets its last one go
    gc.collect()
    assert [ref() for ref in watched] == [None] * 4


def test_a_visitor_who_does_nothing_is_asked_and_then_forgotten(page):
    page.hear({"type": "hello"})
    page.said.clear()
    page.now = 1000
    page.visit.tick()
    assert page.said == []  # there is nothing to forget
    page.hear({"type": "sample", "name": "coffee"})
    page.now += 79
    page.visit.tick()
    assert "still there?" not in page.kinds()
    page.now += 2
    page.visit.tick()
    page.visit.tick()
    assert page.kinds().count("still there?") == 1
    page.visit.hear({"type": "here"})
    page.now += 79
    page.visit.tick()
    assert not page.visit.empty
    page.visit.hear({"type": "ping"})  # the page is open, which says nothing about the visitor
    page.now += 22
    page.visit.tick()
    assert page.visit.empty and page.said[-1][0] == {"type": "forgotten", "why": "time"}


def test_a_visitor_who_left_no_photograph_is_forgotten_without_a_question(page):
    page.visit.hear({"type": "here"})  # opened the camera, for instance
    page.now += 99
    page.visit.tick()
    assert page.said == []
    page.now += 2
    page.visit.tick()
    page.now += 1000
    page.visit.tick()  # nobody has come since
    assert [message for message, _ in page.said] == [{"type": "forgotten", "why": "time"}]


def test_painting_counts_as_being_there(tiny_data):
    def paint(order):
        page.now += 1000
        page.visit.tick()
        yield from painted(order)

    page = Page(paint)
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    page.hear({"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": "van gogh"})
    page.visit.tick()
    assert not page.visit.empty and "forgotten" not in page.kinds()


def test_a_visit_has_limits(page):
    for _ in range(visit.MAX_PHOTOS):
        page.hear({"type": "sample", "name": "coffee"})
    ((message, _),) = page.hear({"type": "sample", "name": "coffee"})
    assert "12 photographs" in message["text"]
    assert len(page.visit._has.photos) == visit.MAX_PHOTOS


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("", "The prompt is empty. Its styles: van gogh"),
        ("\U0001f389\U0001f98a", "no emoji"),
        ("picasso", "This model cannot paint 'picasso'. Its styles"),
    ],
)
def test_words_that_say_nothing_to_the_model_get_a_sentence_and_no_picture(page, prompt, why):
    ((photo, _),) = page.hear({"type": "sample", "name": "coffee"})
    ((said, _),) = page.hear({"type": "paint", "photo": photo["photo"], "cut": 0, "prompt": prompt})
    assert said["type"] == "problem" and why in said["text"]
