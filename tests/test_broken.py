"""No picture is made of numbers that are not finite, or of one colour without cause."""

import copy
import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sdkit import cli, generate, models, photos, upscale
from sdkit.errors import SdkitError
from sdkit.generate import Settings
from sdkit.pictures import broken

SETTINGS = Settings("van gogh", 0.5, 4.0, 4, 64)
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def pipes(tiny_sd):
    """The tiny model for both tasks, in a copy that a test may break: (img2img, text2img)."""
    style = models.load(tiny_sd, "img2img", device="cpu")
    draw = models.load(tiny_sd, "text2img", device="cpu")
    parts = {name: copy.deepcopy(part) for name, part in style.components.items()}
    return type(style)(**parts), type(draw)(**parts, requires_safety_checker=False)


def spoil(pipe, network, name, value):
    """Give all numbers of one tensor another value."""
    dict(getattr(pipe, network).named_parameters())[name].data.fill_(value)


WAYS = {
    "style": lambda style, draw, photo: generate.style(style, [photo], SETTINGS),
    "draw": lambda style, draw, photo: generate.draw(draw, SETTINGS, 2),
    "inpaint": lambda style, draw, photo: generate.inpaint(
        draw, photo, Image.new("L", photo.size, 255), SETTINGS
    ),
    "edit": lambda style, draw, photo: generate.edit(draw, photo, "a", SETTINGS),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "network, name, value, words",
    [
        ("unet", "conv_out.bias", NAN, "latents that are not finite"),
        ("unet", "conv_out.bias", INF, "latents that are not finite"),
        ("text_encoder", "final_layer_norm.bias", NAN, "latents that are not finite"),
        ("vae", "decoder.conv_out.bias", NAN, "pixels that are not finite"),
        ("vae", "decoder.conv_out.bias", INF, "pixels that are not finite"),
        ("vae", "decoder.conv_out.bias", 1e9, "one colour"),
    ],
)
def test_a_broken_network_gives_a_sentence(pipes, way, network, name, value, words):
    names = [key for key, _ in getattr(pipes[0], network).named_parameters()]
    (name,) = [key for key in names if key.endswith(name)]
    spoil(pipes[0], network, name, value)
    photo = photos.resize(photos.sample("coffee"), 64)
    with pytest.raises(SdkitError, match=words) as caught:
        WAYS[way](*pipes, photo)
    assert "half precision" in str(caught.value) and "doctor" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
def test_a_part_of_the_pixels_that_is_infinite_gives_a_sentence(pipes, way):
    """As in half precision. Clipped to the range of a picture, they would be white or black."""
    weight = pipes[0].vae.decoder.conv_out.weight.data
    weight[0] *= 3e38 / weight[0].abs().max()
    photo = photos.resize(photos.sample("coffee"), 64)
    with pytest.raises(SdkitError, match="pixels that are not finite"):
        WAYS[way](*pipes, photo)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_too_large_for_half_precision_give_a_sentence(tiny_sd, tmp_path, part):
    """The file is sound, so the sentence must not only ask for a new copy."""
    folder = shutil.copytree(tiny_sd, tmp_path / "large")
    (path,) = (folder / part).glob("*.safetensors")
    state = {name: value.float() for name, value in load_file(path).items()}
    name = sorted(name for name, value in state.items() if value.is_floating_point())[-1]
    state[name].view(-1)[0] = 1e5
    save_file(state, path, metadata={"format": "pt"})
    assert models.load(folder, device="cpu")
    with pytest.raises(SdkitError, match=f"not finite.*{part}.*half precision.*float32"):
        models.load(folder, device="cpu", dtype=torch.float16)


def test_a_schedule_that_is_not_finite_gives_a_sentence(pipes):
    pipes[1].scheduler.alphas_cumprod[:] = NAN
    with pytest.raises(SdkitError, match="not finite"):
        generate.draw(pipes[1], SETTINGS)


def test_one_colour_is_kept_if_the_photograph_has_one_colour(pipes):
    spoil(pipes[0], "vae", "decoder.conv_out.bias", 1e9)
    grey, spotted = Image.new("RGB", (64, 64), "grey"), Image.new("RGB", (64, 64), "grey")
    spotted.putpixel((3, 5), (0, 0, 0))
    assert generate.style(pipes[0], [grey], SETTINGS)[0].getextrema() == ((255, 255),) * 3
    with pytest.raises(SdkitError, match="one colour"):
        generate.style(pipes[0], [spotted], SETTINGS)


def test_a_picture_with_one_other_pixel_is_kept():
    image = Image.new("RGB", (64, 64))
    image.putpixel((63, 63), (0, 0, 3))
    broken.refuse_one_colour(image)
    image.putpixel((63, 63), (2, 1, 2))  # nobody sees this
    with pytest.raises(SdkitError):
        broken.refuse_one_colour(image)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_tensor_that_is_not_finite_becomes_no_picture(value):
    x = torch.zeros(3, 16, 16)
    x[1, 2, 3] = value
    with pytest.raises(SdkitError, match="pixels that are not finite"):
        photos.to_image(x)


@pytest.mark.parametrize(
    "network, name, value, words",
    [
        ("regressor", "conv_out.bias", NAN, "not finite"),
        ("vae", "decoder.conv_out.bias", NAN, "not finite"),
        ("vae", "decoder.conv_out.bias", INF, "not finite"),
        ("vae", "decoder.conv_out.bias", 1e9, "one colour"),
    ],
)
def test_a_broken_upscaler_gives_a_sentence(tiny_data, tiny_upscaler, network, name, value, words):
    pipe = models.load_upscaler(device="cpu")
    broken_pipe = copy.copy(pipe)
    broken_pipe.regressor = copy.deepcopy(pipe.regressor)
    broken_pipe.vae = copy.deepcopy(pipe.vae)
    spoil(broken_pipe, network, name, value)
    picture = photos.resize(photos.sample("coffee"), 32)
    for enlarge in (upscale.regress, lambda p, i: upscale.upscale(p, i, num_inference_steps=5)):
        assert enlarge(pipe, [picture])
        with pytest.raises(SdkitError, match=words):
            enlarge(broken_pipe, [picture])


def test_no_file_is_written(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pipe = models.load("mini-sd", device="cpu")
    encoded = io.BytesIO()
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(encoded, "PNG")
    (tmp_path / "x.png").write_bytes(encoded.getvalue())
    bias = pipe.vae.decoder.conv_out.bias
    before = bias.data.clone()
    try:
        bias.data.fill_(NAN)
        assert cli.main(["style", "x.png", "--prompt", "van gogh", "--out", "out"]) == 2
        assert cli.main(["draw", "van gogh", "--out", "out"]) == 2
    finally:
        bias.data.copy_(before)
    shown = capsys.readouterr()
    assert not list((tmp_path / "out").iterdir())
    assert "wrote" not in shown.out and "should not happen" not in shown.err
    assert shown.err.count("not finite") + shown.out.count("not finite") == 2
