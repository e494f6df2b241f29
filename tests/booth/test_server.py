"""How the booth is opened: where it listens, what it serves, and the browser of a kiosk."""

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import psutil
import pytest
from jupyter_server.base.websocket import WebSocketMixin
from tornado.ioloop import IOLoop

from sdkit.booth import page, server, worker
from sdkit.cli import parser
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from tests.browser import lab


@pytest.mark.parametrize(
    "options, words",
    [
        ({"port": 70_000}, "port"),
        ({"time_out": 1}, "time-out"),
        ({"token": "short"}, "token"),
        ({"token": "with a blank"}, "token"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(SdkitError, match=words):
        server.Options(**options)


@pytest.mark.parametrize("ip, local", [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False)])
def test_only_a_booth_for_this_machine_has_no_token(ip, local):
    options = server.Options(ip=ip)
    assert options.local is local
    assert server.voila_settings(options, 1, None, "x")["Voila"]["tornado_settings"][
        "allow_remote_access"
    ] is (not local)
    if ip != "::1":  # not every machine has IPv6
        assert ("token=" in server.Booth(options).address) is (not local)


def test_a_page_that_answers_keeps_its_connection():
    """jupyter_server's own rule: no answer can have come before the first ping was sent."""
    settings = server.voila_settings(server.Options(), 1, None, "x")["Voila"]["tornado_settings"]

    class Connection(WebSocketMixin):
        log, ws_connection = logging.getLogger("test"), SimpleNamespace(client_terminated=False)
        pings, closed = 0, False

        def ping(self, data):
            self.pings += 1
            self.on_pong(data)

        def close(self):
            self.closed = True

    connection = Connection()
    connection.settings = settings
    # the page was opened one interval ago, and the timer is a little late
    ago = IOLoop.current().time() - settings["ws_ping_interval"] / 1000 - 0.5
    connection.last_ping = connection.last_pong = ago
    connection.send_ping()
    assert (connection.pings, connection.closed) == (1, False)
    # the same for a page that has gone: it answers no ping
    gone = ago - settings["ws_ping_timeout"] / 1000
    connection.last_ping, connection.last_pong = ago, gone
    connection.send_ping()
    assert connection.closed


def test_two_booths_get_two_tokens():
    addresses = {server.Booth(server.Options(ip="0.0.0.0")).address for _ in range(2)}
    assert len(addresses) == 2


def test_a_port_in_use_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f":{port}/" not in server.Booth(server.Options(port=port)).address


def test_a_kiosk_needs_a_browser_and_shows_no_menus(monkeypatch):
    monkeypatch.setattr(
        server.shutil, "which", lambda name: "/x/chrome" if "chrom" in name else None
    )
    command = server.kiosk_command("http://127.0.0.1:1/", "folder")
    assert command[0] == "/x/chrome" and "--kiosk" in command and command[-1].endswith(":1/")
    monkeypatch.setattr(server.shutil, "which", lambda name: None)
    monkeypatch.setattr(server, "PLACES", ())
    with pytest.raises(SdkitError, match="F11"):
        server.kiosk_command("http://127.0.0.1:1/", "folder")


def test_a_process_that_ends_is_started_again_but_not_for_ever(monkeypatch, capfd):
    booth = server.Booth(server.Options())
    booth._commands = {name: [sys.executable, "-c", ""] for name in ("worker", "page")}
    with booth:
        booth._running["page"].wait()
        booth.mend()
        assert "started again" in capfd.readouterr().err
        with pytest.raises(SdkitError, match="5 times within a minute"):
            for _ in range(99):
                for process in booth._running.values():
                    process.wait()
                booth.mend()


def test_a_visitor_may_close_the_browser_of_a_kiosk_as_often_as_they_like(monkeypatch):
    waiting = [sys.executable, "-c", "import time; time.sleep(3600)"]
    monkeypatch.setattr(server, "kiosk_command", lambda address, profile: waiting)
    booth = server.Booth(server.Options(kiosk=True))
    booth._commands = dict.fromkeys(("worker", "page", "browser"), waiting)

    def close(lived):
        booth._running["browser"].kill()
        booth._running["browser"].wait()
        booth._starts["browser"] -= lived
        booth.mend()

    with booth:
        booth._start("browser")
        for _ in range(2 * server.FAST):
            close(lived=server.OPENED + 1)
        with pytest.raises(SdkitError, match="browser ended 5 times"):  # it does not open at all
            for _ in range(2 * server.FAST):
                close(lived=0)


def test_no_folder_is_left_when_a_booth_is_closed_dropped_or_cannot_open(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(worker, "LONGEST", 1000)  # nobody opens a socket here
    waiting = [sys.executable, "-c", "import time; time.sleep(3600)"]
    monkeypatch.setattr(server, "kiosk_command", lambda address, profile: waiting)
    booth = server.Booth(server.Options(kiosk=True))
    assert len(list(tmp_path.iterdir())) == 2  # of the sockets and of the browser
    booth._commands = dict.fromkeys(("worker", "page"), waiting)
    with booth:
        pass
    assert list(tmp_path.iterdir()) == []
    booth = server.Booth(server.Options(kiosk=True))  # is never opened
    del booth
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(worker, "LONGEST", 1000)
    monkeypatch.setattr(server.shutil, "which", lambda name: None)
    monkeypatch.setattr(server, "PLACES", ())
    with pytest.raises(SdkitError, match="F11"):
        server.Booth(server.Options(kiosk=True))
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_booth_that_is_ended_from_outside_leaves_no_worker_and_no_folder(tmp_path, end):
    """It has a worker without a model and, instead of the page, a process that waits."""
    program = (
        "import sys; from sdkit.booth import server, worker; worker.LONGEST = 1000; "
        "waiting = [sys.executable, '-c', 'import time; time.sleep(3600)']; "
        "server.Booth.wait_until_open = lambda booth: None; begin = server.Booth.__init__; "
        "server.Booth.__init__ = lambda booth, options: (begin(booth, options), "
        "booth._commands.update(page=waiting))[0]; "
        "server.open_booth(server.Options(browser=False, model='none'))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    booth = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert "is open" in booth.stdout.readline()
    one, other = psutil.Process(booth.pid).children()
    painter, waits = (one, other) if "be_worker" in " ".join(one.cmdline()) else (other, one)
    (folder,) = tmp_path.glob("sdkit-booth-*")
    lab.wait(lambda: (folder / "worker").exists(), "the worker does not listen")
    booth.send_signal(end)
    booth.wait(60)
    lab.wait(lambda: not folder.exists(), "the folder stays")
    lab.wait(lambda: gone(painter), "the worker goes on")
    if end == signal.SIGTERM:
        assert gone(waits)
    else:  # the real page looks after its parent, too
        waits.kill()


def gone(process):
    """Whether it has ended; nobody may be there to read its exit status."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_verb_has_these_defaults():
    arguments = parser.make_parser().parse_args(["booth"])
    assert arguments.verb == ("serve", "booth")
    assert (arguments.ip, arguments.token, arguments.kiosk) == ("127.0.0.1", None, False)


def test_a_model_that_is_not_here_is_not_downloaded(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(server, "open_booth", lambda options: pytest.fail("it opened"))
    assert parser.main(["booth", "--model", "owner/name-that-is-not-here"]) == 2
    assert "downloads nothing" in capsys.readouterr().err


def test_the_page_of_a_kiosk_knows_it(monkeypatch):
    assert page.Booth().kiosk is False
    monkeypatch.setenv(page.KIOSK, "1")
    assert page.Booth().kiosk is True


def test_the_page_refuses_a_wrong_time_out():
    with pytest.raises(SdkitError, match="time-out"):
        page.Booth(time_out=0)
