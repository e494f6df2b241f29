"""Open the booth: a worker that keeps the model loaded, and Voilà, which shows the page.

Both are separate processes, and so is the browser of a kiosk. If one of them ends, it is started
again. Voilà serves the page and the files of JupyterLab's widgets. It serves no other file, shows
no code, and accepts no code. Without a token it listens on this machine only.
"""

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdkit.booth import page, visit, worker
from sdkit.errors import SdkitError
from sdkit.files import ROOT

NOTEBOOK = ROOT / "notebooks" / "photo_booth.ipynb"
SHARE = Path(__file__).parent / "share"  # holds Voilà's template for the page
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MESSAGE = 64 * 2**20  # bytes of the largest photograph's message; tornado's own limit is 10 MiB
PING = 30_000  # ms between two questions whether a page still answers
FAST = 5  # so many ends within a minute are not a mishap any more
OPENED = 3  # seconds; a browser that ran for longer was closed by a visitor, with Alt-F4
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PLACES = (  # where browsers are that are not on the PATH
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)


@dataclass(frozen=True)
class Options:
    """How to open the booth.

    ip : address to listen at. Any address except the loopback needs a token. If none is given, the
        booth makes one.
    time_out : seconds without a sign of a visitor, after which the visit is forgotten.
    kiosk : fill the screen with a browser that has no menus, and start it again when it ends.
    """

    ip: str = "127.0.0.1"
    port: int = 8866
    token: str | None = None
    time_out: float = visit.TIME_OUT
    kiosk: bool = False
    browser: bool = True
    model: str = "mini"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise SdkitError(f"There is no port {self.port}. Choose one from 1024 to 65535.")
        if not 5 <= self.time_out <= 86_400:
            raise SdkitError(
                f"A time-out of {self.time_out:g} s is not from 5 to 86400. Choose one."
            )
        if self.token is not None and (len(self.token) < 8 or not self.token.isalnum()):
            raise SdkitError("A token needs at least 8 letters or digits. Give a longer one.")

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the booth."""
        return self.ip in LOOPBACK


def voila_settings(
    options: Options, port: int, token: str | None, folder: str
) -> dict[str, dict[str, Any]]:
    """The settings of Voilà, by its classes. In `folder` are the sockets of its kernels."""
    return {
        "Voila": {
            "ip": options.ip,
            "port": port,
            "port_retries": 0,
            "token": token or "",
            "open_browser": False,
            "log_level": "ERROR",
            "config_file_paths": [],
            "connection_dir_root": folder,
            "tornado_settings": {
                "websocket_max_message_size": MESSAGE,
                # A closing page ends its kernel by a request that has no such cookie. Other sites
                # cannot do that, because they do not know the kernel's number.
                "disable_check_xsrf": True,
                # The first answer can come only after the first ping, which is sent after one
                # interval. So the time to wait must be longer than that.
                "ws_ping_interval": PING,
                "ws_ping_timeout": 3 * PING,
                # answer only to the names of this machine, so that no other site can use its name
                "allow_remote_access": not options.local,
                "local_hostnames": list(LOOPBACK),
            },
        },
        "VoilaConfiguration": {
            "template": "booth",
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "file_allowlist": [],
            "file_denylist": [".*"],
            "extension_allowlist": [
                "@jupyter-widgets/jupyterlab-manager",
                "@voila-dashboards/widgets-manager8",
                "anywidget",
            ],
            "multi_kernel_manager_class": "sdkit.booth.kernels.Kernels",
            # one kernel is ready for the next visitor
            "preheat_kernel": True,
            "default_pool_size": 1,
        },
        # ends the kernel of a page that was left without a message
        "MappingKernelManager": {
            "cull_idle_timeout": max(60, round(options.time_out)),
            "cull_interval": 15,
        },
        # no other user of this machine reaches the kernels; Windows has only TCP
        "KernelManager": {"transport": "tcp" if os.name == "nt" else "ipc"},
    }


def show_page(settings: dict[str, dict[str, Any]]) -> None:
    """Run Voilà until the process ends."""
    _end_with_parent()
    # jupyter_server gives tornado these times, too, and tornado warns that the wait is too long
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    from traitlets.config import Config
    from voila.app import Voila

    Voila.launch_instance(argv=[str(NOTEBOOK)], config=Config(settings))


def be_worker(model: str) -> None:
    """Run the worker until the process ends. Address and key are in the environment."""
    address, key = worker.whereabouts()
    _end_with_parent(address)
    worker.run(address, key, model=model)


def _end_with_parent(address: str | None = None) -> None:
    """End this process soon after its parent, also if the parent was killed.

    address : of the worker; its folder, which the parent could not delete either, is deleted.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2)
        if address and os.name != "nt":
            shutil.rmtree(Path(address).parent, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class Booth:
    """The processes of an open booth, and the address of its page. Use it in a ``with``.

    Raises `SdkitError` if the notebook, a free port, or a browser for the kiosk is missing.
    """

    def __init__(self, options: Options) -> None:
        if not NOTEBOOK.is_file():
            raise SdkitError(
                "The booth needs notebooks/photo_booth.ipynb. Clone the whole repository, and "
                "start it there: python3 run.py booth."
            )
        self.options = options
        self._port = _free_port(options)
        token = options.token or (None if options.local else secrets.token_hex(16))
        self.address = f"http://{_host(options.ip)}:{self._port}/"
        if token:
            self.address += f"?token={token}"
        # The folder of the sockets and the browser's profile. They are deleted with this object, at
        # the latest when the process ends.
        self._folders = [worker.new_folder()]
        settings = voila_settings(options, self._port, token, self._folders[0].name)
        program = "from sdkit.booth import server; server."
        self._commands = {
            "worker": [sys.executable, "-c", f"{program}be_worker({options.model!r})"],
            "page": [sys.executable, "-c", f"{program}show_page({settings!r})"],
        }
        address = worker.address_in(self._folders[0].name)
        self._environment = _environment(options, f"{address} {secrets.token_hex(32)}")
        if options.kiosk:
            self._folders.append(tempfile.TemporaryDirectory(prefix="sdkit-kiosk-"))
            self._commands["browser"] = kiosk_command(self.address, self._folders[1].name)
        self._running: dict[str, subprocess.Popen] = {}
        self._starts: dict[str, float] = {}  # when processes started
        self._ends: list[float] = []  # when processes ended

    def __enter__(self) -> "Booth":
        self._start("worker")
        self._start("page")
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for folder in self._folders:
            folder.cleanup()

    def wait_until_open(self) -> None:
        """Wait until the page answers; in a kiosk, open the browser then."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            self.mend()
            with contextlib.suppress(OSError):
                socket.create_connection((_reachable(self.options.ip), self._port), 1).close()
                if "browser" in self._commands:
                    self._start("browser")
                return
            time.sleep(0.2)
        raise SdkitError("The page does not open. Read the lines above, and start again.")

    def mend(self) -> None:
        """Start each process again that has ended. Raises `SdkitError` if they keep ending."""
        for name, process in list(self._running.items()):
            if process.poll() is None:
                continue
            now = time.monotonic()
            self._ends = [t for t in self._ends if now - t < 60]
            if name != "browser" or now - self._starts[name] < OPENED:
                self._ends.append(now)
            if len(self._ends) > FAST:
                raise SdkitError(
                    f"The booth's {name} ended {FAST} times within a minute. Read the lines above."
                )
            print(f"The booth's {name} ended and is started again.", file=sys.stderr)
            self._start(name)

    def _start(self, name: str) -> None:
        self._starts[name] = time.monotonic()
        # in a session of its own, so that Ctrl-C reaches this process first, which ends the others
        self._running[name] = subprocess.Popen(
            self._commands[name],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def open_booth(options: Options) -> None:
    """Open the booth and keep it open until Ctrl-C, or until somebody ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leaves the `with`
    with Booth(options) as booth:
        booth.wait_until_open()
        print(f"The photo booth is open: {booth.address}", flush=True)
        print("Ctrl-C closes it.", flush=True)
        if options.browser and not options.kiosk:
            webbrowser.open(booth.address)
        while True:
            time.sleep(0.5)
            booth.mend()


def kiosk_command(address: str, profile: str) -> list[str]:
    """The command of a browser that fills the screen, for a Chromium, Chrome or Edge.

    profile : an empty folder for it. Raises `SdkitError` if there is no such browser.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None) or next(
        (path for path in PLACES if Path(path).is_file()), None
    )
    if not found:
        raise SdkitError(
            "A kiosk needs Chromium, Chrome or Edge, and there is none here. Install one, or open "
            "the booth without --kiosk and press F11 in the browser."
        )
    return [
        found,
        "--kiosk",
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-features=Translate",
        "--disable-pinch",
        "--overscroll-history-navigation=0",
        "--use-fake-ui-for-media-stream",  # the camera is allowed without a question
        address,
    ]


def _environment(options: Options, worker_at: str) -> dict[str, str]:
    """The environment of the processes. The kernels of the visitors inherit it."""
    share = [str(SHARE), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    kit = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        worker.VARIABLE: worker_at,
        page.TIME_OUT: str(options.time_out),
        page.KIOSK: "1" if options.kiosk else "0",
        "JUPYTER_PATH": os.pathsep.join(share),
        "PYTHONPATH": os.pathsep.join(kit),
    }


def _host(ip: str) -> str:
    """The name for `ip` in the address of the page."""
    if ip in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{ip}]" if ":" in ip else ip


def _reachable(ip: str) -> str:
    """An address of this machine at which a server that listens at `ip` answers."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip)


def _free_port(options: Options) -> int:
    """The port that was asked for, or the next free one of ten."""
    for port in range(options.port, options.port + 10):
        with socket.socket(socket.AF_INET6 if ":" in options.ip else socket.AF_INET) as probe:
            if os.name != "nt":  # there it would allow a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((options.ip, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise SdkitError(
        f"No port from {options.port} to {options.port + 9} is free at {options.ip}. "
        "Choose another with --port, or check --ip."
    )
