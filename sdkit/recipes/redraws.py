"""Postcards of 128 px in pairs: as rendered, and as the model drew them at 64 px, enlarged.

In a picture of 64 px a thing is a few latent pixels wide, so it becomes soft and its edges run
together. When the model draws it again at twice the size, starting from the small picture, the
edges become clear (the "hires fix" of Stable Diffusion users; a cascade, Ho et al. 2022). For this
the denoiser learns to correct its own small pictures.
"""

from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, StableDiffusionImg2ImgPipeline
from tqdm.auto import tqdm

from sdkit import postcards
from sdkit.diffusion import latents
from sdkit.pictures import photos
from sdkit.postcards import Postcard
from sdkit.recipes import cards, training

SIDE = 128  # px, of the rendered pictures; the small ones have half of that
BATCH_SIZE = 64
# how much of the small picture the model draws again; with more it would be another picture
STRENGTHS = (0.3, 0.7)
STEPS, GUIDANCE = 16, 2.0


@torch.no_grad()
def encode(
    networks: dict[str, Any],
    scheduler: DDIMScheduler,
    count: int,
    rng: np.random.Generator,
    precision: str = "no",
) -> tuple[list[Postcard], torch.Tensor]:
    """The first ``count`` training postcards: (cards, float16 latents (count, 2, C, h, w)).

    Of each there are the rendered picture and the one to start from. In every other batch the small
    picture is not drawn by the model; it only went through the VAE, which makes it soft. networks:
    vae, text_encoder, tokenizer and unet, in float32.
    """
    pipe = StableDiffusionImg2ImgPipeline(
        **networks,
        scheduler=DPMSolverMultistepScheduler.from_config(scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    shown, pictures = cards.render(count, SIDE)
    small, made = cards.render(count, SIDE // 2)[1], []
    for first in tqdm(range(0, count, BATCH_SIZE), desc="redrawn"):
        some = slice(first, first + BATCH_SIZE)
        x = photos.to_batch(small[some]).to(pipe.device)
        with torch.autocast(pipe.device.type, torch.bfloat16, enabled=precision == "bf16"):
            if first // BATCH_SIZE % 2:
                images = map(
                    photos.to_image, latents.decode(pipe.vae, latents.encode(pipe.vae, x)).float()
                )
            else:
                images = pipe(
                    [postcards.caption(card, rng, ()) for card in shown[some]],
                    image=(x + 1) / 2,  # the pipeline takes tensors in [0, 1]
                    strength=rng.uniform(*STRENGTHS),
                    guidance_scale=GUIDANCE,
                    num_inference_steps=STEPS,
                    generator=training.torch_rng(rng),
                ).images
            starts = [np.asarray(photos.resize(image, SIDE)) for image in images]
        pair = [training.encode_batches(pipe.vae, squares) for squares in (pictures[some], starts)]
        made.append(torch.stack(pair, 1))
    return shown, torch.cat(made)
