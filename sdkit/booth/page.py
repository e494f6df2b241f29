"""The page of the booth, as a widget: page.js and page.css show it, `visit.Visit` does the work.

The widget is made with anywidget, because no widget of ipywidgets has a camera with a countdown, a
place to drop files, or a slider between two pictures, and the libraries that have a camera are no
longer maintained. The page uses functions of the browser (getUserMedia, drag and drop).
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from sdkit.booth import visit, worker
from sdkit.errors import SdkitError
from sdkit.lessons import widgets

HERE = Path(__file__).parent
TIME_OUT = "SDKIT_BOOTH_TIME_OUT"  # environment variable: seconds; `server` sets it
KIOSK = "SDKIT_BOOTH_KIOSK"  # environment variable: 1 if the page fills the screen of a kiosk


class Booth(anywidget.AnyWidget):
    """The page of one visit.

    time_out : seconds without a sign of the visitor, after which everything is forgotten.
    """

    _esm = HERE / "page.js"
    _css = HERE / "page.css"
    kiosk = traitlets.Bool(False).tag(sync=True)

    def __init__(self, time_out: float | None = None) -> None:
        if time_out is None:
            time_out = float(os.environ.get(TIME_OUT, visit.TIME_OUT))
        if not 5 <= time_out <= 86_400:
            raise SdkitError(f"A time-out of {time_out:g} s is not from 5 to 86400. Choose one.")
        super().__init__(kiosk=os.environ.get(KIOSK) == "1")
        self.visit = visit.Visit(self.send, time_out=time_out)
        self.on_msg(self._heard)
        threading.Thread(target=self._watch, daemon=True).start()

    def _heard(self, _: Any, message: Any, buffers: list[Any]) -> None:
        if isinstance(message, dict) and message.get("type") == "hello":
            # a worker in this process is loaded while the visitor looks around
            threading.Thread(target=worker.whereabouts, daemon=True).start()
        self.visit.hear(message, buffers)

    def _watch(self) -> None:
        """Look every second whether the visitor has gone."""
        while True:
            time.sleep(1)
            self.visit.tick()


def open_booth(time_out: float | None = None) -> Booth:
    """Display the booth. The text beside it is for pages where no kernel runs."""
    booth = Booth(time_out)
    data, _ = booth._repr_mimebundle_()
    text = "[photo booth: run the cell, or python3 run.py booth]"
    display({widgets.VIEW: data[widgets.VIEW], "text/plain": text}, raw=True)
    return booth
