"""Lesson 12: its functions do what sdkit and diffusers do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from scipy.stats import binomtest
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from sdkit import generate, postcards
from tests.taught import source_of, taught

GOOD = "12_how_good.ipynb"


@pytest.fixture(scope="module")
def boxes():
    x, y = torch.randn(2, 60, 6, generator=torch.Generator().manual_seed(12), dtype=torch.float64)
    return x, 0.7 * y + 0.4 * y[:, :1] + 0.3


def test_the_four_painters_have_the_faults_that_the_lesson_names():
    cells = dict(taught(GOOD))  # a copy, because other tests use the same one
    shown, drawn_cards = [], []
    cells["plots"] = SimpleNamespace(
        show=lambda *a, **k: None, show_grid=lambda images, *a, **k: shown.extend(images)
    )
    draw = cells["postcards"].draw
    cells["postcards"] = SimpleNamespace(
        sample=postcards.sample, draw=lambda card: drawn_cards.append(card) or draw(card)
    )
    exec(source_of(GOOD, "code-first"), cells)
    a, _, c, d = (drawn_cards[k : k + 6] for k in range(0, 24, 6))
    right = [
        [(x.colour, x.thing, x.time) == ("red", "house", "night") for x in row] for row in (a, c, d)
    ]
    assert len(set(a)) == 1 and all(right[0]) and not any(postcards.is_held_out(x) for x in d)
    assert 0 < sum(right[1]) < 6 and all(right[2]) and len(set(d)) == 6
    training = {postcards.sample(1, k) for k in range(8000)}
    assert set(d) <= training and a[0] not in training
    sharpness = [
        np.mean([np.abs(np.diff(np.float32(x), axis=1)).mean() for x in shown[k : k + 6]])
        for k in (6, 18)
    ]
    assert sharpness[0] < 0.8 * sharpness[1]


def test_fid_equals_that_of_torchmetrics(boxes):
    cells, solved = taught(GOOD), taught(f"solutions/{GOOD}")
    theirs = FrechetInceptionDistance(
        feature=torch.nn.Flatten(), input_img_size=(1, 1, 6), normalize=True
    )
    theirs.set_dtype(torch.float64)
    for box, real in zip(boxes, (True, False)):
        for part in box.split(20):
            theirs.update(part[:, None, None], real=real)
    assert (
        cells["fid"](*boxes)
        == solved["fid"](*boxes)
        == pytest.approx(float(theirs.compute()), rel=1e-4)
    )
    assert cells["fid"](boxes[0], boxes[0]) == pytest.approx(0, abs=1e-4)


def test_kid_equals_that_of_torchmetrics_and_is_unbiased(boxes):
    kid = taught(GOOD)["kid"]
    assert kid(*boxes) == pytest.approx(float(poly_mmd(*boxes)), rel=1e-6)
    generator = torch.Generator().manual_seed(0)
    nothing = [
        kid(*torch.randn(2, 20, 6, generator=generator, dtype=torch.float64)) for _ in range(400)
    ]
    assert abs(np.mean(nothing)) < 4 * np.std(nothing) / 20


def test_covered_on_a_line_in_closed_form():
    """Each of the points 0, 1, 2 and 10 reaches as far as its second nearest neighbour.

    These distances are 2, 1, 2 and 9.
    """
    covered, by = taught(GOOD)["covered"], torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    at = torch.tensor([[-2.5], [-1.9], [3.9], [9.0], [19.5]])
    assert [covered(point[None], by, k=2) for point in at] == [0, 1, 1, 1, 0]
    assert covered(by, by, k=1) == 1 and covered(at, by, k=2) == pytest.approx(3 / 5)


def test_wilson_in_the_solution_equals_that_of_scipy():
    wilson = taught(f"solutions/{GOOD}")["wilson"]
    for right, count in ((0, 5), (9, 12), (12, 12), (180, 240)):
        theirs = binomtest(right, count).proportion_ci(0.95, "wilson")
        assert wilson(right, count) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


def test_each_painted_card_equals_the_pipeline_with_its_own_seed(tiny_pipe):
    cells, cards = taught(GOOD), [postcards.sample(3, k) for k in range(18)]
    pipe = StableDiffusionPipeline(**tiny_pipe.components, requires_safety_checker=False)
    how = generate.Settings("", 1.0, 2.0, 2, 64)
    cells |= {"pipe": pipe, "models": SimpleNamespace(settings=lambda *a, **k: how)}
    ours = cells["painted"](cards)
    theirs = (
        pipe(
            [postcards.plain_caption(cards[17])],
            guidance_scale=2.0,
            num_inference_steps=2,
            height=64,
            width=64,
            generator=torch.Generator().manual_seed(17),
            output_type="pt",
        ).images
        * 2
        - 1
    )
    assert ours.shape == (18, 3, 64, 64)
    torch.testing.assert_close(ours[17:], theirs, atol=1e-4, rtol=0)
