"""Postcards of 128 px in pairs: as rendered, and what the model made of them at 64 px, enlarged.

Drawn small, a thing is a few latent pixels wide and comes out soft and a little melted; drawn again at twice the size,
from what was drawn small (the "hires fix" of those who use Stable Diffusion; a cascade, Ho et al. 2022), it has room
for its edges. For that the denoiser learns where its own small pictures go wrong.
"""

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionImg2ImgPipeline
from tqdm.auto import tqdm

from sdkit import postcards
from sdkit.pictures import art, photos
from sdkit.recipes import cards, training

SIDE = 128  # px, of the pictures to arrive at; half of that is where they come from
TOGETHER = 64  # pictures in a batch; every other batch is only enlarged, softened by the VAE
# how much of the small picture the model draws itself; more, and it would be another one
STRENGTHS = (0.3, 0.7)
STEPS, GUIDANCE = 16, 2.0


@torch.no_grad()
def encode(parts, scheduler, count, rng, precision="no"):
    """The first ``count`` training postcards: (list of `Postcard`, float16 latents (count, 2, C, h, w)).

    Of each the rendered one and the one to start from. parts: vae, text_encoder, tokenizer and unet, in float32.
    """
    pipe = StableDiffusionImg2ImgPipeline(
        **parts,
        scheduler=DPMSolverMultistepScheduler.from_config(scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    vae, device = pipe.vae, pipe.device
    shown, pictures = cards.render(count, SIDE)
    small, latents = cards.render(count, SIDE // 2)[1], []
    for first in tqdm(range(0, count, TOGETHER), desc="redrawn"):
        some = slice(first, first + TOGETHER)
        x = art.to_batch(list(small[some])).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            if first // TOGETHER % 2:
                images = map(
                    photos.to_image, vae.decode(vae.encode(x).latent_dist.mode()).sample.float()
                )
            else:
                images = pipe(
                    [postcards.caption(card, rng, ()) for card in shown[some]],
                    image=(x + 1) / 2,
                    strength=rng.uniform(*STRENGTHS),
                    guidance_scale=GUIDANCE,
                    num_inference_steps=STEPS,
                    generator=training.torch_rng(rng),
                ).images
            starts = [np.asarray(photos.resize(image, SIDE)) for image in images]
            pair = [
                vae.encode(art.to_batch(list(squares)).to(device)).latent_dist.mode()
                for squares in (pictures[some], starts)
            ]
        latents.append((torch.stack(pair, 1).float() * vae.config.scaling_factor).half().cpu())
    return shown, torch.cat(latents)
