"""The command line from outside: what is written, what is said, and the exit code."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sdkit import cli, edges, generate, models, photos, portraits, postcards, upscale
from sdkit.files import ROOT
from sdkit.models import model
from tests import strange


@pytest.fixture
def work(tiny_data, tmp_path, monkeypatch):
    """An empty current folder, and the tiny model as mini-sd on the CPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    return tmp_path


def test_style_writes_the_picture_that_the_function_gives(work, capsys):
    assert cli.main(["style", "chelsea", "--prompt", "van gogh", "--seed", "3"]) == 0
    path = work / "styled" / "chelsea-van-gogh-seed3.png"
    settings = models.settings("van gogh", seed=3)
    expected = generate.style(models.load(device="cpu"), [photos.sample("chelsea")], settings)[0]
    with Image.open(path) as image:
        np.testing.assert_array_equal(image, expected)
        image.text.pop("XML:com.adobe.xmp")
        assert image.text == generate.note(settings, "mini-sd")
    out = capsys.readouterr().out
    assert path.name in out and "96 x 64" in out and " s)" in out


def test_every_setting_reaches_the_picture(work):
    assert (
        cli.main(
            [
                "style",
                "coffee",
                "--prompt",
                "oil painting",
                "--negative-prompt",
                "a photo",
                "--strength",
                "0.25",
                "--guidance-scale",
                "2.5",
                "--steps",
                "12",
                "--size",
                "72",
                "--out",
                "here",
            ]
        )
        == 0
    )
    with Image.open(work / "here" / "coffee-oil-painting-seed0.png") as image:
        assert min(image.size) == 72
        note = image.text
    assert [
        note[key] for key in ("Negative prompt", "Strength", "Guidance scale", "Steps", "Size")
    ] == ["a photo", "0.25", "2.5", "12", "72"]


def test_files_are_replaced_only_with_overwrite(work, capsys):
    style = ["style", "coffee", "--prompt", "van gogh"]
    assert [cli.main(style), cli.main(style), cli.main([*style, "--overwrite"])] == [0, 0, 0]
    assert sorted(p.name for p in (work / "styled").iterdir()) == [
        "coffee-van-gogh-seed0-2.png",
        "coffee-van-gogh-seed0.png",
    ]
    assert "exists already" in capsys.readouterr().out


def test_a_folder_of_strange_files(work, capsys):
    """Each unusable file gets a line, each usable one a picture without the metadata."""
    (work / "in").mkdir()
    strange.write_all(work / "in")
    assert cli.main(["style", "in", "gone.jpg", "--prompt", "van gogh", "--steps", "2"]) == 2
    captured = capsys.readouterr()
    for name, word in strange.UNUSABLE.items():
        lines = [
            line for line in captured.err.splitlines() if line.startswith(f"failed   {name}: ")
        ]
        assert len(lines) == 1 and word in lines[0], name
    assert "failed   gone.jpg: There is no file" in captured.err
    assert "Traceback" not in captured.err and "skipped  notes.txt" in captured.out
    done = list((work / "styled").iterdir())
    assert len(done) == len(strange.USABLE)
    assert f"{len(done)} done, {len(strange.UNUSABLE) + 1} failed" in captured.out
    assert not any(strange.SECRET.encode() in path.read_bytes() for path in done)
    with Image.open(work / "styled" / "turned-van-gogh-seed0.png") as image:
        assert image.height > image.width


def test_crop_face_paints_each_face_and_names_photographs_without_one(work, capsys):
    run = ["style", "astronaut", "chelsea", "--prompt", "van gogh", "--crop", "face"]
    assert cli.main(run) == 2  # a cat has no face for the detector
    path = work / "styled" / "astronaut-face1-van-gogh-seed0.png"
    assert list((work / "styled").iterdir()) == [path]
    crops = portraits.crop_faces(photos.sample("astronaut"))
    pipe, settings = models.load(device="cpu"), models.settings("van gogh")
    with Image.open(path) as image:
        np.testing.assert_array_equal(image, generate.style(pipe, crops, settings)[0])
    captured = capsys.readouterr()
    assert "failed   chelsea: No face was found" in captured.err
    assert "1 done, 1 failed" in captured.out


