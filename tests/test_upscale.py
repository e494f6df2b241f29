"""The upscaler equals that of diffusers, and its tiles leave no seams."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionUpscalePipeline, UNet2DConditionModel
from PIL import Image

from sdkit import cli, generate, judges, models, photos, upscale
from sdkit.errors import SdkitError

BARE = ["--no-mark", "--no-invisible-mark"]  # pixels as the network made them


@pytest.fixture
def pipe(tiny_upscaler, tiny_data):
    return models.load_upscaler(device="cpu")


def picture(width, height, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    )


def test_loading_leaves_the_shared_vae_alone(pipe):
    shared = models.load(device="cpu").vae
    assert type(pipe) is StableDiffusionUpscalePipeline and pipe.vae is shared
    assert shared.config.scaling_factor == 0.6
    assert pipe is models.load_upscaler(device="cpu")
    assert all(
        p.dtype == torch.float32 for net in (pipe.unet, pipe.regressor) for p in net.parameters()
    )


def test_network_and_regressor_have_their_own_weights(pipe, tiny_upscaler):
    for name in ("unet", "regressor"):
        saved = UNet2DConditionModel.from_pretrained(tiny_upscaler / name).float().state_dict()
        loaded = getattr(pipe, name).state_dict()
        assert loaded.keys() == saved.keys()
        assert all(torch.equal(loaded[key], saved[key]) for key in saved)


@pytest.mark.parametrize(
    "level, steps, drawn, trusted",
    [(0, 4, False, (24, 20)), (0, 4, True, (12, 10)), (30, 3, False, (6, 5))],
)
def test_latents_equal_those_of_diffusers(pipe, level, steps, drawn, trusted):
    image = picture(24, 20)
    expected = pipe(
        prompt="a cat",
        image=image,
        num_inference_steps=steps,
        guidance_scale=1.0,
        noise_level=level,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
    ).images
    got = upscale.sample(
        pipe, photos.to_tensor(image), steps, level, torch.Generator().manual_seed(7)
    )
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    decoded = pipe.vae.decode(expected / 0.6).sample.clamp(-1, 1).detach()
    large = upscale.upscale(pipe, [image], steps, 1.0, level, seed=7, drawn=drawn)[0]
    wanted = upscale.project(
        decoded, photos.to_tensor(image.resize(trusted, Image.Resampling.BICUBIC))
    )
    rounded = 1.01 if trusted == image.size else 4
    np.testing.assert_allclose(photos.to_tensor(large), wanted.clamp(-1, 1), atol=rounded / 127.5)


def test_one_step_from_the_regressors_latents_follows_the_formula(pipe):
    """The last step gives the predicted clean latents: alpha x - sigma v (Salimans & Ho 2022)."""
    low, generator = photos.to_tensor(picture(24, 20)), torch.Generator().manual_seed(7)
    got, level = (
        upscale.sample(pipe, low, 4, 30, torch.Generator().manual_seed(7), strength=0.25),
        torch.tensor([30]),
    )
    grain, noise = (torch.randn(1, channels, 20, 24, generator=generator) for channels in (3, 8))
    low = pipe.low_res_scheduler.add_noise(low, grain, level)

    def ask(network, first, t):
        return network(torch.cat([first, low], 1), t, None, class_labels=level).sample.detach()

    t = pipe.scheduler.timesteps[-1]
    alpha, sigma = (
        pipe.scheduler.alphas_cumprod[t].sqrt(),
        (1 - pipe.scheduler.alphas_cumprod[t]).sqrt(),
    )
    noisy = alpha * ask(pipe.regressor, torch.zeros_like(noise), 0) + sigma * noise
    torch.testing.assert_close(
        got, alpha * noisy - sigma * ask(pipe.unet, noisy, t), atol=1e-5, rtol=1e-5
    )


def test_a_seed_gives_the_same_picture_whatever_else_is_in_the_list(pipe):
    three, told = (
        [picture(*size, seed) for seed, size in enumerate(((16, 20), (33, 17), (64, 16)))],
        [],
    )
    together = upscale.upscale(pipe, three, 4, 0.5, on_step=lambda: told.append(1))
    assert [image.size for image in together] == [(64, 80), (132, 68), (256, 64)] and len(told) == 6
    for one, image in zip(three, together):
        assert upscale.upscale(pipe, [one], 4, 0.5)[0].tobytes() == image.tobytes()
    for change in ({"seed": 1}, {"noise_level": 40}, {"strength": 0.75}):
        assert (
            upscale.upscale(pipe, three[:1], 4, **{"strength": 0.5, **change})[0].tobytes()
            != together[0].tobytes()
        )


def test_regression_is_one_call_without_random_numbers(pipe):
    image = picture(20, 24)
    inputs = torch.cat([torch.zeros(1, 8, 24, 20), photos.to_tensor(image)], dim=1)
    latents = pipe.regressor(inputs, 0, None, class_labels=torch.tensor([0])).sample.detach()
    expected = upscale.finish(pipe.vae, latents, photos.to_tensor(image))
    assert upscale.regress(pipe, [image, image])[1].tobytes() == expected.tobytes()
    with pytest.raises(SdkitError, match="--regression"):
        upscale.regress(SimpleNamespace(regressor=None, vae=pipe.vae), [image])


def test_the_result_shrinks_to_the_small_picture():
    low = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    large = torch.zeros(1, 3, 64, 64)
    before, after = (
        F.interpolate(x, (16, 16), mode="bicubic", antialias=True) - low
        for x in (large, upscale.project(large, low))
    )
    assert after.square().mean() < 0.2 * before.square().mean()  # noise is the hardest case
    smooth = F.interpolate(low, (64, 64), mode="bicubic", antialias=True)
    # of nothing, the smoothest picture is made
    torch.testing.assert_close(upscale.project(large, low), smooth)


@pytest.mark.parametrize("size", [(40, 40), (41, 97), (16, 130), (200, 40)])
def test_tiles_cover_everything_and_their_weights_cancel(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    twice = upscale.tiled(
        lambda part: part.repeat_interleave(2, 2).repeat_interleave(2, 3), x, tile=40, overlap=12
    )
    torch.testing.assert_close(twice, x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    for length in size:
        first = upscale.starts(length, 40, 12)
        assert first[0] == 0 and first[-1] + min(40, length) == length
        assert all(0 < b - a <= 28 for a, b in zip(first, first[1:]))


def test_a_tiled_picture_equals_the_whole_one_and_has_no_seams(pipe, monkeypatch):
    """The picture is the same everywhere, so group norms see the same in a tile as in the whole."""
    low, blend = photos.to_tensor(picture(112, 64)), upscale.tiled

    def off(**tiles):
        monkeypatch.setattr(upscale, "tiled", lambda function, x, tile: blend(function, x, **tiles))
        return upscale.sample(pipe, low, 4, 0, torch.Generator().manual_seed(0))

    whole = off(tile=112)
    blended, hard = (
        (off(**tiles) - whole)[..., 8:-8, 8:-8] / whole.std()
        for tiles in ({"tile": 64, "overlap": 16}, {"tile": 56, "overlap": 0})
    )

    def by_column(x):
        return x.square().mean((0, 1, 2)).sqrt()

    assert by_column(blended).max() < 0.03 and by_column(blended.diff(dim=-1)).max() < 0.03
    seam = by_column(hard.diff(dim=-1))
    assert seam.argmax() == 55 - 8 and seam.max() > 0.2  # what blending takes away


@pytest.mark.parametrize(
    "change",
    [
        {"num_inference_steps": 0},
        {"num_inference_steps": 501},
        {"num_inference_steps": 2.0},
        {"noise_level": -1},
        {"noise_level": 41},
        {"noise_level": None},
        {"strength": 0.9},
        {"strength": -1},
        {"strength": 1.1},
        {"strength": float("nan")},
        {"strength": "much"},
        {"seed": -1},
        {"seed": True},
        {"images": [picture(15, 40)]},
        {"images": [picture(16, 513)]},
        {"images": picture(16, 16)},
    ],
)
def test_unusable_pictures_and_numbers_are_reported_in_a_sentence(pipe, change):
    with pytest.raises(SdkitError) as caught:
        upscale.upscale(
            pipe, **{"images": [picture(16, 16)], "num_inference_steps": 1, "strength": 1, **change}
        )
    assert str(caught.value).endswith(".")


def test_a_model_that_paints_is_refused_as_upscaler(tiny_data):
    with pytest.raises(SdkitError, match="mini-sd is not an upscaler"):
        models.load_upscaler("mini-sd")


def test_too_little_memory_is_reported_in_a_sentence(pipe, monkeypatch):
    def fails(*arguments, **keywords):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(pipe.unet, "forward", fails)
    with pytest.raises(SdkitError, match="too little memory to upscale 16 x 16"):
        upscale.upscale(pipe, [picture(16, 16)])


def test_upscale_writes_the_picture_that_the_function_gives(
    tiny_upscaler, tiny_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    small = picture(20, 16)
    small.save("small.png")
    assert (
        cli.main(
            [
                "upscale",
                "small.png",
                "coffee",
                "gone.png",
                "--steps",
                "4",
                "--strength",
                "0.7",
                "--seed",
                "3",
            ]
        )
        == 2
    )
    captured = capsys.readouterr()
    # too large
    assert "80 x 64" in captured.out and captured.err.endswith("Not done: coffee, gone.png\n")
    with Image.open("upscaled/small-x4.png") as image:
        np.testing.assert_array_equal(
            image, upscale.upscale(models.load_upscaler(), [small], 4, 0.7, seed=3)[0]
        )
        image.text.pop("XML:com.adobe.xmp")
        assert image.text == upscale.note(models.resolve("mini-upscaler"), 4, 0.7, 0, 3)
        assert image.text["Strength"] == "0.7"
    assert cli.main(["upscale", "small.png", "small.png", "--steps", "0"]) == 2
    assert (
        capsys.readouterr().err
        == "sdkit: Number of steps 0 is not a whole number from 1 to 500. Choose one.\n"
    )


def test_drawings_are_enlarged_with_their_own_seeds(
    tiny_upscaler, tiny_data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    draw = ["draw", "a photo", "--steps", "2", "--count", "2", "--seed", "4"]
    assert [cli.main(draw), cli.main([*draw, "--upscale", *BARE])] == [0, 0]
    assert cli.main([*draw, "--upscale", *BARE, "--style", "van gogh"]) == 0
    for seed in (4, 5):
        with (
            Image.open(f"drawn/a-photo-seed{seed}.png") as small,
            Image.open(f"drawn/a-photo-x4-seed{seed}.png") as large,
            Image.open(f"drawn/a-photo-x4-van-gogh-seed{seed}.png") as styled,
        ):
            (expected,) = upscale.upscale(
                models.load_upscaler(), [small.convert("RGB")], seed=seed, drawn=True
            )
            np.testing.assert_array_equal(large, expected)
            assert large.text == {
                **small.text,
                "Model of the enlargement": "mini-upscaler",
                "Steps of the enlargement": str(upscale.STEPS),
                "Strength of the enlargement": str(upscale.STRENGTH),
                "Noise level of the enlargement": "0",
            }
            settings = models.settings("van gogh", seed=seed)
            np.testing.assert_array_equal(
                styled, generate.style(models.load(), [expected], settings)[0]
            )
            assert (
                styled.text.items() > large.text.items()
                and styled.text["Prompt of the second go"] == "van gogh"
            )


@pytest.mark.parametrize("size, times", [(64, 8), (128, 4)])
def test_a_model_can_draw_again_at_twice_the_size_before_enlarging(
    tiny_upscaler, tiny_data, tmp_path, monkeypatch, size, times
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    again = {"size": 128, "strength": 0.5, "guidance_scale": 2.0, "num_inference_steps": 4}
    monkeypatch.setattr(models.Model, "defaults", {**models.defaults(), "redraw": again})
    draw = ["draw", "a photo", "--steps", "2", "--seed", "4", "--size", str(size), *BARE]
    assert [cli.main(draw), cli.main([*draw, "--upscale"])] == [0, 0]
    with (
        Image.open("drawn/a-photo-seed4.png") as small,
        Image.open("drawn/a-photo-x4-seed4.png") as large,
    ):
        assert large.width == times * small.width == times * size
        assert ("Strength of the redrawing" in large.text) == (times == 8)
        if times == 8:
            twice = generate.style(
                models.load(), [small.convert("RGB")], generate.Settings("a photo", seed=4, **again)
            )
            np.testing.assert_array_equal(
                large, upscale.upscale(models.load_upscaler(), twice, seed=4, drawn=True)[0]
            )


@pytest.mark.parametrize(
    "more, names",
    [
        ([], "a-photo-x4-seed0.png"),
        (["--no-upscale"], "a-photo-seed0.png"),
        (["--size", "64"], "a-photo-seed0.png"),
    ],
)
def test_the_defaults_of_a_model_can_ask_for_enlarging(
    tiny_upscaler, tiny_data, tmp_path, monkeypatch, more, names
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    own = models.defaults()
    own["draw"] = {**own.get("draw", {}), "upscale": True}
    monkeypatch.setattr(models.Model, "defaults", own)
    assert cli.main(["draw", "a photo", "--steps", "2", *more]) == 0
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == [names]


def test_a_drawing_that_cannot_be_enlarged_is_not_begun(
    tiny_upscaler, tiny_data, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    monkeypatch.setattr(generate, "draw", None)
    assert cli.main(["draw", "a photo", "--upscale", "--size", "1024"]) == 2
    assert "1024 x 1024 pixels cannot be upscaled here" in capsys.readouterr().err
    shutil.copytree(tiny_data / "models" / "mini-sd", tmp_path / "data" / "models" / "mini-sd")
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path / "data"))
    assert cli.main(["draw", "a photo", "--upscale"]) == 2
    error = capsys.readouterr().err
    assert (
        error.startswith("sdkit: The weights of mini-upscaler are not in ")
        and len(error.splitlines()) == 1
    )


def test_missing_weights_are_reported_in_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path))
    assert cli.main(["upscale", "coffee", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sdkit: The weights of mini-upscaler") and len(error.splitlines()) == 1


def test_damaged_weights_are_reported_in_a_sentence(tiny_upscaler, tiny_data, tmp_path):
    shutil.copytree(tiny_upscaler, tmp_path / "broken")
    weights = next((tmp_path / "broken" / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SdkitError, match="cannot be loaded"):
        models.load_upscaler(tmp_path / "broken", device="cpu")
    assert models.load(device="cpu").vae.config.scaling_factor == 0.6


def test_feature_distance_is_zero_for_equal_pictures_and_grows_with_blur():
    torch.manual_seed(0)
    classifier, image = judges.StyleClassifier(channels=(8, 16)).eval(), picture(32, 32)
    assert judges.feature_distance(image, image, classifier) == 0
    near, far = (
        judges.feature_distance(image.resize((side, side)).resize((32, 32)), image, classifier)
        for side in (24, 8)
    )
    assert 0 < near < far
