"""Download from a hub on this computer with the real client, and check each sentence on faults."""

import _thread
import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest
import torch
from diffusers import StableDiffusionPipeline
from huggingface_hub import _tree_cache, constants, file_download
from huggingface_hub.utils import close_session

from sdkit import hub, models
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from tests import fake_hub

REPO = "some-one/tiny-sd"


@pytest.fixture(scope="module")
def repository(tiny_sd, tmp_path_factory):
    """A tiny model with what real repositories have: two precisions, pickles, code, ..."""
    folder = tmp_path_factory.mktemp("hub") / "repository"
    pipe = StableDiffusionPipeline.from_pretrained(
        tiny_sd, local_files_only=True, dtype=torch.float16
    )
    pipe.save_pretrained(folder, variant="fp16")
    pipe.to(torch.float32).save_pretrained(folder)
    for name in (
        "unet/diffusion_pytorch_model.bin",
        "v1-5.ckpt",
        "unet/modeling.py",
        "README.md",
        "preview.png",
    ):
        (folder / name).write_bytes(b"not to be fetched")
    return folder


@pytest.fixture
def server(repository, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "TIMEOUT", 2)
    monkeypatch.setattr(hub, "CHUNK", 1000)  # the files here are small
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))
    with fake_hub.Hub({REPO: repository}) as server:
        point_to(server.url, monkeypatch)
        yield server
    close_session()


