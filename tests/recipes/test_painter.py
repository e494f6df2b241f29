"""The painter's training, against diffusers and closed forms."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from sdkit.pictures import art
from sdkit.recipes import captions, painter, perceptual, unet

SETTINGS = painter.Settings(out=Path("o"), teacher=Path("t"), vae=Path("v"), side=32)


@pytest.fixture
def scheduler():
    return unet.scheduler()


def batch_of(count=2, side=32, **changes):
    fields = dict(
        photographs=torch.rand(count, 3, side, side) * 2 - 1,
        faces=torch.zeros(count, 1, side, side),
        ids=None,
        scales=torch.full((count,), 5.0),
        styles=torch.zeros(count, dtype=torch.long),
        targets=[None] * count,
        paintings=None,
        starts=torch.tensor([300, 450][:count]),
        steps_before=2,
    )
    return painter.Painting(**{**fields, **changes})


def features_of(x):
    """Stand-in for VGG16: every layer is the picture, at half the size."""
    small = torch.nn.functional.avg_pool2d(x, 2)
    return dict.fromkeys({*painter.TEXTURE, *painter.CONTENT}, small)


def photograph(size=(90, 60), face=(40, 20, 60, 40)):
    """A dark picture whose face is white."""
    image = Image.new("RGB", size)
    image.paste((255, 255, 255), face)
    return painter.Photograph(SimpleNamespace(image=image, is_portrait=True), [face])


def test_the_mask_of_a_crop_shows_where_the_face_is():
    seen = []
    for seed in range(20):
        square, mask, short = painter.crop(photograph(), 32, (32, 64), np.random.default_rng(seed))
        assert square.shape == (32, 32, 3) and mask.shape == (32, 32) and short >= 32
        white = square[..., 0] > 127
        assert (white != (mask > 0)).mean() < 0.07  # the edge is soft
        seen.append(mask.mean())
    assert np.mean(np.array(seen) > 0) > 0.6  # most crops show the face


def test_a_crop_of_a_photograph_without_faces_has_an_empty_mask():
    empty = photograph()._replace(faces=[])
    _, mask, _ = painter.crop(empty, 32, (32, 64), np.random.default_rng(0))
    assert not mask.any()


def test_paintings_by_name_have_the_style_of_the_folder_they_lie_in():
    for row in art.manifest():
        name = captions.painting_of(row["file"])
        if name:
            style = art.STYLE_OF_FOLDER[row["file"].split("/")[0]]
            assert painter.OTHER_PAINTERS.get(name, "van gogh") == style


def test_styles_are_asked_for_by_their_shares():
    rng = np.random.default_rng(0)
    chosen = [painter.choose_style(rng) for _ in range(4000)]
    named = [painting for _, painting in chosen if painting]
    assert len(named) / 4000 == pytest.approx(painter.STYLE_SHARES["a painting by name"], abs=0.03)
    assert set(named) == set(captions.PAINTINGS)
    plain = [style for style, painting in chosen if not painting]
    share = plain.count("ukiyo-e") / 4000
    assert share == pytest.approx(painter.STYLE_SHARES["ukiyo-e"], abs=0.02)


def test_each_style_has_its_own_logits():
    judges = painter.FeatureDiscriminators()
    features = {
        name: torch.randn(2, perceptual.BLOCKS[int(name[4]) - 1][0], 8, 8)
        for name in painter.JUDGED
    }
    both = judges(features, torch.tensor([1, 3]))
    for name, logits in zip(painter.JUDGED, both):
        every = judges[name](features[name])
        assert logits.shape == (2, 8, 8)
        torch.testing.assert_close(logits, torch.stack([every[0, 1], every[1, 3]]))


def test_clean_latents_are_those_that_diffusers_predicts(scheduler):
    noisy, noise = torch.randn(2, 1, 4, 8, 8)
    made = painter.clean(noisy, noise, torch.tensor([401]), scheduler)
    ddim = DDIMScheduler.from_config(scheduler.config)
    ddim.set_timesteps(10)
    expected = ddim.step(noise, 401, noisy).pred_original_sample
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("steps_before", [0, 1, 2])
def test_a_network_that_knows_the_noise_paints_what_it_was_given(scheduler, steps_before):
    z = torch.randn(2, 4, 8, 8)
    asked = []

    def knows(noisy, now, text, scales, guided):
        a = scheduler.alphas_cumprod[now][:, None, None, None]
        asked.append((now.tolist(), torch.is_grad_enabled()))
        return (noisy - a.sqrt() * z) / (1 - a).sqrt()

    batch = batch_of(steps_before=steps_before)
    made = painter.painted(knows, z, batch, None, scheduler)
    torch.testing.assert_close(made, z, atol=1e-4, rtol=0)
    timesteps = [[300, 450], [200, 300], [100, 150]][: steps_before + 1]
    # only the last step is learned
    assert asked == [(t, k == steps_before) for k, t in enumerate(timesteps)]


def test_nothing_is_wrong_with_a_photograph_that_stays_as_it_is():
    batch = batch_of()
    found = features_of(batch.photographs)
    losses = painter.paint_losses(SETTINGS, batch.photographs, batch, found, found, {})
    for loss in losses.values():
        torch.testing.assert_close(loss, torch.zeros(2), atol=2e-3, rtol=0)


def grams_of(matrix):
    """`Data.grams` in which everything is ``matrix``."""
    names = [*painter.TEXTURE, *(f"{name}, squares" for name in painter.STROKES)]
    return {("van gogh", 64): dict.fromkeys(names, matrix)}


def test_white_walls_are_no_trouble():
    white = torch.ones(2, 3, 32, 32)
    batch = batch_of(photographs=white, targets=[("van gogh", 64), None])
    found = features_of(white.requires_grad_())
    losses = painter.paint_losses(SETTINGS, white, batch, found, found, grams_of(torch.eye(3)))
    (losses["texture"] + losses["strokes"]).sum().backward()
    assert white.grad.isfinite().all()
    assert losses["texture"][1] == losses["strokes"][1] == 0  # it stays a photograph


def test_texture_is_held_to_the_gram_matrices_of_the_style():
    batch = batch_of(targets=[("van gogh", 64), None])
    found = features_of(batch.photographs)
    grams = grams_of(torch.eye(3))
    losses = painter.paint_losses(SETTINGS, batch.photographs, batch, found, found, grams)
    x = found["relu1_1"][0].flatten(1)  # (3, N)
    expected = torch.linalg.norm(x @ x.T / x.shape[1] - torch.eye(3)) / np.sqrt(3)
    torch.testing.assert_close(losses["texture"][0], expected)
    assert losses["texture"][1] == 0


def test_covariances_are_those_of_numpy_in_each_square():
    x = torch.randn(2, 3, 8, 8)
    made = painter.textures(dict.fromkeys(painter.TEXTURE, x))
    right_upper = x[1, :, :2, 6:].flatten(1).numpy()
    expected = np.cov(right_upper, bias=True)
    assert made["relu1_1, squares"].shape == (2, 16, 3, 3)
    np.testing.assert_allclose(made["relu1_1, squares"][1, 3], expected, atol=1e-5)
    torch.testing.assert_close(made["relu2_1"][:, 0], perceptual.gram(x))


def test_strokes_are_wanted_everywhere_but_less_in_faces():
    """A picture without any strokes, of which the right half is a face."""
    flat = torch.full((1, 3, 32, 32), 0.5)
    batch = batch_of(1, photographs=flat, targets=[("van gogh", 64)])
    found = features_of(flat)
    losses = []
    for face in (0, 1):
        batch.faces[..., 16:] = face
        losses.append(
            painter.paint_losses(SETTINGS, flat, batch, found, found, grams_of(torch.eye(3)))
        )
    torch.testing.assert_close(losses[0]["strokes"], torch.ones(1))
    torch.testing.assert_close(losses[1]["strokes"], torch.tensor([1 - painter.SMOOTH_FACES / 2]))


@pytest.mark.parametrize("name", ["content", "colour"])
def test_faces_count_more(name):
    x = torch.zeros(1, 3, 32, 32)
    batch = batch_of(1, photographs=x + 0.5)
    wrong = x + 0.7
    losses = []
    for faces in (0, 1):
        one = batch._replace(faces=torch.full((1, 1, 32, 32), float(faces)))
        found, wanted = features_of(wrong), features_of(one.photographs)
        losses.append(painter.paint_losses(SETTINGS, wrong, one, found, wanted, {})[name])
    torch.testing.assert_close(losses[1], (1 + SETTINGS.face_weight) * losses[0])


def test_only_what_is_beyond_black_and_white_is_clipped():
    batch = batch_of(1)
    y = batch.photographs.clone()
    y[0, 0, 0, :16] = 1.5
    y[0, 0, 1, :16] = -1.5
    features = features_of(y)
    losses = painter.paint_losses(SETTINGS, y, batch, features, features, {})
    torch.testing.assert_close(losses["clipping"], torch.tensor([0.25 * 32 / (3 * 32 * 32)]))


def test_the_guidance_scale_weighs_the_style_and_not_the_photograph():
    names = ("texture", "strokes", "adversarial", "content", "colour", "clipping")
    losses = {name: torch.zeros(1) for name in names}

    def total(name, scale, step=1000):
        changed = {**losses, name: torch.ones(1)}
        return painter.weighted(SETTINGS, changed, torch.tensor([scale]), step).item()

    assert total("texture", 5.0) == pytest.approx(SETTINGS.texture_weight)
    assert total("strokes", 10.0) == pytest.approx(2 * SETTINGS.stroke_weight)
    assert total("adversarial", 5.0) == pytest.approx(SETTINGS.adversarial_weight)
    assert total("adversarial", 5.0, step=0) == pytest.approx(SETTINGS.adversarial_weight / 200)
    for name in ("content", "colour", "clipping"):
        weight = getattr(SETTINGS, f"{name}_weight")
        assert total(name, 1.0) == total(name, 9.0) == pytest.approx(weight)


def test_mean_textures_are_means_over_the_paintings():
    colours = [(255, 0, 0), (0, 0, 255)]
    pictures = [
        art.Picture(f"ukiyo_e/{k}.jpg", "ukiyo-e", "", Image.new("RGB", (40, 60), colour))
        for k, colour in enumerate(colours)
    ]
    pictures.append(art.Picture("photo/x.jpg", "a photo", "", Image.new("RGB", (40, 60))))
    settings = painter.Settings(
        out=Path("o"), teacher=Path("t"), vae=Path("v"), texture_sides=(32,)
    )

    def features(x):
        return dict.fromkeys(painter.TEXTURE, x)

    grams = painter.mean_grams(settings, features, pictures, "cpu")
    assert list(grams) == [("ukiyo-e", 32)]
    assert not grams["ukiyo-e", 32]["relu3_1, squares"].any()  # one colour has no strokes
    reds, blues = torch.tensor([[1.0, -1, -1], [-1, -1, 1]])
    expected = (torch.outer(reds, reds) + torch.outer(blues, blues)) / 2
    torch.testing.assert_close(grams["ukiyo-e", 32]["relu3_1"], expected)


def test_the_teacher_keeps_its_answers_without_loss(scheduler):
    batch = painter.Keeping(
        torch.randn(2, 4, 8, 8),
        torch.tensor([100, 800]),
        None,
        torch.tensor([2.0, 6.0]),
        torch.tensor([0.0, 1.0]),
    )

    def teacher(noisy, timesteps, text, scales, guided):
        return noisy * (scales * guided)[:, None, None, None]

    given = SETTINGS, teacher, batch, teacher, None, scheduler
    assert painter.keep_loss(*given) == 0

    def forgets(noisy, timesteps, text, scales, guided):  # ignores whether guidance is wanted
        return noisy * scales[:, None, None, None]

    assert painter.keep_loss(SETTINGS, forgets, *given[2:]) > 0
