"""The samplers against diffusers: single steps, and whole image-to-image and text-to-image runs."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    StableDiffusionPipeline,
)

from sdkit import latents, models, photos, points, prompts, sampler, schedule
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
def test_timesteps_equal_those_of_diffusers(n):
    scheduler = ddim()
    scheduler.set_timesteps(n)
    assert sampler.timesteps(schedule.scaled_linear(), n) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.57, 1.0])
def test_strength_keeps_the_last_timesteps(tiny_pipe, strength):
    tiny_pipe.scheduler.set_timesteps(20)
    expected, _ = tiny_pipe.get_timesteps(20, strength, "cpu")
    assert sampler.timesteps(schedule.scaled_linear(), 20, strength) == expected.tolist()


@pytest.mark.parametrize("n, strength", [(4, 0.2), (0, 1.0), (1000, 1.0)])
def test_impossible_timesteps_give_a_clear_sentence(n, strength):
    with pytest.raises(SdkitError):
        sampler.timesteps(schedule.scaled_linear(), n, strength)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("t", [901, 451, 1])  # at t = 1 the chain ends
def test_ddim_step_equals_diffusers(prediction_type, eta, t):
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


def test_unknown_prediction_type_gives_a_clear_sentence():
    with pytest.raises(SdkitError, match="epsilon"):
        sampler.predictions(
            schedule.Schedule([0.1], prediction_type="sample"), torch.ones(1), 0, torch.ones(1)
        )


def test_guidance_interpolates_and_extrapolates():
    uncond, cond = torch.tensor([1.0]), torch.tensor([3.0])
    assert sampler.guide(uncond, cond, 0.0) == uncond
    assert sampler.guide(uncond, cond, 1.0) == cond
    assert sampler.guide(uncond, cond, 4.0) == 9.0


@pytest.mark.parametrize(
    "pipe, guidance_scale, strength",
    [
        ("tiny_pipe", 4.0, 0.5),
        ("tiny_pipe", 1.0, 0.5),
        ("tiny_pipe", 7.5, 0.8),
        ("one_call", 4.0, 0.5),
    ],
)
def test_denoise_equals_image_to_image_of_diffusers(pipe, guidance_scale, strength, request):
    pipe = request.getfixturevalue(pipe)
    image = photos.resize(photos.sample("astronaut"), 64)
    expected = pipe(
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
    x0 = latents.encode(pipe.vae, photos.to_tensor(image), generator)
    noise = torch.randn(x0.shape, generator=generator)
    sched = schedule.Schedule.of(pipe.scheduler)
    steps = sampler.timesteps(sched, 10, strength)
    prompt, negative = prompts.encode(
        pipe.tokenizer, pipe.text_encoder, ["van gogh", "a photo"]
    ).split(1)
    states = list(
        sampler.denoise(
            pipe.unet,
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
def test_denoise_equals_text_to_image_of_diffusers(
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


def test_unknown_solver_gives_a_clear_sentence(tiny_pipe):
    with pytest.raises(SdkitError, match="Choose 'ddim' or 'dpm\\+\\+'"):
        next(
            sampler.denoise(
                None, None, torch.zeros(1), torch.zeros(1, 1, 1), None, [1], 1.0, solver="heun"
            )
        )


def test_last_step_returns_pred_x0_if_the_chain_ends_at_one():
    """With final_alpha_cumprod = 1 the last step adds no noise back."""
    sched = schedule.Schedule(schedule.scaled_linear().betas, final_alpha_cumprod=1.0)
    prev, x0 = sampler.ddim_step(sched, torch.randn(1, 8, 4, 4), 1, -1, torch.randn(1, 8, 4, 4))
    torch.testing.assert_close(prev, x0)


def test_denoise_points_equals_ancestral_sampling_of_diffusers():
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


@pytest.mark.parametrize("guidance_scale, copies", [(0.5, 1), (1.0, 1), (1.5, 2)])
def test_the_unet_sees_each_latent_twice_only_with_guidance(guidance_scale, copies):
    batches = []

    def unet(inputs, t, encoder_hidden_states):
        batches.append((len(inputs), len(encoder_hidden_states)))
        return SimpleNamespace(sample=inputs)

    embeds, latent = torch.randn(2, 3, 5, 8), torch.randn(3, 4, 2, 2)
    prompt, negative = embeds
    list(
        sampler.denoise(unet, schedule.linear(), latent, prompt, negative, [500, 1], guidance_scale)
    )
    assert batches == [(3 * copies, 3 * copies)] * 2


def test_the_embedding_of_guidance_scales_is_that_of_diffusers():
    scales = torch.tensor([1.0, 1.3, 5.0, 10.0])
    expected = StableDiffusionPipeline.get_guidance_scale_embedding(None, scales - 1, 256)
    torch.testing.assert_close(sampler.embed_scales(scales, 256), expected, atol=1e-4, rtol=0)


def test_each_latent_gets_its_own_prompt_and_the_negative_prompt_is_the_first_half():
    seen = []

    def unet(inputs, t, encoder_hidden_states):
        seen.append(encoder_hidden_states)
        return SimpleNamespace(sample=inputs)

    prompt, negative = torch.randn(3, 5, 8), torch.randn(1, 5, 8)
    list(
        sampler.denoise(
            unet, schedule.linear(), torch.randn(3, 4, 2, 2), prompt, negative, [500], 2.0
        )
    )
    torch.testing.assert_close(seen[0], torch.cat([negative, negative, negative, prompt]))


def test_states_hold_the_predicted_clean_latents():
    """DDPM's equation 4 solved for x0: (x_t - sqrt(1 - abar) epsilon) / sqrt(abar)."""
    sched, x, eps = schedule.linear(), torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    embeds = torch.zeros(1, 5, 8)
    unet = lambda inputs, t, encoder_hidden_states: SimpleNamespace(sample=eps)
    for solver in ("ddim", "dpm++"):
        state = next(sampler.denoise(unet, sched, x, embeds, embeds, [700, 300], 1.0, solver))
        abar = sched.alphas_cumprod[700].float()
        torch.testing.assert_close(state.pred_x0, (x - (1 - abar).sqrt() * eps) / abar.sqrt())
        assert not torch.equal(state.latents, state.pred_x0)


