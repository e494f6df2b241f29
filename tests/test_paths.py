"""Where things lie, and files that are whole or not there."""

import subprocess
import sys

import pytest

from sdkit import paths


def test_data_lies_in_the_repository_unless_said_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("SDKIT_DATA", raising=False)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    assert paths.data_dir() == tmp_path / "data"
    assert paths.model_dir("mini-sd") == tmp_path / "data" / "models" / "mini-sd"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path / "elsewhere"))
    assert paths.models_dir() == tmp_path / "elsewhere" / "models"


def test_missing_data_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(paths.SdkitError, match="SDKIT_DATA"):
        paths.data_dir()


def test_a_file_is_written_whole(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with paths.write_atomically(target) as part:
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), paths.write_atomically(target) as part:
        part.write_text("half")
        1 / 0
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_takes_no_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(paths.SdkitError, match="Cannot write"), paths.write_atomically(tmp_path / "file" / "x"):
        pass


def test_importing_sdkit_is_cheap_and_offline():
    """No torch, and the offline switches stand before the libraries that read them are imported."""
    code = "import sys, os, sdkit; print('torch' in sys.modules, 'PIL' in sys.modules, os.environ['HF_HUB_OFFLINE'])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=paths.ROOT)
    assert out.stdout.split() == ["False", "False", "1"]


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import sdkit
    assert "photos" in dir(sdkit)
    assert sdkit.photos.__name__ == "sdkit.photos"
    with pytest.raises(AttributeError):
        sdkit.no_such_module
