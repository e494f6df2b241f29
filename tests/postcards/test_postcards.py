"""Postcards: the same picture at every size, the held-out split, and captions that are true."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from sdkit import postcards
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.postcards import canvas, scenes, things

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


def test_an_stands_before_a_vowel_and_a_before_a_consonant():
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


def test_another_seed_gives_other_postcards():
    assert [postcards.sample(0, k) for k in range(9)] != [postcards.sample(1, k) for k in range(9)]


def test_one_postcard_in_four_has_a_second_thing():
    share = np.mean([postcards.sample(0, k).second is not None for k in range(1000)])
    assert share == pytest.approx(0.25, abs=0.05)


def test_indices_are_the_places_of_the_words():
    for index in range(20):
        card = postcards.sample(0, index)
        for (part, words), k in zip(postcards.WORDS.items(), postcards.indices(card)):
            assert words[k] == getattr(card, part)


@pytest.mark.parametrize("place", postcards.PLACES)
def test_the_second_thing_is_smaller_and_stands_elsewhere(place):
    for seed in range(4):
        red, blue = (
            postcards.Postcard("house", "white", place, "snow", "day", (colour, "car"), seed)
            for colour in ("red", "blue")
        )
        pictures = [postcards.draw(card, 96).astype(int) for card in (red, blue)]
        changed = np.abs(pictures[0] - pictures[1]).sum(-1) > 60
        rows, columns = np.nonzero(changed)
        centre = (columns.min() + columns.max() + 1) / 2 / 96
        assert abs(centre - postcards.describe(red)["centre"]) > 0.25
        assert np.ptp(rows) / 96 < 0.25


def pen(**changes):
    parts = {
        "canvas": canvas.Canvas(64),
        "centre": 0.5,
        "base": 0.9,
        "scale": 0.8,
        "tint": np.ones(3),
        "side": 1,
        "dark": False,
        "colour": np.array((0.5, 0.5, 0.5)),
        "rng": np.random.default_rng(0),
    }
    return things.Pen(**{**parts, **changes})


@pytest.mark.parametrize("side", [-1, 1])
def test_things_are_lighter_on_the_side_of_the_light(side):
    p = pen(side=side)
    p.fill(canvas.box(p.x, p.y - 0.5, 0.5, 0.5), p.colour)
    left, right = p.canvas.rgb[40, 16, 0], p.canvas.rgb[40, 48, 0]
    assert (right - left) * side > 0.05


def test_lamps_shine_only_at_night():
    night, day = pen(dark=True), pen(dark=False)
    for p in (night, day):
        p.lamp(canvas.circle(p.x, p.y - 0.5, 0.2))
    row, column = int(0.5 * 64), 32  # the middle of the lamp: y = 0.9 - 0.5 * 0.8
    np.testing.assert_allclose(night.canvas.rgb[row, column], things.LAMP, atol=0.3)
    assert night.canvas.rgb[row, column, 0] > night.canvas.rgb[row, column, 2]
    assert day.canvas.rgb[row, column, 0] < day.canvas.rgb[row, column, 2]
    assert night.canvas.rgb[row, 50].max() > 0 and day.canvas.rgb[row, 50].max() == 0  # the glow


def test_light_comes_from_the_side_of_the_sun():
    for seed in range(20):
        layout = scenes.Layout(replace(CARD, seed=seed))
        assert layout.side == (1 if layout.light > layout.centre else -1)


def test_skylines_stay_in_their_band():
    c = canvas.Canvas(64)
    for seed in range(5):
        line = scenes.peaks(c, np.random.default_rng(seed), 0.3, 0.2, 6)
        assert line.min() >= 0.3 - 1e-6 and line.max() <= 0.5 + 1e-6


def test_colours_mix_in_proportion():
    np.testing.assert_allclose(things.mixed((1, 0, 0), (0, 0, 1), 0.25), (0.75, 0, 0.25))
    np.testing.assert_allclose(
        scenes.mix([(0, 0, 0), (1, 1, 1), (1, 0, 0)], np.array([[0, 0.25, 1.0, 2.0]]))[0],
        [(0, 0, 0), (0.5, 0.5, 0.5), (1, 0, 0), (1, 0, 0)],
    )


def test_a_glow_falls_off_outside_the_shape():
    c = canvas.Canvas(3)
    c.glow(np.array([[-1.0, 0, 0.2]] * 3), (1, 1, 1), reach=0.1, strength=0.5)
    np.testing.assert_allclose(c.rgb[0, :, 0], [0.5, 0.5, 0.5 * np.exp(-2)], rtol=1e-5)


def test_rounded_corners_and_bright_pixels():
    """The corner of a box of 1 x 1 with rounding r is r (sqrt(2) - 1) outside the shape."""
    corner = canvas.box(np.array([1.0]), np.array([1.0]), 1, 1, 0.4)
    assert corner == pytest.approx([0.4 * (2**0.5 - 1)])
    assert canvas.box(np.array([1.0]), np.array([0.0]), 1, 1, 0.4) == pytest.approx([0])
    c = canvas.Canvas(2)
    c.rgb[:] = [[[1.2, -0.1, 0.5]] * 2] * 2
    assert c.bytes()[0, 0].tolist() == [255, 0, 128]


def test_noise_has_the_values_of_its_lattice_and_their_mean_between():
    lattice = np.random.default_rng(0).random((6, 6), dtype=np.float32)
    x, y = np.array([[0.25, 0.375]]), np.array([[0.5]])
    ours = canvas.noise(x, y, np.random.default_rng(0), 4)
    np.testing.assert_allclose(ours, [[lattice[2, 1], lattice[2, 1:3].mean()]], rtol=1e-5)


def test_half_of_the_captions_are_lists_and_most_have_an_article():
    captions = [
        postcards.caption(postcards.sample(4, k), np.random.default_rng(k), unsaid=())
        for k in range(600)
    ]
    assert np.mean([", " in caption for caption in captions]) == pytest.approx(0.5, abs=0.07)
    firsts = [c for c in captions if ", " not in c]
    share = np.mean([caption.split()[0] in ("a", "an") for caption in firsts])
    assert share == pytest.approx(0.85, abs=0.06)


def test_the_seed_changes_the_scene():
    assert not np.array_equal(postcards.draw(CARD), postcards.draw(replace(CARD, seed=4)))


def test_what_a_prompt_leaves_unsaid_is_added_and_nothing_else():
    for prompt, parts in {
        "a boat": 3,
        "a red boat": 2,
        "a red boat by the sea": 1,
        "a red boat by the sea at night": 0,
        "a toadstool in winter": 2,  # winter is a ground
        "early in the morning, my cottage": 2,
        "under the stars": 0,  # names no thing
        "a dog": 0,
    }.items():
        longer, added = postcards.complete(prompt, 0)
        assert len(added) == parts and (longer == prompt) == (not parts)
        words = set(longer.replace(",", "").split())
        assert set(prompt.replace(",", "").split()) - {"a", "an"} <= words
        assert words <= {*postcards.words(), *prompt.replace(",", "").split()}
        assert set(" ".join(added).split()) <= words


def test_a_completed_prompt_has_the_right_article_and_form():
    colours = {postcards.complete("an umbrella", seed)[0].split()[1] for seed in range(99)}
    assert colours == set(postcards.COLOURS)
    for seed in range(20):
        assert re.match(
            r"(an orange|a (?!orange)\w+) house ", postcards.complete("a house", seed)[0]
        )
        assert postcards.complete("cat, at night", seed)[0].count(", ") == 2


def test_the_unsaid_varies_with_the_prompt_and_with_the_seed():
    """Every ground and every time comes about as often; chi-squared at p = 0.001."""
    for prompts in (
        [(f"a {thing}", seed) for thing in postcards.THINGS for seed in range(50)],
        [("a cat", seed) for seed in range(600)],
    ):
        added = [postcards.complete(*prompt)[1] for prompt in prompts]
        for place, words in (0, postcards.COLOURS), (1, postcards.GROUNDS), (2, postcards.TIMES):
            counts = list(Counter(one[place] for one in added).values())
            assert len(counts) == len(words)
            assert stats.chisquare(counts).pvalue > 0.001
    assert postcards.complete("a cat", 5) == postcards.complete("a cat", 5)
