"""Teach the denoiser to paint: ``python -m sdkit.recipes.painter --art-dir DIR``.

The loss of predicted noise compares numbers of latents one by one. It averages over all ways in
which strokes could run, so it does not see whether there are strokes. Here the network paints as it
does in image to image: a photograph is noised part of the way, and a few steps follow. One of the
clean pictures that it predicts on this way is decoded, and judged as in neural style transfer
(Gatys et al. 2016, Johnson et al. 2016):

* Its texture should be that of the style: Gram matrices of VGG features, strokes everywhere
  (covariances of features in small squares, since a Gram matrix of the whole picture does not say
  where its texture is), and patch discriminators on these features (Sauer et al. 2021, "Projected
  GANs converge faster").
* Its content should be that of the photograph: deeper features, and the rough colours. Faces count
  more.

To train a diffusion model by a loss on its predicted pictures is reward fine-tuning (ReFL, Xu et
al. 2023). The guidance scale that the network is told sets how much the texture counts. On the
other steps the network learns to answer as before, so that it forgets nothing.
"""

import copy
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.training_utils import compute_snr
from PIL import Image, ImageOps
from torch import nn
from tqdm.auto import tqdm

from sdkit.diffusion import latents
from sdkit.evaluate import metrics
from sdkit.pictures import art, photos, portraits
from sdkit.recipes import captions, guidance, perceptual, training, unet
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import command_line
from sdkit.recipes.vae import discriminator_loss

TEXTURE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # layers whose Gram matrices are compared
# layers whose covariances are compared in squares, and how many squares make up a side
STROKES = {"relu1_1": 4, "relu2_1": 4, "relu3_1": 2}
JUDGED = ("relu2_1", "relu3_1")  # layers that the discriminators see
CONTENT = ("relu3_3", "relu4_1")  # layers that are compared place by place
SMOOTH_FACES = 0.8  # how much less strokes in squares count where there is a face
ROUGH = 16  # px; means over squares of this side are the rough colours
USUAL_SCALE = 5.0  # guidance scale at which the texture has its whole weight
STARTS = (200, 500)  # timesteps at which painting begins
STEPS = 3  # steps of painting
STEP_SHARES = (0.25, 0.25, 0.5)  # how often each of them is learned
PORTRAITS = 0.65  # share of portraits among the photographs
ADVERSARIAL_RAMP = 200  # steps in which the discriminators' weight rises
PHOTO = "a photo"
# How often each style is asked for. A painting by name is drawn from those of its painter.
STYLE_SHARES = {
    "van gogh": 0.34,
    "a painting by name": 0.24,
    "ukiyo-e": 0.12,
    "impressionism": 0.12,
    "oil painting": 0.10,
    PHOTO: 0.08,
}
OTHER_PAINTERS = {"the great wave": "ukiyo-e", "water lilies": "impressionism"}
LONGEST = 512  # px, of the square of a painting whose Gram matrices are taken


@dataclass(frozen=True)
class Settings(guidance.StudentSettings):
    """Settings of the training of the painter."""

    runs: Path = Path("runs/painter")
    # folder with the weights of the VGG16
    features: Path = Path("../shared/features")
    steps: int = 1500
    # photographs in a batch
    photographs: int = 3
    # side in px of a crop of a photograph or painting
    side: int = 256
    # share of steps that keep what the network knows
    keep_share: float = 0.35
    # crops in a batch of these
    batch_size: int = 12
    # of Muon; AdamW takes a quarter
    learning_rate: float = 3e-4
    scales: tuple[int, ...] = (1, 9)
    # short sides in px of the scaled photographs that crops are taken from
    short_sides: tuple[int, ...] = (256, 768)
    # short sides in px at which the texture of paintings is measured; that which is nearest to the
    # short side of the photograph is asked for
    texture_sides: tuple[int, ...] = (320, 640)
    # weight of the Gram matrices
    texture_weight: float = 1.5
    # weight of the covariances in squares
    stroke_weight: float = 0.8
    # weight of the discriminators' opinion
    adversarial_weight: float = 0.5
    # weight of the deeper features
    content_weight: float = 1.5
    # weight of the rough colours
    colour_weight: float = 1.2
    # how much more a face counts than the rest
    face_weight: float = 10.0
    # weight of what lies beyond black and white
    clipping_weight: float = 2.0
    # weight of the answers as before, on the other steps
    keep_weight: float = 3.0


