"""The package keeps to its layers.

Its imports keep the contracts of pyproject.toml, and the contracts can see every import.
"""

import ast

import pytest
from importlinter import cli

from sdkit.files import ROOT

PACKAGE = ROOT / "sdkit"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_contracts_are_kept(capsys):
    assert cli.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True) == 0, (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_package_itself_imports_by_full_names(path):
    """import-linter must see which layer an import uses.

    It takes ``from sdkit import photos`` for an import of `sdkit` and checks no layer.
    """
    direct = {
        child.stem for child in PACKAGE.iterdir() if child.suffix == ".py" or child.is_dir()
    } | {"__version__"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the full name"
            if node.module == "sdkit":
                assert {alias.name for alias in node.names} <= direct, (
                    f"line {node.lineno}: write the full name"
                )
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "sdkit"
        ):
            raise AssertionError(f"line {node.lineno}: sdkit.{node.attr} hides an import")