def test_crop_both_paints_the_whole_photographs_too(work, monkeypatch):
    boxes = [(100, 100, 200, 200), (300, 100, 400, 200)]
    monkeypatch.setattr(portraits, "find_faces", lambda image: boxes if image.width == 600 else [])
    run = ["style", "coffee", "chelsea", "--prompt", "van gogh", "--steps", "2", "--crop", "both"]
    assert cli.main([*run, "--grid"]) == 2
    names = ["coffee", "coffee-face1", "coffee-face2", "chelsea", "sheet"]
    written = {path.name for path in (work / "styled").iterdir()}
    assert written == {f"{name}-van-gogh-seed0.png" for name in names}


def test_the_sheet_has_the_settings_in_its_note(work):
    assert cli.main(["style", "coffee", "chelsea", "--prompt", "van gogh", "--grid"]) == 0
    with Image.open(work / "styled" / "sheet-van-gogh-seed0.png") as sheet:
        assert sheet.text["Prompt"] == "van gogh" and sheet.text["Software"].startswith("sdkit")
        assert min(sheet.size) > 200


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["--strength", "1.5"], "Strength"),
        (["--strength", "0.01"], "less than one step"),
        (["--strength", "nan"], "Strength"),
        (["--steps", "0"], "steps"),
        (["--size", "10"], "Size"),
        (["--seed", "-1"], "Seed"),
        (["--model", "nonsense"], "no model"),
        (["--out", "file"], "folder"),
        (["--model", "x" * 300], "no model"),
        (["--device", "tpu"], "no device"),
    ],
)
def test_unusable_settings_give_one_sentence_and_exit_code_2(work, capsys, arguments, word):
    (work / "file").write_text("")
    assert cli.main(["style", "coffee", "chelsea", "--prompt", "van gogh", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sdkit: ") and word in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["style"],
        ["style", "x", "--prompt", "x", "--steps", "1e9"],
        ["nonsense"],
        [],
        ["draw", "x", "--\x1b]0;x\a"],
        ["style", "x", "--prompt", "x", "--seed", "z" * 999],
    ],
)
def test_unreadable_options_give_one_sentence_and_exit_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith("sdkit: ") and error.endswith("--help.\n")
    assert error.strip().isprintable() and len(error) < 400


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["style"], "Something is missing: PHOTO, --prompt."),
        (["style", "x", "--prompt", "x", "--size", "big"], "--size must be a whole number, not"),
        (["style", "x", "--prompt", "x", "--strength", "big"], "--strength must be a number, not"),
        (["style", "x", "--prompt"], "After --prompt something is missing."),
        (["style", "x", "--prompt", "x", "--bigger"], "Unknown words: --bigger."),
        (["style", "x", "--prompt", "x", "--crop", "ears"], "--crop cannot be 'ears'. Use: "),
        (["stlye"], "COMMAND cannot be 'stlye'. Use: "),
    ],
)
def test_a_slip_on_the_command_line_gives_a_plain_sentence(capsys, arguments, sentence):
    """argparse has other words in each version of Python, so all kinds of slips are tried."""
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert capsys.readouterr().err.startswith(f"sdkit: {sentence}")


def test_unknown_words_are_named_once(work, capsys, recwarn):
    assert cli.main(["style", "coffee", "chelsea", "--prompt", "picasso"]) == 0
    error = capsys.readouterr().err
    assert error.count("picasso") == 1 and "ukiyo-e" in error
    assert not [w for w in recwarn if issubclass(w.category, generate.UnknownWords)]


def test_models_lists_networks_defaults_and_styles(work, capsys):
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    assert "mini-sd" in out and "strength 0.5" in out and "ukiyo-e" in out


def test_doctor_ticks_what_is_there_and_says_what_to_do(work, capsys):
    assert cli.main(["doctor"]) == 2  # the style classifier is not there
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("\u2713 model mini-sd") for line in lines)
    assert any(
        line.startswith("\u2717 model style-classifier is missing or damaged: ") for line in lines
    )
    assert any(line.startswith("\u2713 torch ") for line in lines)


def test_doctor_works_without_a_data_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path / "nowhere"))
    assert cli.main(["doctor"]) == 2
    assert "There is no data folder" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from sdkit.cli import parser; parser.make_parser().format_help();"
        "print([m for m in ('torch', 'numpy', 'PIL', 'diffusers', 'transformers', 'matplotlib')"
        " if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert out.stdout.strip() == "[]"


