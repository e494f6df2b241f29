"""The functions that the lessons define do what sdkit and diffusers do.

The tests take these functions out of the notebooks.
"""

import ast
import functools

import nbformat

from tests.normalise import NOTEBOOKS

ENDS = {"beta_start": 0.00085, "beta_end": 0.012}  # of Stable Diffusion


@functools.cache
def taught(path):
    """A namespace (dict) with the functions and classes that a notebook's cells define.

    Nothing else of the notebook runs, except its imports. Later definitions may call earlier ones,
    as in the notebook.
    """
    cells = [
        cell.source
        for cell in nbformat.read(NOTEBOOKS / path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    nodes = [node for source in cells for node in ast.parse(source).body]
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    namespace = {}
    module = ast.Module([node for node in nodes if isinstance(node, kinds)], type_ignores=[])
    exec(compile(module, path, "exec"), namespace)  # our own notebook, already under review
    return namespace


def source_of(path, cell_id):
    """The source of one cell of a notebook."""
    cells = nbformat.read(NOTEBOOKS / path, as_version=4).cells
    return next(cell.source for cell in cells if cell.id == cell_id)
