"""Lesson 11: its functions do what sdkit and diffusers do."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from sdkit import album, checks, generate, latents, photos, plots, progress, prompts, sampler
from sdkit.diffusion.schedule import Schedule
from tests import strange
from tests.taught import source_of, taught


@pytest.fixture(params=["tiny_pipe", "one_call"])
def pipe(request):
    """A model that is asked twice for guidance, and one that is asked once."""
    pipe = request.getfixturevalue(request.param)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    return pipe


@pytest.mark.parametrize(
    "strength, guidance_scale, steps, seed", [(0.5, 4.0, 8, 0), (1.0, 1.5, 5, 3), (0.2, 7.5, 10, 1)]
)
def test_paint_by_hand_equals_the_pipeline(pipe, photo, strength, guidance_scale, steps, seed):
    by_hand, believed = taught("11_style_transfer.ipynb")["paint_by_hand"](
        pipe, photo, "van gogh", strength, guidance_scale, steps, seed
    )
    by_pipe = pipe(
        prompt="van gogh",
        image=photo,
        strength=strength,
        guidance_scale=guidance_scale,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="pt",
    ).images
    assert len(believed) == int(steps * strength)
    torch.testing.assert_close(by_hand / 2 + 0.5, by_pipe.clamp(0, 1), atol=1e-5, rtol=0)


def test_paint_by_hand_predicts_the_same_clean_latents_as_sdkit(pipe, photo):
    _, believed = taught("11_style_transfer.ipynb")["paint_by_hand"](
        pipe, photo, "van gogh", 0.5, 4.0, 8, 0
    )
    schedule, generator = Schedule.of(pipe.scheduler), torch.Generator().manual_seed(0)
    timesteps = sampler.timesteps(schedule, 8, 0.5)
    x0 = latents.encode(pipe.vae, photos.to_tensor(photo), generator)
    noised = schedule.add_noise(x0, torch.randn(x0.shape, generator=generator), timesteps[0])
    embeds = prompts.encode(pipe.tokenizer, pipe.text_encoder, ["van gogh", ""])
    states = list(
        sampler.denoise(pipe.unet, schedule, noised, embeds[:1], embeds[1:], timesteps, 4.0)
    )
    for ours, state in zip(believed, states, strict=True):
        torch.testing.assert_close(ours, state.pred_x0, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kept_strength, mask", [(0.25, 1.0), (0.75, 0.0)])
def test_paint_around_with_a_full_or_empty_mask_is_plain_painting(pipe, photo, kept_strength, mask):
    # If all is kept until strength 0.25, this is plain painting at strength 0.25. If nothing is
    # kept, it is plain painting at the whole strength.
    settings = generate.Settings(
        "van gogh", strength=0.75, guidance_scale=4.0, num_inference_steps=8, size=64
    )
    h, w = photo.height // 4, photo.width // 4
    ours = taught("solutions/11_style_transfer.ipynb")["paint_around"](
        pipe, photo, torch.full((1, 1, h, w), mask), settings, face_strength=0.25
    )
    plain = generate.Settings(
        "van gogh", strength=kept_strength, guidance_scale=4.0, num_inference_steps=8, size=64
    )
    theirs = generate.style(pipe, [photo], plain)[0]
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


def choose(monkeypatch, rule):
    """The strengths that the cell below exercise 11.2 titles, with a student's rule."""
    shown = []
    monkeypatch.setattr(plots, "show", lambda grid, alt: shown.append(grid))
    space = {
        "checks": checks,
        "plots": plots,
        "settings": generate.Settings(
            "van gogh", strength=0.3, guidance_scale=7, num_inference_steps=10, size=64
        ),
        "NAME": "mini-sd",
        "photo": Image.new("RGB", (64, 64)),
        "strengths": [0.2, 0.3, 0.5],
        "content": [[0.9, 0.9], [0.78, 0.82], [0.68, 0.7]],  # means 0.9, 0.8 and 0.69
        "style": [[0.2, 0.2], [0.3, 0.3], [0.5, 0.5]],
        "ladder": {s: Image.new("RGB", (64, 64)) for s in (0.2, 0.3, 0.5)},
        "pick_strength": rule,
    }
    checks.check("11.2", rule)
    exec(source_of("11_style_transfer.ipynb", "code-your-rule"), space)  # our own notebook
    titles = [ax.get_title() for grid in shown for ax in grid.axes if "strength" in ax.get_title()]
    return [title.rpartition(" ")[2] for title in titles]


