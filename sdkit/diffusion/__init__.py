"""The diffusion itself: schedule, samplers, latents, prompts, and where attention looks."""
