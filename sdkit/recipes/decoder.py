"""Fine-tune the VAE's decoder for texture: ``python -m sdkit.recipes.decoder --art-dir DIR``.

The VAE is trained with a pixel loss. Its few latent numbers do not say how the bristles of a brush
moved. There the decoder answers with the mean of all possibilities, which is smooth. So paint
looked like plastic afterwards. Here the encoder and the latents stay as they are; the decoder
learns to invent strokes that look right: by the Gram matrices of VGG features (as EnhanceNet,
Sajjadi et al. 2017), by the features themselves (Johnson et al. 2016), and by a patch discriminator
(Isola et al. 2017). A pixel loss keeps colours and shapes.

Postcards have flat areas and no strokes, so they get the pixel loss alone. With the other losses,
the decoder put black flecks on their edges.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import ImageOps

from sdkit.evaluate import metrics
from sdkit.pictures import art, photos
from sdkit.recipes import cards, perceptual, training, vae
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import command_line, in_models

TEXTURE = ("relu1_1", "relu2_1", "relu3_1")  # layers whose Gram matrices are compared
CONTENT = ("relu2_2", "relu3_3")  # layers that are compared place by place


@dataclass(frozen=True)
class Settings(vae.CropSettings):
    """Settings of the decoder's fine-tuning."""

    out: Path = field(default_factory=in_models("mini-sd/vae"))
    runs: Path = Path("runs/decoder")
    # folder of the trained VAE
    initial: Path = field(default_factory=in_models("mini-sd/vae"))
    # folder with the weights of the VGG16
    features: Path = Path("../shared/features")
    steps: int = 800
    size: int = 128
    short_sides: tuple[int, ...] = (256, 800)
    # of Muon; AdamW takes a quarter
    learning_rate: float = 1e-3
    # weight of the pixel loss
    pixel_weight: float = 1.0
    # weight of the Gram matrices
    texture_weight: float = 0.1
    # weight of the features, place by place
    content_weight: float = 0.2
    # weight of the discriminator's opinion
    adversarial_weight: float = 0.1
    recoloured: float = 0.05
    card_share: float = 0.5
    drawn: int = 2000
    ema_decay: float = 0.995


class Batch(NamedTuple):
    """One batch."""

    pictures: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    are_postcards: bool


