"""An invisible mark in the pixels. It often stays when the notes in the file are lost.

It is a pattern of waves with fixed phases, spread over the whole picture: spread spectrum (Cox,
Kilian, Leighton and Shamoon 1997, "Secure spread spectrum watermarking for multimedia"). The
pattern repeats, so that a piece of the picture is enough (Kutter 1998). The waves are added to the
brightness: weakly where the picture is smooth, and more where it is rough and hides them.

The phases are the key. They are public, like everything in the kit, so anybody can remove the mark
or add it to another picture. The mark helps to find the kit's pictures again. It proves nothing.
"""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

KEY = b"sdkit watermark 1"
TILE = 64  # px; the pattern repeats after so many in both directions
# waves per pixel: longer waves would be seen, shorter ones are lost in JPEG and when scaled
LOWEST, HIGHEST = 0.05, 0.20
# grey levels, root mean square: where the picture is smooth, per grey level of roughness, and most
FLOOR, SHARE, CEILING = 0.7, 0.07, 2.0
SMALLEST = 128  # px; a picture with a shorter side is too small to hide and keep the mark
# px; a picture with a longer short side is scaled down before the search, and of a long one only
# the middle is searched
LARGEST, LONGEST = 512, 1536
# sizes that are looked for, as parts of the size when it was marked; the usual ones first
USUAL_SCALES = (1, 1 / 2, 3 / 4, 2 / 3, 2, 3 / 2)
SMALLEST_SCALE, LARGEST_SCALE = 0.3, 3
# quarter turns, each also mirrored: what programs that show photographs do with one click
ORIENTATIONS = 8
# degrees. In a large picture, half a degree already moves the waves at the edges to another place.
# So turned pictures are looked for in a piece of the middle, of this side in px.
ANGLES, PIECE = tuple(half / 2 for half in range(-10, 11)), 192
# the mark counts as found below the first number; below the second the search ends
FOUND, ENOUGH = 1e-6, 1e-12


@dataclass(frozen=True)
class Trace:
    """The result of the search for the mark."""

    # the probability of such a small value in a picture without the mark is at most this
    p: float
    # the size, as a part of what it was when the picture was marked; means nothing for a large p
    scale: float
    # the largest agreement with the key among all tries, in standard deviations of chance
    z: float = 0.0

    @property
    def found(self) -> bool:
        """Whether the mark is there. A false alarm: one in a million at most."""
        return self.p < FOUND


