"""Drawn brush strokes, against closed forms and scikit-image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab

from sdkit.recipes import strokes

QUIET = replace(
    strokes.VAN_GOGH, jitter=(0, 0, 0), relief=0, bristles=0, lightness=0, palette=0, vividness=1
)
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


def test_fine_strokes_keep_what_coarse_ones_miss(monkeypatch):
    squares = np.indices((8, 8)).sum(0) % 2 * 32 + 110  # too near in colour to end a stroke
    picture = squares.repeat(12, 0).repeat(12, 1)[..., None].repeat(3, 2).astype(np.uint8)
    errors = []
    for bounds in ((1e8, 1e9), strokes.DETAIL, (-1e9, -1e8)):  # none, as always, only fine ones
        monkeypatch.setattr(strokes, "DETAIL", bounds)
        made = strokes.paint(picture, QUIET, GREY, numbers())
        errors.append(np.abs(made.astype(int) - picture).mean())
    assert errors[0] > errors[1] >= errors[2] > 0


def test_faces_get_fine_strokes():
    brush = replace(QUIET, jitter=(10, 0, 0), fine_jitter=0)
    flat, faces = np.full((96, 96, 3), 128, np.uint8), np.zeros((96, 96))
    faces[:, :48] = 1
    made = strokes.paint(flat, brush, GREY, numbers(), faces).astype(int)
    assert np.abs(made[:, :48] - 128).max() <= 1 and made[:, 48:].std() > 5


@pytest.mark.parametrize("angle", [0, 30, 90, 150])
def test_strokes_run_along_the_stripes_of_a_picture(angle):
    y, x = np.mgrid[:96, :96]
    across = x * np.sin(np.radians(angle)) - y * np.cos(np.radians(angle))
    field = strokes.directions(50 + 30 * np.sin(across / 4), 0.15, 2.0, numbers()[..., 3])
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    assert np.abs(field[16:-16, 16:-16] @ along).mean() > 0.97
    np.testing.assert_allclose(np.linalg.norm(field, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("turn", [0, 0.5, 2])
def test_whirls_turn_from_the_diagonal_as_the_numbers_say(turn):
    given = np.random.default_rng(0).standard_normal((96, 96))
    field = strokes.directions(np.full((768, 768), 50.0), 1.0, turn, given)
    angles = np.arctan2(field[..., 1], field[..., 0])  # the same direction twice: modulo pi
    doubled = np.exp(2j * (angles - np.pi / 4))
    # the mean of exp(i x) for a normal x with standard deviation s is exp(-s^2 / 2)
    assert abs(doubled.mean() - np.exp(-(turn**2) / 2)) < 0.12


def test_faint_edges_leave_the_direction_to_the_whirls():
    """The noise that the denoiser starts from hides them."""
    x = np.mgrid[:96, :96][1]
    flat, faint, strong = (
        strokes.directions(50 + contrast * np.sin(x / 4), 0.15, 2.0, numbers()[..., 3])
        for contrast in (0, 0.1, 20)
    )
    assert np.abs((faint * flat).sum(-1)).min() > 0.99
    assert np.abs((strong * flat).sum(-1)).mean() < 0.97


def curve(field, length, colours, row, column):
    """The points (N, 2) of the curve through one pixel, in order."""
    found = [
        points[row, column]
        for points, inside in strokes.curves(field, length, colours)
        if inside[row, column]
    ]
    half = (len(found) - 1) // 2
    return np.array([*found[half:0:-1], found[0], *found[half + 1 :]])


def test_curves_follow_a_circle():
    y, x = np.mgrid[:101, :101] - 50.0
    radius = np.hypot(x, y) + 1e-9
    field = np.stack([-y / radius, x / radius], -1) * np.sign(x)[..., None]  # turns back at x = 0
    points = curve(field, 60, np.zeros((101, 101, 3)), 50, 80)
    assert points.shape == (31, 2)
    np.testing.assert_allclose(np.hypot(*(points - 50.5).T), 30, atol=2.5)  # steps of 2 px
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, strokes.STEP, atol=1e-4)
    angles = np.unwrap(np.arctan2(*(points - 50.5).T))
    assert np.ptp(angles) == pytest.approx(2, abs=0.2)  # 60 px of a circle with radius 30


def test_a_curve_ends_where_another_colour_begins():
    field = np.zeros((40, 40, 2)) + (1, 0)
    colours = np.zeros((40, 40, 3))
    colours[:, 24:] = 50
    found = [
        points[20, 20, 0] for points, inside in strokes.curves(field, 32, colours) if inside[20, 20]
    ]
    assert min(found) == 4.5 and 22 < max(found) < 24


def test_averages_along_straight_curves_are_those_of_shifted_pictures():
    x = rng().standard_normal((20, 60, 2))
    field = np.zeros((20, 60, 2)) + (1, 0)
    made = strokes.along_curves(x, field, 12, np.zeros((20, 60, 3)))
    wanted = np.mean([np.roll(x, shift, 1) for shift in range(-6, 7, 2)], 0)
    np.testing.assert_allclose(made[:, 8:-8], wanted[:, 8:-8], atol=1e-6)


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
    np.testing.assert_allclose(strokes.recoloured(lab, GREY, QUIET), lab, atol=1e-4)


def test_the_nearest_palette_is_that_of_like_colours():
    red, blue = (
        strokes.palette_of(np.full((20, 20, 3), colour, np.uint8))
        for colour in ((200, 40, 40), (40, 40, 200))
    )
    picture = np.full((20, 20, 3), (180, 60, 50), np.uint8)
    assert strokes.nearest([blue, red], picture) is red


def test_strokes_differ_by_the_jitter_of_the_brush():
    flat = np.full((192, 192, 3), 128, np.uint8)
    brush = replace(QUIET, jitter=(10, 0, 0))
    difference = rgb2lab(strokes.paint(flat, brush, GREY, numbers(192))) - rgb2lab(flat)
    assert np.abs(difference[..., 0]).max() <= 10.5  # 0.5 for the rounding to 8 bit
    wanted = 10 * np.tanh(brush.hardness * rng().standard_normal(100_000)).std()
    assert difference[..., 0].std() == pytest.approx(wanted, rel=0.1)
    assert np.abs(difference[..., 1:]).max() < 1


def test_hairs_leave_traces_that_are_finer_than_strokes():
    flat = np.full((192, 192, 3), 128, np.uint8)
    widths = []
    for brush in (replace(QUIET, bristles=9), replace(QUIET, jitter=(9, 0, 0))):
        light = rgb2lab(strokes.paint(flat, brush, GREY, numbers(192)))[..., 0]
        # where a Gaussian field with standard deviation s changes with standard deviation d,
        # its width is about s / d
        widths.append(light.std() / np.diff(light, axis=1).std())
        if brush.bristles:
            assert light.std() == pytest.approx(9, rel=0.05)
    assert widths[0] < widths[1] / 2


@pytest.mark.parametrize("level", [0, 255])
def test_strokes_in_black_and_white_differ_less(level):
    """Beyond black and white there are no colours."""
    brush = replace(QUIET, jitter=(10, 0, 0))
    spreads = [
        rgb2lab(strokes.paint(np.full((96, 96, 3), one, np.uint8), brush, GREY, numbers()))[
            ..., 0
        ].std()
        for one in (level, 128)
    ]
    assert spreads[0] < 0.4 * spreads[1]


def test_a_vivid_palette_pushes_few_colours_to_the_end_of_the_scale():
    picture = rng().integers(0, 256, (12, 12, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    palette = strokes.Palette(np.array([50.0, 40, 60]), np.array([30.0, 40, 40]))  # very vivid
    unlimited = strokes.to_rgb(strokes.recoloured(rgb2lab(picture), palette, strokes.VAN_GOGH))
    made = strokes.paint(picture, strokes.VAN_GOGH, palette, numbers())
    before, after = (((one == 0) | (one == 255)).any(-1).mean() for one in (unlimited, made))
    assert before > 0.7 and after < before / 3


def test_the_numbers_decide_the_strokes_near_them():
    made = strokes.paint(ramp(), strokes.VAN_GOGH, GREY, numbers()).astype(int)
    assert np.array_equal(made, strokes.paint(ramp(), strokes.VAN_GOGH, GREY, numbers()))
    other = numbers()
    other[2, 2, 0] = -other[2, 2, 0] - 2  # px 16 to 24
    changed = np.abs(made - strokes.paint(ramp(), strokes.VAN_GOGH, GREY, other)).max(-1)
    longest = 24 + int(max(strokes.VAN_GOGH.lengths) / 2 + 3 * max(strokes.VAN_GOGH.widths))
    assert (changed[12:28, 12:28] > 3).mean() > 0.5
    # everywhere, strokes are scaled by their standard deviation, which changes a little
    assert changed[longest:].max() < 5 and changed[:, longest:].max() < 5


def test_quarters_of_a_grain_get_independent_numbers_from_it():
    given = numbers(8 * 60)
    made = strokes.finer(given)
    assert made.shape == (120, 120, 4)
    quarters = made.reshape(60, 2, 60, 2, 4).swapaxes(1, 2).reshape(3600, 4, 4)
    # the numbers of each are an orthogonal mixture of those of the grain
    lengths = np.linalg.norm(quarters, axis=-1)
    wanted = np.linalg.norm(given.reshape(3600, 1, 4), axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(wanted, lengths.shape))
    for k in range(4):
        correlations = np.corrcoef(quarters[..., k].T)  # of the four quarters of a grain
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


def test_outlines_lie_on_the_dark_side_of_edges():
    lightness = np.full((40, 40), 80.0)
    lightness[:, 20:] = 30
    lower = strokes.outlines(lightness, 45)
    assert lower.min() >= 0 and lower.max() <= 45
    assert lower[20].argmax() in (20, 21, 22) and lower[20, [5, 35]].max() < 0.5
