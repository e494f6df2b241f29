"""The wheel works in a bare environment, from another folder, without the repository."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from sdkit import __version__
from sdkit.files import ROOT

LIMIT = 100e6  # bytes, the largest file that PyPI accepts
PROGRAMS = "Scripts" if os.name == "nt" else "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this working tree; building it needs no network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--no-cache-dir", "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The folder of an environment with the wheel and the libraries, but without the repository."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / PROGRAMS / ("python.exe" if os.name == "nt" else "python")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"]
    subprocess.run([*command, "--no-index", wheel], check=True, capture_output=True, timeout=300)
    # .pth files inside a folder that is added here are not read, so sdkit.pth has no effect
    packages = next(folder.glob("[Ll]ib/**/site-packages"))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_the_wheel_holds_the_package_the_weights_and_the_licences(wheel):
    assert wheel.name == f"sdkit-{__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < LIMIT
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if "/licenses/" in name]
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "sdkit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    data = {p.relative_to(ROOT).as_posix() for p in (ROOT / "data").rglob("*") if p.is_file()}
    assert inside == ours | {f"sdkit/{name}" for name in data}
    assert len(licences) == 2


def test_sdkit_style_works_in_another_folder(bare, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SDKIT_DATA")}
    where = [bare / PROGRAMS / "python", "-c", "import sdkit; print(sdkit.__file__)"]
    printed = subprocess.run(
        where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert bare.resolve() in Path(printed.strip()).resolve().parents
    done = subprocess.run(
        [bare / PROGRAMS / "sdkit", "style", "astronaut", "--prompt", "van gogh"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (picture,) = tmp_path.rglob("*.png")
    with Image.open(picture) as opened:
        assert opened.text["Software"] == f"sdkit {__version__}"
        assert opened.convert("L").getextrema() != (0, 0)
