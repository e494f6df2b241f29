"""Networks that judge pictures: one tells styles apart, one reads postcards; and distances between pictures by the first.

Both are our own and never used in any loss of the generator. The style classifier is trained on crops with blur, noise,
colour and compression jitter, so that it judges strokes and palette. The reader is trained on rendered postcards.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import nn

from sdkit import postcards
from sdkit.files import model_dir


class Residual(nn.Module):
    """(B, inside, H, W) -> (B, outside, H/2, W/2): two convolutions beside a pooled shortcut (He et al. 2016)."""

    def __init__(self, inside, outside):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, inside), nn.Conv2d(inside, outside, 3, 2, 1)
        self.norm2, self.conv2 = nn.GroupNorm(8, outside), nn.Conv2d(outside, outside, 3, 1, 1)
        self.shortcut = nn.Conv2d(inside, outside, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)) + self.conv2(F.silu(self.norm2(h)))


class StyleClassifier(ModelMixin, ConfigMixin):
    """Which style is it? A small residual network on crops; its pooled features also measure distances (KID)."""

    @register_to_config
    def __init__(
        self,
        styles=("van gogh", "a photo"),
        channels=(32, 64, 128, 192),
        crop_size=96,
        short_side=256,
    ):
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 5, 2, 2)
        self.blocks = nn.ModuleList(Residual(*pair) for pair in zip(channels, channels[1:]))
        self.head = nn.Linear(channels[-1], len(styles))

    @classmethod
    @lru_cache(maxsize=2)
    def load(cls, name="style-classifier"):
        """The shipped classifier (or another folder under ``data/models``), in float32 on the CPU."""
        return (
            cls.from_pretrained(model_dir(name), local_files_only=True, use_safetensors=True)
            .float()
            .eval()
        )

    def features(self, x):
        """(B, 3, H, W) in [-1, 1] -> list of feature maps, at 1/2, 1/4, ... of the size."""
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def pooled(self, x):
        """(B, 3, H, W) in [-1, 1] -> (B, channels[-1]) features, averaged over the picture."""
        return F.silu(self.features(x)[-1]).mean((2, 3))

    def forward(self, x):
        """(B, 3, H, W) in [-1, 1] -> (B, styles) logits."""
        return self.head(self.pooled(x))

    def crops(self, image):
        """PIL picture, scaled to ``short_side`` px -> (N, 3, S, S): a grid of overlapping crops that covers it."""
        size, scale = self.config.crop_size, self.config.short_side / min(image.size)
        image = image.convert("RGB").resize(
            [round(side * scale) for side in image.size], Image.Resampling.LANCZOS
        )
        x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 127.5 - 1
        starts = [
            np.linspace(0, side - size, int(np.ceil(1.5 * side / size))).astype(int)
            for side in x.shape[1:]
        ]
        return torch.stack(
            [x[:, top : top + size, left : left + size] for top in starts[0] for left in starts[1]]
        )

    @torch.no_grad()
    def probabilities(self, image):
        """PIL picture -> (styles,) array: softmax averaged over its crops; order as ``config.styles``."""
        return self(self.crops(image)).softmax(-1).mean(0).numpy()

    def score(self, images, style="van gogh"):
        """List of PIL pictures -> list of the probabilities in [0, 1] given to ``style``."""
        index = list(self.config.styles).index(style)
        return [float(self.probabilities(image)[index]) for image in images]


class PostcardReader(ModelMixin, ConfigMixin):
    """What does a postcard show? A small residual network with one answer for each part; trained on renders only."""

    @register_to_config
    def __init__(self, channels=(32, 64, 128, 128), size=64):
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 5, 2, 2)
        self.blocks = nn.Sequential(*(Residual(*pair) for pair in zip(channels, channels[1:])))
        # not pooled: where a thing stands matters
        last = channels[-1] * (size // 2 ** len(channels)) ** 2
        self.heads = nn.ModuleList(
            nn.Linear(last, len(words)) for words in postcards.WORDS.values()
        )

    @classmethod
    @lru_cache(maxsize=2)
    def load(cls, name="postcard-reader"):
        """The shipped reader (or another folder under ``data/models``), in float32 on the CPU."""
        return (
            cls.from_pretrained(model_dir(name), local_files_only=True, use_safetensors=True)
            .float()
            .eval()
        )

    def forward(self, x):
        """(B, 3, S, S) in [-1, 1] -> for each of ``postcards.PARTS`` the (B, words) logits."""
        features = F.silu(self.blocks(self.stem(x))).flatten(1)
        return [head(features) for head in self.heads]

    @torch.no_grad()
    def read(self, x):
        """(B, 3, S, S) in [-1, 1] -> B dictionaries: part -> the most probable word."""
        answers = torch.stack([logits.argmax(1) for logits in self(x)], 1).tolist()
        return [
            {part: words[k] for (part, words), k in zip(postcards.WORDS.items(), answer)}
            for answer in answers
        ]

    def read_right(self, x, cards):
        """(B, 3, S, S) pictures of the B postcards asked for -> bool (B, parts): which parts are as asked."""
        return np.array(
            [
                [answer[part] == getattr(card, part) for part in postcards.PARTS]
                for card, answer in zip(cards, self.read(x), strict=True)
            ]
        )


@torch.no_grad()
def feature_distance(image, reference, classifier=None):
    """How different two pictures of one size look to the style classifier, from 0 on.

    The squared distance between its feature maps, each point's features scaled to length 1, summed over the maps: LPIPS
    (Zhang et al. 2018, equation 1) without learned weights, so compare its values with one another only.
    """
    classifier = classifier or StyleClassifier.load()
    # (2, H, W, 3)
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in (image, reference)]))
    maps = classifier.features(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
    directions = [F.normalize(features, dim=1) for features in maps]
    return float(sum((a - b).square().sum(0).mean() for a, b in directions))


@torch.no_grad()
def kid(images, reals, classifier=None, subset_size=None):
    """Kernel inception distance (Binkowski et al. 2018) between two lists of PIL pictures.

    torchmetrics' estimator on the pooled features of our own classifier, over crops; so compare its values with one
    another, never with published ones.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    classifier = classifier or StyleClassifier.load()

    class Features(nn.Module):
        def forward(self, crops):
            return classifier.pooled(crops.float() / 127.5 - 1)

    def crops(pictures):
        x = torch.cat([classifier.crops(picture) for picture in pictures])
        return ((x + 1) * 127.5).round().to(torch.uint8)

    real, fake = crops(reals), crops(images)
    size = subset_size or min(len(real), len(fake))
    with torch.random.fork_rng(devices=[]):  # the subsets are drawn from torch's global generator
        torch.manual_seed(0)
        distance = KernelInceptionDistance(
            feature=Features(), subsets=50, subset_size=min(size, 200)
        )
        for name, x in ((True, real), (False, fake)):
            for part in x.split(64):
                distance.update(part, real=name)
        return float(distance.compute()[0])
