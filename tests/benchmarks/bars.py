"""Which cells of a lesson are slow and show no bar meanwhile.

    python -m tests.benchmarks.bars 01 03

runs these lessons from top to bottom and lists each cell that takes longer than a second and shows
neither a bar nor a picture that is being painted (see `sdkit.progress`). The seconds are those of
the processor, all threads together, so they depend little on what else the computer does. Imports
and the loading of a model are in the list, too. Nothing is written into the lessons.
"""

import argparse
import os

import nbformat
import psutil
from nbclient import NotebookClient

from sdkit import progress
from tests import normalise

SLOW = 1  # seconds from which a cell should show how far it is
SEEN = ("%|", progress.LEFT, "FloatProgress")  # in the outputs of a cell that shows something


def without_bar(notebook, folder):
    """[(number of the code cell, seconds, first line)] of the slow cells that show no bar."""
    used, code = {}, [cell for cell in notebook.cells if cell.cell_type == "code"]

    def seconds():
        # the kernel and the processes that it has started
        kernel = psutil.Process(client.km.provisioner.process.pid)
        total = 0.0
        for process in [kernel, *kernel.children(recursive=True)]:
            total += sum(process.cpu_times()[:4])
        return total

    client = NotebookClient(
        notebook,
        timeout=7200,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: used.update({cell.id: seconds()}),
        on_cell_executed=lambda cell, cell_index, execute_reply: used.update(
            {cell.id: seconds() - used[cell.id]}
        ),
    )
    client.execute()
    return [
        (number, used[cell.id], cell.source.splitlines()[0])
        for number, cell in enumerate(code)
        if used.get(cell.id, 0) > SLOW and not any(mark in str(cell.outputs) for mark in SEEN)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="+", help='numbers such as "01"')
    os.environ.pop("TQDM_DISABLE", None)
    for lesson in parser.parse_args().lessons:
        (path,) = normalise.NOTEBOOKS.glob(f"{lesson}_*.ipynb")
        found = without_bar(nbformat.read(path, as_version=4), path.parent)
        print(f"{lesson}: {len(found)} slow cells without a bar", flush=True)
        for number, seconds, line in found:
            print(f"  code cell {number}, {seconds:.1f} s: {line}", flush=True)


if __name__ == "__main__":
    main()
