"""Lesson 05: its functions do what sdkit and diffusers do."""

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from skimage.metrics import structural_similarity

from sdkit import latents, metrics, photos
from tests.taught import taught

LATENTS = "05_vae_latents.ipynb"


def test_encode_and_decode_equal_sdkit_and_diffusers(tiny_pipe, photo):
    cells, vae = taught(LATENTS), tiny_pipe.vae
    processor, x = VaeImageProcessor(vae_scale_factor=4), photos.to_tensor(photo)
    torch.testing.assert_close(processor.preprocess(photo), x)
    encoded = cells["encode"](vae, x)
    torch.testing.assert_close(encoded, latents.encode(vae, x))
    decoded = cells["decode"](vae, encoded)
    torch.testing.assert_close(decoded, latents.decode(vae, encoded))
    made = {
        kind: tiny_pipe(
            prompt="",
            image=photo,
            strength=0.4,
            num_inference_steps=5,
            output_type=kind,
            generator=torch.Generator().manual_seed(0),
        ).images
        for kind in ("latent", "pt")
    }
    torch.testing.assert_close(
        cells["decode"](vae, made["latent"]) / 2 + 0.5, made["pt"], atol=1e-5, rtol=0
    )


def test_psnr_and_ssim_equal_sdkit_and_scikit_image(photo):
    other = Image.fromarray(np.asarray(photo) // 2 + 40)
    a, b = (photos.to_tensor(image)[0] for image in (photo, other))
    cells = taught(LATENTS)
    cells["look"] = photos.to_image
    assert cells["psnr"](a, b) == pytest.approx(metrics.psnr(other, photo), abs=1e-3)
    theirs = structural_similarity(np.asarray(photo), np.asarray(other), channel_axis=2)
    assert cells["ssim"](a, b) == pytest.approx(theirs)


def test_the_linear_code_is_principal_component_analysis():
    """The error equals numpy's remaining singular values. No other k directions leave less."""
    cells, generator = taught(LATENTS), torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 256, 256, generator=generator) * 2 - 1
    patches = cells["to_patches"](x)
    torch.testing.assert_close(cells["to_pictures"](patches), x)
    few = patches[0, :500] @ torch.randn(48, 48, generator=generator)
    mean, directions, spreads = cells["fit"](few, 5)
    singular = np.linalg.svd((few - few.mean(0)).numpy(), compute_uv=False)
    np.testing.assert_allclose(spreads, singular[:5] / 499**0.5, rtol=1e-3)
    left = few - mean - (few - mean) @ directions @ directions.T
    assert left.square().sum().item() == pytest.approx((singular[5:] ** 2).sum(), rel=1e-3)
