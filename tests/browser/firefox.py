"""The Firefox that is installed here, driven over WebDriver BiDi, the standard of the W3C.

Playwright drives only a Firefox of its own, which it must download first. An ordinary Firefox
answers at a websocket, and the few commands that one visit needs are below.
https://w3c.github.io/webdriver-bidi/
"""

import itertools
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import websocket

from tests.browser import lab

KEYS = {"ArrowRight": "\ue014", "Home": "\ue011"}  # as the standard numbers them
# The camera shows a test picture and is allowed; files are saved without a question.
SETTINGS = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "browser.download.folderList": 2,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.disabledForTesting": True,
    "pdfjs.disabled": True,  # otherwise a PDF opens instead of being saved
}


class Page:
    """A page in a headless Firefox. Use it in a ``with``.

    addresses : all that the page asked for. errors : what it wrote to its console as an error.
    """

    def __init__(self, program):
        self._program = program
        self._numbers = itertools.count(1)
        self.addresses, self.errors = [], []

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="sdkit-firefox-")
        profile, self.saved = Path(self._folder.name, "profile"), Path(self._folder.name, "saved")
        profile.mkdir()
        self.saved.mkdir()
        settings = {**SETTINGS, "browser.download.dir": str(self.saved)}
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(settings[name])});" for name in settings
        ]
        (profile / "user.js").write_text("\n".join(lines))
        log = Path(self._folder.name, "log.txt")
        command = [self._program, "--headless", "--no-remote", "--profile", str(profile)]
        command += ["--remote-debugging-port", str(lab.free_port())]
        with log.open("w") as file:
            self._process = subprocess.Popen(
                command,
                stdout=file,
                stderr=file,
                env={**os.environ, "HOME": self._folder.name},
            )
        try:
            self._connect(log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self, log):
        """Find in the log where Firefox listens, and begin."""

        def address():
            return re.search(r"BiDi listening on (ws://\S+)", log.read_text())

        lab.wait(address, "Firefox did not open")
        self._socket = websocket.create_connection(
            f"{address()[1]}/session", timeout=lab.PATIENCE, suppress_origin=True
        )
        self._send("session.new", capabilities={})
        events = ["network.beforeRequestSent", "log.entryAdded"]
        self._send("session.subscribe", events=events)
        self._page = self._send("browsingContext.getTree")["contexts"][0]["context"]
        viewport = {"width": 1280, "height": 860}
        self._send("browsingContext.setViewport", context=self._page, viewport=viewport)

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _send(self, method, **parameters):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]
            self._hear(answer.get("method"), answer.get("params"))

    def _hear(self, method, event):
        if method == "network.beforeRequestSent":
            self.addresses.append(event["request"]["url"])
        elif method == "log.entryAdded" and event["level"] == "error":
            self.errors.append(event["text"])

    def open(self, address):
        self._send("browsingContext.navigate", context=self._page, url=address, wait="complete")

    def ask(self, expression):
        """The value of an expression in JavaScript: a text, a number or a truth value."""
        return self._evaluate(expression).get("value")

    def _evaluate(self, expression):
        target = {"context": self._page}
        answer = self._send(
            "script.evaluate", expression=expression, target=target, awaitPromise=True
        )
        assert answer["type"] == "success", answer
        return answer["result"]

    def wait(self, expression):
        lab.wait(lambda: self.ask(f"!!({expression})"), f"Firefox waits for {expression}")

    def find(self, selector, text=""):
        """The first visible element that a CSS selector fits and whose text begins so."""
        found = f"""[...document.querySelectorAll({json.dumps(selector)})].find(
            n => n.checkVisibility() && n.textContent.trim().startsWith({json.dumps(text)}))"""
        self.wait(found)
        self.ask(f"{found}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
        return self._element(found)

    def _element(self, expression):
        """An element of the page, as the commands of the standard name it."""
        return {"sharedId": self._evaluate(expression)["sharedId"]}

    def click(self, selector, text=""):
        """Click with the mouse on what `find` finds."""
        place = {"type": "element", "element": self.find(selector, text)}
        moves = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": place},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": moves}
        self._send("input.performActions", context=self._page, actions=[mouse])

    def press(self, key):
        presses = [{"type": kind, "value": KEYS[key]} for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": presses}
        self._send("input.performActions", context=self._page, actions=[keyboard])

    def choose(self, selector, files):
        """Give files to a field for files."""
        element = self._element(f"document.querySelector({json.dumps(selector)})")
        paths = [str(file) for file in files]
        self._send("input.setFiles", context=self._page, element=element, files=paths)

    def download(self, text, selector="button"):
        """Press a button or a link that saves a file: its name and its bytes."""
        before = set(self.saved.iterdir())
        self.click(selector, text)

        def finished():
            new = set(self.saved.iterdir()) - before
            whole = [file for file in new if file.suffix != ".part" and file.stat().st_size]
            return whole if len(whole) == len(new) == 1 else None

        lab.wait(finished, f"{text} saved no file")
        (file,) = finished()
        return file.name, file.read_bytes()
