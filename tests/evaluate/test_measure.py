"""The measure verb on a toy folder, a tiny random model and a tiny random classifier."""

import functools
import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import art, cli, generate, judges, measure, metrics, models, postcards
from sdkit.files import ROOT


@pytest.fixture
def toy(tiny_data, tmp_path, monkeypatch):
    """A folder with one validation picture of each kind, and a classifier of a few hundred parameters."""
    rng, rows = (
        np.random.default_rng(0),
        ["file\tsplit\tartist\ttitle\tbasis\tsource_repository\tsha256"],
    )
    for folder in art.STYLE_OF_FOLDER:
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "0.png"
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(path)
        rows.append(
            f"{folder}/0.png\tvalidation\t\t\t\t\t{hashlib.sha256(path.read_bytes()).hexdigest()}"
        )
    listed = tiny_data / "art.tsv"
    listed.write_text("\n".join(rows) + "\n")
    torch.manual_seed(0)
    tiny = judges.StyleClassifier(art.STYLES, (8, 16), crop_size=32, short_side=48).eval()
    monkeypatch.setattr(judges.StyleClassifier, "load", lambda: tiny)
    monkeypatch.setattr(measure, "SIDE", 64)
    yield tmp_path
    listed.unlink()


@pytest.fixture
def reader(monkeypatch):
    """A reader of a few hundred random parameters, and few training postcards."""
    torch.manual_seed(0)
    tiny = judges.PostcardReader((8, 8, 8), 64).eval()
    monkeypatch.setattr(judges.PostcardReader, "load", lambda: tiny)
    monkeypatch.setattr(measure, "NEIGHBOURS", 5)
    return tiny


def test_every_figure_is_printed_and_the_sheet_is_written(toy, reader, monkeypatch, capsys):
    monkeypatch.setattr(measure, "measure_all", functools.partial(measure.measure_all, drawings=3))
    run = ["measure", "--art", str(toy), "--sheet", str(toy / "sheet.png")]
    assert cli.main(run) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["split"] == "validation"
    assert {
        "psnr, a photo",
        "style score, van gogh",
        "style score after round trip, van gogh",
    } <= figures["vae"].keys()
    assert 0 <= figures["van gogh"]["style score of styled photos"] <= 1
    with Image.open(toy / "sheet.png") as sheet:
        assert sheet.size[0] > 100 and sheet.text["Description"].startswith("Made with AI")
    monkeypatch.setattr(measure, "measure_all", lambda *_, **__: pytest.fail("measured"))
    assert cli.main(run) == 2 and "there already" in capsys.readouterr().err


def test_without_pictures_drawing_is_measured_alone(tiny_data, reader, capsys):
    figures, said = measure.measure_all(drawings=2), capsys.readouterr().err
    assert figures.keys() == {"drawing"} and "--art DIR" in said
    for kind in ("drawn", "rendered, after the VAE"):
        assert figures["drawing"][f"correct, {kind}"].keys() == {*postcards.PARTS, "all at once"}
    assert min(figures["drawing"]["nearest training postcard"].values()) > 0


def test_mini_clip_names_postcards_as_well_as_its_record_says():
    folder = ROOT / "data" / "models" / "mini-clip"
    record = json.loads((folder / "recipe.json").read_text())["metrics"][
        "zero_shot_accuracy_on_held_out_postcards"
    ]
    figures = measure.measure_clip([])
    # 1 of 200
    assert figures["styles"] == {} and figures["postcards"] == pytest.approx(record, abs=0.0051)


def test_what_is_drawn_again_is_read_again(tiny_data, reader, monkeypatch):
    own = {
        **models.defaults(),
        "redraw": {"size": 128, "strength": 0.5, "guidance_scale": 2, "num_inference_steps": 2},
    }
    monkeypatch.setattr(models, "defaults", lambda *_: dict(own))
    monkeypatch.setattr(measure, "REDRAWN", 2)
    classifier, torn = judges.StyleClassifier(channels=(8, 16)).eval(), []
    monkeypatch.setattr(judges.StyleClassifier, "load", lambda: classifier)
    monkeypatch.setattr(
        generate,
        "redraw",
        lambda pipe, images, settings: (
            torn.append(settings)
            or [image.resize((128, 128), Image.Resampling.NEAREST) for image in images]
        ),
    )
    figures = measure.measure_drawing(models.load(task="text2img"), "mini-sd", 3)
    assert [(settings.seed, settings.size) for settings in torn] == [(0, 128), (1, 128)]
    share, *interval = figures["correct, drawn again"]["all at once"]
    assert interval == pytest.approx(metrics.wilson(round(2 * share), 2), abs=1e-3)
    assert figures["KID to rendered"].keys() == {"drawn", "drawn again"}


def test_the_reader_is_asked_about_each_part(reader):
    cards = [postcards.sample(0, index) for index in range(4)]
    x = art.to_batch([postcards.draw(card) for card in cards])
    answers, right = reader.read(x), reader.read_right(x, cards)
    for card, answer, row in zip(cards, answers, right):
        assert all(answer[part] in postcards.WORDS[part] for part in postcards.PARTS)
        assert row.tolist() == [answer[part] == getattr(card, part) for part in postcards.PARTS]
    told = measure.shares_right(np.array([[True] * 5, [True, False, True, True, True]]))
    assert told["colour"][0] == 0.5 and told["thing"][0] == 1 and told["all at once"][0] == 0.5
