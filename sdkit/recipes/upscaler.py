"""Train the x4 upscaler: ``python -m sdkit.recipes.upscaler --art-dir DIR``, after the VAE.

It has the design of Stable Diffusion's own x4 upscaler: a UNet denoises latents of a VAE, and at
every step the small picture is given beside them as three more channels, with a little noise of a
known level (cascaded diffusion, Ho et al. 2022; Rombach et al. 2022, section 4.4). The VAE makes
pictures four times smaller, so latents and small picture have the same size. The network predicts v
(Salimans & Ho 2022): where there is only noise, v is minus the latents, so the network must use the
small picture.

With ``--regression`` the same network learns to predict the latents directly, with squared error.
It then answers with the mean over all pictures that the small one may have been. This is the
smoothest answer, and the best by PSNR.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)
from PIL import Image, ImageFilter
from tqdm.auto import tqdm
from transformers import CLIPModel, CLIPTokenizer

from sdkit.diffusion.latents import decode, encode
from sdkit.evaluate import measure
from sdkit.evaluate.judges import StyleClassifier
from sdkit.models.loading import scaling_factor_kept
from sdkit.pictures import art, photos
from sdkit.recipes import cards, training
from sdkit.recipes.muon import Muon, split
from sdkit.recipes.settings import BaseSettings, command_line, in_models
from sdkit.recipes.text import text_encoder_of
from sdkit.upscale import FACTOR

FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.BOX, Image.Resampling.LANCZOS)
# as the real upscaler's
BETAS = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}
LATENT_NOISE = 0.15  # largest standard deviation of the noise that stands for the sampler's errors


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of the upscaler's training."""

    # folder of the upscaler; gets unet, or regressor with --regression
    out: Path = field(default_factory=in_models("mini-upscaler"))
    runs: Path = Path("runs/upscaler")
    # folder of the VAE
    vae: Path = field(default_factory=in_models("mini-sd/vae"))
    # folder of the tokenizer, which diffusers' pipeline needs
    tokenizer: Path = field(default_factory=in_models("mini-sd/tokenizer"))
    # folder of the CLIP whose text network diffusers' pipeline needs
    clip: Path = field(default_factory=in_models("mini-clip"))
    # folder of the style classifier that measures at the end
    classifier: Path = field(default_factory=in_models("style-classifier"))
    # folder of a trained network to go on from
    initial: Path | None = None
    # train the regressor instead of the diffusion network
    regression: bool = False
    steps: int = 3000
    # crops in a batch
    batch_size: int = 32
    # sides of crops in latent pixels, each four picture pixels; of large crops a batch holds fewer
    sizes: tuple[int, ...] = (24, 32)
    # channels of the levels, the finest first
    channels: tuple[int, ...] = (64, 96, 96)
    # side in px of the large pictures
    side: int = 256
    # postcards of each of two sizes that are drawn for the training
    drawn: int = 1000
    # squares of art for the training
    squares: int = 1400
    # share of steps on postcards
    card_share: float = 0.5
    # share of the small postcards that went through the VAE, as those do that mini-sd draws
    decoded_share: float = 0.5
    # of Muon; AdamW takes a quarter
    learning_rate: float = 2.4e-3
    # largest timestep of the noise in small pictures; half of them get no more than at timestep 0
    max_noise_level: int = 100
    # share of small pictures that are not degraded
    clean: float = 0.5
    # decay of the moving average of the weights
    ema_decay: float = 0.999
    # held-out pictures of each kind that are measured at the end
    evaluate: int = 12

    @property
    def record_folder(self) -> Path:
        return self.out / ("regressor" if self.regression else "unet")


class Batch(NamedTuple):
    """One batch of the upscaler."""

    small: torch.Tensor  # (B, 3, h, w) in [-1, 1], with noise of the levels
    latents: torch.Tensor  # (B, C, h, w) of the large pictures
    noise: torch.Tensor  # (B, C, h, w), standard normal
    levels: torch.Tensor  # (B,) timesteps of the noise in the small pictures
    timesteps: torch.Tensor  # (B,) of the noise in the latents; 0 for the regressor


