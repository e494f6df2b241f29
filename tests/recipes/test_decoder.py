"""The decoder's loss against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sdkit.recipes import decoder, perceptual, vae

SETTINGS = decoder.Settings()


@pytest.fixture
def features(vgg_folder):
    return perceptual.VGG16.load(vgg_folder, decoder.TEXTURE + decoder.CONTENT)


@pytest.fixture
def batch():
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return decoder.Batch(x, are_postcards=False)


def no_opinion(y):
    return torch.zeros(len(y), 1, 2, 2)


def of(batch, decoded, features, settings=SETTINGS, opinion=no_opinion, ramp=1.0):
    return decoder.loss(settings, lambda z: decoded, batch, None, features, opinion, ramp)


def test_a_decoder_without_error_has_no_loss(batch, features):
    value, figures, y = of(batch, batch.pictures, features)
    assert value == 0 and y is batch.pictures
    assert all(figure == 0 for figure in figures.values())


def test_each_term_counts_by_its_weight(batch, features):
    decoded = batch.pictures * 0.5
    _, figures, _ = of(batch, decoded, features)
    weights = dict(pixels=2.0, texture=3.0, content=5.0)
    settings = replace(
        SETTINGS,
        **{f"{name[:-1] if name == 'pixels' else name}_weight": w for name, w in weights.items()},
    )
    value, _, _ = of(batch, decoded, features, settings)
    expected = sum(weights[name] * figures[name] for name in weights)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(figures["pixels"], vae.reconstruction_loss(decoded, batch.pictures))


def test_texture_and_content_are_distances_relative_to_the_picture(batch, features):
    """The picture itself is the measure, and not what the decoder made of it."""
    decoded = batch.pictures * 0.5
    _, figures, _ = of(batch, decoded, features)
    wanted, found = features(batch.pictures), features(decoded)

    def gram(x):
        return torch.einsum("bchw,bdhw->bcd", x, x) / x[0, 0].numel()

    def relative(x, target):
        return (x - target).square().flatten(1).sum(1) / target.square().flatten(1).sum(1)

    texture = sum(
        relative(gram(found[name]), gram(wanted[name])).mean()
        for name in ("relu1_1", "relu2_1", "relu3_1")
    )
    content = sum(relative(found[name], wanted[name]).mean() for name in ("relu2_2", "relu3_3"))
    torch.testing.assert_close(figures["texture"], texture)
    torch.testing.assert_close(figures["content"], content)


def test_the_discriminator_wants_high_logits_and_counts_by_its_ramp(batch, features):
    values = [
        of(batch, batch.pictures, features, opinion=lambda y: no_opinion(y) + 4, ramp=ramp)[0]
        for ramp in (0.0, 0.5, 1.0)
    ]
    weight = SETTINGS.adversarial_weight
    assert [float(v) for v in values] == pytest.approx([0, -2 * weight, -4 * weight])


def test_postcards_get_the_pixel_loss_alone(batch, features):
    postcards = batch._replace(are_postcards=True)
    decoded = batch.pictures * 0.5
    settings = replace(SETTINGS, pixel_weight=3.0)
    value, figures, y = of(
        postcards, decoded, features, settings, opinion=lambda y: no_opinion(y) + 4
    )
    wanted = vae.reconstruction_loss(decoded, batch.pictures)
    torch.testing.assert_close(value, 3 * wanted)
    torch.testing.assert_close(figures, {"postcards": wanted})
    assert y is decoded


def test_a_batch_says_whether_it_shows_postcards():
    small = np.full((3, 64, 64, 3), 200, np.uint8)
    data = vae.Data({}, small, small)
    settings = replace(SETTINGS, card_share=1.0, size=64)
    batch = decoder.make_batch(settings, data, np.random.default_rng(0))
    assert batch.are_postcards and batch.pictures.shape[1:] == (3, 64, 64)
