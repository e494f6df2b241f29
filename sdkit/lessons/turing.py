"""A visual Turing test: two pictures side by side, one of them real, and two buttons to say which.

This is a two-alternative forced choice (Green and Swets 1966): a player who guesses is right half
of the time, also if the player prefers one button. Neither the page nor the picture's bytes tell
which picture is real, and the score comes only at the end. A result file is one line without a
name: {"GAN": [9, 10], "diffusion": [6, 10]}.
"""

import io
import json
from collections.abc import Callable, Sequence
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
MAX_BYTES = 100_000  # of a result file; real ones are much smaller

Pair = tuple[plots.Picture, plots.Picture]


class Game:
    """Pairs of pictures in random order, and a player's answers so far.

    pairs : dictionary from the name of a source, for example "GAN", to a list of (real, generated)
        PIL pictures or arrays (H, W, 3), all of one size.
    seed : decides the order of the pairs and the sides of the real pictures.
    """

    def __init__(self, pairs: dict[str, Sequence[Pair]], seed: int = 0):
        trials = [(source, *pair) for source, some in pairs.items() for pair in some]
        if not trials:
            raise SdkitError("The game has no pairs: give a list of (real, made) for each source.")
        rng = np.random.default_rng(seed)
        self._trials = [(*trials[k], SIDES[rng.integers(2)]) for k in rng.permutation(len(trials))]
        self._right = []

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def judged(self) -> int:
        """The number of pairs with an answer."""
        return len(self._right)

    def pair(self, number: int | None = None) -> Pair:
        """Pair `number` as (left, right); None means the next pair without an answer."""
        _, real, generated, side = self._trials[self.judged if number is None else number]
        return (real, generated) if side == "left" else (generated, real)

    def answer(self, side: str) -> None:
        """Answer on which side the real picture is: "left" or "right".

        Raises `SdkitError` for another side, or if all pairs have an answer.
        """
        if side not in SIDES:
            raise SdkitError(f"There is no side {side!r}. Say 'left' or 'right'.")
        if self.judged == len(self):
            raise SdkitError(
                f"All {len(self)} pairs have been judged. Make a new game to play again."
            )
        self._right.append(side == self._trials[self.judged][3])

    def score(self) -> dict[str, list[int]]:
        """Dictionary from each source to [right answers, answers], as far as there are answers."""
        score = {}
        for (source, *_), right in zip(self._trials, self._right):
            old = score.get(source, [0, 0])
            score[source] = [old[0] + int(right), old[1] + 1]
        return dict(sorted(score.items()))

    def summary(self) -> str:
        """The score in words with its 95 % Wilson interval; before the end only the progress."""
        if self.judged < len(self):
            return f"{self.judged} of {len(self)} pairs judged; the score comes at the end."
        return "\n".join(describe(source, *result) for source, result in self.score().items())

    def save(self, path: str | Path) -> None:
        """Write the score to `path` (.json), for `read`. Raises `SdkitError` before the end."""
        if self.judged < len(self):
            raise SdkitError(
                f"{self.judged} of {len(self)} pairs are judged. Play to the end, then save."
            )
        with write_atomically(path) as part:
            part.write_text(json.dumps(self.score()), encoding="utf-8")


def describe(source: str, right: int, count: int) -> str:
    """One line with the right answers, their share, and its 95 % Wilson interval."""
    low, high = metrics.wilson(right, count)
    return f"{source}: {right} of {count} right, {right / count:.0%} ({low:.0%} to {high:.0%})"


def read(folder: str | Path) -> list[dict[str, list[int]]]:
    """The results in ``folder``/\\*.json: for each player a dictionary as from `Game.score`.

    A file without a valid result is left out, with one printed sentence. Raises `SdkitError` if no
    result is left.
    """
    results = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            results.append(_result(path))
        except (OSError, ValueError) as error:
            print(f"{path.name} is left out: {error}.")
    if not results:
        raise SdkitError(
            f"There is no result in {folder}. "
            f'Players write theirs with game.save("{folder}/NAME.json").'
        )
    return results


def _result(path: Path) -> dict[str, list[int]]:
    """The result in a file. Raises ValueError with the reason if there is no valid one."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large for a result")
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("it is damaged, or no JSON") from None
    if not isinstance(result, dict) or not result or not all(map(_is_score, result.values())):
        raise ValueError('it is no result such as {"GAN": [9, 10]}')
    return result


def _is_score(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(number) is int for number in value)
        and 0 <= value[0] <= value[1]
        and value[1] > 0
    )


def side_by_side(pair: Pair, enlarge: int = 1) -> Image.Image:
    """Two pictures (H, W, 3) as one PIL picture with a white gap, `enlarge` times as large."""
    left, right = (np.asarray(picture) for picture in pair)
    gap = np.full((len(left), GAP, 3), 255, np.uint8)
    both = Image.fromarray(np.concatenate([left, gap, right], axis=1))  # (H, 2 W + GAP, 3)
    return both.resize([side * enlarge for side in both.size], Image.Resampling.BICUBIC)


def play(game: Game, enlarge: int = 3, shown: int = 6) -> ipywidgets.VBox:
    """Display `game` with two buttons, and its first `shown` pairs as a static strip.

    The buttons work with the mouse, or with Tab and Enter. The last line counts the pairs, and
    shows the score at the end. Returns the displayed box.
    """
    picture, line = widgets.Picture(), ipywidgets.HTML()
    buttons = [
        ipywidgets.Button(
            description=f"{side} is real", tooltip=f"the {side} picture is the real one"
        )
        for side in SIDES
    ]

    def show_next() -> None:
        if game.judged == len(game):
            line.value = "<b>The end.</b><br>" + game.summary().replace("\n", "<br>")
            for button in buttons:
                button.disabled = True
            return
        buffer = io.BytesIO()
        side_by_side(game.pair(), enlarge).save(buffer, format="png")
        picture.value = buffer.getvalue()
        picture.alt = (
            f"Pair {game.judged + 1}: two postcards side by side. One is real, and the other was "
            "made by a network."
        )
        line.value = f"Pair {game.judged + 1} of {len(game)}: which one is real?"

    def pressed(side: str) -> Callable[[ipywidgets.Button], None]:
        def press(_: ipywidgets.Button) -> None:
            game.answer(side)
            show_next()

        return press

    for button, side in zip(buttons, SIDES):
        button.on_click(pressed(side))
    show_next()
    box = ipywidgets.VBox([picture, ipywidgets.HBox(buttons), line])
    widgets.display_with_text(
        box, f"[a game of {len(game)} pairs: run the cell to play it; the first ones stand below]"
    )
    first = range(min(shown, len(game)))
    strip = plots.show_grid(
        [side_by_side(game.pair(k)) for k in first], [f"pair {k + 1}" for k in first], 3, panel=1.4
    )
    plots.show(
        strip,
        alt=f"The first {len(first)} pairs of the game. In each, one picture is a rendered "
        "postcard and the other was made by a network; it is not said which.",
    )
    return box
