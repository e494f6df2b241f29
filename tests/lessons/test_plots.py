"""Figures: their layout, what a notebook stores, and colours that everybody can tell apart."""

import base64
import io
import itertools

import IPython.display
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from sdkit import plots
from sdkit.errors import SdkitError
from sdkit.generate import Settings

SETTINGS = Settings(
    "van gogh", strength=0.5, guidance_scale=4.0, num_inference_steps=36, size=256, seed=7
)


def picture(width=40, height=30, value=200):
    return Image.new("RGB", (width, height), (value, 30, 30))


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in [*ax.texts, ax.title] if t.get_text()]


def pictures(fig):
    return [ax for ax in fig.axes if ax.images]


def test_grid_keeps_order_titles_and_aspect():
    shapes = [(40, 30), (30, 40), (60, 20), (20, 20), (30, 30)]
    fig = plots.show_grid([picture(*shape) for shape in shapes], ["a", None, "c"], columns=3)
    assert len(pictures(fig)) == 5 and texts(fig) == ["a", "c"]
    for ax, (width, height) in zip(pictures(fig), shapes):
        box = ax.get_window_extent()
        assert box.width / box.height == pytest.approx(width / height, rel=1e-3)


@pytest.mark.parametrize(
    "count, columns, settings", [(1, 1, None), (7, 4, SETTINGS), (9, 5, [SETTINGS, SETTINGS])]
)
def test_nothing_overlaps_or_extends_beyond_the_page(count, columns, settings):
    fig = plots.show_grid(
        [picture() for _ in range(count)], ["title"] * count, columns, settings=settings
    )
    boxes = [ax.get_window_extent() for ax in fig.axes]
    for box in boxes:
        assert box.x0 >= -0.5 and box.y0 >= -0.5
        assert box.x1 <= fig.bbox.width + 0.5 and box.y1 <= fig.bbox.height + 0.5
    for one, other in itertools.combinations(boxes, 2):
        assert not (
            one.x0 < other.x1 - 0.5
            and other.x0 < one.x1 - 0.5
            and one.y0 < other.y1 - 0.5
            and other.y0 < one.y1 - 0.5
        )
    assert fig.get_figwidth() <= plots.WIDTH + 1e-6


def test_heatmap_is_dark_for_large_values_and_its_numbers_are_readable():
    values = np.array([[0.0, 0.25, 1.0], [-1.0, 0.5, 0.75]])
    _, (ax,) = plots.figure()
    plots.heatmap(ax, values, ["up", "down"], ["a", "b", "c"], digits=1, vmin=-1, vmax=1)
    image, written = ax.images[0], {t.get_position(): t for t in ax.texts}
    shades = image.cmap(image.norm(values)).mean(-1)
    assert (np.argsort(-shades, axis=None) == np.argsort(values, axis=None)).all()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["up", "down"]
    assert {place: t.get_text() for place, t in written.items()} == {
        (c, r): f"{values[r, c]:.1f}" for r in range(2) for c in range(3)
    }
    for (c, r), t in written.items():
        assert (
            abs(
                np.mean(to_rgb(t.get_color()))
                - np.mean(to_rgb(image.cmap(image.norm(values[r, c]))))
            )
            > 0.35
        )


def test_parameter_table_prints_every_setting():
    fig = plots.show_grid(
        [picture()], settings=plots.parameters(SETTINGS, "mini-sd", strength="0.1 to 0.9")
    )
    assert texts(fig) == [
        "model",
        "prompt",
        "strength",
        "guidance scale",
        "steps",
        "seed",
        "short side (px)",
        "mini-sd",
        "van gogh",
        "0.1 to 0.9",
        "4",
        "36",
        "7",
        "256",
    ]


def test_parameter_table_has_a_column_only_for_settings_that_are_used():
    rows = [{"prompt": "van gogh", "strength": 0.5}, {"prompt": "ukiyo-e", "strength": 1 / 3}]
    assert texts(plots.show_grid([picture()], settings=rows)) == [
        "prompt",
        "strength",
        "van gogh",
        "0.5",
        "ukiyo-e",
        "0.333",
    ]
    rows[1]["negative_prompt"] = "a photo"
    assert "negative prompt" in texts(plots.show_grid([picture()], settings=rows))


