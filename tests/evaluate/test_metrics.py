"""The plain measures against closed forms."""

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import metrics, photos, points


def test_psnr_of_a_known_error():
    black, grey = (Image.new("RGB", (16, 16), (level,) * 3) for level in (0, 10))
    assert metrics.psnr(grey, black) == pytest.approx(20 * np.log10(255 / 10), abs=1e-6)


def test_blurred_ssim_ignores_grain_but_not_another_picture():
    cat, cup = photos.sample("chelsea"), photos.sample("coffee").resize((451, 300))
    grain = np.random.default_rng(0).normal(0, 15, np.asarray(cat).shape)
    grainy = Image.fromarray((np.asarray(cat) + grain).clip(0, 255).astype(np.uint8))
    assert metrics.blurred_ssim(cat, cat) == pytest.approx(1)
    assert metrics.blurred_ssim(grainy, cat) > 0.9
    assert metrics.blurred_ssim(cup, cat) < 0.5


def test_a_face_is_found_only_in_the_portrait():
    assert metrics.face_found(photos.sample("astronaut"))
    assert not metrics.face_found(photos.sample("coffee"))


def test_mode_scores_of_samples_with_known_scores():
    centres = points.GRID.centres
    assert metrics.mode_scores(centres, points.GRID) == (25, 1.0, pytest.approx(0, abs=1e-6))
    collapsed = centres[:1] + 0.01 * torch.ones(100, 2)
    assert metrics.mode_scores(collapsed, points.GRID) == (
        1,
        1.0,
        pytest.approx(np.log(25), abs=1e-5),
    )
    # Three of four samples are on two modes. The fourth is 3.2 sigma from a third mode: it counts
    # in the histogram, but does not cover the mode.
    samples = torch.stack(
        [centres[0], centres[0], centres[7], centres[9] + torch.tensor([0.16, 0])]
    )
    kl = 0.5 * np.log(0.5 * 25) + 2 * 0.25 * np.log(0.25 * 25)
    assert metrics.mode_scores(samples, points.GRID) == (2, 0.75, pytest.approx(kl, abs=1e-5))
    nothing = torch.full((10, 2), float("nan"))  # a training that blew up
    assert metrics.mode_scores(nothing, points.GRID)[:2] == (0, 0.0)


@pytest.mark.parametrize("mixture", [points.GRID, points.RING])
def test_mode_scores_of_samples_from_the_mixture(mixture):
    """1 - exp(-9/2) of a Gaussian in the plane lies within 3 sigma; KL is about (K - 1) / (2 n)."""
    n, k = 100_000, len(mixture.centres)
    modes, good, kl = metrics.mode_scores(
        mixture.sample(n, torch.Generator().manual_seed(0)), mixture
    )
    assert modes == k
    assert good == pytest.approx(1 - np.exp(-4.5), abs=0.002)
    assert 0 < kl < 4 * (k - 1) / (2 * n)


def test_sliced_wasserstein_of_a_shift_and_on_one_line():
    """A shift by v gives |v . line| on each line, on average 2 / pi |v|; one line against scipy."""
    from scipy.stats import wasserstein_distance

    x, y = torch.randn(2, 500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shift = torch.tensor([0.3, -0.4])
    assert metrics.sliced_wasserstein(x, x + shift) == pytest.approx(0.5 * 2 / np.pi, rel=1e-3)
    assert metrics.sliced_wasserstein(x, x[torch.randperm(500)]) == pytest.approx(0, abs=1e-12)
    one = metrics.sliced_wasserstein(x, y, directions=1)
    assert one == pytest.approx(wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy()), abs=1e-12)


