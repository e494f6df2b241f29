"""Drawing along edges: edges of pictures and of line drawings, and the pipeline that reads them."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, label

from sdkit import edges, generate, models, postcards
from sdkit.errors import SdkitError

SETTINGS = models.Settings("a", strength=0.5, size=64, num_inference_steps=2, guidance_scale=1)


def line_drawing(width=8):
    """A drawing of a circle and a diagonal, in dark lines on paper."""
    drawing = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(drawing)
    draw.ellipse((60, 60, 180, 180), outline="black", width=width)
    draw.line((20, 236, 120, 196), fill=(70, 60, 60), width=width)
    return drawing


@pytest.fixture
def pipe(tiny_sd):
    return models.load(tiny_sd, task="text2img", device="cpu")


@pytest.fixture
def network(tiny_data, tiny_controlnet):
    return edges.load()


@pytest.mark.parametrize("width", [3, 8, 11])
def test_a_line_of_a_drawing_becomes_one_line_in_its_middle(width):
    found = np.asarray(edges.find(line_drawing(width)).convert("L")) > 127
    rows, columns = np.nonzero(found)
    from_middle = np.hypot((columns + 0.5) * 4 - 120, (rows + 0.5) * 4 - 120)
    radius = 60 - width / 2  # PIL draws the outline inside
    circle = from_middle < 75
    assert np.abs(from_middle[circle] - radius).max() < 4
    # the circle is closed: inside and outside are two areas
    assert label(~found)[1] == 2
    assert 40 < circle.sum() < 90  # one pixel wide, so about its length of 84 pixels
    assert (~circle).sum() >= 20  # the diagonal is there, too


def test_a_drawing_keeps_its_middle_when_it_is_not_square():
    wide = Image.new("RGB", (400, 256), "white")
    wide.paste(line_drawing(), (72, 0))
    assert edges.find(wide).tobytes() == edges.find(line_drawing()).tobytes()


@pytest.mark.parametrize("size", [64, 128])
def test_edges_of_a_postcard_lie_where_its_colours_change(size):
    for index in range(4):
        card = Image.fromarray(postcards.draw(postcards.sample(9, index), 4 * size))
        found = edges.find(card, size)
        assert found.size == (size, size) and set(np.unique(np.asarray(found))) == {0, 255}
        small = np.asarray(card.convert("L").resize((size, size), Image.Resampling.BOX), float)
        steep = np.hypot(*np.gradient(small))
        on_edge = np.asarray(found.convert("L")) > 127
        assert steep[on_edge].mean() > 3 * steep[~on_edge].mean()


def test_a_flat_picture_has_no_edges_and_a_black_square_has_an_outline():
    assert not np.asarray(edges.find(Image.new("RGB", (90, 90), "red"))).any()
    square = Image.new("RGB", (256, 256), "white")
    square.paste("black", (64, 64, 192, 192))
    found = np.asarray(edges.find(square).convert("L")) > 127
    inside = distance_transform_edt(~found)[32, 32]
    assert 14 < inside < 18  # the middle is 16 pixels from the outline


def test_drawing_along_edges_is_what_diffusers_draws(pipe, network):
    along = edges.find(line_drawing())
    made = edges.pipeline(pipe, network)
    ours = generate.draw(made, SETTINGS, 2, along=along, scale=0.7)
    batch = torch.from_numpy(np.asarray(along) / 255).permute(2, 0, 1)[None].float()
    made.set_progress_bar_config(disable=True)
    theirs = made(
        ["a"] * 2,
        image=batch.repeat(2, 1, 1, 1),
        height=64,
        width=64,
        num_inference_steps=2,
        guidance_scale=1,
        controlnet_conditioning_scale=0.7,
        generator=[torch.Generator().manual_seed(seed) for seed in (0, 1)],
    ).images
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(one, int), np.asarray(other, int), atol=1)


def test_scale_0_changes_nothing_and_scale_1_does(pipe, network):
    plain, along = generate.draw(pipe, SETTINGS), edges.find(line_drawing())
    made = edges.pipeline(pipe, network)
    none, full = (generate.draw(made, SETTINGS, along=along, scale=scale) for scale in (0, 1))
    np.testing.assert_allclose(np.asarray(none[0], int), np.asarray(plain[0], int), atol=1)
    assert np.abs(np.asarray(full[0], int) - np.asarray(plain[0], int)).max() > 10
    assert made.unet is pipe.unet and made.vae is pipe.vae


@pytest.mark.parametrize(
    "size, scale, words",
    [(32, 1, "64 x 64"), (64, 2.5, "0 to 2"), (64, -1, "0 to 2"), (64, float("nan"), "0 to 2")],
)
def test_edges_of_another_size_or_a_strange_scale_are_refused(pipe, network, size, scale, words):
    made, along = edges.pipeline(pipe, network), edges.find(line_drawing(), size)
    with pytest.raises(SdkitError, match=words):
        generate.draw(made, SETTINGS, along=along, scale=scale)


def test_edges_need_a_controlnet_and_a_controlnet_needs_edges(pipe, network):
    with pytest.raises(SdkitError, match="ControlNet"):
        generate.draw(pipe, SETTINGS, along=edges.find(line_drawing()))
    with pytest.raises(SdkitError, match="edges"):
        generate.draw(edges.pipeline(pipe, network), SETTINGS)


def test_a_controlnet_of_another_shape_is_refused(pipe, network):
    network.register_to_config(cross_attention_dim=1024)
    with pytest.raises(SdkitError, match="does not fit"):
        edges.pipeline(pipe, network)
