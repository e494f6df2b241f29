"""Make the HEIC samples in tests/pictures/heic again.

From the root of the repository: PYTHONPATH=. python tests/pictures/make_heic.py
This needs pillow-heif, which can write HEIC. The kit and its tests only read it, with pi-heif, so
the samples are kept in the repository. All show `strange.colours()`, if not said otherwise.
"""

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from sdkit.pictures import colours
from tests import strange

FOLDER = Path(__file__).parent / "heic"
GOOD = {"quality": 95, "chroma": 444}  # 444: full resolution of the colours
P3 = colours.PRIMARIES[12]


def main() -> None:
    pillow_heif.register_heif_opener()
    picture = strange.colours()
    image = Image.fromarray(picture)
    for orientation in range(1, 9):
        # The encoder writes the turn twice, as phones do: into the boxes irot and imir, which
        # count, and into the EXIF, which a reader must not apply again.
        exif = strange.exif(orientation).tobytes()
        image.save(FOLDER / f"turned-{orientation}.heic", exif=exif, **GOOD)
    # three flat colours, side by side
    patches = Image.fromarray(np.repeat(strange.PATCHES[None], 32, axis=0).repeat(16, axis=1))
    patches.save(FOLDER / "p3-profile.heic", icc_profile=colours.icc_profile(P3), **GOOD)
    patches.save(FOLDER / "p3-code.heic", color_primaries=12, transfer_characteristics=13, **GOOD)
    image.save(
        FOLDER / "hdr-pq.heic",
        color_primaries=9,
        transfer_characteristics=16,
        matrix_coefficients=9,
        **GOOD,
    )
    deep = (picture.astype(np.uint16) * 257).tobytes()
    pillow_heif.from_bytes("RGB;16", image.size, deep).save(FOLDER / "ten-bits.heic", **GOOD)
    Image.fromarray(np.dstack([picture, picture[..., 0]])).save(FOLDER / "transparent.heic", **GOOD)
    # a burst of three: red, then the picture that the phone would show, then blue
    burst = pillow_heif.from_pillow(Image.new("RGB", image.size, "red"))
    burst.add_from_pillow(image)
    burst.add_from_pillow(Image.new("RGB", image.size, "blue"))
    burst.save(FOLDER / "burst.heic", primary_index=1, **GOOD)
    wide = Image.fromarray(strange.colours(128, 64))
    tiles = [wide.crop((left, 0, left + 64, 64)) for left in (0, 64)]
    (FOLDER / "tiles.heic").write_bytes(in_tiles(tiles, wide.size))


def in_tiles(tiles: list[Image.Image], size: tuple[int, int]) -> bytes:
    """A HEIC file of one row of tiles, as phones write it (ISO/IEC 23008-12, 6.6.2.3).

    tiles : pictures of one size, from left to right. size : of the whole picture in px.
    The encoder writes no tiles, so each is encoded alone, and they are put together here.
    """

    def box(name: bytes, *parts: bytes) -> bytes:
        data = b"".join(parts)
        return struct.pack(">I4s", 8 + len(data), name) + data

    def pack(layout: str, *numbers: int) -> bytes:
        return struct.pack(">" + layout, *numbers)

    encoded, settings = [], []
    for tile in tiles:
        file = io.BytesIO()
        tile.save(file, "HEIF", **GOOD)
        data = file.getvalue()
        place = data.index(b"hvcC") - 4  # how to decode the pixels
        settings.append(data[place : place + int.from_bytes(data[place : place + 4], "big")])
        place = data.index(b"mdat") - 4
        encoded.append(data[place + 8 : place + int.from_bytes(data[place : place + 4], "big")])
    count, numbers = len(tiles), range(2, 2 + len(tiles))
    grid = pack("BBBBHH", 0, 0, 0, count - 1, *size)
    sizes = [box(b"ispe", pack("III", 0, *one)) for one in (size, tiles[0].size)]
    kinds = [b"grid"] + [b"hvc1"] * count
    about = [
        box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"pict")),
        box(b"pitm", pack("IH", 0, 1)),
        box(
            b"iinf",
            pack("IH", 0, 1 + count),
            *(
                box(b"infe", struct.pack(">IHH4sx", 2 << 24 | (k > 0), 1 + k, 0, kind))
                for k, kind in enumerate(kinds)
            ),
        ),
        box(
            b"iprp",
            box(b"ipco", *sizes, *settings),
            box(
                b"ipma",
                pack("II", 0, 1 + count),
                pack("HBB", 1, 1, 1),
                *(pack("HBBB", 2 + k, 2, 2, 0x80 | (3 + k)) for k in range(count)),
            ),
        ),
        box(b"iref", pack("I", 0), box(b"dimg", pack(f"{2 + count}H", 1, count, *numbers))),
    ]
    items = [grid, *encoded]
    start = box(b"ftyp", b"heic", pack("I", 0), b"mif1heic")
    # iloc: 16 bytes, and 14 for each item; meta and mdat have 12 and 8 bytes before their content
    place = len(start) + 12 + sum(map(len, about)) + 16 + 14 * len(items) + 8
    entries = []
    for k, item in enumerate(items):
        entries.append(pack("HHHII", 1 + k, 0, 1, place, len(item)))
        place += len(item)
    about.append(box(b"iloc", pack("IBBH", 0, 0x44, 0, len(items)), *entries))
    return start + box(b"meta", pack("I", 0), *about) + box(b"mdat", *items)


if __name__ == "__main__":
    main()
