"""HEIC of phones is read correctly. What would give wrong pixels without a word is refused."""

import io
import shutil
import sys

import numpy as np
import pytest
import tifffile  # comes with scikit-image; an encoder that shares no code with Pillow
from PIL import Image

from sdkit import photos
from sdkit.errors import SdkitError
from tests import rare, strange


def difference(path, expected):
    """The mean difference of a photo and an array (H, W, 3), in grey levels."""
    opened = np.asarray(photos.open_photo(path), float)
    assert opened.shape == expected.shape
    return np.abs(opened - expected).mean()


@pytest.mark.parametrize("orientation", rare.TURNED)
def test_a_heic_picture_is_turned_once_although_its_file_says_so_twice(orientation):
    path = strange.HEIC / f"turned-{orientation}.heic"
    assert difference(path, rare.TURNED[orientation](strange.colours())) < 2
    assert strange.SECRET.encode() in path.read_bytes()  # so the test of metadata means something
    image = photos.open_photo(path)
    assert not image.getexif() and image.info == {}


def test_ten_bits_become_eight():
    assert difference(strange.HEIC / "ten-bits.heic", strange.colours()) < 2


def test_of_a_burst_the_picture_that_the_phone_shows_is_opened():
    assert difference(strange.HEIC / "burst.heic", strange.colours()) < 2


def test_the_tiles_of_a_phone_become_one_picture_and_none_may_be_missing():
    whole = strange.HEIC / "tiles.heic"
    assert difference(whole, strange.colours(128, 64)) < 2
    data = whole.read_bytes()
    for missing in (1, 400):  # libheif would leave out the tile on the right
        with pytest.raises(SdkitError, match="cut off"):
            photos.open_bytes(data[:-missing], "tiles.heic")


def test_of_a_burst_the_pictures_that_are_not_shown_may_be_missing():
    data = (strange.HEIC / "burst.heic").read_bytes()
    opened = np.asarray(photos.open_bytes(data[:-9], "burst.heic"), float)
    assert np.abs(opened - strange.colours()).mean() < 2


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "HEIF"])
def test_a_copy_that_stopped_and_ends_in_zeros_is_refused(kind):
    if kind == "HEIF":
        data = (strange.HEIC / "tiles.heic").read_bytes()
    else:
        file = io.BytesIO()
        Image.fromarray(strange.colours(200, 150)).save(file, kind)
        data = file.getvalue()
    photos.open_bytes(data, "whole")
    keep = len(data) * 2 // 3
    with pytest.raises(SdkitError, match="cut off"):
        photos.open_bytes(data[:keep] + bytes(len(data) - keep), "stopped")


def test_a_cut_avif_is_called_damaged():
    file = io.BytesIO()
    Image.fromarray(strange.colours()).save(file, "AVIF")
    with pytest.raises(SdkitError, match="AVIF picture that is damaged"):
        photos.open_bytes(file.getvalue()[:150], "x.avif")


