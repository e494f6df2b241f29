"""Teach the denoiser to paint: ``python -m sdkit.recipes.painter --art-dir DIR``.

A network that must guess where the strokes lie learns their mean, which has no strokes. So here the
noise decides where they lie. A program draws the painting of a photograph (`strokes`), in the
colours of a real one. Everything random in it comes from the noise that is added to the photograph.
The network sees this noise, so it can learn which strokes it stands for.

The network paints as it does in image to image: a photograph is noised part of the way, and a few
steps follow. The clean latents that it predicts on this way are compared with those of the
painting. The network is too small to foresee every stroke. So some of the latents are decoded, too,
and means and covariances of VGG features (Gatys et al. 2016) are compared in small windows: there
the strokes should have the same direction, width and colours, wherever they lie.

To train a diffusion model by a loss on its predicted pictures is reward fine-tuning (ReFL, Xu et
al. 2023). The guidance scale that the network is told sets how far the photograph turns into the
painting. On the other steps the network learns to answer as before, so that it forgets nothing.
"""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler
from diffusers.training_utils import compute_snr
from PIL import Image, ImageOps
from scipy.ndimage import uniform_filter
from transformers import CLIPTextModel, CLIPTokenizer

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
FACES_KEEP = 0.5  # share of the photograph that faces keep then
SOFT_EDGE = 8  # px; half the width of the soft edge of faces
STARTS = (100, 450)  # timesteps at which painting begins
STEPS = 3  # steps of painting
STEP_SHARES = (0.6, 0.15, 0.25)  # how often each of them is learned
PORTRAITS = 0.65  # share of portraits among the photographs
USUAL = 0.5  # share of pairs that are made for the usual guidance scale
LATENT = 4  # px; side of a latent pixel
NEIGHBOURS = 5  # latent pixels; side of the square whose mean is not a stroke
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
    steps: int = 9000
    # photographs with their paintings that are drawn before the training
    pairs: int = 1500
    # side in px of these
    side: int = 256
    # squares of pairs in a batch
    photographs: int = 6
    # side in px of the squares, at most that of the pairs
    crop: int = 192
    # how many of the squares are decoded and compared by features
    decoded: int = 1
    # share of the steps after which they are; before that, the network learns which strokes belong
    # to which noise
    decoded_from: float = 0.35
    # share of steps that keep what the network knows
    keep_share: float = 0.3
    # crops in a batch of these
    batch_size: int = 12
    # of Muon; AdamW takes a quarter
    learning_rate: float = 2e-3
    scales: tuple[int, ...] = (1, 9)
    # short sides in px of the scaled photographs that pairs are taken from
    short_sides: tuple[int, ...] = (256, 768)
    # weight of the means and covariances of features
    texture_weight: float = 2.0
    # weight of the distance of latents
    latents_weight: float = 1.0
    # how much more the strokes count in it than the broad colours
    fine_weight: float = 2.0
    # how much more a face counts in it than the rest
    face_weight: float = 2.0
    # weight of the rough colours
    colour_weight: float = 4.0
    # weight of what lies beyond black and white
    clipping_weight: float = 2.0
    # weight of the answers as before, on the other steps
    keep_weight: float = 8.0


class Pair(NamedTuple):
    """A photograph, and what it should become."""

    wanted: np.ndarray  # uint8 (S, S, 3)
    numbers: np.ndarray  # float32 (4, S / 8, S / 8), those of `strokes.grains`
    faces: np.ndarray  # float32 (S, S), 1 in boxes of faces, else 0
    style: str
    painting: str | None  # a painting by name
    is_portrait: bool
    scale: float  # guidance scale


class Painting(NamedTuple):
    """A batch of photographs that should become paintings."""

    z: torch.Tensor  # (B, C, h, w), the photographs
    z_wanted: torch.Tensor  # (B, C, h, w), what they should become
    y_wanted: torch.Tensor  # (D, 3, S, S) in [-1, 1], the first D of them as pictures
    faces: torch.Tensor  # (B, 1, h, w) share of faces
    noise: torch.Tensor  # (B, C, h, w), decides the strokes
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
    faces: list[tuple[int, int, int, int]]


