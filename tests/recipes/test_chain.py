"""The chain of all trainings: its order, what it skips and resumes, its plan, and what it makes."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from sdkit import latents, photos
from sdkit.files import ROOT
from sdkit.models import checksums
from sdkit.recipes import __main__ as command
from sdkit.recipes import cards, chain, training
from sdkit.recipes.settings import input_folders


@pytest.fixture
def tiny(toy_data, trained):
    """The stages that `trained` has run."""
    return chain.stages(toy_data / "art", trained / "models", trained / "runs", tiny=True)


@pytest.fixture
def copied(toy_data, trained, tmp_path):
    """The same stages on a copy that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    return chain.stages(toy_data / "art", folder / "models", folder / "runs", tiny=True)


def actions(stages):
    return {one.stage.name: one.action for one in chain.plan(stages)}


@pytest.mark.parametrize("tiny_networks", [False, True])
def test_every_stage_finds_what_earlier_ones_made(toy_data, tmp_path, tiny_networks):
    made = set()
    for stage in chain.stages(toy_data / "art", tmp_path, tmp_path / "runs", tiny_networks):
        for name, folder in input_folders(stage.settings).items():
            assert name == "features" or folder in made, (stage.name, name)
        made |= {path for path in chain.output_folders(stage.settings)}
    out = tmp_path / "mini-sd"
    assert {out / "vae", out / "unet", out / "text_encoder", out / "tokenizer"} <= made


def test_the_chain_makes_a_whole_pipeline(trained):
    folder = trained / "models" / "mini-sd"
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe = pipe.to(torch.float32)
    pipe.set_progress_bar_config(disable=True)
    (image,) = pipe("a red boat", height=32, width=32, num_inference_steps=2).images
    assert image.size == (32, 32)
    assert pipe.scheduler.config.timestep_spacing == "leading"
    assert "boat" in json.loads((folder / "words.json").read_text())


def test_the_latents_of_the_trained_vae_have_variance_one(trained):
    pipe = StableDiffusionPipeline.from_pretrained(trained / "models" / "mini-sd")
    x = photos.to_batch(cards.render(16, 64)[1])
    vae = pipe.vae.float()
    # measured on other pictures than in training, which are noise
    assert 0.2 < latents.encode(vae, x).std() < 5
    assert vae.config.scaling_factor != 0.18215  # the default of diffusers


def test_no_place_of_this_machine_is_published(trained):
    for path in (trained / "models").rglob("*.json"):
        assert str(trained.parent) not in path.read_text(), path


@pytest.mark.parametrize(
    "stage, before",
    [
        ("runs/unet-redraw/model/unet", "runs/unet/model/unet"),
        ("models/mini-sd/vae", "runs/vae/model"),
    ],
)
def test_a_further_training_starts_from_the_one_before(trained, stage, before):
    initial = training.read_record(trained / stage)["inputs"]["initial"]
    assert initial["weights"] == training.fingerprint(trained / before)


def test_the_decoder_changes_and_the_encoder_does_not(trained):
    before, after = (
        load_file(trained / place / "diffusion_pytorch_model.safetensors")
        for place in ("runs/vae/model", "models/mini-sd/vae")
    )
    same = {name for name in before if torch.equal(before[name], after[name])}
    of_encoder = {name for name in before if name.startswith(("encoder", "quant_conv"))}
    assert of_encoder <= same
    assert "decoder.conv_out.weight" not in same


def test_the_second_unet_training_learns_redrawn_postcards(trained):
    record = training.read_record(trained / "runs" / "unet-redraw" / "model" / "unet")
    assert record["settings"]["redrawn"] == chain.TINY_REDRAWN


def test_finished_stages_are_skipped(tiny, monkeypatch, capsys):
    for stage in tiny:
        monkeypatch.setattr(stage.recipe, "main", None)  # a call would raise
    chain.run(tiny)
    assert capsys.readouterr().out.count("finished, skipped") == len(tiny)
    assert set(actions(tiny).values()) == {"skip"}


def test_other_settings_start_a_stage_and_those_that_need_it_over(copied):
    copied[3] = replace(copied[3], settings=replace(copied[3].settings, kl_weight=1.0))
    assert copied[3].name == "vae"
    assert actions(copied) == {
        "classifier": "skip",
        "reader": "skip",
        "text": "skip",
        "vae": "start over",
        "decoder": "start over",
        "unet": "start over",
        "unet-redraw": "start over",
        "guidance": "start over",
        "painter": "start over",
        "controlnet": "start over",
        "regressor": "start over",
        "upscaler": "start over",
    }


def test_an_input_that_was_made_anew_starts_a_stage_over(copied):
    path = copied[0].settings.out / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")  # the classifier, which measures the upscaler
    assert [one for one, what in actions(copied).items() if what != "skip"] == [
        "regressor",
        "upscaler",
    ]


def test_an_unfinished_stage_is_resumed(copied, capsys):
    reader = copied[1]
    (reader.settings.out / "recipe.json").unlink()
    before = (reader.settings.out / "diffusion_pytorch_model.safetensors").read_bytes()
    plan = chain.plan([reader])[0]
    assert (plan.action, plan.minutes, plan.source) == ("resume", 0.0, "its first 2 steps")
    chain.run([reader])
    assert reader.is_finished()
    assert (reader.settings.out / "diffusion_pytorch_model.safetensors").read_bytes() == before


