"""Train the VAE: ``python -m sdkit.recipes.vae --art-dir DIR``.

As in latent diffusion (Rombach et al. 2022, section 3.1 and appendix G): L1 and a weak KL term first; then a patch
discriminator with hinge loss and a perceptual term, which keep brush strokes that L1 alone averages away.

Four things are ours, all for colour, which first runs lost (after 35 minutes a green bird came back orange): red,
green and blue are so alike in most pictures that a network sees their difference, an eighth of the brightness, last.
So the first convolution begins with whitened colours, the encoder is at first pulled towards the principal components
of 4x4 px patches (the best that a linear autoencoder can do, from where the network goes on), the loss counts chroma
as if it were as strong as brightness, and a part of the crops is recoloured.

An encoder kept at the principal components for good was tried too. A linear decoder then has 31 dB on photographs,
but this one 25: it doubles the resolution by repeating pixels before each convolution, and so cannot tell the left
half of a patch from the right. Encoder and decoder must find their own code together.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import ImageOps
from torch import nn

from sdkit.evaluate.judges import StyleClassifier
from sdkit.files import models_dir
from sdkit.pictures import art
from sdkit.recipes import cards, training
from sdkit.recipes.muon import Muon, split

CONFIG = dict(
    in_channels=3,
    out_channels=3,
    latent_channels=8,
    layers_per_block=1,
    norm_num_groups=16,
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    mid_block_add_attention=False,
)  # no attention: the same network at every picture size

HELD_OUT_SIDE = 256  # px, of the squares that PSNR is measured on
CARD_SIDES = (64, 256)  # px, of postcards as mini-sd paints them and as the upscaler returns them


class PatchDiscriminator(nn.Sequential):
    """(B, 3, H, W) -> logits (B, 1, H/8, W/8), each judging a patch of 38 px (Isola et al. 2017)."""

    def __init__(self, channels=32):
        layers, inside = [], 3
        for outside in (channels, 2 * channels, 4 * channels):
            layers += [
                nn.Conv2d(inside, outside, 4, 2, 1),
                nn.GroupNorm(8, outside),
                nn.LeakyReLU(0.2),
            ]
            inside = outside
        del layers[1]  # no norm on the pixels' own layer
        super().__init__(*layers, nn.Conv2d(inside, 1, 3, 1, 1))


class Autoencoder(nn.Module):
    """Encoder and decoder in one forward pass, which is what several processes can synchronise."""

    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, x, generator):
        """(B, 3, H, W) -> reconstruction, mean latents (B, C, H/4, W/4), mean KL per latent in nats."""
        posterior = self.vae.encode(x).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(x.device)
        y = self.vae.decode(posterior.mean + posterior.std * noise).sample
        return y.float(), posterior.mean.float(), posterior.kl().mean() / posterior.mean[0].numel()


def principal_components(squares, channels):
    """uint8 squares -> weight (C, 3, 4, 4) and bias (C,) of the stride-4 convolution that projects patches of 4x4 px.

    Each component is divided by the root of its standard deviation: the strong ones stay stronger, as diffusion
    then destroys them last, but not as much stronger as they are.
    """
    x = art.to_batch(squares)
    patches = F.unfold(x, 4, stride=4).transpose(1, 2).reshape(-1, 48)
    values, vectors = torch.linalg.eigh(patches.T.cov())
    order = values.argsort(descending=True)[:channels]
    weight = (vectors[:, order] / values[order] ** 0.25).T  # (C, 48)
    return weight.view(channels, 3, 4, 4), -weight @ patches.mean(0)


def recolour(square, rng):
    """Give a crop (uint8) other colours: channels exchanged, saturation times 0 to 2.5; a fifth become flat colours.

    Strong and flat colours are rare in paintings and photographs: without this, pure red came back as (197, 53, 8).
    """
    if rng.random() < 0.2:
        return np.broadcast_to(rng.choice([0, 255, rng.integers(256)], 3), square.shape).astype(
            np.uint8
        )
    square = square[..., rng.permutation(3)].astype(np.float32)
    grey = square.mean(-1, keepdims=True)
    return (grey + rng.uniform(0, 2.5) * (square - grey)).clip(0, 255).astype(np.uint8)


@torch.no_grad()
def whiten_colours(convolution, squares):
    """Let a convolution on RGB begin as if on colours without correlation, each of variance one (ZCA)."""
    pixels = art.to_batch(squares).transpose(0, 1).reshape(3, -1)
    values, vectors = torch.linalg.eigh(pixels.cov())
    whitening = (vectors / values.sqrt()) @ vectors.T
    convolution.weight.copy_(torch.einsum("oikl,ij->ojkl", convolution.weight, whitening))


def chroma(x):
    """(B, 3, H, W) RGB -> (B, 2, H, W): red-blue and green-magenta, each of about variance one.

    The constants are the standard deviations of these two directions over the training crops, where brightness
    has 0.75.
    """
    red, green, blue = x.split(1, 1)
    return torch.cat([(red - blue) / 2**0.5 / 0.29, (red - 2 * green + blue) / 6**0.5 / 0.11], 1)


def reconstruction_loss(y, x):
    """L1 on pixels, on means of 4x4 px, and, a fifth as much, on chroma."""
    return (
        F.l1_loss(y, x)
        + F.l1_loss(F.avg_pool2d(y, 4), F.avg_pool2d(x, 4))
        + 0.2 * F.l1_loss(chroma(y), chroma(x))
    )


def perceptual_loss(features, y, x):
    """Mean squared distance of unit-length features over the layers of ``features`` (LPIPS, Zhang et al. 2018)."""
    with torch.no_grad():
        wanted = [F.normalize(feature.float(), dim=1) for feature in features(x)]
    return sum(
        (F.normalize(feature.float(), dim=1) - target).square().sum(1).mean()
        for feature, target in zip(features(y), wanted)
    )


@torch.no_grad()
def reconstruct(vae, x):
    """(B, 3, H, W) in [-1, 1] through encoder and decoder, without sampling the posterior."""
    return vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)


def psnr(vae, squares):
    """Mean PSNR in dB over uint8 squares after encoder and decoder."""
    values = []
    for square in squares:
        x = art.to_batch([square])
        values.append(-10 * torch.log10(F.mse_loss(reconstruct(vae, x), x) / 4).item())
    return sum(values) / len(values)


def held_out_psnr(vae, pictures):
    """Mean PSNR in dB over the central squares of ``pictures``, scaled to 256 px."""
    return psnr(
        vae,
        [
            np.asarray(ImageOps.fit(picture.image, (HELD_OUT_SIDE, HELD_OUT_SIDE)))
            for picture in pictures
        ],
    )


def root(covariance):
    """The symmetric square root of a covariance (C, C), and its inverse."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.sqrt() @ vectors.T, vectors / values.sqrt() @ vectors.T


