"""Tokenizer, contrastive loss and batches of CLIP, against transformers and torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from sdkit import art, postcards
from sdkit.recipes import captions, text, training

TINY = text.Settings(
    out=Path("o"),
    out_clip=Path("c"),
    batch_size=6,
    postcards_per_step=8,
    drawn=30,
    size=32,
    width=16,
    layers=1,
)


@pytest.fixture(scope="module")
def tokenizer():
    return text.make_tokenizer(captions.vocabulary())


@pytest.fixture(scope="module")
def data(tokenizer):
    pictures = [
        art.Picture(f"x/{style}", style, "", Image.new("RGB", (80, 80), (40 * k, 40 * k, 40 * k)))
        for k, style in enumerate(art.STYLES)
    ]
    return text.load_data(TINY, pictures, tokenizer)


def test_tokenizer_reads_every_caption_and_any_other_text(tokenizer):
    end = tokenizer.eos_token_id
    for prompt in [*captions.every_caption()[::200], "a zebra", "x", "浮世絵", "don't!"]:
        ids = tokenizer(prompt).input_ids
        assert ids[0] == tokenizer.bos_token_id and ids[-1] == end
        assert end not in ids[1:-1], prompt  # an unknown word would end the text
    assert len(tokenizer("van gogh").input_ids) == 4
    assert tokenizer("Vincent VAN Gogh").input_ids == tokenizer("vincent van gogh").input_ids


def test_contrastive_loss_equals_clip_and_cross_entropy_when_each_caption_fits_one_picture():
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    loss, right = text.contrastive_loss(logits, torch.eye(5)), torch.arange(5)
    torch.testing.assert_close(loss, image_text_contrastive_loss(logits))
    both = F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)
    torch.testing.assert_close(loss, both / 2)


def test_contrastive_loss_counts_every_right_pair():
    """The best logits for a caption of two pictures share the weight: the loss is the entropy."""
    fits = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    loss = text.contrastive_loss(torch.where(fits > 0, 0.0, -100.0), fits)
    assert loss.item() == pytest.approx((2 * np.log(2) + 0) / 3, abs=1e-6)


def test_contrastive_loss_weighs_several_right_answers_alike():
    """Against cross-entropy with probabilities as targets, for an asymmetric table."""
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    fits = torch.tensor([[1.0, 1, 1], [0, 1, 0], [0, 0, 1]])
    rows = F.cross_entropy(logits, fits / fits.sum(1, keepdim=True))
    columns = F.cross_entropy(logits.T, fits.T / fits.T.sum(1, keepdim=True))
    torch.testing.assert_close(text.contrastive_loss(logits, fits), (rows + columns) / 2)


def test_the_loss_is_that_of_the_network_s_logits(tokenizer, data):
    torch.manual_seed(0)
    model = text.new_network(TINY, tokenizer).eval()
    batch = text.make_batch(TINY, data, training.rng(0, 0))
    batch = batch._replace(fits=torch.eye(len(batch.ids)).bool())
    loss, figures = text.loss(TINY, model, batch)
    own = model(input_ids=batch.ids, pixel_values=batch.pictures, return_loss=True).loss
    torch.testing.assert_close(loss, own)
    assert figures["loss"] is loss


def test_the_text_encoder_has_the_weights_of_clip_s_text_network(tokenizer):
    torch.manual_seed(0)
    model = text.new_network(TINY, tokenizer).eval()
    ids = text.tokens(tokenizer, ["a red boat by the sea", ""])
    assert ids.shape == (2, text.LENGTH)
    expected = model.text_model(input_ids=ids)
    got = text.text_encoder_of(model).eval()(ids)
    torch.testing.assert_close(got.last_hidden_state, expected.last_hidden_state)
    torch.testing.assert_close(got.pooler_output, expected.pooler_output)


def test_a_batch_holds_art_first_and_says_which_captions_fit(data, monkeypatch):
    monkeypatch.setattr(captions, "misspell", lambda caption, rng: caption)
    monkeypatch.setattr(text, "jitter", lambda square, rng: square)
    batch = text.make_batch(TINY, data, training.rng(0, 1))
    count = TINY.batch_size
    assert batch.pictures.shape == (14, 3, 32, 32) and batch.fits.shape == (14, 14)
    styles = [round((x.mean().item() + 1) * 127.5 / 40) for x in batch.pictures[:count]]
    for k, style in enumerate(styles):
        said = data.tokenizer.decode(batch.ids[k], skip_special_tokens=True)
        assert any(name in said for name in captions.NAMES[art.STYLES[style]]), (said, style)
        assert batch.fits[k, :count].tolist() == [style == other for other in styles]
    assert not batch.fits[:count, count:].any() and not batch.fits[count:, :count].any()
    assert batch.fits.diagonal().all()


def test_rows_of_the_table_are_pictures_and_columns_captions(data, monkeypatch):
    """A caption of one thing is true of a picture with two, but not the other way round."""
    one = postcards.Postcard("cat", "red", "left", "sea", "day")
    two = replace(one, second=("blue", "tree"))
    both = replace(TINY, batch_size=1, postcards_per_step=2)
    monkeypatch.setattr(text, "hard_choice", lambda *given: [0, 1])
    monkeypatch.setattr(postcards, "leave_unsaid", lambda rng: set())
    shown = replace(data, cards=[one, two], drawings=data.drawings[:2])
    fits = text.make_batch(both, shown, training.rng(0, 0)).fits[1:, 1:]
    assert fits.tolist() == [[True, False], [True, True]]


def test_each_step_has_its_own_batch_and_the_same_one_again(data):
    first, again, other = (text.make_batch(TINY, data, training.rng(0, s)) for s in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.pictures, other.pictures) and not torch.equal(first.ids, other.ids)


def test_a_caption_fits_the_postcards_of_which_it_is_true():
    red, blue = (
        postcards.Postcard("cat", colour, "left", "sea", "day") for colour in ("red", "blue")
    )
    beside = replace(red, second=("pink", "tree"))
    assert text.fits(red, ["thing", "ground"], blue) and not text.fits(
        red, ["thing", "colour"], blue
    )
    assert text.fits(beside, ["thing", "colour"], red) and not text.fits(
        red, ["thing", "colour"], beside
    )


def test_a_batch_for_clip_holds_groups_that_share_two_parts():
    shown = [postcards.sample(0, index) for index in range(400)]
    alike = {
        (part, word): [k for k, card in enumerate(shown) if getattr(card, part) == word]
        for part, words in postcards.WORDS.items()
        for word in words
    }
    chosen = text.hard_choice(shown, alike, 15, np.random.default_rng(0), groups=4)
    assert len(chosen) == 15
    for group in (chosen[k : k + 4] for k in range(0, 15, 4)):
        same = [
            part for part in postcards.PARTS if len({getattr(shown[k], part) for k in group}) == 1
        ]
        assert len(set(same) - {"thing"}) >= 2
