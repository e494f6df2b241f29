"""The measure verb on a small folder, with a tiny random model and a tiny random classifier."""

import functools
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from sdkit import (
    art,
    cli,
    faces,
    generate,
    judges,
    latents,
    looks,
    measure,
    metrics,
    models,
    photos,
    postcards,
)
from sdkit.cli import parser
from sdkit.errors import SdkitError
from sdkit.files import ROOT


@pytest.fixture
def toy(tiny_data, tmp_path, monkeypatch):
    """A folder with one validation picture of each kind, and a tiny random classifier."""
    rng, rows = (
        np.random.default_rng(0),
        ["file\tsplit\tartist\ttitle\tbasis\tsource_repository\tsha256"],
    )
    for folder in art.STYLE_OF_FOLDER:
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "0.png"
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(path)
        rows.append(
            f"{folder}/0.png\tvalidation\t\t\t\t\t{hashlib.sha256(path.read_bytes()).hexdigest()}"
        )
    listed = tiny_data / "art.tsv"
    listed.write_text("\n".join(rows) + "\n")
    torch.manual_seed(0)
    tiny = judges.StyleClassifier(art.STYLES, (8, 16), crop_size=32, short_side=48).eval()
    monkeypatch.setattr(judges.StyleClassifier, "load", lambda: tiny)
    monkeypatch.setattr(measure, "SIDE", 64)
    yield tmp_path
    listed.unlink()


@pytest.fixture
def no_detector(monkeypatch):
    """facenet-pytorch is missing."""

    def missing():
        raise SdkitError("Faces cannot be measured.")

    monkeypatch.setattr(faces, "detector", missing)


@pytest.fixture
def reader(monkeypatch):
    """A reader of a few hundred random parameters, and few training postcards."""
    torch.manual_seed(0)
    tiny = judges.PostcardReader((8, 8, 8), 64).eval()
    monkeypatch.setattr(judges.PostcardReader, "load", lambda: tiny)
    monkeypatch.setattr(measure, "NEIGHBOURS", 5)
    return tiny


def explained(figures, meanings, above=False):
    """Whether each number in `figures` has a name with a meaning, or lies under such a name."""
    return all(
        explained(value, meanings, above or name.partition(",")[0] in meanings)
        if isinstance(value, dict)
        else above or name.partition(",")[0] in meanings or isinstance(value, str)
        for name, value in figures.items()
    )


def test_every_figure_is_printed_and_the_sheet_is_written(
    toy, reader, no_detector, monkeypatch, capsys
):
    monkeypatch.setattr(measure, "measure_all", functools.partial(measure.measure_all, drawings=3))
    run = ["measure", "--art", str(toy), "--sheet", str(toy / "sheet.png")]
    assert cli.main(run) == 0
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert figures["split"] == "validation" and printed.err.count("Faces cannot be measured.") == 1
    meanings = figures.pop("meanings")
    assert explained(figures, meanings) and meanings["psnr"].startswith("dB")
    assert "skin hue shift" not in meanings  # no such figure is there
    assert figures["van gogh"]["look"].keys() == {"photos", "styled photos", "real paintings"}
    assert {
        "psnr, a photo",
        "style score, van gogh",
        "style score after round trip, van gogh",
    } <= figures["vae"].keys()
    assert 0 <= figures["van gogh"]["style score of styled photos"] <= 1
    with Image.open(toy / "sheet.png") as sheet:
        assert sheet.size[0] > 100 and sheet.text["Description"].startswith("Made with AI")
    monkeypatch.setattr(measure, "measure_all", lambda *_, **__: pytest.fail("measured"))
    assert cli.main(run) == 2 and "exists already" in capsys.readouterr().err


def test_without_training_pictures_only_drawing_is_measured(tiny_data, reader, capsys):
    figures, said = measure.measure_all(drawings=2), capsys.readouterr().err
    assert figures.keys() == {"drawing"} and "--art DIR" in said
    for kind in ("drawn", "rendered, after the VAE"):
        assert figures["drawing"][f"correct, {kind}"].keys() == {*postcards.PARTS, "all at once"}
    assert min(figures["drawing"]["nearest training postcard"].values()) > 0


