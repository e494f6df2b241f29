"""The verb learn from outside, and --lora in draw and style."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sdkit import cli, generate, lora, models, photos, postcards

BARE = ["--no-mark", "--no-invisible-mark"]  # pixels as the network made them
LEARN = ["learn", "mine", "--word", "dots", "--model", "tiny", "--steps", "4", "--size", "32"]
DRAW = ["draw", "a red house in the snow at night, dots", "--model", "tiny", "--no-upscale"]
FILE = "learned/dots.safetensors"


@pytest.fixture
def folder_of_postcards(tiny_sd, tmp_path, monkeypatch):
    """The tiny model with the words of the postcards, as a folder, and four pictures to learn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    shutil.copytree(tiny_sd, "tiny")
    with open("tiny/words.json", "w", encoding="utf-8") as file:
        json.dump(postcards.words(), file)
    (tmp_path / "mine").mkdir()
    for k in range(4):
        card = postcards.sample(13, k)
        name = f"mine/{postcards.plain_caption(card)}.png"
        Image.fromarray(postcards.draw(card, 32)).save(name)
    return tmp_path


@pytest.fixture
def learned(folder_of_postcards, capsys):
    assert cli.main(LEARN) == 0
    capsys.readouterr()
    return folder_of_postcards / FILE


def same(a, b):
    """Whether two LoRA files hold the same numbers. Their notes may stand in another order."""
    one, other = load_file(a), load_file(b)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_learn_writes_the_file_that_the_function_gives(folder_of_postcards, capsys):
    assert cli.main(LEARN) == 0
    said = capsys.readouterr()
    assert "wrote" in said.out and f"--lora {FILE}" in said.out.replace("\\", "/")
    assert not said.err and sorted(p.name for p in (folder_of_postcards / "learned").iterdir()) == [
        "dots.safetensors"
    ]
    files = sorted((folder_of_postcards / "mine").iterdir())
    pipe = models.load("tiny", "text2img", device="cpu")
    captions = [file.stem for file in files]
    assert all(f"{file.name}: {file.stem}" in said.out for file in files)
    pictures = [photos.open_photo(file) for file in files]
    learner = lora.Learner(pipe, pictures, captions, "dots", lora.Recipe(steps=4, size=32))
    for _ in learner.train():
        pass
    learner.save("again.safetensors")
    learner.remove()
    assert same(FILE, "again.safetensors")
    assert cli.main(LEARN) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_learned_and_the_same_command_goes_on(
    folder_of_postcards, capsys, monkeypatch
):
    assert cli.main([*LEARN, "--out", "whole.safetensors"]) == 0
    step = lora.Learner.step

    def stopped(self):
        import signal

        if self.done == 1:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(lora.Learner, "step", stopped)
    assert cli.main(LEARN) == 130
    said = capsys.readouterr()
    assert "Stopped after step 2 of 4" in said.err and "--overwrite" in said.err
    assert lora.read(folder_of_postcards / FILE).word == "dots"
    monkeypatch.setattr(lora.Learner, "step", step)
    assert cli.main([*LEARN, "--overwrite"]) == 0
    assert "Going on after step 2 of 4" in capsys.readouterr().out
    assert same(FILE, "whole.safetensors")
    assert len(list((folder_of_postcards / "learned").iterdir())) == 1  # no progress is left


def test_draw_paints_with_the_lora_and_its_note_says_so(learned, capsys):
    assert cli.main([*DRAW, "--out", "plain"]) == 0
    assert cli.main([*DRAW, "--lora", f"{FILE}:0.5", "--lora", f"{FILE}:2", "--out", "new"]) == 0
    said = capsys.readouterr()
    assert len(re.findall("'dots'", said.err)) == 1  # a word of a LoRA that is used needs no note
    plain, new = (
        Image.open(next((learned.parents[1] / name).iterdir())) for name in ("plain", "new")
    )
    assert new.text["LoRA"] == (
        "dots.safetensors, scale 0.5, word dots; dots.safetensors, scale 2, word dots"
    )
    assert "LoRA" not in plain.text and not np.array_equal(plain, new)
    pipe = models.load("tiny", "text2img", device="cpu")
    settings = models.settings(DRAW[1], "tiny", "draw")
    (bare,) = generate.draw(pipe, settings, advise=False)  # the pipeline is as before
    with lora.applied(pipe, [lora.read(FILE, 0.5), lora.read(FILE, 2)]):
        (expected,) = generate.draw(pipe, settings, advise=False)
    assert np.abs(np.asarray(bare, int) - np.asarray(expected, int)).max() > 0
    assert cli.main([*DRAW, "--lora", f"{FILE}:2.5", "--out", "bare", *BARE]) == 0
    with lora.applied(pipe, [lora.read(FILE, 2.5)]):
        (expected,) = generate.draw(pipe, settings, advise=False)
    np.testing.assert_array_equal(
        Image.open(next((learned.parents[1] / "bare").iterdir())), expected
    )


