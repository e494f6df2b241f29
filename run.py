#!/usr/bin/env python3
"""The one command of the kit.

    python3 run.py lab                                 open the lessons in JupyterLab
    python3 run.py style PHOTO --prompt "van gogh"     paint a photograph (or a sample: astronaut, chelsea, ...)
    python3 run.py test                                run every test, every notebook included
    python3 run.py doctor | models | VERB --help       any other verb of the package: python -m sdkit VERB

The first call sets up .venv with the exact versions of requirements.lock (minutes, for it downloads them;
2 GB of disk); later calls start at once. Python 3.11, 3.12 or 3.13. Options after the verb are passed on.

    SDKIT_TORCH=cpu|cuda|default    which build of torch (unset: cuda where an NVIDIA GPU answers, otherwise cpu;
                                    default: whatever pip finds first)
    SDKIT_WHEELS=FOLDER             install from this folder of wheels only, without any index; fill it with
                                    pip download -r requirements.lock -d FOLDER
"""

import contextlib
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

# Only the standard library, and nothing that Python 3.7 cannot parse: an old Python must get as far as the sentence
# that says it is too old.

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "sdkit-installed.txt"  # written last, so an interrupted installation has none and is done again
LOG = VENV / "install.log"
LOCK, CUDA_LOCK = ROOT / "requirements.lock", ROOT / "requirements-cuda.lock"

MINORS = (11, 12, 13)  # of Python 3; pyproject.toml says the same (tested)
FLAVOURS = ("cpu", "cuda", "default")
GIGABYTES = {"cpu": 3, "cuda": 8, "default": 3}  # free disk wanted: what is unpacked plus what pip holds meanwhile
INDEX = "https://download.pytorch.org/whl/"

# For every program that is started: stay offline, stay quiet, and do not let a user's own settings get in the way.
OFFLINE = {
    "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error",
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads are ten times slower as soon as a second process is busy
}
FORCED = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONUTF8": "1"}

LAB = ["-m", "jupyterlab", "--LabApp.news_url=None", "--LabApp.extension_manager=readonly",
       "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
       '--ServerApp.tornado_settings={"websocket_max_message_size":67108864}']  # uploads over 10 MiB die without it
TEST = ["-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/sanitize.cfg",
        "--nbval-cell-timeout=300", "-p", "no:cacheprovider"]  # what is tested: testpaths in pyproject.toml

CAUSES = (  # what pip or venv print when they fail, and what a person can do; the first that matches counts
    (r"No space left|Errno 28\b|WinError 112|not enough space",
     "The disk is full: free a few GB (`python3 -m pip cache purge` helps) and start again."),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError",
     "The index's certificate is not trusted: behind a proxy, set PIP_CERT to its certificate and start again."),
    (r"ConnectionError|ConnectTimeout|NameResolution|[Nn]ame resolution|Name or service not known|getaddrinfo"
     r"|ProxyError|Network is unreachable|Connection refused|[Rr]ead ?[Tt]ime",
     "No package index answers: connect to the network (behind a proxy, set HTTPS_PROXY) and start again, or set "
     "SDKIT_WHEELS to a folder of wheels."),
    (r"No matching distribution found",
     "pip found no index, or none that has this package: check `python3 -m pip config list` and the network, or "
     "the folder SDKIT_WHEELS (to be filled on the same kind of machine)."),
    (r"Permission denied|Errno 13\b|WinError (5|32)\b",
     "A file may not be written: check who owns this folder, and close JupyterLab and shells that use .venv."),
    (r"ensurepip",
     "This Python comes without venv: install it (Debian, Ubuntu: `apt install python3-venv`) and start again."),
)


class Trouble(Exception):
    """What is wrong and what to do, in a sentence or two; printed without a traceback."""


