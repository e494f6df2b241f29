"""The worker of the booth: one warm model for all visitors, reached over a connection."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import AuthenticationError, util
from multiprocessing.connection import Client, Listener

import numpy as np
import pytest

from sdkit import generate, models
from sdkit.booth import worker
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.pictures import photos


@pytest.fixture
def place(tiny_data, monkeypatch):
    """The address and the key of a worker in a thread of this process."""
    key = secrets.token_bytes(16)
    with Listener(authkey=key) as listener:
        one = worker.Worker()
        threading.Thread(target=one.serve, args=(listener,), daemon=True).start()
        monkeypatch.setenv(worker.VARIABLE, f"{listener.address} {key.hex()}")
        yield listener.address, key


def order(**changes):
    return worker.Order(photos.sample("coffee"), **{"prompt": "van gogh", "seed": 5, **changes})


def test_the_picture_is_that_of_generate(place, tiny_pipe):
    *previews, last = list(worker.paint(order(strength=0.75)))
    settings = models.resolve("mini").settings("van gogh", seed=5, strength=0.75)
    (expected,) = generate.style(tiny_pipe, [photos.sample("coffee")], settings)
    assert (np.asarray(last.image) == np.asarray(expected)).all()
    assert last.settings == settings
    assert last.note == generate.note(settings, models.resolve("mini"))
    assert [preview.step for preview in previews] == list(range(1, settings.steps_run))
    assert all(preview.steps == settings.steps_run for preview in previews)
    half = expected.width // 2, expected.height // 2
    assert {preview.image.size for preview in previews} == {half}


def test_unknown_words_are_named(place):
    *_, last = worker.paint(order(prompt="picasso"))
    assert "picasso" in last.advice


def test_a_wrong_setting_is_a_sentence(place):
    with pytest.raises(SdkitError, match="Strength 7 is outside 0 to 1"):
        list(worker.paint(order(strength=7)))
    *_, last = worker.paint(order())  # and the worker goes on
    assert isinstance(last, worker.Painted)


def test_nobody_without_the_key_is_let_in(place):
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(place[0], authkey=b"guessed")
    *_, last = worker.paint(order())
    assert isinstance(last, worker.Painted)


def test_a_visitor_who_goes_away_stops_the_painting(place, monkeypatch):
    steps, gone = [], threading.Event()
    style = generate.style

    def slow(pipe, images, settings, on_step, **keywords):
        def step():
            steps.append(1)
            gone.wait(60)
            time.sleep(0.2)
            on_step()

        return style(pipe, images, settings, step, **keywords)

    monkeypatch.setattr(generate, "style", slow)
    events = worker.paint(order(strength=1.0))
    with Client(place[0], authkey=place[1]) as connection:
        connection.send(order(strength=1.0))
        while not steps:
            time.sleep(0.01)
    gone.set()
    monkeypatch.setattr(generate, "style", style)
    *_, last = events
    assert isinstance(last, worker.Painted)
    assert len(steps) == 1  # of eight


def test_the_model_is_loaded_before_the_first_visitor_comes(tiny_data, monkeypatch):
    """So the first picture takes as long as all others."""
    events, key = [], secrets.token_bytes(16)
    pipeline, style = models.Model.pipeline, generate.style
    monkeypatch.setattr(
        models.Model, "pipeline", lambda *args: events.append("load") or pipeline(*args)
    )
    monkeypatch.setattr(
        generate, "style", lambda *args, **how: events.append("paint") or style(*args, **how)
    )

    class Heard(Listener):
        def accept(self):
            events.append("listen")
            return super().accept()

    with Heard(authkey=key) as listener:
        monkeypatch.setenv(worker.VARIABLE, f"{listener.address} {key.hex()}")
        threading.Thread(target=worker._work, args=(listener, "mini"), daemon=True).start()
        *_, last = worker.paint(order())
    assert isinstance(last, worker.Painted)
    # the first picture is a small grey one, which nobody sees; then visitors are let in
    assert [event for event in events if event != "listen"] == ["load", "paint", "paint"]
    assert events[:3] == ["load", "paint", "listen"]


def test_the_second_visitor_waits(place, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    style = generate.style

    def slow(*arguments, **keywords):
        begun.set()
        go.wait(60)
        return style(*arguments, **keywords)

    monkeypatch.setattr(generate, "style", slow)
    first = threading.Thread(target=lambda: list(worker.paint(order())))
    first.start()
    begun.wait(60)
    events = worker.paint(order())
    assert next(events) == worker.Waiting(1)
    go.set()
    *_, last = events
    first.join()
    assert isinstance(last, worker.Painted)


def test_an_order_is_sent_again_when_the_worker_dies(tiny_data, monkeypatch):
    """The first worker of this address hangs up; the second one paints."""
    # the folder of multiprocessing is deleted after the Listener at the end of the process
    address, key = worker.address_in(util.get_temp_dir()), secrets.token_bytes(16)
    monkeypatch.setenv(worker.VARIABLE, f"{address} {key.hex()}")

    def work():
        with Listener(address, authkey=key) as dying, dying.accept() as connection:
            connection.recv()
        worker.run(address, key)

    threading.Thread(target=work, daemon=True).start()
    events = list(worker.paint(order()))
    assert isinstance(events[0], worker.Again)
    assert isinstance(events[-1], worker.Painted)


def test_without_a_server_the_worker_is_in_this_process(tiny_data, monkeypatch):
    monkeypatch.delenv(worker.VARIABLE, raising=False)
    monkeypatch.setattr(worker, "_own", [])
    *_, last = worker.paint(order())
    assert isinstance(last, worker.Painted)
    assert worker.whereabouts() == worker.whereabouts()


@pytest.mark.skipif(os.name == "nt", reason="a pipe of Windows has no file")
def test_only_this_user_reaches_the_address():
    with worker.new_folder() as folder:
        assert os.path.dirname(worker.address_in(folder)) == folder
        assert os.stat(folder).st_mode & 0o077 == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such sockets")
@pytest.mark.parametrize("deep", [False, True])
def test_a_socket_of_a_kernel_can_be_opened_also_if_temporary_files_have_a_long_path(
    monkeypatch, deep
):
    """On macOS they have one. Without the care of `new_folder`, no page would open there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as usual:
        if deep:
            usual = os.path.join(usual, 70 * "x")
            os.mkdir(usual)
        monkeypatch.setattr(tempfile, "tempdir", usual)
        with worker.new_folder() as folder, socket.socket(socket.AF_UNIX) as one:
            assert (os.path.dirname(folder) == usual) is not deep
            path = os.path.join(folder, worker.SOCKET)
            os.mkdir(os.path.dirname(path))
            one.bind(path)
            assert len(os.fsencode(path)) <= worker.LONGEST


def test_the_kernel_of_a_visitor_does_not_load_torch():
    """Each visitor has a kernel, and torch would make it ten times as large."""
    program = (
        "import sys; from sdkit.booth import page; from sdkit import models, portraits; "
        "models.resolve('mini').settings('van gogh'); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT)
    assert done.returncode == 0
