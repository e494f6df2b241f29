"""The upscaler's targets against diffusers and closed forms, its batches, and what is saved."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionUpscalePipeline
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from sdkit import art, photos
from sdkit.recipes import training, upscaler

TINY = upscaler.Settings(
    out=Path("o"),
    vae=Path("v"),
    tokenizer=Path("t"),
    clip=Path("c"),
    classifier=Path("s"),
    batch_size=4,
    sizes=(8, 12),
    side=64,
)


@pytest.fixture(scope="module")
def data():
    """Pictures of 4 x 4 px blocks. The latents are the colours of the blocks, as tensors."""

    def picture_set(low, high, decoded):
        rng = np.random.default_rng(low)
        blocks = rng.integers(low, high, (5, 16, 16, 3), np.uint8)
        pictures = list(blocks.repeat(4, 1).repeat(4, 2))
        return upscaler.PictureSet(
            pictures, photos.to_batch(blocks).half(), blocks if decoded else None
        )

    sets = [picture_set(0, 80, True), picture_set(80, 160, True)]
    return upscaler.Data(sets, picture_set(160, 256, False), upscaler.schedulers()[0])


@pytest.fixture
def batch(data):
    generator = torch.Generator().manual_seed(0)
    small, latents, noise = (
        torch.randn(3, channels, 8, 8, generator=generator) for channels in (3, 8, 8)
    )
    return upscaler.Batch(
        small, latents, noise, torch.tensor([0, 5, 9]), torch.tensor([0, 400, 999])
    )


def network_that(answer):
    """A network that notes its inputs and gives ``answer``."""
    calls = []

    def call(inputs, timesteps, text, class_labels):
        calls.append((inputs, timesteps, class_labels))
        return SimpleNamespace(sample=answer)

    return call, calls


def test_the_target_is_the_velocity_of_the_paper(data, batch):
    alpha = data.noiser.alphas_cumprod[batch.timesteps].view(3, 1, 1, 1)
    velocity = alpha.sqrt() * batch.noise - (1 - alpha).sqrt() * batch.latents
    network, calls = network_that(velocity)
    loss, _ = upscaler.loss(TINY, network, batch, data.noiser)
    assert loss.item() == pytest.approx(0, abs=1e-10)
    ((inputs, timesteps, levels),) = calls
    noisy = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * batch.noise
    torch.testing.assert_close(inputs[:, :8], noisy)
    assert torch.equal(inputs[:, 8:], batch.small)
    assert torch.equal(timesteps, batch.timesteps) and torch.equal(levels, batch.levels)
    loss, _ = upscaler.loss(TINY, network_that(velocity + 3)[0], batch, data.noiser)
    assert loss.item() == pytest.approx(9, rel=1e-5)


def test_the_regressor_gets_no_noisy_latents_and_its_target_is_the_picture(data, batch):
    settings = replace(TINY, regression=True)
    network, calls = network_that(batch.latents)
    loss, _ = upscaler.loss(settings, network, batch, data.noiser)
    assert loss == 0 and not calls[0][0][:, :8].any()
    assert torch.equal(calls[0][0][:, 8:], batch.small)
    loss, _ = upscaler.loss(settings, network_that(batch.noise)[0], batch, data.noiser)
    assert loss.item() == pytest.approx((batch.noise - batch.latents).square().mean().item())


def test_small_pictures_and_latents_show_the_same_part(data):
    """Postcards that went through the VAE: both hold the colours of the blocks."""
    settings = replace(TINY, decoded_share=1.0, card_share=1.0, max_noise_level=0)
    for step in range(20):
        batch = upscaler.make_batch(settings, data, training.rng(0, step))
        # noise of level 0 has a standard deviation of 0.01
        assert (batch.small - batch.latents).std() < 0.013


def test_pictures_that_are_shrunk_here_show_the_same_part_too(data):
    settings = replace(TINY, card_share=0.0, clean=1.0, max_noise_level=0)
    for step in range(20):
        batch = upscaler.make_batch(settings, data, training.rng(0, step))
        together = torch.stack([batch.small.flatten(), batch.latents.flatten()]).corrcoef()[0, 1]
        assert together > 0.97


def test_batches_mix_postcards_of_two_sizes_and_art(data):
    kinds = []
    for step in range(240):
        settings = replace(TINY, card_share=0.5)
        latents = upscaler.make_batch(settings, data, training.rng(0, step)).latents
        grey = (latents.mean().item() + 1) * 127.5
        kinds.append(0 if grey < 80 else 1 if grey < 160 else 2)
        assert latents.shape[-1] in (8, 12) and len(latents) == (4 if latents.shape[-1] == 8 else 2)
    shares = [kinds.count(kind) / 240 for kind in range(3)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.1)


def test_half_of_the_small_pictures_get_noise_of_a_known_level(data):
    settings = replace(TINY, card_share=1.0, decoded_share=1.0, max_noise_level=900)
    levels, errors = [], []
    for step in range(150):
        batch = upscaler.make_batch(settings, data, training.rng(0, step))
        levels.append(batch.levels)
        alpha = data.noiser.alphas_cumprod[batch.levels].view(-1, 1, 1, 1)
        noise = (batch.small - alpha.sqrt() * batch.latents) / (1 - alpha).sqrt()
        errors.append(noise.std().item())
    levels = torch.cat(levels).float()
    assert (levels == 0).float().mean().item() == pytest.approx(0.5, abs=0.07)
    assert levels.max() > 850 and levels[levels > 0].mean().item() == pytest.approx(450, abs=50)
    assert errors == pytest.approx([1] * len(errors), abs=0.2)
    batches = [
        upscaler.make_batch(replace(TINY, max_noise_level=1), data, training.rng(0, step))
        for step in range(20)
    ]
    assert {*torch.cat([batch.levels for batch in batches]).tolist()} == {0, 1}


def test_small_timesteps_are_practised_more_often_and_the_regressor_has_none(data):
    made = [upscaler.make_batch(TINY, data, training.rng(0, step)) for step in range(300)]
    share = torch.cat([batch.timesteps for batch in made]) / 1000
    # u^1.5 for uniform u: median 0.5^1.5, mean 1 / 2.5
    assert share.median().item() == pytest.approx(0.354, abs=0.05)
    assert share.mean().item() == pytest.approx(0.4, abs=0.04)
    regression = upscaler.make_batch(replace(TINY, regression=True), data, training.rng(0, 0))
    assert (regression.timesteps == 0).all()


def test_each_step_has_its_own_noise_and_the_same_one_again(data):
    first, again, other = (upscaler.make_batch(TINY, data, training.rng(0, s)) for s in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert first.noise.flatten()[0] != other.noise.flatten()[0]
    small = first.small.flatten()[:100]
    assert not torch.allclose(first.noise.flatten()[:100], small)  # two kinds of noise


def test_a_small_picture_of_a_part_is_the_part_of_the_small_picture():
    square = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole, part = (
        upscaler.shrink(square, box, np.random.default_rng(5), clean=1.0)
        for box in ([0, 0, 64, 64], [8, 16, 40, 56])
    )
    np.testing.assert_array_equal(whole[4:14, 2:10], part)
    worn = upscaler.shrink(square, [0, 0, 64, 64], np.random.default_rng(5), clean=0.0)
    assert worn.shape == whole.shape and 0 < np.abs(worn.astype(float) - whole).mean() < 20


def test_a_decoded_postcard_is_the_small_one_with_noise_in_its_latents():
    """With a VAE that leaves everything as it is, but for a factor."""
    vae = SimpleNamespace(
        device="cpu",
        dtype=torch.float32,
        config=SimpleNamespace(scaling_factor=0.5),
        encode=lambda x: SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: x)),
        decode=lambda z: SimpleNamespace(sample=z),
    )
    squares = [np.full((64, 64, 3), grey, np.uint8) for grey in (60, 120, 180)]
    made = upscaler.decode_small(vae, squares, np.random.default_rng(0), batch_size=2)
    assert made.shape == (3, 16, 16, 3) and made.dtype == np.uint8
    np.testing.assert_allclose(made.mean((1, 2, 3)), [60, 120, 180], atol=4)
    # the latents are half the picture, so up to 0.15 in them is twice that here
    grain = made.std((1, 2, 3))
    assert (grain > 0).all() and (grain < 2 * 0.15 * 127.5).all() and grain.std() > 1
    again = upscaler.decode_small(vae, squares, np.random.default_rng(0), batch_size=2)
    assert (made == again).all()


def test_the_schedules_of_the_upscaler_agree():
    """The solver removes the noise that training adds; at first hardly any picture is left."""
    noiser, solver = upscaler.schedulers()
    torch.testing.assert_close(noiser.alphas_cumprod, solver.alphas_cumprod)
    solver.set_timesteps(10)
    assert solver.timesteps[0] == 999 and noiser.alphas_cumprod[999] ** 0.5 < 0.03


def test_squares_are_never_enlarged_and_pictures_take_turns():
    rng, sizes = np.random.default_rng(0), ((100, 120), (64, 64), (50, 300))
    pictures = [
        art.Picture(f"{k}", "", "", Image.new("RGB", size, (50 * k, 0, 0)))
        for k, size in enumerate(sizes)
    ]
    squares = upscaler.crop_squares(pictures, 6, 64, rng)
    assert sorted(square[0, 0, 0] for square in squares) == [0, 0, 0, 50, 50, 50]
    assert all(square.shape == (64, 64, 3) for square in squares)


def test_the_trained_upscaler_is_loaded_by_diffusers_and_measured_beside_the_regressor(trained):
    models = trained / "models"
    out = models / "mini-upscaler"
    figures = [
        json.loads((out / place / "recipe.json").read_text())["metrics"]
        for place in ("regressor", "unet")
    ]
    assert [list(some) for some in figures] == [
        ["bicubic", "regression"],
        ["bicubic", "regression", "diffusion", "diffusion from noise"],
    ]
    assert figures[0]["regression"] == pytest.approx(figures[1]["regression"], abs=0.01)
    assert {"psnr, photos", "feature distance, postcards"} <= figures[1]["diffusion"].keys()
    shared = {
        "vae": AutoencoderKL.from_pretrained(models / "mini-sd" / "vae"),
        "text_encoder": CLIPTextModel.from_pretrained(models / "mini-sd" / "text_encoder").float(),
        "tokenizer": CLIPTokenizer.from_pretrained(models / "mini-sd" / "tokenizer"),
    }
    pipe = StableDiffusionUpscalePipeline.from_pretrained(out, **shared)
    image = pipe(
        "", Image.new("RGB", (16, 16)), num_inference_steps=2, guidance_scale=1, noise_level=100
    ).images[0]
    assert image.size == (64, 64) and pipe.config.max_noise_level == 100
    assert pipe.scheduler.config.prediction_type == "v_prediction"