def test_zero_shot_accuracy_on_postcards_equals_the_recorded_one():
    folder = ROOT / "data" / "models" / "mini-clip"
    record = json.loads((folder / "recipe.json").read_text())["metrics"][
        "zero_shot_accuracy_on_held_out_postcards"
    ]
    figures = measure.measure_clip([])
    # 1 of 200
    assert figures["styles"] == {} and figures["postcards"] == pytest.approx(record, abs=0.0051)


def test_redrawn_pictures_have_their_own_seeds_and_figures(tiny_data, reader, monkeypatch):
    own = {
        **models.defaults(),
        "redraw": {"size": 128, "strength": 0.5, "guidance_scale": 2, "num_inference_steps": 2},
    }
    monkeypatch.setattr(models.Model, "defaults", own)
    monkeypatch.setattr(measure, "REDRAWN", 2)
    classifier, calls = judges.StyleClassifier(channels=(8, 16)).eval(), []
    monkeypatch.setattr(judges.StyleClassifier, "load", lambda: classifier)
    monkeypatch.setattr(
        generate,
        "redraw",
        lambda pipe, images, settings: (
            calls.append(settings)
            or [image.resize((128, 128), Image.Resampling.NEAREST) for image in images]
        ),
    )
    figures = measure.measure_drawing(models.load(task="text2img"), "mini-sd", 3)
    assert [(settings.seed, settings.size) for settings in calls] == [(0, 128), (1, 128)]
    share, *interval = figures["correct, drawn again"]["all at once"]
    assert interval == pytest.approx(metrics.wilson(round(2 * share), 2), abs=1e-3)
    assert figures["KID to rendered"].keys() == {"drawn", "drawn again"}


def test_the_reader_answers_for_each_part(reader):
    cards = [postcards.sample(0, index) for index in range(4)]
    x = art.to_batch([postcards.draw(card) for card in cards])
    answers, right = reader.read(x), reader.read_right(x, cards)
    for card, answer, row in zip(cards, answers, right):
        assert all(answer[part] in postcards.WORDS[part] for part in postcards.PARTS)
        assert row.tolist() == [answer[part] == getattr(card, part) for part in postcards.PARTS]
    shares = measure.shares_right(np.array([[True] * 5, [True, False, True, True, True]]))
    assert (
        shares["colour"][0] == 0.5 and shares["thing"][0] == 1 and shares["all at once"][0] == 0.5
    )


class RecordingPipe:
    """Stands in for a text-to-image pipeline: it records each call and returns given pictures."""

    def __init__(self, vae, picture_of):
        self.vae, self.picture_of = vae, picture_of
        self.prompts, self.seeds = [], []

    def __call__(self, prompts, generator, **settings):
        self.prompts += prompts
        self.seeds += [one.initial_seed() for one in generator]
        images = [self.picture_of(prompt) for prompt in prompts]
        return SimpleNamespace(images=images)


def test_each_drawn_postcard_has_its_own_seed_and_a_full_caption(
    tiny_data, tiny_pipe, reader, monkeypatch
):
    seen = []
    monkeypatch.setattr(
        reader, "read_right", lambda x, cards: seen.append((x, cards)) or np.ones((18, 5), bool)
    )
    pipe = RecordingPipe(tiny_pipe.vae, lambda prompt: Image.new("RGB", (64, 64)))
    measure.measure_drawing(pipe, "mini-sd", 18)  # more than one batch
    assert pipe.seeds == list(range(18))
    (drawn, cards), (rendered, _), (decoded, _) = seen
    assert all(postcards.is_held_out(card) for card in cards)
    for card, prompt in zip(cards, pipe.prompts):
        for part in ("colour", "place", "ground", "time"):
            word = getattr(card, part)
            assert any(phrase in prompt for phrase in (word, *postcards.PHRASES.get(word, ())))
    # what the reader gets: the drawn pictures, the rendered ones, and these after the VAE
    torch.testing.assert_close(drawn, torch.full((18, 3, 64, 64), -1.0))
    torch.testing.assert_close(rendered, photos.to_batch([postcards.draw(c) for c in cards]))
    vae = tiny_pipe.vae
    torch.testing.assert_close(decoded, latents.decode(vae, latents.encode(vae, rendered)))


