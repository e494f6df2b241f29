"""Postcards: small scenes that our own code draws, with captions. mini-sd learns to draw them.

A postcard has five parts: a thing, its colour, its place (left, middle or right), a ground and a
time of day. That makes 6,912 combinations. One postcard in four has a second, smaller thing at
another place.

One combination in ten is held out of training. So a lesson can ask for a combination that the
model has never seen, although it has seen each of its words often.
"""

import re
import zlib
from collections.abc import Collection
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
# Words in `PHRASES` that alone do not name a ground or a time.
UNTELLING = set("a an at by early field green in of on the under".split()) | {"among"}
# For each part, the words that it can take.
WORDS = dict(zip(PARTS, (THINGS, COLOURS, PLACES, GROUNDS, TIMES)))


@dataclass(frozen=True)
class Postcard:
    """What a postcard shows. Raises `SdkitError` for a word that is not in `WORDS`."""

    thing: str
    colour: str
    place: str
    ground: str
    time: str
    second: tuple[str, str] | None = None  # (colour, thing) of a smaller thing at another place
    seed: int = 0  # decides all that captions do not say: clouds, hills, sizes, the light

    def __post_init__(self) -> None:
        for part, known in WORDS.items():
            if getattr(self, part) not in known:
                raise SdkitError(
                    f"Postcards do not know {getattr(self, part)!r}; they know: {', '.join(known)}."
                )


def is_held_out(card: Postcard) -> bool:
    """Whether the card's combination of five parts is held out of training.

    A checksum of the five words decides, so the second thing and the seed do not matter.
    """
    words = " ".join(getattr(card, part) for part in PARTS)
    return zlib.crc32(words.encode()) % 10 == 0


def sample(seed: int, index: int, held_out: bool = False) -> Postcard:
    """Random postcard number ``index`` of the sequence ``seed``.

    It is from the held-out combinations or from the others, as ``held_out`` says. One in four has a
    second thing. The same arguments always give the same postcard.
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


def indices(card: Postcard) -> list[int]:
    """The card as five class labels: for each of ``PARTS`` the index of its word in ``WORDS``."""
    return [words.index(getattr(card, part)) for part, words in WORDS.items()]


def leave_unsaid(rng: np.random.Generator) -> set[str]:
    """Choose at random the parts that a caption leaves out. It never leaves out the thing.

    With probability 0.4 the place is left out. In addition, with probability 0.2, each part but
    the thing is left out with probability 0.5.
    """
    unsaid = {"place"} if rng.random() < 0.4 else set()
    if rng.random() < 0.2:
        unsaid |= {part for part in PARTS[1:] if rng.random() < 0.5}
    return unsaid


def caption(card: Postcard, rng: np.random.Generator, unsaid: Collection[str] | None = None) -> str:
    """A random caption of a postcard that leaves out the parts in ``unsaid``.

    By default `leave_unsaid` chooses them. Half of the captions are one sentence, the others a list
    of its parts in any order, separated by commas.
    """
    unsaid = leave_unsaid(rng) if unsaid is None else unsaid
    listed = rng.random() < 0.5
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


def plain_caption(card: Postcard) -> str:
    """The standard caption of a postcard: "a red house on the left by the sea at night"."""
    second = f" with {article(' '.join(card.second))}" if card.second else ""
    place, ground, time = (PHRASES[word][0] for word in (card.place, card.ground, card.time))
    return f"{article(f'{card.colour} {card.thing}')} {place}{second} {ground} {time}"


def complete(prompt: str, seed: int) -> tuple[str, list[str]]:
    """Add a colour, a ground and a time to a prompt that names a thing and leaves them out.

    Returns the longer prompt and what was added. Without this the model would choose, and for one
    seed it chooses nearly the same for every prompt: with seed 0 nearly always a sunset. The prompt
    and the seed decide what is added. A prompt that names no thing stays as it is.
    """
    rng = np.random.default_rng([zlib.crc32(prompt.lower().encode()), seed])
    names = sorted({*THINGS, *sum(OTHER_NAMES.values(), ())}, key=len, reverse=True)
    thing = re.search(rf"\b({'|'.join(names)})\b", prompt, re.IGNORECASE)
    said = set(re.findall(r"\w+", prompt.lower()))
    if not thing:
        return prompt, []
    longer, added = prompt, []
    if not said & {*COLOURS}:
        added.append(str(rng.choice(COLOURS)))
        before = re.sub(r"\ban?\s+$", f"{article(added[0])} ", prompt[: thing.start()], flags=re.I)
        if before == prompt[: thing.start()]:
            before += f"{added[0]} "
        longer = before + prompt[thing.start() :]
    for part in (GROUNDS, TIMES):
        naming = {w for word in part for phrase in (word, *PHRASES[word]) for w in phrase.split()}
        if not said & (naming - UNTELLING):
            added.append(PHRASES[str(rng.choice(part))][0])
            longer += f"{',' if ',' in prompt else ''} {added[-1]}"
    return longer, added


def words() -> list[str]:
    """All words that captions can contain, sorted."""
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


def article(words: str) -> str:
    """Put "a" or "an" before the words."""
    return f"a{'n' * (words[0] in 'aeiou')} {words}"


def describe(card: Postcard) -> dict:
    """All parameters of a postcard, as a dictionary.

    Beside the fields of `Postcard`: ``held_out``; ``centre``, the position of the thing from the
    left as a share of the width; and ``height``, its height as a share of the picture's.
    """
    layout = scenes.Layout(card)
    return {
        **asdict(card),
        "held_out": is_held_out(card),
        "centre": round(layout.centre, 3),
        "height": round(layout.height, 3),
    }


def draw(card: Postcard, size: int = 64) -> np.ndarray:
    """Draw a postcard as uint8 (size, size, 3). A larger size shows the same scene, finer.

    Raises `SdkitError` for a size under 16 px or over 2048 px.
    """
    if not 16 <= size <= 2048:
        raise SdkitError(f"Postcards are drawn from 16 to 2048 px, not {size}.")
    return scenes.draw(card, size)
