"""Paint for all visitors of the booth in one process.

The model is loaded once, and one picture is painted at a time. A visitor's kernel sends an `Order`
over a connection that only this machine can reach and that needs a key. It gets events back, and
the picture as the last one. If it closes the connection, the worker stops after the step. The
worker keeps nothing of a photograph.
"""

import contextlib
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from PIL import Image

from sdkit import models
from sdkit.errors import SdkitError, unexpected
from sdkit.models.picture_settings import Settings

VARIABLE = "SDKIT_BOOTH"  # environment variable: the address of the worker, a space, and its key
TRIES = 3  # for one picture, when the worker dies meanwhile
PATIENCE = 60  # seconds to wait for a worker that starts again


@dataclass(frozen=True)
class Order:
    """What to paint: a photograph in RGB, and how. `strength` None is the model's default."""

    image: Image.Image
    prompt: str
    strength: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Waiting:
    """Other visitors' pictures are painted first. `before` says how many."""

    before: int


@dataclass(frozen=True)
class Preview:
    """The picture that the model expects after step `step` of `steps`."""

    step: int
    steps: int
    image: Image.Image


@dataclass(frozen=True)
class Again:
    """The worker died, and starts this picture again."""


@dataclass(frozen=True)
class Painted:
    """The picture, its settings, its note (see `generate.note`), and advice on unknown words."""

    image: Image.Image
    settings: Settings
    note: dict[str, str]
    advice: str | None


Event = Waiting | Preview | Again | Painted


class Worker:
    """A model that stays loaded, and paints one order after the other.

    model : its name, as `models.resolve` takes it. Errors are sent as the answer to each order.
    """

    def __init__(self, model: str = "mini") -> None:
        self._name = model
        self._one = threading.Lock()  # held while a picture is painted
        self._count = threading.Lock()
        self._orders = 0  # waiting or being painted
        self._pipe: Any = None

    def warm_up(self) -> None:
        """Load the model, and paint a small grey picture, so that the first visitor need not wait.

        If that fails, nothing happens: the first order gets the error.
        """
        with contextlib.suppress(Exception), self._one:
            self._style(Order(Image.new("RGB", (64, 64), "grey"), ""), None, size=64)

    def serve(self, listener: Listener) -> None:
        """Answer every connection to `listener` in a thread of its own. Returns when it closes."""
        while True:
            try:
                connection = listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):
                continue  # somebody without the key
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        """Paint the order that comes in, unless the visitor goes away."""
        with contextlib.suppress(OSError, EOFError), connection:
            order = connection.recv()
            try:
                with self._turn(connection):
                    connection.send(self._paint(order, connection))
            except SdkitError as error:
                connection.send(SdkitError(str(error)))
            except OSError:
                raise  # the visitor has gone away
            except Exception as error:
                connection.send(SdkitError(unexpected(error)))

    @contextlib.contextmanager
    def _turn(self, connection: Connection) -> Iterator[None]:
        """Wait until it is this order's turn. The visitor may go away meanwhile."""
        with self._count:
            before, self._orders = self._orders, self._orders + 1
        try:
            if before:
                connection.send(Waiting(before))
            while not self._one.acquire(timeout=0.5):
                _refuse_closed(connection)
            try:
                _refuse_closed(connection)
                yield
            finally:
                self._one.release()
        finally:
            with self._count:
                self._orders -= 1

    def _paint(self, order: Order, connection: Connection) -> Painted:
        from sdkit import generate

        steps = 0

        def count_step() -> None:
            nonlocal steps
            steps += 1
            _refuse_closed(connection)

        def show(image: Image.Image) -> None:
            connection.send(Preview(steps, settings.steps_run, image))

        model = models.resolve(self._name)
        settings = self._settings(order)
        image = self._style(order, count_step, on_preview=show)
        return Painted(
            image, settings, generate.note(settings, model), model.advice(settings.prompt, "style")
        )

    def _settings(self, order: Order, **changes: Any) -> Settings:
        if order.strength is not None:
            changes["strength"] = order.strength
        return models.resolve(self._name).settings(order.prompt, seed=order.seed, **changes)

    def _style(self, order: Order, on_step: Any, on_preview: Any = None, **changes: Any) -> Any:
        from sdkit import generate

        if self._pipe is None:
            self._pipe = models.resolve(self._name).pipeline("img2img")
        settings = self._settings(order, **changes)
        return generate.style(
            self._pipe, [order.image], settings, on_step, advise=False, on_preview=on_preview
        )[0]


def _refuse_closed(connection: Connection) -> None:
    """Raise `ConnectionResetError` if the visitor has closed the connection."""
    if connection.poll():
        raise ConnectionResetError("the visitor has gone away")


def new_folder() -> tempfile.TemporaryDirectory:
    """A folder for the address of a worker, that only this user of this machine can reach."""
    return tempfile.TemporaryDirectory(prefix="sdkit-booth-")


def address_in(folder: str) -> str:
    """The address of the worker to which a `new_folder` belongs."""
    if os.name == "nt":  # a pipe of Windows has no file
        return rf"\\.\pipe\{Path(folder).name}"
    return str(Path(folder) / "worker")


def run(address: str, key: bytes, model: str = "mini") -> None:
    """Run the worker at `address` until the process ends. Clients must know the key."""
    if os.name != "nt":
        Path(address).unlink(missing_ok=True)  # from a worker that was killed
    with Listener(address, authkey=key, backlog=16) as listener:
        _work(listener, model)


def _work(listener: Listener, model: str) -> None:
    worker = Worker(model)
    worker.warm_up()
    worker.serve(listener)


_own: list[tuple[Listener, bytes]] = []  # the worker of this process, if there is one
_own_lock = threading.Lock()


def whereabouts() -> tuple[Any, bytes]:
    """Address and key of the worker.

    `server` names its worker in the environment. Without one, as in JupyterLab, a worker is
    started in a thread of this process.
    """
    if named := os.environ.get(VARIABLE):
        address, _, digits = named.rpartition(" ")
        return address, bytes.fromhex(digits)
    with _own_lock:
        if not _own:
            key = secrets.token_bytes(32)
            _own.append((Listener(authkey=key, backlog=16), key))
            threading.Thread(target=_work, args=(_own[0][0], "mini"), daemon=True).start()
        listener, key = _own[0]
        return listener.address, key


def paint(order: Order) -> Generator[Event, None, None]:
    """Let the worker paint an order: `Waiting` and `Preview` events, and `Painted` as the last.

    If the worker dies, the order is sent again, to the worker that `server` starts instead.
    Close the generator to stop the painting. Raises `SdkitError` if the picture cannot be painted.
    """
    for again in range(TRIES):
        if again:
            yield Again()
        with contextlib.suppress(OSError, EOFError), _connect() as connection:
            connection.send(order)
            while True:
                event = connection.recv()
                if isinstance(event, SdkitError):
                    raise event
                yield event
                if isinstance(event, Painted):
                    return
    raise SdkitError("The worker stopped several times. Start the booth again.")


def _connect() -> Connection:
    """A connection to the worker. Waits for it if it is just starting."""
    address, key = whereabouts()
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return Client(address, authkey=key)
        except (OSError, EOFError) as error:
            if time.monotonic() > end:
                raise SdkitError("The worker does not answer. Start the booth again.") from error
            time.sleep(0.2)
