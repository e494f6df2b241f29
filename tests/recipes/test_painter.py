"""The painter: its lighter UNet, its losses against closed forms, and what its batches hold."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from sdkit import art
from sdkit.recipes import captions, painter, perceptual, training, unet

SETTINGS = painter.Settings(size=32, short_sides=(64, 64))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=8,
        block_out_channels=(16, 32, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    ).eval()


@pytest.fixture
def features(vgg_folder):
    return perceptual.VGG16.load(vgg_folder, {*painter.TEXTURE, painter.FACES})


def test_the_lighter_unet_is_the_old_one_without_self_attention_in_finer_levels(network):
    light = painter.lighter(network, (4, 4, 4)).eval()
    inputs = torch.randn(2, 8, 8, 8), 500, torch.randn(2, 5, 16)
    assert not torch.allclose(light(*inputs).sample, network(*inputs).sample)
    for name, layer in network.named_modules():
        if name.endswith("attn1") and name.startswith(("down_blocks.1", "up_blocks.1")):
            layer.to_out[0].weight.data.zero_()
            layer.to_out[0].bias.data.zero_()
    torch.testing.assert_close(light(*inputs).sample, network(*inputs).sample)


def test_the_lighter_unet_has_the_heads_asked_for(network):
    light = painter.lighter(network, (4, 4, 2))
    heads = {
        name.split(".")[0] + name.split(".")[1]: layer.heads
        for name, layer in light.named_modules()
        if name.endswith("attn1")
    }
    assert heads["down_blocks1"] == heads["up_blocks1"] == 4
    assert heads["down_blocks2"] == heads["up_blocks0"] == 2


@pytest.mark.parametrize("first, last", [(4, 4), (6, 9), (9, 9)])
def test_who_knows_the_noise_believes_in_the_photograph(first, last):
    """A network that answers with the true noise finds the clean latents at every step."""
    scheduler = painter.solver(unet.scheduler())
    z, noise = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)

    def network(x, t, embeds):
        alpha = scheduler.alphas_cumprod[t]
        return SimpleNamespace(sample=(x - alpha.sqrt() * z) / (1 - alpha).sqrt())

    batch = SimpleNamespace(first=first, last=last, noise=noise)
    clean = painter.believed(network, scheduler, z, batch, None)
    torch.testing.assert_close(clean, z, rtol=1e-4, atol=1e-4)


def test_only_the_last_call_of_the_network_is_differentiated():
    scheduler, calls = painter.solver(unet.scheduler()), []
    weight = torch.ones((), requires_grad=True)

    def network(x, t, embeds):
        calls.append((int(t), torch.is_grad_enabled()))
        return SimpleNamespace(sample=weight * x)

    batch = SimpleNamespace(first=6, last=8, noise=torch.randn(1, 8, 4, 4))
    painter.believed(network, scheduler, torch.randn(1, 8, 4, 4), batch, None).sum().backward()
    assert calls == [(361, False), (271, False), (181, True)]


def test_texture_is_nothing_for_a_pictures_own_statistics(features):
    found = painter.at_scales(features, torch.rand(2, 3, 32, 32))
    own = [perceptual.moments(found[s][layer]) for s in painter.SCALES for layer in painter.TEXTURE]
    assert painter.texture_loss(found, own) < 1e-6
    wanted = [2 * moments for moments in own]  # distance (2 - 1) / (2 + 1)
    torch.testing.assert_close(painter.texture_loss(found, wanted), torch.tensor(1 / 3))


def test_the_second_scale_is_the_picture_at_half_its_size(features):
    x = torch.rand(1, 3, 32, 32)
    half = torch.nn.functional.interpolate(x, scale_factor=0.5, mode="area")
    found = painter.at_scales(features, x)
    torch.testing.assert_close(found[2]["relu2_1"], features(half)["relu2_1"])


def test_content_in_faces_counts_only_there(features):
    x = torch.rand(1, 3, 64, 64)
    other = x.clone()
    other[..., :16] = 0  # far from the face on the right
    wanted, faces = features(x), torch.zeros(1, 1, 16, 16)
    faces[..., 13:] = 1
    everywhere, inside = painter.content_losses({1: features(other)}, wanted, faces)
    assert everywhere > 0 and inside == 0
    _, nowhere = painter.content_losses({1: features(other)}, wanted, torch.zeros_like(faces))
    assert nowhere == 0


def test_tone_is_the_mean_difference_of_large_patches():
    x = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(painter.tone_loss(x + 0.25, x), torch.tensor(0.25))
    stripes = torch.tensor([1.0, -1.0]).repeat(16)  # fine texture has no tone
    torch.testing.assert_close(painter.tone_loss(x + stripes, x), torch.tensor(0.0))


def test_the_earlier_answers_cost_nothing_until_the_network_leaves_them(network):
    batch = SimpleNamespace(noisy=torch.randn(3, 8, 8, 8), timesteps=torch.tensor([10, 500, 990]))
    embeds, scheduler = torch.randn(3, 5, 16), unet.scheduler()
    assert painter.memory_loss(network, network, batch, embeds, scheduler) == 0

    def off_by_one(*inputs):
        return SimpleNamespace(sample=network(*inputs).sample + 1)

    loss = painter.memory_loss(off_by_one, network, batch, embeds, scheduler)
    alpha = scheduler.alphas_cumprod[batch.timesteps]
    weights = unet.loss_weights(alpha / (1 - alpha), 5.0)  # the squared error is 1
    torch.testing.assert_close(loss, weights.mean())


def test_the_discriminators_of_a_style_see_its_pictures_alone(features):
    torch.manual_seed(0)
    judges = painter.Discriminators(3)
    found = painter.at_scales(features, torch.rand(2, 3, 32, 32))
    logits = judges(found, torch.tensor([0, 2]))
    for head in judges.heads.values():
        head[2].weight.data[1] += 1  # of style 1, which none of the pictures has
    torch.testing.assert_close(judges(found, torch.tensor([0, 2])), logits)
    for head in judges.heads.values():
        head[2].weight.data[2] += 1
    changed = judges(found, torch.tensor([0, 2])) != logits
    assert not changed[0].any() and changed[1].any()


def test_the_discriminators_learn_without_changing_the_painter(features):
    y = torch.rand(1, 3, 32, 32, requires_grad=True)
    found = painter.at_scales(features, y)
    batch = SimpleNamespace(paintings=torch.rand(1, 3, 32, 32), styles=torch.tensor([0]))
    judges = painter.Discriminators(1)
    painter.judges_loss(judges, batch, found, features).backward()
    assert y.grad is None
    assert all(p.grad is not None for p in judges.parameters())


def targets(portraits):
    """Three flat crops: black, grey and white."""
    crops = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (0, 128, 255)])
    of = np.stack([painter.colours(crop) for crop in crops])
    return painter.Targets(crops, of, np.array(portraits), [])


@pytest.mark.parametrize("level, nearest", [(10, 0), (120, 1), (250, 2)])
def test_a_photograph_takes_after_the_painting_with_the_nearest_colours(level, nearest):
    square = np.full((8, 8, 3), level, np.uint8)
    some = targets([False] * 3)
    for step in range(5):
        rng = training.rng(0, step)
        assert painter.choose_target(SETTINGS, some, square, True, rng) == nearest


def test_portraits_take_after_portraits_in_most_cases():
    square, some = np.zeros((8, 8, 3), np.uint8), targets([False, False, True])
    chosen = [
        painter.choose_target(SETTINGS, some, square, True, training.rng(0, step))
        for step in range(200)
    ]
    assert set(chosen) == {0, 2}
    assert 0.6 < np.mean(np.array(chosen) == 2) < 0.8  # the share is 0.7


def test_the_mask_is_where_the_face_is():
    """A red square stands for the face; wherever the crop is taken, the mask covers the red."""
    pixels = np.zeros((80, 100, 3), np.uint8)
    pixels[20:60, 30:70, 0] = 255
    picture = art.Picture("portrait/1.png", "a photo", "", Image.fromarray(pixels))
    data = SimpleNamespace(photographs=[picture], faces=[np.array([[0.3, 0.25, 0.7, 0.75]])])
    for step in range(20):
        square, is_portrait, mask = painter.crop_with_faces(SETTINGS, data, training.rng(0, step))
        red = square[..., 0].reshape(8, 4, 8, 4).mean((1, 3)) / 255
        assert is_portrait and mask.shape == (8, 8)
        # the mask ends at whole cells, so it may be half a cell off at each side
        assert np.abs(red - mask).max() < 0.75 and np.abs(red - mask).mean() < 0.13


def test_paintings_can_be_asked_for_by_name():
    rng = np.random.default_rng(0)
    for style in painter.SHARES:
        names = (
            captions.PAINTINGS[style].names
            if style in captions.PAINTINGS
            else captions.NAMES.get(style, (style,))
        )
        for _ in range(20):
            text = captions.style_caption(style, True, rng)
            assert any(name in text for name in names)


def test_a_painter_is_not_asked_for_by_the_name_of_a_painting():
    rng, paintings = (
        np.random.default_rng(0),
        {n for p in captions.PAINTINGS.values() for n in p.names},
    )
    asked = {captions.style_caption("van gogh", False, rng) for _ in range(300)}
    assert not any(name in text for text in asked for name in paintings)


def test_the_shares_of_the_styles_sum_to_one():
    assert sum(painter.SHARES.values()) == pytest.approx(1)