def test_before_after_pairs_each_photo_with_its_result():
    befores, afters = [picture(value=v) for v in (10, 20)], [picture(value=v) for v in (110, 120)]
    fig = plots.before_after(befores, afters, SETTINGS, ["ann", "bob"])
    reds = [int(ax.images[0].get_array()[0, 0, 0]) for ax in pictures(fig)]
    assert reds == [10, 20, 110, 120]
    left = [ax.get_position().x0 for ax in pictures(fig)]
    assert left[0] == left[2] and left[1] == left[3]
    assert texts(fig)[:2] == ["ann", "bob"]
    assert [t.get_text() for t in fig.texts] == ["before", "after"]


def test_before_after_of_many_pictures_has_several_rows():
    photos = [picture(value=v) for v in range(10, 80, 10)]
    fig = plots.before_after(photos, photos, titles=[f"n{i}" for i in range(7)])
    assert [t.get_text() for t in fig.texts] == ["before", "after"] * 2
    assert texts(fig) == [f"n{i}" for i in range(7)]


def test_curve_draws_mean_and_range():
    _, (ax, other) = plots.figure(2)
    assert plots.curve(ax, [1, 2, 3], [[0, 1, 2], [2, 3, 4]], "style") is ax
    assert ax.lines[0].get_ydata().tolist() == [1, 2, 3]
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 0 and band[:, 1].max() == 4
    plots.curve(other, [1, 2], [5, 6], series=1)
    assert not other.collections
    assert other.lines[0].get_marker() != ax.lines[0].get_marker()
    assert other.lines[0].get_linestyle() != ax.lines[0].get_linestyle()


# Linear RGB as seen without one kind of cone: Machado, Oliveira, Fernandes (2009), table 1,
# severity 1.0.
VISION = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_every_type_of_colour_vision(vision):
    from skimage.color import deltaE_ciede2000, rgb2lab

    rgb = np.array([to_rgb(colour) for colour in plots.COLOURS[:4]])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    for one, other in itertools.combinations(rgb2lab(seen[None])[0], 2):
        assert deltaE_ciede2000(one, other) > 9  # 2.3 is just noticeable


def test_show_stores_a_jpeg_with_its_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr(
        IPython.display, "display", lambda *args, **kwargs: shown.append((args, kwargs))
    )
    assert plots.show(plots.show_grid([picture()]), alt="A red square on white") is None
    (data,), options = shown[0]
    assert (
        options["metadata"] == {"image/jpeg": {"alt": "A red square on white"}} and options["raw"]
    )
    assert data["text/plain"] == "[figure: A red square on white]"
    assert Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))).format == "JPEG"


def test_jpeg_drops_the_metadata_of_a_picture():
    source = picture()
    source.getexif()[0x010E] = "secret place"
    source.info["comment"] = b"secret"
    assert b"secret" not in plots.jpeg(source)
    image = Image.open(io.BytesIO(plots.jpeg(source)))
    assert image.size == (40, 30) and not image.getexif()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: plots.show(picture(), alt=""),
        lambda: plots.show(picture(), alt="a figure"),
        lambda: plots.show(picture(), alt=None),
        lambda: plots.show_grid([]),
        lambda: plots.before_after([picture()], []),
        lambda: plots.curve(plots.figure()[1][0], [1, 2], [1, 2, 3]),
    ],
)
def test_bad_input_gives_a_clear_sentence(wrong):
    with pytest.raises(SdkitError, match=r"\w+ .*[.:]"):
        wrong()


def test_a_grid_narrower_than_its_table_stands_in_the_middle():
    fig = plots.show_grid([picture(20, 40)], settings=SETTINGS)
    (ax,) = pictures(fig)
    box = ax.get_position()
    assert (box.x0 + box.x1) / 2 == pytest.approx(0.5, abs=1e-6)


def test_each_title_stands_above_its_picture_also_in_later_rows():
    images = [picture(value=v) for v in range(5)]
    fig = plots.show_grid(images, [f"title {k}" for k in range(5)], columns=2)
    for ax in pictures(fig):
        assert ax.get_title() == f"title {int(ax.images[0].get_array()[0, 0, 0])}"


def test_a_grid_has_four_columns_by_default():
    places = [ax.get_position() for ax in pictures(plots.show_grid([picture()] * 5))]
    assert len({round(place.y0, 3) for place in places[:4]}) == 1
    assert places[4].y0 < places[0].y0 and places[4].x0 == pytest.approx(places[0].x0)
