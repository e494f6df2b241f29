"""Measures of quality that need no network: PSNR, SSIM, faces found, intervals, scores of points.

The first three take pictures; `mode_scores` and `sliced_wasserstein` take points in the plane.
Measures that use a network are in `sdkit.evaluate.judges`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from sdkit.toy.points import Mixture


def _grey(image: Image.Image, short_side: int) -> np.ndarray:
    """A PIL picture to a grey float64 array (H, W) in [0, 1] with the given short side in px."""
    scale = short_side / min(image.size)
    small = image.convert("L").resize(
        [round(side * scale) for side in image.size], Image.Resampling.LANCZOS
    )
    return np.asarray(small, np.float64) / 255


def psnr(image: Image.Image | np.ndarray, reference: Image.Image | np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB between two 8-bit pictures of one size, infinite if equal.

    10 log10(255^2 / MSE), by scikit-image.
    """
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(np.asarray(reference), np.asarray(image), data_range=255))


def blurred_ssim(image: Image.Image, reference: Image.Image, sigma: float = 2.0) -> float:
    """How much of the structure is kept, in [-1, 1]: SSIM of blurred grey pictures.

    SSIM (Wang et al. 2004) at a short side of 256 px, after a Gaussian blur of ``sigma`` px. The
    blur hides brush strokes, so only changes of the larger shapes count.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.metrics import structural_similarity

    a, b = (gaussian_filter(_grey(picture, 256), sigma) for picture in (image, reference))
    return float(structural_similarity(a, b, data_range=1.0))


@lru_cache(maxsize=1)
def _face_detector() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def face_boxes(image: Image.Image) -> np.ndarray:
    """Boxes (n, 4) of frontal faces: left, top, right, bottom, as shares of width and height.

    scikit-image's cascade on local binary patterns, at a short side of 256 px; faces of at least 40
    px there.
    """
    grey = (_grey(image, 256) * 255).astype(np.uint8)
    found = _face_detector().detect_multi_scale(
        grey, scale_factor=1.1, step_ratio=1, min_size=(40, 40), max_size=(256, 256)
    )
    height, width = grey.shape
    corners = [
        (box["c"], box["r"], box["c"] + box["width"], box["r"] + box["height"]) for box in found
    ]
    return np.array(corners, np.float64).reshape(-1, 4) / (width, height, width, height)


def face_found(image: Image.Image) -> bool:
    """Whether `face_boxes` finds a face."""
    return len(face_boxes(image)) > 0


def wilson(right: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The confidence interval (low, high) of a share, if ``right`` of ``count`` trials succeeded.

    Wilson (1927), by scipy. Both ends are in [0, 1].
    """
    from scipy.stats import binomtest

    interval = binomtest(int(right), int(count)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def auc(yes: Sequence[float], no: Sequence[float]) -> float:
    """The area under the ROC curve, 0 to 1: how well a score tells two groups apart.

    It is the probability that a member of the group `yes` has a larger score than one of `no`.
    Equal scores count one half (Hanley and McNeil 1982).
    """
    return float(_wins(yes, no).mean())


def auc_interval(
    yes: Sequence[float], no: Sequence[float], repeats: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """`auc` and its 95 % interval: (auc, low, high).

    By the bootstrap (Efron 1979): both groups are drawn again from themselves, `repeats` times.
    """
    wins, rng = _wins(yes, no), np.random.default_rng(seed)
    n, m = wins.shape
    drawn = [
        wins[rng.integers(n, size=n)][:, rng.integers(m, size=m)].mean() for _ in range(repeats)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(wins.mean()), float(low), float(high)


def _wins(yes: Sequence[float], no: Sequence[float]) -> np.ndarray:
    """(N, M): 1 where the score of `yes` is larger, 1/2 where both are equal, else 0."""
    difference = np.subtract.outer(np.asarray(yes, float), np.asarray(no, float))
    return (np.sign(difference) + 1) / 2


def mode_scores(samples: torch.Tensor, mixture: Mixture) -> tuple[int, float, float]:
    """How well do samples (n, 2) cover a mixture? (modes covered, high-quality share, reverse KL).

    The protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018, section 4.1), which
    take n = 2,500. A sample is of high quality if it lies within 3 sigma of its nearest mode. A
    mode is covered if at least one sample of high quality is nearest to it. The reverse KL, in
    nats, is KL(histogram || uniform), where the histogram counts every sample at its nearest mode.
    """
    distance, nearest = torch.cdist(samples, mixture.centres.to(samples)).min(1)  # (n,) each
    good = distance <= 3 * mixture.sigma
    share = torch.bincount(nearest, minlength=len(mixture.centres)) / len(samples)  # (K,)
    reverse_kl = torch.xlogy(share, share * len(share)).sum()
    return len(nearest[good].unique()), float(good.float().mean()), float(reverse_kl)


def sliced_wasserstein(x: torch.Tensor, y: torch.Tensor, directions: int = 64) -> float:
    """Sliced Wasserstein-1 distance (Bonneel et al. 2015) between two sets of points, (n, 2) each.

    The points are projected onto a line. There, the distance is how far the points of one set must
    move on average to become the other set; it has the unit of the points. The result is the mean
    over `directions` lines.
    """
    angles = torch.arange(directions) * torch.pi / directions
    lines = torch.stack([angles.cos(), angles.sin()]).to(x)  # (2, directions)
    return float(((x @ lines).sort(0).values - (y @ lines).sort(0).values).abs().mean())


def octave_ratio(image: Image.Image | np.ndarray, short_side: int | None = 256) -> float:
    """Contrast of the finest over that of the coarsest octave of a picture's luminance.

    Standard deviations of the first and the last band of a Laplacian pyramid with Gaussians of
    sigma 1, 2, 4, 8 and 16 px (Burt & Adelson 1983), at a short side of 256 px or, for None, at
    the picture's own size. Paint has more fine contrast than a photograph: real Van Goghs have
    about 1.8, photographs 0.9.
    """
    from scipy.ndimage import gaussian_filter

    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    grey = _grey(image, short_side or min(image.size))
    finest = grey - gaussian_filter(grey, 1)
    coarsest = gaussian_filter(grey, 8) - gaussian_filter(grey, 16)
    return float(finest.std() / max(coarsest.std(), 1e-6))


def clipped_share(image: Image.Image | np.ndarray) -> float:
    """Share of pixels with a channel under 2 % or over 98 % of the scale, 0 to 1."""
    pixels = np.asarray(image, np.float32) / 255
    return float(((pixels < 0.02) | (pixels > 0.98)).any(-1).mean())