def test_schedule_keeps_the_prediction_type_of_the_scheduler():
    for prediction_type in ("epsilon", "v_prediction"):
        sched = schedule.Schedule.of(ddim(prediction_type=prediction_type))
        assert sched.prediction_type == prediction_type


@pytest.mark.parametrize("n", [1, 2, 8, 50])
def test_steps_on_a_straight_road_are_those_of_diffusers(n):
    """FlowMatchEulerDiscreteScheduler, from pure noise to the end, to 1e-6."""
    scheduler, road = FlowMatchEulerDiscreteScheduler(1000), schedule.straight(1000)
    x = expected = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    visited = [round(1000 * (1 - k / n)) - 1 for k in range(n)]
    scheduler.set_timesteps(sigmas=[(t + 1) / 1000 for t in visited])
    for t, t_prev, timestep in zip(visited, [*visited[1:], -1], scheduler.timesteps):
        velocity = (2 * x + 0.001 * t).sin()
        expected = scheduler.step(velocity, timestep, x).prev_sample
        x, x0 = sampler.ddim_step(road, velocity, t, t_prev, x)
        torch.testing.assert_close(x, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(x, x0)


@pytest.mark.parametrize("n", [3, 8])
def test_dpm_steps_on_a_straight_road_are_those_of_diffusers(n):
    scheduler = DPMSolverMultistepScheduler(
        1000,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=1.0,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(n)
    road, previous = schedule.straight(1000), None
    visited = [round(1000 * u.item()) - 1 for u in scheduler.sigmas[:-1]]
    scheduler.sigmas = torch.tensor([(t + 1) / 1000 for t in visited] + [0.0])
    x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    for t, t_prev, timestep in zip(visited, [*visited[1:], -1], scheduler.timesteps):
        velocity = (2 * x + 0.001 * t).sin()
        expected = scheduler.step(velocity, timestep, x).prev_sample
        x, x0 = sampler.dpm_step(road, velocity, t, t_prev, x, previous)
        previous = t, x0
        torch.testing.assert_close(x, expected, atol=1e-5, rtol=1e-5)


def test_fresh_noise_on_a_straight_road_leaves_the_level_as_it_should_be():
    """With eta = 1 and the true answer, the noise that is left has the factor u of its timestep."""
    road, generator = schedule.straight(100), torch.Generator().manual_seed(0)
    x0 = torch.full((200_000, 1), 3.0)
    noise, fresh = torch.randn(2, 200_000, 1, generator=generator).unbind()
    x = road.add_noise(x0, noise, 79)
    for eta in (0.0, 0.6, 1.0):
        there, _ = sampler.ddim_step(road, noise - x0, 79, 39, x, eta, fresh)
        assert there.mean().item() == pytest.approx(0.6 * 3, abs=0.005)
        assert there.std().item() == pytest.approx(0.4, abs=0.005)
        overlap = torch.corrcoef(torch.cat([there, noise], 1).T)[0, 1].item()
        # the variance that step 39 of the chain keeps: abar_t / abar_prev, times its noise
        abar, abar_prev = road.alpha_cumprod(79).item(), road.alpha_cumprod(39).item()
        kept = 1 - eta**2 * (1 - abar / abar_prev) / (1 - abar)
        assert overlap == pytest.approx(kept**0.5, abs=0.01)


def test_noise_v_and_velocity_walk_to_the_same_points_through_the_same_noise_levels():
    """The velocity of a mixture is known. So are the noise and v, and they give the same steps."""
    ring = points.Mixture(points.RING.centres.double(), 0.1)
    straight, ends = schedule.straight(40), []

    def network(road):
        def answer(x, t):
            signal, strength = road.factors(t)
            mixture = points.Mixture(
                signal * ring.centres, float((signal * ring.sigma) ** 2 + strength**2) ** 0.5
            )
            noise = -strength * mixture.score(x)  # the mean of the noise (Vincent 2011)
            clean = (x - strength * noise) / signal if signal > 0 else x * 0
            return road.target(clean, noise, t)

        return answer

    for kind in ("epsilon", "v_prediction", "flow_prediction"):
        road = schedule.Schedule(straight.betas, 1.0, kind)
        x0, noise = torch.randn(2, 60, 2, generator=torch.Generator().manual_seed(0)).double()
        x, visited = road.add_noise(x0, noise, 35), [35, 30, 20, 10, 3]
        *_, (_, x) = sampler.denoise_points(network(road), road, x, None, visited, 0.0)
        ends.append(x)
    torch.testing.assert_close(ends[0], ends[1], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ends[0], ends[2], atol=1e-6, rtol=1e-6)
