"""Pictures to latents and back: the only place where `scaling_factor` appears.

The factor brings latents to about unit variance, so that the noise schedule fits them
(Rombach et al. 2022, arXiv:2112.10752, appendix G).
"""

import torch


@torch.no_grad()
def encode(vae, x, generator=None):
    """Encode pictures x (B, 3, H, W) in [-1, 1] to latents (B, C, H/f, W/f) of about unit variance.

    Without a `generator` the most likely latents; with one, a sample of the posterior, as the pipelines take.
    """
    posterior = vae.encode(x.to(vae.device, vae.dtype)).latent_dist
    latents = posterior.mode() if generator is None else posterior.sample(generator)
    return latents * vae.config.scaling_factor


@torch.no_grad()
def decode(vae, latents):
    """Decode latents (B, C, h, w) to pictures (B, 3, f*h, f*w), clipped to [-1, 1]."""
    latents = latents.to(vae.device, vae.dtype)
    return vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)
