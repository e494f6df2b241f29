"""Lesson 00: its functions do what sdkit and diffusers do, and its formulas add up."""

import math

import nbformat

from sdkit import formats
from tests.normalise import NOTEBOOKS
from tests.taught import taught
from tests.taught.test_claims import START, says
from tests.test_markdown import formulas


def test_counted_parameters_are_those_in_the_files(tiny_sd, tiny_pipe):
    count = taught("00_start_here.ipynb")["count"]
    for part in ("unet", "vae", "text_encoder"):
        assert count(getattr(tiny_pipe, part)) == formats.count_parameters(
            next((tiny_sd / part).glob("*.safetensors"))
        )


def value(side):
    """What a side of a formula is: a product of numbers, in seconds."""
    seconds = {"\\text{s}": 1, "\\text{minutes}": 60}
    factors = [factor for factor in side.replace("\\;", " ").split() if factor != "\\times"]
    return math.prod(seconds[word] if word in seconds else float(word) for word in factors)


def test_the_sides_of_each_formula_with_numbers_are_equal():
    cells = nbformat.read(NOTEBOOKS / f"{START}.ipynb", as_version=4).cells
    found = [
        formula.split("=")
        for cell in cells
        if cell.cell_type == "markdown"
        for formula in formulas(cell.source)
        if "=" in formula and formula[0].isdigit()
    ]
    assert len(found) == 3
    for first, *others in found:
        for other in others:
            assert math.isclose(value(first), value(other))
    shape, count = found[0]
    shape = ", ".join(factor for factor in shape.split() if factor != "\\times")
    assert says(START, "code-26", f"shape ({shape}), {int(count):,} numbers")
