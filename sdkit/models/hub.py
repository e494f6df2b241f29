"""Download weights with the Hugging Face hub's own client, into its own cache, and check them.

This is the only module of the kit that uses the network. It does so only for a model that a person
asked for by name and that is not on the disk yet. It fetches safetensors, configurations and
tokenizers, and nothing else. Every fault becomes one sentence that says what to do.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sdkit.errors import COMMAND, OTHERS, SdkitError
from sdkit.models.formats import WEIGHTS, check, parts_of, read_index, weight_files

if TYPE_CHECKING:  # importing these takes a moment
    from httpx import Response
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoSibling

TIMEOUT = 20  # a download stops after so many seconds without progress
TRIES = 3  # a download stops after so many attempts that bring nothing new of a large file
NONSENSE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)  # of a strange answer
CHUNK = 2**16  # bytes that are written, and counted as progress, at a time
SMALL = 10_000_000  # bytes; a smaller file needs no progress bar

SENTENCES = {
    "offline": "{repo} is not on this computer, and HF_HUB_OFFLINE forbids downloads. "
    "Unset HF_HUB_OFFLINE, or use the kit's own model: mini.",
    "settings": "The settings for the network cannot be used ({what}). Look at HTTPS_PROXY, "
    "ALL_PROXY, SSL_CERT_FILE, HF_ENDPOINT and HF_TOKEN, and correct or unset the wrong one.",
    "name": "{repo!r} cannot be a name on the hub. A name is owner/name. "
    "{command} models lists some.",
    "busy": "Another program is fetching {repo} right now. Wait for it, then run this again.",
    "gone": "{repo} is not on the hub: it was removed, is private, or is misspelt. Use {others}.",
    "layout": "{repo} is not in the folder layout of diffusers (it has no model_index.json). "
    "Use another model, or download its .safetensors file and give its path.",
    "gated": "{repo} is gated: you must accept its licence first. Open {hub}/{repo} in a browser, "
    "log in and accept it. Then run `hf auth login` here, once.",
    "token": "The hub does not accept your token any more. Run `hf auth login` again, or "
    "`hf auth logout` (and unset HF_TOKEN): public models need no token.",
    "refused by the hub": "The hub refused access to {repo} ({what}). Run `hf auth login` with an "
    "account that may read it, or use {others}.",
    "refused by a proxy": "A proxy or firewall on the way to the hub refused access to {repo} "
    "({what}). Ask the people who run this network to allow it, or use another network.",
    "proxy login": "The proxy of this network needs a login (HTTP 407). Put name and password into "
    "the proxy's address, HTTPS_PROXY=http://name:password@host:port, and run this again.",
    "certificate": "The certificate of {hub} is not trusted ({what}). The proxy of a school or "
    "company often causes this. Ask for its certificate, and set SSL_CERT_FILE to that .pem file.",
    "missing": "The file {what} of {repo} is missing on the hub. "
    "Run this again later. If it is still missing, use {others}.",
    "damaged": "{what} of {repo} arrived damaged (its checksum is wrong) and was deleted. "
    "Run this again. If it happens again, a proxy may be changing files: use another network.",
    "trouble": "The hub {what}. Run this again in a few minutes: what has arrived is kept.",
    "line": "The hub at {hub} {what}. Check network, proxy (HTTPS_PROXY) and firewall, then run "
    "this again: what has arrived is kept. The kit's own model, mini, needs no network.",
    "disk": "The disk is too full for {repo}. Make room in {cache}, or set HF_HOME to a folder on "
    "another disk. What has arrived is kept.",
    "cache": "The hub's cache {cache} cannot be written ({what}). "
    "Change its permissions, or set HF_HOME to another folder.",
    "page": "The answer from {hub} does not come from a hub. It may be the login page of a "
    "wireless network. Log in there, or unset HF_ENDPOINT, and run this again.",
}


class Gone(SdkitError):
    """The repository is not on the hub (any more). Another repository may hold the same weights."""


def is_repository(name: str) -> bool:
    """Whether a name has the form of a repository on the hub: owner/name."""
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name))


def cached(repo: str, file: str | None = None) -> Path | None:
    """The folder of a repository in the hub's cache, or None if something is missing. No network.

    file : the one file that is needed of the repository; without it, a whole model is.
    """
    home = _home(repo)
    try:
        folder = home / "snapshots" / (home / "refs" / "main").read_text(encoding="utf-8").strip()
        if file is None:
            check(folder)
        return folder if file is None or (folder / file).is_file() else None
    except (OSError, ValueError):  # SdkitError is a ValueError
        return None


def fetch(repo: str, file: str | None = None, weights: bool = True) -> Path:
    """Download a repository into the hub's cache and return its folder there.

    file : the one file that is needed of the repository; without it, a whole model is.
    weights : False leaves the weights out.

    Shows a progress bar. Goes on where an earlier download of a large file broke off. Raises `Gone`
    if the repository is not on the hub, and `SdkitError` for everything else.
    """
    import filelock
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError
    from huggingface_hub.utils import build_hf_headers, close_session, get_session

    # the value "on" is the kit's own switch; see sdkit/__init__.py
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES"):
        raise _error("offline", repo)
    close_session()  # a kernel runs for a long time: read the settings again, and forget cookies
    try:
        get_session().build_request("GET", constants.ENDPOINT, headers=build_hf_headers())
    except Exception as error:
        raise _error("settings", repo, str(error)[:150]) from error
    before = constants.HF_HUB_OFFLINE, constants.DOWNLOAD_CHUNK_SIZE
    try:
        _home(repo).mkdir(parents=True, exist_ok=True)
        # the system lifts the lock if a program is killed
        with filelock.FileLock(_home(repo) / ".sdkit.lock", timeout=0):
            constants.HF_HUB_OFFLINE, constants.DOWNLOAD_CHUNK_SIZE = False, CHUNK
            return _watch(lambda bar: _download(repo, file, weights, bar))
    except SdkitError:
        raise
    except (OSError, HTTPError, *NONSENSE) as error:
        raise _explain(error, repo) from error
    finally:
        constants.HF_HUB_OFFLINE, constants.DOWNLOAD_CHUNK_SIZE = before


def _home(repo: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, "models--" + repo.replace("/", "--"))


def _download(repo: str, file: str | None, weights: bool, bar: type) -> Path:
    """Bring the files of a repository and check them. `bar` is a tqdm class; see `_watch`."""
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(repo, files_metadata=True, timeout=TIMEOUT)
    if not re.fullmatch(r"[0-9a-f]{40}", info.sha or ""):
        raise ValueError(f"no commit: {info.sha}")
    listed = {entry.rfilename: entry for entry in info.siblings or []}
    folder, blobs = _home(repo) / "snapshots" / info.sha, _home(repo) / "blobs"

    def bring(names: list[str]) -> None:
        if missing := [name for name in names if name not in listed]:
            raise _error("missing", repo, missing[0])
        blobs.mkdir(exist_ok=True)
        entries = [listed[name] for name in names]
        for entry in entries:  # checksums become names of files here
            if not re.fullmatch(r"[0-9a-f]{40}", entry.blob_id or ""):
                raise ValueError(f"no checksum: {entry.blob_id}")
            if entry.lfs and not (
                re.fullmatch(r"[0-9a-f]{64}", entry.lfs.sha256) and entry.lfs.size > 0
            ):
                raise ValueError(f"no checksum or size: {entry.lfs}")
        once = {e.lfs.sha256: e for e in entries if e.lfs}.values()
        large = [entry for entry in once if not (blobs / entry.lfs.sha256).is_file()]
        there = sum(path.stat().st_size for path in blobs.glob("*.part"))
        if sum(entry.lfs.size for entry in large) - there > shutil.disk_usage(blobs).free:
            raise OSError(errno.ENOSPC, "No space left on device")
        for entry in large:
            _bring_large(repo, info.sha, entry, blobs, bar)
        snapshot_download(repo, revision=info.sha, allow_patterns=names, tqdm_class=bar)
        if missing := [name for name in names if not (folder / name).is_file()]:
            # the client keeps the hub's listing for ever, even a wrong one
            (blobs.parent / "trees" / f"{info.sha}.json").unlink(missing_ok=True)
            raise _error("missing", repo, missing[0])
        damaged = [e for e in entries if not _right(folder / e.rfilename, e, blobs, bar)]
        if damaged:
            raise _error("damaged", repo, damaged[0].rfilename)

    if file:
        bring([file])
    elif "model_index.json" not in listed:
        raise _error("layout", repo)
    else:
        bring(["model_index.json"])  # it says which parts there are
        parts = parts_of(read_index(folder, repo), repo)
        wanted = [part for part in parts if weights and part in WEIGHTS]
        large = [name for part in wanted for name in weight_files(listed, part, repo)]
        small = rf"({'|'.join(parts)})/[\w.-]+\.(json|txt)"
        bring(sorted(large + [name for name in listed if re.fullmatch(small, name)]))
    # `cached` and the client look here, so this comes last: now everything is there
    (folder.parent.parent / "refs").mkdir(exist_ok=True)
    (folder.parent.parent / "refs" / "main").write_text(info.sha, encoding="utf-8")
    return folder


def _bring_large(repo: str, commit: str, entry: "RepoSibling", blobs: Path, bar: Any) -> None:
    """Download a large file to where the client looks for it, and go on from what is there of it.

    `snapshot_download` could do this, too, but when it fails it deletes the part that has arrived.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    part, tries, most = blobs / f"{entry.lfs.sha256}.part", TRIES, 0
    while True:
        try:
            with open(part, "ab") as file:
                http_get(
                    hf_hub_url(repo, entry.rfilename, revision=commit),
                    file,
                    resume_size=file.tell(),
                    expected_size=entry.lfs.size,
                    headers={**build_hf_headers(), "Accept-Encoding": "identity"},
                    displayed_filename=entry.rfilename,
                    tqdm_class=bar,
                )
            os.replace(part, blobs / entry.lfs.sha256)
            return
        except (OSError, ValueError, HTTPError) as error:
            answer = getattr(error, "response", None)
            refused = answer is not None and answer.status_code != 416
            if refused or getattr(error, "errno", None) or "Redirect" in type(error).__name__:
                raise
            if bar.given_up.is_set():  # closing the session, in `_watch`, led to this error
                raise
            if answer is not None or not isinstance(error, HTTPError):
                part.unlink()  # these bytes are not the file, or the server cannot go on from there
            had = part.stat().st_size if part.is_file() else 0
            tries = TRIES if had > most else tries - 1
            if not tries:
                raise
            most = max(had, most)


