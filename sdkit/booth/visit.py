"""One visit to the booth: its photographs and pictures, all in memory, and what may be done.

The page sends messages: dictionaries with a "type", and sometimes bytes. `Visit.hear` receives
them, and `Visit` sends messages back. Nothing is written to disk. This module checks every message,
because the page runs in the visitor's browser.
"""

import contextlib
import gc
import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image

from sdkit import models
from sdkit.booth import sheets, worker
from sdkit.errors import SdkitError, unexpected
from sdkit.pictures import (
    certificate,
    manifest,
    outputs,
    photos,
    portraits,
    provenance,
    watermark,
)

# the paintings that mini-sd knows by name; each leads to the name that the page shows
PAINTINGS = {
    "starry night by van gogh": "Starry Night",
    "sunflowers by van gogh": "Sunflowers",
    "wheatfield with crows by van gogh": "Wheatfield with Crows",
    "a self-portrait of van gogh": "Self-portrait of Van Gogh",
    "the great wave by hokusai": "The Great Wave",
    "water lilies by monet": "Water Lilies",
}
SAMPLE_NAMES = {
    "astronaut": "Astronaut",
    "grace_hopper": "Grace Hopper",
    "chelsea": "Cat",
    "coffee": "Coffee",
}
MAX_PHOTOS, MAX_PICTURES = 12, 60  # of one visit, so that memory stays small
MAX_BYTES = 60_000_000  # of one photograph's file
LONGEST = 1600  # px; the long side of a photograph that is kept
SHOWN = 1000  # px; the long side of a picture on the page
THUMBNAIL = 160  # px
TIME_OUT = 180  # seconds without a sign of the visitor
WARN = 20  # seconds before that, the page asks


@dataclass(frozen=True)
class Cut:
    """A part of a photograph that can be painted: a person, or the whole."""

    label: str
    image: Image.Image


@dataclass(frozen=True)
class Picture:
    """A painted picture, the cut of the photograph that it was made of, and how it was made."""

    before: Image.Image
    after: Image.Image
    prompt: str
    note: dict[str, str]
    stem: str


@dataclass
class _Belongings:
    """All data of a visitor."""

    photos: dict[int, list[Cut]] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)
    sheets: dict[int, list[int]] = field(default_factory=dict)  # numbers of pictures


_Job = Callable[[_Belongings], None]


