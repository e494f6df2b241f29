"""Train the VAE: ``python -m sdkit.recipes.vae --art-dir DIR``.

As in latent diffusion (Rombach et al. 2022, section 3.1 and appendix G): L1 and a weak KL term
first; then a patch discriminator with the hinge loss and a perceptual term, which keep the brush
strokes that L1 alone would average away.

Four things are our own, all for colour. In the first runs colour was lost: after 35 minutes a green
bird came back orange. Red, green and blue are very similar in most pictures. Their differences are
an eighth as strong as the brightness, so a network learns them last. Therefore:

* the first convolution starts with whitened colours;
* the encoder is at first pulled towards the principal components of 4x4 px patches, which are the
  best that a linear autoencoder can do; the network goes on from there;
* the loss counts chroma as if it were as strong as brightness;
* a share of the crops is recoloured.

We also tried to keep the encoder at the principal components for the whole training. A linear
decoder then reaches 31 dB on photographs, but this decoder only 25 dB: it doubles the resolution by
repeating pixels before each convolution, so it cannot tell the left half of a patch from the right.
Encoder and decoder must learn their code together.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import ImageOps
from torch import nn

from sdkit.diffusion import latents
from sdkit.evaluate import metrics
from sdkit.evaluate.judges import StyleClassifier
from sdkit.pictures import art, photos
from sdkit.recipes import cards, training
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import BaseSettings, command_line, in_models

CONFIG: dict[str, Any] = dict(
    in_channels=3,
    out_channels=3,
    latent_channels=8,
    layers_per_block=1,
    norm_num_groups=16,
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    mid_block_add_attention=False,
)  # without attention, so that the network works at every picture size
FACTOR = 4  # picture pixels to one latent pixel

CARD_SIDES = (64, 256)  # px, of postcards as mini-sd draws them and as the upscaler returns them
# how often the pictures of a folder are drawn, relative to the other folders
FOLDER_WEIGHTS = {
    "van_gogh": 4,
    "ukiyo_e": 2,
    "impressionism": 2,
    "oil_painting": 4,
    "pointillism": 0.3,
    "photo": 5,
    "portrait": 3,
}
RAMP = 200  # steps in which the weights of discriminator and perceptual loss rise from 0


@dataclass(frozen=True)
class CropSettings(BaseSettings):
    """Settings of crops of art and of postcards, of the VAE and of its decoder alone."""

    # crops in a batch
    batch_size: int = 6
    # side of a crop in px
    size: int = 80
    # short sides in px of the scaled pictures that crops are taken from
    short_sides: tuple[int, ...] = (224, 560)
    # share of crops that are given other colours
    recoloured: float = 0.15
    # share of steps on postcards; three in four of them on whole postcards of 64 px
    card_share: float = 0.5
    # postcards of 64 px that are drawn for the training
    drawn: int = 6000
    # decay of the moving average of the weights
    ema_decay: float = 0.999
    # held-out pictures of each kind that are measured at the end
    evaluate: int = 6
    # side in px of the held-out pictures that are measured
    measured_side: int = 256


@dataclass(frozen=True)
class Settings(CropSettings):
    """Settings of the VAE's training."""

    out: Path = field(default_factory=in_models("mini-sd/vae"))
    runs: Path = Path("runs/vae")
    steps: int = 3500
    # first step with discriminator and perceptual loss; from ``steps`` on there are none
    adversarial_from: int = 3500
    # folder of a style classifier whose features the perceptual loss compares; never the one that
    # measures
    perceptual: Path | None = None
    # channels of the levels, the finest first
    channels: tuple[int, ...] = (32, 64, 160)
    # of Muon; AdamW takes a quarter
    learning_rate: float = 4e-3
    # weight of the discriminator's opinion
    adversarial_weight: float = 0.12
    # weight of the perceptual loss
    perceptual_weight: float = 0.3
    # steps in which the encoder is pulled towards the principal components, less and less
    anchor_steps: int = 800
    # weight of the KL divergence
    kl_weight: float = 1e-6
    # folder of a trained VAE to go on from; the new latents are turned to agree with its latents
    initial: Path | None = None


class Batch(NamedTuple):
    """One batch of the VAE."""

    pictures: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    noise: torch.Tensor  # (B, C, S/4, S/4), standard normal, to sample from the posterior


