"""The exit tickets of all lessons as one sheet to print.

    python -m sdkit.lessons.tickets

reads the two questions of each lesson and writes docs/exit-tickets.html, a page a lesson, with
lines to write on and points.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

from sdkit.files import ROOT

SHEET = ROOT / "docs" / "exit-tickets.html"
POINTS = 3  # of a question: the answer, a reason, a number or a figure that supports it
HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Exit tickets</title>
<style>
body { font: 12pt/1.45 sans-serif; max-width: 44em; margin: 1.5em auto; padding: 0 1em; }
section { break-after: page; }
h2 { font-size: 14pt; }
.line { border-bottom: 1px solid #888; height: 2.1em; }
.points { text-align: right; }
.screen { border: 1px solid #888; padding: 0 1em; }
@media print { .screen { display: none; } }
</style>
</head>
<body>
<main>
<div class="screen">
<h1>Exit tickets</h1>
<p>Print the page of your lesson.{answers}</p>
</div>
"""
ANSWERS = " The answers are folded in the notebooks."  # not in those of the pack for students


def questions(notebook: Path) -> tuple[str, list[str]]:
    """The title of a lesson and the questions of its exit ticket."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    title = next(line[2:] for text in texts for line in text.splitlines() if line[:2] == "# ")
    ticket = next(text for text in texts if text.startswith("## Exit ticket"))
    ticket = re.sub(r"<details>.*?</details>", "", ticket, flags=re.DOTALL)
    asked = re.split(r"^\*\*\d\.\*\* ", ticket, flags=re.M)[1:]
    return title, [plain(question) for question in asked]


def plain(text: str) -> str:
    """Markdown without links, emphasis and line breaks."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[*`]", "", text).split())


def page(answers: str = ANSWERS) -> str:
    """The whole sheet. answers : a sentence that says where they are."""
    parts = [HEAD.replace("{answers}", answers)]
    for notebook in sorted(ROOT.glob("notebooks/[0-9]*.ipynb")):
        title, asked = questions(notebook)
        parts.append(f"<section>\n<h2>{escape(title)}</h2>\n<p>Name: ________________________</p>")
        for number, question in enumerate(asked, 1):
            parts.append(f"<p><b>{number}.</b> {escape(question)}</p>")
            parts += ['<div class="line"></div>'] * 7
            parts.append(f'<p class="points">____ of {POINTS} points</p>')
        parts.append("</section>")
    return "\n".join([*parts, "</main>", "</body>", "</html>", ""])


if __name__ == "__main__":
    SHEET.write_text(page(), encoding="utf-8", newline="\n")