def _right(path: Path, entry: "RepoSibling", blobs: Path, bar: type) -> bool:
    """Whether a file has the hub's checksum (the client does not look). If not, it is deleted.

    The hub gives the SHA-256 of large files, and git's SHA-1 of the others.
    """
    expected = entry.lfs.sha256 if entry.lfs else entry.blob_id
    digest = hashlib.sha256() if entry.lfs else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file, bar() as progress:
        while data := file.read(2**20):
            digest.update(data)
            progress.update(0)
    right = digest.hexdigest() == expected
    if not right or not path.is_symlink():  # no link: Windows, where the client made a second copy
        (blobs / expected).unlink(missing_ok=True)
    if not right:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return right


def _watch(work: Callable[[type], Path]) -> Path:
    """Do `work` in a thread, and raise `TimeoutError` after `TIMEOUT` seconds without progress.

    `work` gets a tqdm class for its progress bars. The client's own time limits do not end
    everything: the lookup of a name, or a server that sends a byte now and then, may never end.
    """
    from huggingface_hub.utils import close_session, get_session
    from tqdm.auto import tqdm

    result, moved, given_up = Future(), time.monotonic(), threading.Event()

    class Bar(tqdm):
        def __init__(
            self,
            *arguments: Any,
            total: float | None = None,
            unit: str = "it",
            **keywords: Any,
        ):
            hidden = unit != "B" or (total or 0) < SMALL
            keywords |= {"total": total, "unit": unit, "leave": False, "disable": hidden}
            super().__init__(*arguments, **keywords)
            self.room = total - self.n if unit == "B" and total else float("inf")

        def update(self, n: float = 1) -> bool | None:
            nonlocal moved
            moved = time.monotonic()
            self.room -= n
            if given_up.is_set():
                raise KeyboardInterrupt  # ends this thread: nobody waits for it any more
            if self.room < 0:
                raise ValueError("more bytes than announced")
            return super().update(n)

    def run() -> None:
        try:
            result.set_result(work(Bar))
        except BaseException as error:
            result.set_exception(error)

    Bar.given_up = given_up
    get_session().event_hooks["response"].append(_refuse)
    # a daemon: Python does not wait for it at its end
    threading.Thread(target=run, daemon=True).start()
    try:
        while time.monotonic() - moved < TIMEOUT and not result.done():
            with contextlib.suppress(TimeoutError):
                result.exception(timeout=0.2)  # short, so that Ctrl-C is heard on Windows
        return result.result(timeout=0)
    finally:
        given_up.set()
        close_session()


