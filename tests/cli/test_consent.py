"""An estimate is printed before a long run, and a person is asked."""

import io
from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from sdkit import cli, consent, forecast, hardware, models, photos
from sdkit.errors import SdkitError
from sdkit.generate import Settings

SETTINGS = Settings("van gogh", strength=0.5, guidance_scale=4.0, num_inference_steps=8, size=64)


@pytest.fixture
def pipe(tiny_pipe):
    return tiny_pipe


def test_a_short_run_starts_at_once_and_a_long_one_needs_consent(pipe, monkeypatch, capsys):
    monkeypatch.setattr(forecast, "seconds", lambda work: pytest.fail("tried"))
    consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    for seconds, asked in ((100, False), (1000, True)):
        monkeypatch.setattr(forecast, "seconds", lambda work, seconds=seconds: seconds)
        if asked:
            with pytest.raises(consent.Declined, match="--yes"):
                consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
        consent.agree_to_run(pipe, SETTINGS, (64, 64), 1, yes=True)
        error = capsys.readouterr().err
        assert consent.minutes(seconds) in error and "GB of memory on cpu" in error


def test_the_stages_of_a_run_are_announced_together(pipe, monkeypatch, capsys):
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    monkeypatch.setattr(forecast, "seconds", lambda work: 50.0 * len(work))
    stages = [forecast.painting(pipe, SETTINGS, size, 2) for size in ((64, 64), (128, 128))]
    consent.agree(stages)
    assert capsys.readouterr().err.startswith(
        "2 x 4 steps at 64 x 64 pixels, then 2 x 4 steps at 128 x 128 pixels: about 2 min and "
    )
    with pytest.raises(consent.Declined, match="That is long"):
        consent.agree(stages * 2)


@pytest.mark.parametrize(
    "answer, goes_on", [("y\n", True), ("Yes\n", True), ("\n", False), ("no\n", False), ("", False)]
)
def test_the_answer_at_the_terminal(monkeypatch, answer, goes_on):
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    if goes_on:
        consent.ask("Long.", False, "wait")
    else:
        with pytest.raises(consent.Declined, match="Nothing was done"):
            consent.ask("Long.", False, "wait")


def test_no_verb_downloads_or_runs_long_without_consent(
    tiny_data, tiny_upscaler, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models.hub, "cached", lambda *arguments: None)
    monkeypatch.setattr(models.hub, "fetch", lambda *arguments: pytest.fail("fetched"))
    for verb in (
        ["draw", "x"],
        ["style", "coffee", "--prompt", "x"],
        ["inpaint", "coffee", "coffee", "--prompt", "x"],
        ["edit", "coffee", "--from", "x", "--to", "y"],
    ):
        for model in ("sd15", "lcm", "some-one/tiny"):
            assert cli.main([*verb, "--model", model]) == 2
            error = capsys.readouterr().err
            assert (
                "must be downloaded" in error and "--yes" in error and len(error.splitlines()) == 1
            )
    assert (
        cli.main(["measure", "--model", "sd15"]) == 2
        and "must be downloaded" in capsys.readouterr().err
    )
    for model in ("sd15", "some-one/tiny"):
        assert (
            cli.main(["upscale", "coffee", "--model", model]) == 2
            and "not an upscaler" in capsys.readouterr().err
        )
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    monkeypatch.setattr(forecast, "seconds", lambda work: 1000)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    assert cli.main(["style", "coffee", "chelsea", "--prompt", "van gogh"]) == 2
    error = capsys.readouterr().err
    assert error.count("--yes") == 1 and not list((tmp_path / "styled").iterdir())
    assert cli.main(["style", "coffee", "--prompt", "van gogh", "--yes", "--device", "cpu"]) == 0
    photos.sample("coffee").resize((24, 16)).save("small.png")
    capsys.readouterr()
    for verb in (
        ["draw", "van gogh"],
        ["inpaint", "coffee", "coffee", "--prompt", "x"],
        ["edit", "coffee", "--from", "a photo", "--to", "a painting"],
        ["upscale", "small.png", "small.png"],
    ):
        assert cli.main(verb) == 2
        error = capsys.readouterr().err
        assert error.count("about 17 min") == error.count("--yes") == 1, error
    assert cli.main(["upscale", "small.png", "--yes"]) == 0
    assert cli.main(["draw", "van gogh", "--device", "tpu", "--yes"]) == 2
    assert "no device 'tpu'" in capsys.readouterr().err


def test_durations_in_words():
    assert [consent.minutes(x) for x in (40.2, 170, 1000, 9000)] == [
        "40 s",
        "3 min",
        "17 min",
        "2.5 h",
    ]
    with pytest.raises(SdkitError):
        consent.ask("x", False, "y")


# A UNet of 11 million parameters with self-attention at 1/8 and 1/16 of the side of the picture,
# and that of Stable Diffusion 1.5 with 860 million.
SMALL = dict(
    in_channels=8,
    out_channels=8,
    block_out_channels=[64, 128, 192],
    layers_per_block=1,
    down_block_types=["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
    up_block_types=[*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
    cross_attention_dim=160,
    norm_num_groups=16,
)
LARGE = dict(cross_attention_dim=768)
VAE = dict(
    block_out_channels=[32, 64, 160],
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    norm_num_groups=16,
)


@pytest.mark.parametrize(
    "network, channels, factor, side, pictures, steps, announced",
    [
        (SMALL, 8, 4, 256, 1, 6, False),  # one photograph by a small model: seconds
        (SMALL, 8, 4, 512, 8, 6, True),  # 233 s on two cores, most of it in attention
        (LARGE, 4, 8, 512, 1, 20, True),  # one picture by Stable Diffusion: minutes
    ],
)
def test_a_run_of_minutes_is_announced_and_a_short_one_is_not(
    monkeypatch, network, channels, factor, side, pictures, steps, announced
):
    tried = []
    monkeypatch.setattr(forecast, "seconds", lambda work: tried.append(1) or 60.0)
    monkeypatch.setattr(hardware, "used_memory", lambda device: 0)
    with torch.device("meta"):
        pipe = SimpleNamespace(
            unet=UNet2DConditionModel(**network),
            vae=AutoencoderKL(latent_channels=channels, **VAE),
            vae_scale_factor=factor,
            tokenizer=SimpleNamespace(model_max_length=77),
            _execution_device="cpu",
        )
    consent.agree_to_run(pipe, Settings("x", 1.0, 4.0, steps, side), (side, side), pictures)
    assert bool(tried) == announced


def test_a_run_of_more_than_three_minutes_needs_consent(pipe, monkeypatch):
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    for seconds, asked in ((170, False), (200, True)):
        monkeypatch.setattr(forecast, "seconds", lambda work, seconds=seconds: seconds)
        if not asked:
            consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
            continue
        with pytest.raises(consent.Declined, match="That is long"):
            consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