@dataclass
class Data:
    """What batches are made from."""

    pictures: dict[str, list[art.Picture]]  # folder name -> its pictures
    small_cards: np.ndarray  # uint8 (N, 64, 64, 3)
    large_cards: np.ndarray  # uint8 (M, 256, 256, 3)


class PatchDiscriminator(nn.Sequential):
    """(B, 3, H, W) -> logits (B, 1, H/8, W/8), each for a patch of 38 px (Isola et al. 2017)."""

    def __init__(self, channels: int = 32):
        layers, inside = [], 3
        for outside in (channels, 2 * channels, 4 * channels):
            layers += [
                nn.Conv2d(inside, outside, 4, 2, 1),
                nn.GroupNorm(8, outside),
                nn.LeakyReLU(0.2),
            ]
            inside = outside
        del layers[1]  # no norm directly on pixels
        super().__init__(*layers, nn.Conv2d(inside, 1, 3, 1, 1))


class Autoencoder(nn.Module):
    """Encoder and decoder in one forward pass, so that several processes can share the training."""

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.vae = vae

    def forward(
        self, x: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) -> reconstruction, mean latents (B, C, H/4, W/4), KL divergence.

        The KL divergence from the standard normal distribution is in nats for one latent number,
        averaged over the batch (Kingma & Welling 2014, appendix B).
        """
        posterior = self.vae.encode(x).latent_dist
        y = self.vae.decode(posterior.mean + posterior.std * noise).sample
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        return y.float(), posterior.mean.float(), kl


def principal_components(
    squares: Sequence[np.ndarray], channels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 squares -> weight (C, 3, 4, 4) and bias (C,) of a convolution with stride 4.

    It projects patches of 4x4 px on their principal components. Each component is divided by the
    root of its standard deviation. So the strong ones stay stronger, and diffusion destroys them
    last, but the difference is smaller than in the pictures.
    """
    x = photos.to_batch(squares)
    patches = F.unfold(x, FACTOR, stride=FACTOR).transpose(1, 2).reshape(-1, 3 * FACTOR**2)
    values, vectors = torch.linalg.eigh(patches.T.cov())
    order = values.argsort(descending=True)[:channels]
    weight = (vectors[:, order] / values[order] ** 0.25).T  # (C, 48)
    return weight.view(channels, 3, FACTOR, FACTOR), -weight @ patches.mean(0)


