"""Postcards: small scenes drawn by our own code from a caption grammar, the world that mini-sd paints from sentences.

A postcard is a time of day, a ground, and a thing of some colour that stands on the left, in the middle or on the
right; now and then a second, smaller thing stands on the other side. That makes 6,912 combinations of
the first five. One in ten is held out of training, so that a lesson can ask for what no training has seen: each word
of it was seen often, only never together.
"""
import zlib
from dataclasses import asdict, dataclass

import numpy as np

from sdkit.paths import SdkitError
from sdkit.postcards import scenes, things

TIMES = tuple(scenes.TIMES)          # "dawn", "day", "sunset", "night"
GROUNDS = tuple(scenes.GROUNDS)      # "sea", "meadow", "desert", "snow", "mountains", "city"
THINGS = tuple(things.THINGS)        # "house", "boat", ...
COLOURS = tuple(things.COLOURS)      # "red", "orange", ...
PLACES = ("left", "middle", "right")
PHRASES = {
    "dawn": ("at dawn", "in the morning"), "day": ("by day", "at noon"),
    "sunset": ("at sunset", "in the evening"), "night": ("at night", "under the stars"),
    "sea": ("by the sea", "at the seaside"), "meadow": ("in a meadow", "on the grass"),
    "desert": ("in the desert", "among the dunes"), "snow": ("in the snow", "in winter"),
    "mountains": ("in the mountains", "under the mountains"), "city": ("in the city", "in town"),
    "left": ("on the left",), "middle": ("in the middle",), "right": ("on the right",),
}


@dataclass(frozen=True)
class Postcard:
    """What a postcard shows. ``seed`` decides all that the caption does not say: clouds, ridges, sizes, the light."""

    thing: str
    colour: str
    place: str
    ground: str
    time: str
    second: tuple | None = None      # (colour, thing) of a smaller thing on another side
    seed: int = 0

    def __post_init__(self):
        for value, known in ((self.thing, THINGS), (self.colour, COLOURS), (self.place, PLACES),
                             (self.ground, GROUNDS), (self.time, TIMES)):
            if value not in known:
                raise SdkitError(f"Postcards do not know {value!r}; they know: {', '.join(known)}.")


def is_held_out(card):
    """Whether the combination of thing, colour, place, ground and time is one of the tenth never trained on."""
    words = " ".join((card.thing, card.colour, card.place, card.ground, card.time))
    return zlib.crc32(words.encode()) % 10 == 0


def sample(seed, index, held_out=False):
    """The postcard number ``index`` of the endless row that ``seed`` begins, from one side of the split or the other.

    One in four has a second thing. The same arguments give the same postcard for ever.
    """
    rng = np.random.default_rng([seed, index, held_out])
    while True:
        thing, colour, place, ground, time = (str(rng.choice(words))
                                              for words in (THINGS, COLOURS, PLACES, GROUNDS, TIMES))
        second = None
        if rng.random() < 0.25:
            second = (str(rng.choice([c for c in COLOURS if c != colour])),
                      str(rng.choice([t for t in THINGS if t != thing])))
        card = Postcard(thing, colour, place, ground, time, second, int(rng.integers(2**31)))
        if is_held_out(card) == held_out:
            return card


def caption(card, rng):
    """One of the ways to say what a postcard shows; the place is left unsaid two times in five."""
    ground, time = (str(rng.choice(PHRASES[word])) for word in (card.ground, card.time))
    what = article(f"{card.colour} {card.thing}")
    if rng.random() < 0.6:
        what += f" {PHRASES[card.place][0]}"
    if card.second:
        what += f" {rng.choice(['with', 'and'])} {article(' '.join(card.second))}"
    return str(rng.choice([f"{what} {ground} {time}", f"{what}, {ground}, {time}", f"{time} {ground}, {what}",
                           f"{time}, {card.ground}, {what}", f"{ground}, {what}, {time}"]))


def article(words):
    """The words with "a" or "an" before them."""
    return f"a{'n' * (words[0] in 'aeiou')} {words}"


def describe(card):
    """The exact truth about a postcard: a dictionary of its parameters, and where its things stand.

    ``centre`` is the horizontal position of the thing as a share of the width, ``height`` its height as a share of
    the picture's.
    """
    layout = scenes.Layout(card)
    return {**asdict(card), "held_out": is_held_out(card), "centre": round(layout.centre, 3),
            "height": round(layout.height, 3)}


def draw(card, size=64):
    """Draw a postcard: uint8 (size, size, 3). Twice the size shows the same scene, finer.

    Raises SdkitError for a size under 16 px or over 2048.
    """
    if not 16 <= size <= 2048:
        raise SdkitError(f"Postcards are drawn from 16 to 2048 px, not {size}.")
    return scenes.draw(card, size)
