"""Which sections of a lesson are its core path, and how long they take.

Minutes are measured: 130 words and 12 lines of code a minute, and 4 minutes an exercise. A section
is further if the line FURTHER stands below its heading. `python -m tests.core_path` writes the
minutes into the table at the top of each lesson.
"""

import re

import nbformat

from tests import normalise

WORDS, LINES, EXERCISE = 130, 12, 4  # words and lines of code a minute; minutes an exercise
HOME = ("Where to read on", "The course")  # not read in the lesson
FURTHER = (
    "*Further: run these cells now, because later cells use them. "
    "Read the text after the core path.*"
)


class Section:
    """A heading with all that stands below it."""

    def __init__(self, title=""):
        self.title = title
        self.prose, self.code = [], []

    @property
    def number(self):
        found = re.match(r"(\d) · ", self.title)
        return int(found[1]) if found else None

    @property
    def further(self):
        return any(FURTHER in text for text in self.prose)

    @property
    def minutes(self):
        prose = "\n".join(self.prose)
        words = len(re.sub(r"\]\([^)]*\)|<[^>]*>", "", prose).split())
        lines = sum(bool(line.strip()) for code in self.code for line in code.splitlines())
        exercises = len(re.findall(r"^### Exercise ", prose, re.M))
        return words / WORDS + lines / LINES + EXERCISE * exercises


def sections(notebook):
    """The sections of a notebook; the first one is what stands above all headings."""
    found = [Section()]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found[-1].code.append(cell.source)
        elif cell.cell_type == "markdown":
            for part in re.split(r"^(?=## )", cell.source, flags=re.M):
                if heading := re.match(r"## (.*)", part):
                    found.append(Section(heading[1]))
                found[-1].prose.append(part)
    return [section for section in found if not section.title.startswith(HOME)]


def minutes(notebook):
    """Minutes of the core path, and of the sections that are further."""
    both = [0.0, 0.0]
    for section in sections(notebook):
        both[section.further] += section.minutes
    return tuple(both)


def sentence(numbers):
    """[1, 2, 4] -> "sections 1, 2 and 4"."""
    if len(numbers) == 1:
        return f"section {numbers[0]}"
    return f"sections {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def rows(notebook):
    """What the table at the top of a lesson has to say."""
    numbered = [section for section in sections(notebook) if section.number]
    core, further = minutes(notebook)
    said = {
        "Core path": f"{sentence([s.number for s in numbered if not s.further])}: "
        f"about {5 * round(core / 5)} minutes with the exercises"
    }
    if chosen := [s.number for s in numbered if s.further]:
        said["Further"] = f"{sentence(chosen)}: about {max(5, 5 * round(further / 5))} minutes"
    return [f"| **{name}** | {text} |" for name, text in said.items()]


def main():
    """Write the measured minutes into the table at the top of every lesson."""
    for path in sorted(normalise.NOTEBOOKS.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        lines = [
            line
            for line in notebook.cells[0].source.splitlines()
            if not re.match(r"\| \*\*(Time|Core path|Further)\*\*", line)
        ]
        place = next(k for k, line in enumerate(lines) if line.startswith("| **You need")) + 1
        notebook.cells[0].source = "\n".join(lines[:place] + rows(notebook) + lines[place:])
        nbformat.write(normalise.normalise(notebook), path)


if __name__ == "__main__":
    main()
