"""Latents of paintings and photographs in pairs: the picture, and the same stripped of its style.

Image to image starts from a noised photograph, but a denoiser that only ever saw noised paintings takes whatever is
left of the photograph's colours for a painting's, and keeps them. So it learns from pairs as well: the picture it
shall arrive at, and a plain one of the same drawing to start from. Nobody has the scenes that Van Gogh painted, but
taking a style off is easier than putting it on (Wang et al. 2023, StyleDiffusion): brush strokes are smoothed away
(total variation, Chambolle 2004), and the palette becomes that of some photograph.
"""

import numpy as np
import torch
from PIL import Image, ImageOps
from skimage.color import lab2rgb, rgb2lab
from skimage.restoration import denoise_tv_chambolle

from sdkit.pictures import art
from sdkit.recipes import training
from sdkit.recipes.strokes import transfer_palette

# For each group of pictures, how often it is drawn and at how many scales each picture is encoded. Van Gogh is what
# the lab demo asks for, and there are only 25 of his paintings to learn from.
GROUPS = {
    "van gogh": (0.24, 8),
    "van gogh, portrait": (0.22, 8),
    "van gogh, repainted": (0.04, 1),
    "a photo": (0.08, 3),
    "a photo, portrait": (0.12, 1),
    "ukiyo-e": (0.12, 3),
    "impressionism": (0.10, 3),
    "oil painting": (0.08, 1),
}
SHORT_SIDES = (240, 520)  # px
SMOOTHING = (0.05, 0.2)  # weights of the total variation
PALETTE = (0.6, 1.0)  # how far the colours move
SWATCH = (128, 128)  # px, of the picture whose palette is taken


def group_of(picture):
    """Key into ``GROUPS``."""
    if picture.file.startswith("repainted/"):
        return "van gogh, repainted"
    head = picture.is_portrait and picture.style in ("van gogh", "a photo")
    return picture.style + ", portrait" * head


def plain(image, other, rng):
    """PIL ``image`` without its brush strokes, and more or less with the palette of the PIL image ``other``."""
    smooth = denoise_tv_chambolle(np.asarray(image) / 255, rng.uniform(*SMOOTHING), channel_axis=-1)
    lab = transfer_palette(rgb2lab(smooth), rgb2lab(np.asarray(other) / 255), rng.uniform(*PALETTE))
    return Image.fromarray((255 * lab2rgb(lab)).round().astype(np.uint8))


def versions(job):
    """A picture at several scales, each as it is and plain: list of uint8 (2, h, w, 3).

    job: the `art.Picture`; for each version the picture whose palette makes it plain; what it was before it was
    repainted, or None; which versions are mirrored, the odd ones (1) or the even (0); a generator.
    """
    picture, others, original, odd, rng = job
    native, made = min(picture.image.size), []
    low, high = (
        np.log(SHORT_SIDES[0]),
        np.log(max(SHORT_SIDES[0], min(SHORT_SIDES[1], 1.2 * native))),
    )
    for number, other in enumerate(others):
        short = np.exp(low + (high - low) * (number + rng.uniform()) / len(others))
        size = [8 * round(side * short / native / 8) for side in picture.image.size]
        image = picture.image.resize(size, Image.Resampling.LANCZOS)
        pair = [
            image,
            original.resize(size, Image.Resampling.LANCZOS)
            if original
            else plain(image, other, rng),
        ]
        made.append(np.stack([ImageOps.mirror(one) if number % 2 == odd else one for one in pair]))
    return made


@torch.no_grad()
def encode_all(vae, pictures, originals, rng, device, dtype):
    """Latents at several scales: group -> list of (picture, [float16 (2, C, h, w): as it is and plain, ...]).

    A painting is made plain by the palette of a photograph, a photograph by that of a painting; ``originals``, file ->
    PIL image, knows the photographs that were repainted, and need not be made.
    """
    photos, paintings = (
        [ImageOps.contain(p.image, SWATCH) for p in pictures if (p.style == "a photo") == wanted]
        for wanted in (True, False)
    )
    jobs, encoded = [], {}
    for number, (picture, own) in enumerate(zip(pictures, rng.spawn(len(pictures)))):
        others = paintings if picture.style == "a photo" else photos
        chosen = [others[own.integers(len(others))] for _ in range(GROUPS[group_of(picture)][1])]
        jobs.append((picture, chosen, originals.get(picture.file), number % 2, own))
    for (picture, *_), made in zip(jobs, training.by_all_cores(versions, jobs, "pairs")):
        latents = []
        for pair in made:
            x = art.to_batch(pair).to(device, memory_format=torch.channels_last)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == "bf16"):
                mean = vae.encode(x).latent_dist.mode()
            latents.append((mean.float() * vae.config.scaling_factor).half().cpu())
        encoded.setdefault(group_of(picture), []).append((picture, latents))
    return encoded