def test_the_students_rule_chooses_the_portraits_of_the_main_line(monkeypatch, capsys):
    assert choose(monkeypatch, taught("11_style_transfer.ipynb")["pick_strength"]) == []
    assert "exercise 11.2. Run it again" in capsys.readouterr().out
    right = taught("solutions/11_style_transfer.ipynb")["pick_strength"]
    assert choose(monkeypatch, right) == ["0.2", "0.3", "0.5"]
    assert choose(monkeypatch, lambda *lists: 0.5) == []  # a wrong rule chooses nothing


@pytest.fixture
def lab(tiny_pipe, tmp_path):
    """What the cell that paints the lab uses, with a tiny model and an empty place for photos."""
    settings = generate.Settings(
        "van gogh", strength=0.5, guidance_scale=2.0, num_inference_steps=2, size=64
    )
    shown, uploads, taken = [], [], []
    return {
        "files": SimpleNamespace(ROOT=tmp_path),
        "widgets": SimpleNamespace(uploaded=lambda button: uploads, show_lines=shown.extend),
        "button": None,
        "camera": SimpleNamespace(taken=taken),
        "photos": photos,
        "album": album,
        "generate": generate,
        "pipe": tiny_pipe,
        "settings": settings,
        "PHOTO": "astronaut",
        "painted": photos.sample("astronaut"),
        "shown": shown,
        "uploads": uploads,
        "taken": taken,
    }


def paint(lab):
    exec(source_of("11_style_transfer.ipynb", "code-43"), lab)  # our own notebook
    assert len(lab["portraits"]) == len(lab["members"])


def test_bad_photographs_of_the_lab_are_named_and_the_others_painted(lab, tmp_path, capsys):
    (tmp_path / "private").mkdir()
    strange.write_all(tmp_path / "private")
    lab["uploads"] += [("ann.jpg", b""), ("bob.png", picture()), ("bob.png", picture())]
    lab["taken"].append(("camera-1.jpg", picture()))
    paint(lab)
    assert lab["yours"] and len(lab["members"]) == len(strange.USABLE) + 3
    assert {"bob", "bob-2", "camera-1", "cmyk"} <= set(lab["members"])
    assert len(lab["shown"]) == len(strange.UNUSABLE) + 1
    for name in ("ann.jpg", *strange.UNUSABLE):
        assert sum(line.startswith(f"left out {name}: ") for line in lab["shown"]) == 1
    assert capsys.readouterr().out == ""  # names of private files are not stored


@pytest.mark.parametrize("inside", [None, {}, {".DS_Store": b"Bud1"}, {"me.jpg": b"no picture"}])
def test_without_a_photograph_that_can_be_used_the_samples_sit(lab, tmp_path, inside, capsys):
    if inside is not None:
        (tmp_path / "private").mkdir()
        for name, data in inside.items():
            (tmp_path / "private" / name).write_bytes(data)
    paint(lab)
    assert not lab["yours"] and list(lab["members"]) == list(photos.SAMPLES)
    assert len(lab["shown"]) == (inside is not None)
    assert "alone and in the group" in capsys.readouterr().out


