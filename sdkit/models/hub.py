"""Weights from the Hugging Face hub into its own cache: only safetensors, checked, taken up again where a line broke.

The only place of the kit that opens a socket, and only where a person named a model that is not on the disk yet.
Every fault becomes one sentence with a remedy: see `sdkit.models.network`.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from sdkit.errors import SdkitError
from sdkit.models import network
from sdkit.models.formats import WEIGHTS, check, parts_of, read_index, weight_files

TIMEOUT = 5  # seconds that the hub may be silent, and may take for an answer that is no download
SLOWEST = 1000  # bytes in a second; below, a download counts as broken off
TRIES = 3  # in a row, when a download breaks off


def cached(repo, file=None):
    """The folder of a repository in the hub's cache when all of it is there, otherwise None. No network.

    With `file`, a repository that is wanted for this one file only.
    """
    home = _home(repo)
    try:
        folder = home / "snapshots" / (home / "refs" / "main").read_text(encoding="utf-8").strip()
        if file is None:
            check(folder)
        return folder if file is None or (folder / file).is_file() else None
    except (OSError, ValueError):  # SdkitError is one
        return None


def _home(repo):
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, "models--" + repo.replace("/", "--"))


def fetch(repo, file=None, weights=True):
    """Bring a repository into the hub's cache and return its folder there; see `cached` for `file`.

    weights : False leaves them out, for a single file has its own.

    Shows a bar. What had arrived before an interruption is not fetched again. Raises `SdkitError`, and `network.Gone`
    where another repository may hold the same.
    """
    # "on" is the kit's own word: see __init__
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES"):
        raise SdkitError(
            f"{repo} is not on this computer, and HF_HUB_OFFLINE forbids to fetch it. "
            "Unset HF_HUB_OFFLINE, or take the kit's own model: mini."
        )
    from huggingface_hub import HfApi, constants

    network.look_at_settings()
    home = _home(repo)
    with network.faults(repo, TIMEOUT), network.online(), _alone(home):
        info = _soon(HfApi(endpoint=constants.ENDPOINT).model_info, repo, timeout=TIMEOUT)
        if not re.fullmatch(r"\w{1,64}", info.sha or ""):
            raise ValueError(info.sha)
        names = {sibling.rfilename for sibling in info.siblings or []}
        folder = home / "snapshots" / info.sha
        if file:
            _bring(repo, home, folder, [file])
        else:
            if "model_index.json" not in names:
                raise SdkitError(
                    f"{repo} is not laid out as a Stable Diffusion of diffusers (no model_index.json). "
                    "Take another, or download its .safetensors file and give its path."
                )
            _bring(repo, home, folder, ["model_index.json"])
            parts = parts_of(read_index(folder, repo), repo)
            settings = [
                n
                for n in names
                if n.split("/")[0] in parts and re.fullmatch(r"\w+/[\w.-]+\.(json|txt)", n)
            ]
            _bring(
                repo,
                home,
                folder,
                sorted(
                    settings
                    + [
                        name
                        for part in parts
                        if weights and part in WEIGHTS
                        for name in weight_files(names, part, repo)
                    ]
                ),
            )
        (home / "refs").mkdir(exist_ok=True)
        # last: now all of it is there
        (home / "refs" / "main").write_text(info.sha, encoding="utf-8")
    return folder


def _bring(repo, home, folder, names):
    """Download the files `names` of a repository, check them, and put them where the hub's cache has them."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from tqdm.auto import tqdm

    names, todo = [name for name in names if not (folder / name).is_file()], []
    for name in names:
        url = hf_hub_url(repo, name, revision=folder.name, endpoint=constants.ENDPOINT)
        about = _soon(get_hf_file_metadata, url, token=None, timeout=TIMEOUT)
        if not re.fullmatch(r"[\w-][\w.-]{0,127}", about.etag or "") or (about.size or 0) < 0:
            raise ValueError(about.etag)
        todo.append((name, url, about.etag, about.size or 0))
    (home / "blobs").mkdir(parents=True, exist_ok=True)
    total = sum(size for _, _, etag, size in todo if not (home / "blobs" / etag).is_file())
    there = sum(path.stat().st_size for path in home.glob("blobs/*.part"))
    if total - there > shutil.disk_usage(home).free:
        raise OSError(errno.ENOSPC, "")
    with tqdm(
        total=total, unit="B", unit_scale=True, desc=repo, disable=total < 10e6, leave=False
    ) as bar:
        for name, url, etag, size in todo:
            blob, part = home / "blobs" / etag, home / "blobs" / f"{etag}.part"
            if not blob.is_file():
                _download(url, part, size, bar, repo)
                if not _right(part, etag, size):
                    part.unlink()
                    raise SdkitError(
                        f"{name} of {repo} arrived damaged (its checksum is not the hub's) and was "
                        "deleted. Run it again; if it stays so, a proxy changes files: change network."
                    )
                os.replace(part, blob)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()  # a link into nowhere
            try:
                (folder / name).symlink_to(os.path.relpath(blob, (folder / name).parent))
            except OSError:  # Windows, where links need a permission
                shutil.move(blob, folder / name)


