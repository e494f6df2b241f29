"""Colours against published values of CIELAB, and figures of hand-made pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import looks, metrics

# the corners of sRGB in CIELAB (D65), as tables of colour give them
LAB = {
    "red": (53.24, 80.09, 67.20),
    "yellow": (97.14, -21.55, 94.48),
    "lime": (87.73, -86.18, 83.18),
    "cyan": (91.11, -48.09, -14.13),
    "blue": (32.30, 79.19, -107.86),
    "magenta": (60.32, 98.23, -60.82),
}


def flat(colour):
    return Image.new("RGB", (20, 30), colour)


@pytest.mark.parametrize("colour", LAB)
def test_mean_lab_of_a_flat_picture_is_the_published_colour(colour):
    assert looks.mean_lab(flat(colour), (3, 4, 9, 9)) == pytest.approx(LAB[colour], abs=0.02)


def test_only_the_box_counts_and_only_inside_the_picture():
    picture = flat("blue")
    picture.paste("red", (0, 0, 5, 10))
    assert looks.mean_lab(picture, (-9, -9, 5, 10)) == pytest.approx(LAB["red"], abs=0.02)
    assert looks.mean_lab(picture, (12, 20, 99, 99)) == pytest.approx(LAB["blue"], abs=0.02)
    assert looks.mean_lab(picture, (2.1, 3.2, 2.2, 3.3)) == pytest.approx(LAB["red"], abs=0.02)
    assert looks.mean_lab(picture, (50, 50, 60, 60)) == pytest.approx(LAB["blue"], abs=0.02)
    half = looks.mean_lab(picture, (0, 0, 10, 10))
    assert half == pytest.approx((np.array(LAB["red"]) + LAB["blue"]) / 2, abs=0.02)


@pytest.mark.parametrize(
    "before, after", [("red", "yellow"), ("lime", "cyan"), ("cyan", "lime"), ("blue", "magenta")]
)
def test_the_hue_turns_by_the_difference_of_the_angles(before, after):
    """From lime (136 degrees) to cyan (-164) the shorter way is 60 degrees forwards."""
    hue, distance = looks.colour_shift(flat(before), flat(after), (0, 0, 20, 30))
    first, last = (complex(*LAB[name][1:]) for name in (before, after))
    assert hue == pytest.approx(np.degrees(np.angle(last / first)), abs=0.05)
    assert distance == pytest.approx(np.linalg.norm(np.subtract(LAB[before], LAB[after])), abs=0.05)


def test_red_skin_that_becomes_yellow_has_a_positive_shift():
    pink, sallow = flat((225, 170, 150)), flat((225, 200, 120))
    assert looks.colour_shift(pink, sallow, (0, 0, 9, 9))[0] > 20
    assert looks.colour_shift(sallow, pink, (0, 0, 9, 9))[0] < -20


def test_grey_has_no_hue():
    assert looks.colour_shift(flat("black"), flat("white"), (0, 0, 9, 9)) == (
        None,
        pytest.approx(100, abs=0.01),
    )
    assert looks.colour_shift(flat("red"), flat("grey"), (0, 0, 9, 9))[0] is None


def test_the_middle_of_a_box_is_half_of_it_in_each_direction():
    assert looks.middle((10, 20, 50, 100)) == (20, 40, 40, 80)


def test_the_summary_has_the_median_ratio_and_the_worst_clipped_share():
    rng = np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(low, high, (256, 300, 3), np.uint8))
        for low, high in ((100, 150), (0, 100), (0, 256))
    ]
    figures = looks.summary(images)
    ratios, shares = (
        [measure(image) for image in images]
        for measure in (metrics.octave_ratio, metrics.clipped_share)
    )
    assert figures == {
        "octave ratio, 256 px": pytest.approx(sorted(ratios)[1], abs=6e-4),
        "clipped share": pytest.approx(sum(shares) / 3, abs=6e-5),
        "clipped share, worst picture": pytest.approx(max(shares), abs=6e-5),
    }


def test_the_octave_ratio_leaves_out_pictures_that_would_have_to_be_enlarged():
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    large, small = Image.fromarray(noise), Image.fromarray(noise[:256, :300])
    figures = looks.summary([large, small], 512)
    assert figures["octave ratio, 512 px"] == pytest.approx(
        metrics.octave_ratio(large, 512), abs=6e-4
    )
    assert figures["octave ratio, 256 px"] != figures["octave ratio, 512 px"]
    assert "octave ratio, 512 px" not in looks.summary([small], 512)
    assert looks.summary([]) == {}


def test_style_numbers_of_stripes_by_hand():
    x = torch.zeros(1, 3, 4, 4)
    x[0, 0, :, ::2] = 1.0  # red: columns 1 0 1 0
    numbers = looks.style_numbers(x)[0]
    assert numbers.shape == (9,)
    # mean one half; standard deviation of sixteen numbers, half of them 1; each step across is 1
    expected = [0.5, 0, 0, (16 / 15 / 4) ** 0.5, 0, 0, 1, 0, 0]
    np.testing.assert_allclose(numbers, expected, atol=1e-6)


def test_style_gained_is_the_share_of_the_way():
    before, wanted = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    for share in (-0.5, 0, 0.25, 1):
        after = before + share * (wanted - before)
        assert looks.style_gained(before, after, wanted) == pytest.approx(share, abs=1e-6)
    assert looks.style_gained(before, 2 * wanted, wanted) == pytest.approx(0)  # too far counts