@torch.no_grad()
def align(vae, reference, batches):
    """Turn the latents of ``vae`` so that they have ``reference``'s covariance and agree with its latents best.

    A linear map of the channels (whitening, then the rotation of the orthogonal Procrustes problem, Schönemann 1966),
    which is taken into one convolution of 1x1 px on either side: pictures come back as before, and a UNet that learned
    on the latents of ``reference`` has less to learn anew. Batches (B, 3, H, W) in [-1, 1] are what both are compared
    on.
    """
    # (N, 2C)
    hidden = torch.cat([vae.encoder(x).permute(0, 2, 3, 1).flatten(0, 2) for x in batches])
    # (N, C)
    mean, logvar = (hidden @ vae.quant_conv.weight.flatten(1).T + vae.quant_conv.bias).chunk(2, 1)
    wanted = torch.cat(
        [reference.encode(x).latent_dist.mean.permute(0, 2, 3, 1).flatten(0, 2) for x in batches]
    )
    (_, whiten), (colour, bleach) = root(mean.T.cov()), root(wanted.T.cov())
    left, _, right = torch.linalg.svd(
        bleach @ (wanted - wanted.mean(0)).T @ (mean - mean.mean(0)) @ whiten
    )
    turn = colour @ left @ right @ whiten  # (C, C)
    shift = wanted.mean(0) - turn @ mean.mean(0)
    # The noise of the turned posterior, channel by channel, as the linear function of ``hidden`` that is nearest to it.
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
def latent_std(vae, squares):
    """Standard deviation of the latents of uint8 ``squares``, whose inverse is the scaling factor (Rombach, D.1)."""
    return vae.encode(art.to_batch(squares)).latent_dist.sample().std().item()