class Visit:
    """The data and the actions of a visitor.

    say : is called with each message to the page, and a list of bytes for it.
    paint : `worker.paint`, or something like it.
    time_out : seconds without a sign of the visitor, after which everything is forgotten.
    clock : gives seconds.
    """

    def __init__(
        self,
        say: Callable[[dict[str, Any], list[bytes]], object],
        paint: Callable[[worker.Order], Generator[worker.Event, None, None]] = worker.paint,
        time_out: float = TIME_OUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say_now = say
        self._paint = paint
        self._time_out = time_out
        self._clock = clock
        self._lock = threading.RLock()
        self._has = _Belongings()
        self._numbers = 0
        self._seen = clock()
        self._warned = False
        self._touched = (
            False  # whether a visitor has done anything since the last one was forgotten
        )
        self._stop = threading.Event()
        self._jobs: queue.Queue[tuple[_Belongings, _Job]] = queue.Queue()
        self._busy = 0  # jobs that wait or run
        threading.Thread(target=self._work, daemon=True).start()

    # The messages that the page may send

    def hear(self, message: Any, buffers: list[Any] | None = None) -> None:
        """Do the job of a message from the page. An unknown message is ignored."""
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "ping":
            self._say({"type": "pong"})
            return
        self._sign()
        if kind == "hello":
            self._hello()
            return
        self._touched = True
        if kind == "photo":
            name = str(message.get("name", ""))[-80:] or "the photograph"
            data = bytes(buffers[0]) if buffers else b""
            self._later(lambda has: self._take(has, name, lambda: _read(data, name)))
        elif kind == "sample" and str(message.get("name")) in SAMPLE_NAMES:
            name = str(message["name"])
            self._later(
                lambda has: self._take(has, SAMPLE_NAMES[name], lambda: photos.sample(name))
            )
        elif kind in ("paint", "all"):
            asked, job = dict(message), self._one if kind == "paint" else self._all
            self._stop.clear()
            self._later(lambda has: job(has, asked))
        elif kind == "stop":
            self._stop.set()
        elif kind == "file":
            asked = dict(message)
            self._later(lambda has: self._file(has, asked))
        elif kind == "forget":
            self.forget("asked")

    def tick(self) -> None:
        """Forget everything if the visitor has gone; a timer calls this every second.

        A visitor who left no photograph may have left an open camera or words. So the page starts
        again for them, too. It does not ask first, because nothing is lost.
        """
        with self._lock:
            if self._busy:
                self._seen = self._clock()
                return
            left = self._seen + self._time_out - self._clock()
            if self.empty and not self._touched:
                return
            if left <= 0:
                self.forget("time")
            elif self.empty:
                return
            elif left <= min(WARN, self._time_out / 2) and not self._warned:
                self._warned = True
                self._say({"type": "still there?", "seconds": round(left)})

    def forget(self, why: str) -> None:
        """Delete all photographs and pictures, stop the painting, and tell the page why."""
        with self._lock:
            self._stop.set()
            self._has = _Belongings()
            self._seen, self._warned, self._touched = self._clock(), False, False
            self._say({"type": "forgotten", "why": why})
        gc.collect()

    @property
    def empty(self) -> bool:
        """Whether nothing of a visitor is in memory."""
        return not self._has.photos and not self._has.pictures

    def wait(self) -> None:
        """Wait until all jobs are done."""
        self._jobs.join()

    # Jobs run one after the other in a thread, so that the kernel can listen meanwhile.

    def _later(self, job: "_Job") -> None:
        with self._lock:
            self._busy += 1
            self._jobs.put((self._has, job))

    def _work(self) -> None:
        while True:
            belongings, job = self._jobs.get()
            try:
                if belongings is self._has:  # otherwise everything was forgotten meanwhile
                    job(belongings)
            except _Forgotten:
                pass
            except SdkitError as error:
                self._say({"type": "problem", "text": str(error)})
            except Exception as error:
                self._say({"type": "problem", "text": _sentence(error)})
            finally:
                del belongings, job
                with self._lock:
                    self._busy -= 1
                    self._say({"type": "idle"} if not self._busy else {"type": "busy"})
                self._jobs.task_done()

    def _hello(self) -> None:
        """Send the page its start: styles, paintings, samples, and the visitor's time."""
        model = models.resolve("mini")
        styles = [style for style in model.styles if style != "a photo"]
        samples = [photos.sample(name) for name in SAMPLE_NAMES]
        self._say(
            {
                "type": "welcome",
                "styles": [{"prompt": style, "label": _label(style)} for style in styles],
                "paintings": [{"prompt": p, "label": label} for p, label in PAINTINGS.items()],
                "samples": [{"name": n, "label": label} for n, label in SAMPLE_NAMES.items()],
                "strength": model.defaults["strength"],
                "seconds": self._time_out,
            },
            [_jpeg(image, THUMBNAIL) for image in samples],
        )

    def _take(self, has: _Belongings, name: str, read: Callable[[], Image.Image]) -> None:
        """Take a photograph: find the people on it, and show it."""
        if len(has.photos) >= MAX_PHOTOS:
            raise SdkitError(
                f"There are {MAX_PHOTOS} photographs already. Press Forget me to begin again."
            )
        image = read()
        photos.resized_size(image, 512)  # raises an error for a panorama
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        people = portraits.crop_faces(image)
        labels = ["Portrait"] if len(people) == 1 else [f"Person {k + 1}" for k in range(99)]
        cuts = [Cut(label, person) for label, person in zip(labels, people)]
        cuts.append(Cut("Whole picture", image))
        number = self._keep(has, has.photos, cuts)
        self._say(
            {
                "type": "photo",
                "photo": number,
                "name": name,
                "cuts": [cut.label for cut in cuts],
                "people": len(people),
            },
            [_jpeg(cut.image, SHOWN) for cut in cuts],
        )

    def _order(self, has: _Belongings, message: dict[str, Any], prompt: str) -> worker.Order:
        """The order that the page sends. Raises `SdkitError` if the photograph is not there."""
        cuts = has.photos.get(_whole(message.get("photo")), [])
        cut = _whole(message.get("cut"))
        if not 0 <= cut < len(cuts):
            raise SdkitError("This photograph is not here any more. Take it again.")
        if why := models.resolve("mini").refusal(prompt, "style"):
            raise SdkitError(why)
        strength, seed = message.get("strength"), _whole(message.get("seed", 0))
        if not isinstance(strength, int | float) or isinstance(strength, bool):
            strength = None
        return worker.Order(cuts[cut].image, prompt[:200], strength, max(seed, 0))

    def _one(self, has: _Belongings, message: dict[str, Any]) -> None:
        self._have_painted(has, self._order(has, message, str(message.get("prompt", ""))))

    def _have_painted(self, has: _Belongings, order: worker.Order, place: str = "") -> int | None:
        """Paint a picture and show it step by step: its number, or None if it was stopped.

        place : which picture of several it is, for the page.
        """
        if len(has.pictures) >= MAX_PICTURES:
            raise SdkitError(
                f"There are {MAX_PICTURES} pictures already. Press Forget me to begin again."
            )
        before = photos.resize(order.image, models.resolve("mini").defaults["size"])
        about = {"prompt": order.prompt, "place": place}
        self._say({"type": "begin", **about}, [_jpeg(before, SHOWN)])
        with contextlib.closing(self._paint(order)) as events:
            for event in events:
                if has is not self._has:
                    raise _Forgotten
                if self._stop.is_set():
                    self._say({"type": "stopped"})
                    return None
                if isinstance(event, worker.Waiting):
                    self._say({"type": "waiting", "before": event.before})
                elif isinstance(event, worker.Again):
                    self._say({"type": "again"})
                elif isinstance(event, worker.Preview):
                    self._say(
                        {"type": "step", "step": event.step, "steps": event.steps, **about},
                        [_jpeg(event.image, SHOWN)],
                    )
                else:
                    return self._show(has, before, event, order)
        raise SdkitError("The worker gave no picture. Try again.")

    def _show(
        self,
        has: _Belongings,
        before: Image.Image,
        event: worker.Painted,
        order: worker.Order,
    ) -> int:
        after = watermark.embed(provenance.mark(event.image))
        stem = f"portrait-{outputs.slug(order.prompt)}-seed{order.seed}"
        picture = Picture(before.resize(after.size), after, order.prompt, event.note, stem)
        number = self._keep(has, has.pictures, picture)
        self._say(
            {
                "type": "picture",
                "picture": number,
                "prompt": order.prompt,
                "label": _label(order.prompt),
                "rows": sheets.rows(event.note),
                "advice": event.advice or "",
                "width": after.width,
                "height": after.height,
            },
            [_jpeg(picture.before, SHOWN), _jpeg(after, SHOWN, quality=93)],
        )
        return number

    def _all(self, has: _Belongings, message: dict[str, Any]) -> None:
        """Paint a photograph in all styles, and show the contact sheet."""
        styles = [style for style in models.resolve("mini").styles if style != "a photo"]
        numbers: list[int] = []
        for k, style in enumerate(styles):
            order = self._order(has, message, style)
            number = self._have_painted(has, order, f"{k + 1} of {len(styles)}")
            if number is None:
                break
            numbers.append(number)
        if len(numbers) < 2:
            return
        number = self._keep(has, has.sheets, numbers)
        sheet = sheets.contact_sheet([has.pictures[k] for k in numbers])
        self._say(
            {"type": "sheet", "sheet": number, "width": sheet.width, "height": sheet.height},
            [_jpeg(sheet, 1600, quality=93)],
        )

    def _file(self, has: _Belongings, message: dict[str, Any]) -> None:
        """Send a picture as a file: "png" with its note, or "pdf" to print."""
        pdf = message.get("kind") == "pdf"
        if picture := has.pictures.get(_whole(message.get("picture"))):
            stem = picture.stem
            data = sheets.print_sheet(picture) if pdf else sheets.single_png(picture, _signer())
        elif numbers := has.sheets.get(_whole(message.get("sheet"))):
            pictures, stem = [has.pictures[k] for k in numbers], "portraits-all-styles"
            data = sheets.contact_pdf(pictures) if pdf else sheets.contact_png(pictures, _signer())
        else:
            raise SdkitError("This picture is not here any more. Paint it again.")
        name, mime = (f"{stem}.pdf", "application/pdf") if pdf else (f"{stem}.png", "image/png")
        self._say({"type": "file", "name": name, "mime": mime}, [data])

    def _keep(self, has: _Belongings, where: dict[int, Any], what: Any) -> int:
        """Keep something under a new number, unless everything was forgotten meanwhile."""
        with self._lock:
            if has is not self._has:
                raise _Forgotten
            self._numbers += 1
            where[self._numbers] = what
            return self._numbers

    def _sign(self) -> None:
        """Note that the visitor is there."""
        with self._lock:
            self._seen, self._warned = self._clock(), False

    def _say(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self._say_now(message, buffers or [])


class _Forgotten(Exception):
    """The visitor has gone, so nobody needs the job."""


def _read(data: bytes, name: str) -> Image.Image:
    if len(data) > MAX_BYTES:
        raise SdkitError(f"{name} has more than {MAX_BYTES // 10**6} MB. Make it smaller first.")
    return photos.open_bytes(data, name)


def _signer() -> certificate.Signer | None:
    """The key of this computer, if it has one. It makes none: that would write a file."""
    with contextlib.suppress(SdkitError):
        manifest.check_library()
        return certificate.find()
    return None


def _sentence(error: Exception) -> str:
    """A sentence for an unexpected error, also if SDKIT_DEBUG is set."""
    try:
        return unexpected(error)
    except Exception:
        return f"{type(error).__name__}: {error}"


def _whole(value: Any) -> int:
    """`value` if it is a whole number that fits, or else -1."""
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    return value if fits else -1


def _label(prompt: str) -> str:
    """The prompt as a title: "van gogh" becomes "Van Gogh"."""
    special = {"van gogh": "Van Gogh", "ukiyo-e": "Ukiyo-e (Japan)"}
    return PAINTINGS.get(prompt) or special.get(prompt) or prompt[:1].upper() + prompt[1:]


def _jpeg(image: Image.Image, longest: int, quality: int = 88) -> bytes:
    """A JPEG of the picture, made smaller if its long side is over `longest` px."""
    copy = image.convert("RGB")
    copy.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    data = BytesIO()
    copy.save(data, format="JPEG", quality=quality)
    return data.getvalue()
