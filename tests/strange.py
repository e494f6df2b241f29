"""Strange picture files, as people have them, for the tests of photos and of the command line."""

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

SECRET = "secret-of-the-photographer"
HEIC = Path(__file__).parent / "pictures" / "heic"  # made by tests/pictures/make_heic.py
# flat colours, (3, 3) uint8: strong ones, which differ much between Display P3 and sRGB, and a skin
PATCHES = np.array([[200, 60, 50], [90, 180, 80], [224, 172, 150]], np.uint8)
#           what each file is, and whether a picture can be made of it
USABLE = [
    "animated.gif",
    "cmyk.jpg",
    "commented.jpg",
    "grey16.png",
    "grey16.tif",
    "jpeg-inside.png",
    "no-suffix",
    "palette.png",
    "phone.heic",
    "phone-without-suffix",
    "rgb16.png",
    "rgb16.tif",
    "transparent.png",
    "turned.jpg",
]
UNUSABLE = {  # a word of the sentence that each gets
    "1x1.png": "at least 8",
    "20000-wide.png": "4:1",
    "bomb.png": "million pixels",
    "cut-off.jpg": "damaged",
    "cut-off.png": "damaged",
    "empty.jpg": "empty",
    "cut-off.heic": "HEIC picture that is damaged",
    "drawing.svg": "svg file",
    "jpeg-xl.jxl": "JPEG XL",
    "jpeg-xl-without-suffix": "JPEG XL",
    "not-a-picture.jpg": "not a picture",
    "raw.dng": "raw file",
    "raw.nef": "raw file",
}


def colours(width=48, height=32):
    """A picture whose every corner differs: (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [x * 255 // (width - 1), y * 255 // (height - 1), 255 - x * 255 // (width - 1)], -1
    ).astype(np.uint8)


def png16(path, array):
    """Write (H, W) or (H, W, 3) uint16 as a 16-bit PNG, as the specification says.

    Pillow writes no 16-bit colour.
    """
    height, width = array.shape[:2]
    rows = array.reshape(height, -1).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)  # filter type 0 before each row

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    colour = 2 if array.ndim == 3 else 0
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def tiff16(path, array):
    """Write (H, W, 3) uint16 as an uncompressed TIFF, as the specification says.

    Pillow writes no 16-bit colour.
    """
    height, width, channels = array.shape
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, 8 + 2 + 12 * 9 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 12 * 9 + 4 + 6),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, array.nbytes),
    ]
    directory = (
        struct.pack("<H", 9)
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + struct.pack("<I", 0)
    )
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8)
        + directory
        + struct.pack("<3H", 16, 16, 16)
        + array.astype("<u2").tobytes()
    )


def exif(orientation=1):
    """EXIF with a camera's owner, a GPS position, and how the camera was held."""
    data = Image.Exif()
    data[0x0112], data[0x013B] = orientation, SECRET
    data.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    return data


def dng(path, preview):
    """Write a small picture as the first page of a DNG, where raw files have their preview."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[50706] = 1  # DNGVersion, four bytes
    tags[50706] = bytes((1, 4, 0, 0))
    preview.save(path, format="TIFF", tiffinfo=tags)


def write_all(folder):
    """Write every file of USABLE and UNUSABLE, and a text file, into `folder`."""
    array = colours()
    image = Image.fromarray(array)
    sixteen = array.astype(np.uint16) * 257
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.save(
        folder / "commented.jpg", comment=SECRET, exif=exif(), icc_profile=_profile(), quality=95
    )
    image.save(folder / "turned.jpg", exif=exif(6), quality=95)
    png16(folder / "grey16.png", sixteen[..., 0])
    png16(folder / "rgb16.png", sixteen)
    tiff16(folder / "rgb16.tif", sixteen)
    Image.fromarray(sixteen[..., 0]).save(folder / "grey16.tif")
    image.quantize(16).save(folder / "palette.png", transparency=0)
    Image.fromarray(np.dstack([array, array[..., 0]])).save(folder / "transparent.png")
    image.save(
        folder / "animated.gif",
        save_all=True,
        append_images=[Image.new("RGB", image.size, "red")] * 3,
    )
    image.save(folder / "jpeg-inside.png", format="JPEG")
    image.save(folder / "no-suffix", format="PNG")

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for suffix in (".jpg", ".png"):
        noise.save(folder / f"cut-off{suffix}")
        data = (folder / f"cut-off{suffix}").read_bytes()
        (folder / f"cut-off{suffix}").write_bytes(data[: len(data) // 2])
    Image.new("RGB", (1, 1)).save(folder / "1x1.png")
    Image.new("RGB", (20000, 50)).save(folder / "20000-wide.png")
    for name in ("phone.heic", "phone-without-suffix"):
        shutil.copy(HEIC / "turned-6.heic", folder / name)
    data = (HEIC / "turned-6.heic").read_bytes()
    (folder / "cut-off.heic").write_bytes(data[: len(data) // 3])
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    # the first bytes of both forms of JPEG XL (ISO/IEC 18181-2)
    (folder / "jpeg-xl.jxl").write_bytes(b"\xff\x0a" + bytes(100))
    (folder / "jpeg-xl-without-suffix").write_bytes(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100))
    dng(folder / "raw.dng", image)
    image.save(folder / "raw.nef", format="TIFF")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "not-a-picture.jpg").write_text("A shopping list.")
    png16(folder / "bomb.png", np.zeros((1, 1), np.uint16))
    data = bytearray((folder / "bomb.png").read_bytes())
    # a header that promises 10,000 million pixels
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (folder / "bomb.png").write_bytes(data)
    (folder / "notes.txt").write_text("Bring milk.")
    (folder / ".hidden.png").write_bytes((folder / "palette.png").read_bytes())


def _profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
