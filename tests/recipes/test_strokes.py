"""Palette transfer and brush strokes against what they should do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdkit import art
from sdkit.recipes import strokes


def test_a_whole_palette_transfer_takes_mean_and_covariance_of_the_painting():
    rng = np.random.default_rng(0)
    photo, painting = (
        rng.normal(size=(20, 30, 3)) @ rng.normal(size=(3, 3)) * 9 + 40 for _ in range(2)
    )
    moved = strokes.transfer_palette(photo, painting, 1.0).reshape(-1, 3)
    np.testing.assert_allclose(moved.mean(0), painting.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(
        np.cov(moved.T), np.cov(painting.reshape(-1, 3).T), rtol=1e-3, atol=1e-2
    )
    np.testing.assert_array_equal(strokes.transfer_palette(photo, painting, 0.0), photo)


def test_strokes_run_along_edges():
    wave = 50 + 40 * np.sin(np.arange(64) / 3)
    for lightness, along in (
        (np.tile(wave, (64, 1)), np.pi / 2),
        (np.tile(wave[:, None], (1, 64)), 0.0),
    ):
        angles = strokes.directions(lightness, 4.0, np.random.default_rng(0))
        off = np.abs((angles - along + np.pi / 2) % np.pi - np.pi / 2)  # a stroke has no sign
        assert np.degrees(np.median(off)) < 10


def test_a_stroke_in_an_even_field_is_straight_and_as_long_as_the_constant_says():
    line = strokes.paths(np.array([[30.0, 20.0]]), np.full((40, 60), np.pi / 6), 4.0)[0]
    steps = np.diff(line, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
    assert np.linalg.norm(line[-1] - line[0]) == pytest.approx(4.0 * strokes.LENGTH)
    assert steps[0, 1] / steps[0, 0] == pytest.approx(np.tan(np.pi / 6))


def test_a_repainted_picture_still_shows_the_photograph():
    """A dark and a light half stay dark and light, and the colours come from the painting."""
    photo, painting = Image.new("RGB", (48, 40), (60, 60, 60)), Image.new("RGB", (40, 40))
    photo.paste((200, 200, 200), (24, 0, 48, 40))
    rng = np.random.default_rng(0)
    painting = Image.fromarray(
        rng.integers((150, 90, 0), (255, 160, 60), (40, 40, 3)).astype(np.uint8)
    )
    made = np.asarray(strokes.repaint(photo, painting, np.random.default_rng(0))).astype(float)
    assert made.shape == (40, 48, 3)
    assert made[:, 28:].mean() > made[:, :20].mean() + 5
    assert made[..., 0].mean() > made[..., 2].mean() + 30  # yellow


def test_photographs_are_repainted_once(toy_data, tmp_path, monkeypatch):
    made = []

    def repaint(photo, painting, rng):
        made.append((photo.size, painting.size))
        return photo

    monkeypatch.setattr(strokes, "repaint", repaint)
    settings = strokes.Settings(
        art_dir=toy_data / "art", out=tmp_path, portraits=1, scenes=1, short_sides=(40, 50)
    )
    for _ in range(2):
        strokes.main(settings)
    files = sorted(tmp_path.glob("*.png"))
    assert [path.name.split("-")[0] for path in files] == ["photo", "portrait"] and len(made) == 2
    assert all(40 <= min(size) <= 50 for sizes in made for size in sizes)
    assert Image.open(files[0]).size == made[1][0]


def test_so_many_portraits_and_scenes_are_chosen_of_each_kind():
    image = Image.new("RGB", (8, 8))
    pictures = [
        art.Picture(f"{folder}/{k}.png", "a photo", "", image)
        for folder in ("photo", "portrait")
        for k in range(6)
    ]
    settings = strokes.Settings(out=Path("o"), portraits=4, scenes=2)
    chosen = [picture.file for picture in strokes.choose_photographs(settings, pictures)]
    assert len(set(chosen)) == 6
    assert [file.split("/")[0] for file in chosen] == 4 * ["portrait"] + 2 * ["photo"]
