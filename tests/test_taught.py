"""What the lessons' cells define, taken out of the notebooks, does what sdkit and diffusers do."""

import ast
import functools
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from PIL import Image

from sdkit import checks, generate, layout, photos, points, sampler, schedule, unet
from sdkit.schedule import Schedule
from tests.normalise import NOTEBOOKS


@functools.cache
def taught(path):
    """The functions and classes that a notebook's cells define, run with nothing but the notebook's own imports.

    Returns a namespace (dict). Later definitions may call earlier ones, as in the notebook.
    """
    cells = [cell.source for cell in nbformat.read(NOTEBOOKS / path, as_version=4).cells if cell.cell_type == "code"]
    nodes = [node for source in cells for node in ast.parse(source).body]
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    namespace = {}
    module = ast.Module([node for node in nodes if isinstance(node, kinds)], type_ignores=[])
    exec(compile(module, path, "exec"), namespace)  # our own notebook, already under review
    return namespace


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8))


@pytest.fixture
def pipe(tiny_pipe):
    tiny_pipe.scheduler = DDIMScheduler.from_config(tiny_pipe.scheduler.config)
    return tiny_pipe


@pytest.mark.parametrize("strength, guidance_scale, steps, seed",
                         [(0.5, 4.0, 8, 0), (1.0, 1.5, 5, 3), (0.2, 7.5, 10, 1)])
def test_paint_by_hand_is_the_pipeline(pipe, photo, strength, guidance_scale, steps, seed):
    by_hand, believed = taught("11_style_transfer.ipynb")["paint_by_hand"](
        pipe, photo, "van gogh", strength, guidance_scale, steps, seed)
    by_pipe = pipe(prompt="van gogh", image=photo, strength=strength, guidance_scale=guidance_scale,
                   num_inference_steps=steps, generator=torch.Generator().manual_seed(seed), output_type="pt").images
    assert len(believed) == int(steps * strength)
    torch.testing.assert_close(by_hand / 2 + 0.5, by_pipe.clamp(0, 1), atol=1e-5, rtol=0)


