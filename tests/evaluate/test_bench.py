"""The verb bench, with a tiny model: its arithmetic, its table, and what it compares with.

How long anything takes is not tested.
"""

import json
import sys

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from sdkit import bench, cli, generate, hardware, models
from sdkit.errors import SdkitError

NOT_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")


@pytest.fixture
def small(tiny_data, monkeypatch):
    """Small pictures and one run of each; mini-sd is the tiny model."""
    for name, value in {"SIZE": 96, "SIZES": (64, 96, 128), "REPEATS": 1, "TURNS": 1}.items():
        monkeypatch.setattr(bench, name, value)


@pytest.mark.parametrize("power", [0.9, 1.15, 1.7, 2.0])
def test_the_exponent_of_a_power_law_is_its_power(power):
    pixels = [size**2 for size in bench.SIZES]
    assert bench.exponent(pixels, [3e-6 * n**power for n in pixels]) == pytest.approx(power)


def test_the_exponent_is_fitted_to_all_points():
    """The slopes are 1 and 2 over steps of equal length, so that of the best line is 1.5."""
    assert bench.exponent([1, 10, 100], [1, 10, 1000]) == pytest.approx(1.5)


@pytest.mark.parametrize("value, verdict", [(3.9, "kept"), (4.0, "kept"), (4.001, "missed")])
def test_the_table_says_whether_a_limit_is_kept(value, verdict):
    row = bench.median_row("style", [1.0, value, 90.0], "s", 4.0)
    assert row.verdict == verdict
    assert bench.table_line(row).split() == [
        "style",
        f"{value:g}",
        "s",
        *"1 to 90 4".split(),
        verdict,
    ]


def test_a_row_without_a_limit_has_no_verdict():
    assert bench.table_line(bench.median_row("net", [2.0])).split() == "net 2 s 2 to 2".split()


def test_a_row_that_was_not_measured_says_why_and_keeps_no_limit():
    row = bench.Row("step", limit=1.0, remark="left out by --quick")
    assert row.verdict == ""
    assert bench.table_line(row).endswith("left out by --quick")


def test_a_ratio_is_that_of_the_medians():
    row = bench.ratio_row("ours over theirs", [2.0, 4.0, 9.0], [1.0, 2.0, 3.0], 1.03)
    assert (row.value, row.runs, row.verdict) == (2.0, (2.0, 2.0, 3.0), "missed")


def test_calls_take_turns_and_the_first_round_does_not_count():
    called = []
    calls = {name: lambda name=name: called.append(name) for name in "abc"}
    taken = bench.alternate(calls, 3, "letters")
    assert "".join(called) == "abc" + "cba" + "abc" + "cba"
    assert {name: len(runs) for name, runs in taken.items()} == {"a": 3, "b": 3, "c": 3}


@NOT_WINDOWS
def test_the_memory_of_a_new_process_is_its_own():
    """This process has torch loaded, and Linux would count that as memory of the new one."""
    little = bench.run_fresh([sys.executable, "-S", "-c", "pass"])
    much = bench.run_fresh([sys.executable, "-S", "-c", "b'x' * 200_000_000"])
    assert hardware.used_memory("cpu") > 100e6
    assert 0 < little["memory"] < 0.05
    assert 0.2 < much["memory"] < 0.25


@NOT_WINDOWS
def test_processor_seconds_are_those_of_the_new_process():
    code = "import time\nwhile time.process_time() < 0.5: pass"
    assert bench.run_fresh([sys.executable, "-S", "-c", code])["processor"] >= 0.5


def test_a_command_that_fails_gives_its_last_line():
    code = "import sys; sys.exit('first\\nThe disk is full.')"
    with pytest.raises(SdkitError, match="The disk is full."):
        bench.run_fresh([sys.executable, "-c", code])


def test_the_networks_have_the_published_number_of_parameters():
    """Johnson et al.: the size of PyTorch's example fast_neural_style, which has these layers.

    Stable Diffusion 1.5: the sum over its published file.
    """
    assert sum(p.numel() for p in bench.feed_forward().parameters()) == 1_679_235
    with torch.device("meta"):  # no memory is taken
        network = bench.full_size_unet()
    assert sum(p.numel() for p in network.parameters()) == 859_520_964


