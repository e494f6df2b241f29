"""The forecast counts what the networks really do."""

import json
import shutil
from collections import Counter

import pytest
import torch
from accelerate import cpu_offload_with_hook
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import nn

from sdkit import cli, consent, forecast, photos
from sdkit.generate import Settings

SETTINGS = Settings("van gogh", strength=0.5, guidance_scale=4.0, num_inference_steps=8, size=64)


class Decoder(nn.Module):
    """A decoder that is a single layer."""

    def __init__(self, layer, tokens=False):
        super().__init__()
        self.layer, self.tokens = layer, tokens

    def decode(self, x):
        return self.layer(x.flatten(2).mT if self.tokens else x)


def unet(**changes):
    """A tiny UNet with attention at both of its levels."""
    usual = dict(
        in_channels=4,
        out_channels=4,
        block_out_channels=[8, 16],
        layers_per_block=1,
        down_block_types=["CrossAttnDownBlock2D"] * 2,
        up_block_types=["CrossAttnUpBlock2D"] * 2,
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    return UNet2DConditionModel(**{**usual, **changes})


def operations(network, side, method="forward", words=5):
    return forecast.Calls(network, (1, 4, side, side), 1, method, words).operations


def of_unet(work):
    """The operations of the UNet in the work of a stage."""
    return sum(calls.times * calls.operations for calls in work.calls if calls.method == "forward")


def test_one_convolution_is_counted_as_by_hand():
    convolution = Decoder(nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1))
    calls = forecast.Calls(convolution, (2, 3, 10, 12), 1, "decode")
    # 2 pictures of 5 x 6 pixels with 8 channels, each a sum of 3 x 3 x 3 products
    assert calls.operations == 2 * 5 * 6 * 8 * (3 * 3 * 3) * 2


