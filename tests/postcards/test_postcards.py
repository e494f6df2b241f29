"""Postcards: the same picture at every size, the held-out split, and captions that are true."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sdkit import postcards
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.postcards import canvas, things

CARD = postcards.Postcard("house", "red", "left", "sea", "night", seed=3)
ALL = [
    postcards.Postcard(thing, colour, place, ground, time)
    for thing in postcards.THINGS
    for colour in postcards.COLOURS
    for place in postcards.PLACES
    for ground in postcards.GROUNDS
    for time in postcards.TIMES
]


def shrink(picture, size):
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)).astype(
        float
    )


def test_the_same_arguments_give_the_same_postcard():
    assert postcards.sample(0, 5) == postcards.sample(0, 5)
    assert len({postcards.sample(0, index) for index in range(50)}) == 50
    assert np.array_equal(postcards.draw(CARD), postcards.draw(CARD))


@pytest.mark.parametrize("index", range(12))
def test_a_larger_drawing_shows_the_same_scene(index):
    card = postcards.sample(1, index)
    small, large = postcards.draw(card, 64), postcards.draw(card, 256)
    assert small.shape == (64, 64, 3) and small.dtype == np.uint8
    difference = np.abs(shrink(large, 64) - small)
    assert difference.mean() < 4  # of 255; measured 1 to 2.5: edges and grain
    assert np.abs(shrink(large, 8) - shrink(small, 8)).max() < 16


def test_a_tenth_of_the_combinations_is_held_out_but_no_single_word():
    held_out = [card for card in ALL if postcards.is_held_out(card)]
    assert len(ALL) == 12 * 8 * 3 * 6 * 4
    assert 0.09 < len(held_out) / len(ALL) < 0.11
    for part in ("thing", "colour", "place", "ground", "time"):
        everywhere = Counter(getattr(card, part) for card in ALL)
        out = Counter(getattr(card, part) for card in held_out)
        assert all(out[word] < 0.2 * everywhere[word] for word in everywhere)


@pytest.mark.parametrize("held_out", [False, True])
def test_samples_stay_on_their_side_of_the_split(held_out):
    cards = [postcards.sample(0, index, held_out) for index in range(200)]
    assert all(postcards.is_held_out(card) == held_out for card in cards)
    assert {card.thing for card in cards} == set(postcards.THINGS)
    for card in cards:
        if card.second:
            assert card.second[0] != card.colour and card.second[1] != card.thing


def test_second_thing_and_seed_do_not_change_the_split():
    other = postcards.Postcard("house", "red", "left", "sea", "night", ("blue", "cat"), seed=9)
    assert postcards.is_held_out(other) == postcards.is_held_out(CARD)


def said(caption):
    """The words that a caption stands for, and its other words, by looking for every phrase."""
    names = {
        name: thing
        for thing in postcards.THINGS
        for name in (thing, *postcards.OTHER_NAMES.get(thing, ()))
    }
    phrases = {
        phrase: word for word, phrases in postcards.PHRASES.items() for phrase in (word, *phrases)
    }
    vocabulary = {**names, **phrases, **{colour: colour for colour in postcards.COLOURS}}
    found, text = set(), f" {caption.replace(',', ' ')} "
    for phrase in sorted(vocabulary, key=len, reverse=True):
        if f" {phrase} " in text:
            found.add(vocabulary[phrase])
            text = text.replace(f" {phrase} ", "  ")
    return found, set(text.split())


@pytest.mark.parametrize(
    "unsaid", [set(), {"place"}, {"colour", "time"}, {"place", "ground", "time", "colour"}]
)
def test_captions_say_exactly_the_parts_that_they_should(unsaid):
    for index in range(200):
        card = postcards.sample(2, index)
        found, rest = said(postcards.caption(card, np.random.default_rng(index), unsaid))
        wanted = {getattr(card, part) for part in postcards.PARTS if part not in unsaid} | set(
            card.second or ()
        )
        assert found == wanted and rest <= {"a", "an", "and", "with"}


def test_the_plain_caption():
    assert postcards.plain_caption(CARD) == "a red house on the left by the sea at night"
    with_second = replace(CARD, second=("orange", "cat"))
    assert (
        postcards.plain_caption(with_second)
        == "a red house on the left with an orange cat by the sea at night"
    )


def test_captions_always_say_the_thing_and_usually_the_rest():
    silent = Counter(
        part
        for index in range(1000)
        for part in postcards.leave_unsaid(np.random.default_rng(index))
    )
    assert silent["thing"] == 0 and 400 < silent["place"] < 550
    assert all(60 < silent[part] < 150 for part in ("colour", "ground", "time"))


def test_the_docs_list_every_phrase():
    page = (ROOT / "docs" / "postcards.md").read_text(encoding="utf-8")
    for phrase in [
        *sum(postcards.PHRASES.values(), ()),
        *sum(postcards.OTHER_NAMES.values(), ()),
        *postcards.COLOURS,
    ]:
        assert phrase in page, phrase


def test_words_are_exactly_those_that_captions_use():
    used = {
        word
        for index in range(3000)
        for word in postcards.caption(postcards.sample(3, index), np.random.default_rng(index))
        .replace(",", "")
        .split()
    }
    assert used == set(postcards.words())


def test_articles():
    assert postcards.article("orange cat") == "an orange cat"
    assert postcards.article("red umbrella") == "a red umbrella"
    assert postcards.article("umbrella") == "an umbrella"


@pytest.mark.parametrize(
    "place, low, high", [("left", 0.2, 0.32), ("middle", 0.44, 0.56), ("right", 0.68, 0.8)]
)
def test_the_thing_stands_at_its_place_and_has_its_colour(place, low, high):
    """The test finds the thing where the drawing changes when the thing changes colour."""
    for seed in range(5):
        red, blue = (
            postcards.Postcard("mushroom", colour, place, "meadow", "day", seed=seed)
            for colour in ("red", "blue")
        )
        truth = postcards.describe(red)
        assert low <= truth["centre"] <= high
        changed = (
            np.abs(postcards.draw(red, 128).astype(int) - postcards.draw(blue, 128)).sum(-1) > 60
        )
        _, columns = np.nonzero(changed)
        assert columns.mean() / 128 == pytest.approx(truth["centre"], abs=0.03)
        cap = postcards.draw(red, 128)[changed].mean(0)
        assert cap[0] > 2 * cap[1] and cap[0] > 2 * cap[2]


@pytest.mark.parametrize(
    "time, darker", [("dawn", 0.3), ("day", 0.3), ("sunset", 0.15), ("night", 0.0)]
)
def test_only_night_is_dark(time, darker):
    card = postcards.Postcard("cat", "white", "middle", "meadow", time)
    brightness = postcards.draw(card).mean() / 255
    assert brightness > darker and (time != "night" or brightness < 0.3)


def test_no_thing_is_too_small_or_too_large():
    """A thing covers between 1.5 % and 25 % of the picture, also at its left and right edge."""
    for thing in postcards.THINGS:
        for place in ("left", "right"):
            cards = [
                postcards.Postcard(thing, colour, place, "desert", "day", seed=4)
                for colour in ("red", "blue")
            ]
            changed = (
                np.abs(np.subtract(*(postcards.draw(card, 96).astype(int) for card in cards))).sum(
                    -1
                )
                > 60
            )
            assert 0.015 < changed.mean() < 0.25, (thing, place)


def test_bad_input_gives_a_clear_sentence():
    with pytest.raises(SdkitError, match="do not know 'grey'; they know: red"):
        postcards.Postcard("house", "grey", "left", "sea", "night")
    with pytest.raises(SdkitError, match="from 16 to 2048 px, not 8"):
        postcards.draw(CARD, 8)


def test_distances_against_closed_forms():
    x, y = np.array([0.0, 3.0, 0.0]), np.array([0.0, 0.0, -2.0])
    assert canvas.circle(x, y, 1) == pytest.approx([-1, 2, 1])
    assert canvas.box(x, y, 1, 0.5) == pytest.approx([-0.5, 2, 1.5])
    assert canvas.polygon(x, y, (-1, -1), (-1, 1), (1, 1), (1, -1)) == pytest.approx([-1, 2, 1])
    assert canvas.line(x, y, -1, 0, 1, 0, 0.25) == pytest.approx([-0.25, 1.75, 1.75])
    assert canvas.ellipse(np.array([2.0]), np.array([0.0]), 2, 1) == pytest.approx([0])


def test_a_filled_circle_covers_its_area():
    c = canvas.Canvas(200)
    c.fill(canvas.circle(c.x - 0.5, c.y - 0.5, 0.3), (1, 1, 1))
    assert c.rgb.mean() == pytest.approx(np.pi * 0.3**2, rel=2e-3)
    c.dot(0.1, 0.1, 0.004, (1, 1, 1))  # smaller than a pixel, but still visible
    assert c.rgb[:40, :40].sum() > 0


def test_noise_is_continuous_and_between_zero_and_one():
    c = canvas.Canvas(256)
    values = canvas.noise(c.x, c.y, np.random.default_rng(0), 8)
    assert values.min() >= 0 and values.max() <= 1
    assert np.abs(np.diff(values, axis=0)).max() < 1.5 * 8 / 256 + 0.01


def test_all_colours_are_clearly_different():
    colours = np.array(list(things.COLOURS.values()))
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 9 * np.eye(len(colours))
    assert distance.min() > 0.3
