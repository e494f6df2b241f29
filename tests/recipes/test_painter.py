"""The painter's training, against diffusers and closed forms."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from PIL import Image

from sdkit.pictures import art, photos
from sdkit.recipes import captions, painter, unet

SETTINGS = painter.Settings(out=Path("o"), teacher=Path("t"), vae=Path("v"), side=32)


@pytest.fixture
def scheduler():
    return unet.scheduler()


def batch_of(count=2, side=128, **changes):
    fields = dict(
        z=torch.randn(count, 8, side // 4, side // 4),
        z_wanted=torch.randn(count, 8, side // 4, side // 4),
        y_wanted=torch.rand(count, 3, side, side) * 2 - 1,
        faces=torch.zeros(count, 1, side // 4, side // 4),
        noise=torch.randn(count, 8, side // 4, side // 4),
        ids=None,
        scales=torch.full((count,), painter.USUAL_SCALE),
        starts=torch.tensor([300, 450][:count]),
        steps_before=2,
    )
    return painter.Painting(**{**fields, **changes})


def features_of(x):
    """Stand-in for VGG16: the layers are the picture at full, half and quarter size."""
    return {name: F.avg_pool2d(x, 2**k) for k, name in enumerate(painter.WINDOWS)}


def photograph(size=(90, 60), face=(40, 20, 60, 40)):
    """A dark picture whose face is white."""
    image = Image.new("RGB", size)
    image.paste((255, 255, 255), face)
    return painter.Photograph(SimpleNamespace(image=image, is_portrait=True), [face])


def test_the_mask_of_a_crop_shows_where_the_face_is():
    seen = []
    for seed in range(20):
        square, mask = painter.crop(photograph(), 32, (32, 64), np.random.default_rng(seed))
        assert square.shape == (32, 32, 3) and mask.shape == (32, 32)
        white = square[..., 0] > 127
        assert (white != (mask > 0)).mean() < 0.07  # the edge is soft
        seen.append(mask.mean())
    assert np.mean(np.array(seen) > 0) > 0.6  # most crops show the face


def test_a_crop_of_a_photograph_without_faces_has_an_empty_mask():
    empty = photograph()._replace(faces=[])
    _, mask = painter.crop(empty, 32, (32, 64), np.random.default_rng(0))
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
    batch = batch_of(steps_before=steps_before)
    asked = []

    def knows(noisy, now, text, scales, guided):
        a = scheduler.alphas_cumprod[now][:, None, None, None]
        if not asked:  # the first step starts from the photographs and the noise of the batch
            noised = a.sqrt() * batch.z + (1 - a).sqrt() * batch.noise
            torch.testing.assert_close(noisy, noised)
        asked.append((now.tolist(), torch.is_grad_enabled()))
        return (noisy - a.sqrt() * batch.z_wanted) / (1 - a).sqrt()

    made = painter.painted(knows, batch, None, scheduler)
    torch.testing.assert_close(made, batch.z_wanted, atol=1e-4, rtol=0)
    timesteps = [[300, 450], [200, 300], [100, 150]][: steps_before + 1]
    # only the last step is learned
    assert asked == [(t, k == steps_before) for k, t in enumerate(timesteps)]


def pictures_of_one_level(*levels, side=256):
    return [np.full((side, side, 3), level, np.uint8) for level in levels]


@pytest.mark.parametrize("scale, wanted", [(0.0, 100), (3.5, 130), (7.0, 160), (9.0, 177)])
def test_the_guidance_scale_sets_how_much_painting_is_wanted(scale, wanted):
    photograph, painting = pictures_of_one_level(100, 160)
    made = painter.part_of_the_way(photograph, painting, np.zeros((256, 256), np.float32), scale)
    assert made.dtype == np.uint8 and set(made.ravel()) == {wanted}


def test_a_face_keeps_a_share_of_the_photograph_and_has_no_hard_edge():
    faces = np.zeros((256, 256), np.float32)
    faces[:, :128] = 1
    soft = painter.with_soft_edges(faces)
    made = painter.part_of_the_way(*pictures_of_one_level(0, 200), soft, 7.0)
    row = made[128, :, 0].astype(int)
    assert row[64] == 100 and row[192] == 200
    assert np.diff(row).min() >= 0 and np.diff(row).max() < 10


def test_more_painting_than_the_whole_stays_between_black_and_white():
    made = painter.part_of_the_way(*pictures_of_one_level(100, 250), np.zeros((256, 256)), 9.0)
    assert set(made.ravel()) == {255}


def test_moments_are_those_of_numpy_in_each_window():
    x = torch.randn(1, 3, 8, 12)
    means, covariances = painter.moments(x, 4)
    assert means.shape == (6, 3) and covariances.shape == (6, 3, 3)
    window = x[0, :, 4:8, 4:8].flatten(1)  # second row, second column of three
    np.testing.assert_allclose(means[4], window.mean(1), atol=1e-6)
    np.testing.assert_allclose(covariances[4], np.cov(window, bias=True), atol=1e-5)


def test_nothing_is_wrong_with_what_is_wanted():
    batch = batch_of()
    assert painter.latent_loss(SETTINGS, batch.z_wanted, batch) == 0
    for name, loss in painter.picture_losses(batch.y_wanted, batch.y_wanted, features_of).items():
        assert loss.item() == pytest.approx(0, abs=1e-6), name


def stripes(angle, phase, side=128):
    """A grey picture (1, 3, S, S) of stripes of 8 px that run along an angle in degrees."""
    y, x = np.mgrid[:side, :side]
    across = x * np.sin(np.radians(angle)) - y * np.cos(np.radians(angle))
    wave = np.sin(across * 2 * np.pi / 8 + phase) * 0.5
    return torch.from_numpy(np.stack([wave] * 3)[None]).float()


def test_the_texture_sees_the_direction_of_strokes_but_not_their_places():
    def features(x):  # differences to the right, down and along both diagonals
        kernels = torch.zeros(4, 1, 3, 3)
        kernels[:, 0, 1, 1] = -1
        for k, (row, column) in enumerate([(1, 2), (2, 1), (2, 2), (2, 0)]):
            kernels[k, 0, row, column] = 1
        maps = F.relu(F.conv2d(x.mean(1, keepdim=True), kernels, padding=1))
        return {name: F.avg_pool2d(maps, 2**k) for k, name in enumerate(painter.WINDOWS)}

    wanted = features(stripes(45, 0))
    moved = painter.texture_distance(features(stripes(45, 1)), wanted)
    turned = painter.texture_distance(features(stripes(-45, 0)), wanted)
    blurred = painter.texture_distance(features(0.3 * stripes(45, 0)), wanted)
    assert 4 * moved < min(turned, blurred)


def test_faces_count_more_in_the_latents():
    zeros = torch.zeros(1, 8, 32, 32)
    plain, face = (
        painter.latent_loss(
            SETTINGS,
            zeros,
            batch_of(1, z_wanted=zeros + 1, faces=torch.full((1, 1, 32, 32), share)),
        )
        for share in (0.0, 1.0)
    )
    assert plain.item() == pytest.approx(1)
    assert face.item() == pytest.approx(1 + SETTINGS.face_weight)


def test_strokes_count_more_in_the_latents_than_broad_colours():
    checkers = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    zeros = torch.zeros(1, 8, 32, 32)
    fine, broad = (
        painter.latent_loss(SETTINGS, zeros, batch_of(1, z_wanted=zeros + one, faces=zeros[:, :1]))
        for one in (checkers, torch.ones_like(checkers))
    )
    assert broad.item() == pytest.approx(1)
    # a mean over 25 checkers is 1 / 25
    assert fine.item() == pytest.approx(1 + SETTINGS.fine_weight * (24 / 25) ** 2, rel=0.02)


def test_only_what_is_beyond_black_and_white_is_clipped():
    y = batch_of(1).y_wanted.clone()
    y[0, 0, 0, :16] = 1.5
    y[0, 0, 1, :16] = -1.5
    loss = painter.picture_losses(y, batch_of(1).y_wanted, features_of)["clipping"]
    assert loss.item() == pytest.approx(0.25 * 32 / (3 * 128 * 128))


def test_losses_are_weighed_as_the_settings_say():
    weights = {
        "texture": SETTINGS.texture_weight,
        "latents": SETTINGS.latents_weight,
        "colour": SETTINGS.colour_weight,
        "clipping": SETTINGS.clipping_weight,
    }
    losses = {name: torch.tensor(float(k)) for k, name in enumerate(weights)}
    expected = sum(weight * k for k, weight in enumerate(weights.values()))
    assert painter.weighted(SETTINGS, losses).item() == pytest.approx(expected)


@pytest.fixture
def settings():
    places = dict(out=Path("o"), teacher=Path("t"), vae=Path("v"))
    return painter.Settings(
        **places, side=64, crop=32, pairs=24, photographs=12, decoded=5, short_sides=(64, 64)
    )


@pytest.fixture
def drawn(settings):
    """Squares of photographs, and the pairs that are drawn from them."""
    palette = painter.strokes.Palette(np.array([60.0, 0, 0]), np.array([20.0, 5, 5]))
    palettes = {key: [palette] for key in (*painter.STYLE_SHARES, *captions.PAINTINGS)}
    group = [photograph((128, 96))]
    return painter.draw_pairs(
        settings, {True: group, False: group}, palettes, np.random.default_rng(0)
    )


def test_the_numbers_of_a_pair_are_those_that_its_strokes_were_drawn_with(settings, drawn):
    palette = painter.strokes.Palette(np.array([60.0, 0, 0]), np.array([20.0, 5, 5]))
    seen = set()
    for square, pair in zip(*drawn):
        brush = painter.strokes.BRUSHES.get(pair.painting or pair.style)
        painted, soft = square, painter.with_soft_edges(pair.faces)
        if brush:
            numbers = pair.numbers.transpose(1, 2, 0)
            painted = painter.strokes.paint(square, brush, palette, numbers, soft)
        wanted = painter.part_of_the_way(square, painted, soft, pair.scale)
        assert np.array_equal(wanted, pair.wanted)
        seen.add(pair.style)
    assert len(seen) > 2


def test_the_parts_of_a_batch_show_the_same_squares(settings, drawn, monkeypatch):
    """A stand-in for the VAE: the latents are the picture itself, made smaller."""
    monkeypatch.setattr(painter.unet, "tokens", lambda tokenizer, texts: texts)
    squares, made = drawn
    as_tensors = [
        photos.to_batch(np.stack(one)) for one in (squares, [pair.wanted for pair in made])
    ]
    encoded = torch.stack([F.avg_pool2d(x, 4).repeat(1, 3, 1, 1)[:, :8] for x in as_tensors], 1)
    data = painter.Data(made, encoded.half(), SimpleNamespace(tokenizer=None))
    batch = painter.painting_batch(settings, data, np.random.default_rng(1))
    assert batch.z.shape == batch.noise.shape == (12, 8, 8, 8)
    assert batch.y_wanted.shape == (5, 3, 32, 32) and batch.faces.shape == (12, 1, 8, 8)
    shown = F.avg_pool2d(batch.y_wanted, 4)
    torch.testing.assert_close(batch.z_wanted[:5, :3], shown, atol=2e-3, rtol=0)
    grains = painter.strokes.grains(batch.noise).round(decimals=4)
    for one, text, scale in zip(grains, batch.ids, batch.scales):
        for pair in made:  # the pair from which this square comes
            rows = torch.from_numpy(pair.numbers).unfold(1, 4, 1).unfold(2, 4, 1)
            if (rows - one[:, None, None]).abs().amax((0, 3, 4)).min() < 1e-3:
                assert scale == pytest.approx(pair.scale)
                names = captions.PAINTINGS[pair.painting].names if pair.painting else ()
                assert not names or any(name in text for name in names)
                break
        else:
            pytest.fail("no pair has these numbers")


def test_each_style_has_a_brush():
    wanted = {*painter.STYLE_SHARES, *captions.PAINTINGS} - {painter.PHOTO, "a painting by name"}
    assert set(painter.strokes.BRUSHES) == wanted


def test_palettes_are_those_of_a_style_and_of_paintings_by_name():
    def picture(file, style, level):
        return art.Picture(file, style, "", Image.new("RGB", (40, 60), (level,) * 3))

    made = painter.palettes(
        [
            picture("van_gogh/self-portrait-1.jpg", "van gogh", 0),
            picture("van_gogh/olive.jpg", "van gogh", 255),
            picture("photo/x.jpg", "a photo", 9),
        ]
    )
    lightness = {name: [round(one.mean[0]) for one in group] for name, group in made.items()}
    assert lightness == {"van gogh": [0, 100], "a self-portrait of van gogh": [0]}


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
