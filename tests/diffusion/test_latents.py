"""Latents against those of the diffusers image-to-image pipeline."""

import torch

from sdkit import latents, photos


def test_encode_equals_the_pipeline(tiny_pipe):
    x = photos.to_tensor(photos.resize(photos.sample("chelsea"), 64))  # (1, 3, 64, 96)
    generator, again = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    expected = tiny_pipe.prepare_latents(
        x, torch.tensor([0]), 1, 1, torch.float32, "cpu", generator
    )
    sampled = latents.encode(tiny_pipe.vae, x, again)
    noise = torch.randn(sampled.shape, generator=again)
    assert sampled.shape == (1, 8, 16, 24)
    torch.testing.assert_close(
        tiny_pipe.scheduler.add_noise(sampled, noise, torch.tensor([0])), expected
    )


def test_encode_without_a_generator_gives_the_mode(tiny_pipe):
    x = torch.zeros(2, 3, 64, 64)
    mean = tiny_pipe.vae.encode(x).latent_dist.mean
    torch.testing.assert_close(latents.encode(tiny_pipe.vae, x), mean * 0.6)


def test_decode_divides_by_the_scaling_factor_and_clips(tiny_pipe):
    z = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = tiny_pipe.vae.decode(z / 0.6).sample
    torch.testing.assert_close(latents.decode(tiny_pipe.vae, z), expected.clamp(-1, 1))
    assert latents.decode(tiny_pipe.vae, 1e6 * z).abs().max() <= 1
