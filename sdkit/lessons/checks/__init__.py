"""The exercises' checkers: ``check("11.1", answer)`` prints a tick, a hint, or "not attempted yet".

A checker is a function that returns None for a right answer and otherwise its hints, from gentle to
direct. The first hint names the mistake. The same mistake again in a session prints its next hint;
another mistake starts with its own first hint. A checker runs the student's code, so every
exception becomes a sentence.

`solution` shows an answer. `done` lets a cell of the lesson use the student's function once it is
right.

`predict` stores a guess before a measurement, and `compare` prints it beside the measured value.
"""

import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from sdkit import language
from sdkit.files import ROOT

SOLUTIONS = ROOT / "notebooks" / "solutions"
# what a checker returns: None for a right answer, else its hints, from gentle to direct
Hints = str | Sequence[str] | None
_checkers: dict[str, Callable[..., Hints]] = {}
Checker = TypeVar("Checker", bound=Callable[..., Hints])
_tries: Counter[tuple[str, str]] = Counter()  # of each mistake: (exercise, its first hint)
_right: set[str] = set()
_guesses: dict[str, Any] = {}


def exercise(exercise_id: str) -> Callable[[Checker], Checker]:
    """Decorator that registers a checker under `exercise_id`.

    A checker takes the answers of the exercise and returns None if they are right, else a hint or a
    sequence of hints.
    """

    def register(checker: Checker) -> Checker:
        _checkers[exercise_id] = checker
        return checker

    return register


def say(sentence: str) -> None:
    """Print a sentence in the chosen language."""
    print(language.translate(sentence))


def check(exercise_id: str, *answer: Any) -> None:
    """Print whether an answer is right, and a hint if it is not. Never raises an exception."""
    checker = _checkers.get(exercise_id)
    if checker is None:
        say(_unknown(exercise_id))
        return
    _right.discard(exercise_id)
    expected = len(inspect.signature(checker).parameters)
    if not answer or any(part is None or part is Ellipsis for part in answer):
        say(f"{exercise_id}: not attempted yet.")
        return
    if len(answer) != expected:
        say(f"{exercise_id}: expects {expected} answer{'s' * (expected > 1)}, got {len(answer)}.")
        return
    try:
        hints = checker(*answer)
    except NotAttempted as reason:
        say(f"{exercise_id}: not attempted yet.{reason}")
        return
    except Exception as error:
        # The student's function failed, or the answer is of a type that the checker cannot use.
        message = str(error).partition("\n")[0]
        hints = [f"that stopped with {type(error).__name__}: {message}"]
    if hints is None:
        _right.add(exercise_id)
        say(f"{exercise_id}: ✓ right.")
        return
    hints = [hints] if isinstance(hints, str) else list(hints)
    mistake = exercise_id, hints[0]
    hint = hints[min(_tries[mistake], len(hints) - 1)]
    _tries[mistake] += 1
    if _tries[mistake] > len(hints):
        hint += f' (checks.solution("{exercise_id}") shows the answer.)'
    say(f"{exercise_id}: not yet. Hint: {hint}")


def _unknown(exercise_id: str) -> str:
    return f"There is no exercise {exercise_id!r}. Known here: {', '.join(sorted(_checkers))}."


def solution(exercise_id: str) -> None:
    """Print the code that solves an exercise, from the notebook in ``notebooks/solutions``."""
    if exercise_id not in _checkers:
        say(_unknown(exercise_id))
        return
    asks = f'checks.check("{exercise_id}"'
    for path in SOLUTIONS.glob(f"{exercise_id[:2]}_*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and asks in source:
                print(source.partition(asks)[0].strip())
                return
    say("The solutions are notebooks in the kit's repository. This installation has none.")


def done(exercise_id: str) -> bool:
    """Whether the latest answer to an exercise was right; if not, print what to do.

    A cell of a lesson that uses the student's function asks this first.
    """
    if exercise_id in _right:
        return True
    say(f"This cell uses your answer to exercise {exercise_id}. Run it again when that is right.")
    return False


class NotAttempted(Exception):
    """The student's function is unfinished: it returns None or ``...``."""


def predict(name: str, guess: Any) -> None:
    """Store a `guess` (number or text) under `name`, before the cell that measures the value.

    None and ``...`` mean that there is no guess yet.
    """
    if guess is None or guess is Ellipsis:
        _guesses.pop(name, None)
        say("No guess yet. Put one in and run this cell again; it costs nothing to be wrong.")
    else:
        _guesses[name] = guess
        say(f"Your guess is kept: {guess}.")


def compare(name: str, measured: Any) -> None:
    """Print the `measured` value beside the guess that `predict` stored under the same `name`."""
    guess = _guesses.get(name, "none")
    measured = f"{measured:.3g}" if isinstance(measured, (float, np.floating)) else measured
    say(f"{name}: your guess {guess}, measured {measured}")


def answer_of(function: Callable, *arguments: Any) -> Any:
    """Call the student's `function` with `arguments` and return its answer.

    Raises `NotAttempted` if it returns None or ``...``, and TypeError if it is no function.
    """
    if not callable(function):
        raise TypeError("give the function itself, without calling it")
    answer = function(*arguments)
    if answer is Ellipsis:
        raise NotAttempted
    if answer is None:  # a function that prints its answer, or ends without a `return`
        raise NotAttempted(
            " The function gives nothing back. Does its last line begin with return?"
        )
    return answer


def match_mistake(
    answer: Any, mistakes: Iterable[tuple[Any, str]], last: str, atol: float = 1e-5
) -> list[str] | None:
    """Look up the hint for a wrong answer among known mistakes: [hint, last], or None.

    `mistakes` are pairs (wrong answer, hint). The first one whose shape and values (to `atol`)
    equal those of `answer` counts. `last` is the most direct hint of the exercise.
    """
    for wrong, hint in mistakes:
        if np.shape(answer) == np.shape(wrong) and np.allclose(answer, wrong, atol=atol):
            return [hint, last]
    return None


# Each module registers the exercises of its lesson. They import the functions above, so they come
# last.
from sdkit.lessons.checks import (  # noqa: E402, F401
    lesson_00,
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
    lesson_10,
    lesson_11,
    lesson_12,
    lesson_13,
    lesson_14,
    lesson_15,
    lesson_16,
    lesson_17,
)