def test_a_copied_training_postcard_has_distance_zero(tiny_data, tiny_pipe, reader):
    copied = Image.fromarray(postcards.draw(postcards.sample(1, 4)))
    pipe = RecordingPipe(tiny_pipe.vae, lambda prompt: copied)
    nearest = measure.measure_drawing(pipe, "mini-sd", 3)["nearest training postcard"]
    assert nearest["drawn"] == pytest.approx(0, abs=0.05) and nearest["rendered"] > 5


def test_nearest_distance_is_the_root_mean_square_in_grey_levels():
    """Two pictures whose grey levels all differ by 10 have distance 10; the nearest one counts."""
    levels = np.full((3, 4, 5, 3), 100, np.uint8)
    levels[1] += 10
    levels[2] += 30
    x = photos.to_batch(levels)
    distances = measure.nearest_distances(x[:1], x[1:])
    torch.testing.assert_close(distances, torch.tensor([10.0]), rtol=1e-4, atol=0)


def test_style_figures_are_those_of_the_pictures_before_and_after(toy, monkeypatch):
    before = [photos.sample("astronaut"), photos.sample("coffee")]
    paintings = [Image.effect_noise((80, 90), 90).convert("RGB") for _ in range(2)]

    def style(pipe, images, settings, on_step):  # the face is lost
        others = photos.sample("coffee"), photos.sample("chelsea")
        return [ImageOps.fit(other, image.size) for other, image in zip(others, images)]

    def brightness(images, reals):  # stands in for KID: other pictures give another number
        assert reals is paintings
        return np.mean([np.asarray(image).mean() for image in images])

    monkeypatch.setattr(generate, "style", style)
    monkeypatch.setattr(judges, "kid", brightness)
    settings = generate.Settings("van gogh", 0.5, 4.0, 8, size=256)
    figures, resized, after = measure.measure_style(None, before, paintings, "van gogh", settings)
    classifier = judges.StyleClassifier.load()
    assert figures["style score of styled photos"] == pytest.approx(
        np.mean(classifier.score(after)), abs=6e-4
    )
    assert figures["style score of photos"] == pytest.approx(
        np.mean(classifier.score(resized)), abs=6e-4
    )
    assert figures["KID of styled photos"] == round(float(brightness(after, paintings)), 3)
    assert figures["KID of photos"] == round(float(brightness(resized, paintings)), 3)
    assert figures["blurred SSIM"] < 0.9
    assert (figures["faces found before"], figures["share of them found again"]) == (1, 0)
    assert figures["look"] == {
        "photos": looks.summary(resized, 256),
        "styled photos": looks.summary(after, 256),
        "real paintings": looks.summary(paintings, 256),
    }
    assert "faces" not in figures and "KID of other real paintings" not in figures