def recolour(square: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give a crop (uint8) other colours: channels exchanged, saturation times 0 to 2.5.

    A fifth of the crops become one flat colour. Strong and flat colours are rare in paintings and
    photographs: without this, pure red came back as (197, 53, 8).
    """
    if rng.random() < 0.2:
        colour = rng.choice([0, 255, int(rng.integers(256))], 3)
        return np.broadcast_to(colour, square.shape).astype(np.uint8)
    square = square[..., rng.permutation(3)].astype(np.float32)
    grey = square.mean(-1, keepdims=True)
    return (grey + rng.uniform(0, 2.5) * (square - grey)).clip(0, 255).astype(np.uint8)


@torch.no_grad()
def whiten_colours(convolution: nn.Conv2d, squares: Sequence[np.ndarray]) -> None:
    """Make a new convolution on RGB start as if colours were uncorrelated with variance 1 (ZCA)."""
    pixels = photos.to_batch(squares).transpose(0, 1).reshape(3, -1)
    values, vectors = torch.linalg.eigh(pixels.cov())
    whitening = (vectors / values.sqrt()) @ vectors.T
    convolution.weight.copy_(torch.einsum("oikl,ij->ojkl", convolution.weight, whitening))


def chroma(x: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) RGB -> (B, 2, H, W): red-blue and green-magenta, each of about variance 1.

    The constants are the standard deviations of these two directions over the training crops, where
    brightness has 0.75.
    """
    red, green, blue = x.split(1, 1)
    return torch.cat([(red - blue) / 2**0.5 / 0.29, (red - 2 * green + blue) / 6**0.5 / 0.11], 1)


def reconstruction_loss(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """L1 on pixels, plus L1 on means of 4x4 px, plus 0.2 times L1 on chroma."""
    return (
        F.l1_loss(y, x)
        + F.l1_loss(F.avg_pool2d(y, 4), F.avg_pool2d(x, 4))
        + 0.2 * F.l1_loss(chroma(y), chroma(x))
    )


def perceptual_loss(
    features: Callable[[torch.Tensor], Sequence[torch.Tensor]], y: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    """Mean squared distance of unit-length features, summed over layers (LPIPS, Zhang et al. 2018).

    ``features`` maps pictures to a list of feature maps (B, C, h, w).
    """
    with torch.no_grad():
        targets = [F.normalize(feature.float(), dim=1) for feature in features(x)]
    return sum(
        (F.normalize(feature.float(), dim=1) - target).square().sum(1).mean()
        for feature, target in zip(features(y), targets)
    )


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Hinge loss of the logits for real and reconstructed pictures (Lim & Ye 2017)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def loss(
    settings: Settings,
    model: Autoencoder,
    batch: Batch,
    step: int,
    components: Sequence[torch.Tensor],
    discriminator: Callable[[torch.Tensor], torch.Tensor] | None = None,
    features: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None = None,
) -> tuple[torch.Tensor, training.Figures, torch.Tensor]:
    """Loss of the autoencoder at a step: (loss, figures to log, reconstruction).

    `reconstruction_loss`, plus ``kl_weight`` times the KL divergence, plus, in the first
    ``anchor_steps``, the squared distance of the latents to the principal components. From the step
    ``adversarial_from`` on, the discriminator's opinion and `perceptual_loss` count, too.

    ``components``: from `principal_components`; ``discriminator``, which is needed from the step
    ``adversarial_from`` on: pictures to logits; ``features``: see `perceptual_loss`.
    """
    x = batch.pictures
    y, mean, kl = model(x, batch.noise)
    reconstruction = reconstruction_loss(y, x)
    distance = F.mse_loss(mean, F.conv2d(x, *components, stride=FACTOR))
    anchor_weight = max(0.0, 1 - (step + 1) / (settings.anchor_steps + 1))
    total = reconstruction + settings.kl_weight * kl + anchor_weight * distance
    figures = {"reconstruction": reconstruction, "distance to principal components": distance}
    if step >= settings.adversarial_from:
        ramp = min(1.0, (step - settings.adversarial_from + 1) / RAMP)
        assert discriminator is not None
        adversarial = -discriminator(y).float().mean()  # of the generator, Lim & Ye 2017
        perceptual = perceptual_loss(features, y, x) if features else torch.zeros_like(kl)
        total = total + ramp * settings.adversarial_weight * adversarial
        total = total + ramp * settings.perceptual_weight * perceptual
        figures["perceptual"] = perceptual
    return total, figures, y


def load_data(settings: CropSettings, pictures: Sequence[art.Picture]) -> Data:
    """Sort the pictures by folder and draw the postcards."""
    by_folder = {
        folder: [picture for picture in pictures if picture.file.startswith(f"{folder}/")]
        for folder in art.STYLE_OF_FOLDER
    }
    counts = (settings.drawn, -(-settings.drawn // 8))
    small, large = (cards.render(count, side)[1] for count, side in zip(counts, CARD_SIDES))
    return Data({name: some for name, some in by_folder.items() if some}, small, large)


def postcard_crops(
    settings: CropSettings, data: Data, rng: np.random.Generator
) -> list[np.ndarray]:
    """uint8 squares: whole postcards of 64 px in three of four cases, else crops of large ones.

    A batch holds about as many pixels as a batch of crops of art.
    """
    if rng.random() < 0.75:
        drawings, side = data.small_cards, CARD_SIDES[0]
    else:
        drawings, side = data.large_cards, settings.size
    count = max(1, round(settings.batch_size * (settings.size / side) ** 2))
    chosen = rng.integers(len(drawings), size=count)
    corners = rng.integers(drawings.shape[1] - side + 1, size=(count, 2))
    return [
        drawings[k, top : top + side, left : left + side] for k, (top, left) in zip(chosen, corners)
    ]


def art_crops(settings: CropSettings, data: Data, rng: np.random.Generator) -> list[np.ndarray]:
    """uint8 squares of paintings and photographs, some of them recoloured."""
    names = list(data.pictures)
    weights = np.array([FOLDER_WEIGHTS[name] for name in names])
    groups = [
        data.pictures[names[k]]
        for k in rng.choice(len(names), settings.batch_size, p=weights / weights.sum())
    ]
    squares = [
        art.crop(group[rng.integers(len(group))], settings.size, rng, settings.short_sides)
        for group in groups
    ]
    return [
        recolour(square, rng) if rng.random() < settings.recoloured else square
        for square in squares
    ]


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of postcards or of art."""
    crops = postcard_crops if rng.random() < settings.card_share else art_crops
    x = photos.to_batch(crops(settings, data, rng))
    shape = (len(x), CONFIG["latent_channels"], *(side // FACTOR for side in x.shape[2:]))
    return Batch(x, torch.randn(shape, generator=training.torch_rng(rng)))


def mean_psnr(vae: AutoencoderKL, squares: Sequence[np.ndarray] | np.ndarray) -> float:
    """Mean PSNR in dB of uint8 squares after encoder and decoder."""
    values = []
    for square in squares:
        y = latents.decode(vae, latents.encode(vae, photos.to_batch([square])))
        values.append(metrics.psnr(photos.to_uint8(y)[0], square))
    return round(float(np.mean(values)), 2)


def root(covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The symmetric square root of a covariance (C, C), and its inverse."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.sqrt() @ vectors.T, vectors / values.sqrt() @ vectors.T


@torch.no_grad()
def align(vae: AutoencoderKL, reference: AutoencoderKL, batches: Sequence[torch.Tensor]) -> None:
    """Give the latents of ``vae`` the covariance of ``reference``'s, and agree with them best.

    A linear map of the channels: whitening, then the rotation of the orthogonal Procrustes problem
    (Schönemann 1966). It becomes part of one convolution of 1x1 px on either side. Pictures come
    back as before, and a UNet that was trained on the latents of ``reference`` has less to learn
    again. Both are compared on ``batches`` of pictures (B, 3, H, W) in [-1, 1].
    """
    # (N, 2C)
    hidden = torch.cat([vae.encoder(x).permute(0, 2, 3, 1).flatten(0, 2) for x in batches])
    # (N, C)
    mean, logvar = (hidden @ vae.quant_conv.weight.flatten(1).T + vae.quant_conv.bias).chunk(2, 1)
    target = torch.cat(
        [reference.encode(x).latent_dist.mean.permute(0, 2, 3, 1).flatten(0, 2) for x in batches]
    )
    (_, whiten), (colour_target, whiten_target) = root(mean.T.cov()), root(target.T.cov())
    left, _, right = torch.linalg.svd(
        whiten_target @ (target - target.mean(0)).T @ (mean - mean.mean(0)) @ whiten
    )
    turn = colour_target @ left @ right @ whiten  # (C, C)
    shift = target.mean(0) - turn @ mean.mean(0)
    # The variance of the turned posterior in each channel, as the best linear function of
    # ``hidden``.
    noise = (logvar.clamp(-30, 20).exp() @ turn.square().T).log()  # clamped as in AutoencoderKL
    # (2C + 1, C)
    linear = torch.linalg.lstsq(
        torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1), noise
    ).solution
    own, channels = vae.quant_conv, len(turn)
    own.weight.copy_(
        torch.cat([turn @ own.weight[:channels, :, 0, 0], linear[:-1].T])[..., None, None]
    )
    own.bias.copy_(torch.cat([turn @ own.bias[:channels] + shift, linear[-1]]))
    back = vae.post_quant_conv.weight[:, :, 0, 0] @ turn.inverse()
    vae.post_quant_conv.weight.copy_(back[..., None, None])
    vae.post_quant_conv.bias.sub_(back @ shift)


@torch.no_grad()
def set_scaling_factor(vae: AutoencoderKL, squares: Sequence[np.ndarray]) -> None:
    """Set the scaling factor to 1 / (standard deviation of the latents of uint8 ``squares``).

    Scaled latents then have variance 1 (Rombach et al. 2022, appendix D.1).
    """
    posterior = vae.encode(photos.to_batch(squares)).latent_dist
    std = posterior.sample(torch.Generator().manual_seed(0)).std()
    vae.register_to_config(scaling_factor=1 / std.item())


def new_network(settings: Settings, squares: Sequence[np.ndarray]) -> AutoencoderKL:
    """The untrained VAE, or the one to go on from; its first convolution fits uint8 ``squares``."""
    vae = AutoencoderKL(block_out_channels=settings.channels, **CONFIG)
    whiten_colours(vae.encoder.conv_in, squares)
    # Little noise at first: a channel that the decoder does not use yet must not drown in it
    # (posterior collapse).
    vae.quant_conv.bias.data[CONFIG["latent_channels"] :] = -6.0
    if settings.initial:
        vae.load_state_dict(AutoencoderKL.from_pretrained(settings.initial).state_dict())
    return vae


def measure(settings: Settings, vae: AutoencoderKL) -> dict[str, float]:
    """Mean PSNR in dB on held-out pictures and postcards, by kind."""
    held_out = art.load(settings.art_dir, "validation", limit=settings.limit or None)
    side = settings.measured_side
    kinds = {
        style.replace(" ", "_"): [p for p in held_out if p.style == style and not p.is_portrait]
        for style in art.STYLES
    }
    kinds["portrait"] = [p for p in held_out if p.is_portrait]
    figures = {
        f"psnr_{kind}_{side}": mean_psnr(
            vae,
            [np.asarray(ImageOps.fit(p.image, (side, side))) for p in some[: settings.evaluate]],
        )
        for kind, some in kinds.items()
        if some
    }
    for side in CARD_SIDES:
        drawings = cards.render(10 * settings.evaluate, side, held_out=True)[1]
        figures[f"psnr_postcard_{side}"] = mean_psnr(vae, drawings)
    return figures


def main(settings: Settings) -> None:
    """Train the VAE on postcards and crops of every picture, measure it, and save it in fp16."""
    accelerator = training.accelerator()
    device = accelerator.device
    torch.manual_seed(settings.seed)
    styles = (*art.STYLES, "pointillism")
    pictures = art.load(settings.art_dir, "train", styles, settings.limit or None)
    rng = training.rng(settings.seed, training.PREPARING)
    sample = [
        art.crop(pictures[rng.integers(len(pictures))], settings.size, rng)
        for _ in range(16 if settings.limit else 100)
    ]
    components = [
        part.to(device) for part in principal_components(sample, CONFIG["latent_channels"])
    ]
    vae = new_network(settings, sample).to(device, memory_format=torch.channels_last)
    discriminator = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    optimizer = Muon(*split(vae), settings.learning_rate)
    discriminator_optimizer = torch.optim.AdamW(
        discriminator.parameters(), 4e-4, betas=(0.5, 0.9), weight_decay=0
    )
    discriminator, discriminator_optimizer = accelerator.prepare(
        discriminator, discriminator_optimizer
    )
    run = training.Run(settings, accelerator)
    model = run.begin(Autoencoder(vae), optimizer, ema_decay=settings.ema_decay)
    features = None
    if settings.perceptual and settings.steps > settings.adversarial_from:
        judge = StyleClassifier.from_pretrained(settings.perceptual).requires_grad_(False)
        features = training.with_autocast(accelerator, judge.to(device).eval().features)
    frozen = training.with_autocast(accelerator, accelerator.unwrap_model(discriminator))

    data = None if run.is_over else load_data(settings, pictures)
    for step, batch in run.batches("vae", make_batch, data):
        value, figures, y = loss(settings, model, batch, step, components, frozen, features)
        run.descend(value)
        discriminator_optimizer.zero_grad()  # the VAE's loss also left gradients there
        if step >= settings.adversarial_from:
            both = torch.cat([batch.pictures, y.detach()])
            hinge = discriminator_loss(*discriminator(both).float().chunk(2))
            accelerator.backward(hinge)
            discriminator_optimizer.step()
            discriminator_optimizer.zero_grad()
            figures["discriminator"] = hinge
        run.record(step, **figures)
    if not accelerator.is_main_process:
        return
    vae = run.averaged().vae
    if settings.initial:
        drawings = cards.render(len(sample), CARD_SIDES[0])[1]
        reference = AutoencoderKL.from_pretrained(settings.initial).float()
        align(vae, reference, [photos.to_batch(sample), photos.to_batch(drawings)])
    set_scaling_factor(vae, sample)
    figures = measure(settings, vae)
    vae.half().save_pretrained(settings.out)
    training.write_record(settings.out, run, "vae", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
