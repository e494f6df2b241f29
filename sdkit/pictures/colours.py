"""The colours that the numbers of a picture mean: a profile where the file only names them.

A picture can say this in three ways: by an ICC profile; by two code numbers (CICP, ITU-T H.273), as
HEIC, AVIF and PNG can; or by gamma and chromaticities, as PNG can. This module makes an ICC profile
from the second and the third, so that the way to sRGB is the same for all.
"""

import struct
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from sdkit.errors import SdkitError

XY = tuple[float, float]  # chromaticity, as CIE x and y
D65: XY = (0.3127, 0.3290)
SRGB: tuple[XY, XY, XY] = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
# Red, green and blue for the numbers of H.273, table 2. 1 is sRGB, 2 means "not said".
PRIMARIES: dict[int, tuple[XY, XY, XY]] = {
    1: SRGB,
    2: SRGB,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # Rec. 2020
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
# The curves of H.273, table 3, with another gamma than sRGB's: by number. The curves of video (1,
# 6, 14, 15) are shown on a screen like sRGB, so they count as sRGB.
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
HDR = {16: "PQ", 18: "HLG"}
# Bradford's cone responses, and the white of ICC profiles (ICC.1, annex E)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D50 = np.array([0.9642, 1.0, 0.8249])


def srgb_curve(value: float) -> float:
    """The light, 0 to 1, of a value of sRGB, 0 to 1 (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def icc_profile(
    primaries: Sequence[XY], white: XY = D65, curve: Callable[[float], float] = srgb_curve
) -> bytes:
    """An ICC profile, version 2, of an RGB colour space.

    primaries : chromaticities of red, green and blue. white : that of white.
    curve : the light, 0 to 1, of a value, 0 to 1.

    Raises numpy's `LinAlgError` or ZeroDivisionError if the chromaticities make no colour space.
    """

    def xyz(point: XY) -> np.ndarray:
        x, y = point
        return np.array([x / y, 1.0, (1 - x - y) / y])

    columns = np.stack([xyz(point) for point in primaries], axis=1)  # (3, 3)
    columns = columns * np.linalg.solve(columns, xyz(white))  # the three together give white
    cones = (BRADFORD @ D50) / (BRADFORD @ xyz(white))
    columns = np.linalg.inv(BRADFORD) @ (cones[:, None] * (BRADFORD @ columns))  # seen under D50

    def fixed(numbers: Sequence[float] | np.ndarray) -> bytes:
        return struct.pack(f">{len(numbers)}i", *(round(v * 65536) for v in numbers))

    points = 4 * 255 + 1  # every value of 8 bits is a point of the table
    table = [round(min(max(curve(k / (points - 1)), 0), 1) * 65535) for k in range(points)]
    trc = b"curv\0\0\0\0" + struct.pack(f">I{points}H", points, *table)
    xyz_type = b"XYZ \0\0\0\0"
    tags = {b"wtpt": xyz_type + fixed(D50)}
    for name, column in zip((b"r", b"g", b"b"), columns.T):
        tags[name + b"XYZ"] = xyz_type + fixed(column)
        tags[name + b"TRC"] = trc
    directory, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        directory += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI", start + len(body), 0x02400000) + b"mntrRGB XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + fixed(D50)
    return header.ljust(128, b"\0") + directory + body


def find_profile(image: Image.Image, data: bytes, name: str) -> bytes | None:
    """The ICC profile for an opened picture: its own, or one made from what its file says.

    image : as `PIL.Image.open` gives it for `data`. name : of the file, for the sentence.
    None means sRGB. Raises `SdkitError` for an HDR picture, whose colours would come out wrong.
    """
    own = image.info.get("icc_profile")
    code = None
    if image.format == "PNG":
        code = _png_code(data)  # comes before an ICC profile (PNG, third edition, 4.3)
    elif image.format == "HEIF" and not own:
        stated = image.info.get("nclx_profile") or {}
        code = stated.get("color_primaries", 2), stated.get("transfer_characteristics", 2)
    elif image.format == "AVIF" and not own:
        code = _avif_code(data)
    if code:
        return _profile_of_code(*code, name)
    if own or image.format != "PNG" or "srgb" in image.info:
        return own
    return _profile_of_gamma(image.info.get("gamma"), image.info.get("chromaticity"))


def _profile_of_code(primaries: int, curve: int, name: str) -> bytes | None:
    """The profile of two numbers of H.273; None for sRGB and for numbers that are not known."""
    if curve in HDR:
        raise SdkitError(
            f"{name} is an HDR picture ({HDR[curve]}), and its colours would come out wrong here. "
            "Export it as JPEG (without HDR)."
        )
    if primaries not in PRIMARIES or (PRIMARIES[primaries] is SRGB and curve not in GAMMAS):
        return None
    gamma = GAMMAS.get(curve)
    return icc_profile(PRIMARIES[primaries], curve=(lambda v: v**gamma) if gamma else srgb_curve)


def _png_code(data: bytes) -> tuple[int, int] | None:
    """Primaries and curve in the chunk cICP of a PNG, or None."""
    place = 8
    while place + 12 <= len(data) and (kind := data[place + 4 : place + 8]) != b"IDAT":
        if kind == b"cICP":
            return data[place + 8], data[place + 9]
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return None


def _avif_code(data: bytes) -> tuple[int, int] | None:
    """Primaries and curve in the first box colr of an AVIF, that of the picture itself, or None."""
    place = data.find(b"colrnclx", 0, 65536)
    return struct.unpack_from(">HH", data, place + 8) if 0 <= place < len(data) - 12 else None


def _profile_of_gamma(gamma: float | None, chromaticity: tuple[float, ...] | None) -> bytes | None:
    """The profile for the chunks gAMA and cHRM of a PNG; None if they say sRGB or nonsense.

    gamma : exponent from light to value; sRGB's is about 1 / 2.2. chromaticity : x and y of white,
    red, green and blue.
    """
    close_to_srgb = gamma is None or not 0.05 < gamma < 20 or abs(gamma * 2.2 - 1) < 0.05
    white, primaries = D65, SRGB
    if chromaticity:
        points = [*zip(chromaticity[::2], chromaticity[1::2])]
        if not np.allclose(points, [D65, *SRGB], atol=0.002):
            white, primaries = points[0], tuple(points[1:])  # type: ignore[assignment]
    if close_to_srgb and primaries is SRGB:
        return None
    exponent = 1 / (gamma or 1)
    try:
        return icc_profile(primaries, white, srgb_curve if close_to_srgb else lambda v: v**exponent)
    except (np.linalg.LinAlgError, ZeroDivisionError, OverflowError, struct.error, ValueError):
        return None