class Painting(NamedTuple):
    """A batch of photographs that should become paintings."""

    photographs: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    faces: torch.Tensor  # (B, 1, S, S) 1 in boxes of faces, else 0
    ids: torch.Tensor  # (B, L) token numbers of the prompts
    scales: torch.Tensor  # (B,) guidance scales
    styles: torch.Tensor  # (B,) numbers into `art.STYLES`
    targets: list  # of B keys into `Data.grams`, None for a photograph that stays as it is
    paintings: torch.Tensor  # (B, 3, S, S) paintings of the same styles
    starts: torch.Tensor  # (B,) timesteps at which painting begins
    steps_before: int  # steps of painting before the one that is learned


class Keeping(NamedTuple):
    """A batch of postcards or crops on which the network answers as before."""

    noisy: torch.Tensor  # (B, C, h, w)
    timesteps: torch.Tensor  # (B,)
    ids: torch.Tensor  # (B, L)
    scales: torch.Tensor  # (B,)
    guided: torch.Tensor  # (B,) 1 where guidance is wanted, else 0


class Photograph(NamedTuple):
    """A photograph with the boxes of its faces in px."""

    picture: art.Picture
    faces: list


class Data(NamedTuple):
    """What batches are made from."""

    photographs: dict  # whether it is a portrait -> list of `Photograph`
    pictures: dict  # style -> list of `art.Picture`
    grams: dict  # (style or painting by name, short side) -> dict of (C, C), see `textures`
    latents: unet.Data


