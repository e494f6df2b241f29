"""The VAE's losses against closed forms and torch.distributions, its batches, and its start."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch.distributions import Normal, kl_divergence

from sdkit import art, latents, photos
from sdkit.recipes import training, vae

TINY = vae.Settings(
    out=Path("o"), batch_size=3, size=32, channels=(16, 16, 16), recoloured=0.0, anchor_steps=0
)


def tiny_network(seed=0):
    torch.manual_seed(seed)
    return AutoencoderKL(block_out_channels=[16, 16, 16], **vae.CONFIG).eval()


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1
    return vae.Batch(x, torch.randn(2, 8, 8, 8, generator=generator))


@pytest.fixture
def components():
    """A projection that gives zeros."""
    return torch.zeros(8, 3, 4, 4), torch.zeros(8)


def perfect(x, noise):
    """An autoencoder without error: latents 0, KL 0.5."""
    return x, torch.zeros(len(x), 8, 8, 8), torch.tensor(0.5)


def test_the_kl_divergence_is_that_of_torch(network, batch):
    _, mean, kl = vae.Autoencoder(network)(*batch)
    posterior = network.encode(batch.pictures).latent_dist
    expected = kl_divergence(Normal(posterior.mean, posterior.std), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(kl, expected)
    torch.testing.assert_close(mean, posterior.mean)


def test_the_decoder_gets_a_sample_of_the_posterior(network, batch):
    y, _, _ = vae.Autoencoder(network)(*batch)
    posterior = network.encode(batch.pictures).latent_dist
    sample = posterior.mean + (0.5 * posterior.logvar).exp() * batch.noise
    torch.testing.assert_close(y, network.decode(sample).sample)


def test_the_loss_adds_the_kl_divergence_by_its_weight(batch, components):
    losses = [
        vae.loss(replace(TINY, kl_weight=weight), perfect, batch, 0, components)[0].item()
        for weight in (0.0, 2.0)
    ]
    assert losses == pytest.approx([0.0, 1.0])  # 2 * 0.5 nats; more divergence costs more


def test_the_pull_to_the_principal_components_fades_linearly(batch):
    weight, bias = torch.zeros(8, 3, 4, 4), torch.full((8,), 3.0)  # squared distance 9
    settings = replace(TINY, anchor_steps=4, kl_weight=0.0)
    losses = [
        vae.loss(settings, perfect, batch, step, (weight, bias))[0].item() for step in range(6)
    ]
    assert losses == pytest.approx([9 * share for share in (0.8, 0.6, 0.4, 0.2, 0, 0)], abs=1e-5)


def test_the_reconstruction_loss_of_known_errors():
    x, c = torch.zeros(1, 3, 8, 8), 0.3
    grey = torch.full_like(x, c)
    assert vae.reconstruction_loss(grey, x).item() == pytest.approx(2 * c)  # no error of chroma
    red_blue = torch.tensor([c, 0, -c]).view(1, 3, 1, 1).expand_as(x)
    chroma = 2 * c / 2**0.5 / 0.29 / 2  # one of two channels
    assert vae.reconstruction_loss(red_blue, x).item() == pytest.approx(4 / 3 * c + 0.2 * chroma)
    stripes = torch.tensor([c, -c]).repeat(4).expand_as(x)  # the means of 4x4 px are right
    assert vae.reconstruction_loss(stripes, x).item() == pytest.approx(c)


def test_the_perceptual_loss_counts_directions_and_not_lengths():
    def features(x):
        return [x, 3 * x[:, :2]]

    x, y = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    x[:, 0], y[:, 1] = 2.0, 5.0  # at right angles everywhere: squared distance 2 in each layer
    assert vae.perceptual_loss(features, y, x).item() == pytest.approx(4)
    assert vae.perceptual_loss(features, 7 * x, x).item() == pytest.approx(0, abs=1e-6)


def test_the_discriminator_s_hinge_loss_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.0])
    # real: 0 and 0.5; fake: 0 and 1
    assert vae.discriminator_loss(real, fake).item() == pytest.approx(0.25 + 0.5)
    right, wrong = torch.tensor([3.0]), torch.tensor([-3.0])
    assert vae.discriminator_loss(right, wrong) == 0 and vae.discriminator_loss(wrong, right) == 8


def test_the_autoencoder_is_to_please_the_discriminator_from_its_step_on(batch, components):
    settings = replace(
        TINY, kl_weight=0.0, adversarial_from=5, adversarial_weight=0.5, perceptual_weight=2.0
    )
    asked = []

    def discriminator(y):
        asked.append(y)
        return torch.full((len(y), 1), 3.0)

    def features(x):  # the perceptual loss of equal pictures is 0
        return [x]

    made = [
        vae.loss(settings, perfect, batch, step, components, discriminator, features)[0].item()
        for step in (4, 5, 5 + vae.RAMP, 9999)
    ]
    assert made == pytest.approx([0, -1.5 / vae.RAMP, -1.5, -1.5], abs=1e-5)
    assert len(asked) == 3 and torch.equal(asked[0], batch.pictures)


def test_the_perceptual_loss_is_added_by_its_weight(batch, components):
    def model(x, noise):
        return -x, torch.zeros(len(x), 8, 8, 8), torch.tensor(0.0)

    def total(weight):
        settings = replace(TINY, adversarial_from=0, perceptual_weight=weight)
        zeros = lambda y: torch.zeros(1)
        return vae.loss(settings, model, batch, 9999, components, zeros, lambda x: [x])

    (without, *_), (doubled, figures, _) = total(0.0), total(2.0)
    assert (doubled - without).item() == pytest.approx(2 * 4, rel=1e-4)  # opposite directions
    assert figures["perceptual"].item() == pytest.approx(4, rel=1e-4)


def test_scaled_latents_have_a_standard_deviation_of_one():
    network = tiny_network()
    network.quant_conv.weight.data[:8] *= 20
    network.quant_conv.weight.data[8:] = 0
    network.quant_conv.bias.data[8:] = -20.0  # hardly any noise
    squares = list(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))
    x = photos.to_batch(squares)
    with torch.no_grad():
        std = network.encode(x).latent_dist.mean.std().item()
    vae.set_scaling_factor(network, squares)
    assert abs(np.log(std)) > 0.2  # else the inverse would not be noticed
    assert network.config.scaling_factor == pytest.approx(1 / std, rel=1e-3)
    assert latents.encode(network, x).std().item() == pytest.approx(1, rel=1e-3)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)

    def picture(file, grey):
        pixels = np.full((300, 300, 3), grey, np.uint8)
        return art.Picture(file, "", "", Image.fromarray(pixels))

    greys = {"van_gogh": 10, "photo": 60, "portrait": 110}
    return vae.Data(
        {name: [picture(f"{name}/1.png", grey)] for name, grey in greys.items()},
        rng.integers(150, 200, (5, 64, 64, 3), np.uint8),
        rng.integers(201, 256, (5, 256, 256, 3), np.uint8),
    )


def test_each_step_has_its_own_pictures_and_noise_and_the_same_ones_again(data):
    first, again, other = (vae.make_batch(TINY, data, training.rng(0, s)) for s in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.noise[:1, :, :8, :8], other.noise[:1, :, :8, :8])
    assert (
        vae.make_batch(TINY, data, training.rng(1, 3)).noise[0, 0, 0, 0] != first.noise[0, 0, 0, 0]
    )


def test_batches_mix_art_and_postcards_by_their_shares(data):
    counts = {"art": 0, "small": 0, "large": 0}
    greys = []
    for step in range(300):
        batch = vae.make_batch(replace(TINY, card_share=0.4), data, training.rng(0, step))
        levels = photos.to_uint8(batch.pictures)
        assert batch.noise.shape == (len(levels), 8, levels.shape[1] // 4, levels.shape[2] // 4)
        if levels.max() < 150:
            counts["art"] += 1
            assert levels.shape[:3] == (3, 32, 32)
            greys += levels[:, 0, 0, 0].tolist()
        elif levels.max() < 200:
            counts["small"] += 1
            assert levels.shape[:3] == (1, 64, 64)  # whole, and at least one
        else:
            counts["large"] += 1
            assert levels.shape[:3] == (3, 32, 32)
    # three standard deviations of a binomial
    assert counts["art"] == pytest.approx(180, abs=26) and counts["large"] == pytest.approx(
        30, abs=16
    )
    for grey, share in ((10, 4 / 12), (60, 5 / 12), (110, 3 / 12)):
        assert greys.count(grey) / len(greys) == pytest.approx(share, abs=0.07)


def test_crops_have_the_scale_of_the_settings():
    """A ramp of 300 px that is scaled to 100 px is three times as steep."""
    ramp = np.tile(np.linspace(0, 255, 300), (300, 1)).astype(np.uint8)
    picture = art.Picture("photo/1.png", "", "", Image.fromarray(np.dstack([ramp] * 3)))
    settings = replace(TINY, card_share=0.0, short_sides=(100, 100))
    data = vae.Data({"photo": [picture]}, None, None)
    levels = photos.to_uint8(vae.make_batch(settings, data, training.rng(0, 0)).pictures)
    slopes = np.abs(levels[:, 0, -1, 0].astype(float) - levels[:, 0, 0, 0]) / 31
    np.testing.assert_allclose(slopes, 255 / 100, rtol=0.04)


def test_a_share_of_the_crops_is_recoloured(data):
    settings = replace(TINY, card_share=0.0, recoloured=0.3)
    coloured = []
    for step in range(150):
        pictures = photos.to_uint8(vae.make_batch(settings, data, training.rng(0, step)).pictures)
        coloured += [len({*picture[0, 0].tolist()}) > 1 for picture in pictures]
    # The pictures are grey. So a recoloured crop has colour only when it becomes flat: one in five,
    # and one in nine of those is grey as well.
    assert np.mean(coloured) == pytest.approx(0.3 * 0.2 * 8 / 9, abs=0.035)


def test_the_psnr_of_a_round_trip_is_that_of_the_metric():
    """A VAE that returns everything ten grey levels brighter."""
    fake = SimpleNamespace(
        device="cpu",
        dtype=torch.float32,
        config=SimpleNamespace(scaling_factor=0.7),
        encode=lambda x: SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: x)),
        decode=lambda z: SimpleNamespace(sample=z + 10 / 127.5),
    )
    squares = [np.full((16, 16, 3), grey, np.uint8) for grey in (60, 120)]
    assert vae.mean_psnr(fake, squares) == pytest.approx(20 * np.log10(255 / 10), abs=0.01)


def test_aligned_latents_have_the_reference_s_covariance_and_show_the_same_pictures():
    first, second = tiny_network(0), tiny_network(1)
    batches = [torch.rand(6, 3, 32, 32) * 2 - 1, torch.rand(4, 3, 40, 40) * 2 - 1]
    before, apart = [round_trip(second, x) for x in batches], distance(first, second, batches)
    vae.align(second, first, batches)
    for x, y in zip(batches, before):
        torch.testing.assert_close(round_trip(second, x), y, atol=1e-3, rtol=0)
    target, got = (torch.cat([codes(network, x) for x in batches]) for network in (first, second))
    torch.testing.assert_close(got.mean(0), target.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(got.T.cov(), target.T.cov(), atol=1e-3, rtol=1e-2)
    assert distance(first, second, batches) < apart
    assert second.encode(batches[0]).latent_dist.std.isfinite().all()


def round_trip(network, x):
    return latents.decode(network, latents.encode(network, x))


def codes(network, x):
    with torch.no_grad():
        return network.encode(x).latent_dist.mean.permute(0, 2, 3, 1).flatten(0, 2)  # (N, C)


def distance(first, second, batches):
    return sum((codes(first, x) - codes(second, x)).square().mean().item() for x in batches)


def test_a_training_goes_on_from_the_weights_of_another(tmp_path):
    first = tiny_network(3)
    first.save_pretrained(tmp_path)
    squares = list(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    new = vae.new_network(replace(TINY, initial=tmp_path), squares)
    for key, value in first.state_dict().items():
        assert torch.equal(new.state_dict()[key], value), key
    fresh = vae.new_network(TINY, squares)
    assert (fresh.quant_conv.bias[8:] == -6).all()  # little noise at first


def test_chroma_ignores_grey_and_keeps_colour():
    grey = torch.rand(1, 1, 4, 4).expand(1, 3, 4, 4)
    assert vae.chroma(grey).abs().max() < 1e-6
    red_blue, green_magenta = (
        torch.tensor(colour).view(1, 3, 1, 1) for colour in ([1.0, 0, -1], [1.0, -2, 1])
    )
    assert vae.chroma(red_blue).flatten().tolist() == pytest.approx([2**0.5 / 0.29, 0], abs=1e-5)
    assert vae.chroma(green_magenta).flatten().tolist() == pytest.approx(
        [0, 6**0.5 / 0.11], abs=1e-5
    )


def test_recoloured_crops_keep_their_drawing_and_change_their_colours():
    rng = np.random.default_rng(0)
    square = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    flat = 0
    for _ in range(200):
        other = vae.recolour(square, rng)
        assert other.shape == square.shape and other.dtype == np.uint8
        if other.std((0, 1)).max() == 0:
            flat += 1
        else:
            greys = [picture.mean(-1).ravel() for picture in (square.astype(float), other)]
            assert np.corrcoef(greys)[0, 1] > 0.8
    assert 20 <= flat <= 60  # a fifth


def test_whitening_removes_what_colours_have_in_common():
    """A whitened 1 x 1 convolution gives uncorrelated colours of variance 1."""
    rng = np.random.default_rng(0)
    grey, tint = rng.uniform(20, 230, (8, 8, 8, 1)), rng.uniform(-15, 15, (8, 8, 8, 3))
    squares = list((grey + tint).astype(np.uint8))
    convolution = torch.nn.Conv2d(3, 3, 1, bias=False)
    convolution.weight.data = torch.eye(3).view(3, 3, 1, 1)
    vae.whiten_colours(convolution, squares)
    colours = convolution(photos.to_batch(squares)).detach().transpose(0, 1).reshape(3, -1)
    torch.testing.assert_close(colours.cov(), torch.eye(3), atol=1e-3, rtol=0)


def test_principal_components_have_the_variances_of_a_singular_value_decomposition():
    squares = list(np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8))
    weight, bias = vae.principal_components(squares, 8)
    x = photos.to_batch(squares)
    projected = F.conv2d(x, weight, bias, stride=4).transpose(0, 1).reshape(8, -1)
    patches = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 48).numpy()
    singular = np.linalg.svd(patches - patches.mean(0), compute_uv=False)[:8] ** 2 / (
        len(patches) - 1
    )
    np.testing.assert_allclose(np.sort(projected.var(1).numpy()), np.sort(singular**0.5), rtol=1e-3)
    torch.testing.assert_close(projected.mean(1), torch.zeros(8), atol=1e-4, rtol=0)