def make_batch(settings: Settings, data: vae.Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of postcards or of art."""
    are_postcards = rng.random() < settings.card_share
    crops = vae.postcard_crops if are_postcards else vae.art_crops
    return Batch(photos.to_batch(crops(settings, data, rng)), are_postcards)


def loss(
    settings: Settings,
    decode: Callable[[torch.Tensor], torch.Tensor],
    batch: Batch,
    latents: torch.Tensor,
    features: Callable[[torch.Tensor], dict[str, torch.Tensor]],
    discriminator: Callable[[torch.Tensor], torch.Tensor],
    ramp: float,
) -> tuple[torch.Tensor, training.Figures, torch.Tensor]:
    """Loss of the decoder: (loss, figures to log, decoded pictures).

    decode : latents (B, C, h, w) to pictures (B, 3, H, W); features : pictures to a dict of
    features; discriminator : pictures to logits; ramp : share of the discriminator's weight.
    """
    x, y = batch.pictures, decode(latents).float()
    pixels = vae.reconstruction_loss(y, x)
    if batch.are_postcards:
        return settings.pixel_weight * pixels, {"postcards": pixels}, y
    with torch.no_grad():
        wanted = features(x)
    found = features(y)
    texture = sum(
        perceptual.gram_distance(perceptual.gram(found[name]), perceptual.gram(wanted[name])).mean()
        for name in TEXTURE
    )
    content = sum(perceptual.feature_distance(found[name], wanted[name]).mean() for name in CONTENT)
    adversarial = -discriminator(y).float().mean()
    total = (
        settings.pixel_weight * pixels
        + settings.texture_weight * texture
        + settings.content_weight * content
        + ramp * settings.adversarial_weight * adversarial
    )
    return total, {"pixels": pixels, "texture": texture, "content": content}, y


def round_trip(network: AutoencoderKL, square: np.ndarray) -> np.ndarray:
    """A uint8 square after encoder and decoder, as uint8."""
    with torch.no_grad():
        z = network.encode(photos.to_batch([square])).latent_dist.mean
        return photos.to_uint8(network.decode(z).sample)[0]


def measure(settings: Settings, network: AutoencoderKL) -> dict[str, float]:
    """PSNR in dB, and the share of the octave ratio that is kept, on held-out pictures by kind."""
    held_out = art.load(settings.art_dir, "validation", limit=settings.limit or None)
    side = (settings.measured_side,) * 2
    figures: dict[str, float] = {}
    for style in art.STYLES:
        some = [p for p in held_out if p.style == style][: settings.evaluate]
        squares = [np.asarray(ImageOps.fit(p.image, side)) for p in some]
        back = [round_trip(network, square) for square in squares]
        name = style.replace(" ", "_")
        figures[f"psnr_{name}"] = float(np.mean(list(map(metrics.psnr, back, squares))))
        ratios = [metrics.octave_ratio(y) / metrics.octave_ratio(x) for y, x in zip(back, squares)]
        figures[f"octave_ratio_kept_{name}"] = float(np.median(ratios))
    _, drawings = cards.render(4 * settings.evaluate, seed=3, held_out=True)
    figures["psnr_postcards"] = vae.mean_psnr(network, drawings)
    return {name: round(value, 3) for name, value in figures.items()}


def main(settings: Settings) -> None:
    """Fine-tune the decoder, measure the VAE, and save it in fp16."""
    accelerator = training.accelerator()
    device = accelerator.device
    torch.manual_seed(settings.seed)
    styles = (*art.STYLES, "pointillism")
    pictures = art.load(settings.art_dir, "train", styles, settings.limit or None, 1000)
    network = AutoencoderKL.from_pretrained(settings.initial).float()
    network = network.to(device, memory_format=torch.channels_last)
    network.encoder.requires_grad_(False)
    network.quant_conv.requires_grad_(False)
    features = perceptual.VGG16.load(settings.features, TEXTURE + CONTENT).to(device)
    features = training.with_autocast(accelerator, features)
    discriminator = vae.PatchDiscriminator().to(device, memory_format=torch.channels_last)
    discriminator_optimizer = torch.optim.AdamW(
        discriminator.parameters(), 4e-4, betas=(0.5, 0.9), weight_decay=0
    )
    discriminator, discriminator_optimizer = accelerator.prepare(
        discriminator, discriminator_optimizer
    )
    optimizer = Muon(*split(Decoder(network)), settings.learning_rate)
    run = training.Run(settings, accelerator)
    model = run.begin(Decoder(network), optimizer, ema_decay=settings.ema_decay)
    judge = training.with_autocast(accelerator, accelerator.unwrap_model(discriminator))

    @torch.no_grad()
    def encode(x: torch.Tensor) -> torch.Tensor:
        posterior = network.encode(x).latent_dist
        return posterior.mean + posterior.std * torch.randn_like(posterior.std)

    encode = training.with_autocast(accelerator, encode)
    data = None if run.is_over else vae.load_data(settings, pictures)
    for step, batch in run.batches("decoder", make_batch, data):
        torch.manual_seed(step)  # exact resume
        ramp = min(1.0, (step + 1) / vae.RAMP)
        value, figures, y = loss(
            settings, model, batch, encode(batch.pictures), features, judge, ramp
        )
        run.descend(value)
        if batch.are_postcards:
            run.record(step, **figures)
            continue
        discriminator_optimizer.zero_grad()  # the decoder's loss also left gradients there
        both = torch.cat([batch.pictures, y.detach()])
        hinge = vae.discriminator_loss(*discriminator(both).float().chunk(2))
        accelerator.backward(hinge)
        discriminator_optimizer.step()
        discriminator_optimizer.zero_grad()
        run.record(step, discriminator=hinge, **figures)
    if not accelerator.is_main_process:
        return
    run.averaged()
    network = network.cpu().to(memory_format=torch.contiguous_format).eval()
    figures = measure(settings, network)
    network.register_to_config(_name_or_path="mini-sd/vae")  # do not publish a path on this disk
    network.half().save_pretrained(settings.out)
    training.write_record(settings.out, run, "decoder", figures, art.data_hash(pictures))
    print(json.dumps(figures))


class Decoder(torch.nn.Module):
    """The half of a VAE that makes pictures (B, 3, H, W) from latents (B, C, h, w)."""

    def __init__(self, network: AutoencoderKL):
        super().__init__()
        self.post_quant_conv, self.decoder = network.post_quant_conv, network.decoder

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.post_quant_conv(z))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
