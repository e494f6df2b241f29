"""Postcards that the model draws small and that are enlarged."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from sdkit import latents, models, photos, postcards
from sdkit.recipes import redraws, unet


def test_postcards_are_learned_from_what_the_model_made_of_them_at_half_the_size(
    tiny_data, monkeypatch
):
    pipe = models.load(tiny_data / "models" / "mini-sd", device="cpu")
    networks = {name: getattr(pipe, name) for name in ("vae", "text_encoder", "tokenizer", "unet")}
    monkeypatch.setattr(redraws, "BATCH_SIZE", 1)
    cards, made = redraws.encode(networks, unet.scheduler(), 2, np.random.default_rng(0))
    assert cards == [postcards.sample(1, k) for k in range(2)] and made.shape[:2] == (2, 2)
    large, small = (
        photos.to_tensor(Image.fromarray(postcards.draw(cards[1], side))) for side in (128, 64)
    )
    with torch.no_grad():
        softened = latents.decode(pipe.vae, latents.encode(pipe.vae, small))
        expected = torch.cat(
            [
                latents.encode(pipe.vae, x)
                for x in (large, photos.to_tensor(photos.resize(photos.to_image(softened), 128)))
            ]
        )
    # a pixel on the edge of two grey levels may fall either way
    apart = (made[1].float() - expected).abs()
    assert apart.mean() < 1e-3 * expected.std() and apart.max() < 0.1 * expected.std()
    assert (made[0, 1] - made[0, 0]).abs().mean() > 0.01  # the model has drawn a part of it


def test_the_model_is_shown_its_small_pictures_in_the_range_of_diffusers(tiny_data, monkeypatch):
    """diffusers' pipelines take pictures in [0, 1], and scale them to [-1, 1] themselves."""
    pipe, seen = models.load(tiny_data / "models" / "mini-sd", device="cpu"), []

    def call(self, prompts, image, **settings):
        seen.append(image)
        return SimpleNamespace(images=[Image.new("RGB", (64, 64))] * len(image))

    monkeypatch.setattr(redraws.StableDiffusionImg2ImgPipeline, "__call__", call)
    networks = {name: getattr(pipe, name) for name in ("vae", "text_encoder", "tokenizer", "unet")}
    redraws.encode(networks, unet.scheduler(), 2, np.random.default_rng(0))
    drawn = np.stack([postcards.draw(postcards.sample(1, k), 64) for k in range(2)])
    wanted = torch.from_numpy(drawn).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(seen[0], wanted, atol=1e-6, rtol=0)
