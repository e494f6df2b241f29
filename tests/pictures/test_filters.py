"""Drawing styles made by rules: what they keep, and what they change."""

import numpy as np
import pytest
from PIL import Image

from sdkit import filters, postcards
from sdkit.errors import SdkitError


@pytest.fixture(scope="module")
def square():
    """A red square on grey: its outline is known."""
    x = np.full((64, 64, 3), 128, np.uint8)
    x[20:44, 20:44] = (220, 30, 30)
    return Image.fromarray(x)


@pytest.mark.parametrize("name", filters.FILTERS)
@pytest.mark.parametrize("size", [(64, 64), (96, 64), (33, 200)])
def test_size_and_source_stay_and_the_result_is_always_the_same(name, size):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))
    before = np.array(image)
    made = filters.apply(name, image)
    assert made.size == size and made.mode == "RGB"
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(made, filters.apply(name, image))


def test_chalk_draws_the_outline_white_and_keeps_the_colour_of_the_thing(square):
    x = np.asarray(filters.chalk(square), int)
    edge, inside, outside = x[20, 24:40], x[30:34, 30:34], x[5:15, 5:15]
    assert edge.min() > 120
    assert (inside[..., 0] - inside[..., 1:].max(-1)).mean() > 50  # red
    assert np.abs(outside - np.array(filters.BOARD)).max() <= 1


def test_a_blueprint_has_one_colour_of_paper_and_white_lines(square):
    x = np.asarray(filters.blueprint(square), int)
    assert x[20, 24:40].min() > 150
    flat = x[30:34, 29:33].reshape(-1, 3)  # between the lines of the grid, inside the square
    assert np.abs(flat - np.array(filters.BLUE)).max() <= 1
    grey = Image.new("RGB", (64, 64), "white")
    grid = np.asarray(filters.blueprint(grey))[..., 0] > filters.BLUE[0] + 5
    assert grid.all(1).sum() == 8 and grid.all(0).sum() == 8


def test_lines_grow_with_the_picture(square):
    large = square.resize((256, 256), Image.Resampling.NEAREST)
    small, scaled = (
        (np.asarray(filters.blueprint(image), int)[image.height // 2, :, 0] > 150).mean()
        for image in (square, large)
    )
    assert scaled == pytest.approx(small, rel=0.5) and small > 0


def test_an_unknown_name_is_refused():
    with pytest.raises(SdkitError, match="chalk"):
        filters.apply("crayon", Image.fromarray(postcards.draw(postcards.sample(1, 0))))
