"""What all recipes share: exact resume, batches made ahead, the averages, the record."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sdkit import latents, photos
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.recipes import muon, training
from sdkit.recipes.settings import BaseSettings


@dataclass(frozen=True)
class Settings(BaseSettings):
    # scale of the targets
    scale: float = 1.0
    # folder of another network
    teacher: Path | None = None


class Batch(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


def make_batch(settings, data, rng):
    x = torch.randn(4, 16, generator=training.torch_rng(rng))
    return Batch(x, settings.scale * x.roll(1, 1))


def train(folder, until=None, **changes):
    """Train two networks, one of them beside `Run`, as the VAE does with its discriminator."""
    settings = Settings(runs=folder, steps=6, **changes)
    accelerator = training.accelerator()
    torch.manual_seed(0)
    model, second = torch.nn.Linear(16, 16), torch.nn.Linear(16, 1)
    second, second_optimizer = accelerator.prepare(second, torch.optim.AdamW(second.parameters()))
    run = training.Run(settings, accelerator)
    run.begin(model, muon.Muon(*muon.split(model), 0.02), warmup=3, ema_decay=0.9)
    for step, batch in run.batches("test", make_batch, None):
        y = run.model(batch.x)
        run.descend((y - batch.y).square().mean() + 0.1 * second(y).mean())
        second_optimizer.zero_grad()
        second(y.detach()).square().mean().backward()
        second_optimizer.step()
        run.record(step, loss=(y - batch.y).square().mean())
        if step + 1 == until:
            run.save(until, force=True)
            raise KeyboardInterrupt
    return run, [*run.averaged().parameters(), *second.parameters()]


def test_a_training_that_was_killed_and_resumed_gives_the_same_bits(tmp_path):
    _, whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "halves", until=4)
    run, halves = train(tmp_path / "halves")
    assert run.start == 4
    assert all(map(torch.equal, whole, halves)) and len(whole) == 4
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "halves")]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[1].splitlines()] == list(range(6))
    curves = [(tmp_path / name / "curve.png").read_bytes() for name in ("whole", "halves")]
    assert curves[0] == curves[1] and len(curves[0]) > 1000


def test_a_finished_training_takes_no_more_steps(tmp_path):
    _, first = train(tmp_path)
    run, again = train(tmp_path)
    assert run.is_over and all(map(torch.equal, first, again))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, until=4)
    with pytest.raises(SdkitError, match=r"other settings \(scale\)"):
        train(tmp_path, scale=2.0)
    teacher = tmp_path / "teacher"
    save_file({"w": torch.ones(2)}, (teacher.mkdir(), teacher / "model.safetensors")[1])
    with pytest.raises(SdkitError, match="teacher"):
        train(tmp_path, teacher=teacher)


def test_a_training_can_be_given_more_steps(tmp_path):
    settings = Settings(runs=tmp_path, steps=6)
    train(tmp_path)
    assert training.changes_since_checkpoint(replace(settings, steps=60), {}) == []
    assert training.changes_since_checkpoint(replace(settings, seed=1), {}) == ["seed"]


def test_a_kill_between_the_two_renames_of_a_checkpoint_loses_nothing(tmp_path):
    run = training.Run(Settings(runs=tmp_path), training.accelerator())
    run.save(5, force=True)
    run.save(6, force=True)
    (tmp_path / "checkpoint").rename(tmp_path / "gone")
    assert training.Run(Settings(runs=tmp_path), training.accelerator()).resume() == 5


def test_a_checkpoint_is_saved_only_when_it_is_due(tmp_path):
    run = training.Run(Settings(runs=tmp_path), training.accelerator(), save_every=1000.0)
    run.save(1)
    assert training.last_checkpoint(tmp_path) is None
    run.saved -= 2000
    run.save(2)
    assert training.read_progress(tmp_path)["step"] == 2
    run.save(3)  # the clock starts again with each checkpoint
    assert training.read_progress(tmp_path)["step"] == 2


@pytest.mark.parametrize("steps, share", [(9, 1.0), (29, 1 / 3)])
def test_a_first_step_has_the_length_of_the_learning_rate(tmp_path, steps, share):
    """Gradients are cut to length 1, and a tenth of the steps are for the warm-up at most."""
    run = training.Run(Settings(runs=tmp_path, steps=steps), training.accelerator())
    model = torch.nn.Linear(16, 16)
    run.begin(model, torch.optim.SGD(model.parameters(), 0.1), warmup=200)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    run.descend(1000 * run.model(torch.ones(4, 16)).sum())
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.1 * share, rel=1e-3)


def test_each_step_follows_the_learning_rate_and_the_average_follows_the_steps(tmp_path):
    """The rate falls from step 6 of 9 on. The average's decay is 1 - (1 + step)^-0.75, or less."""
    run = training.Run(Settings(runs=tmp_path, steps=9), training.accelerator())
    model = torch.nn.Linear(1, 1, bias=False)
    run.begin(model, torch.optim.SGD(model.parameters(), 0.1), ema_decay=0.5)
    average = weight = model.weight.item()
    for step in range(9):
        run.descend((1 + step) * run.model(torch.ones(1, 1)).sum())
        moved, weight = weight, model.weight.item()
        rate = 0.1 * min(1, (9 - step) / 3.6)  # the gradient is cut to length 1
        assert moved - weight == pytest.approx(rate, abs=1e-5)
        decay = min(0.5, 1 - (1 + step) ** -0.75)
        average = decay * average + (1 - decay) * weight
    assert average != pytest.approx(weight, abs=0.01)
    assert run.averaged().weight.item() == pytest.approx(average, abs=1e-5)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    run, _ = train(tmp_path)
    with pytest.raises(SdkitError, match=r"In step 3 a loss is not a finite number: .*nan"):
        run.record(3, loss=torch.tensor(float("nan")))