def say(text, end="\n"):
    """Print a step; with end="" it is a line that the next one overwrites, which only a terminal gets."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + (text[:width] if end == "" else text).ljust(width), end=end, flush=True)
    elif end:
        print(text, flush=True)


def suitable_python():
    """The command of a suitable Python that is not this one, or None. A shim that does not run is passed over."""
    for minor in reversed(MINORS):
        for command in ["python3.%d" % minor], ["py", "-3.%d" % minor]:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                found = subprocess.check_output(command + ["-c", "import sys; print(sys.version_info[:2])"],
                                                stderr=subprocess.DEVNULL, timeout=30)
                if found.decode().strip() == "(3, %d)" % minor:
                    return command
    return None


def check_machine(flavour):
    """Raise `Trouble` where the installation cannot end well."""
    if sys.maxsize < 2**32 or (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        raise Trouble("torch is not built for this Python (32 bits, or an Intel Mac): install a 64-bit one, on a Mac "
                      "one for Apple silicon, or use a class server (docs/class-server.md).")
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES[flavour]:
        raise Trouble("The disk is too full: the set-up wants %d GB free in %s, and there are %.1f. Free some "
                      "and start again." % (GIGABYTES[flavour], ROOT, free))


def torch_flavour():
    """Which build of torch to install: one of `FLAVOURS`."""
    wish = os.environ.get("SDKIT_TORCH", "").strip().lower()
    if wish and wish not in FLAVOURS:
        raise Trouble("SDKIT_TORCH is %r: set it to one of %s, or unset it." % (wish, ", ".join(FLAVOURS)))
    if wish or sys.platform == "darwin":  # one build for every Mac
        return wish or "default"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if b"GPU 0" in subprocess.check_output(["nvidia-smi", "-L"], stderr=subprocess.DEVNULL, timeout=20):
            return "cuda"
    return "cpu"


def answers(index):
    """Whether a package index answers within seconds."""
    try:
        with urllib.request.urlopen(index + "/torch/", timeout=5) as page:
            return page.status == 200
    except (OSError, ValueError):
        return False


def pip_sources(flavour):
    """pip's options that say where packages come from."""
    wheels = os.environ.get("SDKIT_WHEELS")
    if wheels:
        if not Path(wheels).is_dir():
            raise Trouble("SDKIT_WHEELS is not a folder: %s. Correct or unset it." % wheels)
        return ["--no-index", "--find-links", str(Path(wheels).resolve())]
    # The ordinary index has the CUDA build for Linux and the CPU build for Windows; torch's own has the other two.
    extra = {("cpu", "linux"): "cpu", ("cuda", "win32"): "cu130"}.get((flavour, sys.platform))
    if not extra:
        return []
    if answers(INDEX + extra):
        return ["--extra-index-url", INDEX + extra]
    say("The index of torch's %s build does not answer, so pip takes what it is set up to find." % extra.upper())
    if extra == "cpu":
        say("If that is the CUDA build, it downloads 2.75 GB and takes 8 GB of disk. It works all the same.")
    return []


def follow_pip(command):
    """Run pip, show its steps on one line, keep all its words in the log; raise `Trouble` if it fails."""
    total = sum(line[:1].isalpha() for line in LOCK.read_text(encoding="utf-8").splitlines())
    seen, output = 0, []
    with open(str(LOG), "a", encoding="utf-8") as log, subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            universal_newlines=True, encoding="utf-8", errors="replace", env=environment()) as pip:
        for line in pip.stdout:
            log.write(line)
            output.append(line.strip())
            step = re.match(r"\s*(Collecting|Downloading|Using cached|Installing collected) (\S+)(.*)", line)
            if not step or ".metadata" in line:
                continue
            if step.group(1) == "Collecting":
                seen += 1
                say("  %d of about %d: %s" % (seen, total, step.group(2)), end="" if seen % 40 else "\n")
            elif step.group(1) == "Installing collected":
                say("  unpacking them (a minute or two)")
            else:
                size = step.group(3)  # the big ones keep their line: "(196.5 MB)"
                name = "-".join(step.group(2).split("/")[-1].split("-")[:2])
                say("  fetching " + name + size, end="\n" if re.search(r"\d{3}\.\d MB", size) else "")
    if pip.returncode:
        raise Trouble(explain(output))


def explain(output):
    """The last telling line of `output` (the lines of a failed command), and a sentence on what to do about it."""
    lines = [line for line in output if line and "new release of pip" not in line]
    last = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "(it said nothing)")
    text = "\n".join(lines)
    advice = next((advice for pattern, advice in CAUSES if re.search(pattern, text)),
                  "The installation did not end well; all that was said is in %s." % LOG)
    return "%s\n%s" % (last, advice)


