"""The slider shows its frames, a strip stores them, and private frames are not stored."""

import base64
import datetime
import io
import json

import IPython.display
import ipywidgets
import pytest
from PIL import Image

from sdkit import plots, progress, widgets
from sdkit.errors import SdkitError

FRAMES = {
    label: Image.new("RGB", (32, 24), (shade, shade, 0))
    for label, shade in ((0.2, 40), (0.5, 120), (0.8, 220))
}


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: a list of (data, metadata)."""
    displayed = []

    def display(data, metadata=None, raw=False):
        assert raw
        displayed.append((data, metadata))

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(widgets, "display", display)
    return displayed


def test_moving_the_slider_shows_the_frame_and_says_its_name(shown):
    box = widgets.frames_slider(FRAMES, "strength", "Squares getting brighter.")
    slider, image = box.children
    assert (len(slider.labels), slider.value, slider.description) == (3, 1, "strength")
    for position, (name, frame) in enumerate(FRAMES.items()):
        slider.value = position
        assert slider.labels[position] == str(name)
        assert image.alt == f"Squares getting brighter. This frame: strength {name}."
        assert bytes(image.value) == plots.jpeg(frame)


def test_slider_starts_at_the_given_frame(shown):
    box = widgets.frames_slider(FRAMES, "strength", "Squares getting brighter.", start=0.8)
    slider, image = box.children
    assert slider.value == 2 and image.alt.endswith("strength 0.8.")


def test_a_strip_with_alt_text_follows_the_slider(shown):
    widgets.frames_slider(FRAMES, "strength", "Squares getting brighter.")
    (view, _), (strip, metadata) = shown
    assert set(view) == {widgets.VIEW, "text/plain"}
    assert view["text/plain"] == (
        "[slider over 3 frames, strength: run the cell to move it; the same frames stand below]"
    )
    assert (
        metadata["image/jpeg"]["alt"]
        == "Squares getting brighter. Frames for strength 0.2, 0.5, 0.8."
    )
    assert Image.open(io.BytesIO(base64.b64decode(strip["image/jpeg"]))).width > 100


def test_the_file_stores_no_pixel_of_private_frames(shown):
    widgets.frames_slider(FRAMES, "member", "Members before and after.", keep=False)
    ((data, metadata),) = shown
    assert "image/jpeg" not in data and not metadata
    assert len(json.dumps(data)) < 400  # a model id and a sentence
    assert "not stored" in data["text/plain"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: widgets.frames_slider({}, "strength", "Nothing to be seen."),
        lambda: widgets.frames_slider(FRAMES, "strength", "Squares getting brighter.", start=0.3),
    ],
)
def test_bad_input_gives_a_clear_sentence(wrong, shown):
    with pytest.raises(SdkitError, match=r"\w+ .*[.:]"):
        wrong()


def test_small_frames_are_enlarged_on_the_page(shown):
    box = widgets.frames_slider(FRAMES, "strength", "Squares getting brighter.")
    assert box.children[1].width == widgets.SMALLEST


def test_uploaded_files_come_with_their_names_and_leave_no_trace(shown):
    button = widgets.upload_button()
    assert widgets.uploaded(button) == []
    button.value = (
        {
            "name": "me.png",
            "type": "image/png",
            "size": 3,
            "content": memoryview(b"abc"),
            "last_modified": datetime.datetime(2026, 1, 1),
        },
    )
    assert widgets.uploaded(button) == [("me.png", b"abc")]
    ((data, _),) = shown
    assert set(data) == {widgets.VIEW, "text/plain"} and "me.png" not in json.dumps(data)


def test_lines_are_shown_as_text_and_not_stored(shown):
    widgets.show_lines([])
    assert shown == []
    widgets.show_lines(["left out <b>.jpg: it is empty", "another"])
    ((data, _),) = shown
    assert "2 lines" in data["text/plain"] and "empty" not in json.dumps(data)


def test_a_camera_keeps_what_the_page_sends_and_forgets_it(shown):
    camera = widgets.camera()
    ((data, _),) = shown
    assert data["text/plain"].startswith("[a camera") and "image" not in str(data)
    camera._heard(camera, {"type": "photo"}, [memoryview(b"first shot")])
    camera._heard(camera, {"type": "photo"}, [memoryview(b"second")])
    for nothing in (None, {}, {"type": "photo"}):
        camera._heard(camera, nothing, [])
    assert camera.taken == [("camera-1.jpg", b"first shot"), ("camera-2.jpg", b"second")]
    assert camera.count == 2
    assert "first shot" not in str(camera.get_state())  # only the kernel has them
    camera._heard(camera, {"type": "forget"}, [])
    assert camera.taken == [] and camera.count == 0


def test_a_pad_keeps_what_the_page_sends(shown):
    pad = widgets.drawing_pad(Image.new("RGB", (8, 8), (0, 0, 250)))
    ((data, _),) = shown
    assert data["text/plain"] == "[a pad to draw on: run the cell to use it]"
    assert set(data) == {widgets.VIEW, "text/plain"}
    with Image.open(io.BytesIO(pad.start)) as first:
        assert first.format == "PNG" and first.getpixel((3, 3)) == (0, 0, 250)
    assert pad.picture().getpixel((3, 3)) == (0, 0, 250) and pad.strokes == 0
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (200, 30, 30, 255)).save(file, "PNG")
    for nothing in (None, {}, {"type": "drawing"}):
        pad._heard(pad, nothing, [])
    assert pad.strokes == 0
    pad._heard(pad, {"type": "drawing"}, [memoryview(file.getvalue())])
    assert pad.strokes == 1 and pad.picture().mode == "RGB"
    assert pad.picture().getpixel((3, 3)) == (200, 30, 30)
    pad.picture().putpixel((3, 3), (0, 0, 0))  # a copy
    assert pad.picture().getpixel((3, 3)) == (200, 30, 30)


def test_a_private_picture_is_shown_but_not_stored(shown):
    widgets.show_private(plots.show_grid([FRAMES[0.2]]))
    ((data, _),) = shown
    assert data["text/plain"] == "[a picture that is not stored in this file]"
    assert set(data) == {widgets.VIEW, "text/plain"}


def test_a_picture_is_seen_while_it_is_painted_and_then_goes_away(shown, monkeypatch):
    monkeypatch.setattr(progress, "quiet", lambda: False)
    with widgets.live() as show:
        assert shown == []
        show(FRAMES[0.2])
        show(FRAMES[0.5])
        ((data, _),) = shown  # one place for all
        image = ipywidgets.widgets.widget._instances[data[widgets.VIEW]["model_id"]]
        assert bytes(image.value) == plots.jpeg(FRAMES[0.5])
        assert "while it is painted" in image.alt
    assert image.comm is None


def test_where_no_bar_would_be_seen_no_picture_is(shown):
    with widgets.live() as show:
        show(FRAMES[0.2])
    assert shown == []
