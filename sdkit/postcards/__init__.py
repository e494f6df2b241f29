"""Postcards: small scenes drawn by our own code from a caption grammar, the world that mini-sd paints from sentences.

A postcard is a time of day, a ground, and a thing of some colour that stands on the left, in the middle or on the
right; now and then a second, smaller thing stands on the other side. That makes 6,912 combinations of
the first five. One in ten is held out of training, so that a lesson can ask for what no training has seen: each word
of it was seen often, only never together.
"""

import zlib
from dataclasses import asdict, dataclass

import numpy as np

from sdkit.errors import SdkitError
from sdkit.postcards import scenes, things

TIMES = tuple(scenes.TIMES)  # "dawn", "day", "sunset", "night"
GROUNDS = tuple(scenes.GROUNDS)  # "sea", "meadow", "desert", "snow", "mountains", "city"
THINGS = tuple(things.THINGS)  # "house", "boat", ...
COLOURS = tuple(things.COLOURS)  # "red", "orange", ...
PLACES = ("left", "middle", "right")
PARTS = ("thing", "colour", "place", "ground", "time")
PHRASES = {
    "dawn": ("at dawn", "in the morning", "at sunrise", "early in the morning"),
    "day": ("by day", "at noon", "in daylight", "on a sunny day"),
    "sunset": ("at sunset", "in the evening", "at dusk"),
    "night": ("at night", "under the stars", "by night", "in the moonlight"),
    "sea": ("by the sea", "at the seaside", "on the beach", "by the ocean"),
    "meadow": ("in a meadow", "on the grass", "in a green field", "in the meadow"),
    "desert": ("in the desert", "among the dunes", "in the sand"),
    "snow": ("in the snow", "in winter", "in a snowy field"),
    "mountains": ("in the mountains", "under the mountains", "in the alps", "by the mountains"),
    "city": ("in the city", "in town", "in the street", "in a city"),
    "left": ("on the left", "to the left", "on the left side"),
    "middle": ("in the middle", "in the centre", "in the center"),
    "right": ("on the right", "to the right", "on the right side"),
}
OTHER_NAMES = {
    "house": ("cottage",),
    "boat": ("sailboat", "ship"),
    "balloon": ("hot air balloon",),
    "cat": ("kitten",),
    "flower": ("tulip",),
    "windmill": ("mill",),
    "mushroom": ("toadstool",),
    "umbrella": ("parasol",),
    "car": ("automobile",),
}


# part -> the words that it can take
WORDS = dict(zip(PARTS, (THINGS, COLOURS, PLACES, GROUNDS, TIMES)))


@dataclass(frozen=True)
class Postcard:
    """What a postcard shows. ``seed`` decides all that the caption does not say: clouds, ridges, sizes, the light."""

    thing: str
    colour: str
    place: str
    ground: str
    time: str
    second: tuple | None = None  # (colour, thing) of a smaller thing on another side
    seed: int = 0

    def __post_init__(self):
        for part, known in WORDS.items():
            if getattr(self, part) not in known:
                raise SdkitError(
                    f"Postcards do not know {getattr(self, part)!r}; they know: {', '.join(known)}."
                )


def is_held_out(card):
    """Whether the combination of thing, colour, place, ground and time is one of the tenth never trained on."""
    words = " ".join(getattr(card, part) for part in PARTS)
    return zlib.crc32(words.encode()) % 10 == 0


def sample(seed, index, held_out=False):
    """The postcard number ``index`` of the endless row that ``seed`` begins, from one side of the split or the other.

    One in four has a second thing. The same arguments give the same postcard for ever.
    """
    rng = np.random.default_rng([seed, index, held_out])
    while True:
        thing, colour, place, ground, time = (str(rng.choice(words)) for words in WORDS.values())
        second = None
        if rng.random() < 0.25:
            second = (
                str(rng.choice([c for c in COLOURS if c != colour])),
                str(rng.choice([t for t in THINGS if t != thing])),
            )
        card = Postcard(thing, colour, place, ground, time, second, int(rng.integers(2**31)))
        if is_held_out(card) == held_out:
            return card


def indices(card):
    """What a postcard shows as five numbers: for each of ``PARTS`` the place of its word in ``WORDS``."""
    return [words.index(getattr(card, part)) for part, words in WORDS.items()]


def leave_unsaid(rng):
    """Which parts a caption is silent on, as a set: the place two times in five, now and then more, never the thing."""
    unsaid = {"place"} if rng.random() < 0.4 else set()
    if rng.random() < 0.2:
        unsaid |= {part for part in PARTS[1:] if rng.random() < 0.5}
    return unsaid


def caption(card, rng, unsaid=None):
    """One of the ways to say what a postcard shows, silent on the parts in ``unsaid`` (default: ``leave_unsaid``)."""
    unsaid = leave_unsaid(rng) if unsaid is None else unsaid
    listed = rng.random() < 0.5  # a list in any order, or one sentence
    thing = (
        card.thing
        if rng.random() < 0.85
        else str(rng.choice(OTHER_NAMES.get(card.thing, [card.thing])))
    )
    what = thing if "colour" in unsaid else f"{card.colour} {thing}"
    what = what if rng.random() < 0.15 else article(what)
    place, ground, time = (
        "" if part in unsaid else str(rng.choice(PHRASES[getattr(card, part)]))
        for part in PARTS[2:]
    )
    if listed and rng.random() < 0.2:  # "night, sea, a red house"
        ground, time = ground and card.ground, time and card.time
    if place and (card.second or rng.random() < 0.7):
        what, place = f"{what} {place}", ""
    if card.second:
        what += f" {rng.choice(['with', 'and'])} {article(' '.join(card.second))}"
    said = [words for words in (what, place, ground, time) if words]
    return ", ".join(map(str, rng.permutation(said))) if listed else " ".join(said)


def plain_caption(card):
    """What a postcard shows in the plainest way: "a red house on the left by the sea at night"."""
    second = f" with {article(' '.join(card.second))}" if card.second else ""
    place, ground, time = (PHRASES[word][0] for word in (card.place, card.ground, card.time))
    return f"{article(f'{card.colour} {card.thing}')} {place}{second} {ground} {time}"


def words():
    """The words that captions are made of, sorted."""
    phrases = [
        *THINGS,
        *COLOURS,
        *PHRASES,
        *sum(PHRASES.values(), ()),
        *sum(OTHER_NAMES.values(), ()),
    ]
    return sorted(
        {word for phrase in phrases for word in phrase.split()} | {"a", "an", "and", "with"}
    )


def article(words):
    """The words with "a" or "an" before them."""
    return f"a{'n' * (words[0] in 'aeiou')} {words}"


def describe(card):
    """The exact truth about a postcard: a dictionary of its parameters, and where its things stand.

    ``centre`` is the horizontal position of the thing as a share of the width, ``height`` its height as a share of
    the picture's.
    """
    layout = scenes.Layout(card)
    return {
        **asdict(card),
        "held_out": is_held_out(card),
        "centre": round(layout.centre, 3),
        "height": round(layout.height, 3),
    }


def draw(card, size=64):
    """Draw a postcard: uint8 (size, size, 3). Twice the size shows the same scene, finer.

    Raises SdkitError for a size under 16 px or over 2048.
    """
    if not 16 <= size <= 2048:
        raise SdkitError(f"Postcards are drawn from 16 to 2048 px, not {size}.")
    return scenes.draw(card, size)
