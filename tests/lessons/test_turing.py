"""The visual Turing test: fair, blind and deterministic; results are pooled."""

import io
import json

import IPython.display
import numpy as np
import pytest
from PIL import Image

from sdkit import turing, widgets
from sdkit.errors import SdkitError

REAL, MADE = 200, 40


def picture(shade):
    return Image.new("RGB", (16, 12), (shade, shade, shade))


def pairs(count=10):
    return {name: [(picture(REAL), picture(MADE))] * count for name in ("GAN", "diffusion")}


def see(left, right):
    """A player who always sees which is real: the brighter one."""
    return "left" if np.mean(left) > np.mean(right) else "right"


def played(game, player):
    while game.judged < len(game):
        game.answer(player(*game.pair()))
    return game


def test_a_perfect_player_is_always_right_and_a_guessing_one_half_the_time():
    assert played(turing.Game(pairs()), see).score() == {"GAN": [10, 10], "diffusion": [10, 10]}
    wrong = played(turing.Game(pairs()), lambda *pair: "left" if see(*pair) == "right" else "right")
    assert wrong.score() == {"GAN": [0, 10], "diffusion": [0, 10]}
    blind = played(turing.Game(pairs(500), seed=3), lambda *pair: "left").score()
    assert 440 < sum(right for right, _ in blind.values()) < 560  # sd 16


def test_the_seed_decides_the_order():
    first, again, other = (turing.Game(pairs(), seed) for seed in (1, 1, 2))
    sides = [[see(*game.pair(k)) for k in range(20)] for game in (first, again, other)]
    assert sides[0] == sides[1] != sides[2]


def test_no_score_before_the_end(tmp_path):
    game = turing.Game(pairs(2))
    assert game.summary() == "0 of 4 pairs judged; the score comes at the end."
    with pytest.raises(SdkitError, match="Play to the end"):
        game.save(tmp_path / "me.json")
    assert not list(tmp_path.iterdir())
    played(game, see)
    assert (
        game.summary()
        == "GAN: 2 of 2 right, 100% (34% to 100%)\ndiffusion: 2 of 2 right, 100% (34% to 100%)"
    )
    with pytest.raises(SdkitError, match="new game"):
        game.answer("left")


def test_results_are_saved_and_pooled(tmp_path):
    played(turing.Game(pairs(3)), see).save(tmp_path / "class" / "ann.json")
    (tmp_path / "class" / "bob.json").write_text('{"GAN": [1, 3], "diffusion": [2, 3]}')
    results = turing.read(tmp_path / "class")
    assert results == [{"GAN": [3, 3], "diffusion": [3, 3]}, {"GAN": [1, 3], "diffusion": [2, 3]}]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"{}",
        b'{"GAN": 3}',
        b'{"GAN": [4, 3]}',
        b'{"GAN": [-1, 3]}',
        b'{"GAN": [0, 0]}',
        b'{"GAN": [1.5, 3]}',
        b'{"GAN": [true, 3]}',
        b'{"GAN": ["1", "3"]}',
        b"[" * 50_000,
        b'{"GAN": [1, 2]}' + b" " * 200_000,
    ],
    ids=lambda content: repr(content[:16]),
)
def test_a_bad_file_gives_one_sentence_and_the_other_files_count(tmp_path, capsys, content):
    (tmp_path / "bad.json").write_bytes(content)
    (tmp_path / "good.json").write_text('{"GAN": [1, 3]}')
    assert turing.read(tmp_path) == [{"GAN": [1, 3]}]
    said = capsys.readouterr().out
    assert said.startswith("bad.json is left out: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: turing.Game({}),
        lambda: turing.Game({"GAN": []}),
        lambda: turing.Game(pairs()).answer("up"),
        lambda: turing.read("no such folder"),
    ],
)
def test_bad_input_gives_a_clear_sentence(wrong):
    with pytest.raises(SdkitError, match=r"\w+ .*[.:]"):
        wrong()


@pytest.fixture
def shown(monkeypatch):
    displayed = []
    for place in (IPython.display, widgets):
        monkeypatch.setattr(
            place,
            "display",
            lambda data, metadata=None, raw=False: displayed.append((data, metadata)),
        )
    return displayed


def test_the_buttons_play_the_game(shown):
    game = turing.Game(pairs(2))
    image, row, line = turing.play(game).children
    left, right = row.children
    for number in range(4):
        assert line.value == f"Pair {number + 1} of 4: which one is real?"
        seen = Image.open(io.BytesIO(bytes(image.value)))
        # bytes say nothing but pixels
        assert seen.size == (3 * (16 + turing.GAP + 16), 36) and not seen.info
        (left if see(*game.pair()) == "left" else right).click()
    assert line.value.startswith("<b>The end.</b>") and "2 of 2 right" in line.value
    assert left.disabled and right.disabled


def test_the_stored_output_is_deterministic_and_does_not_tell_the_answers(shown):
    for _ in range(2):
        turing.play(turing.Game(pairs(), seed=5))
    (view, _), (strip, metadata), (view2, _), (strip2, metadata2) = shown
    assert (view["text/plain"], strip, metadata) == (view2["text/plain"], strip2, metadata2)
    text = view["text/plain"] + metadata["image/jpeg"]["alt"]
    assert (
        "GAN" not in text
        and "diffusion" not in text
        and json.dumps(list(view)) == json.dumps([widgets.VIEW, "text/plain"])
    )


def test_sources_are_mixed():
    game = turing.Game({"GAN": [(picture(0), picture(1))] * 9, "other": [(picture(2),) * 2] * 9})
    first = [np.asarray(game.pair(k)[0])[0, 0, 0] < 2 for k in range(9)]
    assert 0 < sum(first) < 9


def test_the_score_in_words():
    assert turing.describe("GAN", 1, 4) == "GAN: 1 of 4 right, 25% (5% to 70%)"
