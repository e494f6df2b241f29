"""Advice on prompts: what is suggested for words that the shipped model does not know, and why."""

import pytest

from sdkit import postcards, prompts
from sdkit.diffusion import advice
from sdkit.files import model_dir
from sdkit.recipes import captions

STYLES = ["van gogh", "ukiyo-e"]


@pytest.fixture(scope="module")
def known():
    """The words of the model that ships."""
    return prompts.known_words(model_dir("mini-sd"))


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("dog", "cat"),
        ("horse", "cat"),  # by spelling it would be a house
        ("castle", "house"),
        ("robot", "car"),  # by spelling it would be a boat
        ("space", "night"),  # by spelling it would be a place
        ("river", "sea"),
        ("rocket", "balloon"),
        ("black", "purple"),
        ("rembrandt", "oil painting"),
        ("manga", "ukiyo-e"),
        ("retriever", "cat"),
        ("ferrari", "car"),
        ("football", "balloon"),
        # words of other languages
        ("hund", "cat"),
        ("bateau", "boat"),
        ("playa", "sea"),
        ("grünes", "green"),
        # other forms of known words
        ("boats", "boat"),
        ("lighthouses", "lighthouse"),
        ("huose", "house"),
        ("baloon", "balloon"),
        # neither near in meaning nor a slip
        ("mother", None),
        ("knight", None),
        ("coat", None),
        ("care", None),
        ("einstein", None),
    ],
)
def test_a_suggestion_goes_by_meaning(known, word, nearest):
    assert advice.suggest(word, known, "draw") == nearest


def test_a_photograph_is_painted_in_a_style_so_a_thing_is_no_suggestion(known):
    assert advice.suggest("dog", known, "style") is None
    assert advice.suggest("vermeer", known, "style") == "oil painting"


def test_nothing_is_suggested_that_the_model_does_not_know():
    assert advice.suggest("dog", {"house", "red"}, "draw") is None
    assert advice.suggest("dog", {"cat"}, "draw") == "cat"


def test_every_suggestion_is_known_and_no_known_word_needs_one(known):
    parts = set(sum(postcards.WORDS.values(), ())) | {"morning"}
    assert set(advice.NEAR_SCENES) <= parts
    named = set(captions.NAMES) | set(sum(captions.NAMES.values(), ()))
    assert set(advice.NEAR_STYLES) <= named
    drawable = set(postcards.words())
    assert set(advice.OTHER_LANGUAGES) <= parts
    tables = advice.NEAR_SCENES, advice.OTHER_LANGUAGES
    seen = [w for table in tables for near in table.values() for w in near.split()]
    assert len(seen) == len(set(seen)), "a word stands in two lists"
    assert not set(seen) & drawable
    styles = [w for near in advice.NEAR_STYLES.values() for w in near.split()]
    assert len(styles) == len(set(styles))


def test_advice_on_a_word_with_a_near_one_names_only_that(known):
    said = advice.advice("a dog by the sea", known, "draw")
    assert said == (
        "This model did not see 'dog' in training and may ignore it. For 'dog', try 'cat'."
    )


def test_advice_without_a_near_word_says_what_the_model_can_draw(known):
    said = advice.advice("my mother by the sea", known, "draw")
    assert "'mother'" in said and "'my'" not in said
    for word in (*postcards.THINGS, *postcards.COLOURS, "by the sea", "at dawn"):
        assert word in said
    assert "Its styles: van gogh, ukiyo-e." in advice.advice("picasso", known, "style", STYLES)


def test_no_advice_where_all_words_are_known_or_the_model_knows_all(known):
    assert advice.advice("a red house by the sea", known, "draw") is None
    assert advice.advice("anything", None, "draw") is None
    assert advice.refusal("anything", None, "draw") is None


@pytest.mark.parametrize("task", ["draw", "style"])
def test_empty_and_emoji_only_prompts_get_a_sentence(known, task):
    for prompt, why in (("", "is empty"), (" \n", "is empty"), ("\U0001f389 !?", "no emoji")):
        for said in (
            advice.advice(prompt, known, task, STYLES),
            advice.refusal(prompt, known, task, STYLES),
        ):
            assert why in said
            assert ("lighthouse" if task == "draw" else "van gogh") in said
    assert "Write what to paint" in advice.refusal("", None, task)


def test_a_drawing_must_name_something_that_can_be_drawn(known):
    for prompt in ("my mother", "a dog", "a woman", "van gogh", "under a hot field", "Einstein"):
        said = advice.refusal(prompt, known, "draw")
        assert prompt in said and "It can draw: house, boat" in said and "For instance" in said
    assert "For 'dog', try 'cat'." in advice.refusal("a dog", known, "draw")
    for prompt in ("a dog by the sea", "huose", "cats", "night", "Red!", "a tulip, van gogh"):
        assert advice.refusal(prompt, known, "draw") is None


def test_a_sentence_in_another_language_hears_that_english_is_read(known):
    for prompt in ("ein Hund am Strand", "un chat rouge", "una casa", "красный дом", "一只猫"):
        assert "It reads English only. " in advice.refusal(prompt, known, "draw"), prompt
    said = advice.refusal("eine rote Katze", known, "draw")
    assert "For 'rote', try 'red'. For 'katze', try 'cat'." in said
    for prompt in ("a dog", "my mother", "12345"):
        assert "English" not in advice.refusal(prompt, known, "draw")
    assert "English" not in advice.refusal("müller", known, "style", STYLES)


def test_a_style_must_have_a_known_word(known):
    assert "Its styles: van gogh" in advice.refusal("picasso", known, "style", STYLES)
    assert advice.refusal("like van gogh", known, "style", STYLES) is None


def test_a_model_without_postcards_names_up_to_twenty_of_its_words():
    words = {f"word{chr(97 + k)}" for k in range(26)} | {"gogh"}
    listed = advice.advice("xylophone", words).rstrip(".").rpartition(": ")[2].split(", ")
    assert len(listed) == 20 and set(listed) <= words
    assert advice.refusal("xylophone gogh", words, "draw") is None