def _download(url, part, size, bar, repo):
    """Append to the file `part` what of `url` is missing from it; the hub's checksum is looked at afterwards."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError
    from huggingface_hub.utils import hf_raise_for_status

    if not size:
        part.unlink(missing_ok=True)  # there would be no telling where to go on
    broken, had = 0, part.stat().st_size if part.is_file() else 0
    bar.update(had)
    while not size or had < size:
        start, trouble, paused, began = had, None, had, time.monotonic()
        try:
            with contextlib.closing(_soon(_open, url, had)) as answer:
                resumed = (
                    had
                    and answer.status_code == 206
                    and (
                        answer.headers.get("Content-Range", f"bytes {had}-").startswith(
                            f"bytes {had}-"
                        )
                    )
                )
                if not resumed:
                    bar.update(-had)
                    had = 0
                # a server that cannot go on from there: all of it anew
                if start and answer.status_code == 416:
                    part.unlink()
                    continue
                hf_raise_for_status(answer)
                length = answer.headers.get("Content-Length", size - had)
                if size and int(length) != size - had and "Content-Encoding" not in answer.headers:
                    raise ValueError(length)  # a page about something, not the file
                with open(part, "ab" if resumed else "wb") as file:
                    for chunk in answer.iter_bytes():
                        file.write(chunk)
                        had += len(chunk)
                        bar.update(len(chunk))
                        if had > size > 0:
                            return  # without an end: the checksum tells
                        if time.monotonic() - began > TIMEOUT:
                            if had - paused < SLOWEST * TIMEOUT:
                                raise TimeoutError
                            paused, began = had, time.monotonic()
        except HfHubHTTPError:
            raise
        except (HTTPError, TimeoutError) as error:
            if "Redirect" in type(error).__name__:  # in circles: no use in trying again
                raise
            trouble = error
        if had >= size and not trouble:
            return
        broken = 1 if had - start > 10e6 else broken + 1
        if broken == TRIES:
            raise SdkitError(
                f"The connection to the hub broke off {TRIES} times, with {had / 1e6:.1f} of "
                f"{size / 1e6:.1f} MB of a file of {repo} here. They are kept: run it again to go on "
                "from there."
            ) from trouble
        time.sleep(broken)


def _open(url, start):
    """What the hub answers to the wish for a file from byte `start` on, with the bytes themselves still to be read."""
    from huggingface_hub.utils import build_hf_headers, get_session

    headers = {
        **build_hf_headers(),
        "Accept-Encoding": "identity",
        **({"Range": f"bytes={start}-"} if start else {}),
    }
    session = get_session()
    return session.send(
        session.build_request("GET", url, headers=headers, timeout=TIMEOUT), stream=True
    )


def _right(path, etag, size):
    """Whether a file is what the hub says: its SHA-256, its SHA-1 (git's, or plain), at least its size."""
    length = path.stat().st_size
    kinds = {64: ["sha256"], 40: [lambda: hashlib.sha1(b"blob %d\0" % length), "sha1"]}.get(
        len(etag), []
    )

    def digest(kind):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, kind).hexdigest()

    return (not size or length == size) and (not kinds or etag in map(digest, kinds))


def _soon(call, *arguments, **keywords):
    """What a call gives within `TIMEOUT`; otherwise `TimeoutError`: looking up a name, or answers drop by drop, may
    take for ever, and the client's own time-out ends neither.
    """
    future = Future()

    def work():
        try:
            future.set_result(call(*arguments, **keywords))
        except Exception as error:
            future.set_exception(error)

    # of a pool, Python would wait for it at its end
    threading.Thread(target=work, daemon=True).start()
    return future.result(TIMEOUT)


@contextlib.contextmanager
def _alone(home):
    """Let one program at a time fetch a repository; the system lifts the lock when it ends, in whatever way."""
    import filelock

    home.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(home / ".sdkit.lock", timeout=0):
            yield
    except filelock.Timeout as error:
        raise SdkitError(
            f"Another program is just fetching {home.name}. Wait for it, then run this again."
        ) from error
