"""Paint a photograph with brush strokes that a program draws: what the painter learns from.

The strokes lie along the forms, in layers from coarse to fine; a finer layer paints only where the
picture still differs from the photograph. This is painterly rendering (Hertzmann 1998, "Painterly
rendering with curved brush strokes of multiple sizes"). Their direction comes from the structure
tensor (Kang et al. 2007, "Coherent line drawing", smooth it in a like way), and the colours move
towards those of a real painting (Reinhard et al. 2001, "Color transfer between images").

All that is random in a stroke comes from the noise that the denoiser starts from (`grains`). So
this noise decides where each stroke lies, and the denoiser can learn it. If the strokes were random
in another way, the best that it could predict would be their mean, which has no strokes.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.linalg import hadamard
from scipy.ndimage import gaussian_filter, sobel, zoom
from scipy.special import ndtr
from skimage.color import lab2rgb, rgb2lab

GRAIN = 8  # px; side of the squares in each of which four numbers of the noise decide the strokes
GRAINS = 4  # how many numbers
CHECKERS = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) / 2
WHIRL = 4  # grains; width over which whirls are averaged
FINER = 2  # strokes are drawn on a canvas so many times larger, so that their edges are smooth
POINTS = 4  # points of a stroke on each side of its middle
LEAVES_COLOUR = 14  # CIELAB distance at which a stroke ends, because another form begins there
SCALES = (3, 8, 24)  # px; widths over which the direction of strokes is averaged
LIGHTEST, DARKEST = 92, 14  # L* of white and black paint


@dataclass(frozen=True)
class Brush:
    """How strokes look. All colours are in CIELAB."""

    # widths in px, one layer each
    widths: tuple[float, ...] = (9, 5.5, 3.5)
    # the shortest and the longest stroke, in widths
    lengths: tuple[float, float] = (4, 8)
    # standard deviation of L*, a* and b* from stroke to stroke
    jitter: tuple[float, float, float] = (11, 8, 10)
    # the same in the finest layer, as a share of that
    fine_jitter: float = 0.4
    # by how much L* of a stroke's lit edge is higher, and of the other edge lower
    relief: float = 11
    # distance from the photograph from which on a layer paints; one number for each
    tolerances: tuple[float, ...] = (0, 7, 8)
    # share of the way to the lightness and to the colours of the painting
    lightness: float = 0.8
    palette: float = 0.8
    # factor of a* and b* after that
    vividness: float = 1.2
    # how strongly strokes whirl where the photograph has no direction
    swirl: float = 0.15
    # by how much L* of a drawn outline is lower
    outline: float = 0
    # how many rows of strokes each layer has in a grain
    rows: tuple[int, ...] = (1, 2, 2)


VAN_GOGH = Brush()
BRUSHES = {
    "van gogh": VAN_GOGH,
    "starry night": replace(VAN_GOGH, lengths=(6, 11), swirl=0.5, lightness=1, palette=1),
    "sunflowers": replace(VAN_GOGH, lengths=(2, 5), jitter=(9, 6, 9), lightness=1, palette=1),
    "wheatfield with crows": replace(VAN_GOGH, lengths=(3, 6), jitter=(14, 8, 12), palette=1),
    "a self-portrait of van gogh": replace(VAN_GOGH, lengths=(3, 6), palette=0.9),
    "impressionism": Brush(
        (9, 6, 3.5), (1.5, 3), (8, 6, 8), relief=5, tolerances=(0, 6, 7), vividness=1.1, swirl=0.4
    ),
    "oil painting": Brush(
        (10, 5, 3), (2, 5), (2.5, 2, 3), relief=2.5, tolerances=(0, 4, 4), vividness=1
    ),
    "ukiyo-e": Brush(
        (14, 7, 3.5), (3, 6), (0.8, 0.5, 0.8), relief=0, tolerances=(0, 7, 8), lightness=1,
        palette=1, vividness=1, outline=45,
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
    return x


def blurred(x: np.ndarray, sigma: float) -> np.ndarray:
    """Each channel of (H, W, C) blurred on its own."""
    return gaussian_filter(x, (sigma, sigma, 0), truncate=2.5)


def directions(lightness: np.ndarray, swirl: float, numbers: np.ndarray) -> np.ndarray:
    """Unit vectors (H, W, 2), x and y, along which L* (H, W) changes least.

    Where it has no direction, whirls take over. The ``numbers`` (rows, columns) decide them.
    """
    soft = gaussian_filter(lightness / 100, 1.5)
    dx, dy = sobel(soft, 1), sobel(soft, 0)
    tensor = np.stack([dx * dx - dy * dy, 2 * dx * dy, dx * dx + dy * dy], -1)
    along = across = 0.0
    for sigma in SCALES:
        one, other, energy = np.moveaxis(blurred(tensor, sigma), -1, 0)
        weight = energy / (energy + 1e-5) / (energy + 4e-4)
        along, across = along + weight * one, across + weight * other
    height, width = lightness.shape
    # the mean over many numbers is small: make its standard deviation 1 again (in the plane,
    # a Gaussian of width w shrinks that of white noise by 2 sqrt(pi) w)
    coarse = gaussian_filter(numbers, WHIRL, mode="wrap") * 2 * np.sqrt(np.pi) * WHIRL
    whirl = zoom(coarse * 2.4, GRAIN, order=1)[:height, :width]
    along = along / len(SCALES) - swirl * np.cos(whirl)
    across = across / len(SCALES) - swirl * np.sin(whirl)
    angle = np.arctan2(across, along) / 2 + np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def at(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of (H, W, ...) at points (..., 2) in px; points outside count as the nearest edge."""
    columns, rows = (points.astype(int).clip(0, (x.shape[1] - 1, x.shape[0] - 1))).T
    return x[rows.T, columns.T]


