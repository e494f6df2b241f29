"""Train the x4 upscaler: ``python -m sdkit.recipes.upscaler --art-dir DIR`` (mini-sd's VAE first).

In the design of Stable Diffusion's own x4 upscaler: a UNet denoises latents of mini-sd's VAE, and at every step the
small picture lies beside them as three more channels, with a little noise of a known level (cascaded diffusion, Ho et
al. 2022; Rombach et al. 2022, section 4.4). As the VAE makes pictures four times smaller, the two are equally large. It
predicts v (Salimans & Ho 2022): where noise is all there is, that is minus the latents, so the small picture is heeded.

With ``--regression`` the same network learns to name the latents at once, with squared error: it answers with their
mean over all pictures that the small one may have been, which is the smoothest answer and the best by PSNR.
"""

import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

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
from transformers import CLIPTextModel, CLIPTokenizer

from sdkit.diffusion import latents as latent
from sdkit.evaluate import measure
from sdkit.files import models_dir
from sdkit.pictures import art
from sdkit.recipes import cards, training
from sdkit.recipes.muon import Muon, split
from sdkit.upscale import FACTOR, own_scaling

SIDE = 256  # px, of the pictures that are learned from; their small versions have 64
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.BOX, Image.Resampling.LANCZOS)
# as the real upscaler's
BETAS = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}


def schedulers():
    """What noises small pictures, and the solver for latents: both with the schedule of the real upscaler."""
    solver = DPMSolverMultistepScheduler(
        **BETAS, prediction_type="v_prediction", timestep_spacing="trailing"
    )
    return DDPMScheduler(**BETAS, prediction_type="v_prediction"), solver