@contextlib.contextmanager
def only_one():
    """Let one set-up work at a time; the system lifts this lock when the process ends, in whatever way."""
    with open(str(ROOT / ".venv.lock"), "w") as handle:
        try:
            if os.name == "nt":
                import msvcrt
                msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Trouble("Another run.py is setting up this folder: wait until it is ready, and start again.")
        yield


def fingerprint():
    """What decides which packages are installed, as a hash: both lists, and the version of Python."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for path in (LOCK, CUDA_LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def is_set_up():
    """Whether .venv is whole, up to date, and of the build of torch that SDKIT_TORCH asks for (if it does)."""
    if not (STAMP.exists() and PYTHON.exists()):
        return False
    mark, flavour = STAMP.read_text(encoding="utf-8").split()
    return mark == fingerprint() and os.environ.get("SDKIT_TORCH", flavour) in (flavour, "")


def set_up():
    """Make .venv afresh with the locked versions, unless it is there already."""
    if is_set_up():
        return
    flavour = torch_flavour()
    check_machine(flavour)
    with only_one():
        say("Setting up .venv once: Python %s, torch for %s." % (platform.python_version(), flavour.upper()))
        with contextlib.suppress(OSError):
            STAMP.unlink()
        base = getattr(sys, "_base_executable", None) or sys.executable  # not the python of the .venv to be cleared
        made = subprocess.run([base, "-m", "venv", "--clear", str(VENV)], env=environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if made.returncode:
            raise Trouble(explain(made.stdout.splitlines()))
        packages = next(VENV.glob("[Ll]ib/**/site-packages"))
        path = os.path.relpath(str(ROOT), str(packages))  # to the kit itself; relative, so the folder may be moved
        (packages / "sdkit.pth").write_text(path + "\n", encoding="utf-8")
        say("Installing the locked packages; every detail goes to %s" % LOG)
        follow_pip([str(PYTHON), "-m", "pip", "install", "--progress-bar=off", "--retries=2", "--prefer-binary",
                    "-r", str(LOCK), "-c", str(CUDA_LOCK)] + pip_sources(flavour))
        STAMP.write_text("%s %s\n" % (fingerprint(), flavour), encoding="utf-8")
        say("Ready.")


def environment():
    """The environment variables of every program that run.py starts."""
    result = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    path = str(PYTHON.parent) + os.pathsep + result.get("PATH", "")
    return {**OFFLINE, **result, **FORCED, "VIRTUAL_ENV": str(VENV), "PATH": path}


def command_for(verb, options):
    """What a verb runs inside .venv, and in which folder."""
    if verb == "lab":
        lessons = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
        chosen = [] if any(not option.startswith("-") for option in options) else lessons[:1]
        return LAB + chosen + options, ROOT
    if verb == "test":
        return TEST + options, ROOT
    return ["-m", "sdkit", verb] + options, Path.cwd()  # photographs are named from where the person stands


def hand_over(arguments, folder):
    """Become the Python of .venv (where the system can do that), so that Ctrl-C and exit statuses are its own."""
    command = [str(PYTHON)] + arguments
    sys.stdout.flush()
    if os.name != "nt":
        os.chdir(str(folder))
        os.execve(command[0], command, environment())
    child = subprocess.Popen(command, cwd=str(folder), env=environment())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the child; wait for what it makes of it
    return child.wait()


def main(argv):
    """Run one verb; return its exit status (2: the set-up could not be done)."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    try:
        if sys.version_info[0] != 3 or sys.version_info[1] not in MINORS:
            mine, other = platform.python_version(), suitable_python()
            if not other:
                raise Trouble("This is Python %s, and the kit runs on Python 3.%d to 3.%d: install one of them (from "
                              "python.org or your system's packages) and start again with it, for example "
                              "`python3.12 run.py %s`." % (mine, MINORS[0], MINORS[-1], " ".join(argv)))
            say("Python %s is not one the kit runs on; going on with %s." % (mine, " ".join(other)))
            return subprocess.call(other + [str(ROOT / "run.py")] + argv)
        set_up()
        return hand_over(*command_for(argv[0], argv[1:]))
    except Trouble as trouble:
        say("")
        print("run.py: %s" % trouble, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; what was begun is done again at the next start.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
