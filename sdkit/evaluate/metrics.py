"""How good is a picture? Plain measures, without a network: PSNR, structure kept, faces found again.

These take PIL pictures; the last two functions take points in the plane. Measures by a network are in `judges`.
"""

from functools import lru_cache

import numpy as np
import torch
from PIL import Image


def _grey(image, short_side):
    """PIL picture -> grey float array in [0, 1] with the given short side in px."""
    scale = short_side / min(image.size)
    small = image.convert("L").resize(
        [round(side * scale) for side in image.size], Image.Resampling.LANCZOS
    )
    return np.asarray(small, np.float64) / 255


def psnr(image, reference):
    """Peak signal-to-noise ratio in dB between two RGB pictures of one size."""
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(np.asarray(reference), np.asarray(image), data_range=255))


def blurred_ssim(image, reference, sigma=2.0):
    """Structure kept, in [-1, 1]: SSIM (Wang et al. 2004) of the grey pictures at a short side of 256 px.

    Both are first blurred with a Gaussian of ``sigma`` px: strokes may change, what is where may not.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.metrics import structural_similarity

    a, b = (gaussian_filter(_grey(picture, 256), sigma) for picture in (image, reference))
    return float(structural_similarity(a, b, data_range=1.0))


@lru_cache(maxsize=1)
def _face_detector():
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def face_found(image):
    """Whether scikit-image's frontal face cascade (local binary patterns) finds a face, at a short side of 256 px."""
    grey = (_grey(image, 256) * 255).astype(np.uint8)
    return (
        len(
            _face_detector().detect_multi_scale(
                grey, scale_factor=1.1, step_ratio=1, min_size=(40, 40), max_size=(256, 256)
            )
        )
        > 0
    )


def wilson(right, count, confidence=0.95):
    """The interval (low, high) in which the true share lies, seeing ``right`` of ``count`` (Wilson 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(int(right), int(count)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mode_scores(samples, mixture):
    """How well do samples (n, 2) cover a `points.Mixture`? (modes covered, share of high quality, reverse KL in nats).

    The protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018, section 4.1), there with n = 2,500: a
    sample is of high quality within 3 sigma of its nearest mode; a mode is covered that has such a sample. For the
    reverse KL each sample, good or not, counts for its nearest mode: KL(histogram of modes || uniform).
    """
    distance, nearest = torch.cdist(samples, mixture.centres.to(samples)).min(1)
    good = distance <= 3 * mixture.sigma
    share = torch.bincount(nearest, minlength=len(mixture.centres)) / len(samples)
    reverse_kl = torch.xlogy(share, share * len(share)).sum()
    return len(nearest[good].unique()), float(good.float().mean()), float(reverse_kl)


def sliced_wasserstein(x, y, directions=64):
    """Sliced Wasserstein-1 distance (Bonneel et al. 2015) between two sets of n points, each (n, 2), in their unit.

    How far points must move on average so that one set becomes the other, seen along a line; mean over lines.
    """
    angles = torch.arange(directions) * torch.pi / directions
    lines = torch.stack([angles.cos(), angles.sin()]).to(x)
    return float(((x @ lines).sort(0).values - (y @ lines).sort(0).values).abs().mean())
