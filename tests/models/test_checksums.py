"""The list of checksums: it names the shipped files, and every damage to them is named."""

import hashlib
import shutil
from pathlib import Path

import pytest

from sdkit import cli, models
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.models import checksums
from sdkit.recipes import __main__ as recipes

SHIPPED = ROOT / "data" / "models"


def lines_of(root):
    """The list as `sha256sum` would print it, for the files that decide about a picture."""
    files = [p for p in root.rglob("*") if p.suffix in (".safetensors", ".json")]
    return {
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(root).as_posix()}"
        for p in files
    }


def test_the_shipped_list_is_that_of_the_shipped_files():
    listed = (SHIPPED / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert set(listed) == lines_of(SHIPPED), f"make it anew: {checksums.REMAKE}"
    assert len(listed) == len(set(listed)) and listed == sorted(listed, key=lambda line: line[66:])
    for name in models.REGISTRY:
        assert any(line[66:].startswith(f"{name}/") for line in listed)


@pytest.fixture
def data(tiny_sd, tmp_path, monkeypatch):
    """A data folder of its own with the tiny mini-sd and its list."""
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path))
    shutil.copytree(tiny_sd, tmp_path / "models" / "mini-sd")
    recipes.main(["--checksums"])
    return tmp_path / "models"


def test_one_command_makes_the_list_anew(data, tmp_path):
    assert set((data / "SHA256SUMS").read_text().splitlines()) == lines_of(data)
    (data / "mini-sd" / "words.json").write_text('["a"]')
    recipes.main(["--checksums"])
    assert set((data / "SHA256SUMS").read_text().splitlines()) == lines_of(data)
    assert models.load("mini-sd", device="cpu")
    shutil.copytree(data, tmp_path / "other")
    (tmp_path / "other" / "SHA256SUMS").unlink()
    recipes.main(["--checksums", "--out", str(tmp_path / "other")])
    assert set((tmp_path / "other" / "SHA256SUMS").read_text().splitlines()) == lines_of(data)
    with pytest.raises(SystemExit):
        recipes.main([])  # a training needs pictures


def flip(path):
    """Change one bit in the middle of a file, as a bad disk does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = [
    ("unet/diffusion_pytorch_model.safetensors", flip, "has changed"),
    ("vae/diffusion_pytorch_model.safetensors", cut, "has changed"),
    ("text_encoder/model.safetensors", flip, "has changed"),
    ("text_encoder/config.json", flip, "has changed"),
    ("tokenizer/tokenizer.json", Path.unlink, "is missing"),
    ("scheduler/scheduler_config.json", Path.unlink, "is missing"),
    ("words.json", Path.unlink, "is missing"),
    ("defaults.json", flip, "has changed"),
]


@pytest.mark.parametrize("name, damage, words", DAMAGES, ids=[row[0] for row in DAMAGES])
def test_damage_is_named_by_doctor_and_refused_at_load(data, capsys, name, damage, words):
    damage(data / "mini-sd" / name)
    with pytest.raises(SdkitError, match=f"{name} {words}.*repository.*--checksums"):
        models.load("mini-sd", device="cpu")
    assert cli.main(["doctor"]) == 2
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "model mini-sd" in one]
    assert line.startswith("\u2717") and f"{name} {words}" in line


def test_weights_that_were_added_are_named(data):
    weights = data / "mini-sd" / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    with pytest.raises(SdkitError, match=r"fp16\.safetensors does not belong there"):
        models.load("mini-sd", device="cpu")


def test_a_model_that_is_not_in_the_list_loads(data):
    shutil.copytree(data / "mini-sd", data / "mine")
    (data / "mine" / "words.json").unlink()
    assert models.load(data / "mine", device="cpu")
    assert checksums.faults(data, "mine") == []


@pytest.mark.parametrize("content", [None, "", "abc  mini-sd/x.json\n", b"\xff\xfe"])
def test_doctor_says_that_the_list_is_missing_or_damaged(data, capsys, content):
    path = data / "SHA256SUMS"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert cli.main(["doctor"]) == 2
    assert ("The list of checksums" in capsys.readouterr().out) == (content != "")


def test_one_sentence_for_a_judge_that_is_damaged(tmp_path, monkeypatch):
    from sdkit.evaluate.judges import StyleClassifier

    monkeypatch.setenv("SDKIT_DATA", str(tmp_path))
    folder = shutil.copytree(SHIPPED / "style-classifier", tmp_path / "models/style-classifier")
    weights = folder / "diffusion_pytorch_model.safetensors"
    cut(weights)
    StyleClassifier.load.cache_clear()
    with pytest.raises(SdkitError, match="cannot be loaded"):
        StyleClassifier.load()
    shutil.copy(SHIPPED / "style-classifier" / weights.name, weights)
    checksums.write(tmp_path / "models")
    flip(weights)
    with pytest.raises(SdkitError, match="has changed"):
        StyleClassifier.load()
    StyleClassifier.load.cache_clear()
