"""A folder of generated pictures, and the whole chain trained on it once for all tests."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from sdkit import art
from sdkit.recipes import chain


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A data folder with an art.tsv of noise pictures in every split; they lie in art/."""
    data, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = ["file\tsplit\tartist\ttitle\tbasis\tsource_repository\tsha256"]
    for folder in art.STYLE_OF_FOLDER:
        (data / "art" / folder).mkdir(parents=True)
        for number, split in enumerate(("train", "train", "validation", "test")):
            path = data / "art" / folder / f"{number}.png"
            Image.fromarray(rng.integers(0, 256, (70 + number, 80, 3), np.uint8)).save(path)
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(f"{folder}/{path.name}\t{split}\t\ttitle\tours\there\t{checksum}")
    (data / "art.tsv").write_text("\n".join(rows) + "\n")
    return data


@pytest.fixture
def toy_data(toy, monkeypatch):
    """The toy folder as SDKIT_DATA."""
    monkeypatch.setenv("SDKIT_DATA", str(toy))
    return toy


@pytest.fixture(scope="session")
def trained(toy, tmp_path_factory):
    """Folder with models/ and runs/ after the tiny chain; nobody may change it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDKIT_DATA", str(toy))
        chain.run(chain.stages(toy / "art", folder / "models", folder / "runs", tiny=True))
    return folder
