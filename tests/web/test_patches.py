"""A patch of the picture is decoded as in the whole, if it gets the whole's statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from sdkit import models
from sdkit.diffusion import latents
from sdkit.pictures import photos
from sdkit.web import patches

MARGIN = 12  # latents; the decoder looks no further


@pytest.fixture(scope="module")
def vae():
    return models.load("mini-sd").vae


@pytest.fixture(scope="module")
def whole(vae):
    """Latents of a photograph, (1, C, 40, 40)."""
    photo = photos.resize(photos.sample("astronaut"), 160, 16)
    return latents.encode(vae, photos.to_tensor(photo)) / vae.config.scaling_factor


@torch.no_grad()
def decoded(vae, x, given=None):
    """The picture and the statistics that were used."""
    given = torch.zeros(patches.count(vae.decoder)) if given is None else given
    with patches.statistics(vae.decoder, given) as used:
        picture = vae.decode(x).sample
    return picture, torch.stack(used)


def test_with_its_own_statistics_the_decoder_is_what_it_was(vae, whole):
    with torch.no_grad():
        expected = vae.decode(whole).sample
    picture, used = decoded(vae, whole)
    np.testing.assert_allclose(picture, expected, atol=1e-4)
    assert used.shape == patches.count(vae.decoder)
    with torch.no_grad():  # and afterwards it is untouched
        np.testing.assert_array_equal(vae.decode(whole).sample, expected)


def test_a_patch_with_the_statistics_of_the_whole_is_a_part_of_the_whole(vae, whole):
    picture, used = decoded(vae, whole)
    inner = 4 * (40 - 2 * MARGIN)
    part = whole[:, :, : 40 - MARGIN, : 40 - MARGIN]
    shared, alone = decoded(vae, part, used)[0], decoded(vae, part)[0]
    expected = picture[:, :, :inner, :inner]
    np.testing.assert_allclose(shared[:, :, :inner, :inner], expected, atol=1e-4)
    # alone it would have another colour: more than two levels of 255 on average
    assert (alone[:, :, :inner, :inner] - expected).abs().mean() > 2 / photos.LEVELS_PER_UNIT


def test_norms_with_different_numbers_of_groups_are_refused():
    with pytest.raises(ValueError, match="different numbers"):
        patches.count(nn.Sequential(nn.GroupNorm(2, 4), nn.GroupNorm(4, 4)))
