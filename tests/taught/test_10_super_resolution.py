"""Lesson 10: its functions do what sdkit, diffusers and a closed form do."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sdkit import models, photos, upscale
from tests.taught import taught

SUPER = "10_super_resolution.ipynb"


def test_imagine_equals_the_pipeline_of_diffusers_and_upscale_at_strength_1(
    tiny_upscaler, tiny_data
):
    pipe = models.load_upscaler(device="cpu")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8))
    low = photos.to_tensor(image)
    ours = taught(SUPER)["imagine"](pipe, low, torch.Generator().manual_seed(3), steps=5)
    theirs = pipe(
        "",
        image,
        num_inference_steps=5,
        guidance_scale=1.0,
        noise_level=0,
        output_type="latent",
        generator=torch.Generator().manual_seed(3),
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    (large,) = upscale.upscale(pipe, [image], 5, strength=1.0, seed=3)
    assert upscale.finish(pipe.vae, ours, low).tobytes() == large.tobytes()


def test_agree_returns_the_nearest_picture_with_the_given_means():
    generator = torch.Generator().manual_seed(0)
    large, small = (
        torch.randn(2, 3, 16, 24, generator=generator),
        torch.randn(2, 3, 4, 6, generator=generator),
    )
    answer = taught(f"solutions/{SUPER}")["agree"](large, small)
    means = (
        torch.kron(torch.eye(4), torch.ones(1, 4) / 4),
        torch.kron(torch.eye(6), torch.ones(1, 4) / 4),
    )
    both = torch.kron(*means)  # (24, 384): a picture -> its means, as a matrix
    nearest = (
        large.flatten(2)
        - (large.flatten(2) @ both.T - small.flatten(2)) @ torch.linalg.pinv(both).T
    )
    torch.testing.assert_close(answer.flatten(2), nearest, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (16, 4)])
def test_shrink_takes_the_mean_of_blocks_and_undoes_enlarge(size):
    cells, x = taught(SUPER), torch.randn(1, 3, *size)
    torch.testing.assert_close(cells["shrink"](x), F.interpolate(x, scale_factor=0.25, mode="area"))
    torch.testing.assert_close(cells["shrink"](cells["enlarge"](x)), x)


def test_psnr_of_mean_equals_the_measured_psnr_for_gaussian_noise():
    truth = torch.zeros(200_000)
    samples = 0.1 + 0.2 * torch.randn(5, len(truth), generator=torch.Generator().manual_seed(0))
    measured = -10 * torch.log10((samples.mean(0) - truth).square().mean())
    assert taught(f"solutions/{SUPER}")["psnr_of_mean"](
        0.1**2 + 0.2**2, 0.2**2, 5
    ) == pytest.approx(float(measured), abs=0.05)


def test_sharpness_halves_with_the_contrast_and_is_zero_for_one_colour():
    sharpness = taught(SUPER)["sharpness"]
    grey = np.random.default_rng(0).integers(0, 128, (32, 32, 3), np.uint8)
    assert sharpness(Image.fromarray(2 * grey)) == pytest.approx(
        2 * sharpness(Image.fromarray(grey))
    )
    assert sharpness(Image.new("RGB", (32, 32), "red")) == 0