def test_the_command_works_on_a_terminal_with_ascii_only(tmp_path):
    environment = {
        **os.environ,
        "SDKIT_DATA": str(tmp_path / "nowhere"),
        "PYTHONIOENCODING": "ascii",
    }
    done = subprocess.run(
        [sys.executable, "-m", "sdkit", "style", "coffee", "--prompt", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 2 and done.stderr.startswith("sdkit: There is no data folder")


def test_draw_writes_the_pictures_that_the_function_gives_with_their_seeds(work, capsys):
    assert (
        cli.main(
            [
                "draw",
                "a",
                "photo",
                "of",
                "van",
                "gogh's",
                "--count",
                "2",
                "--seed",
                "5",
                "--steps",
                "3",
            ]
        )
        == 0
    )
    settings = models.settings("a photo of van gogh's", task="draw", seed=5, num_inference_steps=3)
    expected = generate.draw(models.load(task="text2img", device="cpu"), settings, 2)
    for seed, picture in zip((5, 6), expected, strict=True):
        with Image.open(work / "drawn" / f"a-photo-of-van-gogh-s-seed{seed}.png") as image:
            np.testing.assert_array_equal(image, picture)
            assert (
                image.text["Seed"] == str(seed)
                and "painted from a sentence" in image.text["Description"]
            )
    assert "2 in " in capsys.readouterr().out


@pytest.mark.parametrize("words", [["a photo, van gogh"], ["a photo", "--style", "van gogh"]])
def test_a_drawing_in_a_style_is_painted_twice(work, words):
    assert cli.main(["draw", *words, "--steps", "3"]) == 0
    scene = generate.draw(
        models.load(task="text2img", device="cpu"),
        models.settings("a photo", task="draw", num_inference_steps=3),
    )
    (expected,) = generate.style(models.load(device="cpu"), scene, models.settings("van gogh"))
    with Image.open(work / "drawn" / "a-photo-van-gogh-seed0.png") as image:
        np.testing.assert_array_equal(image, expected)
        assert (image.text["Prompt"], image.text["Prompt of the second go"]) == (
            "a photo",
            "van gogh",
        )


def test_inpaint_writes_the_picture_that_the_function_gives(work):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (10, 10, 40, 40))
    mask.save("mask.png")
    photos.resize(photos.sample("astronaut"), 64).save("face.png")
    assert cli.main(["inpaint", "face.png", "mask.png", "--prompt", "a photo", "--steps", "3"]) == 0
    expected = generate.inpaint(
        models.load(task="text2img", device="cpu"),
        photos.open_photo("face.png"),
        mask,
        models.settings("a photo", task="inpaint", num_inference_steps=3),
    )
    with Image.open(work / "inpainted" / "face-a-photo-seed0.png") as image:
        np.testing.assert_array_equal(image, expected)


def test_edit_writes_the_picture_that_the_function_gives(work, capsys):
    photos.resize(photos.sample("astronaut"), 64).save("face.png")
    sentences = ["--from", "a photo", "--to", "a painting"]
    assert cli.main(["edit", "face.png", *sentences, "--steps", "3", "--keep", "0.5"]) == 0
    settings = models.settings("a painting", task="edit", num_inference_steps=3)
    with Image.open(work / "edited" / "face-a-painting-seed0.png") as image:
        expected = generate.edit(
            models.load(task="text2img", device="cpu"),
            photos.open_photo("face.png"),
            "a photo",
            settings,
            0.5,
        )
        np.testing.assert_array_equal(image, expected)
        image.text.pop("XML:com.adobe.xmp")
        note = generate.note(settings, "mini-sd", "a picture edited")
        assert image.text == note | {"Prompt before": "a photo", "Kept": "0.5"}
    capsys.readouterr()
    for wrong, sentence in (
        (["--from", "a photo", "--to", "a  photo"], "are the same"),
        ([*sentences, "--keep", "1.5"], "outside 0 to 1"),
        ([*sentences, "--steps", "0"], "whole number"),
        (["--from", "a photo"], "Something is missing: --to"),
    ):
        with contextlib.suppress(SystemExit):
            assert cli.main(["edit", "face.png", *wrong]) == 2
        error = capsys.readouterr().err
        assert sentence in error and len(error.splitlines()) == 1
    assert [path.name for path in (work / "edited").iterdir()] == ["face-a-painting-seed0.png"]


def test_an_edit_of_a_postcard_has_settings_of_its_own(painter_of_postcards, work, capsys):
    photos.resize(photos.sample("coffee"), 64).save("card.png")
    verb = ["edit", "card.png", "--model", painter_of_postcards, "--from", "a red house", "--to"]
    assert cli.main([*verb, "a blue house", "--everywhere"]) == 0
    with Image.open(work / "edited" / "card-a-blue-house-seed0.png") as image:
        assert min(image.size) == 128 and image.text["Guidance scale"] == "1"
        whole = np.asarray(image)
    assert cli.main([*verb, "a blue house", "--out", "local"]) == 0
    with Image.open(work / "local" / "card-a-blue-house-seed0.png") as image:
        assert (np.asarray(image) != whole).any()
    assert cli.main([*verb, "a blue house", "--size", "64", "--out", "small"]) == 0
    with Image.open(work / "small" / "card-a-blue-house-seed0.png") as image:
        assert min(image.size) == 64
    capsys.readouterr()
    assert cli.main([*verb, "a dog"]) == 2
    assert "It can draw: house" in capsys.readouterr().err


def test_draw_follows_the_edges_of_a_picture(work, tiny_controlnet):
    sketch = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(sketch).ellipse((40, 40, 160, 160), outline="black", width=6)
    sketch.save("sketch.png")
    words = ["draw", "a photo", "--steps", "3", "--edges", "sketch.png", "--edges-scale", "0.5"]
    assert cli.main(words) == 0
    settings = models.settings("a photo", task="draw", num_inference_steps=3)
    pipe = edges.pipeline(models.load(task="text2img", device="cpu"), edges.load())
    along = edges.find(sketch, settings.size)
    (expected,) = generate.draw(pipe, settings, along=along, scale=0.5)
    (plain,) = generate.draw(models.load(task="text2img", device="cpu"), settings)
    with Image.open(work / "drawn" / "a-photo-seed0.png") as image:
        np.testing.assert_array_equal(image, expected)
        assert (np.asarray(image) != plain).any()
        assert image.text["Scale of the edges"] == "0.5" and "sketch" not in str(image.text)


def test_edges_that_are_no_picture_and_a_strange_scale_are_one_sentence(
    work, tiny_controlnet, capsys
):
    assert cli.main(["draw", "a photo", "--edges", "gone.png"]) == 2
    assert "gone.png" in capsys.readouterr().err
    assert cli.main(["draw", "a photo", "--edges", "coffee", "--edges-scale", "3"]) == 2
    assert "0 to 2" in capsys.readouterr().err
    assert cli.main(["draw", "a photo", "--edges-scale", "0.5"]) == 2
    assert "Add --edges" in capsys.readouterr().err
    assert not list((work / "drawn").glob("*"))


def test_edges_for_a_model_that_is_still_on_the_hub_are_refused_before_the_download(work, capsys):
    assert cli.main(["draw", "a photo", "--edges", "coffee", "--model", "sd15", "--yes"]) == 2
    assert "mini-sd only" in capsys.readouterr().err


def test_unknown_words_of_a_drawing_are_named(work, capsys):
    assert cli.main(["draw", "a zebra", "--steps", "2"]) == 0
    assert "'zebra'" in capsys.readouterr().err


@pytest.fixture
def painter_of_postcards(work, tiny_sd):
    """The tiny model, as one that knows the words of the postcards and of the styles."""
    folder = shutil.copytree(tiny_sd, work / "postcards")
    words = {*postcards.words(), "van", "gogh"}
    (folder / "words.json").write_text(json.dumps(sorted(words)))
    defaults = json.loads((folder / "defaults.json").read_text())
    defaults["edit"] = {"size": 128, "guidance_scale": 1.0, "num_inference_steps": 25}
    (folder / "defaults.json").write_text(json.dumps(defaults))
    return str(folder)


def test_a_drawing_of_nothing_known_is_refused_with_what_can_be_drawn(
    painter_of_postcards, work, capsys
):
    for prompt, said in {
        "a dog": "For 'dog', try 'cat'. It can draw: house, boat",
        "my mother": "This model cannot paint 'my mother'. It can draw: ",
        "": "The prompt is empty. It can draw: ",
        "\U0001f389": "no emoji",
    }.items():
        assert cli.main(["draw", prompt, "--model", painter_of_postcards]) == 2
        assert said in capsys.readouterr().err
    assert not (work / "drawn").exists()


def test_a_drawing_says_what_the_seed_chose_for_what_was_not_said(painter_of_postcards, capsys):
    draw = ["draw", "a boat", "--steps", "2", "--seed", "4", "--model", painter_of_postcards]
    assert cli.main(draw) == 0
    sentence, added = postcards.complete("a boat", 4)
    said = capsys.readouterr().out
    assert f"You did not say: {', '.join(added)}." in said and sentence in said
    with Image.open("drawn/a-boat-seed4.png") as image:
        assert image.text["Prompt"] == sentence
        short = np.asarray(image)
    # who says all of it gets the same picture
    assert cli.main(["draw", sentence, *draw[2:], "--out", "again"]) == 0
    assert "You did not say" not in capsys.readouterr().out
    (path,) = Path("again").iterdir()
    with Image.open(path) as image:
        np.testing.assert_array_equal(image, short)


def test_withheld_pictures_are_reported_and_the_others_written(work, monkeypatch, capsys):
    pipe = models.load(task="text2img", device="cpu")
    monkeypatch.setattr(
        pipe, "run_safety_checker", lambda image, *_: (image, [k == 1 for k in range(len(image))])
    )
    assert cli.main(["draw", "a photo", "--count", "3", "--steps", "2"]) == 2
    assert sorted(p.name for p in (work / "drawn").iterdir()) == [
        "a-photo-seed0.png",
        "a-photo-seed2.png",
    ]
    assert "failed   seed 1: The model's safety checker withheld" in capsys.readouterr().err


def test_an_unexpected_error_stops_one_photo_and_not_the_folder(work, monkeypatch, capsys):
    style = generate.style

    def breaks(pipe, images, *arguments, **keywords):
        if images[0].size == photos.sample("coffee").size:
            raise RuntimeError("no\nluck")
        return style(pipe, images, *arguments, **keywords)

    monkeypatch.setattr(generate, "style", breaks)
    run = ["style", "astronaut", "coffee", "chelsea", "--prompt", "van gogh", "--steps", "2"]
    assert cli.main(run) == 2 and len(list((work / "styled").iterdir())) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("failed   coffee: This should not happen (RuntimeError: no luck)")
    assert error[1:] == ["Not done: coffee"]
    monkeypatch.setenv("SDKIT_DEBUG", "1")
    with pytest.raises(RuntimeError, match="luck"):
        cli.main(run)


def test_names_of_photos_may_hold_anything(work, capsys):
    """Formulas, letters that the font lacks, very long names, commands to the terminal."""
    names = ["$\\frac{1$.png", "\u65e5\u672c" * 40 + ".png", "a\x1b[31m\nb.png", "%s {0}.png"]
    for name in names:
        photos.sample("coffee").resize((48, 32)).save(name)
    assert (
        cli.main(
            ["style", *names, "--prompt", "$\\x{" + "\u68b5\u9ad8" * 60, "--steps", "2", "--grid"]
        )
        == 0
    )
    said = capsys.readouterr()
    assert len(list((work / "styled").iterdir())) == 5 and "\x1b" not in said.out
    assert [line[:6] for line in said.err.splitlines()] == ["Note: "]


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_during_the_start_shows_no_traceback(tiny_data, tmp_path, name, code):
    """A module in the place of torch sends the signal while it is imported.

    A shell may run the tests in the background with the signal ignored, and a child inherits that.
    So the child first sets the default again.
    """
    (tmp_path / "torch.py").write_text(
        f"import os, signal, time; os.kill(os.getpid(), signal.{name}); time.sleep(60)"
    )
    done = subprocess.run(
        [sys.executable, "-m", "sdkit", "style", "coffee", "--prompt", "van gogh"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    )
    assert (done.returncode, done.stderr) == (code, "")


def test_closing_the_output_early_shows_no_traceback(tiny_data):
    head = subprocess.Popen(
        [sys.executable, "-m", "sdkit", "models"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    head.stdout.close()
    assert head.stderr.read() == b"" and head.wait() == 0


OPENED = []
sys.addaudithook(
    # an audit hook cannot be removed; this one only fills a list
    lambda event, arguments: OPENED.append(arguments[0]) if event == "open" else None
)


def counted(monkeypatch, owner, name):
    """A list that gets the arguments of each call of `owner.name` from now on."""
    calls, function = [], getattr(owner, name)

    def counting(*arguments, **keywords):
        calls.append(arguments)
        return function(*arguments, **keywords)

    monkeypatch.setattr(owner, name, counting)
    return calls


def test_one_drawing_in_a_style_resolves_reads_and_advises_once(work, tiny_upscaler, monkeypatch):
    model._parts.cache_clear()  # other tests have loaded the same model
    resolved = counted(monkeypatch, models, "resolve")
    advised = counted(monkeypatch, models.Model, "advice")
    resized = counted(monkeypatch, photos, "resize")
    OPENED.clear()
    draw = ["draw", "a zebra", "--steps", "2", "--upscale", "--style", "van gogh"]
    assert cli.main(draw) == 0
    names = [name for (name,) in resolved if not isinstance(name, models.Model)]
    assert names == ["mini", "mini-upscaler"]
    assert [asked[1:] for asked in advised] == [("a zebra", "draw"), ("van gogh", "style")]
    assert len(resized) == 1  # before the style; neither to enlarge nor to estimate the time
    opened = [
        Path(os.fsdecode(path)) for path in OPENED if isinstance(path, (str, bytes, os.PathLike))
    ]
    folder = tiny_upscaler.parent
    read = Counter(
        path.relative_to(folder).as_posix() for path in opened if path.is_relative_to(folder)
    )
    for name in ("defaults.json", "words.json", "model_index.json"):
        assert read[f"mini-sd/{name}"] == 1
    assert read["mini-upscaler/model_index.json"] == 1


@pytest.mark.parametrize(
    "verb",
    [
        ["style", "coffee", "--prompt", "van gogh", "--steps", "2"],
        ["inpaint", "coffee", "coffee", "--prompt", "van gogh", "--steps", "2"],
    ],
)
def test_a_photograph_is_resized_once(work, monkeypatch, verb):
    resized = counted(monkeypatch, photos, "resize")
    assert cli.main(verb) == 0 and len(resized) == 1


@pytest.mark.parametrize(
    "verb", [["draw", "a photo"], ["style", "coffee", "--prompt", "a photo", "--grid"]]
)
def test_warnings_of_other_packages_are_shown(work, monkeypatch, verb):
    from sdkit.pictures import provenance

    mark = provenance.mark

    def warn(image):
        warnings.warn("from another package", stacklevel=1)
        return mark(image)

    monkeypatch.setattr(provenance, "mark", warn)
    with pytest.warns(UserWarning, match="from another package"):
        assert cli.main([*verb, "--steps", "2"]) == 0


def test_upscale_names_each_picture_file_of_a_folder_that_it_cannot_read(
    work, tiny_upscaler, capsys
):
    """A text or a film is no picture, so it does not count as failed."""
    (work / "in").mkdir()
    image = Image.fromarray(strange.colours())
    image.save(work / "in" / "a.png")
    strange.dng(work / "in" / "b.DNG", image)
    for name in ("c.jxl", "d.psd", "e.mov", "f.txt"):
        (work / "in" / name).write_bytes(b"\xff\x0a" + bytes(20) if name == "c.jxl" else b"text")
    assert cli.main(["upscale", "in", "--steps", "3"]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "Not done: b.DNG, c.jxl, d.psd"
    assert "1 done, 3 failed" in captured.out
    assert "skipped  e.mov" in captured.out and "skipped  f.txt" in captured.out


def test_a_note_names_the_upscaler_that_was_used(work, tiny_upscaler):
    shutil.copytree(tiny_upscaler, work / "sharper")
    photos.sample("coffee").resize((24, 16)).save("small.png")
    run = ["upscale", "small.png", "--steps", "3", "--model"]
    assert cli.main([*run, "sharper"]) == 0
    assert cli.main([*run, str(work / "sharper" / "."), "--overwrite"]) == 0
    assert cli.main([*run, "mini-upscaler", "--out", "own"]) == 0
    for path, label in (("upscaled", "sharper"), ("own", "mini-upscaler")):
        with Image.open(Path(path) / "small-x4.png") as image:
            assert image.text["Model"] == label
            assert image.text["Description"].endswith(f"diffusion model {label}")
            assert str(work) not in str(image.text)
            expected = upscale.upscale(
                models.load_upscaler(), [photos.open_photo("small.png")], 3, 0.4
            )
            np.testing.assert_array_equal(image, expected[0])


def test_a_note_names_the_model_that_was_used(work, tiny_sd, tiny_upscaler, monkeypatch):
    shutil.copytree(tiny_sd, work / "my model")
    calls = counted(monkeypatch, models.Model, "upscaler")
    draw = ["draw", "a photo", "--steps", "2", "--upscale", "--model", "my model"]
    assert cli.main(draw) == 0
    with Image.open("drawn/a-photo-x4-seed0.png") as image:
        assert image.text["Model"] == "my model"
        assert image.text["Model of the enlargement"] == "mini-upscaler"
    # the upscaler was trained with the VAE of mini-sd, whatever model has drawn the picture
    assert [shared.label for _, shared, _ in calls] == ["mini-sd"]


def test_the_help_names_the_sample_photos(capsys):
    with pytest.raises(SystemExit):
        cli.main(["style", "--help"])
    assert set(photos.SAMPLES) <= set(re.findall(r"\w+", capsys.readouterr().out))
