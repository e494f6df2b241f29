"""A folder of generated pictures, and the whole chain trained on it once for all tests."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sdkit import art
from sdkit.recipes import captions, cards, chain, perceptual, text, unet


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
    random_vgg(data / "features")
    return data


def random_vgg(folder):
    """Save a file of weights as torchvision names them, up to relu4_1."""
    generator, weights = torch.Generator().manual_seed(0), {}
    # the place of each convolution in torchvision's list of layers, its inputs and outputs
    for number, inside, outside in (
        (0, 3, 64),
        (2, 64, 64),
        (5, 64, 128),
        (7, 128, 128),
        (10, 128, 256),
        (12, 256, 256),
        (14, 256, 256),
        (17, 256, 512),
    ):
        noise = torch.randn(outside, inside, 3, 3, generator=generator)
        weights[f"features.{number}.weight"] = (noise * (2 / (9 * inside)) ** 0.5).half()
        weights[f"features.{number}.bias"] = torch.zeros(outside).half()
    folder.mkdir()
    save_file(weights, folder / perceptual.FILE)


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


@pytest.fixture(scope="session")
def vgg_folder(toy):
    """The folder of a VGG16 with random weights."""
    return toy / "features"


@pytest.fixture(scope="session")
def vgg_weights(vgg_folder):
    """Its weights, as they lie in the file."""
    return load_file(vgg_folder / perceptual.FILE)


@pytest.fixture(scope="session")
def latent_data():
    """Latents of noise, and a tokenizer; of crops one picture in each of two groups."""
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)

    def crop(file, style):
        image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        latents = [torch.randn(2, 8, 12, side, generator=generator).half() for side in (12, 16)]
        return art.Picture(file, style, "", image), latents

    shown = cards.render(20, 64)[0]
    small = torch.randn(20, 2, 8, 8, 8, generator=generator).half()
    small[:, 1] = 0
    return unet.Data(
        {"van gogh": [crop("van_gogh/1", "van gogh")], "a photo": [crop("photo/1", "a photo")]},
        unet.CardSet(shown, small),
        unet.CardSet(shown[:5], torch.randn(5, 2, 8, 16, 16, generator=generator).half()),
        text.make_tokenizer(captions.vocabulary(), vocab_size=700),
        unet.scheduler(),
    )
