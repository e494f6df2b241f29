#!/usr/bin/env python3
"""All commands of the kit. On Windows, write py instead of python3.

    python3 run.py lab                                open the lessons in the browser (JupyterLab)
    python3 run.py style PHOTO --prompt "van gogh"    paint a photograph or a sample (astronaut)
    python3 run.py draw a red house by the sea        paint a picture from a sentence
    python3 run.py booth                              open a photo booth for visitors
    python3 run.py doctor                             check that everything is there
    python3 run.py test                               run every test and every notebook
    python3 run.py COMMAND --help                     explain a command and its options

More commands: inpaint, edit, learn, upscale, check, clear, models, measure, bench, compare, site,
pack, web.

The first call sets up .venv with the exact versions of requirements.lock. The download takes some
minutes, and the packages take 2 GB of disk. Later calls start at once. The kit needs Python 3.11,
3.12 or 3.13.

    SDKIT_TORCH=cpu|cuda|default   the build of torch. If it is not set: cuda if an NVIDIA GPU
                                   answers, else cpu. default: the build that pip finds first.
    SDKIT_WHEELS=FOLDER            install only from this folder of wheels, without a network.
                                   To fill it: pip download -r requirements.lock -d FOLDER
"""

import contextlib
import difflib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

# This file uses only the standard library and the syntax of Python 3.7. So an old Python can read
# it and print which versions the kit needs.
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
# This file is written last. An interrupted installation has none and is done again.
STAMP = VENV / "sdkit-installed.txt"
LOG = VENV / "install.log"
LOCK, CUDA_LOCK = ROOT / "requirements.lock", ROOT / "requirements-cuda.lock"
PYTHONS = (3, 11), (3, 12), (3, 13)  # as in pyproject.toml; a test compares
# GB of free disk that each build needs, for the unpacked packages and for pip's copies
GIGABYTES = {"cpu": 3, "cuda": 8, "default": 3}
INDEX = "https://download.pytorch.org/whl/"

# Every program that run.py starts is offline and quiet, and ignores settings of pip that could
# get in the way. The value "on" marks the kit's own switch (see sdkit/__init__.py). If a person
# has set "1", it stays.
OFFLINE = {
    "HF_HUB_OFFLINE": "on",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    # spinning threads are ten times slower beside a second busy process
    "OMP_WAIT_POLICY": "PASSIVE",
}
VERBS = ("lab", "style", "draw", "booth", "doctor", "test") + (
    "inpaint",
    "edit",
    "learn",
    "upscale",
    "check",
    "clear",
    "models",
    "measure",
    "bench",
    "compare",
    "site",
    "pack",
    "web",
)
FORCED = {"PYTHONUTF8": "1", "PIP_USER": "0", "JUPYTER_PREFER_ENV_PATH": "1"}
LAB = [
    "-m",
    "jupyterlab",
    "--LabApp.news_url=None",
    "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    # without this, each kernel warns that what it sends could be read
    "--KernelManager.transport_encryption=auto",
    # without this, uploads over 10 MiB fail
    '--ServerApp.tornado_settings={"websocket_max_message_size":67108864}',
]
# JupyterLab reads labconfig/page_config.json in this folder. It switches off the question whether a
# person wants Jupyter's news, which news_url=None leaves on.
LAB_SETTINGS = ROOT / "sdkit" / "lessons" / "jupyter"
TEST = [
    "-m",
    "pytest",
    "--nbval",
    "--nbval-current-env",
    "--nbval-sanitize-with",
    "tests/sanitize.cfg",
    # `testpaths` in pyproject.toml says which folders are tested.
    # The limit stops a cell that hangs. It is long, because a cell that trains has one thread,
    # perhaps on a busy machine.
    "--nbval-cell-timeout=600",
    "-p",
    "no:cacheprovider",
    # Two files at a time. A notebook needs its cells in order, so a file stays with one process.
    # tests/conftest.py puts the longest files first. `-n 0` after `run.py test` switches this off.
    "-n",
    "2",
    "--dist",
    "loadfile",
    "--no-loadscope-reorder",
]
# Two processes of one thread each are faster on two cores than two that share their threads.
TEST_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
# The command `sdkit` inside .venv. Its path is relative, so the folder may be moved.
LAUNCHERS = {
    "nt": ("sdkit.cmd", '@"%~dp0python.exe" -m sdkit %*\r\n'),
    "posix": ("sdkit", '#!/bin/sh\nexec "$(dirname "$0")/python" -m sdkit "$@"\n'),
}
STEP = re.compile(
    r"\s*(Collecting|Processing|Downloading|Using cached|Installing collected) (\S+)(.*)"
)
# What pip or venv print when they fail, and what a person can do. The first match counts.
CAUSES = (
    (
        r"No space left|Errno 28\b|WinError 112|not enough space",
        "The disk is full: free a few GB (`python3 -m pip cache purge` helps) and start again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The certificate of the package index is not trusted. The proxy of a school or firm often "
        "causes this:\nset PIP_CERT to the file of its certificate and start again.",
    ),
    (
        r"ConnectionError|ConnectTimeout|getaddrinfo|ProxyError|[Rr]ead ?[Tt]ime"
        r"|Network is unreachable",
        "No package index answers: connect to the network "
        "(behind a proxy: set HTTPS_PROXY) and start again,\n"
        "or set SDKIT_WHEELS to a folder of packages (docs/class-server.md says how to fill one).",
    ),
    (
        r"No matching distribution found",
        "pip did not find this package: "
        "check the network and `python3 -m pip config list`.\n"
        "If you set SDKIT_WHEELS, fill that folder on a machine of the same kind.",
    ),
    (
        r"Permission denied|Errno (13|30)\b|WinError (5|32)\b",
        "A file could not be written: check that you may write into this folder, "
        "and close JupyterLab and terminals that use .venv.",
    ),
    (
        r"ensurepip",
        "This Python lacks venv: install it (Debian, Ubuntu: `apt install python3-venv`).",
    ),
    (r"", "The installation failed. Everything that was printed is in %s." % LOG),
)


