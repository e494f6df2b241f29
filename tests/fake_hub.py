"""A hub on this computer: it serves folders to the real client, and makes faults on request."""

import hashlib
import http.server
import json
import re
import ssl
import subprocess
import threading
import time
from pathlib import Path

COMMIT = "a" * 40


def encrypt(socket, certificate):
    """The socket of a server, with a certificate that it signed itself."""
    key = Path(certificate).with_suffix(".key")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context.wrap_socket(socket, server_side=True)


class Hub:
    """A server of model repositories; ``with Hub({"owner/name": folder}) as hub:`` starts it.

    Its address is hub.url. Its attributes set the faults.
    """

    def __init__(self, repositories, certificate=None):
        """certificate : where to write a certificate of this server; without it, it speaks http."""
        self.certificate = certificate
        self.repositories = {name: Path(folder) for name, folder in repositories.items()}
        self.status = {}  # {repository: (HTTP status, headers)}, instead of an answer
        self.fails_files = {}  # {file's end: HTTP status} for GET
        self.cuts = 0  # the number of answers that break off in the middle
        self.silent = False  # True: connections are accepted, but never answered
        self.ranges = True  # False: every answer is the whole file
        self.lies = False  # True: one bit of large files is flipped
        self.nonsense = False  # True: the answer to everything is a login page
        # a function of the request's handler, that returns True if it has answered the request
        self.odd = None
        self.requests = []  # (method, path, Range)

    def file(self, path):
        for name, folder in self.repositories.items():
            start = f"/{name}/resolve/"
            if path.startswith(start):
                return name, folder / path[len(start) :].split("/", 1)[1]
        return None, None

    def __enter__(self):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(key.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                hub.requests.append((self.command, self.path, self.headers.get("Range")))
                path = self.path.split("?")[0]
                if hub.odd and hub.odd(self):
                    return
                while hub.silent:
                    time.sleep(0.05)
                if hub.nonsense:
                    return self.answer(200, b"<html>Please log in</html>", Content_Type="text/html")
                if path.startswith("/api/models/"):
                    return self.repository(path[len("/api/models/") :])
                name, file = hub.file(path)
                if name in hub.status:
                    status, headers = hub.status[name]
                    return self.answer(status, **headers)
                if file is None or not file.is_file():
                    return self.answer(404, X_Error_Code="EntryNotFound")
                self.content(file)

            do_HEAD = do_GET

            def repository(self, path):
                """The answer about a repository as a whole, or about its files ("/tree/main")."""
                name, tree = re.split("/(?:revision|tree)/", path)[0], "/tree/" in path
                if name in hub.status:
                    status, headers = hub.status[name]
                    return self.answer(status, **headers)
                if name not in hub.repositories:
                    return self.answer(404, X_Error_Code="RepoNotFound")
                folder = hub.repositories[name]
                files = [
                    self.about(path, path.relative_to(folder).as_posix(), tree)
                    for path in sorted(folder.rglob("*"))
                    if path.is_file()
                ]
                about = files if tree else {"id": name, "sha": COMMIT, "siblings": files}
                self.answer(200, json.dumps(about).encode(), Content_Type="application/json")

            def about(self, file, name, tree):
                """What the two answers say about a file: they use different words for the same."""
                data, large = file.read_bytes(), file.suffix == ".safetensors"
                git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                sha = hashlib.sha256(data).hexdigest()
                lfs = {"size": len(data), "pointerSize": 134, "oid" if tree else "sha256": sha}
                words = ("path", "oid") if tree else ("rfilename", "blobId")
                about = {words[0]: name, words[1]: git, "size": len(data), "type": "file"}
                return {**about, "lfs": lfs} if large else about

            def content(self, file):
                data = file.read_bytes()
                large = file.suffix == ".safetensors"
                git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                etag = hashlib.sha256(data).hexdigest() if large else git
                headers = {"ETag": f'"{etag}"', "X_Repo_Commit": COMMIT}
                if large:
                    headers |= {"X_Linked_ETag": f'"{etag}"', "X_Linked_Size": str(len(data))}
                if self.command == "HEAD":
                    self.send_response(200)
                    for key, value in {**headers, "Content-Length": str(len(data))}.items():
                        self.send_header(key.replace("_", "-"), value)
                    return self.end_headers()
                for end, status in hub.fails_files.items():
                    if file.name.endswith(end):
                        return self.answer(status)
                if hub.lies and large:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                asked = self.headers.get("Range") if hub.ranges else None
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                if asked:
                    headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                body = data[start:]
                if hub.cuts and large:
                    hub.cuts -= 1
                    self.send_response(206 if asked else 200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    self.close_connection = True
                    return self.connection.shutdown(2)
                self.answer(206 if asked else 200, body, **headers)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.handler = Handler
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if self.certificate:
            self.url = self.url.replace("http:", "https:")
            self.server.socket = encrypt(self.server.socket, self.certificate)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.silent = False
        self.server.shutdown()
        self.server.server_close()