def test_paint_by_hand_believes_what_sdkit_believes(pipe, photo):
    from sdkit import latents, text
    _, believed = taught("11_style_transfer.ipynb")["paint_by_hand"](pipe, photo, "van gogh", 0.5, 4.0, 8, 0)
    schedule, generator = Schedule.of(pipe.scheduler), torch.Generator().manual_seed(0)
    timesteps = sampler.timesteps(schedule, 8, 0.5)
    x0 = latents.encode(pipe.vae, photos.to_tensor(photo), generator)
    noised = schedule.add_noise(x0, torch.randn(x0.shape, generator=generator), timesteps[0])
    embeds = text.encode(pipe.tokenizer, pipe.text_encoder, ["van gogh", ""])
    states = list(sampler.denoise(pipe.unet, schedule, noised, embeds[:1], embeds[1:], timesteps, 4.0))
    for ours, state in zip(believed, states, strict=True):
        torch.testing.assert_close(ours, state.pred_x0, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kept_strength, mask", [(0.25, 1.0), (0.75, 0.0)])
def test_paint_around_with_a_full_or_empty_mask_is_plain_painting(pipe, photo, kept_strength, mask):
    # All kept until 0.25 is plain painting at 0.25; nothing kept is plain painting at the whole strength.
    settings = generate.Settings("van gogh", strength=0.75, guidance_scale=4.0, num_inference_steps=8, size=64)
    h, w = photo.height // 4, photo.width // 4
    ours = taught("solutions/11_style_transfer.ipynb")["paint_around"](
        pipe, photo, torch.full((1, 1, h, w), mask), settings, face_strength=0.25)
    plain = generate.Settings("van gogh", strength=kept_strength, guidance_scale=4.0, num_inference_steps=8, size=64)
    theirs = generate.style(pipe, [photo], plain)[0]
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


@pytest.mark.parametrize("path, number, name", [
    ("02_forward_diffusion.ipynb", "02.2", "rebuild"), ("02_forward_diffusion.ipynb", "02.3", "shifted"),
    ("04_samplers.ipynb", "04.1", "order"), ("04_samplers.ipynb", "04.2", "heun"),
    ("04_samplers.ipynb", "04.3", "trailing"), ("00_start_here.ipynb", "00.2", "latent_numbers"),
    ("03_reverse_diffusion.ipynb", "03.1", "noise_between"), ("03_reverse_diffusion.ipynb", "03.2", "picture_from_v"),
    ("03_reverse_diffusion.ipynb", "03.3", "short_betas"),
    ("05_vae_latents.ipynb", "05.2", "paste"), ("05_vae_latents.ipynb", "05.3", "scaling_factor"),
    ("06_text_encoder.ipynb", "06.1", "rows_of"), ("06_text_encoder.ipynb", "06.2", "causal_attention"),
    ("06_text_encoder.ipynb", "06.3", "classify"),
    ("11_style_transfer.ipynb", "11.2", "pick_strength"), ("11_style_transfer.ipynb", "11.3", "blend"),
])
def test_the_lesson_leaves_the_exercises_open_and_the_solutions_close_them(path, number, name, capsys):
    checks.check(number, taught(path)[name])
    assert capsys.readouterr().out == f"{number}: not attempted yet.\n"
    checks.check(number, taught(f"solutions/{path}")[name])
    assert capsys.readouterr().out == f"{number}: ✓ right.\n"


FORWARD = "02_forward_diffusion.ipynb"
ENDS = {"beta_start": 0.00085, "beta_end": 0.012}  # of Stable Diffusion


@pytest.mark.parametrize("name, config", [
    ("linear", {"beta_schedule": "linear"}),
    ("scaled_linear", {"beta_schedule": "scaled_linear", **ENDS}),
    ("cosine", {"beta_schedule": "squaredcos_cap_v2"}),
])
@pytest.mark.parametrize("T", [1000, 50])
def test_taught_betas_are_those_of_sdkit_and_diffusers(name, config, T):
    betas = taught(FORWARD)[name](T)
    assert betas.shape == (T,)
    torch.testing.assert_close(betas, getattr(schedule, name)(T).betas, rtol=1e-9, atol=1e-14)
    scheduler = DDIMScheduler(num_train_timesteps=T, **config)
    torch.testing.assert_close(betas.float(), scheduler.betas, rtol=1e-4, atol=1e-7)


def test_taught_snr_is_that_of_sdkit():
    sched = schedule.scaled_linear()
    torch.testing.assert_close(taught(FORWARD)["snr_db"](sched.alphas_cumprod), sched.snr_db())


@pytest.mark.parametrize("t", [0, 500, 999])
def test_taught_add_noise_is_that_of_sdkit_and_diffusers(t):
    x0, noise = torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", **ENDS)
    sched = Schedule.of(scheduler)
    for path in (FORWARD, f"solutions/{FORWARD}"):
        ours = taught(path)["add_noise"](x0, noise, float(sched.alphas_cumprod[t]))
        torch.testing.assert_close(ours, sched.add_noise(x0, noise, t))
        torch.testing.assert_close(ours, scheduler.add_noise(x0, noise, torch.tensor([t] * 3)))


def test_taught_walk_is_the_jump():
    """By closed form: the factor before x0 is sqrt(abar), the variance of the noise 1 - abar."""
    walk, sched = taught(FORWARD)["walk"], schedule.linear()
    x0 = torch.full((1, 3, 64, 64), 2.0)
    walked = walk(x0, sched.betas, keep=(100, 1000), seed=3)
    noises = walk(torch.zeros_like(x0), sched.betas, keep=(100, 1000), seed=3)
    for n in (100, 1000):
        abar = sched.alphas_cumprod[n - 1].item()
        torch.testing.assert_close(walked[n] - noises[n], abar ** 0.5 * x0, atol=1e-5, rtol=0)
        assert noises[n].var().item() == pytest.approx(1 - abar, rel=0.06)  # 12,288 numbers: sd 1.3 %
        one_noise = noises[n] / (1 - abar) ** 0.5
        torch.testing.assert_close(sched.add_noise(x0, one_noise, n - 1), walked[n], atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [schedule.linear, schedule.scaled_linear])
def test_taught_rescale_is_that_of_diffusers(make):
    betas = make().betas
    rescaled = taught(FORWARD)["rescale"](betas)
    torch.testing.assert_close(rescaled, rescale_zero_terminal_snr(betas), rtol=1e-9, atol=1e-12)
    abar = Schedule(rescaled).alphas_cumprod
    assert abar[-1] == 0 and abar[0].item() == pytest.approx(1 - betas[0].item())


def test_taught_rebuild_and_shift_in_the_solution():
    cells = taught(f"solutions/{FORWARD}")
    x0, noise = torch.randn(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).unbind()
    sched = schedule.scaled_linear()
    abar = sched.alphas_cumprod[700]
    torch.testing.assert_close(cells["rebuild"](sched.add_noise(x0, noise, 700), noise, abar), x0)
    snr_db = taught(FORWARD)["snr_db"]
    shift = sched.snr_db() - snr_db(cells["shifted"](sched.alphas_cumprod, 512))
    torch.testing.assert_close(shift, torch.full_like(shift, 18.0618), atol=1e-3, rtol=0)  # 20 log10(512 / 64)


LATENTS = "05_vae_latents.ipynb"


def test_taught_encode_and_decode_are_those_of_sdkit_and_diffusers(tiny_pipe, photo):
    from diffusers.image_processor import VaeImageProcessor
    from sdkit import latents
    cells, vae = taught(LATENTS), tiny_pipe.vae
    processor, x = VaeImageProcessor(vae_scale_factor=4), photos.to_tensor(photo)
    torch.testing.assert_close(processor.preprocess(photo), x)
    encoded = cells["encode"](vae, x)
    torch.testing.assert_close(encoded, latents.encode(vae, x))
    decoded = cells["decode"](vae, encoded)
    torch.testing.assert_close(decoded, latents.decode(vae, encoded))
    made = {kind: tiny_pipe(prompt="", image=photo, strength=0.4, num_inference_steps=5, output_type=kind,
                            generator=torch.Generator().manual_seed(0)).images for kind in ("latent", "pt")}
    torch.testing.assert_close(cells["decode"](vae, made["latent"]) / 2 + 0.5, made["pt"], atol=1e-5, rtol=0)


def test_taught_measures_are_those_of_sdkit_and_scikit_image(photo):
    from sdkit import metrics
    from skimage.metrics import structural_similarity
    other = Image.fromarray(np.asarray(photo) // 2 + 40)
    a, b = (photos.to_tensor(image)[0] for image in (photo, other))
    cells = taught(LATENTS)
    cells["look"] = photos.to_image
    assert cells["psnr"](a, b) == pytest.approx(metrics.psnr(other, photo), abs=1e-3)
    theirs = structural_similarity(np.asarray(photo), np.asarray(other), channel_axis=2)
    assert cells["ssim"](a, b) == pytest.approx(theirs)


def test_taught_linear_code_is_principal_component_analysis():
    """By numpy's singular values: no other k directions leave a smaller error."""
    cells, generator = taught(LATENTS), torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 256, 256, generator=generator) * 2 - 1
    patches = cells["to_patches"](x)
    torch.testing.assert_close(cells["to_pictures"](patches), x)
    few = patches[0, :500] @ torch.randn(48, 48, generator=generator)
    mean, directions, spreads = cells["fit"](few, 5)
    singular = np.linalg.svd((few - few.mean(0)).numpy(), compute_uv=False)
    np.testing.assert_allclose(spreads, singular[:5] / 499 ** 0.5, rtol=1e-3)
    left = few - mean - (few - mean) @ directions @ directions.T
    assert left.square().sum().item() == pytest.approx((singular[5:] ** 2).sum(), rel=1e-3)


SAMPLERS = "04_samplers.ipynb"
TRAINED = {"beta_schedule": "scaled_linear", **ENDS}


def imagined(x, sigma):
    """A network's answer that bends: smooth in x and in the noise level."""
    return torch.sin(x / 8) + sigma / (1 + sigma)


def walk_of_diffusers(scheduler, steps, start, **arguments):
    """Walk `start`, given as x0 + sigma noise, with a scheduler: the end in the same form, and the levels visited."""
    scheduler.set_timesteps(steps)
    abar = scheduler.alphas_cumprod.double()
    by_sigma = "Discrete" in type(scheduler).__name__          # these keep x as x0 + sigma noise
    sigma = ((1 - abar) / abar).sqrt()
    levels = [sigma[int(t)].item() for t in scheduler.timesteps] + [sigma[0].item()]
    x = start if by_sigma else start / (1 + levels[0] ** 2) ** 0.5
    for t, level in zip(scheduler.timesteps, levels):
        seen = x if by_sigma else x * (1 + level ** 2) ** 0.5
        if by_sigma:
            scheduler.scale_model_input(x, t)
        x = scheduler.step(imagined(seen, level), t, x, **arguments).prev_sample
    return x if by_sigma else x * (1 + levels[-1] ** 2) ** 0.5, levels


def points_under_noise():
    return 10 * torch.randn(16, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("name, arguments", [
    ("DDIMScheduler", {"set_alpha_to_one": False, "clip_sample": False}),
    ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}),
])
def test_taught_step_is_ddim_and_euler(name, arguments):
    import diffusers
    scheduler = getattr(diffusers, name)(**TRAINED, timestep_spacing="leading", steps_offset=1, **arguments)
    start = points_under_noise()
    theirs, levels = walk_of_diffusers(scheduler, 10, start)
    ours = taught(SAMPLERS)["walk"](imagined, start, levels)[-1]
    torch.testing.assert_close(ours, theirs.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("eta", [0.4, 1.0])
def test_taught_step_throws_the_dice_of_ddim(eta):
    scheduler = DDIMScheduler(**TRAINED, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
    start, noise = points_under_noise(), torch.randn(16, 8, generator=torch.Generator().manual_seed(4))
    theirs, levels = walk_of_diffusers(scheduler, 10, start, eta=eta, variance_noise=noise)
    ours = start
    for sigma, sigma_next in zip(levels, levels[1:]):
        ours = taught(SAMPLERS)["step"](ours, imagined(ours, sigma), sigma, sigma_next, eta, noise)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_taught_step_with_all_the_dice_is_euler_ancestral():
    from diffusers import EulerAncestralDiscreteScheduler
    scheduler = EulerAncestralDiscreteScheduler(**TRAINED, timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(10)
    levels, theirs = scheduler.sigmas.tolist(), points_under_noise()
    ours = taught(SAMPLERS)["walk"](imagined, theirs, levels, eta=1.0, seed=6)[-1]
    generator = torch.Generator().manual_seed(6)
    for t, level in zip(scheduler.timesteps, levels):
        scheduler.scale_model_input(theirs, t)
        theirs = scheduler.step(imagined(theirs, level), t, theirs, generator=generator).prev_sample
    torch.testing.assert_close(ours, theirs.double(), atol=1e-5, rtol=1e-5)


def test_taught_dpmpp_is_that_of_diffusers():
    from diffusers import DPMSolverMultistepScheduler
    scheduler = DPMSolverMultistepScheduler(**TRAINED, timestep_spacing="leading", steps_offset=1, solver_order=2,
                                            lower_order_final=False, final_sigmas_type="sigma_min")
    start = points_under_noise()
    for steps in (1, 2, 10):
        theirs, levels = walk_of_diffusers(scheduler, steps, start)
        ours = taught(SAMPLERS)["dpmpp_2m"](imagined, start, levels)
        assert len(ours) == steps + 1
        torch.testing.assert_close(ours[-1], theirs, atol=1e-5, rtol=1e-5)


def test_taught_heun_is_that_of_diffusers():
    from diffusers import HeunDiscreteScheduler
    scheduler = HeunDiscreteScheduler(**TRAINED, timestep_spacing="leading", steps_offset=1)
    scheduler.set_timesteps(10)
    levels = scheduler.sigmas.unique().flip(0)[:-1].tolist()                  # the last, 0, is reached by Euler
    ours = theirs = points_under_noise()
    for sigma, sigma_next in zip(levels, levels[1:]):
        ours = taught(f"solutions/{SAMPLERS}")["heun"](imagined, ours, sigma, sigma_next)
    for i, t in enumerate(scheduler.timesteps[:-1]):
        scheduler.scale_model_input(theirs, t)
        theirs = scheduler.step(imagined(theirs, levels[(i + 1) // 2]), t, theirs).prev_sample
    torch.testing.assert_close(ours, theirs.double(), atol=1e-5, rtol=1e-5)


def test_taught_noise_levels_are_those_of_diffusers():
    from diffusers import EulerDiscreteScheduler
    scheduler = EulerDiscreteScheduler(**TRAINED, use_karras_sigmas=True)
    sched = schedule.scaled_linear()
    for cells in (taught(SAMPLERS), taught(f"solutions/{SAMPLERS}")):
        cells["SIGMA"] = ((1 - sched.alphas_cumprod) / sched.alphas_cumprod).sqrt()
        scheduler.set_timesteps(8)
        torch.testing.assert_close(torch.tensor(cells["karras"](cells["SIGMA"][-1].item(), 7)),
                                   scheduler.sigmas[:-1], rtol=1e-4, atol=1e-5)
    assert taught(SAMPLERS)["leading"](10, 1000) == sampler.timesteps(sched, 10)
    levels = taught(SAMPLERS)["levels_at"]([801, 401])
    np.testing.assert_allclose(levels, taught(SAMPLERS)["SIGMA"][[801, 401, 0]], rtol=1e-9)
    for n, T in ((4, 1000), (7, 1000), (10, 50)):
        trailing = DDIMScheduler(num_train_timesteps=T, timestep_spacing="trailing")
        trailing.set_timesteps(n)
        assert taught(f"solutions/{SAMPLERS}")["trailing"](n, T) == trailing.timesteps.tolist()


def test_taught_toy_answers_with_the_noise():
    """By many draws: the mean of all noises whose x fell close to a place is the answer there."""
    from sdkit import points
    cells, generator, sigma = taught(SAMPLERS), torch.Generator().manual_seed(0), 0.8
    cells["WORLD"] = points.Mixture(1.3 * points.RING.centres, 0.1)
    noise = torch.randn(2_000_000, 2, generator=generator)
    x = cells["WORLD"].sample(len(noise), generator) + sigma * noise
    for place in torch.tensor([[1.0, 0.5], [-0.2, 1.7]]):
        close = (x - place).norm(dim=1) < 0.05
        assert close.sum() > 500      # so the mean is good to 0.04
        torch.testing.assert_close(cells["toy"](place[None], sigma)[0], noise[close].mean(0), atol=0.1, rtol=0)


def test_counted_parameters_are_those_in_the_files(tiny_sd, tiny_pipe):
    count = taught("00_start_here.ipynb")["count"]
    for part in ("unet", "vae", "text_encoder"):
        assert count(getattr(tiny_pipe, part)) == layout.count_parameters(next((tiny_sd / part).glob("*.safetensors")))


def test_lesson_03_draws_the_schedule_of_sdkit():
    abar = taught("03_reverse_diffusion.ipynb")["log_linear"]()
    torch.testing.assert_close(schedule.log_linear().alphas_cumprod, abar)


@pytest.mark.parametrize("t", [0, 1, 100, 199])
def test_lesson_03_steps_back_as_diffusers_and_sdkit_do(t):
    chain = schedule.log_linear()
    scheduler = DDPMScheduler(200, trained_betas=chain.betas.numpy(), clip_sample=False, variance_type="fixed_small")
    x, guess = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0)).unbind()
    fresh = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    ours = taught("03_reverse_diffusion.ipynb")["step_back"](chain, x, guess, t, fresh)
    theirs = scheduler.step(guess, t, x, generator=torch.Generator().manual_seed(1)).prev_sample
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    again, _ = sampler.ddim_step(chain, guess, t, t - 1, x, eta=1.0, noise=fresh)
    torch.testing.assert_close(ours, again, atol=1e-4, rtol=1e-4)


def test_lesson_03_trains_as_sdkit_does():
    chain, grid, weights = schedule.log_linear(), points.GRID.scaled(8.0025**-0.5), []
    for train in (taught("03_reverse_diffusion.ipynb")["train"], unet.train_points):
        torch.manual_seed(0)
        net = unet.PointDenoiser(chain, width=8)
        given = net if train is not unet.train_points else [net]
        train(given, chain, grid.sample, torch.Generator().manual_seed(1), steps=5, batch_size=100)
        weights.append(net.mlp[2].weight.detach())
    torch.testing.assert_close(*weights)


def test_lesson_03_knows_the_best_guess():
    """The mean of the noise given the noisy point, by Bayes over many drawings: it falls short of no other guess."""
    namespace = taught("03_reverse_diffusion.ipynb")
    chain, mixture, generator = schedule.log_linear(), points.Mixture(points.GRID.centres / 3, 0.3), torch.Generator()
    namespace.update(chain=chain, grid=mixture)
    x0, noise = mixture.sample(200_000, generator), torch.randn(200_000, 2, generator=generator)
    x, abar = chain.add_noise(x0, noise, 100), chain.alphas_cumprod[100].float()
    near = (x - torch.tensor([0.4, -0.3])).norm(dim=1) < 0.1
    expected, spread = noise[near].mean(0), noise[near].std(0) / near.sum() ** 0.5
    assert (abs(namespace["perfect"](x[near], 100).mean(0) - expected) < 4 * spread).all()
    assert abar < 0.5 and near.sum() > 500


@pytest.mark.parametrize("abar", [0.99, 0.5, 0.01])
def test_lesson_03_turns_noise_into_picture_and_v_as_sdkit_does(abar):
    x, noise = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0)).unbind()
    views = taught("03_reverse_diffusion.ipynb")["views"](x, noise, abar)
    for kind in ("epsilon", "v_prediction"):
        chain = schedule.Schedule([1 - abar], prediction_type=kind)
        x0, epsilon = sampler.predictions(chain, views[kind], 0, x)
        torch.testing.assert_close(x0, views["sample"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(epsilon, noise, atol=1e-4, rtol=1e-4)


TEXT = "06_text_encoder.ipynb"


@pytest.fixture(scope="module")
def reader(tiny_sd):
    """A tiny random CLIP and the tiny tokenizer."""
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
    tokenizer = CLIPTokenizer.from_pretrained(tiny_sd / "tokenizer")
    tower = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    words = dict(vocab_size=len(tokenizer), max_position_embeddings=48, eos_token_id=tokenizer.eos_token_id)
    torch.manual_seed(0)
    return tokenizer, CLIPModel(CLIPConfig(text_config=tower | words, projection_dim=8,
                                           vision_config=tower | dict(image_size=32, patch_size=8))).eval()


def test_taught_byte_pairs_are_those_of_the_recipe():
    from sdkit.recipes.text import learn_merges
    cells, words = taught(TEXT), {"seaside": 5, "sea": 9, "lighthouse": 3, "house": 4, "aaaa": 2}
    pieces, merges = {word: [*word[:-1], word[-1] + "</w>"] for word in words}, []
    for _ in range(12):
        pairs = cells["common_pairs"](words, pieces)
        merges.append(max(pairs, key=lambda pair: (pairs[pair], pair)))
        pieces = {word: cells["join"](parts, merges[-1]) for word, parts in pieces.items()}
    assert merges == learn_merges(words, 12)


def test_solved_rows_are_those_that_the_tokenizer_names(reader):
    said = "a zebra in the style of van gogh, a lighthouse in a meadow"
    tokenizer, rows_of = reader[0], taught(f"solutions/{TEXT}")["rows_of"]
    encoding, words = tokenizer(said), said.replace(",", " ,").split()
    for word in set(words):
        assert rows_of(tokenizer.tokenize(said), word) == [
            row for row, k in enumerate(encoding.word_ids()) if k is not None and words[k] == word]


def test_taught_attention_is_that_of_torch():
    q, k, v = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))
    torchs = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(taught(TEXT)["attention"](q, k, v), torchs(q, k, v))
    solved = taught(f"solutions/{TEXT}")["causal_attention"](q, k, v)
    torch.testing.assert_close(solved, torchs(q, k, v, is_causal=True))


def test_taught_contrastive_loss_is_that_of_transformers_and_of_the_recipe(reader):
    from sdkit.recipes.text import contrastive_loss
    (tokenizer, model), cells = reader, taught(TEXT)
    cells["tokenizer"] = tokenizer
    said, x = ["van gogh", "a house by the sea", "ukiyo-e"], torch.randn(3, 3, 32, 32)
    ids = tokenizer(said, padding="max_length", max_length=48, return_tensors="pt").input_ids
    with torch.no_grad():
        ours = cells["contrastive_loss"](cells["see"](model, x), cells["read_texts"](model, said),
                                         model.logit_scale.exp())
        theirs = model(input_ids=ids, pixel_values=x, return_loss=True)   # padded to the full length
    torch.testing.assert_close(ours, theirs.loss)
    torch.testing.assert_close(ours, contrastive_loss(theirs.logits_per_image, torch.eye(3)))


def test_taught_zero_shot_is_that_of_the_recipe(reader):
    from sdkit import postcards
    from sdkit.recipes.text import zero_shot_postcards
    (tokenizer, model), cells = reader, taught(TEXT)
    shown = [postcards.sample(2, i, held_out=True) for i in range(6)]
    cells |= {"tokenizer": tokenizer, "shown": shown}
    x = cells["drawn"](shown, 32)
    wanted = zero_shot_postcards(model, tokenizer, shown, x)
    with torch.no_grad():
        ours = {part: cells["zero_shot"](model, x, part) for part in postcards.PARTS}
    assert {part: round(float(right.mean()), 3) for part, right in ours.items()} == wanted


def test_taught_probe_reads_what_is_there_and_nothing_else():
    x, probe = torch.randn(600, 5, generator=torch.Generator().manual_seed(0)), taught(TEXT)["probe"]
    assert probe(x, (x[:, 2] > 0).long(), train=400) > 0.9
    noise = torch.randint(4, (600,), generator=torch.Generator().manual_seed(1))
    assert 0.1 < probe(x, noise, train=400) < 0.4           # 200 guesses of one in four


def test_taught_loss_of_knowing_in_closed_form():
    """Nothing known: the logarithm of the batch. All known and all different: none."""
    from sdkit import postcards
    cells = taught(TEXT)
    cells["cards"] = [postcards.Postcard("cat", colour, "left", "sea", "day") for colour in postcards.COLOURS]
    loss = cells["loss_of_knowing"]
    assert loss((), [range(8), range(8)]) == pytest.approx(np.log(8))
    assert loss(("thing", "place"), [range(8)]) == pytest.approx(np.log(8))
    assert loss(("colour",), [range(8)]) == 0
    assert loss(("colour",), [[0, 0, 1, 2]]) == pytest.approx(np.log(2) / 2)
