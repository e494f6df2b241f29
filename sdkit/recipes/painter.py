"""Teach the denoiser to paint: ``python -m sdkit.recipes.painter --art-dir DIR``.

The loss of predicted noise compares numbers of latents one by one. It averages over all ways in
which strokes could run, so what it learns has no strokes. Here the network paints as it does in
image to image: a photograph is noised part of the way, and a few steps follow. One of the clean
pictures that it predicts on this way is decoded, and compared with a painting of the same
photograph. A program draws that painting (`strokes`), in the colours of a real one.

The strokes of both need not lie at the same places. So what is compared are means and covariances
of VGG features (Gatys et al. 2016), in small windows: there the strokes should have the same
direction, width and colours. The latents should agree too, which keeps the forms.

To train a diffusion model by a loss on its predicted pictures is reward fine-tuning (ReFL, Xu et
al. 2023). The guidance scale that the network is told sets how far the photograph turns into the
painting. On the other steps the network learns to answer as before, so that it forgets nothing.
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

from sdkit.diffusion import latents
from sdkit.evaluate import metrics
from sdkit.pictures import art, photos, portraits
from sdkit.recipes import captions, guidance, perceptual, strokes, training, unet
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import command_line

# layers whose means and covariances are compared, and in windows of how many px
WINDOWS = {"relu1_1": 32, "relu2_1": 64, "relu3_1": 128}
ROUGH = 8  # px; means over squares of this side are the rough colours
USUAL_SCALE = 7.0  # guidance scale at which the photograph becomes the whole painting
FACES_KEEP = 0.3  # share of the photograph that faces keep then
SOFT_EDGE = 8  # px; half the width of the soft edge of faces
STARTS = (100, 450)  # timesteps at which painting begins
STEPS = 3  # steps of painting
STEP_SHARES = (0.25, 0.25, 0.5)  # how often each of them is learned
PORTRAITS = 0.65  # share of portraits among the photographs
PHOTO = "a photo"
# How often each style is asked for. A painting by name is drawn from those of its painter.
STYLE_SHARES = {
    "van gogh": 0.32,
    "a painting by name": 0.30,
    "ukiyo-e": 0.10,
    "impressionism": 0.12,
    "oil painting": 0.10,
    PHOTO: 0.06,
}
OTHER_PAINTERS = {"the great wave": "ukiyo-e", "water lilies": "impressionism"}


@dataclass(frozen=True)
class Settings(guidance.StudentSettings):
    """Settings of the training of the painter."""

    runs: Path = Path("runs/painter")
    # folder with the weights of the VGG16
    features: Path = Path("../shared/features")
    steps: int = 2500
    # photographs in a batch
    photographs: int = 3
    # side in px of a crop of a photograph
    side: int = 256
    # share of steps that keep what the network knows
    keep_share: float = 0.5
    # crops in a batch of these
    batch_size: int = 12
    # of Muon; AdamW takes a quarter
    learning_rate: float = 1.2e-3
    scales: tuple[int, ...] = (1, 9)
    # short sides in px of the scaled photographs that crops are taken from
    short_sides: tuple[int, ...] = (256, 768)
    # weight of the means and covariances of features
    texture_weight: float = 1.0
    # weight of the squared distance of latents
    latent_weight: float = 0.3
    # how much more a face counts in it than the rest
    face_weight: float = 6.0
    # weight of the rough colours
    colour_weight: float = 4.0
    # weight of what lies beyond black and white
    clipping_weight: float = 2.0
    # weight of the answers as before, on the other steps
    keep_weight: float = 8.0


class Painting(NamedTuple):
    """A batch of photographs that should become paintings."""

    photographs: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    paintings: torch.Tensor  # (B, 3, S, S) in [-1, 1], what they should become
    faces: torch.Tensor  # (B, 1, S, S) 1 in boxes of faces, else 0
    ids: torch.Tensor  # (B, L) token numbers of the prompts
    scales: torch.Tensor  # (B,) guidance scales
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
    palettes: dict  # style or painting by name -> list of `strokes.Palette`
    latents: unet.Data


def crop(photograph, side, short_sides, rng):
    """A square of a photograph as uint8 (S, S, 3), and its faces (S, S).

    Half of the squares are mirrored. Of a photograph with a face, most show at least a part of it.
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
    return np.ascontiguousarray(square), mask


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
        square, mask = crop(photograph, settings.side, settings.short_sides, rng)
        style, painting = choose_style(rng)
        text = captions.caption(style, is_portrait, rng, painting)
        named = painting and any(name in text for name in captions.PAINTINGS[painting].names)
        painted_square, name = square, painting if named else style
        if name != PHOTO:
            palette = strokes.nearest(data.palettes[name], square)
            painted_square = strokes.paint(square, strokes.BRUSHES[name], palette, rng)
        columns.append((square, painted_square, mask, captions.misspell(text, rng)))
    squares, paintings, masks, texts = zip(*columns)
    return Painting(
        photos.to_batch(np.stack(squares)),
        photos.to_batch(np.stack(paintings)),
        torch.from_numpy(np.stack(masks))[:, None],
        unet.tokens(data.latents.tokenizer, list(texts)),
        torch.from_numpy(rng.uniform(*settings.scales, len(texts))).float(),
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


def part_of_the_way(batch):
    """What the photographs should become: the more painting, the higher the guidance scale.

    Faces get less of it, so that eyes and glasses stay.
    """
    width = 2 * SOFT_EDGE + 1
    faces = F.avg_pool2d(batch.faces, width, 1, SOFT_EDGE, count_include_pad=False)
    share = (batch.scales / USUAL_SCALE)[:, None, None, None] * (1 - FACES_KEEP * faces)
    return (batch.photographs + share * (batch.paintings - batch.photographs)).clamp(-1, 1)


def moments(features, side):
    """Means (N, C) and covariances (N, C, C) of features (B, C, h, w) in windows of side^2."""
    channels = features.shape[1]
    x = features.float().unfold(2, side, side).unfold(3, side, side)  # (B, C, rows, columns, ...)
    x = x.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, side * side)
    mean = x.mean(2, keepdim=True)
    return mean[..., 0], (x - mean) @ (x - mean).mT / side**2