class FeatureDiscriminators(nn.ModuleDict):
    """Logits (B, h, w) of patches, from features (B, C, h, w), for each layer in `JUDGED`.

    There is one set of logits for each style; ``styles`` (B,) says which one is asked.
    """

    def __init__(self, channels=64):
        heads = {}
        for name in JUDGED:
            inside = perceptual.BLOCKS[int(name[4]) - 1][0]
            heads[name] = nn.Sequential(
                nn.GroupNorm(1, inside, affine=False),
                nn.Conv2d(inside, channels, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.GroupNorm(8, channels),
                nn.LeakyReLU(0.2),
                nn.Conv2d(channels, len(art.STYLES), 1),
            )
        super().__init__(heads)

    def forward(self, features, styles):
        rows = torch.arange(len(styles), device=styles.device)
        return [self[name](features[name])[rows, styles].float() for name in JUDGED]


def crop(photograph, side, short_sides, rng):
    """A square of a photograph as uint8 (S, S, 3), its faces (S, S), and the short side in px.

    The short side is that of the whole photograph at this scale. Half of the squares are mirrored.
    Of a photograph with a face, most show at least a part of it.
    """
    image, faces = photograph.picture.image, np.array(photograph.faces, float).reshape(-1, 4)
    native, (low, high) = min(image.size), short_sides
    high = max(low, min(high, 1.2 * native))
    short = max(side, np.exp(rng.uniform(np.log(low), np.log(high))))
    window = side * native / short
    free = np.array(image.size) - window
    corner = rng.uniform(0, free)
    if len(faces) and rng.random() < 0.7:
        left, top, right, bottom = faces[rng.integers(len(faces))]
        middle = np.array([left + right, top + bottom]) / 2
        corner = (middle - window * rng.uniform(0.25, 0.75, 2)).clip(0, free)
    square = image.resize((side, side), Image.Resampling.BICUBIC, box=(*corner, *corner + window))
    mask = np.zeros((side, side), np.float32)
    for box in ((faces - np.tile(corner, 2)) * side / window).round().clip(0, side).astype(int):
        left, top, right, bottom = box
        mask[top:bottom, left:right] = 1
    square = np.asarray(square)
    if rng.random() < 0.5:
        square, mask = square[:, ::-1], mask[:, ::-1]
    return square, mask, short


def choose_style(rng):
    """A style of `art.STYLES`, and the painting by name that is asked for or None."""
    names = list(STYLE_SHARES)
    name = names[rng.choice(len(names), p=list(STYLE_SHARES.values()))]
    if name in art.STYLES:
        return name, None
    painting = list(captions.PAINTINGS)[rng.integers(len(captions.PAINTINGS))]
    return OTHER_PAINTERS.get(painting, "van gogh"), painting


def painting_batch(settings, data, rng):
    """A `Painting` batch of random photographs and styles."""
    columns = []
    for _ in range(settings.photographs):
        is_portrait = rng.random() < PORTRAITS
        group = data.photographs[is_portrait]
        photograph = group[rng.integers(len(group))]
        square, mask, short = crop(photograph, settings.side, settings.short_sides, rng)
        style, painting = choose_style(rng)
        text = captions.caption(style, is_portrait, rng, painting)
        nearest = min(settings.texture_sides, key=lambda one: abs(np.log(short / one)))
        named = (painting, nearest) in data.grams and any(
            name in text for name in captions.PAINTINGS[painting].names
        )
        target = None if style == PHOTO else (painting if named else style, nearest)
        group = data.pictures[style]
        other = art.crop(group[rng.integers(len(group))], settings.side, rng, settings.short_sides)
        text = captions.misspell(text, rng)
        columns.append((square, mask, text, art.STYLES.index(style), target, other))
    squares, masks, texts, styles, targets, others = zip(*columns)
    return Painting(
        photos.to_batch(np.stack(squares)),
        torch.from_numpy(np.stack(masks))[:, None],
        unet.tokens(data.latents.tokenizer, list(texts)),
        torch.from_numpy(rng.uniform(*settings.scales, len(texts))).float(),
        torch.tensor(styles),
        list(targets),
        photos.to_batch(np.stack(others)),
        torch.from_numpy(rng.integers(*STARTS, len(texts))),
        int(rng.choice(STEPS, p=STEP_SHARES)),
    )


def make_batch(settings, data, rng):
    """A `Painting` or a `Keeping` batch. Guidance on crops is not kept: it is learned anew."""
    if rng.random() >= settings.keep_share:
        return painting_batch(settings, data, rng)
    of_cards = rng.random() < settings.card_share
    batch = unet.noised_batch(settings, data.latents, rng, of_cards, wrong=0.5)
    count = len(batch.noisy)
    guided = rng.random(count) < (0.6 if of_cards else 0)
    scales = torch.from_numpy(rng.uniform(*settings.scales, count)).float()
    return Keeping(
        batch.noisy, batch.timesteps, batch.ids, scales, torch.from_numpy(guided).float()
    )


def clean(noisy, noise, timesteps, noise_scheduler):
    """The clean latents (B, C, h, w) that noisy latents hold, if ``noise`` is the noise in them."""
    a = noise_scheduler.alphas_cumprod.to(noisy.device)[timesteps][:, None, None, None]
    return (noisy - (1 - a).sqrt() * noise) / a.sqrt()


def painted(model, z, batch, text, noise_scheduler):
    """Predicted clean latents (B, C, h, w) of the batch, some steps after its start.

    z : latents of the photographs. Only the last of the steps has gradients.
    """
    noisy = noise_scheduler.add_noise(z, torch.randn_like(z), batch.starts)
    guided = torch.ones_like(batch.scales)
    for step in range(batch.steps_before + 1):
        now, then = (batch.starts * (STEPS - k) // STEPS for k in (step, step + 1))
        with torch.set_grad_enabled(step == batch.steps_before):
            noise = model(noisy, now, text, batch.scales, guided).float()
        if step < batch.steps_before:
            noisy = guidance.ddim_step(noisy, noise, now, then, noise_scheduler)
    return clean(noisy, noise, now, noise_scheduler)


def weighted(settings, losses, scales, step):
    """The loss of painting: ``losses`` from `paint_losses`, and the "adversarial" one, each (B,).

    What makes the style counts by the guidance ``scales`` (B,).
    """
    ramp = min(1.0, (step + 1) / ADVERSARIAL_RAMP)
    style = (
        settings.texture_weight * losses["texture"]
        + settings.stroke_weight * losses["strokes"]
        + ramp * settings.adversarial_weight * losses["adversarial"]
    )
    photograph = (
        settings.content_weight * losses["content"]
        + settings.colour_weight * losses["colour"]
        + settings.clipping_weight * losses["clipping"]
    )
    return (scales / USUAL_SCALE * style + photograph).mean()


def textures(features, squares=1):
    """Matrices that describe the textures of features: a dict from names to (B, n, C, C).

    Under the name of a layer in `TEXTURE` lies the Gram matrix of the whole picture, n = 1. Under
    the name of one in `STROKES` with ", squares" are covariances of the channels in n squares, so
    Gram matrices in which colours do not count. ``squares``: how many times the side of a training
    crop goes into that of the pictures.
    """
    made = {}
    for name in TEXTURE:
        n = STROKES.get(name, 1) * squares
        x = features[name].float().permute(0, 2, 3, 1)  # (B, h, w, C)
        x = x.unflatten(2, (n, -1)).unflatten(1, (n, -1)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)  # (B, n * n, pixels of a square, C)
        grams, mean = x.mT @ x / x.shape[2], x.mean(2, keepdim=True)
        made[name] = grams.mean(1, keepdim=True)
        if name in STROKES:
            made[f"{name}, squares"] = grams - mean.mT @ mean
    return made


def texture_losses(batch, found, grams):
    """Distances of textures from those of the style: of whole pictures, and in squares, both (B,).

    Distances are shares of the size of the style's matrices. They are not squared: else a few
    pictures with white walls would decide. A photograph that stays as it is has the distance 0.
    """
    rows = [k for k, key in enumerate(batch.targets) if key is not None]
    nothing = torch.zeros(len(batch.targets), device=batch.faces.device)
    losses = {"texture": nothing, "strokes": nothing}
    if not rows:
        return losses
    for name, matrices in textures({one: found[one][rows] for one in TEXTURE}).items():
        targets = torch.stack([grams[batch.targets[k]][name].to(matrices) for k in rows])
        targets = targets[:, None].expand_as(matrices)  # (R, n, C, C)
        squared = perceptual.gram_distance(matrices.flatten(0, 1), targets.flatten(0, 1))
        distances = (squared + 1e-6).sqrt().unflatten(0, matrices.shape[:2])
        kind, count = "texture", len(TEXTURE)
        if name not in TEXTURE:
            kind, count = "strokes", len(STROKES)
            side = round(distances.shape[1] ** 0.5)
            faces = F.adaptive_avg_pool2d(batch.faces[rows], side).flatten(1)
            distances = distances * (1 - SMOOTH_FACES * faces)
        where = torch.tensor(rows, device=nothing.device)
        losses[kind] = losses[kind].index_add(0, where, distances.mean(1) / count)
    return losses


def paint_losses(settings, y, batch, found, wanted, grams):
    """What is wrong with painted pictures y (B, 3, S, S): a dict of losses, each (B,).

    found, wanted : features of y and of the photographs.
    """
    weights = 1 + settings.face_weight * batch.faces
    content = 0.0
    for name in CONTENT:
        distance = perceptual.feature_distance(found[name], wanted[name])
        rough = F.adaptive_avg_pool2d(weights, distance.shape[-2:])[:, 0]
        content = content + (distance * rough).mean((1, 2)) / len(CONTENT)
    colour = F.avg_pool2d(y - batch.photographs, ROUGH).square().mean(1)
    return {
        **texture_losses(batch, found, grams),
        "content": content,
        "colour": (colour * F.avg_pool2d(weights, ROUGH)[:, 0]).mean((1, 2)),
        "clipping": F.relu(y.abs() - 1).square().mean((1, 2, 3)),
    }


def keep_loss(settings, model, batch, teacher, text, noise_scheduler):
    """Squared distance to the teacher's answers."""
    given = batch.noisy, batch.timesteps, text, batch.scales, batch.guided
    with torch.no_grad():
        wanted = teacher(*given).float()
    losses = (model(*given).float() - wanted).square().mean((1, 2, 3))
    weights = unet.loss_weights(compute_snr(noise_scheduler, batch.timesteps), settings.snr_gamma)
    return (losses * weights).mean()


@torch.no_grad()
def mean_grams(settings, features, pictures, device):
    """`Data.grams`: means of the matrices of all paintings of a style, or of one name."""
    groups = {}
    for picture in pictures:
        if picture.style != PHOTO:
            groups.setdefault(picture.style, []).append(picture)
        if name := captions.painting_of(picture.file):
            groups.setdefault(name, []).append(picture)
    means = {}
    for name, group in tqdm(groups.items(), desc="textures"):
        for short in settings.texture_sides:
            made = []
            for picture in group:
                side = min(short, LONGEST)
                scale = short / min(picture.image.size)
                size = [max(side, round(scale * one)) for one in picture.image.size]
                image = picture.image.resize(size, Image.Resampling.LANCZOS)
                x = photos.to_batch(np.asarray(ImageOps.fit(image, (side, side)))[None])
                found = features(x.to(device))
                made.append(textures(found, max(1, side // settings.side)))
            means[name, short] = {
                layer: torch.cat([one[layer][0] for one in made]).mean(0).cpu() for layer in made[0]
            }
    return means


def with_faces(pictures):
    """`Data.photographs`: the photographs with the faces that `portraits` finds on them."""
    found = training.map_on_all_cores(portraits.find_faces, [p.image for p in pictures], "faces")
    groups = {True: [], False: []}
    for picture, faces in zip(pictures, found):
        groups[picture.is_portrait].append(Photograph(picture, faces))
    return groups


@torch.no_grad()
def measure(settings, model, vae, text_encoder, tokenizer, noise_scheduler):
    """Octave ratio of held-out photographs: as they are, and painted as "van gogh"."""
    held_out = art.load(settings.art_dir, "validation", (PHOTO,), settings.limit or None)
    side = (settings.side,) * 2
    squares = [np.asarray(ImageOps.fit(p.image, side)) for p in held_out[: settings.evaluate]]
    z = training.encode_batches(vae, squares).float()
    count = len(z)
    torch.manual_seed(settings.seed)
    text = text_encoder(unet.tokens(tokenizer, ["van gogh"] * count)).last_hidden_state
    scales, starts = torch.full((count,), USUAL_SCALE), torch.full((count,), 300)
    batch = Painting(*[None] * 3, scales, *[None] * 3, starts, STEPS - 1)
    made = photos.to_uint8(latents.decode(vae, painted(model, z, batch, text, noise_scheduler)))
    return {
        "octave_ratio, photographs": round(np.median([*map(metrics.octave_ratio, squares)]), 3),
        "octave_ratio, painted": round(np.median([*map(metrics.octave_ratio, made)]), 3),
    }


def main(settings):
    """Train the painter, measure it, and save the pipeline in fp16."""
    accelerator = training.accelerator()
    device, precision = accelerator.device, accelerator.mixed_precision
    torch.manual_seed(settings.seed)
    networks = guidance.load_teacher(settings, device)
    vae, tokenizer, text_encoder, old = networks.values()
    vae.to(memory_format=torch.contiguous_format)  # its backward pass in bfloat16 is faster so
    noise_scheduler = unet.scheduler()
    redrawn = unet.load_redrawn(settings, networks, noise_scheduler, precision)
    new = copy.deepcopy(old).train().requires_grad_(True)
    new.register_to_config(_name_or_path="mini-sd/unet")  # do not publish a place on this disk
    model = guidance.Guided(new)
    features = perceptual.VGG16.load(settings.features, {*TEXTURE, *JUDGED, *CONTENT}).to(device)
    features = training.with_autocast(accelerator, features)
    discriminators = FeatureDiscriminators().to(device)
    discriminator_optimizer = torch.optim.AdamW(
        discriminators.parameters(), 4e-4, betas=(0.5, 0.9), weight_decay=0
    )
    discriminators, discriminator_optimizer = accelerator.prepare(
        discriminators, discriminator_optimizer
    )
    judge = training.with_autocast(accelerator, accelerator.unwrap_model(discriminators))
    optimizer = Muon(*split(model), settings.learning_rate, weight_decay=0.0)
    run = training.Run(settings, accelerator)
    model = run.begin(model, optimizer, ema_decay=settings.ema_decay)
    teacher = training.with_autocast(accelerator, guidance.Guided(old))
    encode = training.with_autocast(accelerator, partial(latents.encode, vae))
    pictures, data = unet.load_pictures(settings), None
    if not run.is_over:
        by_style = {style: [p for p in pictures if p.style == style] for style in art.STYLES}
        data = Data(
            with_faces(by_style[PHOTO]),
            by_style,
            mean_grams(settings, features, pictures, device),
            guidance.load_latents(
                settings, networks, pictures, redrawn, noise_scheduler, precision
            ),
        )

    def decode(z):
        with accelerator.autocast():
            return vae.decode(z / vae.config.scaling_factor).sample.float()

    for step, batch in run.batches("painter", make_batch, data):
        torch.manual_seed(step)  # exact resume
        text = text_encoder(batch.ids).last_hidden_state
        if isinstance(batch, Keeping):
            kept = keep_loss(settings, model, batch, teacher, text, noise_scheduler)
            run.descend(settings.keep_weight * kept)
            run.record(step, kept=kept)
            continue
        z = encode(batch.photographs).float()
        y = decode(painted(model, z, batch, text, noise_scheduler))
        with torch.no_grad():
            wanted, real = features(batch.photographs), features(batch.paintings)
        found = features(y)
        losses = paint_losses(settings, y, batch, found, wanted, data.grams)
        losses["adversarial"] = -sum(one.mean((1, 2)) for one in judge(found, batch.styles))
        run.descend(weighted(settings, losses, batch.scales, step))
        discriminator_optimizer.zero_grad()  # the painter's loss also left gradients there
        of_real = discriminators(real, batch.styles)
        of_painted = discriminators({name: found[name].detach() for name in JUDGED}, batch.styles)
        hinge = sum(map(discriminator_loss, of_real, of_painted))
        accelerator.backward(hinge)
        discriminator_optimizer.step()
        discriminator_optimizer.zero_grad()
        figures = {name: loss.mean() for name, loss in losses.items()}
        run.record(step, discriminators=hinge, **figures)
    if not accelerator.is_main_process:
        return
    model, vae = run.averaged(), vae.cpu()
    figures = measure(settings, model, vae, text_encoder.cpu(), tokenizer, noise_scheduler)
    unet.save_pipeline(settings.out, vae, text_encoder, tokenizer, model.network, noise_scheduler)
    training.write_record(settings.record_folder, run, "painter", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