def test_transparent_parts_of_a_heic_picture_become_white():
    colour, alpha = strange.colours().astype(float), strange.colours()[..., :1] / 255
    expected = colour * alpha + 255 * (1 - alpha)
    assert difference(strange.HEIC / "transparent.heic", expected) < 2


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".hif", ".jpg", ""])
def test_a_heic_picture_is_known_by_its_bytes_not_by_its_name(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    shutil.copy(strange.HEIC / "turned-1.heic", path)
    assert difference(path, strange.colours()) < 2
    assert photos.find_photos([tmp_path]) == [path]


def test_hdr_pictures_are_refused():
    with pytest.raises(SdkitError, match=r"HDR picture \(PQ\).* JPEG"):
        photos.open_photo(strange.HEIC / "hdr-pq.heic")


def test_without_pi_heif_a_sentence_says_how_to_export(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)  # its import fails now
    with pytest.raises(SdkitError, match="pi-heif .*missing.* JPEG .iPhone: Settings"):
        photos.open_photo(strange.HEIC / "turned-1.heic")
    assert photos.open_photo("chelsea")  # other pictures do not need it


def test_the_pixels_of_a_heic_file_are_limited_before_it_is_decoded():
    with pytest.raises(SdkitError, match="million pixels"):
        photos.open_photo(strange.HEIC / "turned-1.heic", max_pixels=48 * 32 - 1)


RAW_STARTS = {
    "canon.CR2": b"II*\0\x10\0\0\0CR\x02\0",
    "canon.CR3": b"\0\0\0\x18ftypcrx \0\0\0\1",
    "fuji.RAF": b"FUJIFILMCCD-RAW 0201",
    "olympus.ORF": b"IIRO\x08\0\0\0",
    "panasonic.RW2": b"IIU\0\x18\0\0\0",
}


@pytest.mark.parametrize("name", RAW_STARTS)
@pytest.mark.parametrize("keep_name", [True, False])
def test_raw_files_are_known_by_their_first_bytes(tmp_path, name, keep_name):
    path = tmp_path / (name if keep_name else "photo")
    path.write_bytes(RAW_STARTS[name] + bytes(500))
    assert photos.find_photos([tmp_path]) == [path]
    with pytest.raises(SdkitError, match="raw file of a camera .* JPEG"):
        photos.open_photo(path)


@pytest.mark.parametrize("name", ["x.dng", "x.tif", "x"])
def test_the_preview_in_a_dng_is_never_taken_for_the_picture(tmp_path, name):
    strange.dng(tmp_path / name, Image.fromarray(strange.colours()))
    with pytest.raises(SdkitError, match="raw file"):
        photos.open_photo(tmp_path / name)
    with Image.open(tmp_path / name) as image, pytest.raises(SdkitError, match="raw file"):
        photos.open_photo(image)


def test_a_preview_before_the_picture_in_a_tiff_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(strange.colours(24, 16), photometric="rgb", subfiletype=1)
        file.write(strange.colours(), photometric="rgb")
    with pytest.raises(SdkitError, match="begins with a small preview"):
        photos.open_photo(tmp_path / "x.tif")


def test_a_jpeg_with_the_name_of_a_raw_file_is_opened(tmp_path):
    Image.fromarray(strange.colours()).save(tmp_path / "x.dng", format="JPEG", quality=95)
    assert difference(tmp_path / "x.dng", strange.colours()) < 4


SIXTEEN = strange.colours().astype(np.uint16) * 257
GREY = SIXTEEN[..., 0]


@pytest.mark.parametrize(
    "array, options",
    [
        (SIXTEEN, {"photometric": "rgb"}),
        (SIXTEEN, {"photometric": "rgb", "byteorder": ">"}),
        (SIXTEEN, {"photometric": "rgb", "tile": (16, 16)}),
        (strange.colours().transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        (GREY, {"photometric": "minisblack"}),
        (65535 - GREY, {"photometric": "miniswhite"}),
        ((GREY / 65535).astype(np.float32), {"photometric": "minisblack"}),
        (np.dstack([65535 - SIXTEEN, GREY * 0]), {"photometric": "separated"}),  # CMYK
    ],
    ids="rgb16 big-endian tiles planar8 grey16 white-is-zero float cmyk16".split(),
)
def test_tiffs_of_rare_depths_keep_their_values(tmp_path, array, options):
    tifffile.imwrite(tmp_path / "x.tif", array, **options)
    colour = options["photometric"] in ("rgb", "separated")
    expected = strange.colours() if colour else strange.colours()[..., :1].repeat(3, 2)
    opened = np.asarray(photos.open_photo(tmp_path / "x.tif"), int)
    assert np.abs(opened - expected).max() <= 1


@pytest.mark.parametrize(
    "array, options",
    [
        (SIXTEEN.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        ((GREY // 2).astype(np.int16), {}),
        ((GREY // 512).astype(np.int8), {}),
        (GREY.astype(np.uint32) * 65537, {}),
        (GREY.astype(np.int32), {}),
        ((GREY / 65535).astype(np.float64), {}),
        ((1 - GREY / 65535).astype(np.float32), {"photometric": "miniswhite"}),
    ],
    ids="planar16 int16 int8 uint32 int32 float64 white-is-zero-float".split(),
)
def test_tiffs_whose_values_would_come_out_wrong_are_refused(tmp_path, array, options):
    tifffile.imwrite(tmp_path / "x.tif", array, **options)
    with pytest.raises(SdkitError, match="cannot be read|can be read"):
        photos.open_photo(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", ["jp2", "j2k"])
def test_jpeg_2000_of_16_bits_is_read_in_grey_and_refused_in_colour(tmp_path, suffix):
    """Pillow writes no 16 bits in colour, so the header of 8 bits is changed to say 16."""
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(GREY).save(path)
    assert difference(path, strange.colours()[..., :1].repeat(3, 2)) < 1
    Image.fromarray(strange.colours()).save(path)
    assert difference(path, strange.colours()) < 1
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\x51") + 4 + 36  # past the marker SIZ: depth, and steps, per channel
    assert data[start : start + 9 : 3] == b"\x07\x07\x07"
    data[start : start + 9 : 3] = b"\x0f\x0f\x0f"
    path.write_bytes(data)
    with pytest.raises(SdkitError, match="JPEG 2000 picture with more than 8 bits"):
        photos.open_photo(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_may_lack_its_end_mark_but_nothing_else(tmp_path, progressive):
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=95, progressive=progressive)
    whole, path = file.getvalue(), tmp_path / "x.jpg"
    with Image.open(io.BytesIO(whole)) as image:
        expected = np.asarray(image)
    for missing in (0, 1, 2):
        path.write_bytes(whole[: len(whole) - missing])
        np.testing.assert_array_equal(photos.open_photo(path), expected)
    for missing in (6, 40, len(whole) // 2):
        path.write_bytes(whole[:-missing])
        with pytest.raises(SdkitError, match="damaged or cut off"):
            photos.open_photo(path)
