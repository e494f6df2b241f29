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
        picture("ukiyo_e/hokusai-great-wave.jpg", "ukiyo-e"),
    ]


def test_every_picture_is_encoded_in_its_group_at_so_many_scales(pictures):
    encoded = pairs.encode_all(Identity(), pictures, (32, 64), np.random.default_rng(0))
    assert {name: len(some) for name, some in encoded.items()} == {
        "van gogh": 1,
        "van gogh, portrait": 1,
        "a photo": 1,
        "a photo, portrait": 1,
        "ukiyo-e": 1,
        "a painting by name": 1,
    }
    for name, ((_, latents),) in encoded.items():
        assert len(latents) == pairs.GROUPS[name].scales
        sides = [min(z.shape[2:]) for z in latents]
        assert sides == sorted(sides) and min(sides) >= 32 and max(sides) <= 64
        assert all(z.shape[:2] == (2, 3) and z.dtype == torch.float16 for z in latents)
    assert sum(group.share for group in pairs.GROUPS.values()) == pytest.approx(1)


def test_a_pair_is_the_picture_itself_and_a_plain_version_of_it(pictures):
    """At the size that it has, half of the versions mirrored."""
    encoded = pairs.encode_all(Identity(), pictures, (64, 64), np.random.default_rng(0))
    picture, latents = encoded["van gogh"][0]
    whole = photos.to_tensor(picture.image)[0] * 0.5
    for number, z in enumerate(latents):
        expected = whole.flip(-1) if number % 2 == 0 else whole
        torch.testing.assert_close(z[0].float(), expected, atol=1e-3, rtol=0)
        assert not torch.equal(z[0], z[1])  # how plain it is: see the test above
        # the drawing is the same: the two agree better than with the mirrored one
        agree, mirrored = ((z[0] * other).float().mean() for other in (z[1], z[1].flip(-1)))
        assert agree > mirrored


def test_a_painting_becomes_plain_with_the_palette_of_a_photograph_and_the_other_way_round():
    rng = np.random.default_rng(0)

    def picture(file, style, colour):
        pixels = np.array(colour) + rng.integers(-20, 21, (64, 80, 3))
        return art.Picture(file, style, "", Image.fromarray(pixels.astype(np.uint8)))

    red, blue = (200, 60, 60), (60, 60, 200)
    pictures = [
        picture(f"{folder}/{k}.png", style, colour)
        for folder, style, colour in (("van_gogh", "van gogh", red), ("photo", "a photo", blue))
        for k in range(2)
    ]
    encoded = pairs.encode_all(Identity(), pictures, (64, 64), np.random.default_rng(0))
    for name, sign in (("van gogh", 1), ("a photo", -1)):
        for z in (z.float() for _, latents in encoded[name] for z in latents):
            itself, plain = z[:, 2].mean((1, 2)) - z[:, 0].mean((1, 2))  # blue minus red
            assert sign * (plain - itself) > 0.3


def test_pictures_are_enlarged_by_a_fifth_at_most(pictures):
    """Their short side has 64 px, and 1.2 times as much is rounded to a multiple of 8."""
    rng = np.random.default_rng(0)
    encoded = pairs.encode_all(Identity(), pictures, (32, 400), rng, with_plain=False)
    sides = [min(z.shape[2:]) for some in encoded.values() for _, made in some for z in made]
    assert min(sides) < 48 and max(sides) in (72, 80)


def test_without_plain_versions_only_the_pictures_are_encoded(pictures):
    both, alone = (
        pairs.encode_all(
            Identity(), pictures, (32, 64), np.random.default_rng(0), with_plain=with_plain
        )["a photo"][0][1]
        for with_plain in (True, False)
    )
    assert [z.shape[0] for z in alone] == [1] * len(both)
    assert torch.equal(alone[0][0], both[0][0])


def test_a_large_picture_is_cropped_to_a_window():
    steps = np.linspace(0, 255, 1600).astype(np.uint8)
    wide = Image.fromarray(np.broadcast_to(steps[None, :, None], (800, 1600, 3)).copy())
    pictures = [art.Picture(f"{style}/1", style, "", wide) for style in ("a photo", "van gogh")]
    encoded = pairs.encode_all(
        Identity(), pictures, (800, 800), np.random.default_rng(0), with_plain=False
    )
    starts = []
    for z in (z for _, latents in encoded["van gogh"] for z in latents):
        assert z.shape == (1, 3, pairs.WINDOW, pairs.WINDOW)
        starts.append(z[0, 0, 0].float().min().item())
        slope = z[0, 0, 0, -1] - z[0, 0, 0, 0]  # of a fifth of the width, not of a reduced picture
        assert abs(slope) == pytest.approx(2 * 0.5 * pairs.WINDOW / 1600, rel=0.05)
    assert max(starts) - min(starts) > 0.05  # not always the same window


def test_a_whole_palette_transfer_takes_mean_and_covariance_of_the_painting():
    rng = np.random.default_rng(0)
    photo, painting = (
        rng.normal(size=(20, 30, 3)) @ rng.normal(size=(3, 3)) * 9 + 40 for _ in range(2)
    )
    moved = pairs.transfer_palette(photo, painting, 1.0).reshape(-1, 3)
    np.testing.assert_allclose(moved.mean(0), painting.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(
        np.cov(moved.T), np.cov(painting.reshape(-1, 3).T), rtol=1e-3, atol=1e-2
    )
    np.testing.assert_array_equal(pairs.transfer_palette(photo, painting, 0.0), photo)
