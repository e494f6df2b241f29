"""Settings are checked, and pictures equal those of diffusers and depend on nothing else."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import editing, generate, latents, models, photos, prompts, sampler
from sdkit.diffusion.schedule import Schedule
from sdkit.errors import SdkitError

GOOD = generate.Settings(
    "van gogh", strength=0.5, guidance_scale=4.0, num_inference_steps=8, size=64
)


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 0},
        {"strength": -0.1},
        {"strength": 1.01},
        {"strength": float("nan")},
        {"strength": "0.5"},
        {"strength": 0.1},
        {"guidance_scale": -1},
        {"guidance_scale": float("inf")},
        {"guidance_scale": None},
        {"num_inference_steps": 0},
        {"num_inference_steps": 501},
        {"num_inference_steps": 8.0},
        {"size": 63},
        {"size": 2049},
        {"seed": -1},
        {"seed": 2**63},
        {"seed": True},
        {"prompt": None},
        {"prompt": "x" * 2001},
        {"negative_prompt": 3},
        {"prompt": "a\0b"},
        {"prompt": "\x1b[31m"},
        {"negative_prompt": "\udcff"},
    ],
)
def test_unusable_settings_are_reported_in_a_sentence(change):
    with pytest.raises(SdkitError) as caught:
        replace(GOOD, **change)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 1},
        {"strength": 0.125},
        {"guidance_scale": 0},
        {"guidance_scale": 100},
        {"num_inference_steps": 1, "strength": 1},
        {"num_inference_steps": 500},
        {"size": 64},
        {"size": 2048},
        {"seed": 0},
        {"seed": 2**63 - 1},
        {"prompt": ""},
        {"prompt": "x" * 2000},
        {"negative_prompt": "two lines\n\tare text"},
    ],
)
def test_the_last_value_that_is_allowed_is_allowed(change):
    assert replace(GOOD, **change).prompt == change.get("prompt", GOOD.prompt)


def test_steps_run_is_the_number_of_steps_in_diffusers(tiny_pipe):
    for steps in (1, 7, 10, 18, 30):
        for strength in (0.29, 0.35, 0.5, 0.57, 0.7, 1.0):
            if int(steps * strength):
                tiny_pipe.scheduler.set_timesteps(steps)
                run = replace(GOOD, num_inference_steps=steps, strength=strength).steps_run
                assert run == tiny_pipe.get_timesteps(steps, strength, "cpu")[1]


def test_style_gives_the_picture_of_diffusers(tiny_pipe):
    photo = photos.sample("astronaut")
    settings = replace(GOOD, seed=5, negative_prompt="a photo")
    expected = tiny_pipe(
        prompt="van gogh",
        negative_prompt="a photo",
        image=photos.resize(photo, 64),
        strength=0.5,
        guidance_scale=4.0,
        num_inference_steps=8,
        generator=torch.Generator().manual_seed(5),
    ).images[0]
    np.testing.assert_array_equal(generate.style(tiny_pipe, [photo], settings)[0], expected)


def calls_of_the_unet(pipe, settings):
    """The batch size and whether a guidance scale was given, at each call of the UNet."""
    seen = []

    def look(module, args, keywords):
        seen.append((len(args[0]), keywords.get("timestep_cond") is not None))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", generate.UnknownWords)
        hook = pipe.unet.register_forward_pre_hook(look, with_kwargs=True)
        generate.style(pipe, [photos.sample("coffee")], settings)
        hook.remove()
    return set(seen)


@pytest.mark.parametrize(
    "change, batch_size, with_scale",
    [
        ({}, 1, True),
        ({"guidance_scale": 10.0}, 1, True),
        ({"guidance_scale": 11.0}, 2, False),
        ({"negative_prompt": "a photo"}, 2, False),
        ({"guidance_scale": 1.0}, 1, False),
        ({"guidance_scale": 0.0, "negative_prompt": "a photo"}, 1, False),
    ],
)
def test_a_distilled_unet_is_asked_twice_for_what_it_did_not_learn(
    one_call, change, batch_size, with_scale
):
    settings = replace(GOOD, **change)
    assert calls_of_the_unet(one_call, settings) == {(batch_size, with_scale)}
    assert generate.works_twice(one_call, settings) == (batch_size == 2)
    assert one_call.unet.config.time_cond_proj_dim == 256  # as before


def test_asked_twice_the_distilled_unet_paints_as_one_that_takes_no_scale(one_call, tiny_sd):
    plain = models.load(tiny_sd, device="cpu")
    weights = one_call.unet.state_dict()
    del weights["time_embedding.cond_proj.weight"]
    plain.unet.load_state_dict(weights)
    photo, settings = photos.sample("coffee"), replace(GOOD, negative_prompt="a photo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", generate.UnknownWords)
        images = [generate.style(pipe, [photo], settings)[0] for pipe in (one_call, plain)]
    np.testing.assert_array_equal(*images)


def test_a_seed_gives_the_same_picture_whatever_else_is_in_the_list(tiny_pipe):
    three = [photos.sample(name) for name in ("astronaut", "chelsea", "coffee")]
    together = generate.style(tiny_pipe, three, GOOD)
    alone = [generate.style(tiny_pipe, [photo], GOOD)[0] for photo in three]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(photos.to_tensor(one), photos.to_tensor(other), atol=1e-5)
    other_seed = generate.style(tiny_pipe, three[:1], replace(GOOD, seed=1))[0]
    assert other_seed.tobytes() != together[0].tobytes()


def test_sizes_follow_the_photo_and_on_step_is_called_for_each_step(tiny_pipe):
    told = []
    shapes = [Image.new("RGB", size) for size in ((90, 60), (60, 90), (100, 100))]
    styled = generate.style(tiny_pipe, shapes, GOOD, on_step=lambda: told.append(1))
    assert [image.size for image in styled] == [(96, 64), (64, 96), (64, 64)]
    assert len(told) == 3 * GOOD.steps_run == 12
    with pytest.raises(SdkitError, match="4:1"):
        generate.style(tiny_pipe, [Image.new("RGB", (500, 50))], GOOD)
    with pytest.raises(SdkitError, match="brackets"):
        generate.style(tiny_pipe, shapes[0], GOOD)


def test_the_preview_shows_the_clean_latents_that_the_network_predicts(tiny_pipe):
    """x0 = (x_t - sqrt(1 - abar) epsilon) / sqrt(abar), DDPM (Ho et al. 2020), equation 15."""
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler.from_config(
        tiny_pipe.scheduler.config, algorithm_type="dpmsolver++"
    )
    scheduler.set_timesteps(8)
    generator = torch.Generator().manual_seed(0)
    noisy, epsilon = torch.randn(2, 1, 8, 16, 20, generator=generator)
    t = scheduler.timesteps[3]
    after = scheduler.step(epsilon, t, noisy).prev_sample
    abar = scheduler.alphas_cumprod[t]
    clean = (noisy - (1 - abar).sqrt() * epsilon) / abar.sqrt()
    pipe = SimpleNamespace(scheduler=scheduler, vae=tiny_pipe.vae)
    shown = generate.preview(pipe, after)
    half = clean.reshape(1, 8, 8, 2, 10, 2).mean((3, 5))
    expected = photos.to_image(latents.decode(tiny_pipe.vae, half))
    assert shown.size == (40, 32)
    assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).max() <= 1


def test_previews_change_nothing_and_come_after_each_step_but_the_last(tiny_pipe):
    image, settings = photos.sample("coffee"), replace(GOOD, strength=0.5)
    shown = []
    (plain,) = generate.style(tiny_pipe, [image], settings)
    (painted,) = generate.style(tiny_pipe, [image], settings, on_preview=shown.append)
    np.testing.assert_array_equal(painted, plain)
    assert len(shown) == settings.steps_run - 1
    assert {picture.size for picture in shown} == {(plain.width // 2, plain.height // 2)}


def test_an_empty_prompt_and_no_guidance_are_allowed(tiny_pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert generate.style(
            tiny_pipe, [photos.sample("coffee")], replace(GOOD, prompt="", guidance_scale=0)
        )


def test_too_little_memory_is_reported_and_other_errors_pass():
    class Pipe:
        unet = SimpleNamespace(config=SimpleNamespace(time_cond_proj_dim=256))
        vae = SimpleNamespace(decoder=torch.nn.Identity())

        def __init__(self, error):
            self.error = error

        def __call__(self, **arguments):
            raise self.error

    photo = [photos.sample("coffee")]
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(SdkitError, match="too little memory"):
            generate.style(Pipe(error), photo, GOOD)
    with pytest.raises(RuntimeError, match="something else"):
        generate.style(Pipe(RuntimeError("something else")), photo, GOOD)


def test_unknown_words_are_a_warning_that_names_known_ones(tiny_pipe):
    with pytest.warns(generate.UnknownWords, match="'picasso'.*gogh"):
        generate.style(tiny_pipe, [photos.sample("coffee")], replace(GOOD, prompt="picasso"))


def test_the_note_says_how_a_picture_was_made():
    note = generate.note(GOOD, "mini-sd")
    assert note["Description"].startswith("Made with AI")
    assert note["Model"] == "mini-sd" and note["Prompt"] == "van gogh" and note["Seed"] == "0"
    assert note["Strength"] == "0.5" and note["Guidance scale"] == "4" and note["Steps"] == "8"
    assert "Negative prompt" not in note
    assert generate.note(replace(GOOD, prompt=""), "mini-sd")["Prompt"] == ""


DRAW = replace(GOOD, strength=1.0, num_inference_steps=3, prompt="a photo")


@pytest.fixture(scope="module")
def text2img(tiny_sd):
    return models.load(tiny_sd, task="text2img", device="cpu")


def test_draw_gives_the_picture_of_diffusers(text2img):
    expected = text2img(
        "a photo",
        negative_prompt="van gogh",
        height=64,
        width=64,
        guidance_scale=4.0,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(7),
    ).images[0]
    (drawn,) = generate.draw(text2img, replace(DRAW, seed=7, negative_prompt="van gogh"))
    np.testing.assert_array_equal(drawn, expected)


def test_a_drawing_does_not_depend_on_the_number_of_drawings(text2img, monkeypatch):
    three, told = generate.draw(text2img, DRAW, 3), []
    monkeypatch.setattr(generate, "AT_ONCE", 1)  # one by one
    single = generate.draw(text2img, DRAW, 3, on_step=lambda: told.append(1))
    (third,) = generate.draw(text2img, replace(DRAW, seed=2))
    assert (
        len(told) == 3 * len(generate.batches(DRAW, 3)) == 9
        and len({image.tobytes() for image in three}) == 3
    )
    for one, other in zip([*three, three[2]], [*single, third], strict=True):
        np.testing.assert_allclose(np.asarray(one, int), np.asarray(other, int), atol=1)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, 1001, "2"])
def test_an_unusable_number_of_drawings_is_reported_in_a_sentence(text2img, count):
    with pytest.raises(SdkitError, match="whole number from 1 to 1000"):
        generate.draw(text2img, DRAW, count)


def mask(left, right, size=64):
    pixels = np.zeros((size, size), np.uint8)
    pixels[:, left:right] = 255
    return Image.fromarray(pixels)


def test_a_pipeline_of_another_task_is_refused_in_a_sentence(tiny_pipe, text2img):
    picture, settings = Image.new("RGB", (64, 64)), GOOD
    with pytest.raises(SdkitError, match='task="text2img"'):
        generate.draw(tiny_pipe, settings)
    with pytest.raises(SdkitError, match='task="text2img"'):
        generate.inpaint(tiny_pipe, picture, Image.new("L", (64, 64), 255), settings)
    with pytest.raises(SdkitError, match='task="img2img"'):
        generate.style(text2img, [picture], settings)


def test_inpainting_keeps_what_is_black_in_the_mask(text2img):
    photo = photos.resize(photos.sample("astronaut"), 64)
    painted = np.asarray(generate.inpaint(text2img, photo, mask(32, 64), DRAW), int)
    difference = np.abs(painted - np.asarray(photo, int)).sum((0, 2))
    assert difference[:32].max() == 0 and difference[36:].min() > 0


def test_inpainting_everything_is_drawing(text2img):
    photo = photos.resize(photos.sample("coffee").crop((0, 0, 300, 300)), 64)
    painted = generate.inpaint(text2img, photo, mask(0, 64), DRAW)
    np.testing.assert_allclose(
        np.asarray(painted, int), np.asarray(generate.draw(text2img, DRAW)[0], int), atol=1
    )


def test_inpainting_gives_the_known_part_the_noise_of_each_step(text2img, monkeypatch):
    """The network sees known latents with the noise that the scheduler adds for each step."""
    seen = []
    forward = text2img.unet.forward
    monkeypatch.setattr(
        text2img.unet,
        "forward",
        lambda x, t, *a, **k: seen.append((t, x[:1])) or forward(x, t, *a, **k),
    )
    photo = photos.resize(photos.sample("astronaut"), 64)
    generate.inpaint(text2img, photo, mask(60, 64), DRAW)
    known = latents.encode(text2img.vae, photos.to_tensor(photo))
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(0))
    for t, x in seen[1:]:
        expected = text2img.scheduler.add_noise(known, noise, t[None])
        torch.testing.assert_close(x[..., :14], expected[..., :14], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong, sentence", [(mask(0, 0), "black"), (mask(0, 9).resize((64, 32)), "same shape")]
)
def test_an_unsuitable_mask_is_reported_in_a_sentence(text2img, wrong, sentence):
    with pytest.raises(SdkitError, match=sentence):
        generate.inpaint(text2img, Image.new("RGB", (64, 64)), wrong, DRAW)


def test_an_edit_is_inversion_and_then_the_controlled_steps(text2img, monkeypatch):
    """The parts are held to diffusers in tests/diffusion/test_editing.py; here they are joined."""
    photo = photos.resize(photos.sample("astronaut"), 64)
    settings, counted = replace(DRAW, prompt="a c", negative_prompt="x"), []
    edited = generate.edit(
        text2img, photo, "a b", settings, 0.5, False, lambda: counted.append(1), advise=False
    )
    schedule = Schedule.of(text2img.scheduler)
    timesteps = sampler.timesteps(schedule, settings.num_inference_steps)
    before, after, without = (
        prompts.encode(text2img.tokenizer, text2img.text_encoder, text)
        for text in ("a b", "a c", "x")
    )
    z = latents.encode(text2img.vae, photos.to_tensor(photo))
    path = editing.invert(text2img.unet, schedule, z, before, without, timesteps)
    control = editing.AttentionControl(text2img.tokenizer, "a b", "a c", 0.5)
    scale = settings.guidance_scale
    *_, last = editing.edit(
        text2img.unet, schedule, path, before, after, without, timesteps, scale, control
    )
    expected = photos.to_image(latents.decode(text2img.vae, last.latents))
    np.testing.assert_array_equal(np.asarray(edited), np.asarray(expected))
    assert len(counted) == 2 * settings.num_inference_steps
    # nothing may change: what is left is the picture after encoding and decoding
    nowhere = torch.zeros(1, 1, 16, 16)
    monkeypatch.setattr(editing.AttentionControl, "mask", lambda control, h, w: nowhere)
    local = generate.edit(text2img, photo, "a b", settings, 0.5, advise=False)
    kept = photos.to_image(latents.decode(text2img.vae, z))
    np.testing.assert_array_equal(np.asarray(local), np.asarray(kept))


def test_an_edit_of_nothing_is_refused(text2img):
    with pytest.raises(SdkitError, match="are the same"):
        generate.edit(text2img, Image.new("RGB", (64, 64)), f" {DRAW.prompt} ", DRAW)


@pytest.fixture(scope="module")
def checked(tiny_sd, tmp_path_factory):
    """The tiny model with a safety checker that flags all pictures or none: {flags all: folder}."""
    from diffusers import StableDiffusionImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPVisionConfig

    folders = {}
    for flags in (True, False):
        small = {
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
        }
        torch.manual_seed(0)
        checker = StableDiffusionSafetyChecker(
            CLIPConfig(
                text_config=CLIPTextConfig(**small, vocab_size=8).to_dict(),
                projection_dim=8,
                vision_config=CLIPVisionConfig(**small, image_size=32, patch_size=16).to_dict(),
            )
        )
        # below, or above, every cosine
        checker.concept_embeds_weights.data[:] = -2.0 if flags else 2.0
        checker.special_care_embeds_weights.data[:] = 2.0
        folders[flags] = tmp_path_factory.mktemp("checked") / "model"
        pipe = StableDiffusionImg2ImgPipeline(
            **models.load(tiny_sd, device="cpu").components
            | {
                "safety_checker": checker,
                "requires_safety_checker": True,
                "feature_extractor": CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
            }
        )
        pipe.save_pretrained(folders[flags])
    return folders


def test_a_safety_checker_stays_on_and_is_reported_in_a_sentence(checked):
    photo = photos.resize(photos.sample("astronaut"), 64)
    style, draw = (
        models.load(checked[True], task, device="cpu") for task in ("img2img", "text2img")
    )
    assert style.safety_checker is not None and draw.safety_checker is not None
    with pytest.raises(generate.Withheld, match="safety checker withheld 1 of 1"):
        generate.style(style, [photo], GOOD)
    with pytest.raises(generate.Withheld):
        generate.inpaint(draw, photo, mask(32, 64), DRAW)
    with pytest.raises(SdkitError, match="safety checker"):
        generate.edit(draw, photo, "a cat", DRAW)
    with pytest.raises(generate.Withheld, match="2 of 2"):
        generate.draw(draw, DRAW, 2)
    passing = models.load(checked[False], device="cpu")
    assert (
        passing.safety_checker is not None
        and np.asarray(generate.style(passing, [photo], GOOD)[0]).max() > 0
    )


def test_the_other_drawings_survive_one_that_is_withheld(text2img, monkeypatch):
    def flag(image, device, dtype):
        return image, [k == 1 for k in range(len(image))]

    expected = generate.draw(text2img, DRAW, 3)
    monkeypatch.setattr(text2img, "run_safety_checker", flag)
    with pytest.raises(generate.Withheld, match="1 of 3") as caught:
        generate.draw(text2img, DRAW, 3)
    assert caught.value.images[1] is None
    for k in (0, 2):
        np.testing.assert_array_equal(caught.value.images[k], expected[k])


def test_the_words_of_a_prompt_are_looked_up_once_for_all_pictures(tiny_pipe, text2img, recwarn):
    two, zebra = [Image.new("RGB", (64, 64))] * 2, {"prompt": "a zebra", "num_inference_steps": 3}
    for call in (
        lambda **k: generate.style(tiny_pipe, two, replace(DRAW, **zebra), **k),
        lambda **k: generate.redraw(tiny_pipe, two, replace(DRAW, **zebra), **k),
        lambda **k: generate.draw(text2img, replace(DRAW, **zebra), 2, **k),
        lambda **k: generate.inpaint(text2img, two[0], mask(0, 64), replace(DRAW, **zebra), **k),
        lambda **k: generate.edit(text2img, two[0], "a photo", replace(DRAW, **zebra), **k),
    ):
        for advise in (True, False):
            recwarn.clear()
            call(advise=advise)
            found = [w for w in recwarn if w.category is generate.UnknownWords]
            assert len(found) == advise
            assert all("'zebra'" in str(w.message) and w.filename == __file__ for w in found)
