"""Teach the denoiser to paint photographs: ``python -m sdkit.recipes.painter --art-dir DIR``.

The UNet learns on real photographs. Each is encoded, noised part of the way, and denoised under a
caption such as "van gogh". The clean picture that the network believes in is decoded, and then two
questions are asked.

* Does it have the texture of the painter? Means and covariances of VGG features are compared with
  those of real paintings, at two scales (Gatys et al. 2016; Johnson et al. 2016). Discriminators
  look at patches of the features (Isola et al. 2017; Sauer et al. 2021).
* Does it still show the photograph? Deeper features are compared, and faces count more.

This is reward fine-tuning of a diffusion model (ReFL, Xu et al. 2023). It needs no guidance, and
few steps, because the network answers with one sharp picture and not with the mean of all.

In the same step the network learns from itself as it was before. Its answers on postcards, on
photographs and without a caption stay what they were (learning without forgetting, Li & Hoiem
2016).

Before the training the UNet is made faster at large sizes. Self-attention costs time with the
square of the number of pixels. It stays only in the coarsest level, with fewer and wider heads.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import compute_snr
from PIL import Image
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from sdkit.diffusion import latents
from sdkit.evaluate import metrics
from sdkit.pictures import art, photos
from sdkit.recipes import captions, perceptual, training, unet
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import BaseSettings, command_line, in_models
from sdkit.recipes.text import tokens
from sdkit.recipes.vae import discriminator_loss

TEXTURE = (
    "relu1_1",
    "relu2_1",
    "relu3_1",
    "relu4_1",
)  # layers whose means and covariances are compared
CONTENT, FACES = "relu4_1", "relu3_3"  # layers compared place by place: everywhere, in faces
JUDGED = ("relu2_1", "relu3_1", "relu4_1")  # layers that the discriminators see
SCALES = (1, 2)  # the picture itself, and at half its size, where broad strokes are small
PATH_STEPS = 10  # steps from pure noise; image to image takes the last ones
STARTS = (5, 6, 7, 8)  # step that image to image begins with: strength 0.5 to 0.2
START_SHARES = (0.1, 0.2, 0.5, 0.2)
STRENGTH = 0.3  # of the pictures that are measured
# how often each style and painting is asked for
SHARES = {
    "van gogh": 0.42,
    "ukiyo-e": 0.16,
    "impressionism": 0.15,
    "oil painting": 0.12,
    "pointillism": 0.04,
} | dict.fromkeys(captions.PAINTINGS, 0.11 / len(captions.PAINTINGS))


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of the painter's training."""

    # folder of the pipeline that is saved
    out: Path = field(default_factory=in_models("mini-sd"))
    runs: Path = Path("runs/painter")
    # folder of the pipeline to go on from
    initial: Path = field(default_factory=in_models("mini-sd"))
    # folder of a UNet that has learned some of it already, to go on from
    start: Path | None = None
    # folder of the VAE whose decoder shows the pictures
    vae: Path = field(default_factory=in_models("mini-sd/vae"))
    # folder with the weights of the VGG16
    features: Path = Path("../shared/features")
    steps: int = 1350
    # crops of photographs in a step
    batch_size: int = 3
    # side of a crop in px
    size: int = 192
    # short sides in px of the scaled photographs that crops are taken from
    short_sides: tuple[int, ...] = (256, 640)
    # short sides in px of the scaled paintings whose texture is learned
    painting_sides: tuple[int, ...] = (420, 800)
    # crops of paintings of each style; a painting that is asked for by name has an eighth of them
    targets: int = 160
    # of the paintings' crops that are looked at, the one with the most similar colours is taken
    candidates: int = 3
    # of Muon; AdamW takes a quarter
    learning_rate: float = 1.5e-3
    # first steps, in which only the earlier answers are learned
    settling: int = 100
    # weight of the means and covariances of features
    texture_weight: float = 20.0
    # weight of the content
    content_weight: float = 1.0
    # weight of the content of faces
    face_weight: float = 2.0
    # weight of the brightness and colour of patches of 16 px
    tone_weight: float = 0.1
    # weight of the discriminators' opinion
    adversarial_weight: float = 0.3
    # weight of the earlier answers
    memory_weight: float = 10.0
    # small postcards in a step, or as many larger pictures as cost the same
    remembered: int = 16
    # postcards that are drawn for the training
    drawn: int = 4000
    # decay of the moving average of the weights
    ema_decay: float = 0.998
    # heads of the levels, the finest first; only the last level has self-attention
    heads: tuple[int, ...] = (8, 8, 3)
    # held-out photographs that are measured
    evaluate: int = 8
    # short side in px of the held-out photographs that are measured
    measured_side: int = 384

    @property
    def record_folder(self):
        return self.out / "unet"


