"""Widgets of the lessons: sliders over pictures, a picture while it is painted, and photographs.

The slider's pictures were computed before, so it needs no model.
"""

import contextlib
import html
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from sdkit import progress
from sdkit.errors import SdkitError
from sdkit.language import translate
from sdkit.lessons import plots
from sdkit.pictures import photos

SMALLEST = 256  # px on the page; smaller frames are enlarged to it
VIEW = "application/vnd.jupyter.widget-view+json"


class Picture(anywidget.AnyWidget):
    """A picture with alt text, which the picture of ipywidgets does not have.

    value : the bytes of a picture file. alt : what it shows. width, height : px on the page; 0
        means as large as it is.
    """

    _esm = """
    function render({ model, el }) {
      const image = document.createElement("img");
      image.style.maxWidth = "100%";
      image.style.display = "block";
      let url = null;
      const show = () => {
        if (url) URL.revokeObjectURL(url);
        url = URL.createObjectURL(new Blob([model.get("value")]));
        image.src = url;
      };
      const tell = () => {
        image.alt = model.get("alt");
        for (const side of ["width", "height"]) {
          image.style[side] = model.get(side) ? `${model.get(side)}px` : "auto";
        }
      };
      model.on("change:value", show);
      model.on("change:alt", tell);
      show();
      tell();
      el.append(image);
      return () => URL.revokeObjectURL(url);
    }
    export default { render };
    """
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)
    height = traitlets.Int(0).tag(sync=True)


class FrameSlider(anywidget.AnyWidget):
    """A slider whose handle tells a screen reader the name of the frame, not its number.

    The slider of ipywidgets has no place for a name. labels : the names of the frames. value : the
    number of the frame that is shown. description : what the slider changes.
    """

    _esm = """
    function render({ model, el }) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      const name = document.createElement("span");
      input.type = "range";
      input.min = 0;
      input.step = 1;
      input.style.verticalAlign = "middle";
      input.style.margin = "0 0.75em";
      name.className = "frame-name";
      const tell = () => {
        const labels = model.get("labels");
        const shown = `${model.get("description")} ${labels[model.get("value")]}`;
        input.max = labels.length - 1;
        input.value = model.get("value");
        input.setAttribute("aria-valuetext", labels[model.get("value")]);
        name.textContent = shown;
      };
      input.addEventListener("input", () => {
        model.set("value", Number(input.value));
        model.save_changes();
        tell();
      });
      model.on("change:value change:labels change:description", tell);
      label.append(model.get("description"), input);
      name.setAttribute("aria-hidden", "true");
      el.append(label, name);
      // otherwise JupyterLab takes the arrow keys for itself
      el.addEventListener("keydown", (event) => event.stopPropagation());
      tell();
    }
    export default { render };
    """
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    value = traitlets.Int(0).tag(sync=True)


def display_with_text(box: ipywidgets.Widget, sentence: str) -> None:
    """Display a widget, with a `sentence` as its text for pages where no kernel runs.

    A widget's own text would contain bytes of its pictures.
    """
    data = box._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data  # a widget of anywidget adds metadata
    display({VIEW: data[VIEW], "text/plain": sentence}, raw=True)


def frames_slider(
    frames: dict[Any, plots.Picture],
    description: str,
    alt: str,
    start: Any = None,
    keep: bool = True,
    columns: int | None = None,
    settings: Any = None,
) -> ipywidgets.VBox:
    """Display a slider that shows one of `frames` at a time, and all frames as a static strip.

    The strip is for pages where no kernel runs.

    frames : dictionary from label (text or number) to PIL picture or array.
    description : what the slider changes, for example "strength".
    alt : alt text: what the frames show.
    start : the first label to show; None means the middle one.
    keep : whether to store the strip in the notebook file. Choose False for pictures of people who
        did not agree to that: then the frames stay in the kernel's memory, and the file keeps only
        a sentence.
    columns : frames in a row of the strip; at most 6 by default.
    settings : what made the frames, for a parameter table (see `plots.show_grid`).

    Returns the displayed box. Raises `SdkitError` if there are no frames or no frame `start`.
    """
    if not frames:
        raise SdkitError("The slider has no frames: give a dict from label to picture.")
    labels = list(frames)
    if start is not None and start not in labels:
        raise SdkitError(
            f"The slider has no frame {start!r}: choose one of {', '.join(map(str, labels))}."
        )
    data = [plots.jpeg(frames[label]) for label in labels]
    slider = FrameSlider(
        value=len(labels) // 2 if start is None else labels.index(start),
        labels=[str(label) for label in labels],
        description=description,
    )
    wide = max(np.asarray(frame).shape[1] for frame in frames.values())
    image = Picture(width=max(wide, SMALLEST))

    def turn(_: object = None) -> None:
        image.alt = f"{alt} This frame: {description} {labels[slider.value]}."
        image.value = data[slider.value]

    slider.observe(turn, names="value")
    turn()
    box = ipywidgets.VBox([slider, image])
    place = "the same frames stand below" if keep else "its frames are not stored in this file"
    display_with_text(
        box, f"[slider over {len(labels)} frames, {description}: run the cell to move it; {place}]"
    )
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


