"""Files of rare kinds give the right pixels or a sentence, whole or damaged.

The right pixels are known because `tests.rare` writes the files from them. The ordinary run damages
each file a few times. This command does it thirty times as often:
``python3 run.py test -m slow tests/pictures/test_rare.py``.
"""

import random

import numpy as np
import pytest

from sdkit import photos
from sdkit.errors import SdkitError
from tests import rare, strange


@pytest.fixture(scope="module")
def files():
    """Every file: (name, bytes, right picture, tolerance)."""
    phone = [path.read_bytes() for path in sorted(strange.HEIC.glob("turned-*.heic"))]
    made = [*rare.by_hand(), *rare.by_pillow()]
    assert len(made) > 400
    turned = zip(phone, rare.TURNED.items())
    heic = [(f"heic {k}", data, turn(strange.colours()), 12) for data, (k, turn) in turned]
    return made + heic


def opened(data, name="x"):
    """The picture (H, W, 3), or None if a sentence says that there is none."""
    try:
        return np.asarray(photos.open_bytes(bytes(data), name), float)
    except SdkitError as error:
        text = str(error)
        assert text.isprintable() and text.endswith(".") and ". " in text and len(text) < 400
        return None


def same(picture, right, tolerance):
    return picture.shape == right.shape and np.abs(picture - right).max() <= tolerance


def test_rare_files_give_the_right_pixels(files):
    refused, wrong = [], []
    for name, data, right, tolerance in files:
        picture = opened(data)
        if picture is None:
            refused.append(name)
        elif not same(picture, right, tolerance):
            wrong.append(name)
    assert wrong == []
    known = ("png colour 2 depth 16", "tiff grey 16 bits white 0 >")
    assert [name for name in refused if not name.startswith(known)] == []


def test_the_witness_can_tell_a_wrong_picture(files):
    """Each right picture differs from what one wrong step would give: no test passes by chance."""
    coloured = [file for file in files if file[2].min() < 255]
    assert len(files) - len(coloured) <= 4  # black and white of which the black is transparent
    for name, _, right, tolerance in coloured:
        for other in (255 - right, right[::-1], right[:, ::-1]):
            assert not same(other, right, tolerance), name


def cut(data, chance):
    return data[: chance.randrange(1, len(data))]


def cut_a_little(data, chance):
    return data[: -chance.randint(1, 30)]


def zeros_behind(data, chance):
    return data + bytes(chance.randint(1, 300))


def noise_behind(data, chance):
    return data + chance.randbytes(chance.randint(1, 300))


def flip(data, chance):
    """One bit; only a PNG has checksums, so only there it must be seen."""
    data = bytearray(data)
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("damage", [cut, cut_a_little, zeros_behind, noise_behind, flip])
def test_damaged_files_give_the_same_picture_or_a_sentence(files, damage, rounds):
    chance, wrong = random.Random(rounds), []
    for name, data, _, tolerance in files:
        # in numbers written as text, 25 may be the rest of 255; nobody can know
        if name.startswith("pnm text") and damage in (cut, cut_a_little):
            continue
        if damage is flip and not name.startswith("png"):
            continue
        whole = opened(data)
        for _ in range(rounds if whole is not None else 0):
            damaged = damage(data, chance)
            picture = opened(damaged)
            if picture is not None and not same(picture, whole, tolerance):
                wrong.append((name, len(data), len(damaged)))
    assert wrong == []


SUFFIXES = [".jpg", ".png", ".gif", ".tif", ".heic", ".tga", ".ppm", ".txt", ".dng", ".svg", ""]


def test_a_wrong_name_changes_nothing(files):
    for k, (name, data, _, tolerance) in enumerate(files):
        whole, other = opened(data), opened(data, f"x{SUFFIXES[k % len(SUFFIXES)]}")
        assert whole is None or other is None or same(other, whole, tolerance), name


def test_a_jpeg_with_restart_marks_or_in_scans_is_never_filled_up(files):
    """Cut at a restart mark or between two scans, a decoder fills up the rest without a word."""
    chosen = [file for file in files if file[0].startswith("jpeg {")][1:4]
    assert len(chosen) == 3  # with restart marks, in scans, and both
    for name, data, *_ in chosen:
        whole = opened(data)
        for length in range(len(data) - 2):
            picture = opened(data[:length] or b"x")
            assert picture is None or same(picture, whole, 0), (name, length)


@pytest.mark.parametrize(
    "kind", ["tiff fourth channel 1 8 bits <", "tiff palette 4", "tiff turned 6"]
)
def test_a_tiff_without_the_end_of_its_directory_is_refused(files, kind):
    """Without its last entries it would be another picture."""
    ((_, data, *_),) = [file for file in files if file[0] == kind or kind + " bits" == file[0]]
    whole = opened(data)
    for length in range(1, len(data)):
        picture = opened(data[:length])
        assert picture is None or same(picture, whole, 0), length


def test_a_jpeg_2000_without_some_of_its_tiles_is_refused(files):
    """A decoder makes them black."""
    name = "jpeg 2000 clear {'no_jp2': True, 'num_resolutions': 1, 'tile_size': (16, 16)}"
    ((_, data, *_),) = [file for file in files if file[0] == name]
    for start in range(len(data)):
        if data[start : start + 4] == b"\xff\x90\0\x0a":  # the start of a tile
            assert opened(data[:start]) is None
    assert data.count(b"\xff\x90\0\x0a") == 6 and opened(data) is not None


def test_every_flipped_bit_of_a_png_is_seen(files):
    _, data, *_ = next(file for file in files if file[0].startswith("png colour 0 depth 1 "))
    whole = opened(data)
    for place in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        picture = opened(damaged)
        assert picture is None or same(picture, whole, 0), place