class Batch(NamedTuple):
    """Photographs to paint (B) and pictures to remember (N)."""

    pictures: torch.Tensor  # (B, 3, S, S) in [-1, 1]
    faces: torch.Tensor  # (B, 1, S/4, S/4), 1 where a face is
    noise: torch.Tensor  # (B, C, S/4, S/4)
    ids: torch.Tensor  # (B, L) tokens of the captions
    texture: tuple  # wanted `perceptual.moments` (B, C, 1 + C), for each scale and layer of TEXTURE
    paintings: torch.Tensor  # (B, 3, S, S), crops of real paintings for the discriminators
    styles: torch.Tensor  # (B,) number of the style
    first: int  # step that the denoising begins with
    last: int  # step whose clean picture is judged
    noisy: torch.Tensor  # (N, C, h, w)
    timesteps: torch.Tensor  # (N,)
    memory_ids: torch.Tensor  # (N, L)


class Targets(NamedTuple):
    """Crops of the paintings of one style."""

    crops: np.ndarray  # uint8 (N, S, S, 3)
    colours: np.ndarray  # (N, 6), see `colours`
    portraits: np.ndarray  # (N,) whether the painting is a portrait
    texture: list  # `perceptual.moments` in bfloat16 (N, C, 1 + C), for each scale and layer


@dataclass
class Data:
    """What batches are made from."""

    photographs: list  # of `art.Picture`
    faces: list  # for each, boxes (n, 4) left, top, right, bottom as shares of the sides
    targets: dict  # style -> `Targets`
    cards: dict  # side of postcards in px -> `unet.CardSet`
    scenes: torch.Tensor  # latents (M, C, h, w) of crops of photographs, for the memory
    tokenizer: CLIPTokenizer
    noise_scheduler: object


