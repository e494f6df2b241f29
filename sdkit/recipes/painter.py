"""Teach the denoiser to paint: ``python -m sdkit.recipes.painter --art-dir DIR``.

The loss of predicted noise compares numbers of latents one by one. It averages over all ways in
which strokes could run, so it does not see whether there are strokes. Here the network paints as it
does in image to image: a photograph is noised part of the way, and a few steps follow. One of the
clean pictures that it predicts on this way is decoded, and compared by VGG features:

* with one painting of the style, the one whose colours are nearest. A mean over many paintings is
  the texture of none of them. The means and covariances of the features should agree, also those of
  faces alone; and each patch should look like some patch of the painting, and the other way round
  (relaxed earth mover's distance). This is the style loss of STROTSS (Kolkin et al. 2019).
* with the photograph: deeper features (Gatys et al. 2016), and the rough colours. Faces count more.

To train a diffusion model by a loss on its predicted pictures is reward fine-tuning (ReFL, Xu et
al. 2023). The guidance scale that the network is told sets how much the style counts. On the other
steps the network learns to answer as before, so that it forgets nothing.
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
from tqdm.auto import tqdm

from sdkit.diffusion import latents
from sdkit.evaluate import metrics
from sdkit.pictures import art, photos, portraits
from sdkit.recipes import captions, guidance, perceptual, training, unet
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import command_line

# layers whose means and covariances are compared with those of a painting
TEXTURE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
PATCHES = TEXTURE[1:]  # layers whose features are compared point by point
CONTENT = ("relu3_3", "relu4_1")  # layers that are compared place by place
POINTS = 1024  # places in a picture whose features are compared with those of a painting
SHIFT = 16  # px
STROKES = 1.5  # so much larger than the photographs are the paintings that they are compared with
SMALL_FACE = 0.03  # share of a crop; smaller faces have no statistics of their own
ROUGH = 8  # px; means over squares of this side are the rough colours
USUAL_SCALE = 5.0  # guidance scale at which the style has its whole weight
STARTS = (100, 450)  # timesteps at which painting begins
STEPS = 3  # steps of painting
STEP_SHARES = (0.25, 0.25, 0.5)  # how often each of them is learned
PORTRAITS = 0.65  # share of portraits among the photographs
PHOTO = "a photo"
# How often each style is asked for. A painting by name is drawn from those of its painter.
STYLE_SHARES = {
    "van gogh": 0.40,
    "a painting by name": 0.18,
    "ukiyo-e": 0.12,
    "impressionism": 0.12,
    "oil painting": 0.10,
    PHOTO: 0.08,
}
OTHER_PAINTERS = {"the great wave": "ukiyo-e", "water lilies": "impressionism"}
# The paintings of Van Gogh whose strokes are the clearest; other styles learn from all of theirs.
CLEAR_STROKES = (
    "self-portrait-1",
    "vangogh-starry-night",
    "starry-night-over-the-rhone",
    "the-mulberry-tree",
    "olive",
    "wheatfield-with-crows",
    "the-church-in-auvers",
    "thatched-cottages-at-cordeville",
    "wheat-field-with-sheaves-and-reaper",
    "sunset-at-wheat-field",
    "vangogh-irises",
    "poppy-field",
    "daubigny-s-garden",
)
MOST_EXAMPLES = 16  # paintings of one style


@dataclass(frozen=True)
class Settings(guidance.StudentSettings):
    """Settings of the training of the painter."""

    runs: Path = Path("runs/painter")
    # folder with the weights of the VGG16
    features: Path = Path("../shared/features")
    steps: int = 1400
    # photographs in a batch
    photographs: int = 3
    # side in px of a crop of a photograph or painting
    side: int = 256
    # share of steps that keep what the network knows
    keep_share: float = 0.35
    # crops in a batch of these
    batch_size: int = 12
    # of Muon; AdamW takes a quarter
    learning_rate: float = 1.2e-3
    scales: tuple[int, ...] = (1, 9)
    # short sides in px of the scaled photographs that crops are taken from
    short_sides: tuple[int, ...] = (256, 768)
    # short sides in px at which paintings are looked at; that which is nearest to `STROKES` times
    # the short side of the photograph is asked for
    example_sides: tuple[int, ...] = (416, 768)
    # weight of the means and covariances of features
    texture_weight: float = 1.2
    # weight of the relaxed earth mover's distance
    patch_weight: float = 3.2
    # weight of the deeper features
    content_weight: float = 0.4
    # weight of the rough colours
    colour_weight: float = 6.0
    # how much more a face counts than the rest, in the two above
    face_weight: float = 8.0
    # weight of what lies beyond black and white
    clipping_weight: float = 2.0
    # weight of the answers as before, on the other steps
    keep_weight: float = 8.0


class Painting(NamedTuple):
    """A batch of photographs that should become paintings."""

    photographs: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    faces: torch.Tensor  # (B, 1, S, S) 1 in boxes of faces, else 0
    ids: torch.Tensor  # (B, L) token numbers of the prompts
    scales: torch.Tensor  # (B,) guidance scales
    examples: list  # of B `Example`s of the style, None for a photograph that stays as it is
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


class Example(NamedTuple):
    """What is known of a painting at one scale."""

    colours: np.ndarray  # see `colours_of`
    whole: dict  # layer in `TEXTURE` -> mean (C,) and covariance (C, C) of the features
    face: dict  # the same of the middle of a portrait, where the face is; else as ``whole``
    points: dict  # layer in `PATCHES` -> features (N, C) at random places, the same in all layers


class Data(NamedTuple):
    """What batches are made from."""

    photographs: dict  # whether it is a portrait -> list of `Photograph`
    # (style or painting by name, whether it is a portrait, short side) -> list of `Example`
    examples: dict
    latents: unet.Data


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


def colours_of(square):
    """Means and standard deviations (6,) of the rough colours of a picture, uint8 (H, W, 3)."""
    rough = F.avg_pool2d(photos.to_batch(square[None]), ROUGH)[0].flatten(1).numpy()
    return np.concatenate([rough.mean(1), rough.std(1)])


def nearest_example(data, name, is_portrait, side, square):
    """The `Example` whose colours are nearest to those of a photograph, uint8 (S, S, 3).

    name : style or painting by name. For a portrait, portraits are looked at first.
    """
    groups = (data.examples.get((name, one, side)) for one in (is_portrait, not is_portrait))
    colours = colours_of(square)
    return min(next(filter(None, groups)), key=lambda one: np.square(one.colours - colours).sum())


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
        named = painting and any(name in text for name in captions.PAINTINGS[painting].names)
        example = None
        if style != PHOTO:
            side = min(settings.example_sides, key=lambda one: abs(np.log(STROKES * short / one)))
            name = painting if named else style
            example = nearest_example(data, name, is_portrait, side, square)
        columns.append((square, mask, captions.misspell(text, rng), example))
    squares, masks, texts, examples = zip(*columns)
    return Painting(
        photos.to_batch(np.stack(squares)),
        torch.from_numpy(np.stack(masks))[:, None],
        unet.tokens(data.latents.tokenizer, list(texts)),
        torch.from_numpy(rng.uniform(*settings.scales, len(texts))).float(),
        list(examples),
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


def shifted(y, batch):
    """Painted pictures and the batch without a random part of `SHIFT` px of their margins.

    VGG16 looks at a picture on a grid. Without the shift, lines along the grid are learned.
    """
    top, left = torch.randint(0, SHIFT + 1, (2,)).tolist()
    height, width = (side - SHIFT for side in y.shape[-2:])
    y, photographs, faces = (
        one[..., top : top + height, left : left + width]
        for one in (y, batch.photographs, batch.faces)
    )
    return y, batch._replace(photographs=photographs, faces=faces)


def weighted(settings, losses, scales):
    """The loss of painting, of the ``losses`` from `paint_losses`.

    What makes the style counts by the guidance ``scales`` (B,).
    """
    style = settings.texture_weight * losses["texture"] + settings.patch_weight * losses["patches"]
    photograph = (
        settings.content_weight * losses["content"]
        + settings.colour_weight * losses["colour"]
        + settings.clipping_weight * losses["clipping"]
    )
    return (scales / USUAL_SCALE * style + photograph).mean()


def moments(features, weights=None):
    """Mean (B, C) and covariance (B, C, C) of features (B, C, h, w).

    weights : (B, 1, H, W), how much each place counts; None for all alike.
    """
    x = features.float().permute(0, 2, 3, 1).flatten(1, 2)  # (B, h w, C)
    if weights is None:
        mean = x.mean(1, keepdim=True)
        return mean[:, 0], (x - mean).mT @ (x - mean) / x.shape[1]
    w = F.adaptive_avg_pool2d(weights, features.shape[-2:]).flatten(1)[..., None]  # (B, h w, 1)
    w = w / w.sum(1, keepdim=True).clamp_min(1e-6)
    mean = (w * x).sum(1, keepdim=True)
    return mean[:, 0], (x - mean).mT @ (w * (x - mean))


def moment_distance(found, wanted):
    """Distances (B,) of two pairs from `moments`, as shares of the wanted ones."""
    return sum(
        (one - other).abs().flatten(1).sum(1) / other.abs().flatten(1).sum(1)
        for one, other in zip(found, wanted)
    )


def sample(features, places):
    """Features (B, N, C) of (B, C, h, w) at places (B, N, 2), x and y in [-1, 1]."""
    found = F.grid_sample(features.float(), places[:, None], align_corners=False)
    return found[:, :, 0].mT


def earth_movers_distance(found, wanted):
    """Relaxed earth mover's distances (B,) of two lists of features (B, N, C), one of each layer.

    The cost of a pair is the mean over the layers of one minus the cosine, after the mean of each
    list is taken off. Each point moves to the nearest one of the other picture; what counts is the
    direction in which that costs more (Kolkin et al. 2019, equation 4).
    """
    costs = 0.0
    for one, other in zip(found, wanted):
        one, other = (F.normalize(x - x.mean(1, keepdim=True), dim=2) for x in (one, other))
        costs = costs + (1 - one @ other.mT) / len(found)
    return torch.maximum(costs.amin(2).mean(1), costs.amin(1).mean(1))


def style_losses(batch, found):
    """Distances of features from those of the examples: "texture" and "patches", both (B,).

    Where there is a face, its texture counts as much as that of the whole crop. A photograph that
    stays as it is has the distance 0.
    """
    rows = [k for k, example in enumerate(batch.examples) if example is not None]
    losses = dict.fromkeys(
        ("texture", "patches"), torch.zeros(len(batch.examples), device=batch.faces.device)
    )
    if not rows:
        return losses
    where = torch.tensor(rows, device=batch.faces.device)
    examples, faces = [batch.examples[k] for k in rows], batch.faces[rows]
    found = {name: found[name][rows].float() for name in TEXTURE}
    has_face = (faces.mean((1, 2, 3)) > SMALL_FACE).float()

    def stacked(part, name):
        return torch.stack([getattr(one, part)[name] for one in examples]).to(faces)

    def moments_wanted(part, name):
        pairs = zip(*(getattr(one, part)[name] for one in examples))
        return [torch.stack(one).to(faces) for one in pairs]

    texture = 0.0
    for name in TEXTURE:
        whole = moment_distance(moments(found[name]), moments_wanted("whole", name))
        face = moment_distance(moments(found[name], faces), moments_wanted("face", name))
        texture = texture + (whole + has_face * (face - whole) / 2) / len(TEXTURE)
    places = torch.rand(len(rows), POINTS, 2, device=faces.device) * 2 - 1
    patches = earth_movers_distance(
        [sample(found[name], places) for name in PATCHES],
        [stacked("points", name) for name in PATCHES],
    )
    made = {"texture": texture, "patches": patches}
    return {name: losses[name].index_add(0, where, loss) for name, loss in made.items()}


def paint_losses(settings, y, batch, found, wanted):
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
        **style_losses(batch, found),
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


def example(features, image, short, is_portrait, device):
    """The `Example` of a painting (PIL image) that is scaled to a short side in px."""
    scale = short / min(image.size)
    size = [round(scale * one) // 16 * 16 for one in image.size]  # VGG16 halves it three times
    square = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    found = features(photos.to_batch(square[None]).to(device))
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(1, POINTS, 2, generator=generator).to(device) * 2 - 1
    middle = torch.zeros(1, 1, *square.shape[:2], device=device)
    height, width = square.shape[:2]
    middle[..., height // 5 : height * 7 // 10, width // 4 : width * 3 // 4] = 1
    whole, face, points = {}, {}, {}
    for name in TEXTURE:
        whole[name] = [one[0].cpu() for one in moments(found[name])]
        face[name] = whole[name]
        if is_portrait:
            face[name] = [one[0].cpu() for one in moments(found[name], middle)]
    for name in PATCHES:
        points[name] = sample(found[name], places)[0].half().cpu()
    return Example(colours_of(square), whole, face, points)


@torch.no_grad()
def examples(settings, features, pictures, device):
    """`Data.examples`, of training pictures."""
    groups = {}
    for picture in pictures:
        for name in {picture.style, captions.painting_of(picture.file)} - {PHOTO, None}:
            groups.setdefault(name, []).append(picture)
    clear = [one for one in groups.get("van gogh", ()) if Path(one.file).stem in CLEAR_STROKES]
    if clear:
        groups["van gogh"] = clear
    made = {}
    for name, group in tqdm(groups.items(), desc="examples"):
        for picture in group[:MOST_EXAMPLES]:
            for short in settings.example_sides:
                one = example(features, picture.image, short, picture.is_portrait, device)
                made.setdefault((name, picture.is_portrait, short), []).append(one)
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
    batch = Painting(*[None] * 3, scales, None, starts, STEPS - 1)
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
    features = perceptual.VGG16.load(settings.features, {*TEXTURE, *CONTENT}).to(device)
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
            examples(settings, features, pictures, device),
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
        y, batch = shifted(y, batch)
        with torch.no_grad():
            wanted = features(batch.photographs)
        losses = paint_losses(settings, y, batch, features(y), wanted)
        run.descend(weighted(settings, losses, batch.scales))
        run.record(step, **{name: loss.mean() for name, loss in losses.items()})
    if not accelerator.is_main_process:
        return
    model, vae = run.averaged(), vae.cpu()
    figures = measure(settings, model, vae, text_encoder.cpu(), tokenizer, noise_scheduler)
    unet.save_pipeline(settings.out, vae, text_encoder, tokenizer, model.network, noise_scheduler)
    training.write_record(settings.record_folder, run, "painter", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
