"""Pictures to latents and back, scaled by the VAE's `scaling_factor`.

The factor gives latents about unit variance, which is what the noise schedule expects (Rombach et
al. 2022, arXiv:2112.10752, appendix G). Training a VAE measures the factor (`sdkit.recipes.vae`);
the diffusers pipelines apply it themselves.
"""

import torch
from torch import nn

from sdkit.pictures import broken


@torch.no_grad()
def encode(
    vae: nn.Module, x: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Encode pictures x (B, 3, H, W) in [-1, 1] to latents (B, C, H/f, W/f) of about unit variance.

    Without a `generator`, the result is the mode of the posterior. With one, it is a sample from
    the posterior, as in the image-to-image pipelines.
    """
    posterior = vae.encode(x.to(vae.device, vae.dtype)).latent_dist
    latents = posterior.mode() if generator is None else posterior.sample(generator)
    return latents * vae.config.scaling_factor


@torch.no_grad()
def decode(vae: nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """Decode latents (B, C, h, w) to pictures (B, 3, f*h, f*w), clipped to [-1, 1].

    Raises `SdkitError` if the VAE gives numbers that are not finite.
    """
    latents = latents.to(vae.device, vae.dtype)
    x = vae.decode(latents / vae.config.scaling_factor).sample
    broken.refuse_not_finite(x, "pixels")  # before clipping, which makes infinity white
    return x.clamp(-1, 1)
