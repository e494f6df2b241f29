"""The judges and their distances against formulas; the shipped style classifier on photos."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import judges, photos, postcards


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
    """Binkowski et al. (2018), equation 3: squared MMD, kernel (x.y / d + 1)^3, no diagonal."""
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


def test_feature_distance_is_lpips_without_learned_weights(tiny):
    """Zhang et al. (2018), equation 1, by loops: unit vectors at each place, mean, sum of maps."""
    image, other = noise(0), noise(1)
    with torch.no_grad():
        maps = [tiny.features(photos.to_tensor(picture)) for picture in (image, other)]
    expected = 0
    for a, b in zip(*maps):
        a, b = (f[0].flatten(1).T.double().numpy() for f in (a, b))  # (h w, C)
        a, b = (f / np.linalg.norm(f, axis=1, keepdims=True) for f in (a, b))
        expected += ((a - b) ** 2).sum(1).mean()
    assert judges.feature_distance(image, other, tiny) == pytest.approx(expected, rel=1e-4)
    assert judges.feature_distance(image, image, tiny) == 0


def test_pooled_features_are_the_mean_of_the_activated_last_map(tiny):
    x = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        last = tiny.features(x)[-1]
        expected = (last * last.sigmoid()).flatten(2).mean(2)  # SiLU is x sigmoid(x)
        torch.testing.assert_close(tiny.pooled(x), expected)


def test_the_reader_gives_the_most_probable_word_of_each_part():
    torch.manual_seed(0)
    reader = judges.PostcardReader((8, 8, 8), 64).eval()
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        logits = [part.numpy() for part in reader(x)]
    for k, answer in enumerate(reader.read(x)):
        for (part, words), values in zip(postcards.WORDS.items(), logits):
            assert answer[part] == words[int(np.argmax(values[k]))]


def test_probabilities_are_averaged_and_not_logits(tiny):
    """With confident verdicts the mean of the softmax differs from the softmax of the mean."""
    logits = torch.tensor([[9.0, 0.0], [0.0, 1.0]])
    classifier = copy.deepcopy(tiny)
    classifier.forward = lambda crops: logits
    expected = (torch.sigmoid(torch.tensor(9.0)) + torch.sigmoid(torch.tensor(-1.0))) / 2
    assert classifier.probabilities(noise(0))[0] == pytest.approx(float(expected), abs=1e-6)


def test_crops_overlap(tiny):
    """There are 1.5 crops for each crop's length.

    That makes ceil(1.5 * 48 / 32) rows and ceil(1.5 * 75 / 32) columns.
    """
    assert len(tiny.crops(noise(0, size=(48, 75, 3)))) == 3 * 4


def test_kid_is_the_same_each_time_and_leaves_the_random_generator_alone(tiny):
    images, reals = [noise(k) for k in range(2)], [noise(k, 60, 120) for k in range(2, 4)]
    torch.manual_seed(5)
    first, after = judges.kid(images, reals, tiny, subset_size=5), torch.rand(1)
    assert judges.kid(images, reals, tiny, subset_size=5) == first
    torch.manual_seed(5)
    assert torch.rand(1) == after


def test_residual_blocks_halve_odd_sizes_too():
    assert judges.ResidualBlock(8, 16)(torch.zeros(1, 8, 5, 7)).shape == (1, 16, 3, 4)