def embed(image: Image.Image) -> Image.Image:
    """A copy of `image` in RGB with the invisible mark.

    A picture with a short side below `SMALLEST` stays as it is.
    """
    image = image.convert("RGB")
    if min(image.size) < SMALLEST:
        return image
    brightness = _brightness(image)
    rough = brightness - _blur(brightness, 2)
    strength = np.clip(FLOOR + SHARE * np.sqrt(_blur(rough**2, 4)), FLOOR, CEILING)
    high, wide = brightness.shape
    waves = np.tile(_pattern(), (-(-high // TILE), -(-wide // TILE)))[:high, :wide]
    change = (strength * waves).round().astype(np.int16)
    levels = np.asarray(image) + change[..., None]  # (H, W, 3), the same change for each colour
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def detect(image: Image.Image, quick: bool = False) -> Trace:
    """Look for the mark at all places and many sizes, also mirrored and after quarter turns.

    quick : look for the usual sizes only. Otherwise a picture without the mark takes some seconds,
        and the mark is also looked for in pictures that were turned by a few degrees.

    The phases of the picture's own waves are compared with those of the key. In a picture without
    the mark they are independent: the K differences are then like angles drawn evenly from the
    circle, and the sum of their cosines exceeds z sqrt(K / 2) with a probability below exp(-z²/2)
    (Chernoff's bound, because the mean of exp(t cos) is below exp(t²/4)). `p` is this bound times
    the number of all tries: places, sizes, orientations and angles.
    """
    if min(image.size) > LARGEST:
        shrunk = LARGEST / min(image.size)
        image = image.resize(
            [round(side * shrunk) for side in image.size], Image.Resampling.LANCZOS
        )
    else:
        shrunk = 1.0
    image = _middle(image, LONGEST)
    usual = [shrunk * s for s in USUAL_SCALES]
    others = [] if quick else list(_scales(max(image.size)))
    turned = () if quick else ANGLES
    tries = (len(usual) * (1 + len(turned)) + len(others)) * ORIENTATIONS * TILE**2
    best = Trace(1.0, 1.0)
    for picture, scale in _views(image, usual, turned, others):
        z = float(_agreement(picture, scale).max())
        if z > best.z:
            p = min(1.0, tries * float(np.exp(-z * z / 2)))
            best = Trace(p, scale / shrunk, z)
        if best.p < ENOUGH:
            break
    return best


def _views(
    image: Image.Image, usual: list[float], turned: tuple[float, ...], others: list[float]
) -> Iterator[tuple[np.ndarray, float]]:
    """The pictures, from `_evened`, and the scales at which `detect` looks, one after another.

    turned : the angles by which the middle of the image is turned, in degrees.
    """
    picture = _evened(image)
    for scale in usual:
        yield picture, scale
    for angle in turned:
        # with room for the corners of the piece
        wide = _middle(image, round(1.1 * PIECE)).rotate(angle, Image.Resampling.BICUBIC)
        piece = _evened(_middle(wide, PIECE))
        for scale in usual:
            yield piece, scale
    for scale in others:
        yield picture, scale


def _middle(image: Image.Image, side: int) -> Image.Image:
    """The middle of the image; each side is at most about `side` px."""
    left, top = (max(0, length - side) // 2 for length in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


def angles(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """The phases of the pattern's K waves in radians, (K,) each: in the picture, and in the key.

    For the size and the place at which the picture was marked; `detect` tries the others.
    """
    rows, columns, phases = _waves()
    return np.angle(_transform(_evened(image), 1.0)[rows, columns]), np.angle(phases)


def places(image: Image.Image) -> np.ndarray:
    """The agreement with the key, z of `detect`, for each place where the pattern could begin.

    Returns (TILE, TILE): pixels down and to the right. The size is that of the marked picture.
    """
    return _agreement(_evened(image), 1.0)[0]


def _scales(side: int) -> Iterator[float]:
    """Scales so close to each other that the waves of one of them fit all over the picture.

    side : the long one of the picture, px.
    """
    scale = SMALLEST_SCALE
    while scale <= LARGEST_SCALE:
        yield scale
        scale *= 1 + scale / (HIGHEST * side)


def _agreement(picture: np.ndarray, scale: float) -> np.ndarray:
    """How well the phases of the picture agree with the key: z of `detect`.

    picture : (H, W), from `_evened`. scale : how large the pattern is in it; 1 as it was made.

    Returns (ORIENTATIONS, TILE, TILE), for all places where the pattern could begin. The first
    orientation is that of the picture as it is.
    """
    rows, columns, _ = _waves()
    period = TILE * scale
    waves = _transform(picture, scale)[rows, columns]
    # pixels cannot show waves shorter than two of them
    shown = (np.maximum(abs(rows), columns) < 0.47 * period) & (abs(waves) > 0)
    angles = np.where(shown, waves / np.maximum(abs(waves), 1e-30), 0)
    table = np.zeros((ORIENTATIONS, TILE, TILE), complex)
    for key, place in zip(_turned_phases(), table):
        place[rows % TILE, columns % TILE] = angles * key.conj()
    cosines = np.fft.ifft2(table).real * TILE**2
    return cosines / max(1.0, np.sqrt(shown.sum() / 2))


def _transform(picture: np.ndarray, scale: float) -> np.ndarray:
    """The Fourier transform of the picture at the frequencies of the pattern only.

    Index it by waves per tile down, which may be negative, and along.
    """
    limit = _waves()[0].max()
    high, wide = picture.shape
    period = TILE * scale
    # the picture is multiplied by real numbers, which is four times quicker than by complex ones
    turns = 2 * np.pi / period * np.outer(np.arange(wide), np.arange(limit + 1))
    along = np.hstack([np.cos(turns), -np.sin(turns)]).astype(np.float32)
    real, imaginary = np.hsplit(picture @ along, 2)
    # negative frequencies stand at the end, where a negative index finds them
    frequencies = np.roll(np.arange(-limit, limit + 1), -limit)
    down = np.exp(-2j * np.pi / period * np.outer(frequencies, np.arange(high)))
    return down @ (real + 1j * imaginary)


@functools.cache
def _waves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The K waves of the pattern: waves per tile down and along, and phases as unit numbers.

    A real pattern has each wave twice, with opposite signs. Only one of each pair is listed.
    """
    limit = int(HIGHEST * TILE) + 1
    rows, columns = np.mgrid[-limit : limit + 1, 0 : limit + 1]
    length = np.hypot(rows, columns) / TILE
    taken = (length >= LOWEST) & (length <= HIGHEST) & ((columns > 0) | (rows > 0))
    rows, columns = rows[taken], columns[taken]
    drawn = np.frombuffer(hashlib.shake_256(KEY).digest(4 * len(rows)), "<u4")
    return rows, columns, np.exp(2j * np.pi * drawn / 2**32)


def _phases_at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The phases of these waves as unit numbers; they may be named by either sign."""
    table = np.zeros((TILE, TILE), complex)
    known_rows, known_columns, phases = _waves()
    table[known_rows % TILE, known_columns % TILE] = phases
    table[-known_rows % TILE, -known_columns % TILE] = phases.conj()
    return table[rows % TILE, columns % TILE]


def _turned_phases() -> np.ndarray:
    """The key of each orientation (ORIENTATIONS, K): the phases of the waves that are seen there.

    In a mirrored picture, for instance, the wave (row, -column) of the pattern is seen as
    (row, column).
    """
    rows, columns, _ = _waves()
    seen = ((rows, columns), (rows, -columns), (columns, rows), (columns, -rows))
    return np.stack([_phases_at(sign * a, sign * b) for a, b in seen for sign in (1, -1)])


@functools.cache
def _pattern() -> np.ndarray:
    """One tile of the pattern (TILE, TILE), with a mean of 0 and a root mean square of 1."""
    rows, columns = (grid.ravel() for grid in np.mgrid[:TILE, :TILE])
    tile = np.fft.ifft2(_phases_at(rows, columns).reshape(TILE, TILE)).real
    return (tile / tile.std()).astype(np.float32)


def _evened(image: Image.Image) -> np.ndarray:
    """The brightness (H, W) without its coarse parts, and equally rough everywhere."""
    brightness = _brightness(image)
    fine = brightness - _blur(brightness, 3)
    return fine / (np.sqrt(_blur(fine**2, 6)) + 2)


def _brightness(image: Image.Image) -> np.ndarray:
    """The luminance (H, W) in 0 to 255, float32."""
    return np.asarray(image.convert("L")).astype(np.float32)


def _blur(values: np.ndarray, sigma: float) -> Any:
    """A Gaussian blur; `sigma` in px."""
    from scipy.ndimage import gaussian_filter  # the import takes a moment

    return gaussian_filter(values, sigma)
