"""The language of checks, messages and labels: English, or what a table translates.

`use` chooses a language, and so does the environment variable SDKIT_LANGUAGE. A table such as
sdkit/translations/de.json gives the translation of each English sentence. In both, {} stands for a
part that changes, such as a name or a number. The code holds the English sentences, and what has no
translation stays English.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path

TABLES = Path(__file__).resolve().parent / "translations"
_chosen = [os.environ.get("SDKIT_LANGUAGE", "en")]


def known() -> list[str]:
    """The languages that can be chosen, such as "de"."""
    return ["en", *sorted(path.stem for path in TABLES.glob("*.json"))]


def use(language: str) -> None:
    """Print checks, messages and labels in this language from now on.

    Raises ValueError if there is no such language.
    """
    if language not in known():
        raise ValueError(f"There is no language {language!r}. Choose one of: {', '.join(known())}.")
    _chosen[0] = language


def translate(text: str) -> str:
    """`text` in the chosen language, or as it is if the table does not have it.

    The parts that {} stands for are translated as well.
    """
    table, patterns = _table(_chosen[0])
    if text in table:
        return table[text]
    for pattern, translated in patterns:
        if found := pattern.fullmatch(text):
            return translated.format(*map(translate, found.groups()))
    return text


def original(text: str) -> str:
    """The English text of which `text` is the translation, or `text` itself."""
    table, _ = _table(_chosen[0])
    return next((english for english, own in table.items() if own == text), text)


@functools.cache
def _table(language: str) -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """A table, and a pattern for each of its sentences with a {}.

    The pattern with the most letters of its own comes first, because it fits fewer texts.
    """
    if language not in known() or language == "en":
        return {}, []
    table = json.loads((TABLES / f"{language}.json").read_text(encoding="utf-8"))
    with_parts = sorted((text for text in table if "{}" in text), key=len, reverse=True)
    return table, [
        (re.compile("(.*?)".join(map(re.escape, text.split("{}"))), re.S), table[text])
        for text in with_parts
    ]
