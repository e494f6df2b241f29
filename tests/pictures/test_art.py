"""The list of training pictures: its splits, its checksums, and crops at a scale."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from sdkit import art
from sdkit.errors import SdkitError


def test_splits_do_not_overlap_and_follow_the_rule():
    rows = art.manifest()
    assert len({row["sha256"] for row in rows}) == len(rows)
    groups = {}
    for row in rows:
        groups.setdefault((row["file"].split("/")[0], row["batch"]), []).append(row)
    for inside in groups.values():
        for place, row in enumerate(sorted(inside, key=lambda row: row["sha256"])):
            rule = {3: "validation", 8: "test"}.get(place % 10, "train")
            both_bedrooms = "bedroom" in row["file"]  # the exception that the docstring names
            assert row["split"] == ("validation" if both_bedrooms else rule), row["file"]


def test_the_second_batch_is_68_van_goghs_with_13_held_out():
    """Places 3, 13, ..., 63 of 0 to 67 are for validation, places 8, 18, ..., 58 for testing."""
    second = [row for row in art.manifest() if row["batch"] == "2"]
    assert {row["file"].split("/")[0] for row in second} == {"van_gogh"} and len(second) == 68
    splits = [row["split"] for row in second]
    assert (splits.count("validation"), splits.count("test")) == (7, 6)
    assert {row["batch"] for row in art.manifest()} == {"1", "2"}


def test_a_changed_missing_or_unknown_picture_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SDKIT_DATA", str(tmp_path))
    path = tmp_path / "pictures" / "van_gogh" / "1.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    head = "file\tsplit\tartist\ttitle\tbasis\tsource_repository\tsha256\n"
    row = f"van_gogh/1.png\ttrain\t\ttitle\tours\there\t{checksum}\n"
    (tmp_path / "art.tsv").write_text(head + row)
    (picture,) = art.load(tmp_path / "pictures", "train")
    assert picture.image.size == (40, 30) and picture.style == "van gogh"
    assert art.load(tmp_path / "pictures", "test") == []
    path.write_bytes(b"other")
    with pytest.raises(SdkitError, match="checksum"):
        art.load(tmp_path / "pictures", "train")
    path.unlink()
    with pytest.raises(SdkitError, match="missing"):
        art.load(tmp_path / "pictures", "train")
    with pytest.raises(SdkitError, match="no folder"):
        art.load(tmp_path / "nowhere", "train")


def test_crops_have_the_scale_that_was_asked_for():
    ramp = np.tile(np.linspace(0, 255, 512), (512, 1)).astype(np.uint8)  # one grey level in two px
    picture = art.Picture("x", "a photo", "", Image.fromarray(np.dstack([ramp] * 3)))
    square = art.crop(picture, 64, np.random.default_rng(0), (128, 128)).astype(float)
    slope = abs(square[:, -1].mean() - square[:, 0].mean()) / 63
    assert square.shape == (64, 64, 3)
    assert slope == pytest.approx(255 / 128, rel=0.03)  # four times as steep


def ramp():
    """A picture of 512 px whose grey levels rise by one in two px."""
    levels = np.tile(np.linspace(0, 255, 512), (512, 1)).astype(np.uint8)
    return art.Picture("x", "a photo", "", Image.fromarray(np.dstack([levels] * 3)))


def slopes(size, short_sides, count):
    """How many grey levels a px the rows of random crops rise; negative if they are mirrored."""
    rng = np.random.default_rng(0)
    squares = [art.crop(ramp(), size, rng, short_sides).astype(float) for _ in range(count)]
    assert all(square.shape == (size, size, 3) for square in squares)
    return np.array([(s[:, -1].mean() - s[:, 0].mean()) / (size - 1) for s in squares])


def test_a_picture_is_enlarged_by_a_fifth_at_most():
    steep = abs(slopes(64, (256, 2000), 60))
    flattest = 255 / (1.2 * 512)
    assert 0.96 * flattest < steep.min() < 1.15 * flattest and steep.max() > 2 * flattest
    assert abs(slopes(64, (1024, 2000), 5)) == pytest.approx(255 / 1024, rel=0.07)  # needs more


def test_half_of_the_crops_are_mirrored():
    assert 0.35 < (slopes(64, (256, 512), 100) < 0).mean() < 0.65


def test_a_crop_larger_than_the_short_side_is_the_whole_picture():
    assert abs(slopes(300, (128, 128), 3)) == pytest.approx(255 / 300, rel=0.03)
