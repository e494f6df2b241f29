"""Make three pictures of the README, with the weights that ship and the default settings.

From the root of the repository: PYTHONPATH=. python tests/make_readme_pictures.py

It takes some minutes and writes before_after.jpg, drawn.jpg and edges.jpg to docs/images.
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageOps

from sdkit import photos
from sdkit.cli import parser
from sdkit.files import ROOT
from sdkit.pictures.samples import SAMPLES

IMAGES = ROOT / "docs" / "images"
SENTENCES = [
    "a red house\nby the sea\nat night",
    "a yellow balloon\nin the mountains\nat dawn",
    "a blue boat\nby the sea\nat sunset",
    "a green tent\nin the snow\nby day",
    "an orange cat\nin the meadow\nby day",
    "a purple car\nin the city\nat sunset",
]
ALONG = [
    "a red house\nin the meadow\nby day",
    "a blue house\nin the snow\nat night",
    "a yellow house\nby the sea\nat sunset",
    "a pink house\nin the desert\nat dawn",
]
SIDE, GAP = 300, 6  # px


def made(*words: str) -> list[Image.Image]:
    """The pictures that a command writes, in the order of their making."""
    with tempfile.TemporaryDirectory() as folder:
        assert parser.main([*words, "--out", folder]) == 0
        paths = sorted(Path(folder).glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
        return [Image.open(path).convert("RGB") for path in paths]


def before_after() -> Image.Image:
    """The sample photographs above, and their paintings below, as squares."""
    befores = [photos.open_photo(name) for name in SAMPLES]
    afters = made("style", *SAMPLES, "--prompt", "van gogh")
    columns, step = len(befores), SIDE + GAP
    sheet = Image.new("RGB", (columns * step - GAP, 2 * step - GAP), "white")
    for row, images in enumerate((befores, afters)):
        for column, image in enumerate(images):
            # faces are in the upper half
            square = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.LANCZOS, centering=(0.5, 0))
            sheet.paste(square, (column * step, row * step))
    return sheet


def drawn() -> Image.Image:
    """Pictures of the sentences above, and the same in brush strokes below."""
    figure, axes = plt.subplots(2, len(SENTENCES), figsize=(11, 4.4), dpi=100)
    for row, (label, end) in enumerate((("as drawn", ""), ('", van gogh"', ", van gogh"))):
        for axis, sentence in zip(axes[row], SENTENCES):
            (image,) = made("draw", " ".join(sentence.split()) + end)
            axis.imshow(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
            axis.set(xticks=[], yticks=[])
            if not end:
                axis.set_title(sentence, fontsize=11)
        axes[row, 0].set_ylabel(label, fontsize=12)
    return as_picture(figure)


def sketch() -> Image.Image:
    """A drawing of a house before hills, in dark lines on white."""
    drawing = Image.new("RGB", (512, 512), "white")
    pen = ImageDraw.Draw(drawing)
    pen.line([(0, 330), (160, 300), (352, 324), (512, 300)], fill="black", width=8)
    pen.rectangle((300, 240, 460, 400), outline="black", width=8)
    pen.line([(284, 244), (380, 140), (476, 244)], fill="black", width=8)
    return drawing


def along_edges() -> Image.Image:
    """A sketch, and pictures of the sentences above along its lines."""
    figure, axes = plt.subplots(1, 1 + len(ALONG), figsize=(11, 3.3), dpi=100)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sketch.png"
        sketch().save(path)
        for axis, sentence in zip(axes, ["your lines", *ALONG]):
            (image,) = (
                [sketch()]
                if axis is axes[0]
                else made("draw", " ".join(sentence.split()), "--edges", str(path))
            )
            axis.imshow(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
            axis.set(xticks=[], yticks=[])
            axis.set_title(sentence, fontsize=11)
    return as_picture(figure)


def as_picture(figure: Figure) -> Image.Image:
    """A figure as an RGB picture."""
    figure.tight_layout(pad=0.4)
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")


def main() -> None:
    for make, name in ((before_after, "before_after"), (drawn, "drawn"), (along_edges, "edges")):
        make().save(IMAGES / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