def test_wilson_against_its_closed_form():
    right, n, z = 45, 50, 1.959964
    centre = (right + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (right * (n - right) / n + z**2 / 4) ** 0.5
    assert metrics.wilson(right, n) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_blurred_ssim_sees_all_colours():
    cat = np.asarray(photos.sample("chelsea")).copy()
    cat[:, :, 1] = cat[::-1, :, 1]  # only green changes
    assert metrics.blurred_ssim(Image.fromarray(cat), photos.sample("chelsea")) < 0.9


def test_octave_ratio_of_a_wave_is_that_of_its_gains():
    """A Gaussian of sigma px multiplies a wave of w radians per px by exp(-(sigma w)^2 / 2)."""
    x = (np.arange(256) + 0.5) * 2 * np.pi / 32  # 8 whole waves: mirroring at an edge goes on
    levels = np.tile(127.5 + 100 * np.cos(x), (256, 1)).round().astype(np.uint8)
    gain = {sigma: np.exp(-((sigma * 2 * np.pi / 32) ** 2) / 2) for sigma in (1, 8, 16)}
    expected = (1 - gain[1]) / (gain[8] - gain[16])
    assert metrics.octave_ratio(levels) == pytest.approx(expected, rel=0.05)  # 8 bits round
    twice = Image.fromarray(levels).resize((512, 512), Image.Resampling.BICUBIC)
    assert metrics.octave_ratio(twice) == pytest.approx(expected, rel=0.05)
    assert metrics.octave_ratio(twice, None) < expected / 2  # waves of 64 px have less that is fine


def test_octave_ratio_of_white_noise():
    """The covariance of noise under Gaussians of a and b px is 1 / (2 pi (a^2 + b^2))."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024), np.uint8)
    finest = 1 - 2 / (2 * np.pi) + 1 / (4 * np.pi)
    coarsest = (1 / 8**2 + 1 / 16**2) / (4 * np.pi) - 2 / (2 * np.pi * (8**2 + 16**2))
    expected = (finest / coarsest) ** 0.5
    assert metrics.octave_ratio(noise, None) == pytest.approx(expected, rel=0.1)
    half = (noise // 2).astype(np.uint8)  # half of the contrast in both octaves
    assert metrics.octave_ratio(half, None) == pytest.approx(
        metrics.octave_ratio(noise, None), rel=0.01
    )


def test_octave_ratio_of_a_flat_picture_is_zero():
    assert metrics.octave_ratio(Image.new("RGB", (64, 64), (90, 20, 200))) == pytest.approx(
        0, abs=1e-6
    )


def test_clipped_share_counts_pixels_with_a_channel_at_the_end():
    """2 % of the scale is grey level 5.1, 98 % is 249.9."""
    levels = np.full((10, 10, 3), 128, np.uint8)
    levels[0, :4] = [[0, 0, 0], [128, 128, 255], [5, 128, 128], [128, 250, 128]]
    levels[1, :2] = [[6, 128, 128], [128, 249, 128]]  # just inside
    assert metrics.clipped_share(levels) == pytest.approx(0.04)
    for level, share in ((0, 1), (255, 1), (128, 0)):
        assert metrics.clipped_share(Image.new("RGB", (8, 8), (level,) * 3)) == share


def test_auc_equals_mann_whitney_also_with_ties():
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    yes, no = rng.integers(0, 9, 40), rng.integers(0, 7, 30)
    theirs = mannwhitneyu(yes, no).statistic / (40 * 30)
    assert metrics.auc(yes, no) == pytest.approx(theirs)
    assert metrics.auc([2, 3], [0, 1]) == 1 and metrics.auc([1.0], [1.0]) == 0.5


def test_the_interval_of_an_auc_holds_the_truth_as_often_as_it_says():
    """Scores one standard deviation apart: the true AUC is that of a normal at 1 / sqrt(2)."""
    truth, rng = 0.7602, np.random.default_rng(1)
    found = [
        metrics.auc_interval(rng.normal(1, 1, 60), rng.normal(0, 1, 60), 200) for _ in range(100)
    ]
    assert 88 <= sum(low <= truth <= high for _, low, high in found) <= 99
    assert all(low <= value <= high for value, low, high in found)


def test_the_interval_of_the_auc_is_as_wide_as_its_variance_says():
    """Two equal groups: the variance of the AUC is (N + M + 1) / 12NM (Mann and Whitney 1947)."""
    rng, n, m = np.random.default_rng(2), 80, 100
    spread = ((n + m + 1) / (12 * n * m)) ** 0.5
    found = [metrics.auc_interval(rng.normal(size=n), rng.normal(size=m)) for _ in range(20)]
    widths = [(high - low) / (2 * spread) for _, low, high in found]
    assert np.mean(widths) == pytest.approx(1.96, rel=0.08)  # the 90 % interval would be 1.64
