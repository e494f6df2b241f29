"""A visual Turing test: two pictures side by side, one of them real, and two buttons to say which.

Chance is one half for every player, whatever their taste for one button (a two-alternative forced choice, Green and
Swets 1966). Nothing on the page or in the picture's bytes tells which is which, and no answer is marked before the end.
A result is a file of one line, {"GAN": [9, 10], "diffusion": [6, 10]}, with no name in it.
"""

import io
import json
from pathlib import Path

import ipywidgets
import numpy as np
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.evaluate import metrics
from sdkit.files import write_atomically
from sdkit.lessons import plots, widgets

SIDES = ("left", "right")
GAP = 8  # px of white between the two pictures, before they are enlarged
LARGEST = 100_000  # bytes; no result has as many


class Game:
    """Pairs of pictures in random order, and what a player has said about them so far.

    pairs : dict from the name of a source, as in "GAN", to a list of (real, made), PIL pictures or arrays of one size.
    seed : of the order and of the sides.
    """

    def __init__(self, pairs, seed=0):
        trials = [(source, *pair) for source, some in pairs.items() for pair in some]
        if not trials:
            raise SdkitError("The game has no pairs: give a list of (real, made) for each source.")
        rng = np.random.default_rng(seed)
        self._trials = [(*trials[k], SIDES[rng.integers(2)]) for k in rng.permutation(len(trials))]
        self._right = []

    def __len__(self):
        return len(self._trials)

    @property
    def judged(self):
        """How many pairs have been judged."""
        return len(self._right)

    def pair(self, number=None):
        """Pair `number` (the one to be judged next if None) as (left, right)."""
        _, real, made, side = self._trials[self.judged if number is None else number]
        return (real, made) if side == "left" else (made, real)

    def answer(self, side):
        """Say on which side the real picture is: "left" or "right"."""
        if side not in SIDES:
            raise SdkitError(f"There is no side {side!r}. Say 'left' or 'right'.")
        if self.judged == len(self):
            raise SdkitError(
                f"All {len(self)} pairs have been judged. Make a new game to play again."
            )
        self._right.append(side == self._trials[self.judged][3])

    def score(self):
        """Dict from source to [right, judged], for the sources that have been judged."""
        score = {}
        for (source, *_), right in zip(self._trials, self._right):
            old = score.get(source, [0, 0])
            score[source] = [old[0] + int(right), old[1] + 1]
        return dict(sorted(score.items()))

    def summary(self):
        """The score in words, with its 95 % Wilson interval; nothing of it before the last pair."""
        if self.judged < len(self):
            return f"{self.judged} of {len(self)} pairs judged; the score comes at the end."
        return "\n".join(describe(source, *result) for source, result in self.score().items())

    def save(self, path):
        """Write the score to `path` (.json), for `read` to pool with others. Raises `SdkitError` before the end."""
        if self.judged < len(self):
            raise SdkitError(
                f"{self.judged} of {len(self)} pairs are judged. Play to the end, then save."
            )
        with write_atomically(path) as part:
            part.write_text(json.dumps(self.score()), encoding="utf-8")


def describe(source, right, count):
    """One line: how many were right, as a share and with the interval in which the true share lies."""
    low, high = metrics.wilson(right, count)
    return f"{source}: {right} of {count} right, {right / count:.0%} ({low:.0%} to {high:.0%})"


def read(folder):
    """The results in ``folder``/\\*.json, one dict from source to [right, count] for each player.

    A file that holds no result is left out, with one printed sentence. Raises `SdkitError` where none is left.
    """
    results = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            results.append(_result(path))
        except (OSError, ValueError) as error:
            print(f"{path.name} is left out: {error}.")
    if not results:
        raise SdkitError(
            f'There is no result in {folder}. Players write theirs with game.save("{folder}/NAME.json").'
        )
    return results


def _result(path):
    """The result in a file; raises ValueError with half a sentence where it is none."""
    if path.stat().st_size > LARGEST:
        raise ValueError("it is too large for a result")
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("it is damaged, or no JSON") from None
    if not isinstance(result, dict) or not result or not all(map(_is_score, result.values())):
        raise ValueError('it is no result such as {"GAN": [9, 10]}')
    return result


def _is_score(value):
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(number) is int for number in value)
        and 0 <= value[0] <= value[1]
        and value[1] > 0
    )


def side_by_side(pair, enlarge=1):
    """Two pictures (H, W, 3) as one PIL picture with a white gap, `enlarge` times as large."""
    left, right = (np.asarray(picture) for picture in pair)
    gap = np.full((len(left), GAP, 3), 255, np.uint8)
    both = Image.fromarray(np.concatenate([left, gap, right], axis=1))
    return both.resize([side * enlarge for side in both.size], Image.Resampling.BICUBIC)


def play(game, enlarge=3, shown=6):
    """Show `game` with two buttons, to be pressed by mouse or by Tab and Enter, and `shown` pairs as a still strip.

    Returns the box (an `ipywidgets.VBox`), already displayed. Its last line counts pairs, and gives the score at the end.
    """
    picture, line = ipywidgets.Image(format="png"), ipywidgets.HTML()
    buttons = [
        ipywidgets.Button(
            description=f"{side} is real", tooltip=f"the {side} picture is the real one"
        )
        for side in SIDES
    ]

    def turn():
        if game.judged == len(game):
            line.value = "<b>The end.</b><br>" + game.summary().replace("\n", "<br>")
            for button in buttons:
                button.disabled = True
            return
        buffer = io.BytesIO()
        side_by_side(game.pair(), enlarge).save(buffer, format="png")
        picture.value = buffer.getvalue()
        line.value = f"Pair {game.judged + 1} of {len(game)}: which one is real?"

    def pressed(side):
        def press(_):
            game.answer(side)
            turn()

        return press

    for button, side in zip(buttons, SIDES):
        button.on_click(pressed(side))
    turn()
    box = ipywidgets.VBox([picture, ipywidgets.HBox(buttons), line])
    widgets.put(
        box, f"[a game of {len(game)} pairs: run the cell to play it; the first ones stand below]"
    )
    some = range(min(shown, len(game)))
    strip = plots.show_grid(
        [side_by_side(game.pair(k)) for k in some], [f"pair {k + 1}" for k in some], 3, panel=1.4
    )
    plots.show(
        strip,
        alt=f"The first {len(some)} pairs of the game. In each, one picture is a rendered postcard and the "
        "other was made by a network; it is not said which.",
    )
    return box