def test_the_chain_leaves_a_list_of_checksums(toy_data, copied):
    models = copied[0].settings.out.parent
    words = ["--art", str(toy_data / "art"), "--out", str(models), "--tiny"]
    command.main([*words, "--runs", str(models.parent / "runs")])
    names = {path.name for path in models.iterdir() if path.is_dir()}
    assert {name.split("/")[0] for name in checksums.read(models)} == names
    assert [checksums.faults(models, name) for name in names] == [[]] * len(names)


def test_one_training_renews_the_list_of_the_shipped_networks(copied, monkeypatch):
    reader = copied[1]
    models = reader.settings.out.parent
    monkeypatch.setenv("SDKIT_DATA", str(models.parent))
    checksums.write(models)
    (reader.settings.out / "recipe.json").unlink()
    assert checksums.faults(models, "postcard-reader") == ["recipe.json is missing"]
    chain.run([reader])
    assert checksums.faults(models, "postcard-reader") == []
    assert "mini-sd/words.json" in checksums.read(models)


def test_a_stage_that_was_killed_gives_the_same_bits_in_the_end(copied, monkeypatch):
    reader = copied[1]
    weights = reader.settings.out / "diffusion_pytorch_model.safetensors"
    before, save = weights.read_bytes(), training.Run.save
    shutil.rmtree(reader.settings.out)
    shutil.rmtree(reader.settings.runs)

    def save_and_die(run, step, force=False):
        save(run, step, force=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Run, "save", save_and_die)
        chain.run([reader])
    assert not weights.exists() and reader.steps_done == 1
    assert chain.plan([reader])[0].action == "resume"
    chain.run([reader])
    assert weights.read_bytes() == before


def test_a_stage_that_starts_over_leaves_its_old_checkpoint(copied):
    reader = replace(copied[1], settings=replace(copied[1].settings, seed=5))
    assert reader.is_stale() and not reader.is_finished()
    chain.run([reader])
    assert reader.is_finished() and not reader.is_stale()
    assert training.read_record(reader.settings.out)["settings"]["seed"] == 5


def test_minutes_are_estimated_from_the_last_record_of_the_same_recipe(toy_data, tmp_path):
    """Scaled by steps and batch size, and only for the same kind of device."""
    out = tmp_path / "models"
    stages = chain.stages(toy_data / "art", out, tmp_path / "runs")
    assert all(
        one.minutes is None and "no training" in one.source for one in chain.plan(stages, out)
    )
    shipped = json.loads((ROOT / "data/models/postcard-reader/recipe.json").read_text())
    settings = {"steps": 750, "batch_size": 32}
    device = training.accelerator().device.type
    for machine, expected in (
        (f"x, 2 cores, {device}, no", 8 * 4),
        ("x, 2 cores, other, no", None),
    ):
        record = {**shipped, "settings": settings, "wall_time_minutes": 8, "machine": machine}
        (out / "postcard-reader").mkdir(parents=True, exist_ok=True)
        (out / "postcard-reader" / "recipe.json").write_text(json.dumps(record))
        reader = chain.plan(stages, out)[1]
        assert reader.minutes == expected
        assert machine in reader.source or expected is None


def test_the_time_of_a_training_is_found_in_the_record_of_a_later_one(tiny, trained, tmp_path):
    """The first training of the UNet is two trainings before the one that is shipped."""
    (first,) = (stage for stage in tiny if stage.name == "unet")
    elsewhere = replace(first, settings=replace(first.settings, out=tmp_path))
    minutes, source = chain.estimate(elsewhere, known=trained / "models")
    assert minutes is not None and "recipe.json of unet" in source


def test_a_dry_run_prints_the_plan_and_trains_nothing(toy_data, tmp_path, capsys):
    words = ["--art", str(toy_data / "art"), "--out", str(tmp_path), "--dry-run"]
    command.main([*words, "--runs", str(tmp_path / "runs")])
    lines = capsys.readouterr().out.splitlines()
    names = [stage.name for stage in chain.stages(toy_data / "art", tmp_path)]
    assert [line.split()[0] for line in lines] == ["stage", *names, "all"]
    assert all("train" in line for line in lines[1:-1])
    assert list(tmp_path.iterdir()) == []


def test_the_plan_sums_what_it_knows(tiny):
    plans = [
        chain.Plan(tiny[0], "train", 90.0, "here"),
        chain.Plan(tiny[1], "train", None, "nowhere"),
    ]
    assert chain.describe(plans).splitlines()[-1].split() == "all 90.0 at least 1.5 hours".split()


def test_the_tiny_networks_never_replace_the_shipped_ones(toy_data):
    with pytest.raises(SystemExit, match="--out"):
        command.main(["--art", str(toy_data / "art"), "--tiny"])


def test_missing_pictures_are_one_sentence(tmp_path, toy_data):
    words = ["--art", str(tmp_path / "no"), "--out", str(tmp_path / "o")]
    with pytest.raises(SystemExit, match="no folder"):
        command.main([*words, "--runs", str(tmp_path / "r"), "--tiny"])