class PictureSet(NamedTuple):
    """Large pictures of one kind."""

    pictures: list[np.ndarray]  # uint8 (S, S, 3)
    latents: torch.Tensor  # float16 (N, C, S/4, S/4)
    decoded: np.ndarray | None  # uint8 (N, S/4, S/4, 3), small ones as the model draws them


@dataclass
class Data:
    """What batches are made from."""

    card_sets: list[PictureSet]  # of postcards, one for each of two sizes
    art: PictureSet  # of which the model draws no small pictures
    noiser: DDPMScheduler


def schedulers() -> tuple[DDPMScheduler, DPMSolverMultistepScheduler]:
    """The scheduler that adds noise to small pictures, and the solver for latents.

    Both have the schedule of the real upscaler.
    """
    solver = DPMSolverMultistepScheduler(
        **BETAS, prediction_type="v_prediction", timestep_spacing="trailing"
    )
    return DDPMScheduler(**BETAS, prediction_type="v_prediction"), solver


def network(
    channels: Sequence[int], latent_channels: int, noise_levels: int
) -> UNet2DConditionModel:
    """The UNet: convolutions without attention, so that it works at any size and in tiles.

    It does not read the prompt that diffusers' pipeline encodes. Its class embedding says how noisy
    the small picture is, 0 to noise_levels - 1; all these embeddings start almost equal.
    """
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=latent_channels + 3,
        out_channels=latent_channels,
        block_out_channels=channels,
        layers_per_block=2,
        norm_num_groups=16,
        cross_attention_dim=8,
        num_class_embeds=noise_levels,
        down_block_types=["DownBlock2D"] * len(channels),
        mid_block_type="UNetMidBlock2D",
        up_block_types=["UpBlock2D"] * len(channels),
    )
    torch.nn.init.normal_(unet.class_embedding.weight, std=0.02)
    return unet


