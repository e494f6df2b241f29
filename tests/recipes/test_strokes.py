"""Drawn brush strokes, against closed forms and scikit-image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab

from sdkit.recipes import strokes

QUIET = replace(strokes.VAN_GOGH, jitter=(0, 0, 0), relief=0, lightness=0, palette=0, vividness=1)
GREY = strokes.Palette(np.array([50.0, 0, 0]), np.array([10.0, 1, 1]))


def rng():
    return np.random.default_rng(0)


def numbers(side=96, seed=0):
    """Random numbers that decide the strokes of a picture."""
    cells = side // strokes.GRAIN
    return np.random.default_rng(seed).standard_normal((cells, cells, strokes.GRAINS))


def ramp(side=96):
    """A picture that grows lighter to the right."""
    return np.tile(np.linspace(60, 190, side).astype(np.uint8), (side, 1))[..., None].repeat(3, 2)


def test_quiet_strokes_give_back_a_smooth_picture():
    made = strokes.paint(ramp(), QUIET, GREY, numbers())
    assert made.shape == (96, 96, 3) and made.dtype == np.uint8
    assert np.abs(made.astype(int) - ramp())[8:-8, 8:-8].mean() < 8


def test_finer_layers_bring_back_what_coarse_strokes_miss():
    picture = ramp()
    picture[38:48, 38:48] = 255
    coarse = replace(QUIET, widths=(14,), rows=(1,), tolerances=(0,))
    errors = [
        np.abs(strokes.paint(picture, brush, GREY, numbers())[38:48, 38:48].astype(int)
               - picture[38:48, 38:48]).mean()
        for brush in (coarse, replace(QUIET, widths=(14, 3.5), rows=(1, 2), tolerances=(0, 4)))
    ]  # fmt: skip
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("angle", [0, 30, 90, 150])
def test_strokes_run_along_the_stripes_of_a_picture(angle):
    y, x = np.mgrid[:96, :96]
    across = x * np.sin(np.radians(angle)) - y * np.cos(np.radians(angle))
    field = strokes.directions(50 + 30 * np.sin(across / 4), 0.15, numbers()[..., 3])
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    assert np.abs(field[16:-16, 16:-16] @ along).mean() > 0.97
    np.testing.assert_allclose(np.linalg.norm(field, axis=-1), 1, atol=1e-6)


def test_curves_follow_a_circle():
    y, x = np.mgrid[:101, :101] - 50.0
    radius = np.hypot(x, y) + 1e-9
    field = np.stack([-y / radius, x / radius], -1)
    curve = strokes.paths(np.array([[80.0, 50]]), np.array([20.0]), field, np.zeros((101, 101, 3)))
    assert curve.shape == (1, 2 * strokes.POINTS + 1, 2)
    np.testing.assert_allclose(np.hypot(*(curve[0] - 50).T), 30, atol=2.5)  # steps of 5 px
    steps = np.linalg.norm(np.diff(curve[0], axis=0), axis=1)
    np.testing.assert_allclose(steps, 5, atol=1e-6)


def test_a_curve_ends_where_another_colour_begins():
    field = np.zeros((40, 40, 2)) + (1, 0)
    colours = np.zeros((40, 40, 3))
    colours[:, 24:] = 50
    curve = strokes.paths(np.array([[20.0, 20]]), np.array([16.0]), field, colours)
    assert curve[0, :, 0].min() == 4 and curve[0, :, 0].max() < 24


def test_an_outline_is_as_wide_as_the_stroke():
    curve = np.stack([np.arange(0.0, 36, 4), np.full(9, 7.0)], -1)[None]
    outline = strokes.shapes(curve, 3.0)[0]
    assert outline[:, 1].min() == pytest.approx(4) and outline[:, 1].max() == pytest.approx(10)
    assert outline[:, 0].min() == pytest.approx(-3) and outline[:, 0].max() == pytest.approx(35)


def test_a_stroke_without_length_is_a_dot():
    outline = strokes.shapes(np.full((1, 9, 2), 5.0), 2.0)
    assert np.isfinite(outline).all()


def test_colours_come_to_those_of_the_painting():
    picture = rng().integers(60, 190, (40, 40, 3)).astype(np.uint8)
    palette = strokes.Palette(np.array([60.0, 5, 20]), np.array([9.0, 8, 7]))
    whole = replace(QUIET, lightness=1, palette=1)
    lab = strokes.recoloured(rgb2lab(picture), palette, whole)
    np.testing.assert_allclose(lab.mean((0, 1)), palette.mean, atol=0.3)
    deviation = rgb2lab(picture).std((0, 1))
    expected = deviation * (palette.deviation / deviation).clip(0.5, 1.8)
    np.testing.assert_allclose(lab.std((0, 1)), expected, rtol=0.05)


def test_a_share_of_no_palette_leaves_the_colours():
    lab = rgb2lab(ramp())
    np.testing.assert_allclose(strokes.recoloured(lab, GREY, QUIET), lab, atol=1e-6)


def test_the_nearest_palette_is_that_of_like_colours():
    red, blue = (
        strokes.palette_of(np.full((20, 20, 3), colour, np.uint8))
        for colour in ((200, 40, 40), (40, 40, 200))
    )
    picture = np.full((20, 20, 3), (180, 60, 50), np.uint8)
    assert strokes.nearest([blue, red], picture) is red


def test_jitter_is_that_of_the_brush():
    """On a flat picture, colours scatter by the jitter; the finest layer by its share of it."""
    flat = np.full((192, 192, 3), 128, np.uint8)
    brush = replace(QUIET, widths=(6, 6), rows=(2, 2), tolerances=(0, 99), jitter=(10, 0, 0))
    lightness = rgb2lab(strokes.paint(flat, brush, GREY, numbers(192)))[8:-8, 8:-8, 0]
    assert lightness.std() == pytest.approx(10, rel=0.2)
    assert lightness.mean() == pytest.approx(rgb2lab(flat)[0, 0, 0], abs=2)


def test_the_numbers_decide_the_strokes_near_them():
    made = strokes.paint(ramp(), strokes.VAN_GOGH, GREY, numbers())
    assert np.array_equal(made, strokes.paint(ramp(), strokes.VAN_GOGH, GREY, numbers()))
    other = numbers()
    other[2, 2, 0] = -other[2, 2, 0] - 2  # px 16 to 24
    changed = (made != strokes.paint(ramp(), strokes.VAN_GOGH, GREY, other)).any(-1)
    longest = max(strokes.VAN_GOGH.lengths) * max(strokes.VAN_GOGH.widths)
    assert changed[12:28, 12:28].mean() > 0.2
    assert not changed[20 + int(longest) :].any() and not changed[:, 20 + int(longest) :].any()


def test_strokes_of_finer_layers_get_independent_numbers_from_their_own_grain():
    given = numbers(8 * 60)
    made = strokes.numbers_of_strokes(given, 2)
    assert made.shape == (120, 120, 4)
    parts = made.reshape(60, 2, 60, 2, 4).swapaxes(1, 2).reshape(3600, 16)
    # each stroke's numbers are an orthogonal mixture of those of the grain
    lengths = np.linalg.norm(parts.reshape(3600, 4, 4), axis=-1)
    np.testing.assert_allclose(
        lengths, np.linalg.norm(given.reshape(3600, 1, 4), axis=-1) + 0 * lengths
    )
    for k in range(4):
        correlations = np.corrcoef(parts[:, k::4].T)  # of the four strokes of a grain
        assert np.abs(correlations - np.eye(4)).max() < 0.08


def test_grains_are_the_finest_band_of_a_haar_wavelet():
    noise = torch.randn(2, 8, 12, 16)
    high = torch.tensor([1.0, -1.0]) / 2**0.5
    kernel = torch.outer(high, high)[None, None]
    wanted = F.conv2d(noise[:, 4:].reshape(8, 1, 12, 16), kernel, stride=2)
    np.testing.assert_allclose(strokes.grains(noise), wanted.view(2, 4, 6, 8), atol=1e-5)


def test_grains_of_white_noise_have_variance_1():
    made = strokes.grains(torch.randn(4, 8, 64, 64))
    assert made.shape == (4, 4, 32, 32) and made.var().item() == pytest.approx(1, abs=0.03)


def test_noise_gets_the_wanted_grains_and_keeps_all_else():
    noise, wanted = torch.randn(2, 8, 12, 16), torch.randn(2, 4, 6, 8)
    made = strokes.with_grains(noise, wanted)
    torch.testing.assert_close(strokes.grains(made), wanted)
    assert torch.equal(made[:, :4], noise[:, :4])
    means = [F.avg_pool2d(one, 2) for one in (made, noise)]
    torch.testing.assert_close(*means)
    torch.testing.assert_close(strokes.with_grains(noise, strokes.grains(noise)), noise)


def test_outlines_are_dark_and_lie_on_the_dark_side_of_edges():
    lab = np.zeros((40, 40, 3)) + (80, 0, 0)
    lab[:, 20:, 0] = 30
    change = strokes.with_outlines(lab, 45)[..., 0] - lab[..., 0]
    assert change.max() <= 0
    columns = change[20]
    assert columns.argmin() in (20, 21, 22) and np.abs(columns[[5, 35]]).max() < 0.5
