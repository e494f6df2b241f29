"""The invisible mark: it is found again, it cannot be seen, and it is not found where it is not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from sdkit import photos, watermark
from tests import strange

SAMPLES = ("astronaut", "chelsea", "coffee")


def sample(name):
    return photos.resize(photos.sample(name), 512)


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image, factor):
    return image.resize([round(side * factor) for side in image.size], Image.Resampling.BICUBIC)


def quarter(image):
    return image.crop((101, 87, 101 + image.width // 2, 87 + image.height // 2))


def smooth():
    """A clear sky: the hardest place to hide anything."""
    ramp = np.linspace(90, 200, 320)[:, None, None] + np.zeros((1, 320, 3))
    return Image.fromarray(ramp.round().astype(np.uint8))


@pytest.fixture
def key(monkeypatch):
    """A function that sets another key."""

    def change(value):
        monkeypatch.setattr(watermark, "KEY", value)
        watermark._waves.cache_clear()
        watermark._pattern.cache_clear()

    yield change
    monkeypatch.undo()
    change(watermark.KEY)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_mark_costs_little_and_is_nowhere_strong(name):
    plain = sample(name)
    before, after = np.asarray(plain), np.asarray(watermark.embed(plain))
    assert 44 < peak_signal_noise_ratio(before, after) < 60
    change = after.astype(float) - before
    assert np.abs(change).max() <= 9 and abs(change.mean()) < 0.1
    # nothing that can be seen as a flicker of colour: the same for red, green and blue
    inside = (before > 9) & (before < 246)
    grey = change[inside.all(-1)]
    assert (grey == grey[:, :1]).all()


def test_in_a_clear_sky_the_mark_is_below_two_grey_levels():
    change = np.asarray(watermark.embed(smooth())).astype(float) - np.asarray(smooth())
    assert 0 < np.abs(change).max() <= 3 and change.std() < 0.8


def test_a_small_picture_stays_as_it_is_and_can_be_searched():
    for size in ((127, 300), (8, 8), (300, 20)):
        small = Image.fromarray(strange.colours(*size))
        np.testing.assert_array_equal(watermark.embed(small), small)
        assert watermark.detect(small).p > 0.01
    edge = Image.fromarray(strange.colours(128, 128))
    assert np.any(np.asarray(watermark.embed(edge)) != np.asarray(edge))


def test_a_long_picture_is_searched_in_its_middle():
    long = Image.new("RGB", (12_000, 64), "grey")
    long.paste(watermark.embed(sample("coffee")).crop((0, 100, 500, 164)), (5750, 0))
    assert watermark.detect(long).p <= 1


@pytest.mark.parametrize(
    "change, scale",
    [
        (lambda image: image, 1),
        (lambda image: jpeg(image, 90), 1),
        (lambda image: jpeg(image, 70), 1),
        (lambda image: jpeg(image, 50), 1),
        (lambda image: scaled(image, 0.5), 0.5),
        (quarter, 1),
        (lambda image: jpeg(quarter(image), 70), 1),
        (lambda image: scaled(image, 0.83), 0.83),
        (lambda image: scaled(image, 1 / 3), 1 / 3),
        (lambda image: scaled(image, 1.4), 1.4),
        (lambda image: scaled(quarter(image), 2.8), 2.8),
        (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1),
        (lambda image: image.convert("L").convert("RGB"), 1),
        (lambda image: jpeg(scaled(quarter(image), 0.9), 80), 0.9),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_mark_is_found_after_what_websites_do(name, change, scale):
    trace = watermark.detect(change(watermark.embed(sample(name))))
    assert trace.found and trace.p < 1e-6
    assert trace.scale == pytest.approx(scale, rel=0.02)


@pytest.mark.parametrize("way", [way for way in Image.Transpose if way.name != "FLIP_LEFT_RIGHT"])
def test_the_mark_is_found_after_a_quarter_turn_also_mirrored(way):
    """`transpose` moves whole pixels, so the agreement stays nearly what it was."""
    marked = watermark.embed(sample("coffee"))
    trace = watermark.detect(marked.transpose(way), quick=True)
    assert trace.z == pytest.approx(watermark.detect(marked, quick=True).z, rel=0.1)


@pytest.mark.parametrize("angle", [0.5, 2, -3.3, 90 - 4.8])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_mark_is_found_after_a_turn_of_less_than_five_degrees(name, angle):
    turned = watermark.embed(sample(name)).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    assert watermark.detect(turned).found
    # this needs the search at angles
    assert abs(angle) < 1 or not watermark.detect(turned, quick=True).found


def test_the_mark_is_found_in_a_smooth_picture():
    assert watermark.detect(jpeg(watermark.embed(smooth()), 90)).p < 1e-30


@pytest.mark.parametrize(
    "image",
    [
        *(sample(name) for name in SAMPLES),
        *(Image.fromarray(getattr(data, name)()) for name in ("brick", "grass", "gravel")),
        Image.fromarray(data.checkerboard()).resize((512, 512)),
        Image.new("RGB", (256, 256), "white"),
        smooth(),
        jpeg(sample("coffee"), 10),
        Image.effect_noise((300, 200), 60),
        Image.fromarray(np.tile(strange.colours(64, 64), (6, 6, 1))),
    ],
)
def test_the_mark_is_not_found_where_it_is_not(image):
    assert watermark.detect(image.convert("RGB")).p > 1e-3


def test_another_key_does_not_find_the_mark(key):
    marked = watermark.embed(sample("coffee"))
    assert watermark.detect(marked).found
    key(b"another key")
    assert watermark.detect(marked).p > 1e-3
    assert watermark.detect(watermark.embed(marked)).found
    key(b"sdkit watermark 1")
    assert watermark.detect(marked).found


@pytest.mark.parametrize("image", [sample("chelsea"), Image.fromarray(data.brick()).convert("RGB")])
def test_without_a_mark_the_agreement_is_that_of_chance(key, image):
    """Over many keys, z at one place is normal, and p is below a bound at most as often as it says.

    So p is right for each picture, and not only for pictures like these.
    """
    picture, at_one_place, highest = watermark._evened(photos.resize(image, 192)), [], []
    for number in range(1500):
        key(b"%d" % number)
        z = watermark._agreement(picture, 1.0)
        at_one_place.append(z[0, 5, 9])
        highest.append(z.max())
    assert stats.kstest(at_one_place, "norm").pvalue > 0.001
    tries = z.size
    p = np.minimum(1, tries * np.exp(-np.square(highest) / 2))
    for bound in (0.5, 0.1, 0.01):
        count = (p <= bound).sum()
        assert stats.binomtest(count, len(p), bound, alternative="greater").pvalue > 0.001
    # the bound is not so wide that nothing is ever found: unrelated keys come near 1
    assert np.median(highest) > stats.norm.isf(1 / 200)


def test_the_pattern_has_only_waves_of_middle_length_and_agrees_wholly_with_itself():
    tile = watermark._pattern()
    power = np.abs(np.fft.fft2(tile)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij"))
    inside = (frequency >= 0.05) & (frequency <= 0.2)
    assert power[~inside].sum() < 1e-6 * power.sum()
    assert power[inside].min() > 0.99 * power[inside].max()
    # all cosines are 1: their sum is K, which is sqrt(2 K) times sqrt(K / 2)
    count = inside.sum() / 2
    z = watermark._agreement(np.roll(np.tile(tile, (5, 4)), (7, 50), (0, 1)), 1.0)
    assert z.max() == pytest.approx(np.sqrt(2 * count), rel=1e-4)
    assert np.unravel_index(z.argmax(), z.shape) == (0, 7, 50)


def test_angles_places_and_detect_are_three_views_of_one_number():
    """At the true place z is the sum of the cosines, and `detect` gives the largest z of all."""
    marked = watermark.embed(sample("coffee"))
    picture, key = watermark.angles(marked)
    z = np.cos(picture - key).sum() / np.sqrt(len(key) / 2)
    places = watermark.places(marked)
    assert places.shape == (watermark.TILE, watermark.TILE)
    assert places[0, 0] == places.max() == pytest.approx(z, rel=1e-4)
    assert watermark.detect(marked).z == pytest.approx(z, rel=1e-4)
    moved = marked.crop((5, 12, *marked.size))  # 5 px of the first tile are gone, and 12
    assert np.unravel_index(watermark.places(moved).argmax(), places.shape) == (52, 59)


def test_z_is_there_when_nothing_was_found():
    trace = watermark.detect(sample("coffee"), quick=True)
    assert trace.p > 0.01 and 2 < trace.z < 6


def test_p_is_the_bound_times_all_places_of_all_sizes_turns_and_angles():
    trace = watermark.detect(watermark.embed(sample("coffee")), quick=True)
    turns = 4 * 2  # quarter turns, each also mirrored
    tries = 64 * 64 * turns * len(watermark.USUAL_SCALES)
    assert 5 < trace.z < 35  # so that the exponential is a number
    assert trace.p == pytest.approx(tries * np.exp(-(trace.z**2) / 2))
    whole = watermark.detect(watermark.embed(sample("coffee")))
    angles, sizes = 21, len(list(watermark._scales(768)))
    more = 64 * 64 * turns * (angles * len(watermark.USUAL_SCALES) + sizes)
    assert whole.p == pytest.approx((tries + more) * np.exp(-(whole.z**2) / 2))


def test_waves_that_pixels_cannot_show_do_not_count():
    """In a picture made of all waves of at least two pixels, all cosines are 1: z = sqrt(2K)."""
    rows, columns, phases = watermark._waves()
    period = 20  # px, of 64: of the waves, the longest 9 per tile in each direction can be shown
    can = np.maximum(abs(rows), columns) <= 9
    assert 0.5 < can.mean() < 0.9
    down, along = np.mgrid[:200, :200]
    picture = sum(
        (phase * np.exp(2j * np.pi * (row * down + column * along) / period)).real
        for row, column, phase in zip(rows[can], columns[can], phases[can])
    )
    z = watermark._agreement(picture.astype(np.float32), period / watermark.TILE)
    assert z[0, 0, 0] == z.max() == pytest.approx((2 * can.sum()) ** 0.5, rel=0.02)
