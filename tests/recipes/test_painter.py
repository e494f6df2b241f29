"""The painter's training, against diffusers and closed forms."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from sdkit.pictures import art
from sdkit.recipes import captions, painter, unet

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
        examples=[None] * count,
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
    losses = painter.paint_losses(SETTINGS, batch.photographs, batch, found, found)
    for loss in losses.values():
        torch.testing.assert_close(loss, torch.zeros(2), atol=2e-3, rtol=0)


def test_all_that_is_compared_is_shifted_alike():
    batch = batch_of(side=48)
    batch = batch._replace(faces=batch.photographs[:, :1])
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        y, moved = painter.shifted(batch.photographs, batch)
        assert y.shape == (2, 3, 32, 32)
        torch.testing.assert_close(y, moved.photographs)
        torch.testing.assert_close(y[:, :1], moved.faces)
        # where the shifted corner comes from
        seen.add(tuple((batch.photographs[0, 0] == y[0, 0, 0, 0]).nonzero()[0].tolist()))
    tops, lefts = zip(*seen)
    assert len(seen) > 15 and max(tops + lefts) <= painter.SHIFT


def example_of(colour=0, side=48, is_portrait=False):
    """An `Example` of a picture of noise, brighter by ``colour``, seen by `features_of`."""
    pixels = np.random.default_rng(0).integers(0, 100, (side, side, 3)) + colour
    image = Image.fromarray(pixels.astype(np.uint8))
    return painter.example(features_of, image, side, is_portrait, "cpu")


def test_moments_are_those_of_numpy():
    x = torch.randn(2, 3, 8, 6)
    mean, covariance = painter.moments(x)
    for k in range(2):
        np.testing.assert_allclose(mean[k], x[k].mean((1, 2)), atol=1e-6)
        np.testing.assert_allclose(covariance[k], np.cov(x[k].flatten(1), bias=True), atol=1e-5)


def test_moments_of_a_face_are_those_of_its_places():
    x, faces = torch.randn(1, 3, 8, 8), torch.zeros(1, 1, 16, 16)
    faces[..., 4:12, 6:14] = 1
    mean, covariance = painter.moments(x, faces)
    inside = x[0, :, 2:6, 3:7].flatten(1)
    np.testing.assert_allclose(mean[0], inside.mean(1), atol=1e-6)
    np.testing.assert_allclose(covariance[0], np.cov(inside, bias=True), atol=1e-5)


def test_a_crop_without_a_face_has_finite_moments():
    x = torch.randn(1, 3, 8, 8, requires_grad=True)
    sum(one.sum() for one in painter.moments(x, torch.zeros(1, 1, 8, 8))).backward()
    assert x.grad.isfinite().all()


def test_features_are_sampled_where_they_are():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    centres = torch.tensor([[[-0.75, -0.75], [0.25, -0.75], [-0.75, 0.75]]])  # x, y
    torch.testing.assert_close(painter.sample(x, centres)[0, :, 0], torch.tensor([0.0, 2.0, 12.0]))


def test_the_earth_movers_distance_is_that_of_a_loop_over_points():
    rng = np.random.default_rng(0)
    found, wanted = ([rng.standard_normal((count, size)) for size in (3, 5)] for count in (6, 4))

    def cost(i, j):
        cosines = []
        for one, other in zip(found, wanted):
            a, b = one[i] - one.mean(0), other[j] - other.mean(0)
            cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        return 1 - np.mean(cosines)

    there = np.mean([min(cost(i, j) for j in range(4)) for i in range(6)])
    back = np.mean([min(cost(i, j) for i in range(6)) for j in range(4)])
    made = painter.earth_movers_distance(
        *([torch.from_numpy(one)[None] for one in group] for group in (found, wanted))
    )
    assert made.item() == pytest.approx(max(there, back))


def test_a_picture_is_not_far_from_itself():
    pixels = torch.randint(0, 256, (48, 48, 3), dtype=torch.uint8).numpy()
    same = painter.example(features_of, Image.fromarray(pixels), 48, False, "cpu")
    found = features_of(painter.photos.to_batch(pixels[None]).requires_grad_())
    near = painter.style_losses(batch_of(1, examples=[same]), found)
    far = painter.style_losses(batch_of(1, examples=[example_of(colour=150)]), found)
    assert near["texture"].item() < 1e-5 and far["texture"].item() > 0.1
    assert near["patches"].item() < 0.1  # both take samples, at other places
    assert far["patches"].item() < 2


def test_the_texture_of_a_face_counts_as_much_as_that_of_the_crop():
    """The face is flat, so its covariance is missed wholly, and its mean is right."""
    example = example_of(is_portrait=True)
    found = features_of(torch.rand(1, 3, 48, 48))
    mean = example.face["relu2_1"][0].view(1, 3, 1, 1)
    for name in painter.TEXTURE:
        found[name] = found[name].clone()
        found[name][..., :12, :12] = mean
    faces = torch.zeros(1, 1, 48, 48)
    without = painter.style_losses(batch_of(1, examples=[example], faces=faces), found)
    faces[..., :24, :24] = 1
    with_face = painter.style_losses(batch_of(1, examples=[example], faces=faces), found)
    expected = (without["texture"] + 1) / 2
    torch.testing.assert_close(with_face["texture"], expected, atol=1e-4, rtol=0)


def test_a_photograph_is_compared_with_the_painting_of_nearest_colours():
    dark, bright, portrait = example_of(0), example_of(150), example_of(0, is_portrait=True)
    groups = {("van gogh", False, 48): [bright, dark], ("van gogh", True, 48): [portrait]}
    data = SimpleNamespace(examples=groups)
    for level, is_portrait, expected in (
        (40, False, dark),
        (200, False, bright),
        (200, True, portrait),  # portraits first
    ):
        square = np.full((32, 32, 3), level, np.uint8)
        assert painter.nearest_example(data, "van gogh", is_portrait, 48, square) is expected
    groups.pop(("van gogh", True, 48))
    assert painter.nearest_example(data, "van gogh", True, 48, square) is bright


@pytest.mark.parametrize("name", ["content", "colour"])
def test_faces_count_more(name):
    x = torch.zeros(1, 3, 32, 32)
    batch = batch_of(1, photographs=x + 0.5)
    wrong = x + 0.7
    losses = []
    for faces in (0, 1):
        one = batch._replace(faces=torch.full((1, 1, 32, 32), float(faces)))
        found, wanted = features_of(wrong), features_of(one.photographs)
        losses.append(painter.paint_losses(SETTINGS, wrong, one, found, wanted)[name])
    torch.testing.assert_close(losses[1], (1 + SETTINGS.face_weight) * losses[0])


def test_only_what_is_beyond_black_and_white_is_clipped():
    batch = batch_of(1)
    y = batch.photographs.clone()
    y[0, 0, 0, :16] = 1.5
    y[0, 0, 1, :16] = -1.5
    features = features_of(y)
    losses = painter.paint_losses(SETTINGS, y, batch, features, features)
    torch.testing.assert_close(losses["clipping"], torch.tensor([0.25 * 32 / (3 * 32 * 32)]))


def test_the_guidance_scale_weighs_the_style_and_not_the_photograph():
    names = ("texture", "patches", "content", "colour", "clipping")
    losses = {name: torch.zeros(1) for name in names}

    def total(name, scale):
        changed = {**losses, name: torch.ones(1)}
        return painter.weighted(SETTINGS, changed, torch.tensor([scale])).item()

    assert total("texture", 5.0) == pytest.approx(SETTINGS.texture_weight)
    assert total("patches", 10.0) == pytest.approx(2 * SETTINGS.patch_weight)
    for name in ("content", "colour", "clipping"):
        weight = getattr(SETTINGS, f"{name}_weight")
        assert total(name, 1.0) == total(name, 9.0) == pytest.approx(weight)


def test_examples_are_paintings_with_clear_strokes_and_those_by_name():
    def picture(file, style, title=""):
        return art.Picture(file, style, title, Image.new("RGB", (40, 60)))

    pictures = [
        picture("van_gogh/self-portrait-1.jpg", "van gogh", "Self-Portrait"),
        picture("van_gogh/olive.jpg", "van gogh"),
        picture("van_gogh/tree-roots.jpg", "van gogh"),
        picture("ukiyo_e/a-print.jpg", "ukiyo-e"),
        picture("photo/x.jpg", "a photo"),
    ]
    settings = painter.Settings(
        out=Path("o"), teacher=Path("t"), vae=Path("v"), example_sides=(32, 48)
    )
    made = painter.examples(settings, features_of, pictures, "cpu")
    assert {key: len(group) for key, group in made.items()} == {
        (name, is_portrait, side): 1
        for name, is_portrait in (
            ("van gogh", True),
            ("van gogh", False),  # the olive trees
            ("a self-portrait of van gogh", True),
            ("ukiyo-e", False),
        )
        for side in (32, 48)
    }


def test_paintings_with_clear_strokes_are_in_the_list_and_for_training():
    split = {Path(row["file"]).stem: row["split"] for row in art.manifest()}
    assert {split[name] for name in painter.CLEAR_STROKES} == {"train"}


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