@pytest.fixture
def wall(lab):
    """What the two cells that paint and show the wall use; `shown_grids` has what they show."""
    scores = {"van gogh": 0.4, "ukiyo-e": 0.6, "oil painting": 0.3, "impressionism": 0.5}
    lab["uploads"] += [("ann.png", picture()), ("bob.png", picture())]
    paint(lab)
    stored, private = [], []
    lab |= {
        "styles": [*scores, "a photo"],
        "results": [*scores, "a photo"],
        "scales": dict.fromkeys(scores, 2.0),
        "critic": SimpleNamespace(score=lambda images, style: [scores[style]]),
        "replace": replace,
        "progress": progress,
        "NAME": "tiny",
        "plots": SimpleNamespace(
            parameters=plots.parameters,
            show_grid=lambda *args, **how: (args, how, plots.show_grid(*args, **how)),
            show=lambda grid, alt: stored.append(grid),
        ),
        "stored": stored,
        "private": private,
    }
    lab["widgets"].show_private = private.append
    exec(source_of("11_style_transfer.ipynb", "code-wall"), lab)  # our own notebook
    return lab


def test_the_wall_shows_each_member_in_the_three_strongest_styles_with_one_table(wall):
    assert wall["strong"] == ["ukiyo-e", "impressionism", "van gogh"]
    wall["yours"] = False
    exec(source_of("11_style_transfer.ipynb", "code-wall-show"), wall)  # our own notebook
    (((panels, titles, columns, names), how, _),) = wall["stored"]
    assert columns == 4 and names == ["ann", "bob"] and len(panels) == 8
    assert titles == [
        "the photo",
        *(f"{style}\n(guidance 2)" for style in ("ukiyo-e", "impressionism", "van gogh")),
    ]
    assert panels[0] is wall["members"]["ann"] and panels[4] is wall["members"]["bob"]
    # the last column was painted above, for the group
    assert panels[3] is wall["portraits"][0] and panels[7] is wall["portraits"][1]
    (alone,) = generate.style(
        wall["pipe"],
        [wall["members"]["bob"]],
        replace(wall["settings"], prompt="ukiyo-e", guidance_scale=2.0),
    )
    assert panels[5].tobytes() == alone.tobytes()
    assert how["settings"]["prompt"] == "as titled" and how["settings"]["strength"] == 0.5


def test_a_wall_of_private_photographs_is_not_stored(wall):
    assert wall["yours"]
    exec(source_of("11_style_transfer.ipynb", "code-wall-show"), wall)  # our own notebook
    assert wall["stored"] == [] and len(wall["private"]) == 1


@pytest.mark.parametrize("found, yes, words", [(False, True, "not on"), (True, False, "YES")])
def test_without_the_real_weights_or_a_yes_no_row_is_painted(capsys, found, yes, words):
    place = {
        "models": SimpleNamespace(resolve=lambda name: SimpleNamespace(found=found)),
        "YES": yes,
    }
    exec(source_of("11_style_transfer.ipynb", "code-real"), place)  # our own notebook
    assert words in capsys.readouterr().out and "large" not in place


def test_with_the_real_weights_a_row_of_them_is_shown(wall, tiny_pipe):
    asked = []

    def settings(prompt):
        asked.append(prompt)
        return replace(wall["settings"], prompt=prompt)

    real = SimpleNamespace(
        found=True, label="sd15", settings=settings, pipeline=lambda task: tiny_pipe
    )
    wall |= {"models": SimpleNamespace(resolve=lambda name: real), "YES": True}
    wall["photo"] = photos.resize(photos.sample("coffee"), 64)
    exec(source_of("11_style_transfer.ipynb", "code-real"), wall)  # our own notebook
    (((panels, titles, _), how, _),) = wall["stored"]
    assert len(panels) == 4 and titles == ["the photo", *wall["strong"]]
    assert asked == [f"a portrait in the style of {style}" for style in wall["strong"]]
    assert how["settings"]["model"] == "sd15" and "large" not in wall


def picture():
    """A small PNG, as bytes."""
    file = io.BytesIO()
    Image.fromarray(strange.colours()).save(file, format="PNG")
    return file.getvalue()