def point_to(url, monkeypatch):
    """Do what HF_ENDPOINT does when the client is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )


def the_sentence(call=lambda: hub.fetch(REPO)):
    began = time.perf_counter()
    with pytest.raises(SdkitError) as caught:
        call()
    assert time.perf_counter() - began < 5
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 400
    return sentence


def test_only_what_is_needed_is_fetched_and_once(server, repository):
    assert hub.cached(REPO) is None
    folder = hub.fetch(REPO)
    assert hub.cached(REPO) == folder
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {Path(name).suffix for name in names} == {".json", ".safetensors"} | (
        {".txt"} if any(name.endswith(".txt") for name in names) else set()
    )
    assert {name for name in names if name.endswith(".safetensors")} == {
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/model.fp16.safetensors",
    }
    asked = len(server.requests)
    assert models.folder_of(REPO) == folder and len(server.requests) == asked


def test_a_large_file_shows_a_progress_bar(server, monkeypatch, capsys):
    hub.fetch(REPO, WEIGHTS)
    assert capsys.readouterr().err == ""
    shutil.rmtree(constants.HF_HUB_CACHE)
    monkeypatch.setattr(hub, "SMALL", 1)
    hub.fetch(REPO, WEIGHTS)
    shown = capsys.readouterr().err
    assert Path(WEIGHTS).name in shown and "B/s" in shown


def test_the_client_and_diffusers_find_it_in_the_cache(server):
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    folder = hub.fetch(REPO)
    assert Path(
        try_to_load_from_cache(REPO, "model_index.json", cache_dir=constants.HF_HUB_CACHE)
    ) == (folder / "model_index.json")
    assert (
        Path(
            snapshot_download(
                REPO,
                local_files_only=True,
                cache_dir=constants.HF_HUB_CACHE,
                allow_patterns=["model_index.json", "*/*.json", "*/*.txt", "*/*.fp16.safetensors"],
            )
        )
        == folder
    )
    pipe = models.load(REPO, device="cpu")
    expected = StableDiffusionPipeline.from_pretrained(
        folder, variant="fp16", local_files_only=True
    )
    for ours, theirs in zip(pipe.unet.parameters(), expected.unet.parameters(), strict=True):
        assert ours.dtype == torch.float32 and torch.equal(ours, theirs.float())


def test_an_interrupted_download_goes_on_where_it_broke(server, repository):
    server.cuts = 2
    folder = hub.fetch(REPO)
    ranges = [asked for _, _, asked in server.requests if asked]
    assert len(ranges) == 2
    weights = "unet/diffusion_pytorch_model.fp16.safetensors"
    assert (folder / weights).read_bytes() == (repository / weights).read_bytes()


def test_what_has_arrived_is_kept_for_the_next_run(server, repository):
    server.cuts = 1000
    assert "kept" in the_sentence()
    assert hub.cached(REPO) is None
    parts = list(Path(constants.HF_HUB_CACHE).glob("*/blobs/*.part"))
    server.cuts, server.requests[:] = 0, []
    hub.fetch(REPO)
    assert len(parts) == 1 and sum(asked is not None for *_, asked in server.requests) == 1


def slowly(handler, data):
    """The weights from where they are asked for, in small pieces with pauses between."""
    start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(data) - start))
    handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for first in range(start, len(data), 2000):
            handler.wfile.write(data[first : first + 2000])
            time.sleep(0.05)
    handler.close_connection = True
    return True


def wait_for_a_part(larger_than=4000):
    """How many bytes of a file are there, once it is more than that."""
    while True:
        for part in Path(constants.HF_HUB_CACHE).glob("*/blobs/*.part"):
            if part.stat().st_size > larger_than:
                return part.stat().st_size
        time.sleep(0.02)


def test_a_killed_download_goes_on_where_it_was(server, repository, tmp_path):
    data = (repository / WEIGHTS).read_bytes()
    server.odd = lambda h: of_weights(h) and slowly(h, data)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": server.url, "HF_HUB_CACHE": constants.HF_HUB_CACHE}
    code = f"from sdkit import hub; hub.CHUNK = 1000; hub.fetch({REPO!r})"
    program = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT)
    arrived = wait_for_a_part()
    program.kill()
    program.wait()
    server.odd, server.requests[:] = None, []
    assert hub.cached(REPO) is None
    assert (hub.fetch(REPO) / WEIGHTS).read_bytes() == data
    (asked,) = [asked for *_, asked in server.requests if asked]
    assert int(asked.removeprefix("bytes=").rstrip("-")) >= arrived


def test_a_stopped_cell_goes_on_where_it_was(server, repository):
    """Ctrl-C, or the notebook's stop button: the program lives on, and its download must not."""
    data = (repository / WEIGHTS).read_bytes()
    server.odd = lambda h: of_weights(h) and slowly(h, data)

    def stop():
        wait_for_a_part()
        _thread.interrupt_main()

    # a shell may start tests in the background with this signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=stop, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            hub.fetch(REPO)
    finally:
        signal.signal(signal.SIGINT, before)
    (part,) = Path(constants.HF_HUB_CACHE).glob("*/blobs/*.part")
    time.sleep(0.3)
    arrived = part.stat().st_size
    time.sleep(0.3)
    assert part.stat().st_size == arrived < len(data)
    server.odd, server.requests[:] = None, []
    assert (hub.fetch(REPO) / WEIGHTS).read_bytes() == data
    assert [asked for *_, asked in server.requests if asked] == [f"bytes={arrived}-"]


def test_a_line_that_falls_silent_in_the_middle_keeps_what_has_arrived(server, repository):
    data, over = (repository / WEIGHTS).read_bytes(), threading.Event()

    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        over.wait(10)
        handler.close_connection = True
        return True

    server.odd = lambda h: of_weights(h) and half(h)
    sentence = the_sentence()
    over.set()
    assert "was silent" in sentence and "kept" in sentence
    server.odd, server.requests[:] = None, []
    assert (hub.fetch(REPO) / WEIGHTS).read_bytes() == data
    (asked,) = [asked for *_, asked in server.requests if asked]
    assert int(asked.removeprefix("bytes=").rstrip("-")) > len(data) // 2 - 2 * hub.CHUNK


def test_a_server_without_ranges_sends_the_whole_file_again(server, repository):
    server.cuts, server.ranges = 1, False
    weights = "unet/diffusion_pytorch_model.fp16.safetensors"
    assert (hub.fetch(REPO) / weights).read_bytes() == (repository / weights).read_bytes()


