"""Typing errors and keywords in captions."""

import numpy as np

from sdkit import art
from sdkit.recipes import captions


def test_a_typing_error_changes_one_word_a_little():
    rng, clean = np.random.default_rng(0), "a red lighthouse by the sea"
    errors = [captions.misspell(clean, rng, share=1) for _ in range(50)]
    for error in errors:
        assert (
            abs(len(error) - len(clean)) <= 1
            and len(error.split()) == 6
            and error.split()[0] == "a"
        )
        assert sorted(set(error)) == sorted(set(clean)) or len(set(clean) - set(error)) <= 1
    assert captions.misspell(clean, rng, share=0) == clean
    assert captions.misspell("by a", rng, share=1) == "by a"  # short words stay whole
    assert not {"a cat", "cat"} & {captions.misspell("a car", rng, share=1) for _ in range(50)}


def test_keywords_are_the_words_of_the_caption_that_mean_something():
    rng = np.random.default_rng(0)
    lists = {
        captions.as_keywords("a red boat on the left by the sea at night", rng, share=1)
        for _ in range(50)
    }
    assert len(lists) > 20 and all(
        sorted(words.split(", ")) == ["boat", "left", "night", "red", "sea"] for words in lists
    )
    two = "a red boat on the left with a green tree"
    assert captions.as_keywords(two, rng, share=1) == two and captions.as_keywords(
        "a boat by the sea", rng, share=0
    ).startswith("a ")


def test_errors_and_keywords_are_as_frequent_as_their_shares():
    rng, clean = np.random.default_rng(0), "a red boat by the sea"
    wrong = [captions.misspell(clean, rng) != clean for _ in range(3000)]
    # a doubled vowel that replaces itself is no error: a few less than a sixth
    assert 0.14 < np.mean(wrong) < 0.185
    lists = [captions.as_keywords(clean, rng) != clean for _ in range(3000)]
    assert 0.035 < np.mean(lists) < 0.065


def test_a_caption_names_its_style_and_every_caption_is_known():
    rng, known = np.random.default_rng(0), set(captions.every_caption())
    for style, names in captions.NAMES.items():
        for portrait in (False, True):
            said = {captions.caption(style, portrait, rng) for _ in range(60)}
            assert len(said) > 20 and said <= known
            assert all(any(name in one for name in names) for one in said)


def test_half_of_the_captions_name_the_subject():
    rng = np.random.default_rng(0)
    said = [captions.caption("ukiyo-e", True, rng) for _ in range(1000)]
    named = [any(word in one for word in ("portrait", "face", "person")) for one in said]
    assert 0.45 < np.mean(named) < 0.55


def test_three_captions_of_four_call_a_famous_painting_by_its_name():
    rng, known = np.random.default_rng(0), set(captions.every_caption())
    file = "van_gogh/vangogh-starry-night.jpg"
    assert captions.painting_of(file) == "starry night"
    said = [captions.caption("van gogh", False, rng, "starry night") for _ in range(400)]
    assert set(said) <= known
    assert 0.68 < np.mean(["starry night" in one for one in said]) < 0.82


def test_each_painting_that_has_a_name_is_among_the_training_pictures():
    train = {row["file"] for row in art.manifest() if row["split"] == "train"}
    for name, painting in captions.PAINTINGS.items():
        found = [file for file in train if captions.painting_of(file) == name]
        assert len(found) == len(painting.files), name
    assert captions.painting_of("van_gogh/wheatfield.jpg") is None


def test_the_name_of_a_painting_does_not_stand_for_its_painter():
    named = {name for painting in captions.PAINTINGS.values() for name in painting.names}
    assert not named & {name for names in captions.NAMES.values() for name in names}
