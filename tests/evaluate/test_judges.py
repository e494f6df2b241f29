"""The style classifier and its distances against their formulas; the shipped classifier on photos."""

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import judges, photos


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return judges.StyleClassifier(
        ("van gogh", "a photo"), (8, 16), crop_size=32, short_side=48
    ).eval()


def noise(seed, low=0, high=256, size=(48, 60, 3)):
    return Image.fromarray(np.random.default_rng(seed).integers(low, high, size, np.uint8))


def test_crops_cover_the_whole_picture(tiny):
    image = noise(0, size=(48, 75, 3))
    crops = tiny.crops(image)  # short side 48 already: no resampling
    x = photos.to_tensor(image)[0]
    assert crops.shape[1:] == (3, 32, 32)
    for corner in (x[:, :32, :32], x[:, -32:, :32], x[:, :32, -32:], x[:, -32:, -32:]):
        assert any(torch.allclose(crop, corner, atol=1e-6) for crop in crops)


def test_probabilities_are_the_mean_over_crops(tiny):
    image = noise(1)
    with torch.no_grad():
        expected = torch.softmax(tiny(tiny.crops(image)), -1).mean(0)
    np.testing.assert_allclose(tiny.probabilities(image), expected, atol=1e-6)
    assert tiny.probabilities(image).sum() == pytest.approx(1, abs=1e-5)
    assert tiny.score([image], "a photo")[0] == pytest.approx(float(expected[1]), abs=1e-6)


def test_kid_equals_the_unbiased_estimator(tiny):
    """Binkowski et al. (2018), equation 3: the squared MMD with the kernel (x.y / d + 1)^3, without the diagonal."""
    images, reals = [noise(k) for k in range(3)], [noise(k, 60, 120) for k in range(3, 6)]
    with torch.no_grad():
        x, y = (
            torch.cat(
                [tiny.pooled(((tiny.crops(i) + 1) * 127.5).round() / 127.5 - 1) for i in some]
            )
            .double()
            .numpy()
            for some in (images, reals)
        )

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    n = len(x)
    off = 1 - np.eye(n)
    expected = ((kernel(x, x) + kernel(y, y)) * off).sum() / (n * (n - 1)) - 2 * kernel(x, y).mean()
    assert judges.kid(images, reals, tiny) == pytest.approx(expected, rel=1e-3)
    assert abs(judges.kid(reals[:1] * 3, reals[:1] * 3, tiny)) < abs(
        judges.kid(images, reals, tiny)
    )


def test_the_shipped_classifier_recognises_photographs():
    classifier = judges.StyleClassifier.load()
    images = [photos.sample(name) for name in photos.SAMPLES]
    verdicts = [
        classifier.config.styles[int(classifier.probabilities(image).argmax())] for image in images
    ]
    assert verdicts.count("a photo") >= 3, verdicts  # 92 % of photographs, by its card
    assert np.mean(classifier.score(images)) < 0.1
