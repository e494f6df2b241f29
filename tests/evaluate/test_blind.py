"""Blind pairs: chance decides order and sides, the page hides them, the key tells them."""

import base64
import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sdkit import blind, metrics
from sdkit.errors import SdkitError

NAMES = [f"name{k}" for k in range(20)]


def shades(k):
    """A grey photograph, a red painting by A and a blue one by B, each in its own shade."""
    level = 50 + 10 * k
    return tuple(
        Image.new("RGB", (16, 16), colour)
        for colour in ((level,) * 3, (level, 0, 0), (0, 0, level))
    )


def shown(page):
    """The pictures on a page in their order, by the names in their alternative texts."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]*)" alt="the (\w+)', page)
    return [(alt, Image.open(io.BytesIO(base64.b64decode(data)))) for data, alt in found]


def test_each_photograph_comes_once_and_chance_decides_who_is_on_the_left():
    keys = [blind.make_key(NAMES, "old", "new", seed) for seed in range(100)]
    for key in keys:
        assert sorted(pair["name"] for pair in key["pairs"].values()) == sorted(NAMES)
        assert list(key["pairs"]) == [str(k) for k in range(1, 21)]
    lefts = Counter(pair["left"] for key in keys for pair in key["pairs"].values())
    assert abs(lefts["A"] - 1000) < 4 * (2000 / 4) ** 0.5  # 4 sigma of a fair coin
    # on each place of the page, not only in all: nobody can guess a side from where a pair stands
    for number in keys[0]["pairs"]:
        lefts = sum(key["pairs"][number]["left"] == "A" for key in keys)
        assert abs(lefts - 50) < 4 * (100 / 4) ** 0.5
    first = Counter(key["pairs"]["1"]["name"] for key in keys)
    assert len(first) > 10
    assert blind.make_key(NAMES, "old", "new", 3) == keys[3] != keys[4]


def test_the_page_shows_each_painting_on_the_side_that_the_key_says():
    trios = {name: shades(k) for k, name in enumerate(NAMES)}
    key = blind.make_key(NAMES, "old", "new", 0)
    pictures = shown(blind.page(key, trios))
    assert len(pictures) == 60
    for k, pair in enumerate(key["pairs"].values()):
        photo, a, b = trios[pair["name"]]
        sides = (a, b) if pair["left"] == "A" else (b, a)
        three = pictures[3 * k : 3 * k + 3]
        for (alt, picture), expected, name in zip(
            three, (photo, *sides), ("photograph", "left", "right")
        ):
            assert alt == name
            np.testing.assert_allclose(picture, np.asarray(expected), atol=6)  # JPEG


def test_the_page_tells_nothing_about_the_painters():
    noted = PngImagePlugin.PngInfo()
    noted.add_text("Model", "SECRET")
    buffer = io.BytesIO()
    shades(1)[1].save(buffer, "PNG", pnginfo=noted)
    painting = Image.open(buffer)
    key = blind.make_key(["SECRET"], "SECRET", "SECRET", 0)
    page = blind.page(key, {"SECRET": (shades(1)[0], painting, shades(1)[2])})
    assert "SECRET" not in page and '"A"' not in page
    assert not any("SECRET" in str(picture.info) for _, picture in shown(page))


def test_each_pair_has_three_answers_and_the_page_names_its_sheet():
    key = blind.make_key(NAMES[:2], "old", "new", 0)
    page = blind.page(key, {name: shades(k) for k, name in enumerate(NAMES[:2])})
    for number in ("1", "2"):
        found = re.findall(rf'<input type="radio" name="{number}" value="(\w+)">', page)
        assert found == ["left", "right", "none"]
    assert f'sheet: "{key["sheet"]}"' in page
    other = blind.make_key(NAMES[:2], "old", "new", 0)
    blind.page(other, {name: shades(k + 5) for k, name in enumerate(NAMES[:2])})
    assert other["sheet"] != key["sheet"]


KEY = {
    "A": "old",
    "B": "new",
    "sheet": "12345678",
    "pairs": {str(k): {"name": f"name{k}", "left": "ABABA"[k - 1]} for k in range(1, 6)},
}


def test_answers_are_counted_for_the_painter_who_was_on_that_side():
    answers = {"1": "left", "2": "left", "3": "right", "4": "none"}  # A, B, B, nobody
    assert blind.count(answers, KEY) == blind.Result(a=1, b=2, ties=1, unanswered=1)
    assert blind.count({}, KEY) == blind.Result(0, 0, 0, 5)


def test_the_result_has_the_interval_of_the_decided_pairs():
    text = blind.describe(blind.Result(5, 15, 3, 1), KEY)
    low, high = metrics.wilson(15, 20)
    assert f"B (new): preferred in 15 of 20 decided pairs, 75% (95 % interval: {low:.0%}" in text
    assert f"to {high:.0%})" in text and "A (old): preferred in 5 of 20" in text
    assert "no preference: 3, not answered: 1" in text
    assert "%" not in blind.describe(blind.Result(0, 0, 5, 0), KEY)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_key_and_answers_are_read_back(tmp_path):
    answers = {"1": "left", "5": "none"}
    key = blind.read_key(write(tmp_path / "key.json", KEY))
    file = write(tmp_path / "a.json", {"sheet": "12345678", "answers": answers})
    assert key == KEY and blind.read_answers(file, key) == answers


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ([1], "neither"),
        ({"sheet": "12345678"}, "no answers"),
        ({"sheet": "12345678", "answers": {"1": "up"}}, "no answers"),
        ({"sheet": "12345678", "answers": {"1": ["left"]}}, "no answers"),
        ({"sheet": "87654321", "answers": {"1": "left"}}, "different pages"),
        ({"sheet": "12345678", "answers": {"6": "left"}}, "different pages"),
        (" " * 1_000_001, "too large"),
    ],
)
def test_other_files_are_no_answers(tmp_path, content, words):
    with pytest.raises(SdkitError, match=words):
        blind.read_answers(write(tmp_path / "a.json", content), KEY)


@pytest.mark.parametrize(
    "content",
    [
        {**KEY, "pairs": {"1": {"left": "C"}}},
        {**KEY, "pairs": {"1": "A"}},
        {**KEY, "pairs": [1]},
        {"pairs": KEY["pairs"]},
    ],
)
def test_other_files_are_no_keys(tmp_path, content):
    with pytest.raises(SdkitError, match="not a key"):
        blind.read_key(write(tmp_path / "key.json", content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SdkitError, match="cannot be read"):
        blind.read_key(tmp_path / "nothing.json")
