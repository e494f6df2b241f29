"""The package does these things in one place only: pixel scaling, PSNR, encoding of batches."""

import re

import pytest

from sdkit.files import ROOT

SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "sdkit").rglob("*.py")
}


@pytest.mark.parametrize(
    "pattern, place",
    [
        (r"127\.5|\bLEVELS_PER_UNIT\s*=", "sdkit/pictures/photos.py"),
        (r"def to_batch\b", "sdkit/pictures/photos.py"),
        (r"def \w*encode_batches\b", "sdkit/recipes/training.py"),
        (r"def psnr\b|peak_signal_noise_ratio", "sdkit/evaluate/metrics.py"),
        (r"\bdef bf16_is_native\b|\bavx512_bf16\b", "sdkit/models/hardware.py"),
    ],
)
def test_only_one_file_matches(pattern, place):
    assert [name for name, source in SOURCES.items() if re.search(pattern, source)] == [place]


def test_no_recipe_computes_decibels():
    for name, source in SOURCES.items():
        assert not (name.startswith("sdkit/recipes/") and "log10" in source), name
