"""How many seconds each slow cell of a lesson takes, written into the teacher's page.

    python -m tests.benchmarks.cells 01 03

runs these lessons from top to bottom, and replaces the part "Slow cells" of docs/lessons. Run it on
a machine that does nothing else, with as many threads as the page should speak of.
"""

import argparse
import re
import time

import nbformat
from nbclient import NotebookClient

from tests import normalise

SLOW = 5  # seconds from which a cell is listed


def measure(notebook, folder):
    """[(section, first line, seconds)] of the slow cells of a notebook that is run for this."""
    started, found, section = {}, [], "top"
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
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            if headings := re.findall(r"^## (\d) · ", cell.source, re.M):
                section = f"section {headings[-1]}"
        elif started.get(index, 0) >= SLOW:
            found.append((section, cell.source.splitlines()[0], started[index]))
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
    for number in parser.parse_args(arguments).lessons:
        (path,) = normalise.NOTEBOOKS.glob(f"{number}_*.ipynb")
        page = normalise.NOTEBOOKS.parent / "docs" / "lessons" / f"{path.stem}.md"
        found = measure(nbformat.read(path, as_version=4), path.parent)
        page.write_text(written(page.read_text(encoding="utf-8"), found), encoding="utf-8")
        print(number, *(f"{where} {seconds:.0f} s" for where, _, seconds in found), sep=", ")


if __name__ == "__main__":
    main()
