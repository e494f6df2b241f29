"""The sampler against diffusers: its scheduler step by step, and its image-to-image pipeline as a whole."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
)

from sdkit import latents, models, photos, prompts, sampler, schedule
from sdkit.errors import SdkitError
from sdkit.files import models_dir


def ddim(**changes):
    return DDIMScheduler(
        **{
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "clip_sample": False,
            "set_alpha_to_one": False,
            "steps_offset": 1,
            **changes,
        }
    )


@pytest.mark.parametrize("n", [1, 7, 20, 50, 300])
def test_timesteps_are_those_of_diffusers(n):
    scheduler = ddim()
    scheduler.set_timesteps(n)
    assert sampler.timesteps(schedule.scaled_linear(), n) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.57, 1.0])
def test_strength_keeps_the_last_timesteps(tiny_pipe, strength):
    tiny_pipe.scheduler.set_timesteps(20)
    expected, _ = tiny_pipe.get_timesteps(20, strength, "cpu")
    assert sampler.timesteps(schedule.scaled_linear(), 20, strength) == expected.tolist()


@pytest.mark.parametrize("n, strength", [(4, 0.2), (0, 1.0), (1000, 1.0)])
def test_timesteps_that_do_not_work_are_a_sentence(n, strength):
    with pytest.raises(SdkitError):
        sampler.timesteps(schedule.scaled_linear(), n, strength)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("t", [901, 451, 1])  # at t = 1 the chain ends
def test_ddim_step_is_that_of_diffusers(prediction_type, eta, t):
    scheduler = ddim(prediction_type=prediction_type)
    scheduler.set_timesteps(20)
    sample, output, noise = torch.randn(
        3, 2, 8, 4, 4, generator=torch.Generator().manual_seed(0)
    ).unbind()
    expected = scheduler.step(output, t, sample, eta=eta, variance_noise=noise)
    prev, x0 = sampler.ddim_step(
        schedule.Schedule.of(scheduler), output, t, t - 50, sample, eta, noise
    )
    torch.testing.assert_close(prev, expected.prev_sample, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x0, expected.pred_original_sample, atol=1e-5, rtol=1e-5)


def test_unknown_prediction_type_is_a_sentence():
    with pytest.raises(SdkitError, match="epsilon"):
        sampler.predictions(
            schedule.Schedule([0.1], prediction_type="sample"), torch.ones(1), 0, torch.ones(1)
        )


def test_guide_at_the_two_ends():
    uncond, cond = torch.tensor([1.0]), torch.tensor([3.0])
    assert sampler.guide(uncond, cond, 0.0) == uncond
    assert sampler.guide(uncond, cond, 1.0) == cond
    assert sampler.guide(uncond, cond, 4.0) == 9.0


@pytest.mark.parametrize("guidance_scale, strength", [(4.0, 0.5), (1.0, 0.5), (7.5, 0.8)])
def test_denoise_is_image_to_image_of_diffusers(tiny_pipe, guidance_scale, strength):
    image = photos.resize(photos.sample("astronaut"), 64)
    expected = tiny_pipe(
        prompt="van gogh",
        negative_prompt="a photo",
        image=image,
        strength=strength,
        guidance_scale=guidance_scale,
        num_inference_steps=10,
        output_type="latent",
        generator=torch.Generator().manual_seed(3),
    ).images

    # the same draws: first the posterior's sample, then the noise
    generator = torch.Generator().manual_seed(3)
    x0 = latents.encode(tiny_pipe.vae, photos.to_tensor(image), generator)
    noise = torch.randn(x0.shape, generator=generator)
    sched = schedule.Schedule.of(tiny_pipe.scheduler)
    steps = sampler.timesteps(sched, 10, strength)
    prompt, negative = prompts.encode(
        tiny_pipe.tokenizer, tiny_pipe.text_encoder, ["van gogh", "a photo"]
    ).split(1)
    states = list(
        sampler.denoise(
            tiny_pipe.unet,
            sched,
            sched.add_noise(x0, noise, steps[0]),
            prompt,
            negative,
            steps,
            guidance_scale,
        )
    )

    assert [(s.step, s.t) for s in states] == list(enumerate(steps))
    torch.testing.assert_close(states[-1].latents, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "scheduler, solver",
    [
        (DDIMScheduler, "ddim"),
        (EulerDiscreteScheduler, "ddim"),
        (DPMSolverMultistepScheduler, "dpm++"),
    ],
)
@pytest.mark.parametrize("folder", ["tiny", "mini-sd"])
@pytest.mark.parametrize("steps", [4, 17])
def test_denoise_is_text_to_image_of_diffusers(
    tiny_sd, scheduler, solver, folder, steps, monkeypatch
):
    pipe = models.load(
        tiny_sd if folder == "tiny" else models_dir() / folder, task="text2img", device="cpu"
    )
    monkeypatch.setattr(pipe, "scheduler", scheduler.from_config(pipe.scheduler.config))
    pipe.scheduler.set_timesteps(steps)
    side = 16 if folder == "tiny" else 8
    noise = torch.randn(1, 8, side, side, generator=torch.Generator().manual_seed(1))
    embeds = prompts.encode(pipe.tokenizer, pipe.text_encoder, ["van gogh", ""])
    *_, last = sampler.denoise(
        pipe.unet,
        schedule.Schedule.of(pipe.scheduler),
        noise,
        embeds[:1],
        embeds[1:],
        [int(t) for t in pipe.scheduler.timesteps],
        3.0,
        solver,
    )
    expected = pipe(
        "van gogh",
        latents=noise,
        num_inference_steps=steps,
        guidance_scale=3.0,
        height=4 * side,
        width=4 * side,
        output_type="latent",
    ).images
    torch.testing.assert_close(last.latents, expected, atol=1e-5, rtol=1e-5)


def test_an_unknown_solver_is_a_sentence(tiny_pipe):
    with pytest.raises(SdkitError, match="Take 'ddim' or 'dpm\\+\\+'"):
        next(
            sampler.denoise(
                None, None, torch.zeros(1), torch.zeros(1, 1, 1), None, [1], 1.0, solver="heun"
            )
        )


def test_the_last_clean_estimate_is_the_result_when_the_chain_ends_at_one():
    """With final_alpha_cumprod = 1 nothing is left to add after the last step."""
    sched = schedule.Schedule(schedule.scaled_linear().betas, final_alpha_cumprod=1.0)
    prev, x0 = sampler.ddim_step(sched, torch.randn(1, 8, 4, 4), 1, -1, torch.randn(1, 8, 4, 4))
    torch.testing.assert_close(prev, x0)


def test_walking_all_the_way_is_the_ancestral_sampling_of_diffusers():
    chain = schedule.log_linear(30)
    scheduler = DDPMScheduler(
        30, trained_betas=chain.betas.numpy(), clip_sample=False, variance_type="fixed_small"
    )
    scheduler.set_timesteps(30)
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.Generator().manual_seed(1) for _ in range(2))

    def network(x, t):
        return (3 * x + 0.1 * t).sin()

    walked = list(sampler.denoise_points(network, chain, x, ours))
    assert [t for t, _ in walked] == scheduler.timesteps.tolist()
    for t, stepped in walked:
        expected = scheduler.step(network(x, t), t, x, generator=theirs).prev_sample
        torch.testing.assert_close(stepped, expected, atol=1e-4, rtol=1e-4)
        x = stepped