def main(
    art_dir="../shared/art",
    out="",
    steps=3500,
    adversarial_from=3500,
    perceptual="",
    batch_size=6,
    size=80,
    channels="32,64,160",
    learning_rate=4e-3,
    adversarial_weight=0.12,
    perceptual_weight=0.3,
    anchor_steps=800,
    recoloured=0.15,
    card_share=0.5,
    drawn=6000,
    kl_weight=1e-6,
    ema_decay=0.999,
    initial="",
    seed=0,
    runs="runs/vae",
    limit=0,
    evaluate=6,
):
    """Train the VAE on postcards and crops of every picture, measure it on held-out ones, and save it in fp16.

    out: folder to write (default: the vae of mini-sd); perceptual: folder of a style classifier used as feature
    extractor from the step ``adversarial_from`` on (never the one that measures); anchor_steps: how long the
    encoder is pulled towards the principal components, ever less; recoloured: share of crops given other colours;
    card_share: share of steps on postcards, three in four of them whole ones of 64 px; drawn: how many of those;
    initial: folder of a trained VAE to go on from, to whose latents those of the new one are aligned;
    runs: where checkpoints and the curve lie;
    limit: pictures per folder (0: all); evaluate: pictures per kind in the closing measure.
    """
    settings = dict(recipe="sdkit.recipes.vae", **locals())
    accelerator = training.accelerator()
    device, rank = accelerator.device, accelerator.process_index
    torch.manual_seed(seed)
    pictures = art.load(art_dir, "train", (*art.STYLES, "pointillism"), limit or None)
    # How often each folder is drawn, in the order of STYLE_OF_FOLDER: paintings and photographs alike often.
    groups = [[p for p in pictures if p.file.startswith(folder)] for folder in art.STYLE_OF_FOLDER]
    weights = np.array([4, 2, 2, 4, 0.3, 5, 3]) * [len(group) > 0 for group in groups]

    rng = training.rng(seed, 2**31)
    sample = [
        art.crop(pictures[rng.integers(len(pictures))], size, rng)
        for _ in range(100 if not limit else 16)
    ]
    components = [
        part.to(device) for part in principal_components(sample, CONFIG["latent_channels"])
    ]
    widths = [int(width) for width in channels.split(",")]
    vae = AutoencoderKL(block_out_channels=widths, **CONFIG)
    whiten_colours(vae.encoder.conv_in, sample)
    # Little noise at first: a channel that the decoder does not use yet must not drown in it (posterior collapse).
    vae.quant_conv.bias.data[CONFIG["latent_channels"] :] = -6.0
    if initial:
        vae.load_state_dict(AutoencoderKL.from_pretrained(initial).state_dict())
        settings["initial"] = json.loads((Path(initial) / "recipe.json").read_text())
    vae = vae.to(device, memory_format=torch.channels_last)
    critic = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    optimizer = Muon(*split(vae), learning_rate)
    critic_optimizer = torch.optim.AdamW(
        critic.parameters(), 4e-4, betas=(0.5, 0.9), weight_decay=0
    )
    critic, critic_optimizer = accelerator.prepare(critic, critic_optimizer)
    run = training.Run(runs, accelerator)
    model, start = run.begin(Autoencoder(vae), optimizer, steps, ema_decay=ema_decay)
    features = None
    if steps > adversarial_from and perceptual:
        features = (
            StyleClassifier.from_pretrained(perceptual)
            .requires_grad_(False)
            .to(device)
            .eval()
            .features
        )

    small, large = (
        (cards.render(count, side)[1] for count, side in zip((drawn, -(-drawn // 8)), CARD_SIDES))
        if start < steps
        else (None, None)
    )

    def make(step):
        rng = training.rng(seed, step, rank)
        if rng.random() < card_share:
            squares, side = (small, CARD_SIDES[0]) if rng.random() < 0.75 else (large, size)
            count, edge = max(1, round(batch_size * (size / side) ** 2)), squares.shape[1] - side
            chosen, corners = (
                rng.integers(len(squares), size=count),
                rng.integers(edge + 1, size=(count, 2)),
            )
            x = art.to_batch(
                [
                    squares[k, top : top + side, left : left + side]
                    for k, (top, left) in zip(chosen, corners)
                ]
            )
            return x, training.torch_rng(rng)
        chosen = rng.choice(len(groups), batch_size, p=weights / weights.sum())
        squares = [
            art.crop(groups[g][rng.integers(len(groups[g]))], size, rng, (224, 560)) for g in chosen
        ]
        squares = [
            recolour(square, rng) if rng.random() < recoloured else square for square in squares
        ]
        return art.to_batch(squares), training.torch_rng(rng)

    for step, (x, generator) in run.steps("vae", make, start, steps):
        x = x.to(device, memory_format=torch.channels_last)
        adversarial = step >= adversarial_from
        y, mean, kl = model(x, generator)
        pixel, anchor = (
            reconstruction_loss(y, x),
            F.mse_loss(mean, F.conv2d(x, *components, stride=4)),
        )
        loss = pixel + kl_weight * kl + max(0.0, 1 - (step + 1) / (anchor_steps + 1)) * anchor
        figures = {"reconstruction": pixel, "distance to principal components": anchor}
        if adversarial:
            with accelerator.autocast():
                fooled = -accelerator.unwrap_model(critic)(y).float().mean()
                seen = (
                    perceptual_loss(features, y, x) if features else torch.zeros((), device=device)
                )
            ramp = min(1.0, (step - adversarial_from + 1) / 200)
            loss = loss + ramp * (adversarial_weight * fooled + perceptual_weight * seen)
            figures["perceptual"] = seen
        run.descend(loss)
        critic_optimizer.zero_grad()  # the line above also left gradients on the critic
        if adversarial:
            real, fake = critic(torch.cat([x, y.detach()])).float().chunk(2)
            hinge = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
            accelerator.backward(hinge)
            critic_optimizer.step()
            critic_optimizer.zero_grad()
            figures["critic"] = hinge
        run.record(step, **figures)
    if not accelerator.is_main_process:
        return
    vae = run.averaged().vae
    if initial:
        align(
            vae,
            AutoencoderKL.from_pretrained(initial).float(),
            [art.to_batch(sample), art.to_batch(list(cards.render(len(sample), CARD_SIDES[0])[1]))],
        )
    vae.register_to_config(scaling_factor=1 / latent_std(vae, sample))
    held_out = art.load(art_dir, "validation", limit=limit or None)
    metrics = {
        f"psnr_{name.replace(' ', '_')}_256": round(held_out_psnr(vae, chosen[:evaluate]), 2)
        for name in art.STYLES
        if (chosen := [p for p in held_out if p.style == name and not p.is_portrait])
    }
    metrics |= {
        f"psnr_postcard_{side}": round(
            psnr(vae, list(cards.render(10 * evaluate, side, held_out=True)[1])), 2
        )
        for side in CARD_SIDES
    }
    metrics["psnr_portrait_256"] = round(
        held_out_psnr(vae, [p for p in held_out if p.is_portrait][:evaluate]), 2
    )
    out = Path(out) if out else models_dir() / "mini-sd" / "vae"
    vae.half().save_pretrained(out)
    training.write_record(out, run, settings, metrics, art.data_hash(pictures))
    print(json.dumps(metrics))


if __name__ == "__main__":
    training.command_line(main)