def _refuse(response: "Response") -> None:
    """Raise the error of an answer at once. The client would wait as long as the server says."""
    from huggingface_hub.utils import hf_raise_for_status

    hf_raise_for_status(response)
    if not response.is_redirect and "html" in response.headers.get("Content-Type", ""):
        raise ValueError("a web page, not a file")


def _error(key: str, repo: str, what: object = "") -> SdkitError:
    from huggingface_hub import constants

    values = {"hub": constants.ENDPOINT, "cache": constants.HF_HUB_CACHE, "what": what}
    sentence = SENTENCES[key].format(repo=repo, command=COMMAND, others=OTHERS, **values)
    return (Gone if key == "gone" else SdkitError)(sentence)


def _explain(error: Exception, repo: str) -> SdkitError:
    """The `SdkitError` for an error of the client, the network or the disk."""
    import filelock
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
    )

    if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__  # the client says "not in the cache", and hides the reason
    text, kind = str(error), type(error).__name__
    if isinstance(error, HFValidationError):
        return _error("name", repo)
    if isinstance(error, filelock.Timeout):
        return _error("busy", repo)
    if isinstance(error, HfHubHTTPError):
        return _error(*_refusal(error, repo))
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return _error("certificate", repo, re.sub(r".*verify failed: | \(_ssl.*", "", text))
    if kind == "ProxyError":
        if text.startswith(("403", "407")):
            return _error(
                "proxy login" if "407" in text else "refused by a proxy", repo, text[:100]
            )
        return _error("line", repo, f"cannot be reached through the proxy ({text[:100]})")
    if isinstance(error, TimeoutError) or "Timeout" in kind:
        return _error("line", repo, f"was silent, or far too slow, for {TIMEOUT} s")
    if isinstance(error, HTTPError):
        never = "Connect" in kind or "Redirect" in kind
        return _error("line", repo, "cannot be reached" if never else "broke off the connection")
    if number := getattr(error, "errno", None):
        full = number in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
        return _error("disk" if full else "cache", repo, os.strerror(number))
    return _error("page", repo)


