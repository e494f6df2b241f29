"""Build the page with node, and serve it on this computer."""

import functools
import http.server
import shutil
import subprocess
from pathlib import Path

from sdkit.errors import COMMAND, SdkitError
from sdkit.files import ROOT

WEB = ROOT / "web"
DIST = WEB / "dist"
MODEL = WEB / "public" / "model"
# A page with the first two is isolated from other pages, so its WASM may use threads. The third one
# stands in index.html, too. As a header it also holds for the worker: no request to another host.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-cache",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves one folder, with `HEADERS`, and prints nothing."""

    extensions_map = {  # noqa: RUF012 (the class above has it like this)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def build() -> None:
    """Export the networks, install the packages of the lock file, and build the page.

    Raises `SdkitError` if node is not here, or if a step fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SdkitError("The page is built with node, and npm is not here. Install node 20.")
    from sdkit.web.export import export  # imports torch, which takes seconds

    export(MODEL)
    for step in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        if subprocess.run([npm, *step], cwd=WEB).returncode:
            raise SdkitError(f"npm {step[0]} failed in {WEB}. Its message stands above.")


def server(port: int = 0, folder: Path = DIST) -> http.server.ThreadingHTTPServer:
    """A server of the built page for this computer only; port 0 means any free one.

    Raises `SdkitError` if the page is not built, or if the port is taken.
    """
    if not (folder / "index.html").is_file() or not (folder / "model" / "model.json").is_file():
        raise SdkitError(f"The page is not built yet. Build it: {COMMAND} web build")
    handler = functools.partial(Handler, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise SdkitError(f"Port {port} is taken. Choose another: --port NUMBER") from error


def serve(port: int) -> None:
    """Serve the built page until Ctrl-C."""
    with server(port) as opened:
        print(f"The page: http://127.0.0.1:{opened.server_port}/   Ctrl-C ends it.", flush=True)
        try:
            opened.serve_forever()
        except KeyboardInterrupt:
            print()
