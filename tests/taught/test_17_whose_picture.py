"""Lesson 17: its functions do what sdkit, scipy and diffusers do."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image

from sdkit import certificate, layers, manifest, metrics, photos, provenance
from tests.taught import taught

WHOSE = "17_whose_picture.ipynb"


def test_the_parts_of_a_png_are_all_of_it_and_other_pixels_keep_the_rest(photo, tmp_path):
    cells, signer = taught(WHOSE), certificate.make()
    png = provenance.png(photo, {"Description": "Made with AI"}, manifest.Origin.PICTURE, signer)
    parts = list(cells["parts"](png))
    assert png[:8] + b"".join(part for _, part in parts) == png
    assert [parts[0][0], parts[-1][0]] == [b"IHDR", b"IEND"]
    other = Image.fromarray(np.asarray(photo) ^ 1)
    (tmp_path / "other.png").write_bytes(cells["with_pixels"](png, other))
    assert np.array_equal(photos.open_photo(tmp_path / "other.png"), other)
    found = layers.read(tmp_path / "other.png", signer, quick=True)
    assert found.text and found.xmp and "changed after it was signed" in found.signed.fault
    # with its own pixels the file is not changed, and the signature holds
    (tmp_path / "same.png").write_bytes(png)
    assert layers.read(tmp_path / "same.png", signer, quick=True).signed.fault is None


def test_the_curve_encloses_the_area_that_the_kit_and_the_solution_count():
    rng = np.random.default_rng(0)
    yes, no = rng.integers(2, 9, 30), rng.integers(0, 7, 20)
    alarms, hits = taught(WHOSE)["roc"](yes, no)
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    area = metrics.auc(yes, no)
    assert np.trapezoid(hits, alarms) == pytest.approx(area)
    assert taught(f"solutions/{WHOSE}")["auc"](yes, no) == pytest.approx(area)


def test_the_attacks_are_what_they_are_called(photo):
    cells = taught(WHOSE)
    cells["SIZE"] = 64
    image = photo.resize((64, 64))
    assert cells["crop"](image, 0.5).size == (32, 32) == cells["shrink"](image, 0.5).size
    left, top = round(64 * 0.5 * 0.37), round(64 * 0.5 * 0.37)
    assert cells["crop"](image, 0.5).getpixel((0, 0)) == image.getpixel((left, top))
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    assert np.asarray(cells["noise"](grey, 10)).std() == pytest.approx(10, rel=0.05)
    sizes = [len(jpeg_bytes(cells["jpeg"](image, quality))) for quality in (90, 10)]
    assert sizes[1] < sizes[0]


def jpeg_bytes(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def test_the_loss_is_that_of_diffusers_noise_and_a_perfect_network_has_none():
    cells = taught(WHOSE)
    scheduler = DDPMScheduler(beta_schedule="scaled_linear")
    cells["abar"] = scheduler.alphas_cumprod
    z, words = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(5)), torch.zeros(3)
    seen = []

    def perfect(x, t, encoder_hidden_states):
        a = cells["abar"][t]
        seen.append(x)
        return SimpleNamespace(sample=(x - a**0.5 * z) / (1 - a) ** 0.5)

    assert cells["losses"](perfect, z, words) == pytest.approx(0, abs=1e-8)
    noise = torch.randn(z.shape[1:], generator=torch.Generator().manual_seed(0)).expand_as(z)
    theirs = scheduler.add_noise(z, noise, torch.tensor([300] * 3))
    torch.testing.assert_close(seen[0], theirs)
    silent = cells["losses"](lambda x, t, **_: SimpleNamespace(sample=0 * x), z, words)
    assert silent == pytest.approx(1, abs=0.3)  # the noise itself has variance 1
