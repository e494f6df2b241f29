"""How many seconds each slow cell of a lesson takes, written into the teacher's page.

    python -m tests.benchmarks.cells 01 03

runs these lessons from top to bottom, and replaces the part "Slow cells" of docs/lessons. Run it on
a machine that does nothing else, with as many threads as the page should speak of.

    python -m tests.benchmarks.cells --stored 01 03

runs nothing. It takes the times that nbclient wrote into the cells when the lessons were last run
(`jupyter nbconvert --execute --inplace`). tests/normalise.py removes them, so call this before.
"""

import argparse
import re
import time
from datetime import datetime

import nbformat
from nbclient import NotebookClient

from tests import normalise

SLOW = 5  # seconds from which a cell is listed


def measure(notebook, folder):
    """[(section, first line, seconds)] of the slow cells of a notebook that is run for this."""
    started = {}
    client = NotebookClient(
        notebook,
        timeout=1800,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: started.update({cell_index: time.perf_counter()}),
        on_cell_executed=lambda cell, cell_index, execute_reply: started.update(
            {cell_index: time.perf_counter() - started[cell_index]}
        ),
    )
    client.execute()
    return slow(notebook, started)


def stored(notebook):
    """The same, from the times of the last run, which nbclient has stored in the cells."""
    seconds = {}
    for index, cell in enumerate(notebook.cells):
        times = cell.metadata.get("execution", {})
        if times:
            start, end = (
                datetime.fromisoformat(times[key].replace("Z", "+00:00"))
                for key in ("iopub.execute_input", "shell.execute_reply")
            )
            seconds[index] = (end - start).total_seconds()
    if not seconds:
        raise SystemExit("no times are stored: run the notebook, and do not normalise it yet")
    return slow(notebook, seconds)


def slow(notebook, seconds):
    """[(section, first line, seconds)] of the cells that take SLOW seconds and more."""
    found, section = [], "top"
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            if headings := re.findall(r"^## (\d) · ", cell.source, re.M):
                section = f"section {headings[-1]}"
        elif seconds.get(index, 0) >= SLOW:
            found.append((section, cell.source.splitlines()[0], seconds[index]))
    return found


def written(page, found):
    """The page with its part "Slow cells" replaced; it stands before "Where people stumble"."""
    rows = [f"| {where} | `{line.strip()}` | {seconds:.0f} |" for where, line, seconds in found]
    rows = rows or ["| none | | |"]
    part = "\n".join(
        [
            "## Slow cells",
            "",
            f"Those of {SLOW} seconds and more, on two cores.",
            "",
            "| where | first line | seconds |",
            "|---|---|---|",
            *rows,
            "",
            "",
        ]
    )
    page = re.sub(r"## Slow cells\n.*?(?=^## )", "", page, flags=re.DOTALL | re.M)
    return page.replace("## Where people stumble", part + "## Where people stumble", 1)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="+", help='numbers such as "01"')
    parser.add_argument("--stored", action="store_true", help="take the times of the last run")
    options = parser.parse_args(arguments)
    for number in options.lessons:
        (path,) = normalise.NOTEBOOKS.glob(f"{number}_*.ipynb")
        page = normalise.NOTEBOOKS.parent / "docs" / "lessons" / f"{path.stem}.md"
        notebook = nbformat.read(path, as_version=4)
        found = stored(notebook) if options.stored else measure(notebook, path.parent)
        page.write_text(written(page.read_text(encoding="utf-8"), found), encoding="utf-8")
        print(number, *(f"{where} {seconds:.0f} s" for where, _, seconds in found), sep=", ")


if __name__ == "__main__":
    main()
