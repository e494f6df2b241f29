"""Diffusion itself: noise schedules, samplers, latents, prompts and attention maps."""
