"""A JPEG that lost a piece of its middle is refused, and no whole JPEG is."""

import io
import random

import numpy as np
import pytest
from PIL import Image
from skimage import data

from sdkit import photos
from sdkit.errors import SdkitError

CUP = Image.fromarray(data.coffee()).resize((300, 200))
KINDS = {
    "of a camera": {"quality": 90},
    "of an editor": {"quality": 95, "subsampling": 0, "optimize": True},
    "grey": {"mode": "L"},
    "of a printer": {"mode": "CMYK"},
    "with restart marks": {"restart_marker_blocks": 9},
    "in scans": {"progressive": True},
    "in scans, with restart marks": {"progressive": True, "restart_marker_rows": 2},
}


def jpeg(mode="RGB", **options):
    file = io.BytesIO()
    CUP.convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def opens(file):
    try:
        return photos.open_bytes(file, "x.jpg") is not None
    except SdkitError as error:
        assert "damaged" in str(error)
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_jpeg_opens_whatever_comes_behind_it(kind):
    file = jpeg(**KINDS[kind])
    for behind in (b"", bytes(500), b"\xff\xd9", b"a film of a phone", file):
        right = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), int)
        opened = np.asarray(photos.open_bytes(file + behind, "x.jpg"), int)
        assert abs(opened - right).max() <= 1


def test_bytes_ff_before_a_mark_are_allowed():
    file = jpeg(restart_marker_blocks=9)
    for mark in (b"\xff\xd0", b"\xff\xd3", b"\xff\xd9"):
        assert opens(file.replace(mark, b"\xff\xff" + mark))


def test_two_pictures_in_one_file_open():
    file = io.BytesIO()
    CUP.save(file, "MPO", save_all=True, append_images=[CUP.rotate(180)])
    assert opens(file.getvalue())


def test_a_picture_of_one_colour_opens():
    file = io.BytesIO()
    Image.new("RGB", (256, 256), "white").save(file, "JPEG", optimize=True)
    assert opens(file.getvalue())


@pytest.mark.parametrize("damage", ["missing", "zeros"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "in scans"])
def test_a_jpeg_without_a_piece_of_its_middle_is_refused(kind, damage):
    """In nearly all places. In some, what is left happens to be long enough."""
    file, chance, length = jpeg(**KINDS[kind]), random.Random(3), 1000
    first = file.find(b"\xff\xda") + 20
    refused = 0
    for _ in range(20):
        place = chance.randrange(first, len(file) - length - 100)
        filling = bytes(length) if damage == "zeros" else b""
        refused += not opens(file[:place] + filling + file[place + length :])
    assert refused >= (15 if damage == "missing" else 10)


def test_restart_marks_in_the_wrong_order_are_refused():
    file = jpeg(restart_marker_blocks=9)
    assert not opens(file.replace(b"\xff\xd1", b"\xff\xd2", 1))
