"""run.py with stand-ins for pip, venv, the network and the disk: nothing is installed here."""

import ast
import collections
import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdkit.files import ROOT

SCRIPT = ROOT / "run.py"
NO_INDEX = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(\
'<HTTPSConnection>: Failed to establish a new connection: \
[Errno -3] Temporary failure in name resolution')': /simple/accelerate/
ERROR: Could not find a version that satisfies the requirement accelerate==1.15.0 \
(from versions: none)
ERROR: No matching distribution found for accelerate==1.15.0
"""
DISK_FULL = (
    "Installing collected packages: torch\nERROR: Could not install packages due to an OSError: "
    "[Errno 28] No space left on device\n"
)
INSTALLED = """\
Collecting accelerate==1.15.0 (from -r requirements.lock (line 5))
  Downloading accelerate-1.15.0-py3-none-any.whl (380 kB)
Processing ./wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
  Downloading torch-2.13.0-cp311-cp311-win_amd64.whl.metadata (29 kB)
  Using cached torch-2.13.0-cp311-cp311-win_amd64.whl (127.4 MB)
Installing collected packages: torch, accelerate
Successfully installed accelerate-1.15.0 torch-2.13.0
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run.py as a module that seems to lie in an empty folder, on Linux.

    It finds no GPU, no network and no pip.
    """
    spec = importlib.util.spec_from_file_location("run_under_test", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.lock", "requirements-cuda.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("VENV", "PYTHON", "STAMP", "LOG", "LOCK", "CUDA_LOCK"):
        monkeypatch.setattr(module, name, tmp_path / getattr(module, name).relative_to(ROOT))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.sys, "version_info", (3, 12, 1, "final", 0))
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    for name in ("SDKIT_TORCH", "SDKIT_WHEELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "ask", lambda command: "")
    disk(module, monkeypatch, 50)

    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(module.urllib.request, "urlopen", unreachable)
    return module


@pytest.fixture
def pip(run, monkeypatch):
    """Stand-ins for `venv` and `pip`.

    A test sets what pip prints (.says) and its exit status (.returns). The lists .calls and .became
    collect the commands.
    """
    stand_in = type("Pip", (), {"says": INSTALLED, "returns": 0})()
    stand_in.calls, stand_in.became = [], []

    class Process:
        def __init__(self, command, **options):
            stand_in.calls.append(command)
            is_venv = "venv" in command
            if is_venv:
                run.PYTHON.parent.mkdir(parents=True, exist_ok=True)
                run.PYTHON.touch()
                (run.VENV / "lib/python3.12/site-packages").mkdir(parents=True, exist_ok=True)
            self.stdout = io.StringIO("" if is_venv else stand_in.says)
            self.returncode = 0 if is_venv else stand_in.returns

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(run.subprocess, "Popen", Process)
    monkeypatch.setattr(run, "become", lambda *asked: stand_in.became.append(asked) or 0)
    return stand_in


def disk(module, monkeypatch, gigabytes):
    usage = collections.namedtuple("usage", "total used free")(10**12, 0, gigabytes * 1e9)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)


def test_help_needs_no_set_up(run, pip, capsys):
    for argv in ([], ["--help"], ["-h"], ["help"]):
        assert run.main(argv) == 0
        assert "run.py lab" in capsys.readouterr().out
    assert not pip.calls


def test_run_py_knows_the_commands_of_the_kit(run):
    from sdkit.cli import parser

    commands = parser.make_parser()._subparsers._group_actions[0].choices
    assert set(run.VERBS) == {*commands, "lab", "pack", "site", "test", "web"}
    assert all(verb in run.__doc__ for verb in run.VERBS)


@pytest.mark.parametrize(
    "slip, hint", [("styl", "Do you mean style?"), ("me.jpg", "no command me.jpg. See:")]
)
def test_a_slip_of_the_keyboard_installs_nothing(run, pip, capsys, slip, hint):
    assert run.main([slip]) == 2
    assert hint in capsys.readouterr().err
    assert not pip.calls and not pip.became


def test_run_py_without_a_verb_prints_the_help():
    shown = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True
    ).stdout
    assert "run.py style PHOTO" in shown


def test_python_3_7_can_parse_run_py():
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_run_py_accepts_the_pythons_of_pyproject(run):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (_, oldest), *_, (_, newest) = run.PYTHONS
    assert project["requires-python"] == f">=3.{oldest},<3.{newest + 1}"


def test_the_first_call_installs_and_the_next_one_starts_at_once(run, pip, capsys):
    assert run.main(["doctor"]) == 0
    venv, install = pip.calls
    assert venv[1:4] == ["-m", "venv", "--clear"]
    assert install[:4] == [str(run.PYTHON), "-m", "pip", "install"] and str(run.LOCK) in install
    assert run.LOG.read_text(encoding="utf-8") == INSTALLED
    assert "Ready." in capsys.readouterr().out
    assert (run.PYTHON.parent / run.LAUNCHERS[os.name][0]).is_file()
    assert run.main(["doctor"]) == 0
    assert len(pip.calls) == 2 and len(pip.became) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "change", ["requirements.lock", "pyproject.toml", "python", "interpreter", "stamp", "torch"]
)
def test_a_change_leads_to_a_new_installation(run, pip, change, monkeypatch):
    run.main(["doctor"])
    if change == "python":
        monkeypatch.setattr(run.sys, "version_info", (3, 13, 0, "final", 0))
    elif change == "interpreter":
        run.PYTHON.unlink()
    elif change == "stamp":
        run.STAMP.unlink()
    elif change == "torch":
        monkeypatch.setenv("SDKIT_TORCH", "cuda")
    else:
        with (run.ROOT / change).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
    run.main(["doctor"])
    assert len(pip.calls) == 4


def test_the_path_to_the_kit_is_right_after_the_folder_is_moved(run, pip):
    run.main(["doctor"])
    packages = run.VENV / "lib/python3.12/site-packages"
    path = (packages / "sdkit.pth").read_text(encoding="utf-8").strip()
    assert not os.path.isabs(path) and (packages / path).resolve() == run.ROOT.resolve()


@pytest.mark.parametrize(
    "says, sentence",
    [
        (NO_INDEX, "No package index answers"),
        (DISK_FULL, "The disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0\n", "did not find this package"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))\n",
            "certificate",
        ),
        ("ERROR: [Errno 13] Permission denied: '.venv/x'\n", "could not be written"),
        ("ERROR: something nobody thought of\n", "install.log"),
        ("", "No reason was given"),
    ],
)
def test_a_failure_of_pip_shows_its_last_line_and_a_sentence(run, pip, capsys, says, sentence):
    pip.says, pip.returns = says, 1
    assert run.main(["doctor"]) == 2
    told = capsys.readouterr().err
    assert sentence in told and "Traceback" not in told
    assert not says or says.splitlines()[-1] in told
    assert not run.STAMP.exists() and not pip.became
    pip.says, pip.returns = INSTALLED, 0  # and the next start does it again
    assert run.main(["doctor"]) == 0


def test_an_interrupted_installation_is_done_again(run, pip, monkeypatch, capsys):
    run.main(["doctor"])
    (run.ROOT / "requirements.lock").write_text("torch==2.13.0\n", encoding="utf-8")

    def interrupted(flavour):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "pip_sources", interrupted)
        assert run.main(["doctor"]) == 130
    assert "Stopped" in capsys.readouterr().err and not run.STAMP.exists()
    assert run.main(["doctor"]) == 0 and run.STAMP.exists()


def test_a_full_disk_is_noticed_before_the_download(run, pip, monkeypatch, capsys):
    disk(run, monkeypatch, 1.2)
    assert run.main(["doctor"]) == 2
    told = capsys.readouterr().err
    assert "needs 3 GB" in told and "1.2" in told and not pip.calls


def test_a_folder_without_write_permission_gives_a_sentence(run, pip, monkeypatch, capsys):
    def read_only(*args):
        raise PermissionError(13, "Permission denied", ".venv.lock")

    monkeypatch.setattr(run, "only_one", read_only)
    assert run.main(["doctor"]) == 2
    assert "check that you may write into this folder" in capsys.readouterr().err


@pytest.mark.skipif(
    os.name == "nt", reason="two handles of one process do not exclude each other there"
)
def test_two_set_ups_cannot_run_at_the_same_time(run, pip, capsys):
    with run.only_one():
        assert run.main(["doctor"]) == 2
    assert "Another run.py" in capsys.readouterr().err and not pip.calls
    assert run.main(["doctor"]) == 0


@pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 13), (3, 14, 0)])
def test_a_python_that_is_too_old_or_too_new_looks_for_another_one(
    run, pip, monkeypatch, capsys, version
):
    monkeypatch.setattr(run.sys, "version_info", version)
    monkeypatch.setattr(run.platform, "python_version", lambda: "%d.%d.%d" % version)
    assert run.main(["style", "astronaut"]) == 2
    shown = capsys.readouterr()
    assert "This is Python %d.%d.%d. The kit runs on 3.11 to 3.13." % version in shown.out
    assert "install one" in shown.err and not pip.calls
    monkeypatch.setattr(
        run, "ask", lambda command: "(3, 11)\n" if command[0] == "python3.11" else ""
    )
    assert run.main(["style", "astronaut"]) == 0
    assert pip.became[0][0] == ["python3.11", str(run.ROOT / "run.py"), "style", "astronaut"]
    assert not pip.calls


def test_a_launcher_that_starts_the_wrong_python_is_ignored(run, monkeypatch):
    monkeypatch.setattr(run, "ask", lambda command: "(3, 8)" if command[0] == "python3.13" else "")
    assert run.suitable_python() is None


@pytest.mark.parametrize("system, machine", [("darwin", "x86_64")])
def test_a_machine_that_torch_does_not_support_gives_a_sentence(
    run, pip, monkeypatch, capsys, system, machine
):
    monkeypatch.setattr(run.sys, "platform", system)
    monkeypatch.setattr(run.platform, "machine", lambda: machine)
    assert run.main(["doctor"]) == 2
    assert "Intel Mac" in capsys.readouterr().err


@pytest.mark.parametrize(
    "system, gpu, wish, flavour",
    [
        ("linux", "", "", "cpu"),
        ("linux", "GPU 0: NVIDIA H100 (UUID: GPU-1)\n", "", "cuda"),
        ("linux", "GPU 0: NVIDIA H100 (UUID: GPU-1)\n", "cpu", "cpu"),
        ("linux", "NVIDIA-SMI has failed\n", "", "cpu"),
        ("linux", "", "default", "default"),
        ("win32", "GPU 0: NVIDIA", "", "cuda"),
        ("darwin", "", "", "default"),
    ],
)
def test_the_build_of_torch_fits_the_machine_and_the_wish(
    run, monkeypatch, system, gpu, wish, flavour
):
    monkeypatch.setattr(run.sys, "platform", system)
    monkeypatch.setattr(run, "ask", lambda command: gpu)
    monkeypatch.setenv("SDKIT_TORCH", wish)
    assert run.torch_flavour() == flavour


def test_an_unknown_build_of_torch_gives_a_sentence(run, pip, monkeypatch, capsys):
    monkeypatch.setenv("SDKIT_TORCH", "rocm")
    assert run.main(["doctor"]) == 2
    assert "one of cpu, cuda, default" in capsys.readouterr().err


@pytest.mark.parametrize(
    "system, flavour, index",
    [
        ("linux", "cpu", "cpu"),
        ("linux", "cuda", None),
        ("linux", "default", None),
        ("win32", "cpu", None),
        ("win32", "cuda", "cu130"),
        ("darwin", "default", None),
    ],
)
def test_the_index_of_torch_is_used_if_it_answers(run, monkeypatch, capsys, system, flavour, index):
    monkeypatch.setattr(run.sys, "platform", system)
    assert run.pip_sources(flavour) == []  # it does not answer: whatever pip is set up to find
    assert ("does not answer" in capsys.readouterr().out) is bool(index)
    monkeypatch.setattr(run.urllib.request, "urlopen", lambda *args, **kwargs: io.BytesIO())
    assert run.pip_sources(flavour) == (["--extra-index-url", run.INDEX + index] if index else [])


def test_a_big_download_is_announced(run, capsys):
    run.pip_sources("cpu")
    assert "2.75 GB" in capsys.readouterr().out


def test_wheels_from_a_folder_need_no_index(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SDKIT_WHEELS", str(tmp_path))
    assert run.pip_sources("cpu") == ["--no-index", "--find-links", str(tmp_path.resolve())]


def test_steps_are_counted_and_large_files_are_named(run, pip, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(run.sys, "stdout", terminal)
    run.follow(["pip"], os.devnull)
    text = terminal.getvalue()
    assert "1 of about" in text and "2 of about" in text and "accelerate-1.15.0 (380 kB)" in text
    assert "torch-2.13.0 (127.4 MB)" in text and "29 kB" not in text and "unpacking" in text


def test_lab_opens_the_first_lesson_and_fetches_no_news(run, pip):
    (run.ROOT / "notebooks").mkdir()
    for name in ("11_style_transfer.ipynb", "00_start_here.ipynb"):
        (run.ROOT / "notebooks" / name).touch()
    run.main(["lab", "--no-browser"])
    run.main(["lab", "notebooks/11_style_transfer.ipynb"])
    (first, folder, _), (second, _, _) = pip.became
    assert first[1:3] == ["-m", "jupyterlab"] and folder == run.ROOT
    assert first[-2:] == ["--no-browser", str(Path("notebooks/00_start_here.ipynb"))]
    assert second[-1] == "notebooks/11_style_transfer.ipynb" and first[-1] not in second
    assert "--LabApp.news_url=None" in first
    assert "--KernelManager.transport_encryption=auto" in first
    settings = next(word for word in first if "tornado_settings" in word).split("=", 1)[1]
    assert json.loads(settings)["websocket_max_message_size"] >= 64 * 2**20


def test_only_lab_adds_settings_of_jupyterlab_and_the_persons_own_stay(run, pip, monkeypatch):
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    run.main(["lab"])
    run.main(["doctor"])
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", os.pathsep.join(["mine", "ours"]))
    run.main(["lab"])
    first, other, second = (variables for _, _, variables in pip.became)
    assert first["JUPYTER_CONFIG_PATH"] == str(run.LAB_SETTINGS)
    assert "JUPYTER_CONFIG_PATH" not in other
    paths = second["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert paths == [str(run.LAB_SETTINGS), "mine", "ours"]


def test_the_settings_of_lab_switch_off_one_plugin_and_change_no_file(run, tmp_path):
    """JupyterLab itself reads them, beside a setting that the person has made."""
    own = tmp_path / "jupyter" / "labconfig" / "page_config.json"
    own.parent.mkdir(parents=True)
    own.write_text('{"disabledExtensions": {"mine": true}, "terminalsAvailable": false}')
    before = own.read_bytes()
    ask = (
        "import json; from jupyterlab_server.config import get_page_config;"
        "print(json.dumps(get_page_config([])))"
    )
    variables = {**os.environ, "JUPYTER_CONFIG_DIR": str(own.parent.parent)}
    variables.pop("JUPYTER_CONFIG_PATH", None)
    news, read = "@jupyterlab/apputils-extension:announcements", []
    for setting in variables, run.with_lab_settings(variables):
        told = subprocess.run(
            [sys.executable, "-c", ask], env=setting, capture_output=True, text=True, check=True
        )
        read.append(json.loads(told.stdout))
    plain, kit = read
    assert {*kit["disabledExtensions"]} == {*plain["disabledExtensions"], news}
    assert "mine" in kit["disabledExtensions"]
    assert kit["terminalsAvailable"] is False
    assert own.read_bytes() == before and [*own.parent.parent.rglob("*.json")] == [own]


@pytest.mark.parametrize(
    ("system", "version", "says"),
    [
        ("linux", "__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None", "the processor only"),
        (
            "linux",
            "__version__ = '2.13.0'\ncuda: Optional[str] = '13.0'",
            "NVIDIA GPUs (CUDA 13.0)",
        ),
        (
            "win32",
            "__version__ = '2.13.0+rocm7'\nhip: Optional[str] = '7.1'",
            "AMD GPUs (ROCm 7.1)",
        ),
        ("darwin", "__version__ = '2.13.0'\ncuda = None", "the processor and the GPU of a Mac"),
    ],
)
def test_the_set_up_says_which_torch_was_really_installed(
    run, pip, monkeypatch, capsys, system, version, says
):
    """Also where it is not the one that was asked for."""
    monkeypatch.setenv("SDKIT_TORCH", "cpu")
    monkeypatch.setattr(run.sys, "platform", system)
    monkeypatch.setattr(run.platform, "machine", lambda: "arm64")
    torch = run.VENV / "lib/python3.12/site-packages/torch"
    torch.mkdir(parents=True)
    (torch / "version.py").write_text(version + "\n", encoding="utf-8")
    assert run.main(["doctor"]) == 0
    number = version.split("'")[1]
    said = f"Ready. torch {number} is installed, a build for {says}."
    assert said in capsys.readouterr().out


def test_the_file_of_the_real_torch_can_be_read(run):
    from importlib.util import find_spec

    import torch

    said = run.installed_torch(Path(find_spec("torch").origin).parent.parent)
    assert torch.__version__ in said
    assert ("CUDA" in said) == (torch.version.cuda is not None)
    assert run.installed_torch(Path("nowhere")) == ""


def test_the_verb_site_builds_from_the_sources_of_the_site(run, pip, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run.main(["site", "--out", "pages"])
    ((command, folder, _),) = pip.became
    assert command[1:] == [str(run.ROOT / "docs/site/build.py"), "--out", "pages"]
    assert folder == tmp_path and (ROOT / "docs/site/build.py").is_file()


def test_the_verb_pack_builds_from_the_sources_of_the_pack(run, pip):
    run.main(["pack", "--out", "class"])
    ((command, _, _),) = pip.became
    assert command[1:] == [str(run.ROOT / "docs/pack/build.py"), "--out", "class"]
    assert (ROOT / "docs/pack/build.py").is_file()


def test_the_verb_web_serves_the_page_unless_told_otherwise(run, pip):
    run.main(["web"])
    run.main(["web", "build"])
    assert [command[1:] for command, _, _ in pip.became] == [
        ["-m", "sdkit.web", "serve"],
        ["-m", "sdkit.web", "build"],
    ]


def test_the_verb_test_runs_unit_tests_and_notebooks_in_one_command(run, pip):
    import tomllib

    run.main(["test", "-k", "photos"])
    command, folder, _ = pip.became[0]
    assert (
        command[1:3] == ["-m", "pytest"]
        and "--nbval" in command
        and command[-2:] == ["-k", "photos"]
    )
    assert folder == run.ROOT
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "pytest"
    ]
    assert settings["ini_options"]["testpaths"] == ["tests", "notebooks"]
    (ROOT / command[command.index("--nbval-sanitize-with") + 1]).read_bytes().decode("ascii")


def test_the_verb_test_runs_two_files_at_once_and_never_splits_a_notebook(run, pip, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run.main(["test"])
    run.main(["doctor"])
    command, _, variables = pip.became[0]
    assert command[command.index("-n") + 1] == "2"
    assert command[command.index("--dist") + 1] == "loadfile"
    assert variables["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in pip.became[1][2]  # a person's own pictures use every core
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    run.main(["test"])
    assert pip.became[2][2]["OMP_NUM_THREADS"] == "3"


@pytest.mark.skipif(os.name == "nt", reason="the launcher of Windows is a .cmd file")
def test_the_command_sdkit_works_after_the_folder_is_moved(run, tmp_path):
    python = run.PYTHON
    python.parent.mkdir(parents=True)
    run.write_launcher()
    python.write_text('#!/bin/sh\necho "$0" "$@"\n')
    python.chmod(0o755)
    moved = run.VENV.rename(tmp_path / "moved here")
    shown = subprocess.run(
        [moved / "bin" / "sdkit", "style", "my photo.jpg"], capture_output=True, text=True
    )
    assert shown.stdout == f"{moved}/bin/python -m sdkit style my photo.jpg\n"


def test_the_command_sdkit_on_windows(run, monkeypatch):
    run.PYTHON.parent.mkdir(parents=True)
    monkeypatch.setattr(run.os, "name", "nt")
    run.write_launcher()
    written = (run.PYTHON.parent / "sdkit.cmd").read_bytes()
    assert written == b'@"%~dp0python.exe" -m sdkit %*\r\n'


def test_other_verbs_run_the_package_in_the_current_folder(run, pip, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run.main(["style", "me.jpg", "--prompt", "van gogh"])
    command, folder, _ = pip.became[0]
    assert command == [str(run.PYTHON), "-m", "sdkit", "style", "me.jpg", "--prompt", "van gogh"]
    assert folder == tmp_path / "elsewhere"


def test_the_kit_learns_how_it_was_called(run, pip, monkeypatch):
    monkeypatch.setattr(run.sys, "argv", ["kit/run.py"])
    run.main(["style", "me.jpg"])
    run.main(["test"])
    called, tested = (variables.get("SDKIT_COMMAND") for _, _, variables in pip.became)
    assert called == ("py kit/run.py" if os.name == "nt" else "python3 kit/run.py")
    assert tested is None  # tests compare sentences


def test_started_programs_are_offline_unless_the_user_says_otherwise(run, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("PIP_USER", "1")
    variables = run.environment()
    assert (variables["HF_HUB_OFFLINE"], variables["HF_HUB_DISABLE_TELEMETRY"]) == ("on", "1")
    assert variables["PIP_USER"] == "0" and "PYTHONPATH" not in variables
    assert variables["PATH"].startswith(str(run.PYTHON.parent) + os.pathsep)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert run.environment()["HF_HUB_OFFLINE"] == "0"


def test_the_ci_script_runs_the_tests_through_run_py():
    script = ROOT / ".ci" / "run"
    assert "python3 run.py test" in script.read_text(encoding="utf-8")
    assert os.name == "nt" or os.access(script, os.X_OK)
