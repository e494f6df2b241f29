"""Colours that a file only names become sRGB: against the matrices of CSS Color 4."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sdkit import photos
from sdkit.errors import SdkitError
from tests import strange

# CSS Color Module Level 4, section "Sample code": Display P3 and Rec. 2020 to XYZ, XYZ to sRGB
P3_TO_XYZ = [
    [608311 / 1250200, 189793 / 714400, 198249 / 1000160],
    [35783 / 156275, 247089 / 357200, 198249 / 2500400],
    [0, 32229 / 714400, 5220557 / 5000800],
]
REC2020_TO_XYZ = [
    [63426534 / 99577255, 20160776 / 139408157, 47086771 / 278816314],
    [26158966 / 99577255, 472592308 / 697040785, 8267143 / 139408157],
    [0, 19567812 / 697040785, 295819943 / 278816314],
]
XYZ_TO_SRGB = [
    [12831 / 3959, -329 / 214, -1974 / 3959],
    [-851781 / 878810, 1648619 / 878810, 36519 / 878810],
    [705 / 12673, -2585 / 12673, 705 / 667],
]


def light(levels):
    value = np.asarray(levels) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def levels(linear):
    linear = np.clip(linear, 0, 1)
    curve = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curve * 255


def expected(to_xyz, linear=None):
    """`strange.PATCHES`, or this light (3, 3), of the colour space `to_xyz` in sRGB: (3, 3)."""
    linear = light(strange.PATCHES) if linear is None else linear
    return levels(linear @ np.transpose(to_xyz) @ np.transpose(XYZ_TO_SRGB))


def middles(path):
    """The colours in the middles of the three patches of a picture, (3, 3) float."""
    opened = np.asarray(photos.open_photo(path), float)
    third = opened.shape[1] // 3
    return opened[opened.shape[0] // 2, third // 2 :: third]


def png(path, *chunks, image=None):
    """Write the patches, or another image, as a PNG with these chunks (name, body)."""
    image = image or Image.fromarray(strange.PATCHES[None].repeat(16, 0).repeat(16, 1))
    image.save(path)
    data = path.read_bytes()
    extra = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    path.write_bytes(data[:33] + extra + data[33:])  # after IHDR
    return path


@pytest.mark.parametrize("name", ["p3-profile", "p3-code"])
def test_display_p3_of_phones_becomes_srgb(name):
    """HEIC names it by a profile (iPhone) or by code numbers (others)."""
    right = expected(P3_TO_XYZ)
    assert np.abs(right - strange.PATCHES).max() > 15  # so a picture left as it is would fail
    assert np.abs(middles(strange.HEIC / f"{name}.heic") - right).max() < 4


@pytest.mark.parametrize(
    "primaries, curve, right",
    [
        (12, 13, expected(P3_TO_XYZ)),
        (9, 13, expected(REC2020_TO_XYZ)),
        (9, 8, expected(REC2020_TO_XYZ, strange.PATCHES / 255)),  # linear
        (1, 13, strange.PATCHES),
        (2, 2, strange.PATCHES),  # not said
        (1, 4, levels((strange.PATCHES / 255) ** 2.2)),
    ],
)
def test_the_code_numbers_of_a_png_are_obeyed(tmp_path, primaries, curve, right):
    path = png(tmp_path / "x.png", (b"cICP", bytes((primaries, curve, 0, 1))))
    assert np.abs(middles(path) - right).max() <= 1.5


@pytest.mark.parametrize("curve, word", [(16, "PQ"), (18, "HLG")])
def test_hdr_in_a_png_is_refused(tmp_path, curve, word):
    path = png(tmp_path / "x.png", (b"cICP", bytes((9, curve, 0, 1))))
    with pytest.raises(SdkitError, match=f"HDR picture .{word}."):
        photos.open_photo(path)


def test_the_code_numbers_of_an_avif_are_obeyed(tmp_path):
    """Pillow writes sRGB's numbers into the box colr; the test changes them to Display P3."""
    patches = Image.fromarray(strange.PATCHES[None].repeat(32, 0).repeat(32, 1))
    patches.save(tmp_path / "x.avif", quality=100, subsampling="4:4:4")
    assert np.abs(middles(tmp_path / "x.avif") - strange.PATCHES).max() < 4
    data = (tmp_path / "x.avif").read_bytes()
    assert data.count(b"colrnclx\0\x01\0\x0d") == 1
    (tmp_path / "x.avif").write_bytes(data.replace(b"colrnclx\0\x01", b"colrnclx\0\x0c"))
    assert np.abs(middles(tmp_path / "x.avif") - expected(P3_TO_XYZ)).max() < 4


