"""Bring notebooks into the form in which they are committed, and find what must not be in them.

    python tests/normalise.py [--check] [NOTEBOOK ...]

The program removes widget state, stale widget views, and metadata of editors and kernels. It joins
the pieces of printed text. It numbers the cells from 1 if they ran from top to bottom. With --check
it writes nothing and lists what is wrong.
"""

import argparse
import copy
import re
import statistics
import sys
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# The tag of a cell whose outputs answer a prediction above it. Its outputs are folded: in
# JupyterLab by the metadata that `normalise` sets, in HTML by docs/templates/kit.
AFTER_GUESS = "after-guess"
MAX_BYTES = 1_500_000
MAX_LINES = 25  # of a code cell
# characters of a line of code: as much as a laptop shows beside JupyterLab's file list
MAX_WIDTH = 98
MEDIAN_LINES = 10  # over the code cells of a lesson
# A path from the root of somebody's disk: /x/y, ~/x or C:\x. It must not be part of a web address
# or of a relative path.
ABSOLUTE = re.compile(r"(?:^|(?<=[\s\"'`(=\[,]))(?:/[A-Za-z_][\w.-]*/[\w.-]+|~/\w+|[A-Za-z]:\\\w+)")

# what is left of a progress bar, and of a picture while it was painted
PASSING = re.compile(r"\d+%\|.*\||^\[a picture while it was painted\]$")


def all_notebooks():
    """Every notebook of the kit: lessons before solutions and translations."""
    return [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted(NOTEBOOKS.glob("*/*.ipynb"))]


def normalise(notebook):
    """A copy of `notebook` without what changes from run to run or from editor to editor."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = nbformat.from_dict(METADATA)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if tags and AFTER_GUESS in tags:
            # JupyterLab shows the outputs when the cell is run
            cell.metadata["jupyter"] = nbformat.from_dict({"outputs_hidden": True})
    for cell in code:
        cell.outputs = _outputs(cell.outputs)
    counts = [cell.execution_count for cell in code]
    if None not in counts and counts == sorted(set(counts)):
        for number, cell in enumerate(code, 1):
            cell.execution_count = number
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = number
    return notebook


def _outputs(outputs):
    """Outputs without progress bars and widget views, and with printed text in one piece.

    A widget view is of no use in a file, because its model is gone with the kernel.
    """
    joined = []
    for output in outputs:
        text = output.get("data", {}).get("text/plain", "")
        if PASSING.search(text):
            continue
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
            continue
        if "data" in output:
            output.data.pop(VIEW, None)
        joined.append(output)
    return joined


def problems(notebook, size=0):
    """What must not be committed, as a list of sentences; `size` is that of the file in bytes."""
    found = []
    if size > MAX_BYTES:
        found.append(f"the file has {size:,} bytes, more than {MAX_BYTES:,}")
    if "widgets" in notebook.metadata:
        found.append("metadata.widgets holds widget state")
    elif normalise(notebook) != notebook:
        found.append("not normalised: run python tests/normalise.py")
    code = [
        (i, cell)
        for i, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]
    counts = [cell.execution_count for _, cell in code]
    if None not in counts and counts != list(range(1, len(counts) + 1)):
        found.append(
            f"execution counts are not 1 to {len(counts)} in order: restart the kernel and run all"
        )
    for i, cell in enumerate(notebook.cells):
        found += [f"cell {i}: {problem}" for problem in _cell_problems(cell)]
    return found


def _cell_problems(cell):
    if cell.cell_type == "markdown":
        yield from (
            f"picture without alt text: {tag[:60]}"
            for tag in re.findall(r"!\[\s*\]\([^)]*\)", cell.source)
        )
        yield from (
            f"picture without alt text: {tag[:60]}"
            for tag in re.findall(r"<img\b[^>]*>", cell.source)
            if not re.search(r"alt\s*=\s*[\"']\s*\w", tag)
        )
    texts = [cell.source]
    if cell.cell_type == "code":
        if cell.source.strip() and cell.execution_count is None:
            yield "was not run"
        if len(cell.source.splitlines()) > MAX_LINES:
            yield f"has {len(cell.source.splitlines())} lines, more than {MAX_LINES}"
        if max(map(len, cell.source.splitlines()), default=0) > MAX_WIDTH:
            yield f"has a line of more than {MAX_WIDTH} characters"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"ends in an error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"holds a warning: {output.text[:60]}"
            texts += [output.get("text", ""), *map(str, output.get("traceback", []))]
            for mime, data in output.get("data", {}).items():
                if not mime.startswith("image/"):
                    texts.append(str(data))
                elif len(str(output.metadata.get(mime, {}).get("alt", "")).split()) < 3:
                    yield f"{mime} without alt text: show it with plots.show(..., alt=...)"
    for text in texts:
        yield from (f"absolute path {path}" for path in ABSOLUTE.findall(text))


def lesson_problems(notebook, number):
    """Where a lesson departs from the shape that the syllabus asks for, as a list of sentences."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    source = "\n".join(cell.source for cell in code)
    exercises = set(re.findall(r"checks\.check\(\"(\d\d\.\d+)\"", source))
    median = statistics.median([len(cell.source.splitlines()) for cell in code] or [0])
    stills = [
        cell
        for cell in code
        if "frames_slider(" in cell.source
        and any("image/jpeg" in output.get("data", {}) for output in cell.outputs)
    ]
    ticket = prose.partition("## Exit ticket")[2].partition("\n## ")[0]
    spoilt = unfolded_answers(notebook)
    checks = {
        f"the tag {AFTER_GUESS} at the cells {spoilt}, whose outputs answer a guess": not spoilt,
        "title '# NN · ...'": prose.startswith(f"# {number} · "),
        "5 to 9 sections '## 1 · ...'": 5 <= len(re.findall(r"^## \d · ", prose, re.M)) <= 9,
        "'What just happened' in five places": prose.count("**What just happened.**") >= 5,
        f"median of at most {MEDIAN_LINES} lines a code cell (it is {median:g})": median
        <= MEDIAN_LINES,
        "something to predict and compare": "checks.predict(" in source
        and "checks.compare(" in source,
        "two exercises of its own number": len([e for e in exercises if e.startswith(f"{number}.")])
        >= 2,
        "a slider with its still strip": bool(stills),
        "an exit ticket with two folded answers": ticket.count("<details>")
        == ticket.count("</details>")
        >= 2,
        "'Where to read on' with years": len(
            re.findall(r"\((?:19|20)\d\d\)", prose.partition("read on")[2])
        )
        >= 3,
    }
    return [f"lacks {what}" for what, there in checks.items() if not there]


def unfolded_answers(notebook):
    """The ids of cells that compare a guess with its measurement and show their outputs."""
    return [
        cell.id
        for cell in notebook.cells
        if cell.cell_type == "code"
        and "checks.compare(" in cell.source
        and AFTER_GUESS not in cell.metadata.get("tags", [])
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "notebooks", nargs="*", type=Path, help="all of the kit's where none is given"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, list what is wrong")
    options = parser.parse_args(arguments)
    failed = False
    for path in options.notebooks or all_notebooks():
        notebook = nbformat.read(path, as_version=4)
        if not options.check:
            notebook = normalise(notebook)
            nbformat.write(notebook, path)
        for problem in problems(notebook, path.stat().st_size):
            print(f"{path.name}: {problem}")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