def test_style_paints_with_the_lora(learned):
    style = ["style", "coffee", "--prompt", "dots", "--model", "tiny", *BARE]
    assert cli.main([*style, "--lora", FILE]) == 0
    made = Image.open(next((learned.parents[1] / "styled").iterdir()))
    pipe, settings = models.load("tiny", device="cpu"), models.settings("dots", "tiny")
    with lora.applied(pipe, [lora.read(FILE)]):
        (expected,) = generate.style(pipe, [photos.sample("coffee")], settings, advise=False)
    np.testing.assert_array_equal(made, expected)
    assert made.text["LoRA"] == "dots.safetensors, scale 1, word dots"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["learn", "gone", "--word", "dots"], "no folder"),
        (["learn", "empty", "--word", "dots"], "no pictures"),
        (["learn", "few", "--word", "dots"], "holds 1 picture"),
        (["learn", "mine", "--word", "red"], "already"),
        (["learn", "mine", "--word", "two words"], "one word"),
        (["learn", "mine", "--word", "dots", "--steps", "0"], "steps"),
        (["learn", "mine", "--word", "dots", "--size", "70"], "multiple of 16"),
        (["learn", "mine", "--word", "dots", "--out", "x.png"], ".safetensors"),
        (["draw", "a house", "--lora", "gone.safetensors"], "no LoRA file"),
        (["draw", "a house", "--lora", "gone.safetensors:7"], "scale"),
        (["style", "coffee", "--prompt", "x", "--lora", "mine"], "no LoRA file"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder_of_postcards, capsys, arguments, words):
    (folder_of_postcards / "empty").mkdir()
    (folder_of_postcards / "few").mkdir()
    Image.new("RGB", (32, 32)).save("few/x.png")
    assert cli.main([*arguments, "--model", "tiny"]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and "Traceback" not in said


def test_a_model_without_postcards_cannot_be_taught(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["learn", ".", "--word", "dots"]) == 2
    assert "does not know the kit's postcards" in capsys.readouterr().err


def test_pictures_that_say_nothing_get_a_note(folder_of_postcards, capsys):
    Image.new("RGB", (32, 32), "red").save("mine/IMG_1.png")
    assert cli.main(LEARN) == 0
    said = capsys.readouterr()
    assert "IMG_1.png: (not said)" in said.out and "says" not in said.out
    assert "should say what it shows" in said.err


def test_a_lora_from_the_hub_is_taken_from_the_cache_or_asked_for(
    learned, capsys, monkeypatch, tmp_path
):
    folder = tmp_path / "cache"
    folder.mkdir()
    shutil.copy(learned, folder / "pytorch_lora_weights.safetensors")
    monkeypatch.setattr(models.hub, "cached", lambda repo, file=None: None)
    assert cli.main([*DRAW, "--lora", "ann/dots"]) == 2
    assert "must be downloaded" in capsys.readouterr().err
    fetched = []
    monkeypatch.setattr(models.hub, "fetch", lambda *what: fetched.append(what) or folder)
    assert cli.main([*DRAW, "--lora", "ann/dots:0.5", "--yes"]) == 0
    assert fetched == [("ann/dots", "pytorch_lora_weights.safetensors")]
    monkeypatch.setattr(models.hub, "cached", lambda repo, file=None: folder)
    assert cli.main([*DRAW, "--lora", "ann/dots"]) == 0 and len(fetched) == 1
