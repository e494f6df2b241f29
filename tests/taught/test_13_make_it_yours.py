"""Lesson 13: its functions do what peft and sdkit do."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sdkit import filters, lora, models, postcards
from tests.taught import taught

MINE = "13_make_it_yours.ipynb"


def test_merged_weights_paint_as_the_file_beside_them(tiny_sd, tmp_path, monkeypatch):
    """The cell of section 2: melt the matrices into the UNet, convolutions among them."""
    melt, merged = taught(MINE)["melt"], taught(f"solutions/{MINE}")["merged"]
    pipe = models.load(tiny_sd, "text2img", device="cpu")
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))] * 3
    recipe = lora.Recipe(steps=3, rate=1e-2, rank=2, size=32, prior=0)
    learner = lora.Learner(pipe, pictures, ["a", "b", "c"], "dots", recipe)
    for _ in learner.train():
        pass
    learner.save(tmp_path / "dots.safetensors")
    learner.remove()
    z, words = torch.randn(1, 8, 8, 8), torch.randn(1, 16, 8)
    with torch.no_grad():
        bare = pipe.unet(z, 500, words).sample
        with lora.applied(pipe, [lora.read(tmp_path / "dots.safetensors", 0.8)]):
            expected = pipe.unet(z, 500, words).sample
        before = {key: w.clone() for key, w in pipe.unet.state_dict().items()}
        held = {k: w.float() for k, w in load_file(tmp_path / "dots.safetensors").items()}
        monkeypatch.setitem(melt.__globals__, "learned", held)
        monkeypatch.setitem(melt.__globals__, "merged", merged)
        melt(pipe.unet, "unet.", 0.8)
        made = pipe.unet(z, 500, words).sample
        pipe.unet.load_state_dict(before)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-3)
    assert (expected - bare).abs().max() > 10 * (made - expected).abs().max()


def test_the_loss_of_the_solution_is_the_plain_mean_for_equal_halves():
    loss = taught(f"solutions/{MINE}")["dreambooth_loss"]
    errors = torch.rand(8, generator=torch.Generator().manual_seed(0))
    known = torch.arange(8) >= 4
    assert float(loss(errors, known, 1)) == pytest.approx(float(2 * errors.mean()))


def test_cards_have_one_thing_and_styled_is_the_rule():
    cells = taught(MINE)
    cards = cells["single"](13, 8)
    assert len(cards) == 8 and all(card.second is None for card in cards)
    assert all(postcards.is_held_out(card) for card in cells["single"](8, 16, held_out=True))
    (made,) = cells["styled"](cards[:1], "blueprint")
    expected = filters.blueprint(Image.fromarray(postcards.draw(cards[0])))
    np.testing.assert_array_equal(made, expected)
