"""Losses that compare the look of pictures: VGG features, Gram matrices, patch discriminators.

The losses here compare pictures by the features of a network instead of pixel by pixel. The network
is a VGG16 (Simonyan & Zisserman 2015) in one file of weights that is not part of the kit;
data/README.md says where it comes from. No network that was trained with it is judged with it.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from sdkit.errors import SdkitError
from sdkit.pictures import photos

# channels of the convolutions in each block; average pooling between the blocks (Gatys et al. 2016)
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
# means of blue, green and red (0 to 255) over ImageNet, which the network subtracts
MEAN_BGR = (104.00699, 116.66877, 122.67892)
FILE = "vgg16_hed_fp16.safetensors"


class VGG16(nn.Module):
    """Features of pictures (B, 3, H, W) in [-1, 1], as a dict from layer name to (B, C, h, w).

    layers : names such as "relu3_1": the first convolution of the third block, after its ReLU. The
        layers after the last of them are not built.
    """

    def __init__(self, layers: Sequence[str]):
        super().__init__()
        self.layers, names = tuple(layers), []
        self.convolutions = nn.ModuleDict()
        inside = 3
        for block, widths in enumerate(BLOCKS, 1):
            for number, outside in enumerate(widths, 1):
                names.append(f"relu{block}_{number}")
                self.convolutions[names[-1]] = nn.Conv2d(inside, outside, 3, padding=1)
                inside = outside
        last = max(map(names.index, self.layers))
        for name in names[last + 1 :]:
            del self.convolutions[name]
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def load(cls, folder: str | Path, layers: Sequence[str]) -> "VGG16":
        """The network with the weights in ``folder``, frozen. Raises SdkitError without them."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise SdkitError(
                f"There is no {path}. data/README.md says how to get the VGG16 that losses use."
            )
        weights, network = load_file(path), cls(layers)
        # torchvision counts the layers of the network from 0, with ReLUs and poolings
        numbers = sorted({int(name.split(".")[1]) for name in weights})
        for number, convolution in zip(numbers, network.convolutions.values()):
            for part in ("weight", "bias"):
                getattr(convolution, part).data.copy_(weights[f"features.{number}.{part}"])
        return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = (x.flip(1) + 1) * photos.LEVELS_PER_UNIT - self.mean
        x = x.contiguous(memory_format=torch.channels_last)
        found, block = {}, "1"
        for name, convolution in self.convolutions.items():
            if name[4] != block:
                x, block = F.avg_pool2d(x, 2), name[4]
            x = F.relu(convolution(x))
            if name in self.layers:
                found[name] = x
        return found


def gram(features: torch.Tensor) -> torch.Tensor:
    """Gram matrices (B, C, C) of features (B, C, h, w): mean products of two channels.

    They say which features occur together, but not where: the texture (Gatys et al. 2016, equation
    3).
    """
    # Not flatten(2): that would lose the layout channels_last, and with it the fast convolutions.
    x = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h w, C)
    return x.mT @ x / x.shape[1]


def gram_distance(grams: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared distances (B,) of Gram matrices (B, C, C), each divided by that of its target to 0.

    So all layers have the same influence, whatever the size of their features is.
    """
    grams, targets = grams.float(), targets.float()
    return (grams - targets).square().sum((1, 2)) / targets.square().sum((1, 2))


def feature_distance(features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean squared distance (B, h, w) of features, divided by the mean square of the targets'."""
    features, targets = features.float(), targets.float()
    return (features - targets).square().mean(1) / targets.square().mean((1, 2, 3))[:, None, None]