Photographs = dict[bool, list[Photograph]]  # by whether they are portraits
Palettes = dict[str, list[strokes.Palette]]  # by style or painting by name
Features = dict[str, torch.Tensor]  # of VGG16, by layer
Losses = dict[str, torch.Tensor]
Denoise = Callable[..., torch.Tensor]  # like `guidance.Guided`


class Data(NamedTuple):
    """What batches are made from."""

    pairs: list[Pair]
    encoded: torch.Tensor  # float16 (N, 2, C, h, w), their photographs and what is wanted
    latents: unet.Data


def crop(
    photograph: Photograph, side: int, short_sides: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A square of a photograph as uint8 (S, S, 3), and its faces (S, S).

    Half of the squares are mirrored. Of a photograph with a face, most show at least a part of it.
    """
    image, faces = photograph.picture.image, np.array(photograph.faces, float).reshape(-1, 4)
    native, (low, high) = min(image.size), short_sides
    logs = np.log(low), np.log(max(low, min(high, 1.2 * native)))
    short = max(side, np.exp(rng.uniform(*logs)))
    window = side * native / short
    free = np.array(image.size) - window
    corner = rng.uniform(0, free)
    if len(faces) and rng.random() < 0.7:
        left, top, right, bottom = faces[rng.integers(len(faces))]
        middle = np.array([left + right, top + bottom]) / 2
        corner = (middle - window * rng.uniform(0.25, 0.75, 2)).clip(0, free)
    part = image.resize((side, side), Image.Resampling.BICUBIC, box=(*corner, *corner + window))
    square, mask = np.asarray(part), np.zeros((side, side), np.float32)
    for box in ((faces - np.tile(corner, 2)) * side / window).round().clip(0, side).astype(int):
        left, top, right, bottom = box
        mask[top:bottom, left:right] = 1
    if rng.random() < 0.5:
        square, mask = square[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(square), np.ascontiguousarray(mask)


def choose_style(rng: np.random.Generator) -> tuple[str, str | None]:
    """A style of `art.STYLES`, and the painting by name that is asked for or None."""
    names = list(STYLE_SHARES)
    name = names[rng.choice(len(names), p=list(STYLE_SHARES.values()))]
    if name in art.STYLES:
        return name, None
    painting = list(captions.PAINTINGS)[rng.integers(len(captions.PAINTINGS))]
    return OTHER_PAINTERS.get(painting, "van gogh"), painting


def with_soft_edges(faces: np.ndarray) -> np.ndarray:
    """A mask (S, S) of faces with edges that are 2 `SOFT_EDGE` px wide."""
    return uniform_filter(faces, 2 * SOFT_EDGE + 1)


def part_of_the_way(
    photograph: np.ndarray, painting: np.ndarray, faces: np.ndarray, scale: float
) -> np.ndarray:
    """What a photograph should become: the more painting, the higher the guidance scale.

    Faces get less of it, so that eyes and glasses stay. Pictures: uint8 (S, S, 3); faces: (S, S)
    in [0, 1], 1 inside faces.
    """
    share = scale / USUAL_SCALE * (1 - FACES_KEEP * faces[..., None])
    made = photograph + share * (painting.astype(np.float32) - photograph)
    return made.round().clip(0, 255).astype(np.uint8)


class Job(NamedTuple):
    """What `draw_pair` needs."""

    settings: Settings
    photograph: Photograph
    palettes: Palettes  # style or painting by name -> its palettes
    rng: np.random.Generator


def draw_pair(job: Job) -> tuple[np.ndarray, Pair]:
    """A square of a photograph, uint8 (S, S, 3), and its `Pair`, of a random style."""
    settings, photograph, palettes, rng = job
    square, faces = crop(photograph, settings.side, settings.short_sides, rng)
    style, painting = choose_style(rng)
    cells = settings.side // strokes.GRAIN
    numbers = rng.standard_normal((cells, cells, strokes.GRAINS)).astype(np.float32)
    scale = USUAL_SCALE if rng.random() < USUAL else float(rng.uniform(*settings.scales))
    painted_square, name = square, painting or style
    soft = with_soft_edges(faces)
    if name != PHOTO:
        # a trial with a limit may lack the painting
        palette = strokes.nearest(palettes.get(name) or palettes[style], square)
        painted_square = strokes.paint(square, strokes.BRUSHES[name], palette, numbers, soft)
    wanted = part_of_the_way(square, painted_square, soft, scale)
    is_portrait = photograph.picture.is_portrait
    numbers = np.ascontiguousarray(numbers.transpose(2, 0, 1))
    return square, Pair(wanted, numbers, faces, style, painting, is_portrait, scale)


def draw_pairs(
    settings: Settings,
    photographs: Photographs,
    palettes: Palettes,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[Pair]]:
    """Squares of random photographs, uint8 (N, S, S, 3), and their `Pair`s."""
    jobs = []
    for own in rng.spawn(settings.pairs):
        group = photographs[own.random() < PORTRAITS]
        jobs.append(Job(settings, group[own.integers(len(group))], palettes, own))
    squares, made = zip(*training.map_on_all_cores(draw_pair, jobs, "paintings"))
    return np.stack(squares), list(made)


def caption_of(pair: Pair, rng: np.random.Generator) -> str:
    """A caption that asks for the style of a pair, or for its painting by name."""
    while True:
        text = captions.caption(pair.style, pair.is_portrait, rng, pair.painting)
        names = captions.PAINTINGS[pair.painting].names if pair.painting else [""]
        if any(name in text for name in names):  # some captions leave out the painting's name
            return captions.misspell(text, rng)


def cut(x: torch.Tensor, pixel: int, corner: np.ndarray, side: int) -> torch.Tensor:
    """A square of a picture (..., H, W), whose pixels are ``pixel`` px wide.

    corner, side : of the square, in grains.
    """
    scale = strokes.GRAIN // pixel
    top, left = corner * scale
    return x[..., top : top + side * scale, left : left + side * scale]


def painting_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Painting:
    """A `Painting` batch of squares of random pairs. A square begins where a grain begins."""
    side, columns, texts = settings.crop // strokes.GRAIN, [], []
    for number in rng.integers(len(data.pairs), size=settings.photographs):
        pair = data.pairs[number]
        corner = rng.integers(settings.side // strokes.GRAIN - side + 1, size=2)
        z, z_wanted = cut(data.encoded[number], LATENT, corner, side).float()
        wanted = cut(photos.to_batch(pair.wanted[None])[0], 1, corner, side)
        faces = cut(torch.from_numpy(pair.faces)[None], 1, corner, side)
        numbers = cut(torch.from_numpy(pair.numbers), strokes.GRAIN, corner, side)
        columns.append((z, z_wanted, wanted, faces, numbers, torch.tensor(pair.scale)))
        texts.append(caption_of(pair, rng))
    z, z_wanted, wanted, faces, numbers, scales = map(torch.stack, zip(*columns))
    noise = torch.randn(z.shape, generator=training.torch_rng(rng))
    return Painting(
        z,
        z_wanted,
        wanted[: settings.decoded],
        F.avg_pool2d(faces, LATENT),
        strokes.with_grains(noise, numbers),
        unet.tokens(data.latents.tokenizer, texts),
        scales.float(),
        torch.from_numpy(rng.integers(*STARTS, len(texts))),
        int(rng.choice(STEPS, p=STEP_SHARES)),
    )


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Painting | Keeping:
    """A `Painting` or a `Keeping` batch. Guidance on crops is not kept: it is learned anew."""
    if rng.random() >= settings.keep_share:
        return painting_batch(settings, data, rng)
    of_cards = rng.random() < settings.card_share
    batch = unet.noised_batch(settings, data.latents, rng, of_cards, wrong=0.5)
    count = len(batch.noisy)
    guided = rng.random(count) < (0.6 if of_cards else 0)
    low, high = settings.scales
    scales = torch.from_numpy(rng.uniform(low, high, count)).float()
    return Keeping(
        batch.noisy, batch.timesteps, batch.ids, scales, torch.from_numpy(guided).float()
    )


def clean(
    noisy: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    noise_scheduler: DDIMScheduler,
) -> torch.Tensor:
    """The clean latents (B, C, h, w) that noisy latents hold, if ``noise`` is the noise in them."""
    a = noise_scheduler.alphas_cumprod.to(noisy.device)[timesteps][:, None, None, None]
    return (noisy - (1 - a).sqrt() * noise) / a.sqrt()


def painted(
    model: Denoise, batch: Painting, text: torch.Tensor, noise_scheduler: DDIMScheduler
) -> torch.Tensor:
    """Predicted clean latents (B, C, h, w) of the batch, some steps after its start.

    Only the last of the steps has gradients.
    """
    noisy = noise_scheduler.add_noise(batch.z, batch.noise, batch.starts)
    guided = torch.ones_like(batch.scales)
    for step in range(batch.steps_before + 1):
        now, then = (batch.starts * (STEPS - k) // STEPS for k in (step, step + 1))
        with torch.set_grad_enabled(step == batch.steps_before):
            noise = model(noisy, now, text, batch.scales, guided).float()
        if step < batch.steps_before:
            noisy = guidance.ddim_step(noisy, noise, now, then, noise_scheduler)
    return clean(noisy, noise, now, noise_scheduler)


def moments(features: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Means (N, C) and covariances (N, C, C) of features (B, C, h, w) in windows of side^2."""
    channels = features.shape[1]
    x = features.float().unfold(2, side, side).unfold(3, side, side)  # (B, C, rows, columns, ...)
    x = x.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, side * side)
    mean = x.mean(2, keepdim=True)
    return mean[..., 0], (x - mean) @ (x - mean).mT / side**2


