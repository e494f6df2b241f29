"""Figures with one look: pictures and arrays in, `Figure` or `Axes` out; nothing here loads a model.

Colours are those of Okabe & Ito (2008), which people with any common colour vision can tell apart; curves differ
in marker and dash as well. A figure is stored as JPEG (an eighth of the PNG for photographs) with its alt text.
"""

import base64
import io
from dataclasses import asdict, is_dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from sdkit.errors import SdkitError

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

# What a paper would print under a result: key in the settings, heading in the table.
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


def figure(columns=1, width=WIDTH, height=3.0):
    """A figure of `width` x `height` inches with `columns` axes side by side: (Figure, list of Axes).

    Made without pyplot, so a notebook does not show it by itself: end with ``plots.show(fig, alt=...)``.
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        return fig, list(fig.subplots(1, columns, squeeze=False)[0])


def curve(ax, x, y, label=None, series=0):
    """Draw `y` over `x` on `ax` and return `ax`.

    `y` is (len(x),), or (repeats, len(x)): the line is their mean, the band their range.
    `series` picks colour, marker and dash together.
    """
    y = np.atleast_2d(np.asarray(y, dtype=float))
    if y.shape[1] != len(x):
        raise SdkitError(
            f"The curve has {len(x)} x values but {y.shape[1]} y values: give one y for each x."
        )
    look = {"color": COLOURS[series % len(COLOURS)], "marker": MARKERS[series % len(MARKERS)]}
    ax.plot(x, y.mean(axis=0), ls=DASHES[series % len(DASHES)], label=label, **look)
    if len(y) > 1:
        ax.fill_between(x, y.min(axis=0), y.max(axis=0), color=look["color"], alpha=0.15, lw=0)
    if label:
        with matplotlib.rc_context(STYLE):
            ax.legend()
    return ax


def heatmap(ax, values, rows=(), columns=(), digits=None, **look):
    """Draw `values` (R, C) as an image on `ax`, dark where they are large, and return `ax`.

    rows, columns : their labels; digits : decimals with which each value is written into its square, None for none.
    look : of ``Axes.imshow``, as in vmin, vmax.
    """
    values = np.asarray(values, dtype=float)
    image = ax.imshow(values, **{"cmap": "Blues", "aspect": "auto", **look})
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


def show_grid(images, titles=None, columns=None, row_titles=None, settings=None, panel=2.4):
    """Pictures in rows of `columns`, each with its title, and the parameter table underneath: a Figure.

    images : list of PIL images or (H, W[, 3]) arrays; their aspect is kept.
    titles : one a picture, of one line or more; None or "" leaves a picture without, and so does a list that ends early.
    row_titles : one a row, written upwards at its left.
    settings : what made the pictures: a dataclass or dict, or a list of them for one table row each.
    panel : tallest a picture gets, in inches.
    """
    if not images:
        raise SdkitError("There are no pictures to show: the list is empty.")
    columns = columns or min(len(images), 4)
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    titles = [t or "" for t in titles or []] + [""] * (len(images) - len(titles or []))
    heads = [
        max(
            TITLE * (1 + 0.6 * title.count("\n")) * (title > "")
            for title in titles[i : i + columns]
        )
        for i in range(0, len(images), columns)
    ]
    table = _records(settings)
    foot = TABLE_ROW * (len(table) + 1) + 2 * GAP if table else 0
    left = ROW_TITLE if row_titles else 0
    # All cells are equally high; a column is as wide as its widest picture.
    shares = [
        max(_width_over_height(row[c]) for row in rows if c < len(row)) for c in range(len(rows[0]))
    ]
    high = min(panel, (WIDTH - left - GAP * (columns - 1)) / sum(shares))
    longest = max((len(line) for title in titles for line in title.split("\n")), default=0)
    points = (
        max(6.5, min(9.5, 72 * (high * min(shares) + GAP) / (0.56 * longest))) if longest else 9.5
    )
    block = left + high * sum(shares) + GAP * (len(shares) - 1)
    width = max(block, 5.2 if table else 0)
    height = len(rows) * (high + GAP) + sum(heads) + foot
    fig = Figure(figsize=(width, height), dpi=DPI)
    top = height
    for r, row in enumerate(rows):
        top -= heads[r] + high
        x = (width - block) / 2 + left
        for c, image in enumerate(row):
            ratio = _width_over_height(image)
            w = min(high * ratio, high * shares[c])
            h = w / ratio
            ax = fig.add_axes(
                [
                    (x + (high * shares[c] - w) / 2) / width,
                    (top + (high - h) / 2) / height,
                    w / width,
                    h / height,
                ]
            )
            ax.imshow(np.asarray(image), cmap="gray", aspect="auto")
            ax.set_axis_off()
            ax.set_title(titles[r * columns + c], fontsize=points, pad=3)
            x += high * shares[c] + GAP
        if row_titles:
            fig.text(
                (width - block + left) / 2 / width,
                (top + high / 2) / height,
                row_titles[r],
                rotation=90,
                ha="center",
                va="center",
                fontsize=9.5,
            )
        top -= GAP
    if table:
        parameter_table(fig.add_axes([0, 0, 1, (foot - GAP) / height]), table)
    return fig


def before_after(befores, afters, settings=None, titles=None):
    """Photographs above, what became of them below, and the parameter table under both: a Figure."""
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
        fill = [np.full((8, 8, 3), 255, np.uint8)] * (columns - len(befores[i : i + columns]))
        images += [*befores[i : i + columns], *fill, *afters[i : i + columns], *fill]
        rows += ["before", "after"]
    heads = []
    for i in range(0, len(titles or []), columns):
        heads += [*titles[i : i + columns], *[""] * (2 * columns - len(titles[i : i + columns]))]
    return show_grid(images, heads, columns, rows, settings)


def parameters(settings, model, **changes):
    """A row of the parameter table: `settings` (dataclass or dict) with the model's name, some values replaced.

    ``parameters(settings, "mini-sd", strength="0.1 to 0.9")`` describes a row of pictures in one line.
    """
    return {"model": str(model), **_records(settings)[0], **changes}


def parameter_table(ax, settings):
    """Write `settings` (dataclass, dict, or a list of them) on `ax` as a paper sets a table; returns `ax`."""
    records = _records(settings)
    keys = [key for key in COLUMNS if any(record.get(key) not in (None, "") for record in records)]
    keys += [key for key in records[0] if key not in COLUMNS]
    cells = [[COLUMNS.get(key, key) for key in keys]]
    cells += [[_text(record.get(key, "")) for key in keys] for record in records]
    widths = np.array([max(len(line[k]) for line in cells) + 3 for k in range(len(keys))], float)
    edges = np.concatenate([[0], np.cumsum(widths)]) / widths.sum()
    letters = 13.5 * ax.figure.get_figwidth()  # that fit at 9 points
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
    for y, weight in ((0, 1.2), (n - 1, 0.6), (n, 1.2)):  # rules above, under the head, below
        ax.axhline(y, color="black", lw=weight)
    ax.set(xlim=(0, 1), ylim=(-0.05, n + 0.05))
    ax.set_axis_off()
    return ax


def jpeg(picture, quality=85):
    """A Figure, PIL image or array as JPEG bytes, without any metadata of the picture."""
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
        from PIL import Image

        image = Image.fromarray(np.asarray(picture)).convert("RGB")
        image.save(buffer, format="jpeg", quality=quality, optimize=True)
    return buffer.getvalue()


def show(picture, alt):
    """Display a Figure (or a picture) in the notebook as JPEG with its alt text, for those who cannot see it.

    The alt text stands in the output's metadata, whence an HTML export takes it, and in its plain-text form.
    """
    if not isinstance(alt, str) or len(alt.split()) < 3:
        raise SdkitError(
            "Every figure needs alt text of at least three words: say what one sees, as in "
            "show(fig, alt='A portrait before and after')."
        )
    from IPython.display import display

    data = {
        "image/jpeg": base64.b64encode(jpeg(picture)).decode("ascii"),
        "text/plain": f"[figure: {alt}]",
    }
    display(data, metadata={"image/jpeg": {"alt": alt}}, raw=True)


def _width_over_height(image):
    height, width = np.asarray(image).shape[:2]
    return width / height


def _records(settings):
    """One dict for each row of the table."""
    if settings is None:
        return []
    rows = settings if isinstance(settings, (list, tuple)) else [settings]
    return [asdict(row) if is_dataclass(row) else dict(row) for row in rows]


def _text(value):
    """A table cell: floats to three significant digits, the rest as they are."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
