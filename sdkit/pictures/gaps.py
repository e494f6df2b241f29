"""Refuse a JPEG that lost a piece of its middle, as on a worn memory card.

A JPEG has no checksum. Where its data end too early, decoders fill the rest of the picture with
something, without a word. This finds such places. It cannot find all damage: a changed bit often
gives other data of the same length.
"""

import re
from collections.abc import Iterator
from io import BytesIO

from PIL import Image, ImageChops

from sdkit.errors import SdkitError

# The marks of ITU-T T.81, table B.1. Before each there may be more bytes FF.
START_OF_SCAN, END = 0xDA, 0xD9
BASELINE, TABLES = (0xC0, 0xC1), 0xC4
ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
FIRST_RESTART = 0xD0  # of eight, which follow each other in a circle
RESTART = re.compile(rb"\xff+([\xd0-\xd7])")
SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # after FF in a scan comes a zero
# A decoder that has all its data skips this. One that misses some makes a wrong picture of it.
FILLING = b"\x55\xaa\x33" * 8


def refuse(image: Image.Image, name: str, data: bytes) -> None:
    """Raise `SdkitError` if parts of a picture were not in its file.

    image : what Pillow made of the JPEG `data`. name : of the file, for the sentence.
    """
    parts = _parts(data)
    if parts is None:
        return
    restarts = [RESTART.findall(scan) for _, scan in parts]
    circles = [[bytes([FIRST_RESTART + k % 8]) for k in range(len(found))] for found in restarts]
    if (
        restarts != circles
        or _has_impossible_zeros(*parts[0])
        or _differs(image, b"".join(_filled(parts)))
    ):
        raise SdkitError(f"{name} is damaged: a part is missing. Copy it again from where it came.")


def _parts(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """The first picture of a JPEG as pairs: marks, and the scan behind them.

    The last pair has no scan. None if it is not built as a JPEG, or of a rare kind.
    """
    parts, start, place = [], 0, 2
    while place + 2 <= len(data) and data[place] == 0xFF:
        mark = data[place + 1]
        if mark == 0xFF:
            place += 1
            continue
        if mark == END:
            return [*parts, (data[start : place + 2], b"")] if parts else None
        if mark in ARITHMETIC:
            return None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if mark == START_OF_SCAN:
            end = SCAN_END.search(data, place)
            if not end:
                return None
            parts.append((data[start:place], data[place : end.start()]))
            start = place = end.start()
    return None


def _has_impossible_zeros(marks: bytes, scan: bytes) -> bool:
    """Whether zeros in a scan cannot come from an encoder, as where a card lost a sector.

    The code of zeros alone is that of the first symbol in a Huffman table (T.81, annex C). If this
    symbol is "the rest is zero", then many zeros are a plain area. If it is not, they would be a
    picture in which every wave has the amplitude -1.
    """
    if bytes(64) not in scan:
        return False
    first, used, baseline, place = {}, 0, False, 2
    while place + 4 <= len(marks):
        mark = marks[place + 1]
        if mark == 0xFF:
            place += 1
            continue
        body = marks[place + 4 : place + 2 + int.from_bytes(marks[place + 2 : place + 4], "big")]
        place += 4 + len(body)
        baseline |= mark in BASELINE
        if mark == START_OF_SCAN and len(body) > 2:
            used = 0x10 | body[2] & 15  # the table of the waves, for the brightness
        while mark == TABLES and len(body) > 17:
            first[body[0]] = body[17]
            body = body[17 + sum(body[1:17]) :]
    return baseline and first.get(used, 0) not in (0x00, 0xF0)  # end of block, 16 zeros


def _filled(parts: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The same picture with `FILLING` wherever the data of a piece of it end."""
    for marks, scan in parts[:-1]:
        yield marks
        yield RESTART.sub(lambda found: FILLING + found[0], scan)
        yield FILLING
    yield parts[-1][0]


def _differs(image: Image.Image, data: bytes) -> bool:
    """Whether the JPEG `data` gives another picture than `image`."""
    with Image.open(BytesIO(data), formats=["JPEG"]) as other:
        if (other.mode, other.size) != (image.mode, image.size):
            return False
        return ImageChops.difference(other, image).getbbox(alpha_only=False) is not None