@pytest.mark.parametrize(
    "status, headers, words",
    [
        (401, {"X_Error_Code": "GatedRepo"}, "accept its licence"),
        (403, {"X_Error_Code": "GatedRepo"}, "hf auth login"),
        (401, {"X_Error_Message": "Invalid credentials in Authorization header"}, "your token"),
        (401, {}, "proxy or firewall"),
        (403, {}, "proxy or firewall"),
        (403, {"X_Request_Id": "Root=1-2-3"}, "The hub refused access"),
        (403, {"X_Error_Code": "Forbidden"}, "The hub refused access"),
        (407, {"Proxy_Authenticate": "Basic"}, "proxy of this network needs a login"),
        (404, {"X_Error_Code": "RepoNotFound"}, "not on the hub"),
        (404, {}, "not on the hub"),
        (403, {"X_Error_Message": "Access to this resource is disabled."}, "not on the hub"),
        (451, {}, "not on the hub"),
        (429, {"Retry_After": "3600"}, "fewer requests"),
        (500, {}, "HTTP 500"),
        (503, {}, "HTTP 503"),
        (418, {}, "refuses"),
    ],
)
def test_each_refusal_gives_its_own_sentence(server, status, headers, words):
    server.status[REPO] = status, headers
    assert words in the_sentence()


def test_a_file_that_fails_gives_a_sentence_and_the_rest_is_kept(server):
    server.fails_files[".fp16.safetensors"] = 502
    assert "HTTP 502" in the_sentence()
    server.fails_files.clear()
    assert hub.fetch(REPO)


def test_a_silent_server_no_server_and_a_login_page_give_sentences(server, monkeypatch):
    server.silent = True
    assert "silent" in the_sentence()
    server.silent, server.nonsense = False, True
    assert "login page" in the_sentence()
    point_to("http://127.0.0.1:9", monkeypatch)
    assert "cannot be reached" in the_sentence()
    point_to("http://nowhere.invalid", monkeypatch)
    assert "cannot be reached" in the_sentence()


def test_damaged_bytes_never_reach_the_cache(server):
    server.lies = True
    assert "checksum" in the_sentence()
    assert hub.cached(REPO) is None and not list(
        Path(constants.HF_HUB_CACHE).glob("*/blobs/*.part")
    )
    server.lies = False
    assert hub.fetch(REPO)


def test_a_full_disk_before_and_while_writing(server, monkeypatch):
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patch:
        patch.setattr(hub.shutil, "disk_usage", lambda path: usage._replace(free=1000))
        assert "disk is too full" in the_sentence()

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", full)
    assert "disk is too full" in the_sentence()


WEIGHTS = "unet/diffusion_pytorch_model.fp16.safetensors"


def page(handler, body=b"<html>", status=200, **headers):
    """The same answer to HEAD and GET."""
    handler.answer(status, body, **headers)
    return True


def lists(handler, checksum, size=9):
    """A listing with a checksum and a size that make no sense."""
    lfs = {"sha256": checksum, "size": size, "pointerSize": 9}
    file = {"rfilename": "model_index.json", "blobId": "c" * 40, "lfs": lfs}
    about = {"id": REPO, "sha": fake_hub.COMMIT, "siblings": [file]}
    return page(handler, json.dumps(about).encode())


def drops(handler, length=100_000):
    """Announce many bytes, and send one now and then."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b" ")
            time.sleep(0.05)
    handler.close_connection = True
    return True


def stream(handler):
    """An answer without an end."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    with contextlib.suppress(OSError):
        for _ in range(100_000):
            handler.wfile.write(bytes(100_000))
    return True


def of_weights(handler):
    return handler.command == "GET" and handler.path.endswith(WEIGHTS)