class Discriminators(nn.Module):
    """Linear classifiers of patches of VGG features, one for each scale, layer and style.

    A projected discriminator (Sauer et al. 2021): the features are fixed, only the heads learn.
    """

    def __init__(self, styles, width=64):
        super().__init__()
        widths = {"relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
        self.heads = nn.ModuleDict(
            {
                f"{scale} {layer}": nn.Sequential(
                    nn.Conv2d(widths[layer], width, 1),
                    nn.LeakyReLU(0.2),
                    nn.Conv2d(width, styles, 3, padding=1),
                )
                for scale in map(str, SCALES)
                for layer in JUDGED
            }
        )

    def forward(self, features, styles):
        """Logits (B, patches) for the style of each picture; ``features`` as `at_scales` gives."""
        logits = []
        for name, head in self.heads.items():
            scale, layer = name.split()
            # the logarithm, because features are 0 nearly always and large at times
            y = head(features[int(scale)][layer].float().log1p())  # (B, styles, h, w)
            logits.append(y[torch.arange(len(y)), styles].flatten(1))
        return torch.cat(logits, 1)


def at_scales(features, x):
    """VGG features of pictures (B, 3, H, W) at each of `SCALES`: {scale: {layer: (B, C, h, w)}}."""
    return {scale: features(x if scale == 1 else F.avg_pool2d(x, scale)) for scale in SCALES}


def lighter(network, heads):
    """A copy of the UNet with self-attention in the coarsest level alone, and with other heads.

    The layer in its place attends to the text. It adds nothing at first.
    """
    levels = len(network.config.block_out_channels)
    config = {
        **{name: value for name, value in network.config.items() if not name.startswith("_")},
        "attention_head_dim": tuple(heads),
        "only_cross_attention": (*[True] * (levels - 1), False),
    }
    light = UNet2DConditionModel(**config)
    weights, own = network.state_dict(), light.state_dict()
    same = {name: w for name, w in weights.items() if w.shape == own[name].shape}
    light.load_state_dict(same, strict=False)
    for name, layer in light.named_modules():
        if name.endswith("attn1") and f"{name}.to_k.weight" not in same:
            nn.init.zeros_(layer.to_out[0].weight)
            nn.init.zeros_(layer.to_out[0].bias)
    return light


def colours(square):
    """Mean and standard deviation of red, green and blue (6,) of a uint8 square, 0 to 1."""
    pixels = square.reshape(-1, 3) / 255
    return np.concatenate([pixels.mean(0), pixels.std(0)])


def crop_with_faces(settings, data, rng):
    """A crop of a photograph: (uint8 square, whether it is a portrait, mask (S/4, S/4))."""
    number = rng.integers(len(data.photographs))
    picture, boxes, size = data.photographs[number], data.faces[number], settings.size
    width, height = picture.image.size
    low, high = settings.short_sides
    high = max(low, min(high, 1.2 * min(width, height)))
    scale = np.exp(rng.uniform(np.log(low), np.log(high))) / min(width, height)
    window = size / scale
    left, top = rng.uniform(0, width - window), rng.uniform(0, height - window)
    if len(boxes) and rng.random() < 0.7:  # the middle of a face is in the crop
        box = boxes[rng.integers(len(boxes))] * (width, height, width, height)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        left = np.clip(x - window * rng.uniform(0.25, 0.75), 0, width - window)
        top = np.clip(y - window * rng.uniform(0.25, 0.75), 0, height - window)
    square = picture.image.resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + window, top + window)
    )
    mask = np.zeros((size // 4, size // 4), np.float32)
    for box in boxes * (width, height, width, height):
        shifted = (box - (left, top, left, top)) / window * (size // 4)
        x1, y1, x2, y2 = shifted.round().astype(int).clip(0, size // 4)
        mask[y1:y2, x1:x2] = 1
    square = np.asarray(square)
    if rng.random() < 0.5:
        square, mask = square[:, ::-1], mask[:, ::-1]
    return square, picture.is_portrait, mask


def choose_target(settings, targets, square, is_portrait, rng):
    """Number of the painting's crop that a photograph shall resemble in texture.

    Portraits take after portraits, in most cases. Of some random crops, the one whose colours are
    nearest: a dark photograph becomes a dark painting.
    """
    eligible = np.arange(len(targets.crops))
    if targets.portraits.any() and rng.random() < 0.7:
        alike = np.flatnonzero(targets.portraits == is_portrait)
        eligible = alike if len(alike) else eligible
    some = rng.choice(eligible, min(settings.candidates, len(eligible)), replace=False)
    distance = np.abs(targets.colours[some] - colours(square)).sum(1)
    return some[distance.argmin()]


def painting_examples(settings, data, rng):
    """The first fields of a `Batch`, up to ``last``."""
    names = list(SHARES)
    shares = np.array([SHARES[name] * (name in data.targets) for name in names])
    squares, masks, texts, texture, paintings, styles = [], [], [], [], [], []
    for _ in range(settings.batch_size):
        style = int(rng.choice(len(names), p=shares / shares.sum()))
        square, is_portrait, mask = crop_with_faces(settings, data, rng)
        targets = data.targets[names[style]]
        chosen = choose_target(settings, targets, square, is_portrait, rng)
        squares.append(square)
        masks.append(mask)
        text = captions.style_caption(names[style], is_portrait, rng)
        texts.append(captions.misspell(text, rng, 1 / 12))
        texture.append([one[chosen] for one in targets.texture])
        paintings.append(targets.crops[chosen])
        styles.append(style)
    x = photos.to_batch(squares)
    channels, side = data.scenes.shape[1], settings.size // 4
    noise = torch.randn(len(x), channels, side, side, generator=training.torch_rng(rng))
    first = int(rng.choice(STARTS, p=START_SHARES))
    last = PATH_STEPS - 1 if rng.random() < 0.4 else int(rng.integers(first, PATH_STEPS))
    return (
        x,
        torch.from_numpy(np.stack(masks))[:, None],
        noise,
        tokens(data.tokenizer, texts),
        tuple(torch.stack(some).float() for some in zip(*texture)),
        photos.to_batch(paintings),
        torch.tensor(styles),
        first,
        last,
    )


def memory_examples(settings, data, rng):
    """The last fields of a `Batch`: noisy postcards or photographs, and captions."""
    kind = rng.choice([*data.cards, 0], p=[0.5, 0.3, 0.2])
    if kind:
        card_set = data.cards[int(kind)]
        ordinary = unet.Settings(batch_size=settings.remembered, sizes=(16,))
        examples = unet.card_examples(ordinary, card_set, rng)
        small = kind == min(data.cards)
        texts, _ = unet.drop_captions(0.3, examples.captions, examples.labels, rng)
        noisy, _, timesteps = unet.add_noise(ordinary, examples, small, data.noise_scheduler, rng)
    else:
        side = data.scenes.shape[-1]
        count = max(2, round(settings.remembered * (16 / side) ** 2))
        z = data.scenes[rng.integers(len(data.scenes), size=count)].float()
        texts = ["" if rng.random() < 0.6 else captions.caption("a photo", False, rng) for _ in z]
        timesteps = torch.from_numpy(rng.integers(700, size=count))
        noise = torch.randn(z.shape, generator=training.torch_rng(rng))
        noisy = data.noise_scheduler.add_noise(z, noise, timesteps)
    return noisy, timesteps, tokens(data.tokenizer, texts)


def make_batch(settings, data, rng):
    """A `Batch`."""
    return Batch(*painting_examples(settings, data, rng), *memory_examples(settings, data, rng))


def solver(noise_scheduler):
    """The solver of the pipeline, with `PATH_STEPS` steps."""
    made = DPMSolverMultistepScheduler.from_config(noise_scheduler.config)
    made.set_timesteps(PATH_STEPS)
    return made


def believed(network, scheduler, z, batch, embeds):
    """The clean latents that the network believes in at the step ``last``, (B, C, h, w).

    z (B, C, h, w): the photographs' latents. Denoising begins at the step ``first``, as in image
    to image. Only the last call of the network is differentiated.
    """
    scheduler.set_timesteps(PATH_STEPS)
    scheduler.set_begin_index(batch.first)
    timesteps = scheduler.timesteps[batch.first : batch.last + 1]
    x = scheduler.add_noise(z, batch.noise, timesteps[:1].expand(len(z)))
    with torch.no_grad():
        for t in timesteps[:-1]:
            x = scheduler.step(network(x, t, embeds).sample, t, x).prev_sample
    alpha = scheduler.alphas_cumprod[timesteps[-1]]
    noise = network(x, timesteps[-1], embeds).sample
    return (x - (1 - alpha).sqrt() * noise) / alpha.sqrt()


def texture_loss(found, wanted):
    """Mean over scales and layers of the distance of `perceptual.moments`."""
    own = [perceptual.moments(found[scale][layer]) for scale in SCALES for layer in TEXTURE]
    distances = [perceptual.moments_distance(a, b) for a, b in zip(own, wanted, strict=True)]
    return torch.stack(distances).mean()


def content_losses(found, wanted, faces):
    """Distances of features: (everywhere, in faces). ``faces`` (B, 1, h, w) is 1 in faces."""
    everywhere = perceptual.feature_distance(found[1][CONTENT], wanted[CONTENT]).mean()
    inside = perceptual.feature_distance(found[1][FACES], wanted[FACES]) * faces[:, 0]
    return everywhere, inside.sum() / faces.sum().clamp(min=1)


def tone_loss(y, x):
    """Mean distance of the colours of patches of 16 px."""
    return F.l1_loss(F.avg_pool2d(y, 16), F.avg_pool2d(x, 16))


def painting_losses(settings, batch, y, features, judges):
    """Loss of painted pictures y (B, 3, S, S): (loss, figures to log, features of y)."""
    found = at_scales(features, y)
    with torch.no_grad():
        wanted = features(batch.pictures)
    texture = texture_loss(found, batch.texture)
    content, in_faces = content_losses(found, wanted, batch.faces)
    tone = tone_loss(y, batch.pictures)
    opinion = -judges(found, batch.styles).mean()
    # paint is never as bright as a lamp: what lies beyond the scale would be cut off
    beyond = F.relu(y.abs() - 0.95).mean()
    total = (
        settings.texture_weight * texture
        + settings.content_weight * content
        + settings.face_weight * in_faces
        + settings.tone_weight * tone
        + settings.adversarial_weight * opinion
        + 10 * beyond
    )
    figures = {"texture": texture, "content": content, "faces": in_faces, "tone": tone}
    return total, figures, found


def judges_loss(judges, batch, found, features):
    """Hinge loss of the discriminators for real paintings and for the features ``found``."""
    with torch.no_grad():
        real = at_scales(features, batch.paintings)
    fake = {
        scale: {name: x.detach() for name, x in layers.items()} for scale, layers in found.items()
    }
    return discriminator_loss(judges(real, batch.styles), judges(fake, batch.styles))


def memory_loss(network, teacher, batch, embeds, noise_scheduler):
    """Weighted squared distance of the network's answers from the teacher's."""
    inputs = (batch.noisy, batch.timesteps, embeds)
    with torch.no_grad():
        answers = teacher(*inputs).sample.float()
    errors = (network(*inputs).sample.float() - answers).square().mean((1, 2, 3))
    weights = unet.loss_weights(compute_snr(noise_scheduler, batch.timesteps), 5.0)
    return (errors * weights).mean()


def load_targets(settings, pictures, features):
    """`Targets` of each style and painting in `SHARES`."""
    found, rng = {}, training.rng(settings.seed, training.PREPARING)
    by_style = {
        name: [p for p in pictures if p.style == name]
        for name in SHARES
        if name not in captions.PAINTINGS
    }
    for name, painting in captions.PAINTINGS.items():
        by_style[name] = [p for p in pictures if Path(p.file).stem in painting.files]
    for name, some in by_style.items():
        if not some:  # a trial with a few pictures
            continue
        count = settings.targets // (8 if name in captions.PAINTINGS else 1)
        chosen = [some[k % len(some)] for k in range(max(count, 4))]
        squares = [art.crop(p, settings.size, rng, settings.painting_sides) for p in chosen]
        texture = []
        for first in range(0, len(squares), 8):
            with torch.no_grad():
                scales = at_scales(features, photos.to_batch(squares[first : first + 8]))
            texture.append(
                [
                    perceptual.moments(scales[s][layer]).bfloat16()
                    for s in SCALES
                    for layer in TEXTURE
                ]
            )
        found[name] = Targets(
            np.stack(squares),
            np.stack([colours(square) for square in squares]),
            np.array([p.is_portrait for p in chosen]),
            [torch.cat(one) for one in zip(*texture)],
        )
    return found


def load_data(settings, pictures, vae, tokenizer, features):
    """Everything that batches are made from."""
    photographs = [p for p in pictures if p.style == "a photo"]
    boxes = list(
        training.map_on_all_cores(metrics.face_boxes, [p.image for p in photographs], "faces")
    )
    rng = training.rng(settings.seed, training.PREPARING + 1)
    squares = [
        art.crop(photographs[rng.integers(len(photographs))], 160, rng)
        for _ in range(4 * len(photographs))
    ]
    sets = {}
    for side, count in ((64, settings.drawn), (128, settings.drawn // 4)):
        shown, drawings = unet.cards.render(count, side)
        z = training.encode_batches(vae, drawings)
        sets[side] = unet.CardSet(
            shown, torch.stack([z, torch.zeros_like(z) if side == 64 else z], 1)
        )
    return Data(
        photographs,
        boxes,
        load_targets(settings, pictures, features),
        sets,
        training.encode_batches(vae, squares),
        tokenizer,
        unet.scheduler(),
    )


@torch.no_grad()
def measure(settings, pipe):
    """Octave ratio and clipped share of held-out photographs, painted in each style."""
    held_out = art.load(settings.art_dir, "validation", ("a photo",), settings.limit or None)
    chosen = held_out[:: max(1, len(held_out) // settings.evaluate)][: settings.evaluate]
    figures = {}
    for style in SHARES:
        painted = [
            pipe(
                style,
                image=photos.resize(p.image, settings.measured_side),
                strength=STRENGTH,
                guidance_scale=1.0,
                num_inference_steps=PATH_STEPS,
                generator=torch.Generator().manual_seed(0),
            ).images[0]
            for p in chosen
        ]
        figures[style] = {
            "octave_ratio": round(float(np.median([metrics.octave_ratio(y) for y in painted])), 2),
            "clipped_share": round(float(np.mean([metrics.clipped_share(y) for y in painted])), 4),
        }
    return figures


def main(settings):
    """Train the painter, measure it, and save the UNet in fp16."""
    accelerator = training.accelerator()
    device = accelerator.device
    torch.manual_seed(settings.seed)
    vae = AutoencoderKL.from_pretrained(settings.vae).float().eval().requires_grad_(False)
    vae = vae.to(device, memory_format=torch.channels_last)
    text_encoder = CLIPTextModel.from_pretrained(settings.initial, subfolder="text_encoder")
    text_encoder = text_encoder.float().eval().requires_grad_(False).to(device)
    tokenizer = CLIPTokenizer.from_pretrained(settings.initial, subfolder="tokenizer")
    teacher = UNet2DConditionModel.from_pretrained(settings.initial, subfolder="unet").float()
    first = UNet2DConditionModel.from_pretrained(settings.start) if settings.start else teacher
    network = lighter(first.float(), settings.heads).to(device, memory_format=torch.channels_last)
    teacher = teacher.requires_grad_(False).to(device, memory_format=torch.channels_last)
    if device.type == "cpu":  # the backward pass of fused attention costs a third of a step there
        network.set_attn_processor(AttnProcessor())
    layers = {*TEXTURE, CONTENT, FACES}
    features = perceptual.VGG16.load(settings.features, layers).to(device)
    features = training.with_autocast(accelerator, features)
    judges = Discriminators(len(SHARES)).to(device)
    judge_optimizer = torch.optim.AdamW(judges.parameters(), 2e-4, betas=(0.5, 0.9))
    judges, judge_optimizer = accelerator.prepare(judges, judge_optimizer)
    optimizer = Muon(*split(network), settings.learning_rate, weight_decay=0.01)
    run = training.Run(settings, accelerator)
    model = run.begin(network, optimizer, warmup=50, ema_decay=settings.ema_decay)
    pictures = art.load(
        settings.art_dir, "train", (*art.STYLES, "pointillism"), settings.limit or None, 1000
    )
    data = None
    if not run.is_over:
        data = load_data(settings, pictures, vae, tokenizer, features)
    noise_scheduler = unet.scheduler()
    path = solver(noise_scheduler)
    frozen = accelerator.unwrap_model(judges)
    for step, batch in run.batches("painter", make_batch, data):
        with torch.no_grad():
            embeds = text_encoder(torch.cat([batch.ids, batch.memory_ids])).last_hidden_state
        embeds, memory_embeds = embeds.split([len(batch.ids), len(batch.memory_ids)])
        memory = memory_loss(model, teacher, batch, memory_embeds, noise_scheduler)
        value, figures = settings.memory_weight * memory, {"memory": memory}
        if step >= settings.settling:
            with torch.no_grad():
                z = latents.encode(vae, batch.pictures)
            clean = believed(model, path, z, batch, embeds)
            y = vae.decode(clean / vae.config.scaling_factor).sample.float()
            painting, more, found = painting_losses(settings, batch, y, features, frozen)
            value, figures = value + painting, figures | more
        run.descend(value)
        if step >= settings.settling:
            judge_optimizer.zero_grad()  # the painter's loss also left gradients there
            hinge = judges_loss(judges, batch, found, features)
            accelerator.backward(hinge)
            judge_optimizer.step()
            figures["discriminators"] = hinge
        run.record(step, **figures)
    if not accelerator.is_main_process:
        return
    network = run.averaged()
    network.set_default_attn_processor()
    pipe = StableDiffusionImg2ImgPipeline(
        vae=vae.cpu(),
        text_encoder=text_encoder.cpu(),
        tokenizer=tokenizer,
        unet=network,
        scheduler=path,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    figures = measure(settings, pipe)
    vae.register_to_config(_name_or_path="mini-sd/vae")  # do not publish the path on this machine
    StableDiffusionPipeline(
        vae.half(),
        text_encoder.half(),
        tokenizer,
        network.half(),
        path,
        None,
        None,
        requires_safety_checker=False,
    ).save_pretrained(settings.out)
    training.write_record(settings.record_folder, run, "painter", figures, art.data_hash(pictures))
    print(json.dumps(figures))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
