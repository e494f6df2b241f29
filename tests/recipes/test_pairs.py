"""Plain versions of pictures, and the pairs of latents."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import art, photos
from sdkit.recipes import pairs


def test_a_plain_picture_is_smooth_and_has_the_other_palette():
    rng = np.random.default_rng(0)
    rough = (
        128 + 40 * np.sign(np.arange(96) - 48)[:, None, None] + rng.normal(0, 25, (96, 96, 3))
    ).clip(0, 255)
    image, red = Image.fromarray(rough.astype(np.uint8)), Image.new("RGB", (50, 300), (200, 40, 30))
    smooth = np.asarray(pairs.plain(image, red, rng)).astype(float)
    assert smooth.shape == rough.shape
    assert smooth[2:40].std((0, 1)).max() < 0.5 * rough[2:40].std((0, 1)).min()
    assert smooth[..., 0].mean() > smooth[..., 1].mean() + 60
    halves = smooth[:48].mean(), smooth[48:].mean()
    assert halves[1] > halves[0]  # the drawing stays


class Identity:
    """A VAE that leaves pictures as they are, but for the scaling factor."""

    device, dtype, config = torch.device("cpu"), torch.float32, SimpleNamespace(scaling_factor=0.5)

    def encode(self, x):
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: x))


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)

    def picture(file, style, title=""):
        pixels = rng.integers(0, 256, (64, 80, 3), np.uint8)
        return art.Picture(file, style, title, Image.fromarray(pixels))

    return [
        picture("van_gogh/1.png", "van gogh"),
        picture("van_gogh/2.png", "van gogh", "Self-Portrait"),
        picture("photo/1.png", "a photo"),
        picture("portrait/1.png", "a photo"),
        picture("ukiyo_e/1.png", "ukiyo-e", "Portrait of an actor"),
        picture("repainted/portrait-1--2.png", "van gogh"),
    ]


def test_every_picture_is_encoded_in_its_group_at_so_many_scales(pictures):
    encoded = pairs.encode_all(Identity(), pictures, {}, (32, 64), np.random.default_rng(0))
    assert {name: len(some) for name, some in encoded.items()} == {
        "van gogh": 1,
        "van gogh, portrait": 1,
        "a photo": 1,
        "a photo, portrait": 1,
        "ukiyo-e": 1,
        "van gogh, repainted": 1,
    }
    for name, ((_, latents),) in encoded.items():
        assert len(latents) == pairs.GROUPS[name].scales
        sides = [min(z.shape[2:]) for z in latents]
        assert sides == sorted(sides) and min(sides) >= 32 and max(sides) <= 64
        assert all(z.shape[:2] == (2, 3) and z.dtype == torch.float16 for z in latents)
    assert sum(group.share for group in pairs.GROUPS.values()) == pytest.approx(1)


def test_a_pair_is_the_picture_itself_and_a_plain_version_of_it(pictures):
    """At the size that it has, half of the versions mirrored."""
    encoded = pairs.encode_all(Identity(), pictures, {}, (64, 64), np.random.default_rng(0))
    picture, latents = encoded["van gogh"][0]
    whole = photos.to_tensor(picture.image)[0] * 0.5
    for number, z in enumerate(latents):
        expected = whole.flip(-1) if number % 2 == 0 else whole
        torch.testing.assert_close(z[0].float(), expected, atol=1e-3, rtol=0)
        assert not torch.equal(z[0], z[1])  # how plain it is: see the test above
        # the drawing is the same: the two agree better than with the mirrored one
        agree, mirrored = ((z[0] * other).float().mean() for other in (z[1], z[1].flip(-1)))
        assert agree > mirrored


def test_the_plain_version_of_a_repainted_photograph_is_that_photograph(pictures):
    repainted, photograph = pictures[-1], pictures[3].image
    originals = {repainted.file: photograph}
    encoded = pairs.encode_all(Identity(), pictures, originals, (64, 64), np.random.default_rng(0))
    _, (z,) = encoded["van gogh, repainted"][0]
    expected = photos.to_tensor(photograph)[0] * 0.5
    assert min((z[1].float() - x).abs().max() for x in (expected, expected.flip(-1))) < 1e-3
