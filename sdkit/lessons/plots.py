"""Figures in one style, made from pictures and arrays. Nothing here loads a model.

The colours are those of Okabe & Ito (2008): people with any common type of colour vision can tell
them apart. Curves also differ in their markers and dashes. A notebook stores a figure as a JPEG
with its alt text. For photographs this takes an eighth of a PNG.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from sdkit.errors import SdkitError
from sdkit.language import translate

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
}
DPI = 100
WIDTH = 8.8  # inches, the text width of a notebook page
GAP, TITLE, ROW_TITLE, TABLE_ROW = 0.07, 0.26, 0.3, 0.23  # inches

Picture = Image.Image | np.ndarray  # an array is (H, W) or (H, W, 3)

# The parameter table: for each key of the settings the heading of its column.
COLUMNS = {
    "model": "model",
    "prompt": "prompt",
    "negative_prompt": "negative prompt",
    "strength": "strength",
    "guidance_scale": "guidance scale",
    "num_inference_steps": "steps",
    "seed": "seed",
    "size": "short side (px)",
}


def figure(
    columns: int = 1, width: float = WIDTH, height: float = 3.0
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` x `height` inches with `columns` axes side by side: (figure, axes).

    It is made without pyplot, so a notebook does not show it by itself. Call
    ``plots.show(fig, alt=...)`` at the end.
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        return fig, list(fig.subplots(1, columns, squeeze=False)[0])


def curve(ax: Axes, x: Sequence[float], y: Any, label: str | None = None, series: int = 0) -> Axes:
    """Draw `y` over `x` on `ax` and return `ax`.

    `y` is (n,) or (repeats, n) for n = len(x). Of several repeats, the line is the mean and the
    band the range. `series` 0, 1, 2, ... sets colour, marker and dash. Raises `SdkitError` if the
    lengths differ.
    """
    y = np.atleast_2d(np.asarray(y, dtype=float))
    if y.shape[1] != len(x):
        raise SdkitError(
            f"The curve has {len(x)} x values but {y.shape[1]} y values: give one y for each x."
        )
    colour, marker = COLOURS[series % len(COLOURS)], MARKERS[series % len(MARKERS)]
    dash = DASHES[series % len(DASHES)]
    ax.plot(x, y.mean(axis=0), ls=dash, color=colour, marker=marker, label=label)
    if len(y) > 1:
        ax.fill_between(x, y.min(axis=0), y.max(axis=0), color=colour, alpha=0.15, lw=0)
    if label:
        with matplotlib.rc_context(STYLE):
            ax.legend()
    return ax


def heatmap(
    ax: Axes,
    values: Any,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    digits: int | None = None,
    **options: Any,
) -> Axes:
    """Draw `values` (R, C) as coloured squares on `ax`, dark where they are large; returns `ax`.

    rows, columns : labels of the rows and columns.
    digits : write each value into its square with so many decimals; None writes nothing.
    options : further arguments of ``Axes.imshow``, such as vmin and vmax.
    """
    values = np.asarray(values, dtype=float)
    image = ax.imshow(values, **{"cmap": "Blues", "aspect": "auto", **options})
    ax.grid(False)
    ax.set_xticks(range(len(columns)), columns, rotation=90)
    ax.set_yticks(range(len(rows)), rows)
    if digits is not None:
        for (r, c), value in np.ndenumerate(values):
            ax.text(
                c,
                r,
                f"{round(value, digits) + 0.0:.{digits}f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if image.norm(value) > 0.6 else "black",
            )
    return ax


def show_grid(
    images: Sequence[Picture],
    titles: Sequence[str | None] | None = None,
    columns: int | None = None,
    row_titles: Sequence[str] | None = None,
    settings: Any = None,
    panel: float = 2.4,
) -> Figure:
    """Pictures in a grid, each with its title, and a parameter table below.

    images : PIL pictures or arrays (H, W) or (H, W, 3); their aspect ratio is kept.
    titles : one for each picture, of one line or more. None or "" means no title; a short list
        leaves the last pictures without one.
    columns : pictures in a row; at most 4 by default.
    row_titles : one for each row, written vertically at its left.
    settings : what made the pictures, for the table: a dataclass or dictionary, or a list of them
        with one for each row of the table.
    panel : the largest height of a picture in inches.

    Raises `SdkitError` if there are no pictures.
    """
    if not images:
        raise SdkitError("There are no pictures to show: the list is empty.")
    columns = columns or min(len(images), 4)
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    titles = [t or "" for t in titles or []] + [""] * (len(images) - len(titles or []))
    title_heights = [
        max(
            TITLE * (1 + 0.6 * title.count("\n")) * (title > "")
            for title in titles[i : i + columns]
        )
        for i in range(0, len(images), columns)
    ]
    table = _records(settings)
    table_height = TABLE_ROW * (len(table) + 1) + 2 * GAP if table else 0
    left = ROW_TITLE if row_titles else 0
    # All cells have the same height, `high`. A column is as wide as its widest picture.
    ratios = [
        max(_width_over_height(row[c]) for row in rows if c < len(row)) for c in range(len(rows[0]))
    ]
    high = min(panel, (WIDTH - left - GAP * (columns - 1)) / sum(ratios))
    longest = max((len(line) for title in titles for line in title.split("\n")), default=0)
    font_size = (
        max(6.5, min(9.5, 72 * (high * min(ratios) + GAP) / (0.56 * longest))) if longest else 9.5
    )
    grid_width = left + high * sum(ratios) + GAP * (len(ratios) - 1)
    width = max(grid_width, 5.2 if table else 0)
    height = len(rows) * (high + GAP) + sum(title_heights) + table_height
    fig = Figure(figsize=(width, height), dpi=DPI)
    top = height
    for r, row in enumerate(rows):
        top -= title_heights[r] + high
        x = (width - grid_width) / 2 + left
        for c, image in enumerate(row):
            ratio = _width_over_height(image)
            w = min(high * ratio, high * ratios[c])
            h = w / ratio
            ax = fig.add_axes(
                [
                    (x + (high * ratios[c] - w) / 2) / width,
                    (top + (high - h) / 2) / height,
                    w / width,
                    h / height,
                ]
            )
            ax.imshow(np.asarray(image), cmap="gray", aspect="auto")
            ax.set_axis_off()
            ax.set_title(titles[r * columns + c], fontsize=font_size, pad=3)
            x += high * ratios[c] + GAP
        if row_titles:
            fig.text(
                (width - grid_width + left) / 2 / width,
                (top + high / 2) / height,
                row_titles[r],
                rotation=90,
                ha="center",
                va="center",
                fontsize=9.5,
            )
        top -= GAP
    if table:
        parameter_table(fig.add_axes([0, 0, 1, (table_height - GAP) / height]), table)
    return fig


def before_after(
    befores: Sequence[Picture],
    afters: Sequence[Picture],
    settings: Any = None,
    titles: Sequence[str | None] | None = None,
) -> Figure:
    """Each picture above its new version, and a parameter table below; see `show_grid`.

    A single pair stands side by side. Raises `SdkitError` if the numbers of pictures differ.
    """
    if len(befores) != len(afters):
        raise SdkitError(
            f"{len(befores)} pictures before but {len(afters)} after: give one for each."
        )
    if len(befores) == 1:
        return show_grid(
            [befores[0], afters[0]], ["before", "after"], 2, settings=settings, panel=3.2
        )
    columns = min(len(befores), 5)
    images, rows = [], []
    for i in range(0, len(befores), columns):
        # white pictures fill the last row
        fill = [np.full((8, 8, 3), 255, np.uint8)] * (columns - len(befores[i : i + columns]))
        images += [*befores[i : i + columns], *fill, *afters[i : i + columns], *fill]
        rows += ["before", "after"]
    grid_titles = []  # above the row of "before" only
    titles = titles or []
    for i in range(0, len(titles), columns):
        some = titles[i : i + columns]
        grid_titles += [*some, *[""] * (2 * columns - len(some))]
    return show_grid(images, grid_titles, columns, rows, settings)


def parameters(settings: Any, model: str, **changes: Any) -> dict[str, Any]:
    """A row of the parameter table: the model's name and `settings`, with `changes`.

    `settings` is a dataclass or a dictionary. ``parameters(settings, "mini-sd", strength="0.1 to
    0.9")`` describes a whole row of pictures.
    """
    return {"model": str(model), **_records(settings)[0], **changes}


def parameter_table(ax: Axes, settings: Any) -> Axes:
    """Write `settings` on `ax` as a table with three horizontal rules; returns `ax`.

    `settings` is a dataclass or a dictionary, or a list of them with one for each row.
    """
    records = _records(settings)
    keys = [key for key in COLUMNS if any(record.get(key) not in (None, "") for record in records)]
    keys += [key for key in records[0] if key not in COLUMNS]
    cells = [[translate(COLUMNS.get(key, key)) for key in keys]]
    cells += [[_text(record.get(key, "")) for key in keys] for record in records]
    widths = np.array([max(len(line[k]) for line in cells) + 3 for k in range(len(keys))], float)
    edges = np.concatenate([[0], np.cumsum(widths)]) / widths.sum()
    letters = 13.5 * ax.figure.get_figwidth()  # how many fit into the width at 9 points
    size = 9 * min(1, letters / widths.sum())
    n = len(cells)
    for i, line in enumerate(cells):
        for k, cell in enumerate(line):
            ax.text(
                (edges[k] + edges[k + 1]) / 2,
                n - i - 0.5,
                cell,
                ha="center",
                va="center",
                fontsize=size,
                parse_math=False,
            )
    for y, weight in ((0, 1.2), (n - 1, 0.6), (n, 1.2)):  # rules: bottom, under the head, top
        ax.axhline(y, color="black", lw=weight)
    ax.set(xlim=(0, 1), ylim=(-0.05, n + 0.05))
    ax.set_axis_off()
    return ax


def jpeg(picture: Figure | Picture, quality: int = 85) -> bytes:
    """A figure, PIL picture or array as the bytes of a JPEG, without metadata of the picture."""
    buffer = io.BytesIO()
    if isinstance(picture, Figure):
        with matplotlib.rc_context(STYLE):
            picture.savefig(
                buffer,
                format="jpeg",
                dpi=DPI,
                facecolor="white",
                pil_kwargs={"quality": quality, "optimize": True},
            )
    else:
        image = Image.fromarray(np.asarray(picture)).convert("RGB")
        image.save(buffer, format="jpeg", quality=quality, optimize=True)
    return buffer.getvalue()


def show(picture: Figure | Picture, alt: str) -> None:
    """Display a figure or a picture in the notebook as a JPEG, with alt text for blind readers.

    The alt text is stored in the output's metadata, where an HTML export finds it, and in the
    output's plain text. Raises `SdkitError` if it has fewer than three words.
    """
    if not isinstance(alt, str) or len(alt.split()) < 3:
        raise SdkitError(
            "Every figure needs alt text of at least three words. Say what it shows, for example "
            "show(fig, alt='A portrait before and after')."
        )
    from IPython.display import display

    data = {
        "image/jpeg": base64.b64encode(jpeg(picture)).decode("ascii"),
        "text/plain": f"[figure: {alt}]",
    }
    display(data, metadata={"image/jpeg": {"alt": alt}}, raw=True)


def _width_over_height(image: Picture) -> float:
    height, width = np.asarray(image).shape[:2]
    return width / height


def _records(settings: Any) -> list[dict[str, Any]]:
    """Settings as `parameter_table` takes them -> one dictionary for each row of the table."""
    if settings is None:
        return []
    rows = settings if isinstance(settings, (list, tuple)) else [settings]
    return [
        asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)
        for row in rows
    ]


def _text(value: object) -> str:
    """The text of a table cell: floats have three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
