"""The folders of data, and files that are written whole or not at all."""

import errno
import os
import sys
import threading

import pytest

from sdkit import errors, files


def test_data_is_in_the_repository_unless_sdkit_data_is_set(tmp_path, monkeypatch):
    monkeypatch.delenv("SDKIT_DATA", raising=False)
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "sdkit")
    (tmp_path / "data").mkdir()
    assert files.data_dir() == tmp_path / "data"
    assert files.model_dir("mini-sd") == tmp_path / "data" / "models" / "mini-sd"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path / "elsewhere"))
    assert files.models_dir() == tmp_path / "elsewhere" / "models"


def test_sdkit_config_names_the_folder_of_the_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("SDKIT_CONFIG", str(tmp_path / "own"))
    assert files.config_dir() == tmp_path / "own"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_the_configuration_lies_where_linux_wants_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SDKIT_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert files.config_dir() == tmp_path / "sdkit"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.config_dir() == tmp_path / ".config" / "sdkit"


def test_an_installed_wheel_uses_the_data_inside_the_package(tmp_path, monkeypatch):
    """`site-packages/data`, which may belong to another project, is not used."""
    monkeypatch.delenv("SDKIT_DATA", raising=False)
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "sdkit")
    (tmp_path / "data").mkdir()
    (tmp_path / "sdkit" / "data").mkdir(parents=True)
    assert files.data_dir() == tmp_path / "sdkit" / "data"


def test_a_missing_data_folder_gives_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(errors.SdkitError, match="SDKIT_DATA"):
        files.data_dir()


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with files.write_atomically(target) as part:
        part.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), files.write_atomically(target) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_path_that_cannot_hold_a_file_gives_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(errors.SdkitError, match="Cannot write"),
        files.write_atomically(tmp_path / "file" / "x"),
    ):
        pass


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_only_one_of_many_writers_gets_the_same_name(tmp_path, monkeypatch, links):
    """When several runs write into one folder, no run replaces the file of another.

    This also holds on disks without hard links.
    """
    if not links:
        monkeypatch.setattr(
            files.os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links"))
        )
    start, won = threading.Barrier(8), []

    def run(name):
        start.wait()
        try:
            with files.write_atomically(tmp_path / "x", replace=False) as part:
                part.write_text(name)
            won.append(name)
        except errors.AlreadyThere:
            pass

    runs = [threading.Thread(target=run, args=[str(k)]) for k in range(8)]
    [thread.start() for thread in runs]
    [thread.join() for thread in runs]
    assert len(won) == 1 and (tmp_path / "x").read_text() == won[0]
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_full_disk_gives_a_sentence_and_leaves_no_file(tmp_path):
    with (
        pytest.raises(errors.SdkitError, match="No space left.*make room"),
        files.write_atomically(tmp_path / "x") as part,
    ):
        part.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []
