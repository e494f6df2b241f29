"""Pictures of every kind in, clean RGB out; and nothing of the photo's metadata."""

import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from sdkit import photos, pixels
from sdkit.errors import SdkitError
from tests import strange


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("strange")
    strange.write_all(path)
    return path


@pytest.mark.parametrize("name", photos.SAMPLES)
def test_samples_open_without_a_network(name):
    image = photos.open_photo(name)
    assert image.mode == "RGB" and min(image.size) >= 256
    np.testing.assert_array_equal(image, photos.sample(name))


def test_the_error_for_an_unknown_sample_lists_the_samples():
    with pytest.raises(SdkitError, match="astronaut"):
        photos.sample("mona_lisa")


@pytest.mark.parametrize("name", strange.USABLE)
def test_usable_files_become_rgb_without_metadata(folder, name):
    image = photos.open_photo(folder / name)
    assert image.mode == "RGB" and image.info == {} and not image.getexif()
    assert sorted(image.size) == [32, 48]


@pytest.mark.parametrize("name, word", strange.UNUSABLE.items())
def test_unusable_files_give_a_sentence(folder, name, word):
    with pytest.raises(SdkitError, match=word) as caught:
        photos.resize(photos.open_photo(folder / name), 64)
    assert str(caught.value).endswith(".")


def test_missing_files_folders_and_names_with_null_give_sentences(folder):
    for source, word in (
        (folder / "gone.png", "no file"),
        (folder, "folder"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(SdkitError, match=word):
            photos.open_photo(source)


@pytest.mark.parametrize(
    "name", ["x" * 300, "~nobody-of-that-name/x.jpg", "a**b", "**", "[", "", "\udcff.jpg"]
)
def test_names_that_no_file_can_have_give_sentences(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SdkitError):
        photos.open_photo(photos.find_photos([name])[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_devices_and_broken_links_give_sentences_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    Image.fromarray(strange.colours()).save(tmp_path / "real.png")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.png")
    found = photos.find_photos([tmp_path])
    assert [p.name for p in found] == [
        "dangling.jpg",
        "link.jpg",
        "loop.jpg",
        "pipe.jpg",
        "real.png",
    ]
    for path in (found[0], found[2], found[3], "/dev/zero"):
        with pytest.raises(SdkitError):
            photos.open_photo(path)
    np.testing.assert_array_equal(photos.open_photo(tmp_path / "link.jpg"), strange.colours())


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a\n\x1b[31mb.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(SdkitError) as caught:
        photos.open_photo(path)
    assert str(caught.value).startswith("a ?[31mb.jpg is not a picture")


def test_messages_of_libtiff_do_not_reach_the_terminal(tmp_path, capfd):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    image.save(tmp_path / "x.tif", compression="tiff_adobe_deflate")
    data = bytearray((tmp_path / "x.tif").read_bytes())
    data[200:260] = bytes(60)
    (tmp_path / "x.tif").write_bytes(data)
    with pytest.raises(SdkitError, match="damaged"):
        photos.open_photo(tmp_path / "x.tif")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_file_without_read_permission_gives_a_sentence(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(SdkitError, match="You may not read"):
        photos.open_photo(tmp_path / "x.png")


def test_pixels_of_lossless_files_do_not_change(folder):
    np.testing.assert_array_equal(photos.open_photo(folder / "no-suffix"), strange.colours())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(tmp_path, orientation):
    Image.fromarray(strange.colours()).save(
        tmp_path / "x.jpg", exif=strange.exif(orientation), quality=95
    )
    with Image.open(tmp_path / "x.jpg") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(photos.open_photo(tmp_path / "x.jpg"), expected)


@pytest.mark.parametrize("name", ["rgb16.png", "rgb16.tif"])
def test_16_bit_colour_keeps_its_values(folder, name):
    difference = np.asarray(photos.open_photo(folder / name), dtype=int) - strange.colours()
    assert abs(difference).max() <= 1


@pytest.mark.parametrize("name", ["grey16.png", "grey16.tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(folder, name):
    image = np.asarray(photos.open_photo(folder / name))
    np.testing.assert_array_equal(image, np.repeat(strange.colours()[..., :1], 3, axis=2))


def test_transparent_parts_become_white(folder):
    colour, alpha = strange.colours().astype(float), strange.colours()[..., :1] / 255.0
    image = np.asarray(photos.open_photo(folder / "transparent.png"), dtype=float)
    np.testing.assert_allclose(image, colour * alpha + 255 * (1 - alpha), atol=1)


def test_an_animation_gives_its_first_frame(folder):
    difference = (
        np.asarray(photos.open_photo(folder / "animated.gif"), dtype=float) - strange.colours()
    )
    assert abs(difference).mean() < 8  # 256 colours; the other frames are red


def test_a_colour_profile_is_applied(tmp_path):
    """A photo with another profile is converted to sRGB.

    A photo in sRGB does not change. A broken profile is ignored.
    """
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(strange.colours())
    image.info["icc_profile"] = srgb
    difference = np.asarray(photos.open_photo(image), dtype=int) - strange.colours()
    assert abs(difference).max() <= 2  # sRGB to sRGB changes nothing
    image.info["icc_profile"] = b"broken"
    np.testing.assert_array_equal(photos.open_photo(image), strange.colours())
    image.info["icc_profile"] = _swap_red_and_green(srgb)
    difference = np.asarray(photos.open_photo(image), dtype=int) - strange.colours()[..., [1, 0, 2]]
    assert abs(difference).max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_colour_profile_is_applied_to_transparent_pictures_and_palettes_too(tmp_path, mode):
    """Programs that take pictures of a screen save such files."""
    from PIL import ImageCms

    image = Image.fromarray(strange.colours()).convert(mode)
    expected = np.asarray(image.convert("RGB"), dtype=int)[..., [1, 0, 2]]
    if mode == "RGBA":
        image.putalpha(Image.new("L", image.size, 128))
        expected = (expected * 128 + 255 * 127) / 255
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "x.png", icc_profile=_swap_red_and_green(srgb))
    assert abs(np.asarray(photos.open_photo(tmp_path / "x.png")) - expected).max() <= 3


def test_a_picture_is_turned_even_if_other_entries_of_its_exif_are_broken(tmp_path):
    """Some programs write an entry with the wrong type. It can be read but not written again."""
    # a date that is no text
    entries = [struct.pack("<HHII", 0x112, 3, 1, 6), struct.pack("<HHIf", 0x132, 11, 1, 1.5)]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    image = Image.fromarray(strange.colours())
    image.save(tmp_path / "x.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "x.jpg") as image:
        with pytest.raises(Exception):  # noqa: B017 (whichever it is)
            ImageOps.exif_transpose(image)
        expected = np.rot90(np.asarray(image), -1)
    np.testing.assert_array_equal(photos.open_photo(tmp_path / "x.jpg"), expected)


def _swap_red_and_green(profile):
    """sRGB's profile with the tags of its red and green primaries swapped.

    In a picture with this profile the first channel means green and the second means red.
    """
    head, table = bytearray(profile), slice(128, 132 + 12 * int.from_bytes(profile[128:132], "big"))
    head[table] = (
        bytes(head[table])
        .replace(b"rXYZ", b"tmp.")
        .replace(b"gXYZ", b"rXYZ")
        .replace(b"tmp.", b"gXYZ")
    )
    return bytes(head)


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "LA",
        "La",
        "P",
        "PA",
        "RGBA",
        "RGBa",
        "RGBX",
        "CMYK",
        "YCbCr",
        "LAB",
        "HSV",
        "I",
        "F",
        "I;16",
        "I;16B",
    ],
)
def test_every_mode_of_pillow_becomes_rgb(mode):
    assert photos.open_photo(Image.new(mode, (9, 8))).mode == "RGB"


def test_arrays_are_read_or_refused_by_shape_type_and_range():
    array = strange.colours()
    opaque = np.dstack([array, np.full_like(array[..., 0], 255)])
    for same in (array, array / 255.0, array.astype(np.uint16) * 257, opaque):
        np.testing.assert_array_equal(photos.open_photo(same), array)
    assert photos.open_photo(array[..., 0] > 9).size == (48, 32)
    for wrong in (
        np.zeros((9, 9, 5), np.uint8),
        np.zeros(9),
        np.zeros((0, 9)),
        np.full((9, 9), np.nan),
        np.full((9, 9), 300.0),
        np.zeros((9, 9), np.int32),
    ):
        with pytest.raises(SdkitError):
            photos.open_photo(wrong)


@pytest.mark.parametrize(
    "width, height, size, expected",
    [
        (512, 512, 256, (256, 256)),
        (600, 400, 256, (384, 256)),
        (400, 600, 256, (256, 384)),
        (451, 300, 100, (152, 96)),
        (30, 20, 64, (96, 64)),
        (400, 100, 64, (256, 64)),
    ],
)
def test_resize_keeps_the_aspect_ratio_in_steps_of_8(width, height, size, expected):
    assert photos.resize(Image.new("RGB", (width, height)), size).size == expected


def test_a_picture_is_the_same_after_conversion_to_a_tensor_and_back():
    image = photos.sample("coffee")
    tensor = photos.to_tensor(image)
    assert tensor.shape == (1, 3, 400, 600) and tensor.dtype == torch.float32
    assert tensor.min() >= -1 and tensor.max() <= 1
    np.testing.assert_array_equal(photos.to_image(tensor), image)
    np.testing.assert_array_equal(photos.to_image(tensor[0]), image)
    assert photos.to_image(torch.full((3, 8, 8), 9.0)).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(SdkitError, match="one at a time"):
        photos.to_image(torch.zeros(2, 3, 8, 8))


def test_a_batch_has_its_axes_in_order_and_spans_minus_one_to_one():
    """The axes are picture, channel, row and column.

    Black is -1, white is 1, and grey level v is 2 v / 255 - 1.
    """
    levels = np.zeros((2, 3, 5, 3), np.uint8)  # two pictures, 3 rows, 5 columns
    levels[1, 2, 4] = 51, 255, 102
    batch = photos.to_batch([levels[0], Image.fromarray(levels[1])])
    assert batch.shape == (2, 3, 3, 5) and batch.dtype == torch.float32
    expected = torch.full((2, 3, 3, 5), -1.0)
    expected[1, :, 2, 4] = torch.tensor([2 * 51 / 255 - 1, 1, 2 * 102 / 255 - 1])
    torch.testing.assert_close(batch, expected)
    np.testing.assert_array_equal(photos.to_uint8(batch), levels)
    np.testing.assert_array_equal(photos.to_uint8(batch[1]), levels[1])
    with pytest.raises(SdkitError, match="float64 is no batch of pictures"):
        photos.to_batch([levels[0] / 255])


def test_find_photos_lists_files_folders_wildcards_and_samples(folder, tmp_path):
    skipped = []
    found = photos.find_photos([folder, "astronaut", tmp_path / "gone.png"], on_skip=skipped.append)
    assert [p.name for p in found[:-2]] == sorted([*strange.USABLE, *strange.UNUSABLE])
    assert found[-2:] == ["astronaut", tmp_path / "gone.png"]
    assert [p.name for p in skipped] == ["notes.txt"]
    assert [p.name for p in photos.find_photos([folder / "cut*.jpg"])] == ["cut-off.jpg"]
    with pytest.raises(SdkitError, match="no pictures"):
        photos.find_photos([tmp_path])


def test_bytes_open_as_the_file_does_and_errors_name_the_file(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.effect_mandelbrot((40, 20), (-2, -1, 1, 1), 20).convert("RGB").save(path, exif=exif)
    opened = photos.open_bytes(path.read_bytes(), "turned.jpg")
    assert opened.size == (20, 40)
    np.testing.assert_array_equal(opened, photos.open_photo(path))
    for data, words in [(b"", "turned.jpg is empty"), (path.read_bytes()[:300], "turned.jpg")]:
        with pytest.raises(SdkitError, match=words):
            photos.open_bytes(data, "turned.jpg")


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0, 128, 255], [0, 128, 255]),  # 8 bits
        ([0, 2], [0, 2]),
        ([0, 256, 65535], [0, 1, 255]),  # 16 bits
        ([0.0, 0.5, 1.0], [0, 128, 255]),  # shares
        ([-3.0, np.nan, 1.0], [0, 0, 255]),
    ],
)
def test_white_is_found_from_the_largest_value(values, expected):
    assert pixels.to_8_bit(np.array([values])).tolist() == [expected]
