"""Paint a photograph with brush strokes that a program draws: what the painter learns from.

The strokes are noise that is averaged along curves. The curves follow the forms. This is line
integral convolution (Cabral and Leedom 1993, "Imaging vector fields using line integral
convolution"). The directions come from the structure tensor (Kang et al. 2007, "Coherent line
drawing", smooth it in a like way), and the colours move towards those of a real painting (Reinhard
et al. 2001, "Color transfer between images").

All that is random in a stroke comes from the noise that the denoiser starts from (`grains`). So
this noise decides where each stroke lies, and the denoiser can learn it. If the strokes were random
in another way, the best that it could predict would be their mean, which has no strokes.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.linalg import hadamard
from scipy.ndimage import gaussian_filter, sobel, zoom
from skimage.color import lab2rgb, rgb2lab

GRAIN = 8  # px; side of the squares in each of which four numbers of the noise decide the strokes
GRAINS = 4  # how many numbers
CHECKERS = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) / 2
WHIRL = 4  # grains; width over which whirls are averaged
FAINT = 1e-3  # edges fainter than this decide little, because noise hides them from the denoiser
HAIR = 0.4  # px; standard deviation of the blur that makes the traces of hairs wide
STEP = 2  # px; from one point of a curve to the next
LEAVES_COLOUR = 14  # CIELAB distance at which a stroke ends, because another form begins there
SCALES = (3, 8, 24)  # px; widths over which the direction of strokes is averaged
LIGHTEST, DARKEST = 92, 14  # L* of white and black paint
DETAIL = (3, 8)  # CIELAB distance from the photograph at which fine strokes begin, and are alone
NEAR_END = 30  # L*; nearer than that to black or white, strokes differ less from one another


@dataclass(frozen=True)
class Brush:
    """How strokes look. All colours are in CIELAB. Coarse strokes come first, then fine ones."""

    # px; longest strokes
    lengths: tuple[float, float] = (44, 24)
    # px; standard deviation of the blur that makes strokes wide
    widths: tuple[float, float] = (2.4, 1.2)
    # how hard the edges of strokes are
    hardness: float = 1.2
    # by how much L*, a* and b* of a stroke differ at most from their mean. Light strokes are warm.
    jitter: tuple[float, float, float] = (14, 7, 14)
    # the same of fine strokes, as a share of that
    fine_jitter: float = 0.65
    # by how much L* of a stroke's lit edge is higher, and of the other edge lower
    relief: float = 12
    # standard deviation of L* over the traces that the hairs of the brush leave
    bristles: float = 9
    # share of the way to the lightness and to the colours of the painting
    lightness: float = 0.8
    palette: float = 0.85
    # factor of a* and b* after that
    vividness: float = 1.05
    # how strongly strokes whirl where the photograph has no direction
    swirl: float = 0.2
    # by how much they turn from the diagonal: standard deviation of the doubled angle, in radians
    turn: float = 0.6
    # by how much L* of a drawn outline is lower
    outline: float = 0


VAN_GOGH = Brush()
BRUSHES = {
    "van gogh": VAN_GOGH,
    "starry night": replace(
        VAN_GOGH, lengths=(80, 40), swirl=0.6, turn=1.6, lightness=0.9, palette=1
    ),
    "sunflowers": replace(VAN_GOGH, lengths=(28, 16), jitter=(11, 6, 11), lightness=0.9, palette=1),
    "wheatfield with crows": replace(
        VAN_GOGH, lengths=(36, 20), jitter=(16, 7, 15), lightness=0.9, palette=1
    ),
    "a self-portrait of van gogh": replace(VAN_GOGH, lengths=(32, 20), palette=0.9),
    "impressionism": Brush(
        (20, 12), hardness=1.6, jitter=(9, 6, 10), relief=8, bristles=5, swirl=0.5
    ),
    "oil painting": Brush(
        (32, 16), jitter=(5, 2.5, 4), relief=5, bristles=4, vividness=1
    ),
    "ukiyo-e": Brush(
        (32, 20), jitter=(3, 2, 3), relief=0, bristles=0, lightness=1, palette=1, vividness=1,
        outline=90,
    ),
}  # fmt: skip
BRUSHES["the great wave"] = BRUSHES["ukiyo-e"]
BRUSHES["water lilies"] = BRUSHES["impressionism"]


class Palette(NamedTuple):
    """The colours of a painting: mean (3,) and standard deviation (3,) of L*, a* and b*."""

    mean: np.ndarray
    deviation: np.ndarray


def palette_of(picture: np.ndarray) -> Palette:
    """The `Palette` of a picture, uint8 (H, W, 3)."""
    small = Image.fromarray(picture)
    small.thumbnail((200, 200))
    lab = rgb2lab(np.asarray(small)).reshape(-1, 3)
    return Palette(lab.mean(0), lab.std(0))


def nearest(palettes: Sequence[Palette], picture: np.ndarray) -> Palette:
    """The one of some palettes that is nearest to the colours of a picture, uint8 (H, W, 3)."""
    own = palette_of(picture)
    return min(palettes, key=lambda one: sum(np.square(a - b).sum() for a, b in zip(own, one)))


def recoloured(lab: np.ndarray, palette: Palette, brush: Brush) -> np.ndarray:
    """A picture in CIELAB (H, W, 3) with its colours moved towards those of a painting."""
    mean, deviation = lab.mean((0, 1)), lab.std((0, 1)) + 1e-6
    wanted = (lab - mean) * (palette.deviation / deviation).clip(0.5, 1.8) + palette.mean
    shares = np.array([brush.lightness, brush.palette, brush.palette])
    x = lab + shares * (wanted - lab)
    x[..., 1:] *= brush.vividness
    x[..., 0] = x[..., 0].clip(DARKEST, LIGHTEST)
    return x.astype(np.float32)


def blurred(x: np.ndarray, sigma: float) -> np.ndarray:
    """Each channel of (H, W, C) blurred on its own."""
    return gaussian_filter(x, (sigma, sigma, 0), truncate=2.5)


def directions(lightness: np.ndarray, swirl: float, turn: float, numbers: np.ndarray) -> np.ndarray:
    """Unit vectors (H, W, 2), x and y, along which L* (H, W) changes least.

    Where it has no direction, whirls take over with a weight ``swirl``: diagonals that ``turn`` as
    the ``numbers`` (rows, columns) say.
    """
    soft = gaussian_filter(lightness / 100, 1.5)
    dx, dy = sobel(soft, 1), sobel(soft, 0)
    tensor = np.stack([dx * dx - dy * dy, 2 * dx * dy, dx * dx + dy * dy], -1)
    along = across = 0.0
    for sigma in SCALES:
        one, other, energy = np.moveaxis(blurred(tensor, sigma), -1, 0)
        weight = energy / (energy + FAINT) / (energy + 4e-4)
        along, across = along + weight * one, across + weight * other
    height, width = lightness.shape
    # the mean over many numbers is small: make its standard deviation 1 again (in the plane,
    # a Gaussian of width w shrinks that of white noise by 2 sqrt(pi) w)
    coarse = gaussian_filter(numbers, WHIRL, mode="wrap") * 2 * np.sqrt(np.pi) * WHIRL
    whirl = zoom(coarse * turn, GRAIN, order=1)[:height, :width] + np.pi / 2
    along = along / len(SCALES) - swirl * np.cos(whirl)
    across = across / len(SCALES) - swirl * np.sin(whirl)
    angle = np.arctan2(across, along) / 2 + np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)


def at(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of (H, W, ...) at points (..., 2) in px; points outside count as the nearest edge."""
    columns, rows = (points.astype(int).clip(0, (x.shape[1] - 1, x.shape[0] - 1))).T
    return x[rows.T, columns.T]


