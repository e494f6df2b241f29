"""Lesson 06: its functions do what sdkit and diffusers do."""

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from sdkit import postcards
from sdkit.evaluate.measure import zero_shot_postcards
from sdkit.recipes.text import contrastive_loss, learn_merges
from tests.taught import taught

TEXT = "06_text_encoder.ipynb"


@pytest.fixture(scope="module")
def reader(tiny_sd):
    """A tiny random CLIP and the tiny tokenizer."""
    tokenizer = CLIPTokenizer.from_pretrained(tiny_sd / "tokenizer")
    tower = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    words = dict(
        vocab_size=len(tokenizer), max_position_embeddings=48, eos_token_id=tokenizer.eos_token_id
    )
    torch.manual_seed(0)
    return tokenizer, CLIPModel(
        CLIPConfig(
            text_config=tower | words,
            projection_dim=8,
            vision_config=tower | dict(image_size=32, patch_size=8),
        )
    ).eval()


def test_byte_pairs_equal_those_of_the_recipe():
    cells, words = taught(TEXT), {"seaside": 5, "sea": 9, "lighthouse": 3, "house": 4, "aaaa": 2}
    pieces, merges = {word: [*word[:-1], word[-1] + "</w>"] for word in words}, []
    for _ in range(12):
        pairs = cells["common_pairs"](words, pieces)
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        pieces = {word: cells["join"](parts, merges[-1]) for word, parts in pieces.items()}
    assert merges == learn_merges(words, 12)


def test_rows_in_the_solution_equal_the_word_ids_of_the_tokenizer(reader):
    said = "a zebra in the style of van gogh, a lighthouse in a meadow"
    tokenizer, rows_of = reader[0], taught(f"solutions/{TEXT}")["rows_of"]
    encoding, words = tokenizer(said), said.replace(",", " ,").split()
    for word in set(words):
        assert rows_of(tokenizer.tokenize(said), word) == [
            row for row, k in enumerate(encoding.word_ids()) if k is not None and words[k] == word
        ]


def test_attention_equals_that_of_torch():
    q, k, v = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))
    torchs = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(taught(TEXT)["attention"](q, k, v), torchs(q, k, v))
    solved = taught(f"solutions/{TEXT}")["causal_attention"](q, k, v)
    torch.testing.assert_close(solved, torchs(q, k, v, is_causal=True))


def test_contrastive_loss_equals_transformers_and_the_recipe(reader):
    (tokenizer, model), cells = reader, taught(TEXT)
    cells["tokenizer"] = tokenizer
    said, x = ["van gogh", "a house by the sea", "ukiyo-e"], torch.randn(3, 3, 32, 32)
    ids = tokenizer(said, padding="max_length", max_length=48, return_tensors="pt").input_ids
    with torch.no_grad():
        ours = cells["contrastive_loss"](
            cells["see"](model, x), cells["read_texts"](model, said), model.logit_scale.exp()
        )
        theirs = model(input_ids=ids, pixel_values=x, return_loss=True)  # padded to the full length
    torch.testing.assert_close(ours, theirs.loss)
    torch.testing.assert_close(ours, contrastive_loss(theirs.logits_per_image, torch.eye(3)))


def test_zero_shot_equals_that_of_measure(reader):
    (tokenizer, model), cells = reader, taught(TEXT)
    shown = [postcards.sample(2, i, held_out=True) for i in range(6)]
    cells |= {"tokenizer": tokenizer, "shown": shown}
    x = cells["drawn"](shown, 32)
    wanted = zero_shot_postcards(model, tokenizer, shown, x)
    with torch.no_grad():
        ours = {part: cells["zero_shot"](model, x, part) for part in postcards.PARTS}
    assert {part: round(float(right.mean()), 3) for part, right in ours.items()} == wanted


def test_the_probe_finds_a_pattern_and_only_guesses_on_noise():
    x, probe = (
        torch.randn(600, 5, generator=torch.Generator().manual_seed(0)),
        taught(TEXT)["probe"],
    )
    assert probe(x, (x[:, 2] > 0).long(), train=400) > 0.9
    noise = torch.randint(4, (600,), generator=torch.Generator().manual_seed(1))
    assert 0.1 < probe(x, noise, train=400) < 0.4  # 200 guesses of one in four


def test_loss_of_knowing_in_closed_form():
    """If nothing is known, the loss is the logarithm of the batch size.

    If everything is known and all captions differ, the loss is 0.
    """
    cells = taught(TEXT)
    cells["cards"] = [
        postcards.Postcard("cat", colour, "left", "sea", "day") for colour in postcards.COLOURS
    ]
    loss = cells["loss_of_knowing"]
    assert loss((), [range(8), range(8)]) == pytest.approx(np.log(8))
    assert loss(("thing", "place"), [range(8)]) == pytest.approx(np.log(8))
    assert loss(("colour",), [range(8)]) == 0
    assert loss(("colour",), [[0, 0, 1, 2]]) == pytest.approx(np.log(2) / 2)