def crop_squares(
    pictures: Sequence[art.Picture], count: int, side: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """``count`` squares of ``side`` px at many scales, never enlarged; pictures take turns."""
    large = [picture for picture in pictures if min(picture.image.size) >= side] or pictures
    order = np.concatenate([rng.permutation(len(large)) for _ in range(-(-count // len(large)))])[
        :count
    ]
    return [art.crop(large[k], side, rng, (side, min(large[k].image.size))) for k in order]


def shrink(
    square: np.ndarray, box: tuple[int, int, int, int], rng: np.random.Generator, clean: float = 0.5
) -> np.ndarray:
    """A part of a square, uint8, four times smaller: uint8 (h, w, 3).

    ``box`` is (left, top, right, bottom) in px. The filter is bicubic, box or Lanczos. With the
    probability 1 - ``clean`` the result is also a little blurred, noisy and compressed, as people's
    own pictures often are (Real-ESRGAN, Wang et al. 2021, much milder).
    """
    size = [(box[2] - box[0]) // FACTOR, (box[3] - box[1]) // FACTOR]
    image = Image.fromarray(square).resize(
        size, FILTERS[rng.choice(3, p=(0.6, 0.25, 0.15))], box=box
    )
    if rng.random() < clean:
        return np.asarray(image)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.6)))
    pixels = np.asarray(image, np.float32)
    small = (
        (pixels + rng.uniform(0, 3) * rng.standard_normal(pixels.shape))
        .clip(0, 255)
        .round()
        .astype(np.uint8)
    )
    file = BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=int(rng.integers(70, 98)), subsampling=0)
    return np.asarray(Image.open(file))


def decode_small(
    vae: AutoencoderKL,
    squares: Sequence[np.ndarray],
    rng: np.random.Generator,
    batch_size: int = 50,
) -> np.ndarray:
    """Squares (uint8 (S, S, 3)) four times smaller, as the model would draw them.

    The model's decoder makes pictures soft; some noise in the latents stands for the errors of its
    sampler. Gives uint8 (N, S/4, S/4, 3).
    """
    made, generator = [], training.torch_rng(rng)
    for first in tqdm(range(0, len(squares), batch_size), desc="decoded"):
        small = [
            np.asarray(Image.fromarray(square).reduce(FACTOR))
            for square in squares[first : first + batch_size]
        ]
        latents = encode(vae, photos.to_batch(small)).cpu()  # (B, C, h, w)
        noise = torch.randn(latents.shape, generator=generator)
        noise = noise * torch.rand(len(small), 1, 1, 1, generator=generator)
        made.append(photos.to_uint8(decode(vae, latents + LATENT_NOISE * noise)))
    return np.concatenate(made)


def load_data(
    settings: Settings,
    pictures: Sequence[art.Picture],
    vae: AutoencoderKL,
    noiser: DDPMScheduler,
    precision: str,
) -> Data:
    """Draw and crop the pictures, and encode them; this is done once.

    Postcards are of 256 px, for those that mini-sd draws at 64 px, and of 512 px, for those that it
    draws again at 128 px.
    """
    card_sets = []
    for number, side in enumerate((settings.side, 2 * settings.side)):
        drawings = list(cards.render(settings.drawn, side)[1])
        rng = training.rng(settings.seed, training.PREPARING + 1 + number)
        latents = training.encode_batches(vae, drawings, precision, batch_size=16)
        card_sets.append(PictureSet(drawings, latents, decode_small(vae, drawings, rng)))
    rng = training.rng(settings.seed, training.PREPARING)
    squares = crop_squares(pictures, settings.squares, settings.side, rng)
    latents = training.encode_batches(vae, squares, precision, batch_size=16)
    return Data(card_sets, PictureSet(squares, latents, None), noiser)


def make_batch(settings: Settings, data: Data, rng: np.random.Generator) -> Batch:
    """A `Batch` of crops, all of postcards of one size or all of art."""
    of_cards = rng.random() < settings.card_share
    chosen = data.card_sets[rng.integers(2)] if of_cards else data.art
    size = settings.sizes[rng.integers(len(settings.sizes))]
    small, latents = [], []
    for _ in range(max(1, round(settings.batch_size * (settings.sizes[0] / size) ** 2))):
        k = rng.integers(len(chosen.pictures))
        top, left = map(int, rng.integers(chosen.latents.shape[-1] - size + 1, size=2))
        rows, columns = slice(top, top + size), slice(left, left + size)
        if chosen.decoded is not None and rng.random() < settings.decoded_share:
            small.append(chosen.decoded[k, rows, columns])
        else:
            box = (FACTOR * left, FACTOR * top, FACTOR * (left + size), FACTOR * (top + size))
            small.append(shrink(chosen.pictures[k], box, rng, settings.clean))
        latents.append(chosen.latents[k, :, rows, columns])
    count = len(small)
    levels = rng.integers(settings.max_noise_level + 1, size=count) * (rng.random(count) < 0.5)
    # the last steps of sampling decide about details, so small timesteps are more frequent
    timesteps = (len(data.noiser) * rng.random(count) ** 1.5).astype(int)
    timesteps = timesteps * (not settings.regression)
    levels, timesteps = torch.from_numpy(levels), torch.from_numpy(timesteps)
    small, latents = photos.to_batch(small), torch.stack(latents).float()
    generator = training.torch_rng(rng)
    small_noise, noise = (torch.randn(x.shape, generator=generator) for x in (small, latents))
    small = data.noiser.add_noise(small, small_noise, levels)
    return Batch(small, latents, noise, levels, timesteps)


def loss(
    settings: Settings, model: UNet2DConditionModel, batch: Batch, noiser: DDPMScheduler
) -> tuple[torch.Tensor, training.Figures]:
    """Mean squared error: (loss, figures to log).

    The target is v = sqrt(abar) noise - sqrt(1 - abar) latents (Salimans & Ho 2022, appendix D);
    for the regressor, which gets zeros in place of noisy latents, it is the latents.
    """
    if settings.regression:
        noisy, target = torch.zeros_like(batch.latents), batch.latents
    else:
        noisy = noiser.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = noiser.get_velocity(batch.latents, batch.noise, batch.timesteps)
    inputs = torch.cat([noisy, batch.small], dim=1)  # (B, C + 3, h, w)
    predicted = model(inputs, batch.timesteps, None, class_labels=batch.levels).sample
    value = (predicted.float() - target).square().mean()
    return value, {"loss": value}


def save_pipeline(
    settings: Settings,
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    noiser: DDPMScheduler,
    solver: DPMSolverMultistepScheduler,
) -> StableDiffusionUpscalePipeline:
    """Save the pipeline's configuration, its VAE and its schedulers; give the pipeline.

    Tokenizer and text encoder are mini-sd's and are not saved again. The VAE of mini-sd has another
    decoder: it paints strokes where a drawing has smooth areas.
    """
    text_encoder = text_encoder_of(CLIPModel.from_pretrained(settings.clip).float())
    tokenizer = CLIPTokenizer.from_pretrained(settings.tokenizer)
    with scaling_factor_kept(vae):
        pipe = StableDiffusionUpscalePipeline(
            vae,
            text_encoder,
            tokenizer,
            unet,
            noiser,
            solver,
            max_noise_level=settings.max_noise_level,
        )
    pipe.save_config(settings.out)  # model_index.json
    vae.register_to_config(_name_or_path="mini-upscaler/vae")  # no path on this machine
    copy.deepcopy(vae).half().save_pretrained(settings.out / "vae")
    solver.save_pretrained(settings.out / "scheduler")
    noiser.save_pretrained(settings.out / "low_res_scheduler")
    return pipe


def main(settings: Settings) -> None:
    """Train the upscaler on crops of latents, measure it, and save it in fp16."""
    accelerator = training.accelerator()
    device = accelerator.device
    torch.manual_seed(settings.seed)
    vae = AutoencoderKL.from_pretrained(settings.vae).float().eval()
    vae = vae.to(device, memory_format=torch.channels_last)
    noiser, solver = schedulers()
    latent_channels = vae.config.latent_channels
    unet = network(settings.channels, latent_channels, settings.max_noise_level + 1)
    if settings.initial:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(settings.initial).state_dict())
    unet = unet.to(device, memory_format=torch.channels_last)
    optimizer = Muon(*split(unet), settings.learning_rate, weight_decay=0.01)
    run = training.Run(settings, accelerator)
    run.begin(unet, optimizer, warmup=200, ema_decay=settings.ema_decay)
    pictures = art.load(settings.art_dir, "train", limit=settings.limit or None)
    data = None
    if not run.is_over:
        data = load_data(settings, pictures, vae, noiser, accelerator.mixed_precision)
    run.fit(settings.record_folder.name, make_batch, partial(loss, noiser=noiser), data)
    if not accelerator.is_main_process:
        return
    unet, vae, folder = run.averaged().half(), vae.cpu(), settings.record_folder
    unet.save_pretrained(folder)
    unet = unet.float()
    if settings.regression:
        pipe = SimpleNamespace(vae=vae, unet=None, regressor=unet)
    else:
        pipe = save_pipeline(settings, vae, unet, noiser, solver)
        regressor = settings.out / "regressor"
        pipe.regressor = None
        if regressor.is_dir():
            pipe.regressor = UNet2DConditionModel.from_pretrained(regressor).float()
    figures = measure.measure_upscaler(
        pipe,
        settings.art_dir,
        count=settings.evaluate,
        limit=settings.limit or None,
        classifier=StyleClassifier.from_pretrained(settings.classifier).float().eval(),
    )
    training.write_record(folder, run, "upscaler", figures, art.data_hash(pictures))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    command_line(Settings, main, __doc__)
