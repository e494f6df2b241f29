"""Many photographs: each has a name of its own, and bad ones are named and left out."""

import numpy as np
import pytest
from PIL import Image

from sdkit import album, photos
from sdkit.errors import SdkitError
from tests import strange


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("strange")
    strange.write_all(path)
    return path


def test_all_good_photographs_are_opened_and_each_bad_one_gets_one_sentence(folder):
    said = []
    opened = dict(album.open_each(album.named([folder]), said.append, 64))
    assert len(opened) == len(strange.USABLE)
    assert all(min(picture.size) == 64 for picture in opened.values())
    assert len(said) == len(strange.UNUSABLE)
    for name, word in strange.UNUSABLE.items():
        (sentence,) = [one for one in said if one.startswith(f"left out {name}: ")]
        assert word in sentence and sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize("name", strange.UNUSABLE)
def test_an_uploaded_file_is_judged_as_one_in_a_folder(folder, name):
    said = [], []
    data = (name, (folder / name).read_bytes())
    for source, sentences in zip((data, folder / name), said, strict=True):
        assert dict(album.open_each(album.named([source]), sentences.append, 64)) == {}
    assert said[0] == said[1] and len(said[0]) == 1


def test_photographs_of_the_same_name_are_all_kept(tmp_path):
    for name, grey in (("me.jpg", 0), ("me.png", 100), ("me-2.png", 150)):
        Image.new("L", (16, 16), grey).save(tmp_path / name)
    upload = ("me.jpg", (tmp_path / "me.jpg").read_bytes())
    opened = dict(album.open_each(album.named([tmp_path, upload]), pytest.fail))
    levels = {name: int(np.asarray(picture).mean()) for name, picture in opened.items()}
    assert levels == {"me-2": 150, "me": 0, "me-3": 100, "me-4": 0}


def test_pictures_keep_their_size_unless_another_is_asked_for():
    (opened,) = dict(album.open_each(album.named(["chelsea"]), pytest.fail)).values()
    np.testing.assert_array_equal(opened, photos.sample("chelsea"))


def test_photographs_are_opened_one_at_a_time(tmp_path):
    for number in range(3):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{number}.png")
    said = []
    found = album.open_each(album.named([tmp_path]), said.append)
    next(found)
    (tmp_path / "2.png").unlink()
    assert [name for name, _ in found] == ["1"] and "no file" in said[0]


def test_a_folder_without_pictures_is_an_error_or_named(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    with pytest.raises(SdkitError, match="holds no pictures"):
        album.named([tmp_path])
    said = []
    assert list(album.named([tmp_path, "coffee"], said.append)) == ["coffee"]
    assert len(said) == 1 and "holds no pictures" in said[0]
