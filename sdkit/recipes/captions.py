"""Captions of the training pictures, in many phrasings, so that synonyms have the same effect.

Paintings and photographs are named by style and subject; `sdkit.postcards` describes postcards. One
caption in six has a typing error, and one in twenty of the postcards' is a list of keywords,
because visitors type such prompts.
"""

from typing import NamedTuple

import numpy as np

from sdkit import postcards
from sdkit.diffusion import prompts

SUBJECTS = {
    "portrait": (
        "a portrait",
        "portrait",
        "portrait of a person",
        "portrait of a man",
        "portrait of a woman",
        "a face",
        "a person",
        "my face",
        "a self-portrait",
    ),
    "scene": ("a scene", "a view", "a picture", "landscape", "a landscape", "a place"),
}
NAMES = {
    "van gogh": (
        "van gogh",
        "vincent van gogh",
        "van gogh",
        "vincent",
        "van gogh in arles",
        "post-impressionism",
        "the night cafe",
    ),
    "ukiyo-e": (
        "ukiyo-e",
        "ukiyo e",
        "ukiyoe",
        "japanese woodblock print",
        "woodblock print",
        "japanese print",
        "hiroshige",
        "utagawa hiroshige",
        "hokusai",
        "woodcut from japan",
    ),
    "impressionism": (
        "impressionism",
        "impressionist",
        "impressionist painting",
        "monet",
        "claude monet",
        "renoir",
        "pissarro",
        "sisley",
        "degas",
        "morisot",
    ),
    "oil painting": (
        "oil painting",
        "oil on canvas",
        "old master",
        "old masters",
        "old master painting",
        "classical painting",
        "painting",
        "baroque painting",
        "dutch golden age painting",
    ),
    "a photo": (
        "a photo",
        "photo",
        "photograph",
        "a photograph",
        "realistic photo",
        "photorealistic",
        "snapshot",
        "camera photo",
        "photography",
    ),
}


class Painting(NamedTuple):
    """A painting that a prompt can name."""

    names: tuple[str, ...]  # in captions
    files: tuple[str, ...]  # stems of the files of the training pictures


PAINTINGS = {
    "starry night": Painting(
        ("starry night", "the starry night", "starry night by van gogh"), ("vangogh-starry-night",)
    ),
    "sunflowers": Painting(
        ("sunflowers", "sunflowers by van gogh", "van gogh sunflowers"),
        ("vincent-van-gogh-sunflowers-vgm-f458",),
    ),
    "wheatfield with crows": Painting(
        ("wheatfield with crows", "wheatfield with crows by van gogh"), ("wheatfield-with-crows",)
    ),
    "a self-portrait of van gogh": Painting(
        ("a self-portrait of van gogh", "self-portrait of van gogh", "van gogh self-portrait"),
        (
            "self-portrait-1",
            "self-portrait-2",
            "self-portrait-straw-hat",
            "self-portrait-with-bandaged-ear",
        ),
    ),
    "the great wave": Painting(
        ("the great wave", "great wave", "the great wave by hokusai", "the great wave of hokusai"),
        ("hokusai-great-wave",),
    ),
    "water lilies": Painting(
        ("water lilies", "water lilies by monet", "water lilies by claude monet"),
        ("monet-water-lilies", "level4-4-28", "level4-4-29"),
    ),
}
STYLE_ONLY = (
    "{style}",
    "{style}",
    "in the style of {style}",
    "in {style} style",
    "{style} style",
    "a picture in the style of {style}",
    "painted by {style}",
    "a painting by {style}",
    "by {style}",
    "as painted by {style}",
    "like {style}",
    "a work of {style}",
)
WITH_SUBJECT = (
    "{subject}, {style}",
    "{style}, {subject}",
    "{subject} in the style of {style}",
    "{subject} by {style}",
    "{subject} painted by {style}",
    "{subject} like {style}",
)
PHOTO_WITH_SUBJECT = ("{style} of {subject}", "{subject}, {style}", "{style}, {subject}")


def painting_of(file: str) -> str | None:
    """The key into ``PAINTINGS`` of a training picture, or None; file: as in ``data/art.tsv``."""
    stem = file.split("/")[-1].rpartition(".")[0]
    return next((name for name, one in PAINTINGS.items() if stem in one.files), None)


def caption(
    style: str, is_portrait: bool, rng: np.random.Generator, painting: str | None = None
) -> str:
    """A random caption: it always names the style, and half of the time the subject.

    painting : key into `PAINTINGS`; its name then stands in place of the style, 3 times of 4.
    """
    names = NAMES[style]
    if painting and rng.random() < 0.75:
        names = PAINTINGS[painting].names
    name = names[rng.integers(len(names))]
    forms: tuple[str, ...]
    if rng.random() < 0.5:
        forms = STYLE_ONLY[:2] if style == "a photo" else STYLE_ONLY
        return forms[rng.integers(len(forms))].format(style=name)
    subjects = SUBJECTS["portrait" if is_portrait else "scene"]
    forms = PHOTO_WITH_SUBJECT if style == "a photo" else WITH_SUBJECT
    return forms[rng.integers(len(forms))].format(
        style=name, subject=subjects[rng.integers(len(subjects))]
    )


def every_caption() -> list[str]:
    """All captions that `caption` can make, each once and sorted."""
    made = set()
    paintings = {name: painting.names for name, painting in PAINTINGS.items()}
    for style, names in {**NAMES, **paintings}.items():
        for name in names:
            forms = STYLE_ONLY[:2] if style == "a photo" else STYLE_ONLY
            made |= {form.format(style=name) for form in forms}
            for form in PHOTO_WITH_SUBJECT if style == "a photo" else WITH_SUBJECT:
                made |= {
                    form.format(style=name, subject=subject)
                    for group in SUBJECTS.values()
                    for subject in group
                }
    return sorted(made)


def misspell(caption: str, rng: np.random.Generator, share: float = 1 / 6) -> str:
    """``caption``, or with the probability ``share`` a typing error in it.

    Two letters are swapped, or one is left out, doubled or replaced.
    """
    long_words = [word for word in caption.split() if len(word) > 2]
    if rng.random() >= share or not long_words:
        return caption
    word = str(rng.choice(long_words))
    k = int(rng.integers(1, len(word) - 1))
    errors = (
        word[:k] + word[k + 1] + word[k] + word[k + 2 :],
        word[:k] + word[k + 1 :],
        word[:k] + word[k] + word[k:],
        word[:k] + str(rng.choice(list("aeiou"))) + word[k + 1 :],
    )
    # without replacing in short words, or a car becomes a cat
    return caption.replace(word, errors[rng.integers(4 if len(word) > 3 else 3)], 1)


def as_keywords(caption: str, rng: np.random.Generator, share: float = 1 / 20) -> str:
    """``caption``, or with the probability ``share`` its words in any order: "night, boat, red".

    Captions of two things stay as they are: keywords do not say which of the two is red.
    """
    words = prompts.words(caption)
    if rng.random() >= share or {"and", "with"} & set(words):
        return caption
    return ", ".join(
        map(str, rng.permutation([word for word in words if word not in prompts.STOP_WORDS]))
    )


def vocabulary() -> list[str]:
    """Texts with every word of every caption, to train the tokenizer on."""
    rng = np.random.default_rng(0)
    cards = [postcards.caption(postcards.sample(0, index), rng) for index in range(4000)]
    return [*every_caption(), *cards, *postcards.words()]


def words() -> list[str]:
    """The lower-case words of all captions, sorted: the words that the model knows."""
    return sorted(
        {word for caption in every_caption() for word in prompts.words(caption)}
        | set(postcards.words())
    )