def test_the_environment_can_ask_for_another_number_format(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setattr(training, "Accelerator", lambda mixed_precision: mixed_precision)
    assert training.accelerator() is None  # so accelerate reads the environment


def test_the_loop_hands_over_its_settings_and_logs_the_figures(tmp_path):
    settings, seen = Settings(runs=tmp_path, steps=3, scale=2.5), []

    def loss(given, model, batch):
        seen.append((given, batch))
        value = (model(batch.x) - batch.y).square().mean()
        return value, {"loss": value, "double": 2 * value}

    run = training.Run(settings, training.accelerator())
    model = torch.nn.Linear(16, 16)
    run.begin(model, torch.optim.SGD(model.parameters(), 0.1))
    run.fit("test", make_batch, loss, None)
    assert [given for given, _ in seen] == [settings] * 3
    for step, (_, batch) in enumerate(seen):
        assert torch.equal(batch.x, make_batch(settings, None, training.rng(0, step)).x)
        assert run.log[step]["double"] == pytest.approx(2 * run.log[step]["loss"], abs=2e-5)
    assert run.log[2]["loss"] < run.log[0]["loss"]
    assert run.step_seconds > 0


def test_what_is_saved_is_the_moving_average(trained):
    """Of diffusers' EMAModel, for a network of our own and for one of diffusers."""
    from diffusers import AutoencoderKL

    from sdkit.evaluate.judges import StyleClassifier

    for name, network, place in (
        ("vae", AutoencoderKL, "runs/vae/model"),
        ("classifier", StyleClassifier, "models/style-classifier"),
    ):
        state = torch.load(trained / "runs" / name / "checkpoint" / "custom_checkpoint_1.pkl")
        saved = network.from_pretrained(trained / place).float()
        for parameter, average in zip(saved.parameters(), state["shadow_params"], strict=True):
            torch.testing.assert_close(parameter.data, average.half().float())


@pytest.mark.parametrize("workers", (0, 2))
def test_batches_come_in_order_whoever_makes_them(workers):
    made = list(
        training.batches_ahead(
            lambda step: Batch(torch.full((2,), step), f"{step}"), range(3, 9), workers
        )
    )
    assert [(int(batch.x[0]), batch.y) for batch in made] == [(s, f"{s}") for s in range(3, 9)]
    assert list(training.batches_ahead(str, range(0), workers)) == []


def test_random_numbers_differ_by_seed_step_and_process():
    drawn = {training.rng(*key).integers(2**62) for key in ((0, 0), (1, 0), (0, 1), (0, 0, 1))}
    assert len(drawn) == 4 and training.rng(0, 1).integers(2**62) in drawn
    tensors = [torch.randn(1, generator=training.torch_rng(training.rng(0, s))) for s in (1, 1, 2)]
    assert tensors[0] == tensors[1] != tensors[2]


def test_latents_made_in_batches_are_those_of_the_whole(tiny_data):
    from sdkit import models

    vae = models.load(tiny_data / "models" / "mini-sd", device="cpu").vae
    squares = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    made = training.encode_batches(vae, squares, batch_size=2)
    expected = latents.encode(vae, photos.to_batch(squares))
    assert made.dtype == torch.float16 and made.shape == expected.shape
    torch.testing.assert_close(made.float(), expected, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("native, expected", [(True, "bf16"), (False, "no")])
def test_trainings_are_in_bfloat16_only_where_that_is_native(monkeypatch, native, expected):
    monkeypatch.setattr(training.hardware, "bf16_is_native", lambda device: native)
    # an Accelerator's number format cannot be changed within a process
    monkeypatch.setattr(training, "Accelerator", lambda mixed_precision: mixed_precision)
    assert training.accelerator() == expected


def test_the_learning_rate_is_constant_until_it_falls_and_does_not_know_the_end_before():
    def rates(steps, upto):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule, seen = training.learning_rate_schedule(optimizer, steps, warmup=4), []
        for _ in range(upto):
            seen.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return seen

    whole = rates(100, 101)
    assert whole[:5] == [0.25, 0.5, 0.75, 1, 1] and set(whole[4:61]) == {1}
    assert whole[80] == pytest.approx(0.5) and whole[100] == 0.1
    # given more steps later, a run goes on as if it had always had them
    assert rates(1000, 60) == whole[:60]


def test_a_fingerprint_changes_with_the_weights_and_not_with_their_place(tmp_path):
    for name, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        (tmp_path / name).mkdir()
        save_file({"w": torch.full((3,), value)}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "recipe.json").write_text(name)
    a, b, c = (training.fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c and len(a) == 12
    (tmp_path / "empty").mkdir()
    assert training.fingerprint(tmp_path / "empty") is None


def test_the_record_says_how_a_network_was_made(tmp_path):
    teacher, out = tmp_path / "teacher", tmp_path / "out"
    for folder in (teacher, out):
        folder.mkdir()
    save_file({"w": torch.ones(3)}, teacher / "model.safetensors")
    (teacher / "recipe.json").write_text('{"seed": 7}')
    run, _ = train(tmp_path / "runs", teacher=teacher)
    training.write_record(out, run, "test", {"psnr": 30.0}, "abc")
    record = training.read_record(out)
    assert record["command"] == "python -m sdkit.recipes.test"
    wanted = {"steps": 6, "batch_size": 16, "seed": 0, "limit": 0, "scale": 1.0}
    assert record["settings"] == wanted
    weights = training.fingerprint(teacher)
    assert record["inputs"] == {"teacher": {"weights": weights, "recipe": {"seed": 7}}}
    assert (record["metrics"], record["data_hash"]) == ({"psnr": 30.0}, "abc")
    assert {"git_revision", "wall_time_minutes", "machine", "torch"} <= record.keys()
    assert str(tmp_path) not in json.dumps(record)
    assert (out / "curve.png").read_bytes() == (tmp_path / "runs" / "curve.png").read_bytes()


def test_the_records_of_the_shipped_networks_can_be_read():
    shipped = sorted((ROOT / "data" / "models").rglob("recipe.json"))
    assert len(shipped) >= 8
    for path in shipped:
        record = training.read_record(path.parent)
        assert record["command"].startswith("python -m sdkit.recipes.")
        assert record["settings"]["steps"] > 0 and record["wall_time_minutes"] > 0