def texture_distance(found: Features, wanted: Features) -> torch.Tensor:
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


def latent_loss(settings: Settings, z: torch.Tensor, batch: Painting) -> torch.Tensor:
    """Squared distance of painted latents z (B, C, h, w) from what is wanted.

    What differs from the mean of its neighbours (the strokes) counts more than broad colours.
    """
    error = z - batch.z_wanted
    fine = error - F.avg_pool2d(error, NEIGHBOURS, 1, NEIGHBOURS // 2, count_include_pad=False)
    weights = 1 + settings.face_weight * batch.faces
    return ((error.square() + settings.fine_weight * fine.square()) * weights).mean()


def picture_losses(
    y: torch.Tensor, y_wanted: torch.Tensor, features: Callable[[torch.Tensor], Features]
) -> Losses:
    """What is wrong with decoded pictures y (B, 3, S, S): a dict of losses.

    All pictures are shifted by the same random way first: VGG16 looks at a picture on a grid, and
    without the shift lines along the grid are learned.
    """
    side = max(WINDOWS.values())
    shift = torch.randint(0, side, (2,)).tolist()
    moved, moved_wanted = (torch.roll(one, shift, (2, 3)) for one in (y, y_wanted))
    with torch.no_grad():
        wanted = features(moved_wanted)
    return {
        "texture": texture_distance(features(moved), wanted),
        "colour": F.avg_pool2d(y - y_wanted, ROUGH).square().mean(),
        "clipping": F.relu(y.abs() - 1).square().mean(),
    }


def weighted(settings: Settings, losses: Losses) -> torch.Tensor:
    """The sum of losses, each with its weight in the settings."""
    return torch.stack(
        [getattr(settings, f"{name}_weight") * loss for name, loss in losses.items()]
    ).sum()


def keep_loss(
    settings: Settings,
    model: Denoise,
    batch: Keeping,
    teacher: Denoise,
    text: torch.Tensor,
    noise_scheduler: DDIMScheduler,
) -> torch.Tensor:
    """Squared distance to the teacher's answers."""
    given = batch.noisy, batch.timesteps, text, batch.scales, batch.guided
    with torch.no_grad():
        wanted = teacher(*given).float()
    losses = (model(*given).float() - wanted).square().mean((1, 2, 3))
    weights = unet.loss_weights(compute_snr(noise_scheduler, batch.timesteps), settings.snr_gamma)
    return (losses * weights).mean()


def palettes(pictures: Sequence[art.Picture]) -> Palettes:
    """The palettes of training pictures."""
    made: Palettes = {}
    for picture in pictures:
        palette = strokes.palette_of(np.asarray(picture.image))
        for name in (picture.style, captions.painting_of(picture.file)):
            if name and name != PHOTO:
                made.setdefault(name, []).append(palette)
    return made


def with_faces(pictures: Sequence[art.Picture]) -> Photographs:
    """The photographs with the faces that `portraits` finds on them."""
    found = training.map_on_all_cores(portraits.find_faces, [p.image for p in pictures], "faces")
    groups: Photographs = {True: [], False: []}
    for picture, faces in zip(pictures, found):
        groups[picture.is_portrait].append(Photograph(picture, faces))
    return groups


@torch.no_grad()
def measure(
    settings: Settings,
    model: Denoise,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    noise_scheduler: DDIMScheduler,
) -> dict[str, float]:
    """Octave ratio of held-out photographs: as they are, and painted as "van gogh"."""
    held_out = art.load(settings.art_dir, "validation", (PHOTO,), settings.limit or None)
    side = (settings.side,) * 2
    squares = [np.asarray(ImageOps.fit(p.image, side)) for p in held_out[: settings.evaluate]]
    z = training.encode_batches(vae, squares).float()
    count = len(z)
    text = text_encoder(unet.tokens(tokenizer, ["van gogh"] * count)).last_hidden_state
    scales, starts = torch.full((count,), USUAL_SCALE), torch.full((count,), 200)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(settings.seed))
    batch = Painting(z, None, None, None, noise, None, scales, starts, STEPS - 1)
    made = photos.to_uint8(latents.decode(vae, painted(model, batch, text, noise_scheduler)))
    return {
        "octave_ratio, photographs": round(np.median([*map(metrics.octave_ratio, squares)]), 3),
        "octave_ratio, painted": round(np.median([*map(metrics.octave_ratio, made)]), 3),
    }


