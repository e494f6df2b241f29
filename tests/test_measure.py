"""The measure verb on a toy folder, a tiny random model and a tiny random classifier."""
import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import art, measure, metrics
from sdkit.paths import SdkitError


@pytest.fixture
def toy(tiny_data, tmp_path, monkeypatch):
    """A folder with one validation picture of each kind, and a classifier of a few hundred parameters."""
    rng, rows = np.random.default_rng(0), ["file\tsplit\tartist\ttitle\tbasis\tsource_repository\tsha256"]
    for folder in art.STYLE_OF_FOLDER:
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "0.png"
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(path)
        rows.append(f"{folder}/0.png\tvalidation\t\t\t\t\t{hashlib.sha256(path.read_bytes()).hexdigest()}")
    listed = tiny_data / "art.tsv"
    listed.write_text("\n".join(rows) + "\n")
    torch.manual_seed(0)
    tiny = metrics.StyleClassifier(art.STYLES, (8, 16), crop_size=32, short_side=48).eval()
    monkeypatch.setattr(metrics.StyleClassifier, "load", lambda: tiny)
    monkeypatch.setattr(measure, "SIDE", 64)
    yield tmp_path
    listed.unlink()


def test_every_figure_is_printed(toy, capsys):
    assert measure.main(art_dir=toy, sheet=toy / "sheet.png") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["split"] == "validation"
    assert {"psnr, a photo", "style score, van gogh", "style score after round trip, van gogh"} <= figures["vae"].keys()
    assert 0 <= figures["van gogh"]["style score of styled photos"] <= 1
    assert Image.open(toy / "sheet.png").size[0] > 100


def test_without_pictures_it_says_where_to_get_them():
    with pytest.raises(SdkitError, match="--art DIR"):
        measure.main()
