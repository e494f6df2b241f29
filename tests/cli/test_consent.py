"""An estimate is printed before a long run, and a person is asked."""

import io
from types import SimpleNamespace

import pytest
import torch

from sdkit import cli, consent, models
from sdkit.errors import SdkitError
from sdkit.generate import Settings

SETTINGS = Settings("van gogh", strength=0.5, guidance_scale=4.0, num_inference_steps=8, size=64)


@pytest.fixture
def pipe(tiny_pipe):
    return tiny_pipe


def test_the_estimate_multiplies_one_step_and_one_decoding(pipe, monkeypatch):
    calls = []
    monkeypatch.setattr(consent, "_seconds", lambda device, call: calls.append(call()) or 2.0)
    assert consent.estimate(pipe, SETTINGS, (96, 64), 3) == 3 * (4 * 2.0 + 1.5 * 2.0)
    assert calls[0].sample.shape == (2, 8, 16, 24) and calls[1].sample.shape == (1, 3, 64, 96)
    parameters = sum(p.numel() for p in pipe.unet.parameters())
    assert consent.operations(pipe, SETTINGS, (96, 64), 3) == parameters * 24 * 16 * 4 * 3


def test_a_short_run_starts_at_once_and_a_long_one_needs_consent(pipe, monkeypatch, capsys):
    monkeypatch.setattr(consent, "estimate", lambda *arguments: pytest.fail("tried"))
    consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    for seconds, asked in ((100, False), (1000, True)):
        monkeypatch.setattr(consent, "estimate", lambda *arguments, seconds=seconds: seconds)
        if asked:
            with pytest.raises(consent.Declined, match="--yes"):
                consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
        consent.agree_to_run(pipe, SETTINGS, (64, 64), 1, yes=True)
        error = capsys.readouterr().err
        assert consent.minutes(seconds) in error and "GB of memory on cpu" in error


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


def test_no_verb_downloads_or_runs_long_without_consent(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models.hub, "cached", lambda *arguments: None)
    monkeypatch.setattr(models.hub, "fetch", lambda *arguments: pytest.fail("fetched"))
    for verb in (
        ["draw", "x"],
        ["style", "coffee", "--prompt", "x"],
        ["inpaint", "coffee", "coffee", "--prompt", "x"],
    ):
        for model in ("sd15", "lcm", "some-one/tiny"):
            assert cli.main([*verb, "--model", model]) == 2
            error = capsys.readouterr().err
            assert "would be fetched" in error and "--yes" in error and len(error.splitlines()) == 1
    assert (
        cli.main(["measure", "--model", "sd15"]) == 2
        and "would be fetched" in capsys.readouterr().err
    )
    for model in ("sd15", "some-one/tiny"):
        assert (
            cli.main(["upscale", "coffee", "--model", model]) == 2
            and "no upscaler" in capsys.readouterr().err
        )
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    monkeypatch.setattr(consent, "estimate", lambda *arguments: 1000)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    assert cli.main(["style", "coffee", "chelsea", "--prompt", "van gogh"]) == 2
    error = capsys.readouterr().err
    assert error.count("--yes") == 1 and not list((tmp_path / "styled").iterdir())
    assert cli.main(["style", "coffee", "--prompt", "van gogh", "--yes", "--device", "cpu"]) == 0
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


def test_a_run_of_minutes_is_announced_and_a_short_one_is_not(monkeypatch):
    """The shipped UNet has 11 million parameters, Stable Diffusion 1.5 has 860 million."""
    tried = []
    monkeypatch.setattr(consent, "estimate", lambda *arguments: tried.append(1) or 60.0)
    monkeypatch.setattr(consent.hardware, "refuse_too_large", lambda *arguments: None)
    monkeypatch.setattr(consent.hardware, "used_memory", lambda device: 0)
    for parameters, factor, size, steps, announced in (
        (11e6, 4, (256, 256), 6, False),  # one photograph by the shipped model: seconds
        (860e6, 8, (512, 512), 20, True),  # one picture by Stable Diffusion: minutes
    ):
        weights = torch.empty(int(parameters), device="meta")
        unet = SimpleNamespace(parameters=lambda weights=weights: [weights])
        pipe = SimpleNamespace(unet=unet, vae_scale_factor=factor, _execution_device="cpu")
        settings = Settings("x", 1.0, 4.0, num_inference_steps=steps, size=512)
        tried.clear()
        consent.agree_to_run(pipe, settings, size, 1)
        assert bool(tried) == announced


def test_a_run_of_more_than_three_minutes_needs_consent(pipe, monkeypatch):
    monkeypatch.setattr(consent, "UNNOTICED", 0)
    for seconds, asked in ((170, False), (200, True)):
        monkeypatch.setattr(consent, "estimate", lambda *arguments, seconds=seconds: seconds)
        if not asked:
            consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
            continue
        with pytest.raises(consent.Declined, match="That is long"):
            consent.agree_to_run(pipe, SETTINGS, (64, 64), 1)
