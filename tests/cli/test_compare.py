"""The verb compare: pages from folders and from models, and answers counted by the key."""

import base64
import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from sdkit import cli, generate, models, photos
from sdkit.cli import consent
from tests import strange


@pytest.fixture
def work(tiny_data, tmp_path, monkeypatch):
    """A folder with three photographs, and one with the paintings of each side in its colour."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    for folder, colour in (("photos", "grey"), ("old", "red"), ("new", "blue")):
        (tmp_path / folder).mkdir()
        for name in ("ann", "bob", "ann-bob"):
            tail = "" if folder == "photos" else "-van-gogh-seed0"
            Image.new("RGB", (40, 32), colour).save(tmp_path / folder / f"{name}{tail}.png")
    return tmp_path


def pictures(page):
    """The pictures on a page, as (photograph, left, right) for each pair."""
    found = re.findall(r"data:image/jpeg;base64,([^\"]*)", page)
    opened = [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]
    return [opened[k : k + 3] for k in range(0, len(opened), 3)]


def is_red(image):
    return np.asarray(image)[..., 0].mean() > 200


def test_two_folders_are_compared_and_the_answers_counted(work, capsys):
    assert cli.main(["compare", "photos", "old", "new", "--seed", "5"]) == 0
    out = work / "compared"
    assert "3 pairs" in capsys.readouterr().out
    key = json.loads((out / "key.json").read_text())
    pairs = pictures((out / "sheet.html").read_text())
    assert (key["A"], key["B"], key["seed"], len(pairs)) == ("old", "new", 5, 3)
    assert {pair["name"] for pair in key["pairs"].values()} == {
        f"{name}-van-gogh-seed0" for name in ("ann", "bob", "ann-bob")
    }
    # whoever always prefers the red painting prefers A
    answers = {
        str(k): "left" if is_red(left) else "right" for k, (_, left, _) in enumerate(pairs, 1)
    }
    file = work / "answers.json"
    file.write_text(json.dumps({"sheet": key["sheet"], "answers": answers}))
    assert cli.main(["compare", "--answers", str(file), "--key", str(out / "key.json")]) == 0
    assert "A (old): preferred in 3 of 3 decided pairs, 100%" in capsys.readouterr().out


def test_two_models_are_compared_at_their_settings(work, capsys):
    run = ["compare", "photos", "mini", "mini-sd", "--prompt", "ukiyo-e", "--size", "72"]
    assert cli.main([*run, "--out", "here"]) == 0
    settings = models.settings("ukiyo-e", size=72)
    photo = photos.open_photo("photos/bob.png")
    (expected,) = generate.style(models.load(device="cpu"), [photo], settings)
    key = json.loads((work / "here" / "key.json").read_text())
    number = next(int(k) for k, pair in key["pairs"].items() if pair["name"] == "bob")
    original, left, right = pictures((work / "here" / "sheet.html").read_text())[number - 1]
    for painting in (left, right):
        difference = np.asarray(painting, float) - np.asarray(expected, float)
        assert np.abs(difference).mean() < 4  # JPEG of a noisy picture
    assert original.size == expected.size


def test_a_painting_belongs_to_the_photograph_with_the_longest_name(work):
    Image.new("RGB", (40, 32), "white").save("photos/ann-bob.png")
    assert cli.main(["compare", "photos", "old", "new"]) == 0
    key = json.loads((work / "compared" / "key.json").read_text())
    pairs = pictures((work / "compared" / "sheet.html").read_text())
    for pair, (photo, *_) in zip(key["pairs"].values(), pairs):
        white = pair["name"].startswith("ann-bob")
        assert (np.asarray(photo).mean() > 200) == white


def test_pictures_without_a_partner_are_named(work, capsys):
    (work / "old" / "bob-van-gogh-seed0.png").unlink()
    (work / "photos" / "ann-bob.png").unlink()
    (work / "photos" / "ann.png").unlink()
    assert cli.main(["compare", "photos", "old", "new"]) == 2
    error = capsys.readouterr().err
    assert "left out bob-van-gogh-seed0: only A or only B has it" in error
    assert "left out ann-van-gogh-seed0: it has no photograph" in error
    assert "No photograph has a painting in both" in error
    assert not (work / "compared" / "sheet.html").exists()


def test_bad_files_are_named_once_and_left_out(work, capsys):
    """Photographs that a model cannot paint, and paintings that are no pictures."""
    strange.write_all(work / "photos")
    (work / "old" / "bob-van-gogh-seed0.png").write_text("A shopping list.")
    run = ["compare", "photos", "mini", "mini-sd", "--size", "72", "--out", "here"]
    assert cli.main(run) == 0
    error = capsys.readouterr().err
    for name in strange.UNUSABLE:
        assert error.count(f"left out {name}: ") == 1
    key = json.loads((work / "here" / "key.json").read_text())
    assert len(key["pairs"]) == 3 + len(strange.USABLE)
    assert cli.main(["compare", "photos", "old", "new"]) == 0
    error = capsys.readouterr().err
    assert "left out bob-van-gogh-seed0.png: " in error
    key = json.loads((work / "compared" / "key.json").read_text())
    assert {pair["name"].partition("-van")[0] for pair in key["pairs"].values()} == {
        "ann",
        "ann-bob",
    }


def test_the_painting_of_a_bad_photograph_is_left_out(work, capsys):
    (work / "photos" / "ann-bob.png").write_bytes(b"")
    assert cli.main(["compare", "photos", "old", "new"]) == 0
    assert capsys.readouterr().err.count("left out ann-bob.png: ") == 1
    key = json.loads((work / "compared" / "key.json").read_text())
    # it does not go to ann, whose name it begins with
    assert sorted(pair["name"] for pair in key["pairs"].values()) == [
        "ann-van-gogh-seed0",
        "bob-van-gogh-seed0",
    ]


def test_each_page_has_its_own_seed_unless_one_is_given(work):
    for folder in ("a", "b", "c", "d"):
        run = ["compare", "photos", "old", "new", "--out", folder]
        assert cli.main(run + (["--seed", "7"] if folder in "cd" else [])) == 0
    seeds = [json.loads((work / folder / "key.json").read_text())["seed"] for folder in "abcd"]
    assert seeds[0] != seeds[1] and seeds[2:] == [7, 7]  # one in a million runs would fail
    assert (work / "c" / "sheet.html").read_text() == (work / "d" / "sheet.html").read_text()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["photos", "old"], "Give three things"),
        ([], "Give three things"),
        (["--answers", "x"], "--answers FILE and --key FILE"),
        (["photos", "old", "new", "--key", "x"], "--answers FILE and --key FILE"),
        (["photos", "old", "nothing"], "There is no model 'nothing'"),
        (["nowhere", "old", "new"], "There is no folder"),
        (["photos", "old", "new", "--seed", "-1"], "below 0"),
        (["--answers", "x", "--key", "y"], "cannot be read"),
    ],
)
def test_what_cannot_be_compared_gives_one_sentence(work, capsys, arguments, words):
    assert cli.main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sdkit: ") and words in error and len(error.splitlines()) == 1


def test_an_old_page_is_not_replaced(work, capsys):
    run = ["compare", "photos", "old", "new"]
    assert cli.main(run) == 0
    before = (work / "compared" / "key.json").read_text()
    assert cli.main(run) == 2 and "exists already" in capsys.readouterr().err
    assert (work / "compared" / "key.json").read_text() == before


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "photos", "mini", "photos", "--prompt", "ukiyo-e", "--size", "72"],
        ["style", "photos", "--prompt", "ukiyo-e", "--size", "72"],
    ],
    ids=lambda command: command[0],
)
def test_a_question_stands_on_a_line_without_the_bar(work, monkeypatch, command):
    terminal, before = Terminal(), []
    monkeypatch.setattr(sys, "stderr", terminal)

    def ask(*_):
        before.append(terminal.getvalue())

    monkeypatch.setattr(consent, "agree_to_run", ask)
    assert cli.main(command) == 0
    assert len(before) == 1 and "0%" in before[0]  # the bar was there
    # what the eye sees on the last line: text after the last return to the start of the line
    assert before[0].splitlines()[-1].rsplit("\r", 1)[-1].strip() == ""