def network(channels, latent_channels, noise_levels):
    """The UNet: plain convolutions without attention, so that a picture may be of any size and be done in tiles.

    There is no text in it (diffusers' pipeline encodes a prompt, the network passes over it); its class embedding says
    how noisy the small picture is, 0 to noise_levels - 1. All those embeddings start almost equal.
    """
    unet = UNet2DConditionModel(
        sample_size=SIDE // FACTOR,
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


def squares_of(pictures, count, rng):
    """``count`` squares of 256 px at many scales, never enlarged; each picture's turn comes equally often."""
    large = [picture for picture in pictures if min(picture.image.size) >= SIDE] or pictures
    order = np.concatenate([rng.permutation(len(large)) for _ in range(-(-count // len(large)))])[
        :count
    ]
    return [art.crop(large[k], SIDE, rng, (SIDE, min(large[k].image.size))) for k in order]


def shrink(square, box, rng, clean=0.5):
    """The part ``box`` (left, top, right, bottom, in px) of a square, four times smaller, uint8 (h, w, 3).

    By the bicubic, box or Lanczos filter; with the probability 1 - ``clean`` also a little blurred, noisy and
    compressed, as pictures are that people have lying about (Wang et al. 2021, Real-ESRGAN, much milder).
    """
    size = [(box[2] - box[0]) // FACTOR, (box[3] - box[1]) // FACTOR]
    small = Image.fromarray(square).resize(
        size, FILTERS[rng.choice(3, p=(0.6, 0.25, 0.15))], box=box
    )
    if rng.random() < clean:
        return np.asarray(small)
    small = np.asarray(small.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.6))), np.float32)
    small = (
        (small + rng.uniform(0, 3) * rng.standard_normal(small.shape))
        .clip(0, 255)
        .round()
        .astype(np.uint8)
    )
    file = BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=int(rng.integers(70, 98)), subsampling=0)
    return np.asarray(Image.open(file))


def encoded(vae, squares, accelerator, together=16):
    """List of uint8 (S, S, 3) -> float16 latents (N, C, S/f, S/f) on the CPU."""
    latents = []
    for k in tqdm(range(0, len(squares), together), desc="latents"):
        x = art.to_batch(squares[k : k + together]).to(memory_format=torch.channels_last)
        with accelerator.autocast():
            latents.append(latent.encode(vae, x).half().cpu())
    return torch.cat(latents)


def repainted(vae, squares, rng, together=50):
    """Squares (list of uint8 (S, S, 3)) four times smaller, as if the model had drawn them: uint8 (N, S/4, S/4, 3).

    What its decoder gives is soft. Some noise in the latents stands for the sampler's errors.
    """
    made, generator = [], training.torch_rng(rng)
    for k in tqdm(range(0, len(squares), together), desc="repainted"):
        small = [
            np.asarray(Image.fromarray(square).reduce(FACTOR))
            for square in squares[k : k + together]
        ]
        latents = latent.encode(vae, art.to_batch(small)).cpu()
        noise = torch.randn(latents.shape, generator=generator) * torch.rand(
            len(small), 1, 1, 1, generator=generator
        )
        made.append(latent.decode(vae, latents + 0.15 * noise).cpu())
    return ((torch.cat(made).permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


@torch.no_grad()
def worlds_of(vae, pictures, drawn, squares, seed, accelerator):
    """What is learned from: for each world its pictures, their latents, and the small pictures as the model draws them.

    Postcards of 256 px, for what is drawn at 64; of 512, for what is drawn again at 128; and squares of 256 px of
    ``pictures``, of which nobody draws small ones (None).
    """
    worlds = []
    for number, side in enumerate((SIDE, 2 * SIDE)):
        whole = list(cards.render(drawn, side)[1])
        worlds.append(
            (
                whole,
                encoded(vae, whole, accelerator),
                repainted(vae, whole, training.rng(seed, 2**31 + 1 + number)),
            )
        )
    chosen = squares_of(pictures, squares, training.rng(seed, 2**31))
    return [*worlds, (chosen, encoded(vae, chosen, accelerator), None)]


def main(
    art_dir="../shared/art",
    pipeline="",
    out="",
    regression=False,
    steps=3000,
    batch_size=32,
    sizes="24,32",
    channels="64,96,96",
    drawn=1000,
    squares=1400,
    card_share=0.5,
    repainted_share=0.5,
    learning_rate=2.4e-3,
    max_noise_level=100,
    clean=0.5,
    ema_decay=0.999,
    initial="",
    shown=12,
    seed=0,
    runs="",
    limit=0,
):
    """Train the upscaler on crops of latents and save it in fp16 in the layout of diffusers, without mini-sd's parts.

    pipeline: folder with vae, tokenizer and text_encoder (default: data/models/mini-sd); out: folder to save in
    (default: data/models/mini-upscaler); regression: train the regressor instead and save it in out/regressor;
    sizes: of crops in latent pixels, four picture pixels each, as in sdkit.recipes.unet, and of larger ones fewer than
    batch_size; drawn, squares: how many postcards of each size and squares of art are learned from, see worlds_of;
    card_share: share of steps on postcards; repainted_share: of the small ones, how many have been through the VAE,
    as have those that mini-sd draws; max_noise_level: timestep of the noise that small pictures may get, half of
    them get the least; clean: share of the small pictures that are not degraded; initial: folder of a trained network
    to go on from; shown: how many held-out pictures of each kind are measured at the end; runs: where checkpoints and
    the curve lie (default: runs/upscaler or runs/regressor); limit: pictures per folder (0: all).
    """
    settings = dict(recipe="sdkit.recipes.upscaler", **locals())
    parts = Path(pipeline) if pipeline else models_dir() / "mini-sd"
    out = Path(out) if out else models_dir() / "mini-upscaler"
    accelerator = training.accelerator()
    device, rank = accelerator.device, accelerator.process_index
    torch.manual_seed(seed)
    vae = (
        AutoencoderKL.from_pretrained(parts / "vae")
        .float()
        .to(device, memory_format=torch.channels_last)
        .eval()
    )
    noiser, solver = schedulers()
    widths, crop_sizes = (
        [int(number) for number in numbers.split(",")] for numbers in (channels, sizes)
    )
    unet = network(widths, vae.config.latent_channels, max_noise_level + 1)
    if initial:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(initial).state_dict())
        settings["initial"] = json.loads((Path(initial) / "recipe.json").read_text())
    unet = unet.to(device, memory_format=torch.channels_last)
    optimizer = Muon(*split(unet), learning_rate, weight_decay=0.01)
    run = training.Run(runs or f"runs/{'regressor' if regression else 'upscaler'}", accelerator)
    unet, start = run.begin(unet, optimizer, steps, warmup=200, ema_decay=ema_decay)

    pictures = art.load(art_dir, "train", limit=limit or None)
    worlds = worlds_of(vae, pictures, drawn, squares, seed, accelerator) if start < steps else []

    def make(step):
        rng = training.rng(seed, step, rank)
        truths, latents, as_drawn = worlds[rng.integers(2) if rng.random() < card_share else 2]
        size = crop_sizes[rng.integers(len(crop_sizes))]
        small, wanted = [], []
        for _ in range(max(1, round(batch_size * (crop_sizes[0] / size) ** 2))):
            k, (top, left) = (
                rng.integers(len(truths)),
                rng.integers(latents.shape[-1] - size + 1, size=2),
            )
            box = [int(FACTOR * edge) for edge in (left, top, left + size, top + size)]
            if as_drawn is None or rng.random() >= repainted_share:
                small.append(shrink(truths[k], box, rng, clean))
            else:
                small.append(as_drawn[k, top : top + size, left : left + size])
            wanted.append(latents[k, :, top : top + size, left : left + size])
        levels = rng.integers(max_noise_level + 1, size=len(small)) * (rng.random(len(small)) < 0.5)
        # The last steps are practised oftener, for details are decided there; regression: all 0.
        timesteps = (len(noiser) * rng.random(len(small)) ** 1.5).astype(int) * (not regression)
        generator = training.torch_rng(rng)
        small, latents = art.to_batch(small), torch.stack(wanted).float()
        grain, noise = (torch.randn(x.shape, generator=generator) for x in (small, latents))
        return (
            noiser.add_noise(small, grain, torch.from_numpy(levels)),
            latents,
            noise,
            torch.from_numpy(levels),
            torch.from_numpy(timesteps),
        )

    name = "regressor" if regression else "upscaler"
    for step, (small, latents, noise, levels, timesteps) in run.steps(name, make, start, steps):
        if regression:
            noisy, target = torch.zeros_like(latents), latents
        else:
            noisy, target = (
                noiser.add_noise(latents, noise, timesteps),
                noiser.get_velocity(latents, noise, timesteps),
            )
        # (B, C + 3, h, w)
        inputs = torch.cat([noisy, small], dim=1).to(device, memory_format=torch.channels_last)
        predicted = unet(
            inputs, timesteps.to(device), None, class_labels=levels.to(device)
        ).sample.float()
        loss = (predicted - target.to(device)).square().mean()
        run.descend(loss)
        run.record(step, loss=loss)
    if not accelerator.is_main_process:
        return
    unet = run.averaged().half()
    folder = out / ("regressor" if regression else "unet")
    unet.save_pretrained(folder)
    unet, vae = unet.float(), vae.cpu()
    if regression:
        pipe = SimpleNamespace(vae=vae, unet=None, regressor=unet)
    else:
        with own_scaling(vae):
            pipe = StableDiffusionUpscalePipeline(
                vae,
                CLIPTextModel.from_pretrained(parts / "text_encoder"),
                CLIPTokenizer.from_pretrained(parts / "tokenizer"),
                unet,
                noiser,
                solver,
                max_noise_level=max_noise_level,
            )
        pipe.save_config(out)  # model_index.json; three of its parts are mini-sd's
        solver.save_pretrained(out / "scheduler")
        noiser.save_pretrained(out / "low_res_scheduler")
        pipe.regressor = None
        if (out / "regressor").is_dir():
            pipe.regressor = UNet2DConditionModel.from_pretrained(out / "regressor").float()
    metrics = measure.measure_upscaler(pipe, art_dir, count=shown, limit=limit or None)
    training.write_record(folder, run, settings, metrics, art.data_hash(pictures))
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    training.command_line(main)
