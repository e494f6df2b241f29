"""The style classifier: its loss by hand, and what its batches hold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import art, photos
from sdkit.recipes import classifier, training

TINY = classifier.Settings(out=Path("o"), batch_size=8, size=32, channels=(8, 16))


def picture(file, style, grey):
    return art.Picture(file, style, "", Image.new("RGB", (300, 320), (grey, grey, grey)))


@pytest.fixture
def pictures():
    return [
        picture("van_gogh/1", "van gogh", 10),
        picture("van_gogh/2", "van gogh", 20),
        picture("photo/1", "a photo", 100),
        picture("portrait/1", "a photo", 120),
    ]


def test_the_loss_is_the_mean_negative_log_probability_of_the_right_style():
    logits, right = torch.tensor([[2.0, 0, -1], [0, 0, 5]]), torch.tensor([0, 1])
    batch = classifier.Batch(torch.zeros(2, 3, 8, 8), right)
    loss, figures = classifier.loss(TINY, lambda x: logits, batch)
    shares = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    assert loss.item() == pytest.approx(-np.log(shares[[0, 1], [0, 1]]).mean(), rel=1e-5)
    assert figures["accuracy"] == 0.5


def test_styles_are_equally_frequent_and_labels_are_those_of_the_pictures(pictures, monkeypatch):
    monkeypatch.setattr(classifier, "jitter", lambda square, rng: square)
    groups, seen = classifier.group_pictures(pictures), []
    assert [len(group) for group in groups] == [2, 1, 1]
    for step in range(100):
        batch = classifier.make_batch(TINY, groups, training.rng(0, step))
        greys = photos.to_uint8(batch.pictures)[:, 0, 0, 0]
        expected = [art.STYLES.index("van gogh" if grey < 50 else "a photo") for grey in greys]
        assert batch.styles.tolist() == expected
        seen += greys.tolist()
    shares = [np.mean(np.isin(seen, some)) for some in ([10, 20], [100], [120])]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.05)


def test_each_step_has_its_own_crops_and_the_same_ones_again(pictures):
    groups = classifier.group_pictures(pictures)
    first, again, other = (
        classifier.make_batch(TINY, groups, training.rng(0, step)) for step in (3, 3, 4)
    )
    assert all(map(torch.equal, first, again)) and not torch.equal(first.pictures, other.pictures)


def test_jitter_changes_a_crop_a_little_and_often():
    rng = np.random.default_rng(0)
    square = np.full((32, 32, 3), (90, 120, 150), np.uint8)
    changed = [
        np.abs(classifier.jitter(square, rng).astype(float) - square).mean() for _ in range(100)
    ]
    assert np.mean(np.array(changed) > 0) > 0.9 and max(changed) < 100


def test_accuracy_is_counted_over_all_and_by_style(pictures):
    class Fake:
        config = type("Config", (), {"styles": ("van gogh", "a photo")})

        def probabilities(self, image):
            return np.array([1, 0]) if image.getpixel((0, 0))[0] < 15 else np.array([0, 1])

    right = classifier.accuracy(Fake(), pictures)
    assert right == {"all": 0.75, "van gogh": 0.5, "a photo": 1.0}