@contextlib.contextmanager
def live() -> Iterator[Callable[[plots.Picture], None]]:
    """A place for a picture that is being painted: ``with`` gives a function for each new picture.

    At the end the place disappears. Where there is no progress bar, there is no such place.
    """
    if progress.quiet():
        yield lambda picture: None
        return
    image = Picture(height=320, alt="The picture as the model expects it, while it is painted.")
    shown = False

    def show(picture: plots.Picture) -> None:
        nonlocal shown
        image.value = plots.jpeg(picture)
        if not shown:
            display_with_text(image, progress.LEFT)
            shown = True

    try:
        yield show
    finally:
        image.close()


class Camera(anywidget.AnyWidget):
    """A camera with a countdown. `taken` has the photographs, as `uploaded` gives files."""

    _esm = Path(__file__).parent / "camera.js"
    _css = Path(__file__).parent / "camera.css"
    count = traitlets.Int(0).tag(sync=True)  # photographs taken

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, bytes]] = []
        self.on_msg(self._heard)

    def _heard(self, _: Any, message: Any, buffers: list[Any]) -> None:
        if not isinstance(message, dict):
            return
        if message.get("type") == "photo" and buffers:
            self.taken.append((f"camera-{len(self.taken) + 1}.jpg", bytes(buffers[0])))
        elif message.get("type") == "forget":
            self.taken.clear()
        self.count = len(self.taken)


def camera() -> Camera:
    """Display a camera that takes photographs into the kernel's memory; see `Camera.taken`.

    The notebook file keeps only a sentence.
    """
    box = Camera()
    display_with_text(box, "[a camera: run the cell to use it]")
    return box


class DrawingPad(anywidget.AnyWidget):
    """A square to draw on with a mouse, a pen or a finger; `picture` gives the drawing."""

    _esm = Path(__file__).parent / "pad.js"
    _css = Path(__file__).parent / "pad.css"
    start = traitlets.Bytes(b"").tag(sync=True)  # PNG of what is on the pad at first
    strokes = traitlets.Int(0).tag(sync=True)  # lines that were drawn

    def __init__(self, start: Image.Image) -> None:
        file = io.BytesIO()
        start.convert("RGB").save(file, "PNG")
        self._drawn: Image.Image = start.convert("RGB")
        super().__init__(start=file.getvalue())
        self.on_msg(self._heard)

    def _heard(self, _: Any, message: Any, buffers: list[Any]) -> None:
        if isinstance(message, dict) and message.get("type") == "drawing" and buffers:
            self._drawn = photos.open_photo(Image.open(io.BytesIO(bytes(buffers[0]))))
            self.strokes += 1

    def picture(self) -> Image.Image:
        """The present drawing, as an RGB picture of the size of the first one."""
        return self._drawn.copy()


def drawing_pad(start: Image.Image) -> DrawingPad:
    """Display a pad to draw on, with `start` on it; see `DrawingPad.picture`.

    The notebook file keeps only a sentence.
    """
    pad = DrawingPad(start)
    display_with_text(pad, "[a pad to draw on: run the cell to use it]")
    return pad


def upload_button() -> ipywidgets.FileUpload:
    """Display a button that uploads photographs into the kernel's memory; see `uploaded`.

    The notebook file keeps only a sentence. JupyterLab takes at most 10 MB at a time.
    """
    button = ipywidgets.FileUpload(accept="image/*,.heic,.heif,.hif", multiple=True)
    button.description = translate("Photos")
    display_with_text(button, "[a button to upload photos: run the cell to use it]")
    return button


def uploaded(button: ipywidgets.FileUpload) -> list[tuple[str, bytes]]:
    """The files of an `upload_button`, as (name, bytes). The list is empty if there are none."""
    return [(file["name"], bytes(file["content"])) for file in button.value]


def show_private(
    picture: Figure | plots.Picture, alt: str = "Your own photographs and their versions."
) -> None:
    """Display a figure or a picture that the notebook file does not keep. alt : what it shows."""
    image = Picture(value=plots.jpeg(picture), alt=alt)
    display_with_text(image, "[a picture that is not stored in this file]")


def show_lines(lines: list[str]) -> None:
    """Display sentences that the notebook file does not keep, such as names of private files."""
    if lines:
        text = "<br>".join(map(html.escape, lines))
        display_with_text(
            ipywidgets.HTML(text), f"[{len(lines)} lines that are not stored in this file]"
        )