def texture_distance(found, wanted):
    """Mean distance of the moments of features, as a share of the ``wanted`` ones.

    found, wanted : dicts with the layers in `WINDOWS`. Flat windows do not count more than others.
    """
    total = 0.0
    for name, window in WINDOWS.items():
        width = max(one.shape[-1] for one in found.values())
        side = window * found[name].shape[-1] // width
        for one, other in zip(moments(found[name], side), moments(wanted[name], side)):
            size = other.abs().flatten(1).sum(1)
            distance = (one - other).abs().flatten(1).sum(1) / (size + 0.1 * size.mean())
            total = total + distance.mean() / len(WINDOWS)
    return total


def paint_losses(settings, z, y, batch, z_wanted, y_wanted, features):
    """What is wrong with painted latents z and the decoded pictures y: a dict of losses.

    All are shifted by the same random way first: VGG16 looks at a picture on a grid, and without
    the shift lines along the grid are learned.
    """
    side = max(WINDOWS.values())
    shift = torch.randint(0, side, (2,)).tolist()
    moved, moved_wanted = (torch.roll(one, shift, (2, 3)) for one in (y, y_wanted))
    with torch.no_grad():
        wanted = features(moved_wanted)
    weights = 1 + settings.face_weight * F.adaptive_avg_pool2d(batch.faces, z.shape[-2:])
    return {
        "texture": texture_distance(features(moved), wanted),
        "latents": ((z - z_wanted).square() * weights).mean(),
        "colour": F.avg_pool2d(y - y_wanted, ROUGH).square().mean(),
        "clipping": F.relu(y.abs() - 1).square().mean(),
    }


def weighted(settings, losses):
    """The loss of painting, of the ``losses`` from `paint_losses`."""
    return (
        settings.texture_weight * losses["texture"]
        + settings.latent_weight * losses["latents"]
        + settings.colour_weight * losses["colour"]
        + settings.clipping_weight * losses["clipping"]
    )


def keep_loss(settings, model, batch, teacher, text, noise_scheduler):
    """Squared distance to the teacher's answers."""
    given = batch.noisy, batch.timesteps, text, batch.scales, batch.guided
    with torch.no_grad():
        wanted = teacher(*given).float()
    losses = (model(*given).float() - wanted).square().mean((1, 2, 3))
    weights = unet.loss_weights(compute_snr(noise_scheduler, batch.timesteps), settings.snr_gamma)
    return (losses * weights).mean()


def palettes(pictures):
    """`Data.palettes`, of training pictures."""
    made = {}
    for picture in pictures:
        palette = strokes.palette_of(np.asarray(picture.image))
        for name in {picture.style, captions.painting_of(picture.file)} - {PHOTO, None}:
            made.setdefault(name, []).append(palette)
    return made


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
    scales, starts = torch.full((count,), USUAL_SCALE), torch.full((count,), 200)
    batch = Painting(*[None] * 4, scales, starts, STEPS - 1)
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
    features = perceptual.VGG16.load(settings.features, set(WINDOWS)).to(device)
    features = training.with_autocast(accelerator, features)
    optimizer = Muon(*split(model), settings.learning_rate, weight_decay=0.0)
    run = training.Run(settings, accelerator)
    model = run.begin(model, optimizer, ema_decay=settings.ema_decay)
    teacher = training.with_autocast(accelerator, guidance.Guided(old))
    encode = training.with_autocast(accelerator, partial(latents.encode, vae))
    pictures, data = unet.load_pictures(settings), None
    if not run.is_over:
        data = Data(
            with_faces([one for one in pictures if one.style == PHOTO]),
            palettes(pictures),
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
        y_wanted = part_of_the_way(batch)
        z, z_wanted = encode(torch.cat([batch.photographs, y_wanted])).float().chunk(2)
        made = painted(model, z, batch, text, noise_scheduler)
        losses = paint_losses(settings, made, decode(made), batch, z_wanted, y_wanted, features)
        run.descend(weighted(settings, losses))
        run.record(step, **losses)
    if not accelerator.is_main_process:
        return
    model, vae = run.averaged(), vae.cpu()
    figures = measure(settings, model, vae, text_encoder.cpu(), tokenizer, noise_scheduler)
    unet.save_pipeline(settings.out, vae, text_encoder, tokenizer, model.network, noise_scheduler)
    training.write_record(settings.record_folder, run, "painter", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