def test_the_feed_forward_network_keeps_the_shape_of_a_picture():
    x = torch.zeros(1, 3, 40, 32)
    assert bench.without_gradients(bench.feed_forward(), x).shape == x.shape


def test_bare_diffusers_paints_the_same_picture(tiny_sd, tiny_pipe, small):
    """So the two do the same work, and their times can be compared."""
    model, photo = models.resolve(tiny_sd), bench.portrait()
    settings = model.settings("van gogh", size=96, negative_prompt="a photo", seed=3)
    ours = generate.style(tiny_pipe, [photo], settings, advise=False)[0]
    bare = bench.bare_style(bench.bare_pipeline(model, tiny_pipe), photo, settings)
    assert ours.size == (96, 120)
    np.testing.assert_array_equal(ours, bare)


def test_the_growth_has_a_limit_only_for_all_sizes(tiny_sd, tiny_pipe, small):
    model = models.resolve(tiny_sd)
    *single, some = bench.growth(model, tiny_pipe, [64, 96])
    *_, whole = bench.growth(model, tiny_pipe, [64, 96, 128])
    assert (some.limit, whole.limit) == (None, bench.GROWTH)
    seconds = [row.value for row in single]
    slope = np.log(seconds[1] / seconds[0]) / np.log((96 / 64) ** 2)
    assert some.value == pytest.approx(slope, rel=0.01, abs=0.01)  # seconds are rounded


def test_the_full_size_network_is_left_out_if_memory_is_short(tiny_sd, tiny_pipe, monkeypatch):
    monkeypatch.setattr(hardware, "free_memory", lambda: 7.9e9)
    (row,) = bench.full_size(models.resolve(tiny_sd), tiny_pipe, quick=False)
    assert row.value is None and "needs 8 GB" in row.remark and "7.9" in row.remark


def test_a_step_of_the_full_size_network_is_compared_with_a_picture(
    tiny_sd, tiny_pipe, small, monkeypatch
):
    """A small network with the inputs of the full-size one stands in for it."""
    tiny = UNet2DConditionModel(
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=768,
        attention_head_dim=2,
    )
    monkeypatch.setattr(bench, "full_size_unet", lambda: tiny)
    monkeypatch.setattr(hardware, "free_memory", lambda *device: 9e9)
    step, ratio = bench.full_size(models.resolve(tiny_sd), tiny_pipe, quick=False)
    assert step.value > 0 and (step.unit, ratio.unit) == ("s", "")


def test_the_json_has_the_numbers_of_the_table(small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bench", "--quick", "--json", "here.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    written = json.loads((tmp_path / "here.json").read_text(encoding="utf-8"))
    rows = written.pop("rows")
    for row in rows:
        (line,) = [line for line in lines if line.startswith(row["name"] + "  ")]
        if row["value"] is None:
            assert row["remark"] in line
        else:
            assert line.removeprefix(row["name"]).split()[0] == f"{row['value']:g}"
        assert line.endswith(row["verdict"])
    names = " | ".join(row["name"] for row in rows)
    for part in ("96 x 120 px, new process", "96 x 120 px, warm", "bare diffusers", "feed-forward"):
        assert part in names
    assert "postcard, 64 x 64 px" in names and "96 x 96 px, warm" in names
    assert "128 x 128" not in names  # --quick
    assert {row["name"]: row["remark"] for row in rows}[rows[-1]["name"]] == "left out by --quick"
    assert set(written) == {"date", "versions", "machine", "threads", "busy before", "style"}
    assert "8 steps of which 4 run, strength 0.5, guidance 4" in written["style"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.json"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [(["--json", "there.json"], "exists already"), (["--model", "no/where"], "not a folder")],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    small, tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.json").write_text("precious")
    monkeypatch.setattr(bench, "run_fresh", lambda command: pytest.fail("measured"))
    assert cli.main(["bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert (tmp_path / "there.json").read_text() == "precious"


def test_the_help_names_the_options(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "--help"])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    assert "--quick" in printed and "--json FILE" in printed and "--model" in printed