def prepare(
    settings: Settings,
    networks: dict[str, Any],
    pictures: Sequence[art.Picture],
    redrawn: unet.CardSet | None,
    noise_scheduler: DDIMScheduler,
    precision: str,
) -> Data:
    """`Data`: pairs are drawn, and everything is encoded."""
    rng = training.rng(settings.seed, training.PREPARING + 2)
    photographs = with_faces([one for one in pictures if one.style == PHOTO])
    squares, made = draw_pairs(settings, photographs, palettes(pictures), rng)
    wanted = np.stack([pair.wanted for pair in made])
    encoded = [
        training.encode_batches(networks["vae"], one, precision) for one in (squares, wanted)
    ]
    known = guidance.load_latents(settings, networks, pictures, redrawn, noise_scheduler, precision)
    return Data(made, torch.stack(encoded, 1), known)


def main(settings: Settings) -> None:
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
    features = perceptual.VGG16.load(settings.features, [*WINDOWS]).to(device)
    features = training.with_autocast(accelerator, features)
    optimizer = Muon(*split(model), settings.learning_rate, weight_decay=0.0)
    run = training.Run(settings, accelerator)
    model = run.begin(model, optimizer, ema_decay=settings.ema_decay)
    teacher = training.with_autocast(accelerator, guidance.Guided(old))
    pictures, data = unet.load_pictures(settings), None
    if not run.is_over:
        data = prepare(settings, networks, pictures, redrawn, noise_scheduler, precision)

    def decode(z: torch.Tensor) -> torch.Tensor:
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
        made = painted(model, batch, text, noise_scheduler)
        losses = {"latents": latent_loss(settings, made, batch)}
        if step >= settings.decoded_from * settings.steps:
            losses |= picture_losses(decode(made[: settings.decoded]), batch.y_wanted, features)
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
