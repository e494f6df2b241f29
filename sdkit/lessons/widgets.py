"""Things to touch: a slider over frames that were computed before, so it answers at once and without a model."""

import ipywidgets
import numpy as np
from IPython.display import display

from sdkit.errors import SdkitError
from sdkit.lessons import plots

SMALLEST = 256  # px on the page; smaller frames are enlarged to it
VIEW = "application/vnd.jupyter.widget-view+json"


def put(box, sentence):
    """Display a widget with a `sentence` for where no kernel runs; its own plain text would hold bytes of a picture."""
    display({VIEW: box._repr_mimebundle_()[VIEW], "text/plain": sentence}, raw=True)


def frames_slider(frames, description, alt, start=None, keep=True, columns=None, settings=None):
    """A slider that leafs through `frames`, and the same frames as a still strip for where no kernel runs.

    frames : dict from label (text or number) to PIL image or array.
    description : what the slider turns, as in "strength".
    alt : what the frames show, in words.
    start : label to begin with; the middle one if None.
    keep : store the strip in the notebook file. False for pictures of people who did not agree to that: the
        frames then live in the kernel's memory only, and the file keeps nothing but a sentence.
    columns : frames a row in the strip.
    settings : what made the frames, for a parameter table under the strip (see `plots.show_grid`).

    Returns the slider box (an `ipywidgets.VBox`), already displayed.
    """
    if not frames:
        raise SdkitError("The slider has no frames: give a dict from label to picture.")
    labels = list(frames)
    if start is not None and start not in labels:
        raise SdkitError(
            f"The slider has no frame {start!r}: choose one of {', '.join(map(str, labels))}."
        )
    data = [plots.jpeg(frames[label]) for label in labels]
    slider = ipywidgets.IntSlider(
        value=len(labels) // 2 if start is None else labels.index(start),
        min=0,
        max=len(labels) - 1,
        description=description,
        readout=False,
        style={"description_width": "initial"},
    )
    wide = max(np.asarray(frame).shape[1] for frame in frames.values())
    image = ipywidgets.Image(
        format="jpeg",
        layout={
            "width": f"{max(wide, SMALLEST)}px",
            "max_width": "100%",
            # a box would stretch it
            "align_self": "flex-start",
        },
    )
    text = ipywidgets.Label()

    def turn(_=None):
        image.value = data[slider.value]
        text.value = f"{description} {labels[slider.value]}"

    slider.observe(turn, names="value")
    turn()
    box = ipywidgets.VBox([ipywidgets.HBox([slider, text]), image])
    place = "the same frames stand below" if keep else "its frames are not stored in this file"
    put(box, f"[slider over {len(labels)} frames, {description}: run the cell to move it; {place}]")
    if keep:
        titles = [f"{description} {labels[0]}", *map(str, labels[1:])]
        strip = plots.show_grid(
            list(frames.values()),
            titles,
            columns or min(len(labels), 6),
            settings=settings,
            panel=2.1,
        )
        plots.show(
            strip, alt=f"{alt} Frames for {description} " + ", ".join(map(str, labels)) + "."
        )
    return box