def gamma(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


@pytest.mark.parametrize(
    "value, right",
    [
        (1.0, levels(strange.PATCHES / 255)),
        (1 / 1.8, levels((strange.PATCHES / 255) ** 1.8)),
        (0.45455, strange.PATCHES),  # sRGB, as nearly all programs write it
        (0, strange.PATCHES),  # nonsense
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_the_gamma_of_a_png_is_obeyed(tmp_path, value, right, mode):
    image = Image.fromarray(strange.PATCHES[None].repeat(16, 0).repeat(16, 1))
    if mode == "L":
        image, right = image.getchannel("R"), np.asarray(right)[:, :1]
    png(tmp_path / "x.png", gamma(value), image=image.quantize(3) if mode == "P" else image)
    assert np.abs(middles(tmp_path / "x.png") - right).max() <= 1.5


def test_the_chromaticities_of_a_png_are_obeyed(tmp_path):
    p3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    chunk = b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in p3))
    path = png(tmp_path / "x.png", chunk, gamma(0.45455))
    assert np.abs(middles(path) - expected(P3_TO_XYZ)).max() <= 1.5
    nonsense = b"cHRM", struct.pack(">8I", *[0] * 8)
    path = png(tmp_path / "y.png", nonsense, gamma(0.45455))
    np.testing.assert_array_equal(middles(path), strange.PATCHES)


def test_a_png_that_says_srgb_is_left_as_it_is(tmp_path):
    path = png(tmp_path / "x.png", (b"sRGB", b"\0"), gamma(1.0))
    np.testing.assert_array_equal(middles(path), strange.PATCHES)


def test_a_grey_profile_is_applied(tmp_path):
    """Scanners write grey pictures with their own gamma: here 1.0, so mid grey becomes lighter."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256) + bytes(2)  # one number: gamma 1
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, len(curve), b"wtpt", 172, len(white))
    head = struct.pack(">I4xI", 192, 0x02400000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp"
    head += bytes(28) + white[8:]
    profile = head.ljust(128, b"\0") + tags + curve + white
    image = Image.fromarray(np.full((16, 16), 128, np.uint8))
    image.save(tmp_path / "x.tif", icc_profile=profile)
    opened = np.asarray(photos.open_photo(tmp_path / "x.tif"), float)
    assert np.abs(opened - levels(128 / 255)).max() <= 2


def test_palettes_with_transparency_keep_their_colours(tmp_path):
    image = Image.fromarray(strange.PATCHES[None].repeat(16, 0).repeat(16, 1)).quantize(3)
    see_through = image.getpixel((8, 8))
    image.save(tmp_path / "x.png", transparency=see_through)
    image.save(tmp_path / "x.gif", transparency=see_through)
    right = np.vstack([[255, 255, 255], strange.PATCHES[1:]])
    for name in ("x.png", "x.gif"):
        np.testing.assert_array_equal(middles(tmp_path / name), right)


def test_cmyk_without_a_profile_keeps_black_and_white(tmp_path):
    """A JPEG stores CMYK upside down; read the wrong way, black would become white."""
    patches = np.array([[0, 0, 0], [255, 255, 255], [200, 60, 50]], np.uint8)
    image = Image.fromarray(patches[None].repeat(16, 0).repeat(16, 1)).convert("CMYK")
    image.save(tmp_path / "x.jpg", quality=100)
    assert np.abs(middles(tmp_path / "x.jpg") - patches).max() < 4
