"""The reader of postcards: its loss by hand, and what its batches hold."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sdkit import photos, postcards
from sdkit.recipes import cards, reader, training

TINY = reader.Settings(out=Path("o"), batch_size=5, drawn=12, size=32, channels=(8, 16))


@pytest.fixture(scope="module")
def data():
    return reader.Data(*cards.render(12, 32, seed=2))


def test_the_loss_is_summed_over_the_parts():
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(4, len(words), generator=generator) for words in postcards.WORDS.values()]
    right = torch.stack([torch.arange(4) % part.shape[1] for part in logits], 1)  # (B, parts)
    loss, _ = reader.loss(TINY, lambda x: logits, reader.Batch(torch.zeros(4, 3, 8, 8), right))
    by_hand = 0
    for part, column in zip(logits, right.T):
        shares = np.exp(part.numpy()) / np.exp(part.numpy()).sum(1, keepdims=True)
        by_hand -= np.log(shares[range(4), column]).mean()
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_words_are_those_of_the_pictures_in_the_batch(data, monkeypatch):
    monkeypatch.setattr(reader, "soften", lambda square, rng: square)
    batch = reader.make_batch(TINY, data, training.rng(0, 0))
    for x, words in zip(batch.pictures, batch.words):
        (card,) = (
            card
            for card, drawing in zip(data.cards, data.drawings)
            if (photos.to_uint8(x) == drawing).all()
        )
        assert words.tolist() == postcards.indices(card)


def test_each_step_has_its_own_postcards_and_the_same_ones_again(data):
    first, again, other = (reader.make_batch(TINY, data, training.rng(0, s)) for s in (3, 3, 4))
    assert all(map(torch.equal, first, again)) and not torch.equal(first.pictures, other.pictures)


def test_softening_changes_a_postcard_a_little():
    rng, square = np.random.default_rng(0), cards.render(1, 32)[1][0]
    changed = [np.abs(reader.soften(square, rng).astype(float) - square).mean() for _ in range(60)]
    assert 0.5 < np.mean(np.array(changed) > 0) < 1 and max(changed) < 25