def _refusal(error: "HfHubHTTPError", repo: str) -> tuple[str, str, str]:
    """What an answer with an HTTP status of 400 or more means: the arguments of `_error`."""
    from huggingface_hub.errors import DisabledRepoError, GatedRepoError, RepositoryNotFoundError

    headers, status = error.response.headers, error.response.status_code
    code, said = headers.get("X-Error-Code", ""), headers.get("X-Error-Message", "")
    file = re.search(r"/resolve/[^/]+/(.+)", error.response.url.path)
    if isinstance(error, GatedRepoError):
        return "gated", repo, ""
    if "invalid credentials" in said.lower():
        return "token", repo, ""
    if isinstance(error, (RepositoryNotFoundError, DisabledRepoError)):
        return "gone", repo, ""
    if status in (404, 410) and file:
        return "missing", repo, unquote(file[1])
    if status in (404, 410, 451):
        return "gone", repo, ""
    if status == 407:
        return "proxy login", repo, ""
    if status in (401, 403):
        # the hub and its servers number their answers, a proxy does not
        by = "the hub" if code or said or error.request_id else "a proxy"
        return f"refused by {by}", repo, f"HTTP {status}"
    does = "asks for fewer requests" if status == 429 else "refuses the request"
    return "trouble", repo, f"{'has trouble' if status >= 500 else does} (HTTP {status})"
