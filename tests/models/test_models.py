"""Models by name: what is found, which settings they have, and what is said about faults."""

import gc
import json
import shutil

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

from sdkit import models, postcards
from sdkit.errors import SdkitError
from sdkit.files import model_dir
from sdkit.models import loading, model


def test_load_gives_the_pipeline_of_diffusers_in_float32(tiny_data, tiny_sd):
    pipe = models.load("mini-sd", device="cpu")
    assert type(pipe) is StableDiffusionImg2ImgPipeline
    expected = StableDiffusionImg2ImgPipeline.from_pretrained(tiny_sd, local_files_only=True)
    for name in ("unet", "vae", "text_encoder"):
        ours, theirs = (dict(getattr(p, name).named_parameters()) for p in (pipe, expected))
        assert ours.keys() == theirs.keys()
        assert all(p.dtype == torch.float32 for p in ours.values())
        assert all(torch.equal(ours[key], theirs[key].float()) for key in ours)
    assert pipe.safety_checker is None


def test_load_once_and_share_the_weights_between_tasks(tiny_data):
    image, again = models.load(device="cpu"), models.load("mini-sd", "img2img", "cpu")
    text = models.load(task="text2img", device="cpu")
    assert image is again
    assert type(text) is StableDiffusionPipeline and text.unet is image.unet


def test_a_graphics_processor_is_chosen_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert models.device() == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert models.device() == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert models.device() == "cpu"