def test_group_photos_have_each_portrait_once():
    portraits = [Image.new("RGB", (80, 100), (20 * k, 0, 0)) for k in range(9)]
    first, second = measure.group_photos(portraits, 2)
    width, height = measure.TILE
    assert first.size == second.size == (2 * width, 2 * height)
    centres = [(x, y) for y in (height // 2, 3 * height // 2) for x in (width // 2, 3 * width // 2)]
    reds = [group.getpixel(centre)[0] for group in (first, second) for centre in centres]
    assert reds == [20 * k for k in range(8)]
    assert len(measure.group_photos(portraits, 3)) == 1 and not measure.group_photos(portraits, 4)


def test_faces_of_group_photos_count_and_nothing_else_of_them(toy, monkeypatch):
    before, paintings, groups = ([Image.new("RGB", (64, 64), c)] for c in ("red", "lime", "blue"))
    compared, seen = [], []
    monkeypatch.setattr(generate, "style", lambda pipe, images, settings, on_step: images)
    monkeypatch.setattr(judges, "kid", lambda images, reals: compared.append(len(images)) or 0)
    monkeypatch.setattr(faces, "measure", lambda *pictures: seen.append(pictures) or {})
    settings = generate.Settings("van gogh", 0.5, 4.0, 8, size=64)
    arguments = None, before, paintings, "van gogh", settings, ()
    _, resized, after = measure.measure_style(*arguments, True, groups)
    assert len(resized) == len(after) == 1 and compared == [1, 1]
    ((photographs, styled),) = seen
    assert [image.getpixel((0, 0)) for image in photographs] == [(255, 0, 0), (0, 0, 255)]
    assert photographs == styled
    measure.measure_style(*arguments, False, groups)
    assert len(seen) == 1


def test_faces_and_other_real_paintings_are_measured_if_they_are_given(toy, monkeypatch):
    before, paintings, others = ([Image.new("RGB", (64, 64), c)] for c in ("red", "lime", "blue"))
    monkeypatch.setattr(generate, "style", lambda pipe, images, settings, on_step: paintings)
    monkeypatch.setattr(judges, "kid", lambda images, reals: [others, paintings].index(reals) + 4)
    seen = []
    monkeypatch.setattr(faces, "measure", lambda *pictures: seen.append(pictures) or {"all": {}})
    settings = generate.Settings("van gogh", 0.5, 4.0, 8, size=64)
    figures, resized, after = measure.measure_style(
        None, before, paintings, "van gogh", settings, others, with_faces=True
    )
    assert figures["KID of other real paintings"] == 5  # compared with the held-out paintings
    assert figures["faces"] == {"all": {}} and seen == [(resized, after)]


def test_vae_figures_compare_the_round_trip_with_the_original(toy, monkeypatch):
    painting = art.Picture("van_gogh/0.png", "van gogh", "", photos.sample("coffee"))
    grey = Image.new("RGB", (64, 64), (90, 90, 90))
    monkeypatch.setattr(measure, "round_trip", lambda pipe, images: [grey for _ in images])
    figures = measure.measure_vae(None, {"van gogh": [painting]})
    classifier, original = judges.StyleClassifier.load(), ImageOps.fit(painting.image, (64, 64))
    assert figures == {
        "psnr, van gogh": round(metrics.psnr(grey, original), 3),
        "style score, van gogh": round(classifier.score([original])[0], 3),
        "style score after round trip, van gogh": round(classifier.score([grey])[0], 3),
        "octave ratio, van gogh": round(metrics.octave_ratio(original, 64), 3),
        "octave ratio after round trip, van gogh": 0,
        "KID after round trip, van gogh": round(judges.kid([grey], [original]), 3),
    }


def test_van_gogh_is_measured_on_all_photographs_and_other_styles_on_a_third(
    toy, no_detector, monkeypatch
):
    calls = {}

    def measured(pipe, photographs, paintings, prompt, settings, others, with_faces, groups):
        calls[prompt] = photographs, paintings
        assert not with_faces and {image.size for image in others} == {(9, 9)}
        assert len(groups) == (prompt == "van gogh")  # one of 2 x 2, none of 4 x 4
        return {}, photographs, photographs

    pictures = [
        art.Picture(f"{folder}/{k}.png", style, "", Image.new("RGB", (8, 8), (k, 0, 0)))
        for folder, style in art.STYLE_OF_FOLDER.items()
        for k in range(4)
    ]
    training = art.Picture("", "", "", Image.new("RGB", (9, 9)))
    loaded, shown = [], []

    def load(folder, split, styles=None, limit=None):
        loaded.append((split, styles, limit))
        return pictures if split == "validation" else [training]

    monkeypatch.setattr(art, "load", load)
    monkeypatch.setattr(measure, "measure_vae", lambda pipe, kinds: {})
    monkeypatch.setattr(measure, "measure_style", measured)
    measure.measure_art(
        toy, "mini-sd", "validation", portraits=2, size=72, show=lambda *all: shown.append(all)
    )
    reds = {
        prompt: [image.getpixel((0, 0))[0] for image in photographs]
        for prompt, (photographs, _) in calls.items()
    }
    assert reds["van gogh"] == [0, 1, 2, 3, 0, 1]  # four photographs and two portraits
    assert reds["ukiyo-e"] == [0, 3] and "a photo" not in reds
    assert all(len(paintings) == 4 for _, paintings in calls.values())
    assert loaded[1:] == [("train", [prompt], measure.REAL) for prompt in calls]
    assert {(settings.prompt, settings.size) for *_, settings in shown} == {
        (prompt, 72) for prompt in calls
    }
    names, before, *_ = shown[0]
    assert names == [f"photo-{k}" for k in range(4)] + ["portrait-0", "portrait-1"]
    assert before == calls["van gogh"][0]


def test_only_the_named_parts_are_measured(toy, monkeypatch):
    def stand_in(part):
        return lambda *arguments: {"part": part}

    names = {"vae": "measure_vae", "draw": "measure_drawing", "upscale": "measure_upscaler"}
    for part, name in names.items():
        monkeypatch.setattr(measure, name, stand_in(part))
    monkeypatch.setattr(measure, "measure_style", lambda *_: ({"part": "style"}, [], []))
    monkeypatch.setattr(models, "load_upscaler", lambda shared: None)
    measured = {part: measure.measure_all(toy, only=[part]) for part in ("draw", "vae", "style")}
    assert measured["draw"] == {"drawing": {"part": "draw"}}
    assert measured["vae"] == {"split": "validation", "vae": {"part": "vae"}}
    assert measured["style"].keys() == {"split", *art.STYLES} - {"a photo"}
    with pytest.raises(SdkitError, match="these cannot be measured: style, vae. Add --art DIR"):
        measure.measure_all(only=["style", "vae"])


def test_the_verb_offers_every_part():
    assert parser.MEASURED == measure.PARTS


def test_the_styled_photographs_are_saved_beside_their_photographs(
    toy, no_detector, monkeypatch, capsys
):
    monkeypatch.setattr(judges, "kid", lambda images, reals: 0.0)  # quicker
    run = ["measure", "--art", str(toy), "--only", "style", "--save", str(toy / "out")]
    assert cli.main([*run, "--size", "72", "--portraits", "1"]) == 0
    saved = {
        path.relative_to(toy / "out").as_posix(): path for path in (toy / "out").rglob("*.png")
    }
    assert {"photos/photo-0.png", "photos/portrait-0.png"} <= saved.keys()
    assert {
        "van-gogh/photo-0.png",
        "van-gogh/portrait-0.png",
        "ukiyo-e/photo-0.png",
    } <= saved.keys()
    original = photos.resize(photos.open_photo(toy / "photo" / "0.png"), 72)
    settings = models.settings("van gogh", size=72)
    (styled,) = generate.style(models.load(device="cpu"), [original], settings)
    with Image.open(saved["photos/photo-0.png"]) as image:
        np.testing.assert_array_equal(image, original)
    with Image.open(saved["van-gogh/photo-0.png"]) as image:
        np.testing.assert_array_equal(image, styled)
        assert image.text["Prompt"] == "van gogh" and image.text["Size"] == "72"
    assert json.loads(capsys.readouterr().out).keys() >= {"van gogh", "meanings"}
    assert cli.main(run) == 2 and "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, words",
    [
        (["--save", "out"], "Add --art DIR"),
        (["--art", "x", "--only", "draw", "--sheet", "sheet.png"], "--only style"),
        (["--size", "10"], "Size"),
        (["--portraits", "-1"], "Number of portraits"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_measured(
    tiny_data, tmp_path, monkeypatch, capsys, options, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "measure_all", lambda *_, **__: pytest.fail("measured"))
    assert cli.main(["measure", *options]) == 2 and words in capsys.readouterr().err


def test_upscaler_figures_compare_each_way_with_the_original(toy, monkeypatch):
    strengths = []

    def upscaled(pipe, images, strength=None):
        strengths.append(strength)
        return [image.resize((64, 64), Image.Resampling.NEAREST) for image in images]

    monkeypatch.setattr(measure.upscale, "upscale", upscaled)
    monkeypatch.setattr(measure.upscale, "regress", upscaled)
    pipe = SimpleNamespace(unet="unet", regressor="regressor")
    figures = measure.measure_upscaler(pipe, toy, count=2)
    assert list(figures) == ["bicubic", "regression", "diffusion", "diffusion from noise"]
    per_way = len(strengths) // 3
    assert strengths == [None] * 2 * per_way + [1.0] * per_way
    cards = [postcards.sample(5, k, held_out=True) for k in range(2)]
    originals = [Image.fromarray(postcards.draw(card, 64)) for card in cards]
    enlarged = [
        image.resize((16, 16), Image.Resampling.BICUBIC).resize((64, 64), Image.Resampling.BICUBIC)
        for image in originals
    ]
    pairs = list(zip(enlarged, originals))
    assert figures["bicubic"]["psnr, postcards"] == pytest.approx(
        np.mean([metrics.psnr(*pair) for pair in pairs]), abs=6e-4
    )
    assert figures["bicubic"]["feature distance, postcards"] == pytest.approx(
        np.mean([judges.feature_distance(*pair) for pair in pairs]), abs=6e-4
    )
    assert figures["diffusion"] != figures["bicubic"]


class TinyClip:
    """A CLIP of 2-D vectors: looked up for a text, the mean red and green for a picture."""

    config = SimpleNamespace(
        text_config=SimpleNamespace(max_position_embeddings=8),
        vision_config=SimpleNamespace(image_size=8),
    )

    def __init__(self, vectors):
        self.vectors = vectors

    def tokenizer(self, texts, **settings):
        return SimpleNamespace(input_ids=texts)

    def get_text_features(self, input_ids):
        return SimpleNamespace(pooler_output=torch.stack([self.vectors[t] for t in input_ids]))

    def get_image_features(self, pixel_values):
        return SimpleNamespace(pooler_output=pixel_values.mean((2, 3))[:, :2] / 2 + 0.5)


def test_similarity_prefers_the_text_with_the_largest_cosine():
    """The long vector has the largest dot product with the picture, but not the largest cosine."""
    clip = TinyClip({"near": torch.tensor([1.0, 0.1]), "long": torch.tensor([50.0, 50.0])})
    x = torch.tensor([1.0, -0.9, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    ours = measure.similarity(clip, clip.tokenizer, x, ["near", "long"])
    picture = torch.tensor([[1.0, 0.05]])
    for k, text in enumerate(("near", "long")):
        cosine = torch.nn.functional.cosine_similarity(picture, clip.vectors[text][None])
        torch.testing.assert_close(ours[:, k], picture.norm() * cosine)


def test_zero_shot_styles_take_the_mean_over_crops(monkeypatch):
    """The first crop prefers the wrong style, the mean over all crops the right one."""
    by_crop = torch.zeros(4, len(art.STYLES))
    by_crop[0, 1], by_crop[1:, 0] = 0.5, 0.4
    monkeypatch.setattr(measure, "similarity", lambda *arguments: by_crop)
    pictures = [art.Picture("", style, "", Image.new("RGB", (64, 64))) for style in art.STYLES[:2]]
    figures = measure.zero_shot_styles(TinyClip({}), None, pictures)
    assert figures == {art.STYLES[0]: 1, art.STYLES[1]: 0}


def test_upscaler_is_measured_on_the_given_number_of_pictures_of_each_kind(toy, monkeypatch):
    seen = []

    def regress(pipe, images):
        seen.extend(images)
        return [image.resize((64, 64)) for image in images]

    monkeypatch.setattr(measure.upscale, "regress", regress)
    pipe = SimpleNamespace(unet=None, regressor="regressor")
    figures = measure.measure_upscaler(pipe, toy, count=1)
    assert list(figures) == ["bicubic", "regression"]
    assert len(seen) == 3  # a painting, a photograph and a postcard


def test_the_upscaler_is_measured_on_pictures_from_the_whole_list(toy, monkeypatch):
    """Of seven paintings, three: every second one."""
    pictures = [
        art.Picture("", "van gogh", "", Image.new("RGB", (64, 64), (30 * k, 0, 0)))
        for k in range(7)
    ]
    monkeypatch.setattr(art, "load", lambda *given, limit=None: pictures)
    seen = []

    def regress(pipe, images):
        seen.extend(images)
        return [image.resize((64, 64)) for image in images]

    monkeypatch.setattr(measure.upscale, "regress", regress)
    measure.measure_upscaler(SimpleNamespace(unet=None, regressor="regressor"), toy, count=3)
    assert [image.getpixel((8, 8))[0] for image in seen[:3]] == [0, 60, 120]


def test_redrawn_pictures_are_compared_with_their_own_postcards(reader, monkeypatch):
    cards, seen = [postcards.sample(0, k) for k in range(5)], []
    monkeypatch.setattr(reader, "read_right", lambda x, some: seen.append(some) or np.ones((2, 5)))
    monkeypatch.setattr(models, "load", lambda model: None)
    monkeypatch.setattr(models, "settings", lambda prompt, *arguments, seed: (prompt, seed))
    monkeypatch.setattr(generate, "redraw", lambda pipe, images, settings: images)
    monkeypatch.setattr(judges, "kid", lambda images, reals: len(images) == len(reals))
    images = [Image.new("RGB", (64, 64))] * 2
    figures = measure.measure_redrawing("any", images, list("abcde"), cards)
    assert seen == [cards[:2]] and figures["KID to rendered"] == {"drawn": 1, "drawn again": 1}
