"""Prompts: embeddings against the pipeline, and which words a model knows."""

import pytest
import torch

from sdkit import prompts
from sdkit.errors import SdkitError


def test_embeddings_equal_those_of_the_pipeline(tiny_pipe):
    said = ["van gogh", "", "a photo of a very long sentence that does not fit"]
    embeds = prompts.encode(tiny_pipe.tokenizer, tiny_pipe.text_encoder, said)
    expected, _ = tiny_pipe.encode_prompt(said, "cpu", 1, False)
    assert embeds.shape == (3, tiny_pipe.tokenizer.model_max_length, 8)
    torch.testing.assert_close(embeds, expected)
    one = prompts.encode(tiny_pipe.tokenizer, tiny_pipe.text_encoder, "van gogh")
    torch.testing.assert_close(one, expected[:1])


def test_words_are_lower_case_and_keep_hyphens():
    assert prompts.words("A Photo, in the style of UKIYO-E: Vincent\u2019s!") == [
        "a",
        "photo",
        "in",
        "the",
        "style",
        "of",
        "ukiyo-e",
        "vincent's",
    ]
    assert prompts.words("") == []


def test_split_prompt_into_known_and_unknown_words():
    known = {"van", "gogh", "oil", "ukiyo-e"}
    assert prompts.split_prompt("Van Gogh, van Dyck", known) == (["van", "gogh"], ["dyck"])
    assert prompts.split_prompt("van-gogh ukiyo-e oil-pastel", known) == (
        ["van-gogh", "ukiyo-e"],
        ["oil-pastel"],
    )
    assert prompts.split_prompt("anything", None) == (["anything"], [])


def test_known_words_come_from_the_model_folder(tiny_sd, tmp_path):
    known = prompts.known_words(tiny_sd)
    assert prompts.split_prompt("van gogh by picasso", known)[1] == ["by", "picasso"]
    assert prompts.known_words(tmp_path) is None
    (tmp_path / "words.json").write_text("{")
    with pytest.raises(SdkitError, match="words.json is damaged"):
        prompts.known_words(tmp_path)


def test_words_in_other_forms_of_the_same_letters_are_the_same_words():
    """Unicode's compatibility forms: a ligature, and the wide letters of East Asian keyboards."""
    assert prompts.words("\ufb01sh \uff24\uff2f\uff27") == ["fish", "dog"]