def test_missing_and_damaged_weights_are_reported_in_a_sentence(tiny_sd, tmp_path, monkeypatch):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path))
    (tmp_path / "models" / "mini-clip").mkdir(parents=True)
    (tmp_path / "models" / "mini-clip" / "config.json").write_text("{}")
    for name, word in (
        ("mini-sd", "Clone"),
        ("nonsense", "no model 'nonsense'"),
        ("mini-clip", "single network"),
    ):
        with pytest.raises(SdkitError, match=word):
            models.load(name)
    with pytest.raises(SdkitError, match="no task"):
        models.load(tiny_sd, task="inpainting")
    shutil.copytree(tiny_sd, tmp_path / "models" / "mini-sd")
    weights = next((tmp_path / "models" / "mini-sd" / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    assert not models.table()[0]["present"]
    with pytest.raises(SdkitError, match="cannot be loaded"):
        models.load("mini-sd", device="cpu")
    for damaged in ("{", "[1]", "[" * 100_000):
        (tmp_path / "models" / "mini-sd" / "defaults.json").write_text(damaged)
        with pytest.raises(SdkitError, match="defaults.json"):
            models.defaults("mini-sd")


def test_settings_are_the_defaults_of_the_model_except_for_changes(tiny_data, tiny_sd):
    chosen = models.settings("van gogh", seed=7, strength=0.25)
    on_disk = json.loads((tiny_sd / "defaults.json").read_text())
    assert models.defaults() == models.DEFAULTS == on_disk
    assert chosen.guidance_scale == on_disk["guidance_scale"] and chosen.size == on_disk["size"]
    assert (chosen.prompt, chosen.seed, chosen.strength) == ("van gogh", 7, 0.25)


def test_the_table_counts_what_is_there(tiny_data):
    rows = {row["name"]: row for row in models.table()}
    pipe = models.load(device="cpu")
    parts = (pipe.unet, pipe.vae, pipe.text_encoder)
    assert rows["mini-sd"]["present"] and not rows["style-classifier"]["present"]
    # safetensors holds buffers, too; the tiny model saves none
    assert rows["mini-sd"]["parameters"] == sum(
        p.numel() for part in parts for p in part.parameters()
    )
    assert rows["mini-sd"]["megabytes"] > 0 == rows["style-classifier"]["megabytes"]


@pytest.fixture
def shipped():
    if not (model_dir("mini-sd") / "model_index.json").exists():
        pytest.skip("mini-sd is not trained yet")
    return model_dir("mini-sd")


def test_the_shipped_model_has_what_the_kit_reads(shipped):
    """Plain diffusers loads it; its defaults are settings; its styles are words it knows."""
    from sdkit import prompts

    StableDiffusionImg2ImgPipeline.from_pretrained(
        shipped, local_files_only=True, use_safetensors=True
    )
    assert models.settings("van gogh").steps_run >= 1
    known = prompts.known_words(shipped)
    assert known and prompts.split_prompt(", ".join(models.DEFAULTS["styles"]), known)[1] == []


@pytest.mark.parametrize(
    "prompt, scale",
    [
        ("a cat", 4.0),
        ("a cat by Hokusai", 3.0),
        ("oil, after hokusai", 3.0),
        ("an oil painting", 2.0),
        ("a boiling pot", 4.0),
        ("", 4.0),
    ],
)
def test_the_words_of_a_prompt_choose_its_guidance_scale(tiny_data, monkeypatch, prompt, scale):
    own = {**models.USUAL, "guidance_scale": 4.0, "guidance_scales": {"hokusai": 3.0, "oil": 2.0}}
    monkeypatch.setattr(models.Model, "defaults", own)
    assert models.settings(prompt).guidance_scale == scale
    assert models.settings(prompt, guidance_scale=1.0).guidance_scale == 1.0
    assert models.settings(prompt, task="draw").guidance_scale == 4.0


@pytest.mark.parametrize(
    "prompt, parts",
    [
        ("a red house by the sea, van gogh", ("a red house by the sea", "van gogh")),
        ("a cat in the style of Ukiyo-e.", ("a cat", "ukiyo-e")),
        ("a cat by van gogh", ("a cat", "van gogh")),
        ("a cat, in the style of van gogh", ("a cat", "van gogh")),
        ("van gogh", ("van gogh", None)),
        ("a cat", ("a cat", None)),
        ("", ("", None)),
        ("van gogh, a cat", ("van gogh, a cat", None)),
        ("a house by the sea", ("a house by the sea", None)),
    ],
)
def test_split_style_finds_a_style_at_the_end_of_the_prompt(tiny_data, prompt, parts):
    assert models.split_style(prompt) == parts


def test_a_model_completes_prompts_only_if_it_knows_the_postcards():
    longer, added = models.resolve("mini-sd").complete("a boat", 3)
    assert (longer, added) == postcards.complete("a boat", 3) and len(added) == 3
    few = models.Model("few", None, None)
    vars(few)["known_words"] = {"boat"}
    assert few.complete("a boat", 3) == ("a boat", [])
    vars(few)["known_words"] = None
    assert few.complete("a boat", 3) == ("a boat", [])


def test_a_model_reads_its_files_once_and_keeps_what_it_read(tiny_sd, tmp_path):
    folder = shutil.copytree(tiny_sd, tmp_path / "mine")
    mine = models.resolve(folder)
    assert mine.label == "mine" and mine.folder == folder and mine.found == folder
    assert mine.styles == models.defaults(folder)["styles"] and "gogh" in mine.known_words
    (folder / "defaults.json").unlink()
    (folder / "words.json").unlink()
    assert "van gogh" in mine.styles and "'picasso'" in mine.advice("picasso")
    assert models.resolve(folder).styles == [] and models.resolve(folder).advice("picasso") is None
    assert models.resolve(mine) is mine


@pytest.mark.parametrize("path", ["mine", "./mine", "mine/", "mine/.", "mine/../mine", "~/mine"])
def test_a_label_is_the_name_of_the_folder_and_no_path(tiny_sd, tmp_path, monkeypatch, path):
    shutil.copytree(tiny_sd, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert models.label(path) == "mine"


def test_the_labels_of_the_registry_and_of_the_hub(tiny_data, monkeypatch):
    monkeypatch.setattr(models.hub, "cached", lambda *arguments: tiny_data)
    names = ["mini", "mini-sd", "sd15", "some-one/tiny"]
    assert [models.label(name) for name in names] == ["mini-sd", "mini-sd", *names[2:]]


def test_the_pipeline_knows_its_model(tiny_sd):
    model._parts.cache_clear()
    mine = models.resolve(tiny_sd)
    assert mine.pipeline(device="cpu").sdkit_model is mine
    assert mine.pipeline("text2img", device="cpu").sdkit_model is mine


def test_garbage_is_collected_again_after_a_pause():
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            with pytest.raises(KeyError), loading.garbage_collection_paused():
                assert not gc.isenabled()
                raise KeyError
            assert gc.isenabled() == before
        finally:
            gc.enable()


@pytest.mark.parametrize("has_base", [False, True])
def test_lcm_needs_its_lora_as_well_as_the_base_model(tmp_path, monkeypatch, has_base):
    here, lora = {models.SD15[0]} if has_base else set(), models.REAL["lcm"].adapter

    def fetch(repo, file=None):
        here.add(repo)
        fetched.append((repo, file))
        return tmp_path

    fetched = []
    monkeypatch.setattr(
        models.hub, "cached", lambda repo, file=None: tmp_path if repo in here else None
    )
    monkeypatch.setattr(models.hub, "fetch", fetch)
    lcm = models.resolve("lcm")
    assert lcm.found is None and not fetched  # without the LoRA it is not complete
    assert lcm.folder == tmp_path
    base = [] if has_base else [(models.SD15[0], None)]
    assert fetched == [(lora, loading.ADAPTER), *base]
    assert models.resolve("lcm").found == tmp_path


def test_mini_sd_without_its_defaults_is_damaged_but_another_folder_has_the_usual_ones(
    tiny_sd, tmp_path, monkeypatch
):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path))
    folder = shutil.copytree(tiny_sd, tmp_path / "models" / "mini-sd")
    (folder / "defaults.json").unlink()
    with pytest.raises(SdkitError, match="defaults.json is missing"):
        models.settings("van gogh")
    assert models.defaults(folder) == {**models.USUAL, "size": 64}


def test_a_model_of_the_hub_is_refused_as_upscaler_by_its_name(tiny_sd, monkeypatch):
    monkeypatch.setattr(models.hub, "cached", lambda *arguments: tiny_sd)
    with pytest.raises(SdkitError, match="^sd15 is not an upscaler"):
        models.load_upscaler("sd15")
