"""Count the signs of a text that are no words, because a picture may be written with them.

Words and programs have few of them. A picture needs many, in whatever form it is written.
"""

import re
import unicodedata

MUCH = 600  # signs; a picture of 16 x 16 grey pixels needs about as many
SYMBOLS = 100  # a picture of 10 x 10 emojis or blocks
LINES = 12  # a picture made of letters
PIXELS = 200  # gaps, numerals or accents; a picture of 14 x 14 pixels may be written with them
ACCENTS = 40  # different ones; no language has so many that are signs of their own
HIDDEN = 100  # pairs of signs that nobody sees

# a long word may be base64 or hexadecimal digits
LONG_WORD = re.compile(r"[A-Za-z0-9+/=]{6,}")
CHANGING = 0.35  # changes of kind per letter; base64 has 0.6, hexadecimal digits have 0.45
WORD = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]?[a-z]{2,20}|[A-Z]{2,20})(?![A-Za-z0-9])")
# numbers in words; a text that has hundreds of them may be a picture
NUMERALS = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)\b",
    re.IGNORECASE,
)
# blanks inside a line; those at its start are an indentation
GAP = re.compile(r"(?<=\S)(?:[ \t]{2,}|\t)(?=\S|$)", re.MULTILINE)
REPEATED = re.compile(r"([^\w\s])\1{3,}")  # a line drawn with signs, as under a heading
# a long text without a blank, in letters that are not ASCII; Chinese has its own commas
OTHER_LETTERS = re.compile(r"[^\s!-~、。「」『』！（），：；？…—]{150}")


def is_unusual(text: str) -> bool:
    """Whether a text has so many signs outside of words that they may be a picture."""
    digits = sum(letter.isdigit() for letter in LONG_WORD.sub(_without_mixed, text))
    return (
        mixed(text) + digits >= MUCH
        or sum(map(_is_symbol, text)) >= SYMBOLS
        or len(NUMERALS.findall(text)) >= PIXELS
        or len(GAP.findall(text)) >= PIXELS
        or _has_many_accents(text)
        or _signs_without_words(text) >= MUCH
        or bool(OTHER_LETTERS.search(text))
        or _is_drawn(text)
    )


def mixed(text: str) -> int:
    """The letters in long words like "aB3dX9", which change between letters and digits."""
    return sum(len(word) for word in LONG_WORD.findall(text) if _is_mixed(word))


def is_hidden(text: str) -> bool:
    """Whether a text has many pairs of signs that nobody sees.

    Some languages need such signs, but only one at a time.
    """
    kinds = [_is_invisible(letter) for letter in text]
    return sum(one and other for one, other in zip(kinds, kinds[1:])) >= HIDDEN


def without_invisible(text: str) -> str:
    """A text without the signs that nobody sees, such as blanks without width."""
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def _is_invisible(letter: str) -> bool:
    """Whether this is a sign without a shape, or one that only chooses the shape of another."""
    return (
        unicodedata.category(letter) == "Cf"
        or "\ufe00" <= letter <= "\ufe0f"
        or "\U000e0100" <= letter <= "\U000e01ef"
    )


def _has_many_accents(text: str) -> bool:
    accents = [letter for letter in text if unicodedata.category(letter) == "Mn"]
    return len(accents) >= PIXELS and len({*accents}) >= ACCENTS


def _signs_without_words(text: str) -> int:
    """The number of signs in the lines that have hardly any letters and digits, as Morse code."""
    signs = 0
    for line in REPEATED.sub(r"\1", text).split("\n"):
        line = "".join(line.split())
        letters = sum(map(str.isalnum, line))
        signs += len(line) - letters if letters <= 0.1 * len(line) else 0
    return signs


def _is_mixed(word: str) -> bool:
    kinds = [(letter.isdigit(), letter.isupper(), letter.islower()) for letter in word]
    changes = sum(one != other for one, other in zip(kinds, kinds[1:]))
    return changes >= CHANGING * len(word)


def _without_mixed(word: re.Match) -> str:
    return "" if _is_mixed(word[0]) else word[0]


def _is_symbol(letter: str) -> bool:
    """Whether this is an emoji, a block, a control sign or of no known kind."""
    return letter not in "\n\r\t" and unicodedata.category(letter) in ("So", "Co", "Cc", "Cn")


def _is_drawn(text: str) -> bool:
    """Whether many lines, one below the other, have nearly no words."""
    together = 0
    for line in text.split("\n"):
        line = "".join(line.split())
        wordless = sum(map(len, WORD.findall(line))) < 0.15 * len(line)
        together = together + 1 if len(line) >= 20 and wordless else 0
        if together == LINES:
            return True
    return False
