"""Where things lie, and files that are whole or not there."""

import errno
import os
import subprocess
import sys
import threading

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


def test_a_full_disk_is_named_wherever_it_is_met(monkeypatch):
    monkeypatch.delenv("SDKIT_DEBUG", raising=False)
    assert paths.unexpected(OSError(errno.ENOSPC, "No space left on device")).startswith("The disk is full.")
    assert paths.unexpected(OSError("else")).startswith("This should not happen")


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


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_of_many_who_want_one_name_exactly_one_gets_it(tmp_path, monkeypatch, links):
    """As two runs into one folder: nobody's file is replaced by another's; also on disks without hard links."""
    if not links:
        monkeypatch.setattr(paths.os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links")))
    start, won = threading.Barrier(8), []

    def run(name):
        start.wait()
        try:
            with paths.write_atomically(tmp_path / "x", replace=False) as part:
                part.write_text(name)
            won.append(name)
        except paths.AlreadyThere:
            pass

    runs = [threading.Thread(target=run, args=[str(k)]) for k in range(8)]
    [thread.start() for thread in runs]
    [thread.join() for thread in runs]
    assert len(won) == 1 and (tmp_path / "x").read_text() == won[0]
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(paths.SdkitError, match="No space left.*make room"), \
            paths.write_atomically(tmp_path / "x") as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_importing_sdkit_is_cheap_and_offline():
    """No torch, and the offline switches stand before the libraries that read them are imported."""
    code = "import sys, os, sdkit; print('torch' in sys.modules, 'PIL' in sys.modules, os.environ['HF_HUB_OFFLINE'])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=paths.ROOT)
    assert out.stdout.split() == ["False", "False", "on"]


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import sdkit
    assert "photos" in dir(sdkit)
    assert sdkit.photos.__name__ == "sdkit.photos"
    with pytest.raises(AttributeError):
        sdkit.no_such_module
