"""The VGG16 against plain torch, and the distances of features against closed forms."""

import pytest
import torch
import torch.nn.functional as F

from sdkit.errors import SdkitError
from sdkit.recipes import perceptual


@pytest.fixture
def pictures():
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_those_of_the_plain_network(vgg_folder, vgg_weights, pictures):
    """Blue, green, red from 0 to 255 without their means; average pooling between the blocks."""
    red, green, blue = ((pictures + 1) / 2 * 255).unbind(1)
    x = torch.stack([blue - 104.00699, green - 116.66877, red - 122.67892], 1)
    wanted, names = {}, iter(["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"])
    for number in (0, 2, "pool", 5, 7, "pool", 10):
        if number == "pool":
            x = F.avg_pool2d(x, 2)
            continue
        weight, bias = (vgg_weights[f"features.{number}.{p}"].float() for p in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, padding=1).relu()
        wanted[next(names)] = x
    network = perceptual.VGG16.load(vgg_folder, ["relu2_2", "relu1_1", "relu3_1"])
    found = network(pictures)
    assert set(found) == {"relu1_1", "relu2_2", "relu3_1"}
    for name, features in found.items():
        torch.testing.assert_close(features, wanted[name], rtol=1e-4, atol=1e-3)


def test_the_network_is_frozen_and_ends_with_the_last_layer_asked_for(vgg_folder):
    network = perceptual.VGG16.load(vgg_folder, ["relu2_1"])
    assert not any(p.requires_grad for p in network.parameters())
    assert list(network.convolutions) == ["relu1_1", "relu1_2", "relu2_1"]


def test_missing_weights_are_one_sentence(tmp_path):
    with pytest.raises(SdkitError, match="There is no .*vgg16.* data/README.md says how"):
        perceptual.VGG16.load(tmp_path, ["relu1_1"])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_gram_matrix_is_the_mean_product_of_channels(layout):
    x = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    wanted = torch.einsum("bihw,bjhw->bij", x, x) / 12
    torch.testing.assert_close(perceptual.gram(x.contiguous(memory_format=layout)), wanted)


def test_a_gram_matrix_does_not_see_where_things_are():
    x = torch.randn(1, 5, 3, 4)
    torch.testing.assert_close(perceptual.gram(x), perceptual.gram(x.roll((1, 2), (2, 3))))


def test_the_distance_of_gram_matrices_is_relative_to_the_target():
    target = torch.randn(3, 4, 4)
    factors = torch.tensor([1.0, 0.0, 3.0]).view(3, 1, 1)
    distance = perceptual.gram_distance(factors * target, target)
    torch.testing.assert_close(distance, torch.tensor([0.0, 1.0, 4.0]))  # (factor - 1)^2


def test_the_distance_of_features_is_relative_to_the_targets_mean_square():
    target = torch.randn(2, 4, 3, 5)
    factors = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)
    distance = perceptual.feature_distance(factors * target, target)
    assert distance.shape == (2, 3, 5)
    torch.testing.assert_close(distance.mean((1, 2)), torch.ones(2))
    one_place = target.clone()
    one_place[:, :, 1, 2] += 1
    changed = perceptual.feature_distance(one_place, target) > 0
    assert changed.sum() == 2 and changed[:, 1, 2].all()