def paths(
    middles: np.ndarray, half_lengths: np.ndarray, field: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Curves (N, 2 POINTS + 1, 2) through points (N, 2) along a field of directions.

    They end where ``colours`` (H, W, 3) leave those of the middle.
    """
    wanted, sides = at(colours, middles), []
    for sign in (-1, 1):
        here, before, side = middles, None, []
        moves = np.ones((len(middles), 1), bool)
        for _ in range(POINTS):
            way = at(field, here)
            turn = sign if before is None else np.where((way * before).sum(1) < 0, -1, 1)[:, None]
            before = way * turn
            then = here + before * half_lengths[:, None] / POINTS
            distance = np.linalg.norm(at(colours, then) - wanted, axis=1, keepdims=True)
            moves &= distance < LEAVES_COLOUR
            here = np.where(moves, then, here)
            side.append(here)
        sides.append(side)
    return np.stack([*sides[0][::-1], middles, *sides[1]], 1)


def shapes(curves: np.ndarray, radius: float) -> np.ndarray:
    """Outlines (N, K, 2) of strokes along curves (N, M, 2) with round ends."""
    tangents = np.gradient(curves, axis=1)
    lengths = np.linalg.norm(tangents, axis=-1, keepdims=True)
    tangents = np.where(lengths > 1e-3, tangents / (lengths + 1e-9), np.array([1.0, 0.0]))
    normals = np.stack([-tangents[..., 1], tangents[..., 0]], -1)

    def end(k: int, sign: int) -> np.ndarray:
        angles = np.pi * np.arange(1, 4) / 4
        along, across = tangents[:, k, None], normals[:, k, None]
        arc = np.cos(angles)[:, None] * across + np.sin(angles)[:, None] * along
        return curves[:, k, None] + sign * radius * arc

    left, right = curves + radius * normals, (curves - radius * normals)[:, ::-1]
    return np.concatenate([left, end(-1, 1), right, end(0, -1)], 1)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """CIELAB (..., 3) to uint8 RGB. Colours that no screen has become the nearest of theirs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB", UserWarning)
        return (lab2rgb(lab) * 255).round().astype(np.uint8)


def rgb_of(lab: np.ndarray) -> list[tuple[int, ...]]:
    """Colours in CIELAB (N, 3) as a list of RGB tuples."""
    return [*map(tuple, to_rgb(lab.clip((2, -90, -90), (97, 90, 90))[None])[0].tolist())]


def draw_strokes(
    canvas: Image.Image, curves: np.ndarray, width: float, colours: np.ndarray, relief: float
) -> None:
    """Draw strokes of a width in px along curves (N, M, 2) onto a PIL picture, the first first."""
    count, width = len(curves), width * FINER * 0.8
    offset = max(1.0, width / 6)
    draw = ImageDraw.Draw(canvas)
    curves = curves * FINER
    outlines = shapes(curves, width / 2)
    under, over, edges = (
        one.reshape(count, -1).tolist() for one in (outlines + offset, outlines, curves - offset)
    )
    plain, lit, dark = (rgb_of(colours + [change, 0, 0]) for change in (0, relief, -relief))
    for k in range(count):
        if relief:
            draw.polygon(under[k], fill=dark[k])
        draw.polygon(over[k], fill=plain[k])
        if relief:
            draw.line(edges[k], fill=lit[k], width=max(1, round(width / 4)))


def with_outlines(lab: np.ndarray, strength: float) -> np.ndarray:
    """A picture in CIELAB (H, W, 3) with dark lines along its edges (Winnemoller et al. 2012)."""
    light = lab[..., 0]
    edges = gaussian_filter(light, 2.2) - gaussian_filter(light, 1.2)
    lines = np.tanh(gaussian_filter(np.maximum(edges - 1.0, 0), 0.7))
    return lab - strength * lines[..., None] * np.array([1, 0, 0])


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


def numbers_of_strokes(numbers: np.ndarray, rows: int) -> np.ndarray:
    """Four numbers (rows h, rows w, 4) for each stroke of a layer, from those of grains (h, w, 4).

    With two rows a grain has four strokes. Each gets other sums of the grain's numbers (a Hadamard
    matrix), which are as independent as the numbers themselves.
    """
    if rows == 1:
        return numbers
    sums = numbers @ hadamard(GRAINS) / 2
    parts = np.stack([np.roll(sums, k, -1) for k in range(rows**2)], 2)  # (h, w, 4, 4)
    height, width = numbers.shape[:2]
    parts = parts.reshape(height, width, rows, rows, GRAINS).swapaxes(1, 2)
    return parts.reshape(height * rows, width * rows, GRAINS)


def paint(picture: np.ndarray, brush: Brush, palette: Palette, numbers: np.ndarray) -> np.ndarray:
    """A photograph, uint8 (H, W, 3), as a painting of the same shape.

    numbers : (H / 8, W / 8, 4), those of `grains`. The first three decide the colours and places of
        the strokes, the last one their lengths, their order and the whirls.
    """
    lab = recoloured(rgb2lab(picture), palette, brush)
    height, width = picture.shape[:2]
    field = directions(lab[..., 0], brush.swirl, numbers[..., 3])
    ground = rgb_of(lab.mean((0, 1))[None] - [12, 0, 0])[0]
    canvas = Image.new("RGB", (width * FINER, height * FINER), ground)
    for layer, (thickness, rows) in enumerate(zip(brush.widths, brush.rows)):
        wanted, spacing = blurred(lab, thickness / 3), GRAIN / rows
        own = numbers_of_strokes(numbers, rows)
        y, x = (np.mgrid[: own.shape[0], : own.shape[1]] + 0.5) * spacing
        own = own.reshape(-1, GRAINS)
        own = own[order := np.argsort(own[:, 3], kind="stable")]
        places = np.stack([x, y], -1).reshape(-1, 2)[order]
        middles = places + own[:, 1:3].clip(-1.5, 1.5) * spacing * 0.3
        middles = middles.clip(0, (width - 1, height - 1))
        if layer:
            so_far = rgb2lab(np.asarray(canvas.reduce(FINER)))
            error = np.linalg.norm(so_far - wanted, axis=-1)
            error = gaussian_filter(error, thickness / 2, truncate=2.5)
            needed = at(error, middles) > brush.tolerances[layer]
            own, middles = own[needed], middles[needed]
        if not len(middles):
            continue
        low, high = brush.lengths
        half_lengths = (low + (high - low) * ndtr(own[:, 3])) * thickness / 2
        curves = paths(middles, half_lengths, field, wanted)
        share = brush.fine_jitter if layer == len(brush.widths) - 1 else 1.0
        jitter = share * own[:, :3] * brush.jitter
        draw_strokes(canvas, curves, thickness, at(wanted, middles) + jitter, brush.relief)
    made = np.asarray(canvas.reduce(FINER))
    if brush.outline:
        lines = with_outlines(np.stack([lab[..., 0]] * 3, -1), brush.outline)[..., 0] - lab[..., 0]
        shaded = rgb2lab(made)
        shaded[..., 0] = (shaded[..., 0] + lines).clip(4, 97)
        made = to_rgb(shaded)
    return made