@pytest.mark.parametrize(
    "odd, words",
    [
        (lambda h: page(h, status=302, Location=h.path), "cannot be reached"),
        (
            lambda h: "/api/" not in h.path and page(h, status=302, Location=h.path),
            "cannot be reached",
        ),
        (lambda h: of_weights(h) and page(h, status=302, Location=h.path), "cannot be reached"),
        (
            lambda h: "/api/" not in h.path and page(h, status=429, Retry_After="100"),
            "fewer requests",
        ),
        (lambda h: "/api/" in h.path and page(h, b"[" * 100_000), "login page"),
        (lambda h: "/api/" in h.path and page(h, b"[]"), "login page"),
        (lambda h: of_weights(h) and page(h), "login page"),
        (
            lambda h: h.path.endswith(WEIGHTS) and page(h, ETag='"x"', X_Linked_Size="-5"),
            "login page",
        ),
        (lambda h: "/api/" in h.path and lists(h, "../../../../evil"), "login page"),
        (lambda h: "/api/" in h.path and lists(h, "b" * 64, size=-5), "login page"),
        (lambda h: "/api/" in h.path and lists(h, None), "login page"),
        (lambda h: "/api/" in h.path and drops(h), "far too slow"),
        (lambda h: of_weights(h) and stream(h), "not come from a hub"),
    ],
)
def test_odd_answers_give_a_sentence_and_leave_nothing_behind(server, odd, words):
    server.odd = odd
    assert words in the_sentence()
    server.odd = None
    assert hub.fetch(REPO)


def test_a_far_too_slow_download_is_given_up(server, repository, monkeypatch):
    size = (repository / WEIGHTS).stat().st_size
    server.odd = lambda handler: (
        of_weights(handler) and not handler.headers.get("Range") and drops(handler, size)
    )
    monkeypatch.setattr(hub, "TIMEOUT", 0.5)
    with pytest.raises(SdkitError):  # the bytes that arrived are wrong, and must not be used later
        hub.fetch(REPO)
    monkeypatch.setattr(hub, "TIMEOUT", 2)
    server.odd = None
    assert (hub.fetch(REPO) / WEIGHTS).read_bytes() == (repository / WEIGHTS).read_bytes()


def test_an_endless_lookup_of_a_name_gives_a_sentence(server, monkeypatch):
    """The weights are on another server, as on the real hub, and the lookup of its name hangs."""
    never, really = threading.Event(), socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **keywords: (
            never.wait() if host == "elsewhere.test" else really(host, *more, **keywords)
        ),
    )
    monkeypatch.setattr(hub, "TRIES", 1)
    server.odd = lambda h: (
        of_weights(h) and page(h, status=302, Location="http://elsewhere.test/weights")
    )
    assert "was silent, or far too slow" in the_sentence()
    never.set()
    server.odd = None
    assert hub.fetch(REPO)


def test_a_far_too_slow_header_gives_a_sentence(server, monkeypatch):
    def trickles(handler):
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for k in range(90):
                handler.wfile.write(b"X-%d: y\r\n" % k)
                time.sleep(0.05)
        handler.close_connection = True
        return True

    monkeypatch.setattr(hub, "TRIES", 1)
    server.odd = lambda h: of_weights(h) and trickles(h)
    assert "was silent, or far too slow" in the_sentence()


@pytest.mark.parametrize(
    "refuses",
    [
        lambda h, data: page(h, status=416),
        lambda h, data: page(h, data, 206, Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}"),
    ],
)
def test_a_server_that_cannot_resume_sends_the_whole_file_again(server, repository, refuses):
    server.cuts, data = 1, (repository / WEIGHTS).read_bytes()
    server.odd = lambda h: of_weights(h) and h.headers.get("Range") and refuses(h, data)
    assert (hub.fetch(REPO) / WEIGHTS).read_bytes() == data


def test_an_empty_listing_is_a_sentence_and_is_not_kept(server):
    server.odd = lambda h: "/tree/" in h.path and page(h, b"[]")
    assert "model_index.json of some-one/tiny-sd is missing on the hub" in the_sentence()
    server.odd = None
    _tree_cache._IN_MEMORY_TREE_CACHE.clear()  # as in a new program
    assert hub.fetch(REPO)


def test_one_missing_file_is_named(server):
    server.odd = lambda h: of_weights(h) and page(h, status=404, X_Error_Code="EntryNotFound")
    assert f"{WEIGHTS} of {REPO} is missing on the hub" in the_sentence()
    server.odd = lambda h: h.path.endswith("vae/config.json") and page(h, status=404)
    assert f"vae/config.json of {REPO} is missing on the hub" in the_sentence()
    server.odd = None
    nothing = "pytorch_lora_weights.safetensors"
    assert f"{nothing} of {REPO} is missing" in the_sentence(lambda: hub.fetch(REPO, nothing))
    assert hub.fetch(REPO)


