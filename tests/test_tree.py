"""Short names lead to the right modules of the package, and `import sdkit` stays light."""

import ast
import importlib
import os
import subprocess
import sys
from collections import Counter

import pytest

import sdkit
from sdkit.files import ROOT

PACKAGE = ROOT / "sdkit"
FILES = [
    path.relative_to(ROOT).with_suffix("")
    for path in PACKAGE.rglob("*.py")
    if not path.stem.startswith("__")
]
FOLDERS = [
    path.relative_to(ROOT).parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE
]
MODULES = {path.name: ".".join(path.parts) for path in [*FILES, *FOLDERS]}


def test_no_two_files_or_folders_have_the_same_name():
    """Only one of the two could be imported by its short name."""
    counts = Counter(path.name for path in [*FILES, *FOLDERS])
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_module_has_its_short_name():
    assert {name: sdkit._modules()[name] for name in MODULES} == MODULES
    assert set(MODULES) == set(sdkit._modules()) and set(MODULES) <= set(dir(sdkit))


@pytest.mark.parametrize(
    "short, full",
    [
        ("photos", "sdkit.pictures.photos"),
        ("checks", "sdkit.lessons.checks"),
        ("schedule", "sdkit.diffusion.schedule"),
        ("models", "sdkit.models"),
        ("hub", "sdkit.models.hub"),
        ("generate", "sdkit.generate"),
        ("cli", "sdkit.cli"),
    ],
)
def test_a_short_name_gives_the_module_itself(short, full):
    namespace = {}
    exec(f"from sdkit import {short}", namespace)
    assert namespace[short] is getattr(sdkit, short) is importlib.import_module(full)
    assert namespace[short].__name__ == full


def test_an_unknown_name_is_an_attribute_error_or_an_import_error():
    with pytest.raises(AttributeError, match="no_such_module"):
        sdkit.no_such_module  # noqa: B018
    with pytest.raises(ImportError, match="no_such_module"):
        from sdkit import no_such_module  # noqa: F401
    assert not hasattr(sdkit, "__path_of_nothing__")


def test_import_sdkit_and_dir_load_no_large_library():
    code = "import os, sys, sdkit; dir(sdkit); print([m for m in sys.modules if '.' not in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {
        "torch",
        "numpy",
        "PIL",
        "matplotlib",
        "skimage",
        "diffusers",
        "transformers",
        "IPython",
    }
    assert not heavy & set(ast.literal_eval(done.stdout))


def test_the_offline_switches_are_set_before_the_libraries_read_them():
    """`huggingface_hub` and `transformers` read the environment when they are imported.

    A value that the user has set stays.
    """
    code = (
        "import os, sdkit; print(os.environ['HF_HUB_OFFLINE'], "
        "os.environ['TRANSFORMERS_VERBOSITY'])"
    )
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "TRANSFORMERS_"))
    }
    for own, printed in ({}, "on error"), ({"HF_HUB_OFFLINE": "1"}, "1 error"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**clean, **own},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == printed