@pytest.mark.parametrize("heads", [1, 4])
def test_one_attention_is_counted_as_by_hand(heads):
    attention = Decoder(Attention(query_dim=16, heads=heads, dim_head=16 // heads), tokens=True)
    calls = forecast.Calls(attention, (1, 16, 6, 5), 1, "decode")
    projections = 4 * 30 * 16 * 16  # queries, keys, values and the output, of 30 tokens
    pairs = 2 * 30 * 30 * 16  # the scores of all pairs, and the sum of the values
    assert calls.operations == 2 * (projections + pairs)


def test_self_attention_grows_faster_than_the_pixels_and_all_else_as_they_do():
    """Four times the pixels are four times the operations, and sixteen times in self-attention."""
    plain = {
        "down_block_types": ["DownBlock2D"] * 2,
        "mid_block_type": "UNetMidBlock2D",
        "up_block_types": ["UpBlock2D"] * 2,
    }
    for changes in (plain, {"only_cross_attention": True, "mid_block_type": "UNetMidBlock2D"}):
        network = unet(**changes)
        assert operations(network, 64) / operations(network, 32) == pytest.approx(4, rel=0.02)
    network = unet()
    small, large = operations(network, 64), operations(network, 128)
    assert 8 < large / small < 16
    # self-attention at the upper level alone: the others follow the pixels again
    upper = unet(only_cross_attention=[False, True], mid_block_type="UNetMidBlock2D")
    assert operations(unet(only_cross_attention=True), 64) < operations(upper, 64) < small


def test_the_real_network_keeps_its_weights_and_hooks():
    network = unet()
    expected, weights = operations(network, 16), network.state_dict()
    cpu_offload_with_hook(network, "cpu")
    assert operations(network, 16) == expected
    assert hasattr(network, "_hf_hook")
    for name, value in network.state_dict().items():
        assert value.device.type == "cpu" and value.data_ptr() == weights[name].data_ptr()


def test_a_decoder_that_works_in_tiles_does_more(tiny_pipe):
    vae = AutoencoderKL.from_config(tiny_pipe.vae.config)
    calls = forecast.Calls(vae, (1, 8, 32, 32), 1, "decode")
    whole = calls.operations
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = 64, 16
    tiled = forecast.Calls(vae, (1, 8, 32, 32), 1, "decode").operations
    # tiles overlap by a quarter: three rows of three, of 16, 16 and 8 latent pixels
    assert tiled / whole == pytest.approx((40 / 32) ** 2)


def test_steps_guidance_and_pictures_multiply(tiny_pipe):
    def work(pictures=1, size=(96, 64), **changes):
        settings = Settings(**{**vars(SETTINGS), **changes})
        return forecast.painting(tiny_pipe, settings, size, pictures)

    usual = work()
    assert of_unet(work(num_inference_steps=16)) == 2 * of_unet(usual)
    assert of_unet(work(strength=1.0)) == 2 * of_unet(usual)
    assert 2 * of_unet(work(guidance_scale=1.0)) == of_unet(usual)
    assert of_unet(work(guidance_scale=2.0)) == of_unet(usual)
    assert work(3).operations == 3 * usual.operations
    twice = work(num_inference_steps=16)
    assert twice.operations - usual.operations == of_unet(usual)  # encoding and decoding stay
    assert usual.what == "1 x 4 steps at 96 x 64 pixels"


@pytest.fixture
def made(monkeypatch):
    """How many pictures of which shape each network was given: counted while the verbs run."""
    counts = Counter()

    def watch(kind, method):
        function = getattr(kind, method)

        def watched(self, x, *arguments, **keywords):
            counts[id(self), method, tuple(x.shape[1:])] += len(x)
            return function(self, x, *arguments, **keywords)

        monkeypatch.setattr(kind, method, watched)

    watch(UNet2DConditionModel, "forward")
    watch(AutoencoderKL, "encode")
    watch(AutoencoderKL, "decode")
    return counts


@pytest.mark.parametrize(
    "verb, stages",
    [
        (["style", "coffee", "--prompt", "van gogh"], 1),
        (["style", "coffee", "coffee", "--prompt", "van gogh", "--guidance-scale", "1"], 1),
        (["draw", "a photo", "--count", "3"], 1),
        (["draw", "a photo", "--count", "3", "--upscale", "--style", "van gogh"], 4),
        (["inpaint", "coffee", "coffee", "--prompt", "a photo", "--steps", "3"], 1),
        (["edit", "coffee", "--from", "a photo", "--to", "a painting", "--steps", "3"], 1),
        (["edit", "small.png", "--from", "a photo", "--to", "a wave", "--guidance-scale", "1"], 1),
        (["upscale", "wide.png", "small.png", "--steps", "5"], 1),
        (["upscale", "wide.png", "--steps", "2", "--strength", "1"], 1),
    ],
)
def test_the_networks_are_called_as_forecast(
    tiny_sd, tiny_upscaler, tmp_path, monkeypatch, made, verb, stages
):
    data = tmp_path / "data"
    shutil.copytree(tiny_sd.parent.parent, data)
    path = data / "models" / "mini-sd" / "defaults.json"
    redraw = {"num_inference_steps": 4, "strength": 0.5, "size": 128}
    path.write_text(json.dumps({**json.loads(path.read_text()), "redraw": redraw}))
    monkeypatch.setenv("SDKIT_DATA", str(data))
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    for name, size in {"wide": (160, 32), "small": (64, 48)}.items():
        photos.sample("coffee").resize(size).save(f"{name}.png")
    planned = []
    monkeypatch.setattr(consent, "agree", lambda work, yes: planned.extend(work))
    assert cli.main(verb) == 0
    assert len(planned) == stages
    expected = Counter()
    for calls in (calls for stage in planned for calls in stage.calls):
        batch, *shape = calls.shape
        expected[id(calls.network), calls.method, tuple(shape)] += batch * calls.times
    assert made == expected


def test_pictures_of_odd_sizes_are_forecast_by_the_next_shape(tiny_upscaler, tiny_data):
    from sdkit import models

    pipe = models.load_upscaler(device="cpu")
    odd, even = (
        forecast.enlarging(pipe, sizes, 5, 0.4).calls
        for sizes in ([(100, 41), (90, 50)], [(96, 48)] * 2)
    )
    assert odd == even


def test_seconds_follow_from_a_trial_of_each_network(tiny_pipe, monkeypatch):
    """A computer that does an operation in 1 ns in the UNet, and in 3 ns in the VAE."""

    def clock(calls, device):
        slowness = 1e-9 if calls.method == "forward" else 3e-9
        return slowness * calls.operations

    monkeypatch.setattr(forecast.Calls, "seconds", clock)
    work = [
        forecast.painting(tiny_pipe, SETTINGS, size, 2, encode)
        for size, encode in (((64, 64), False), ((96, 64), True))
    ]
    whole, network = (sum(map(count, work)) for count in (lambda w: w.operations, of_unet))
    assert forecast.seconds(work) == pytest.approx(1e-9 * network + 3e-9 * (whole - network))
    alone = consent.estimate(tiny_pipe, SETTINGS, (96, 64), 2)
    assert alone == pytest.approx(forecast.seconds(work[1:]))


@pytest.mark.parametrize(
    "sides, tried, seconds",
    [
        # the sides double until a call takes more than a second
        ((128, 256), [8, 8, 16, 32, 64], 64 / 40 + 0.1),
        # or until they are the real ones, which are tried twice
        ((24, 64), [12, 12, 24, 24], 24 / 40),
        ((4, 4), [4, 4, 4], 4 / 40),
    ],
)
def test_a_trial_is_no_larger_than_need_be(monkeypatch, sides, tried, seconds):
    """A call takes 1/40 s for each row of the picture, and 0.1 s more the first time."""
    seen = []

    def clock(calls, device):
        first = calls.shape[2] not in seen
        seen.append(calls.shape[2])
        return calls.shape[2] / 40 + 0.1 * first

    monkeypatch.setattr(forecast.Calls, "seconds", clock)
    network = Decoder(nn.Conv2d(3, 8, kernel_size=3, padding=1))
    calls = forecast.Calls(network, (1, 3, *sides), 5, "decode")
    measured = forecast.seconds([forecast.Work("", [calls], "cpu")])
    assert seen == tried
    # the operations of a convolution follow the pixels
    assert measured == pytest.approx(5 * seconds * (sides[0] / tried[-1]) ** 2)


def test_a_call_on_this_computer_runs_the_network_itself(tiny_pipe):
    shapes = []
    hook = tiny_pipe.unet.register_forward_hook(
        lambda network, given, result: shapes.append(result.sample.shape)
    )
    calls = forecast.painting(tiny_pipe, SETTINGS, (96, 64)).calls
    with hook:
        assert all(one.seconds(torch.device("cpu")) > 0 for one in calls)
    assert shapes == [(2, 8, 16, 24)]
