"""The exercise checkers: ``check("11.1", answer)`` says "not attempted yet", gives a tick, or a fitting hint.

A checker is a function that returns None for a right answer and otherwise its hints, from gentle to direct; each
wrong try in a session gets the next. Checkers run the reader's code, so whatever it raises becomes a sentence.
`predict` keeps a guess that is made before a cell runs, and `compare` shows it beside what was measured.
"""

import inspect
from collections import Counter

import numpy as np

_checkers, _tries, _guesses = {}, Counter(), {}


def exercise(exercise_id):
    """Decorator: register a checker ``(answer, ...) -> None or sequence of hints`` under `exercise_id`."""

    def register(checker):
        _checkers[exercise_id] = checker
        return checker

    return register


def check(exercise_id, *answer):
    """Print what is to be said about an answer. Never raises, and returns nothing that a notebook would show."""
    checker = _checkers.get(exercise_id)
    if checker is None:
        print(f"There is no exercise {exercise_id!r}. Known here: {', '.join(sorted(_checkers))}.")
        return
    wanted = len(inspect.signature(checker).parameters)
    if not answer or any(part is None or part is Ellipsis for part in answer):
        print(f"{exercise_id}: not attempted yet.")
        return
    if len(answer) != wanted:
        print(f"{exercise_id}: expects {wanted} answer{'s' * (wanted > 1)}, got {len(answer)}.")
        return
    try:
        hints = checker(*answer)
    except NotAttempted:
        print(f"{exercise_id}: not attempted yet.")
        return
    except Exception as error:
        # the reader's own function, or an answer of a kind that nobody thought of
        said = str(error).partition("\n")[0]
        hints = [f"that stopped with {type(error).__name__}: {said}"]
    if hints is None:
        print(f"{exercise_id}: ✓ right.")
        return
    hints = [hints] if isinstance(hints, str) else list(hints)
    print(f"{exercise_id}: not yet. Hint: {hints[min(_tries[exercise_id], len(hints) - 1)]}")
    _tries[exercise_id] += 1


class NotAttempted(Exception):
    """A stub that still returns None or an Ellipsis."""


def predict(name, guess):
    """Keep a `guess` (number or text; None while there is none), made before the cell that measures it."""
    if guess is None or guess is Ellipsis:
        _guesses.pop(name, None)
        print("No guess yet. Put one in and run this cell again; it costs nothing to be wrong.")
    else:
        _guesses[name] = guess
        print(f"Your guess is kept: {guess}.")


def compare(name, measured):
    """Print what was `measured` beside the guess that `predict` kept under the same `name`."""
    guess = _guesses.get(name, "none")
    measured = f"{measured:.3g}" if isinstance(measured, (float, np.floating)) else measured
    print(f"{name}: your guess {guess}, measured {measured}")


def answer_of(function, *arguments):
    """What the reader's `function` answers; an unfinished stub counts as not attempted."""
    if not callable(function):
        raise TypeError("give the function itself, without calling it")
    answer = function(*arguments)
    if answer is None or answer is Ellipsis:
        raise NotAttempted
    return answer


def slip(answer, slips, last, atol=1e-5):
    """Hints for a plausible wrong answer, or None: of `slips`, pairs of wrong answer and hint, the first that fits."""
    for wrong, hint in slips:
        if np.shape(answer) == np.shape(wrong) and np.allclose(answer, wrong, atol=atol):
            return [hint, last]
    return None


# At the end, as they need what stands above: each registers the exercises of its lesson.
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
)