def curves(
    field: np.ndarray, length: float, colours: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The curve through each pixel along a field of directions (H, W, 2), point by point.

    Yields the points (H, W, 2) in px, and whether they belong to the curve (H, W, 1). It ends where
    ``colours`` (H, W, 3) leave those of its pixel.
    """
    height, width = field.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + 0.5
    middles = np.stack([columns, rows], -1)
    yield middles, np.ones((height, width, 1), bool)
    for sign in (-1, 1):
        here, way = middles, sign * field
        inside = np.ones((height, width, 1), bool)
        for _ in range(max(1, round(length / 2 / STEP))):
            here = here + STEP * way
            inside = inside & (
                np.square(at(colours, here) - colours).sum(-1, keepdims=True) < LEAVES_COLOUR**2
            )
            yield here, inside
            then = at(field, here)  # a direction may point either way: go on, do not turn back
            way = np.where((then * way).sum(-1, keepdims=True) < 0, -then, then)


def along_curves(
    x: np.ndarray, field: np.ndarray, length: float, colours: np.ndarray
) -> np.ndarray:
    """The mean of (H, W, C) along the curve through each pixel; see `curves`."""
    total, count = np.zeros_like(x), np.zeros_like(x[..., :1])
    for points, inside in curves(field, length, colours):
        total += at(x, points) * inside
        count += inside
    return total / count


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """CIELAB (..., 3) to uint8 RGB. Colours that no screen has become the nearest of theirs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB", UserWarning)
        return (lab2rgb(lab) * 255).round().astype(np.uint8)


def outlines(lightness: np.ndarray, strength: float) -> np.ndarray:
    """By how much L* (H, W) is lower on drawn lines along its edges (Winnemoller et al. 2012)."""
    edges = gaussian_filter(lightness, 2.2) - gaussian_filter(lightness, 1.2)
    return strength * np.tanh(gaussian_filter(np.maximum(edges - 1.0, 0), 0.7))


def grains(noise: torch.Tensor) -> torch.Tensor:
    """The numbers (B, 4, h / 2, w / 2) of latent noise (B, C, h, w) that decide the strokes.

    They are the finest checkers (the HH band of a Haar wavelet) in the last four channels, with
    variance 1. Latents of photographs hardly have such checkers, so the noise stays readable there
    when it is added to a photograph.
    """
    squares = noise[:, -GRAINS:].unfold(2, 2, 2).unfold(3, 2, 2)  # (B, 4, h / 2, w / 2, 2, 2)
    return (squares * CHECKERS.to(noise)).sum((-2, -1))


def with_grains(noise: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Latent noise (B, C, h, w) with other numbers (B, 4, h / 2, w / 2) in it; see `grains`."""
    difference = torch.kron((wanted - grains(noise)).contiguous(), CHECKERS.to(noise))
    return torch.cat([noise[:, :-GRAINS], noise[:, -GRAINS:] + difference], 1)


def finer(numbers: np.ndarray) -> np.ndarray:
    """Four numbers for each quarter of a grain (2 h, 2 w, 4), from those of the grains (h, w, 4).

    Each quarter gets other sums of its grain's numbers (a Hadamard matrix). The sums are as
    independent as the numbers themselves.
    """
    sums = numbers @ hadamard(GRAINS) / 2
    quarters = np.stack([np.roll(sums, k, -1) for k in range(4)], 2)  # (h, w, 4, 4)
    height, width = numbers.shape[:2]
    quarters = quarters.reshape(height, width, 2, 2, GRAINS).swapaxes(1, 2)
    return quarters.reshape(2 * height, 2 * width, GRAINS)


def noise_picture(numbers: np.ndarray, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Numbers (h, w, C) as a soft picture (H, W, C) whose standard deviation is 1."""
    height, width = shape[:2]
    pixel = -(-height // numbers.shape[0])
    large = numbers.repeat(pixel, 0).repeat(pixel, 1)[:height, :width].astype(np.float32)
    soft = blurred(large, sigma)
    return soft / soft.std((0, 1))


class Layer(NamedTuple):
    """Strokes of one size."""

    ground: np.ndarray  # (H, W, 3) the picture in CIELAB, averaged along the strokes
    strokes: np.ndarray  # (H, W, 2) in [-1, 1]; how light and warm they are, and how red


def layer(
    lab: np.ndarray,
    field: np.ndarray,
    numbers: np.ndarray,
    length: float,
    width: float,
    hardness: float,
) -> Layer:
    """Strokes for a picture in CIELAB (H, W, 3) along a field (H, W, 2).

    numbers : (h, w, 2), decide how light and how red the strokes are.
    """
    stack = np.concatenate([lab, noise_picture(numbers, lab.shape, width)], -1)
    averaged = along_curves(stack, field, length, blurred(lab, 1.5))
    ground, random = averaged[..., :3], averaged[..., 3:]
    return Layer(ground, np.tanh(hardness * random / random.std((0, 1))))


def paint(
    picture: np.ndarray,
    brush: Brush,
    palette: Palette,
    numbers: np.ndarray,
    faces: np.ndarray | None = None,
) -> np.ndarray:
    """A photograph, uint8 (H, W, 3), as a painting of the same shape.

    numbers : (H / 8, W / 8, 4), those of `grains`. The first two decide coarse strokes, the last
        one the whirls, and sums of all four the fine strokes and the traces of hairs.
    faces : (H, W) in [0, 1]; where it is 1, all strokes are fine.
    """
    lab = recoloured(rgb2lab(picture), palette, brush)
    field = directions(lab[..., 0], brush.swirl, brush.turn, numbers[..., 3])
    coarse, fine = (
        layer(lab, field, own[..., :2], length, width, brush.hardness)
        for own, length, width in zip((numbers, finer(numbers)), brush.lengths, brush.widths)
    )
    # fine strokes lie where coarse ones would lose what the picture shows
    lost = np.linalg.norm(blurred(lab, 1) - coarse.ground, axis=-1)
    low, high = DETAIL
    share = ((gaussian_filter(lost, 3) - low) / (high - low)).clip(0, 1)
    if faces is not None:
        share = np.maximum(share, faces)
    share = share[..., None]
    ground = coarse.ground + share * (fine.ground - coarse.ground)
    strokes = coarse.strokes + share * (brush.fine_jitter * fine.strokes - coarse.strokes)
    hairs = noise_picture(finer(finer(numbers))[..., :1], lab.shape, HAIR)
    traces = along_curves(hairs, field, brush.lengths[1], blurred(lab, 1.5))[..., 0]
    down, right = np.gradient(gaussian_filter(strokes[..., 0], 0.6))
    lit = np.tanh(-3 * (down + right))  # light falls from the upper left
    room = (np.minimum(ground[..., 0] - 5, 100 - ground[..., 0]) / NEAR_END).clip(0.25, 1)
    made = ground + room[..., None] * strokes[..., [0, 1, 0]] * brush.jitter
    made[..., 0] += room * (brush.relief * lit + brush.bristles * traces / traces.std())
    made[..., 0] -= outlines(lab[..., 0], brush.outline)
    # about the most vivid colours that a screen has at this lightness
    light = made[..., 0] = made[..., 0].clip(7, 94)
    most = np.minimum(1.1 * light, 1.6 * (102 - light) + 20)
    made[..., 1:] *= (most / (np.hypot(made[..., 1], made[..., 2]) + 1e-3)).clip(0, 1)[..., None]
    return to_rgb(made)
