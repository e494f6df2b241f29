"""Networks that judge pictures: a style classifier, a postcard reader, and two distances.

We trained both networks ourselves, and no training of the painter uses them. The style classifier
is trained on crops with random blur, noise, colour shifts and compression, so it has to judge
strokes and palette. The postcard reader is trained on rendered postcards.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import nn

from sdkit import postcards
from sdkit.models import loading
from sdkit.pictures import photos


class ResidualBlock(nn.Module):
    """(B, in_channels, H, W) -> (B, out_channels, H/2, W/2), odd sizes rounded up.

    Two convolutions beside a shortcut with average pooling (He et al. 2016, arXiv:1603.05027).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.norm2 = nn.GroupNorm(8, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))  # (B, out_channels, H/2, W/2)
        return self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)) + self.conv2(F.silu(self.norm2(h)))


class StyleClassifier(ModelMixin, ConfigMixin):
    """Which style is it? A small residual network on crops, with one logit for each style.

    `kid` and `feature_distance` measure distances in its features.
    """

    @register_to_config
    def __init__(
        self,
        styles: Sequence[str] = ("van gogh", "a photo"),
        channels: Sequence[int] = (32, 64, 128, 192),
        crop_size: int = 96,  # px
        short_side: int = 256,  # px, to which a picture is scaled before it is cut into crops
    ):
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 5, 2, 2)
        self.blocks = nn.ModuleList(ResidualBlock(*pair) for pair in zip(channels, channels[1:]))
        self.head = nn.Linear(channels[-1], len(styles))

    @classmethod
    @lru_cache(maxsize=2)
    def load(cls, name: str = "style-classifier") -> "StyleClassifier":
        """Load the shipped classifier, or another folder under ``data/models``; float32, CPU."""
        return loading.shipped(cls, name)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) in [-1, 1] -> feature maps (B, C, h, w) at 1/2, 1/4, ... of the size."""
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, channels[-1]): the last feature map, averaged."""
        return F.silu(self.features(x)[-1]).mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, styles) logits."""
        return self.head(self.pooled(x))

    def crops(self, image: Image.Image) -> torch.Tensor:
        """A PIL picture to (N, 3, S, S) in [-1, 1]: overlapping crops that cover all of it.

        The picture is first scaled to ``config.short_side`` px.
        """
        size, scale = self.config.crop_size, self.config.short_side / min(image.size)
        image = image.convert("RGB").resize(
            [round(side * scale) for side in image.size], Image.Resampling.LANCZOS
        )
        x = photos.to_tensor(image)[0]  # (3, H, W)
        tops, lefts = (
            np.linspace(0, side - size, int(np.ceil(1.5 * side / size))).astype(int)
            for side in x.shape[1:]
        )
        return torch.stack(
            [x[:, top : top + size, left : left + size] for top in tops for left in lefts]
        )

    @torch.no_grad()
    def probabilities(self, image: Image.Image) -> np.ndarray:
        """A PIL picture to probabilities (styles,), averaged over its crops.

        The order is that of ``config.styles``.
        """
        return self(self.crops(image)).softmax(-1).mean(0).numpy()

    def score(self, images: Sequence[Image.Image], style: str = "van gogh") -> list[float]:
        """The probability of ``style``, in [0, 1], for each PIL picture."""
        index = list(self.config.styles).index(style)
        return [float(self.probabilities(image)[index]) for image in images]


class PostcardReader(ModelMixin, ConfigMixin):
    """What does a postcard show? A small residual network with one classifier for each part.

    It is trained on rendered postcards only. The parts are those of ``postcards.PARTS``.
    """

    @register_to_config
    def __init__(self, channels: Sequence[int] = (32, 64, 128, 128), size: int = 64):
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 5, 2, 2)
        self.blocks = nn.Sequential(*(ResidualBlock(*pair) for pair in zip(channels, channels[1:])))
        # The features are flattened, not pooled: the place of a thing is one of the answers.
        features = channels[-1] * (size // 2 ** len(channels)) ** 2
        self.heads = nn.ModuleList(
            nn.Linear(features, len(words)) for words in postcards.WORDS.values()
        )

    @classmethod
    @lru_cache(maxsize=2)
    def load(cls, name: str = "postcard-reader") -> "PostcardReader":
        """Load the shipped reader, or another folder under ``data/models``; float32, CPU."""
        return loading.shipped(cls, name)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, S, S) in [-1, 1] -> logits (B, words) for each of ``postcards.PARTS``."""
        features = F.silu(self.blocks(self.stem(x))).flatten(1)  # (B, features)
        return [head(features) for head in self.heads]

    @torch.no_grad()
    def read(self, x: torch.Tensor) -> list[dict[str, str]]:
        """(B, 3, S, S) in [-1, 1] -> B dictionaries from each part to its most probable word."""
        answers = torch.stack([logits.argmax(1) for logits in self(x)], 1).tolist()  # B x parts
        return [
            {part: words[k] for (part, words), k in zip(postcards.WORDS.items(), answer)}
            for answer in answers
        ]

    def read_right(self, x: torch.Tensor, cards: Sequence[postcards.Postcard]) -> np.ndarray:
        """Which parts of the pictures x (B, 3, S, S) agree with ``cards``: bool (B, parts)."""
        return np.array(
            [
                [answer[part] == getattr(card, part) for part in postcards.PARTS]
                for card, answer in zip(cards, self.read(x), strict=True)
            ]
        )


@torch.no_grad()
def feature_distance(
    image: Image.Image, reference: Image.Image, classifier: StyleClassifier | None = None
) -> float:
    """How different two RGB pictures of one size look to the style classifier: 0 or more.

    LPIPS (Zhang et al. 2018, arXiv:1801.03924, equation 1) without learned weights: the features at
    each place are scaled to length 1; their squared distance is averaged over the places and summed
    over the feature maps. Compare its values with one another only, not with published LPIPS.
    """
    classifier = classifier or StyleClassifier.load()
    maps = classifier.features(photos.to_batch([image, reference]))  # each (2, C, h, w)
    directions = [F.normalize(features, dim=1) for features in maps]
    return float(sum((a - b).square().sum(0).mean() for a, b in directions))


@torch.no_grad()
def kid(
    images: Sequence[Image.Image],
    reals: Sequence[Image.Image],
    classifier: StyleClassifier | None = None,
    subset_size: int | None = None,
) -> float:
    """Kernel inception distance between two lists of PIL pictures; about 0 if they look alike.

    Binkowski et al. 2018 (arXiv:1801.01401), as torchmetrics computes it, on the pooled features of
    our own classifier instead of Inception, for all crops of the pictures. Compare its values with
    one another only, not with published ones. `subset_size` is at most 200, the default if there
    are enough crops.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    judge = classifier or StyleClassifier.load()

    class PooledFeatures(nn.Module):
        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            return judge.pooled(crops)

    real, fake = (
        torch.cat([judge.crops(picture) for picture in pictures])  # (N, 3, S, S)
        for pictures in (reals, images)
    )
    size = subset_size or min(len(real), len(fake))
    with torch.random.fork_rng(devices=[]):  # the subsets come from torch's global generator
        torch.manual_seed(0)
        distance = KernelInceptionDistance(
            feature=PooledFeatures(), subsets=50, subset_size=min(size, 200)
        )
        for is_real, crops in ((True, real), (False, fake)):
            for batch in crops.split(64):
                distance.update(batch, real=is_real)
        return float(distance.compute()[0])
