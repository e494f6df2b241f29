"""The rows of the package: a module imports only from lower ones, and `import sdkit` stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from sdkit.paths import ROOT

PACKAGE = ROOT / "sdkit"
ROWS = {
    "paths": 0, "pixels": 0,
    "photos": 1, "points": 1, "postcards": 1, "art": 1, "layout": 1, "hardware": 1,
    "network": 1,
    "text": 2, "hub": 2, "parts": 2, "outputs": 2,
    "latents": 3,
    "schedule": 4,
    "unet": 5, "gans": 5,
    "sampler": 6,
    "generate": 7, "upscale": 7,
    "models": 8, "metrics": 8, "stages": 8,
    "cost": 9,
    "plots": 9,
    "widgets": 10, "checks": 10, "measure": 10,
    "recipes": 11, "verbs": 11, "turing": 11,
    "cli": 12,
}
TOP = max(ROWS.values())
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def name_of(path):
    """The name in ROWS of a file of the package; everything in a folder counts as one."""
    return path.parts[0] if len(path.parts) > 1 else path.stem


def imported(source, inside="sdkit"):
    """Names of `sdkit`'s modules that a source imports anywhere, also within functions."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # from . import x, from .x import y
                parents = inside.split(".")[:len(inside.split(".")) - node.level + 1]
                base = ".".join(parents + [base] * bool(base))
            paths = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        names.update(path.split(".")[1] for path in paths if path.startswith("sdkit."))
    return names & (set(ROWS) | {name_of(path) for path in MODULES})


@pytest.mark.parametrize("source, names", [
    ("import sdkit.text", {"text"}),
    ("from sdkit import text, __version__", {"text"}),
    ("from sdkit.text import encode", {"text"}),
    ("from . import latents", {"latents"}),
    ("from .latents import encode", {"latents"}),
    ("def f():\n    from sdkit.recipes.vae import main", {"recipes"}),
    ("import text, torch.nn", set()),
])
def test_imports_are_seen_in_every_form(source, names):
    assert imported(source) == names


def test_every_module_has_a_row():
    assert {name_of(path) for path in MODULES} - {"__init__", "__main__"} <= set(ROWS)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_from_lower_rows(path):
    name, inside = name_of(path), ".".join(("sdkit", *path.parts[:-1]))
    names = imported((PACKAGE / path).read_text(encoding="utf-8"), inside)
    if path.name == "__main__.py":
        assert names == {"cli"}
    elif path == Path("__init__.py"):
        assert names == set()
    else:
        row = ROWS[name]
        assert {other for other in names - {name} if ROWS[other] >= row} == set()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_imports_recipes_or_cli(path):
    names = imported((PACKAGE / path).read_text(encoding="utf-8"))
    allowed = {"__main__": {"cli"}, "recipes": {"recipes"}}.get(name_of(path), set())
    assert names & {"recipes", "cli"} <= allowed


def test_import_sdkit_brings_nothing_heavy():
    code = "import sys, sdkit; print(sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "PIL", "matplotlib", "skimage", "diffusers", "transformers", "IPython"}
    assert not heavy & set(ast.literal_eval(done.stdout))


def test_no_module_is_too_long_to_read_in_one_go():
    lengths = {str(path): len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > (300 if "recipes" in path else 250)} == {}