class Trouble(Exception):
    """What is wrong and what to do, in a sentence or two; printed without a traceback."""


def say(text, end="\n"):
    """Print a step. With end="" the next step overwrites it; only a terminal gets such a line."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + (text if end else text[:width]).ljust(width), end=end, flush=True)
    elif end:
        print(text, flush=True)


def environment():
    """The environment variables of every program that run.py starts."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONHOME", "PYTHONPATH")
    }
    path = str(PYTHON.parent) + os.pathsep + own.get("PATH", "")
    return {**OFFLINE, **own, **FORCED, "VIRTUAL_ENV": str(VENV), "PATH": path}


def with_lab_settings(variables):
    """`variables`, and in them the folder of the kit's settings before the person's own folders.

    They hold for this one server. No file of the person is changed.
    """
    own = variables.get("JUPYTER_CONFIG_PATH")
    path = os.pathsep.join([str(LAB_SETTINGS)] + ([own] if own else []))
    return dict(variables, JUPYTER_CONFIG_PATH=path)


def ask(command):
    """What a command prints, or "" if the command is not there or fails.

    The launcher of a version of Python that is not installed fails.
    """
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=30).decode(
            "ascii"
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""


def suitable_python():
    """The command of a suitable Python, or None."""
    for version in reversed(PYTHONS):
        for command in ["python%d.%d" % version], ["py", "-%d.%d" % version]:
            if ask(command + ["-c", "import sys; print(sys.version_info[:2])"]).strip() == str(
                version
            ):
                return command
    return None


def torch_flavour():
    """Which build of torch to install: one of "cpu", "cuda", "default"."""
    wish = os.environ.get("SDKIT_TORCH", "")
    if wish and wish not in GIGABYTES:
        raise Trouble(
            "SDKIT_TORCH is %r: set it to one of %s, or unset it." % (wish, ", ".join(GIGABYTES))
        )
    if wish or sys.platform == "darwin":  # one build for every Mac
        return wish or "default"
    return "cuda" if "GPU 0" in ask(["nvidia-smi", "-L"]) else "cpu"


def check_machine(flavour):
    """Raise `Trouble` if the installation cannot succeed on this machine."""
    if sys.maxsize < 2**32 or (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        raise Trouble(
            "torch is not built for 32-bit Pythons and Intel Macs: install a 64-bit Python (on a\n"
            "Mac with Apple silicon, the one for it), or use a class server (docs/class-server.md)."
        )
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < GIGABYTES[flavour]:
        raise Trouble(
            "The disk is too full: the set-up needs %d GB in %s, and only %.1f GB are free.\n"
            "Make room and start again." % (GIGABYTES[flavour], ROOT, free)
        )


def pip_sources(flavour):
    """pip's options that say where packages come from."""
    if os.environ.get("SDKIT_WHEELS"):
        return ["--no-index", "--find-links", str(Path(os.environ["SDKIT_WHEELS"]).resolve())]
    # The ordinary index has CUDA builds for Linux and CPU builds for Windows. torch's own index has
    # the other two.
    extra = {("cpu", "linux"): INDEX + "cpu", ("cuda", "win32"): INDEX + "cu130"}.get(
        (flavour, sys.platform)
    )
    if extra:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(extra + "/torch/", timeout=5).close()
            return ["--extra-index-url", extra]
        say("%s does not answer, so pip takes torch from its usual index." % extra)
        if flavour == "cpu":
            say(
                "If that is the build for CUDA, it works as well, but it downloads 2.75 GB "
                "and takes 8 GB of disk."
            )
    return []


def explain(lines):
    """The last line with an error among those that a failed command printed, and what to do."""
    errors = [line for line in lines if re.match(r"\W*\w*(ERROR|Error|Errno)", line)]
    advice = next(advice for cause, advice in CAUSES if re.search(cause, "\n".join(lines)))
    return (errors or lines or ["No reason was given."])[-1] + "\n" + advice


def follow(command, log):
    """Run pip or venv and show its steps on one line. Its whole output goes to the file `log`.

    Raises `Trouble` with the reason if the command fails.
    """
    total, seen, lines = LOCK.read_text(encoding="utf-8").count("=="), 0, []
    with open(str(log), "w", encoding="utf-8") as kept, subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout:
            kept.write(line)
            lines.append(line.rstrip())
            step = STEP.match(line)
            if not step or ".metadata" in line:
                continue
            verb, name, size = step.groups()
            name = "-".join(re.split(r"[/\\]", name)[-1].split("-")[:2])
            if verb in ("Collecting", "Processing"):
                seen += 1
                say("  %d of about %d: %s" % (seen, total, name), end="" if seen % 50 else "\n")
            elif verb == "Installing collected":
                say("  unpacking them (a minute or two)")
            else:  # the big ones keep their line: "(196.5 MB)"
                say(
                    "  fetching " + name + size,
                    end="\n" if re.search(r"\d{3}\.\d MB", size) else "",
                )
    if process.returncode:
        raise Trouble(explain(lines))


@contextlib.contextmanager
def only_one():
    """Let only one set-up work at a time.

    The operating system releases the lock when the process ends, also after a crash.
    """
    with open(str(ROOT / ".venv.lock"), "w") as handle:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Trouble(
                "Another run.py is setting up this folder: wait for it, then start again."
            ) from None
        yield


def stamp(flavour):
    """A text that changes with Python's version, the lists of packages or the build of torch."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for path in (LOCK, CUDA_LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return "%s %s" % (digest.hexdigest(), flavour)


def set_up():
    """Make .venv afresh with the locked versions, unless it is there already."""
    stamped = STAMP.read_text(encoding="utf-8") if STAMP.exists() and PYTHON.exists() else ""
    if stamped and stamped == stamp(os.environ.get("SDKIT_TORCH") or stamped.split()[-1]):
        return
    flavour = torch_flavour()
    check_machine(flavour)
    with only_one():
        say(
            "Setting up .venv once: Python %s, torch for %s." % (platform.python_version(), flavour)
        )
        if STAMP.exists():
            STAMP.unlink()
        # not the Python inside .venv, which --clear deletes
        base = getattr(sys, "_base_executable", None) or sys.executable
        follow([base, "-m", "venv", "--clear", str(VENV)], os.devnull)
        packages = next(VENV.glob("[Ll]ib/**/site-packages"))
        # This path leads to the kit. It is relative, so the folder may be moved.
        path = os.path.relpath(str(ROOT), str(packages))
        (packages / "sdkit.pth").write_text(path + "\n", encoding="utf-8")
        say("Installing the locked packages; every detail goes to %s" % LOG)
        follow(
            [
                str(PYTHON),
                "-m",
                "pip",
                "install",
                "--progress-bar=off",
                "--retries=2",
                "-r",
                str(LOCK),
                "-c",
                str(CUDA_LOCK),
            ]
            + pip_sources(flavour),
            LOG,
        )
        write_launcher()
        STAMP.write_text(stamp(flavour), encoding="utf-8")
        say("Ready.%s" % installed_torch(packages))


def installed_torch(packages):
    """A sentence on the build of torch in the folder `packages`; "" if it cannot be told.

    pip may have installed another build than the one that was asked for, for instance from
    SDKIT_WHEELS. torch writes its version into a file, so it need not be imported.
    """
    try:
        text = (packages / "torch" / "version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    known = dict(re.findall(r"^(\w+)(?:: [^=]+)? = ['\"](.*)['\"]", text, re.M))
    build = "the processor only"
    for name, words in (("cuda", "NVIDIA GPUs (CUDA %s)"), ("hip", "AMD GPUs (ROCm %s)")):
        build = words % known[name] if name in known else build
    if sys.platform == "darwin":
        build = "the processor and the GPU of a Mac"
    return " torch %s is installed, a build for %s." % (known.get("__version__", "?"), build)


def write_launcher():
    """Put the command `sdkit` beside the Python of .venv, for shells in which .venv is active."""
    name, text = LAUNCHERS[os.name]
    path = PYTHON.parent / name
    path.write_bytes(text.encode("ascii"))
    path.chmod(0o755)


def become(command, folder, variables):
    """Replace this process by a command, so that Ctrl-C and the exit status are the command's own.

    Windows cannot replace a process. There, run the command, wait and return its exit status.
    """
    sys.stdout.flush()
    if os.name != "nt":
        os.chdir(str(folder))
        os.execvpe(command[0], command, variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a child on Windows does not inherit this
    return subprocess.call(command, cwd=str(folder), env=variables)


def hand_over(verb, options):
    """Run the verb with the Python inside .venv."""
    folder, command, variables = ROOT, [str(PYTHON)], environment()
    if verb != "test":  # sentences of the kit then name commands as the person calls them
        python = "py" if os.name == "nt" else "python3"
        variables["SDKIT_COMMAND"] = "%s %s" % (python, sys.argv[0])
    if verb == "lab":
        lessons = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
        command += LAB + ["--ServerApp.root_dir=%s" % ROOT] + options
        command += [] if any(".ipynb" in word for word in options) else lessons[:1]
        variables = with_lab_settings(variables)
    elif verb == "test":
        command += TEST + options
        variables = dict(TEST_ENVIRONMENT, **variables)
    else:
        folder = Path.cwd()  # names of photographs start from the person's folder
        own = {
            "site": [str(ROOT / "docs" / "site" / "build.py")],
            "pack": [str(ROOT / "docs" / "pack" / "build.py")],
            "web": ["-m", "sdkit.web"] + ([] if options else ["serve"]),
        }
        command += own.get(verb, ["-m", "sdkit", verb]) + options
    return become(command, folder, variables)


def main(argv):
    """Run one verb; return its exit status (2: the set-up could not be done)."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    try:
        if argv[0] not in VERBS and not argv[0].startswith("-"):  # a typing error installs nothing
            near = difflib.get_close_matches(argv[0], VERBS, 1)
            raise Trouble(
                "There is no command %s. %sSee: %s run.py --help"
                % (
                    argv[0],
                    "Do you mean %s? " % near[0] if near else "",
                    "py" if os.name == "nt" else "python3",
                )
            )
        if sys.version_info[:2] in PYTHONS:
            set_up()
            return hand_over(argv[0], argv[1:])
        say("This is Python %s. The kit runs on 3.11 to 3.13." % platform.python_version())
        other = suitable_python()
        if not other:
            raise Trouble(
                "None of these is on the PATH: install one (python.org has them) and start again."
            )
        say("Using %s instead." % " ".join(other))
        return become(other + [str(ROOT / "run.py")] + argv, Path.cwd(), os.environ)
    except (Trouble, OSError) as trouble:
        what = str(trouble) if isinstance(trouble, Trouble) else explain([str(trouble)])
        print("\nrun.py: %s" % what, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. Start again to finish.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
