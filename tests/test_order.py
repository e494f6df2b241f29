"""Long files of tests start first."""

import fnmatch
import types

from sdkit.files import ROOT
from tests import conftest, order

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("tests", "notebooks")
    for path in (ROOT / folder).rglob("*.*")
)


def test_no_pattern_is_out_of_date():
    for pattern in order.LONGEST_FIRST:
        assert fnmatch.filter(FILES, pattern), f"{pattern} fits no file"


def test_workers_start_long_files_first_and_keep_the_order_inside_a_file():
    names = ["tests/test_run.py", "notebooks/solutions/01_gans.ipynb", "notebooks/01_gans.ipynb"]
    items = [types.SimpleNamespace(path=ROOT / name, cell=k) for name in names for k in range(3)]
    alone = types.SimpleNamespace(rootpath=ROOT)
    conftest.pytest_collection_modifyitems(alone, before := list(items))
    assert before == items  # without pytest-xdist, the order of the folders is easier to follow
    worker = types.SimpleNamespace(rootpath=ROOT, workerinput={})
    conftest.pytest_collection_modifyitems(worker, items)
    assert [item.path.relative_to(ROOT).as_posix() for item in items[::3]] == names[::-1]
    assert [item.cell for item in items] == [0, 1, 2] * 3