def test_only_a_repository_that_is_not_there_is_gone(server):
    """The kit tries another repository then, and only then."""
    for status, code, gone in [
        (404, "RepoNotFound", True),
        (451, "", True),
        (403, "GatedRepo", False),
        (403, "", False),
        (500, "", False),
    ]:
        server.status[REPO] = status, {"X_Error_Code": code}
        with pytest.raises(SdkitError) as caught:
            hub.fetch(REPO)
        assert isinstance(caught.value, hub.Gone) == gone, status


@pytest.mark.parametrize(
    "status, words",
    [(407, "needs a login"), (403, "A proxy or firewall"), (502, "through the proxy")],
)
def test_a_proxy_that_refuses_is_named(server, monkeypatch, status, words):
    """To an https address the client asks the proxy for a tunnel, with the method CONNECT."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    asked = []
    server.handler.do_CONNECT = lambda h: asked.append(h.path) or page(h, status=status)
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    point_to("https://hub.test", monkeypatch)
    assert words in the_sentence() and asked == ["hub.test:443"]


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the program openssl")
def test_a_certificate_that_is_not_trusted_is_named(server, repository, tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    pem = tmp_path / "of-the-proxy.pem"
    with fake_hub.Hub({REPO: repository}, certificate=pem) as secure:
        point_to(secure.url, monkeypatch)
        sentence = the_sentence()
        assert "not trusted (self-signed certificate)" in sentence and "SSL_CERT_FILE" in sentence
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))  # the advice of the sentence helps
        assert hub.fetch(REPO)


def test_a_cookie_of_an_odd_answer_is_forgotten(server):
    """A login page sets a cookie that no header can hold. Later requests would fail with it."""
    server.odd = lambda h: "/api/" in h.path and page(h, Set_Cookie="a=\xff")
    assert "login page" in the_sentence()
    server.odd = None
    assert hub.fetch(REPO)


def test_what_is_in_the_cache_already_needs_no_room(server, monkeypatch):
    folder, usage = hub.fetch(REPO), shutil.disk_usage("/")
    (folder / WEIGHTS).unlink()  # only the link: the weights are still in the cache
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert hub.fetch(REPO) == folder == hub.cached(REPO)


@pytest.mark.parametrize("index", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_damaged_index_on_the_hub_gives_a_sentence(server, repository, tmp_path, index):
    folder = shutil.copytree(repository, tmp_path / "other")
    (folder / "model_index.json").write_bytes(index)
    server.repositories[REPO] = folder
    assert "model_index.json of some-one/tiny-sd" in the_sentence()
    assert "model_index.json" in the_sentence(lambda: models.load(folder))


@pytest.mark.parametrize(
    "name, value", [("ALL_PROXY", "nonsense://x"), ("SSL_CERT_FILE", "/no/such/file")]
)
def test_wrong_settings_for_the_network_give_a_sentence(server, monkeypatch, name, value):
    for other in ("HTTPS_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    close_session()
    assert name in the_sentence()


def test_a_cache_that_is_a_file_gives_a_sentence(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert "HF_HOME" in the_sentence()


def test_a_second_program_is_told_to_wait(server):
    home = Path(constants.HF_HUB_CACHE, "models--" + REPO.replace("/", "--"))
    home.mkdir(parents=True)
    with filelock.FileLock(home / ".sdkit.lock"):
        assert "is fetching some-one/tiny-sd right now" in the_sentence()


def test_hf_hub_offline_forbids_every_download(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in the_sentence()
    assert not server.requests
    monkeypatch.setenv("HF_HUB_OFFLINE", "on")
    folder = hub.fetch(REPO)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert models.folder_of(REPO) == folder and constants.HF_HUB_OFFLINE


def test_the_next_repository_is_tried_if_the_first_is_gone(server, repository, monkeypatch, capsys):
    entry = models.Entry("", "", ("some-one/gone", REPO), defaults=models.USUAL)
    monkeypatch.setitem(models.REAL, "sd15", entry)
    assert models.load("sd15", device="cpu")
    assert "some-one/gone is not on the hub" in capsys.readouterr().err
    monkeypatch.setitem(models.REAL, "sd15", models.Entry("", "", ("some-one/gone",)))
    assert "not on the hub" in the_sentence(lambda: models.load("sd15"))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"_class_name": "FluxPipeline"}, "FluxPipeline"),
        ({"_class_name": ["pipe", "Mine"]}, "StableDiffusionPipeline"),
        ({"unet": ["my_unet", "UNet2DConditionModel"]}, "code of its own"),
        ({"unet": ["os", "UNet2DConditionModel"]}, "code"),
        ({"unet": ["diffusers", "UNet3D"]}, "UNet3D"),
        ({"vae": [None, None]}, "no vae"),
        (
            {
                "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
                "feature_extractor": [None, None],
            },
            "no feature_extractor",
        ),
    ],
)
def test_other_models_and_foreign_code_are_refused_before_weights_are_fetched(
    server, repository, tmp_path, change, words
):
    folder = shutil.copytree(repository, tmp_path / "other")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **change}))
    server.repositories[REPO] = folder
    assert words in the_sentence()
    assert not [path for method, path, _ in server.requests if path.endswith(".safetensors")]
    assert words in the_sentence(lambda: models.load(folder))


def test_pickled_weights_are_refused_with_the_reason(server, repository, tmp_path):
    folder = shutil.copytree(repository, tmp_path / "other")
    for path in (folder / "unet").glob("*.safetensors"):
        path.unlink()
    server.repositories[REPO] = folder
    assert "pickle runs" in the_sentence()
    assert "pickle runs" in the_sentence(lambda: models.load(folder))
    assert "pickle runs" in the_sentence(lambda: models.load(folder / "v1-5.ckpt"))
    assert not [path for method, path, _ in server.requests if path.endswith(".bin")]


def test_names_that_are_no_models_give_sentences(server, tmp_path):
    assert "no model" in the_sentence(lambda: models.find("nonsense"))
    assert "no model" in the_sentence(lambda: models.find(tmp_path / "nowhere"))
    assert "no model" in the_sentence(lambda: models.find("a/b/c"))
    assert "name is owner/name" in the_sentence(lambda: models.folder_of("some-one/" + "x" * 120))
    assert "model_index.json" in the_sentence(lambda: hub_without_index(server, tmp_path))


def hub_without_index(server, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "model.safetensors").write_bytes(b"x")
    server.repositories["some-one/bare"] = tmp_path / "bare"
    return hub.fetch("some-one/bare")


def test_the_command_line_fetches_once_and_works_offline_afterwards(repository, tmp_path):
    """Nothing is patched here: endpoint, cache and switches come from the environment."""
    command = [
        sys.executable,
        "-m",
        "sdkit",
        "style",
        "coffee",
        "--prompt",
        "x",
        "--model",
        REPO,
        "--steps",
        "2",
        "--size",
        "64",
        "--yes",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    with fake_hub.Hub({REPO: repository}) as server:
        environment |= {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(ROOT),
        }

        def call(**more):
            return subprocess.run(
                command, cwd=tmp_path, env=environment | more, capture_output=True, text=True
            )

        nothing = call(HF_HUB_OFFLINE="1")
        assert (
            nothing.returncode == 2 and "HF_HUB_OFFLINE" in nothing.stderr and not server.requests
        )
        assert call().returncode == 0 and server.requests
    again = call(HF_HUB_OFFLINE="1")  # the server is gone
    assert again.returncode == 0, again.stderr
    assert len(list((tmp_path / "styled").glob("*.png"))) == 2
    environment["HF_HOME"] = str(tmp_path / "empty")
    failed = call()
    assert (
        failed.returncode == 2
        and "cannot be reached" in failed.stderr
        and "Traceback" not in failed.stderr
    )
