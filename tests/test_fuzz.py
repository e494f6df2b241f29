"""Random bytes and numbers as input give a picture or one sentence.

They never give a traceback or half a file. The ordinary run tries a few hundred cases. This command
tries some ten thousand: ``python3 run.py test -m slow tests/test_fuzz.py``.
"""

import io
import math
import struct
import warnings
import zlib
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sdkit import cli, consent, generate, models, photos
from sdkit.errors import SdkitError
from tests import strange

NORMAL = {
    "database": None,
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
SMALL = 1_000_000  # px; a header may promise as many, and then they are decoded
MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "GIF": ["P", "RGBA"],
    "WEBP": ["RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"],
    "BMP": ["1", "P", "RGB"],
    "JPEG2000": ["L", "RGB", "RGBA"],
    "PPM": ["L", "RGB"],
    "TGA": ["L", "P", "RGBA"],
    "AVIF": ["RGB"],
}
PACKED = {
    "TIFF": [{"compression": c} for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")],
    "WEBP": [{"lossless": True}, {"quality": 50}],
    "JPEG": [{"progressive": True}, {"quality": 90}],
}


def cases(few, many):
    """Run a property on `few` cases, and, marked slow, on `many`."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


def whole_files():
    """A few dozen sound files: every format in every mode, with EXIF of every turn."""
    files = []
    grey = np.arange(20 * 14, dtype=np.uint16).reshape(14, 20) * 200
    for kind in [
        kind for kind in MODES if kind in Image.SAVE or (Image.init() and kind in Image.SAVE)
    ]:
        for k, mode in enumerate(MODES[kind]):
            rgb = Image.fromarray(strange.colours(20, 14))
            image = (
                Image.fromarray(grey)
                if mode == "I;16"
                else rgb.convert("L").convert(mode)
                if mode in ("F", "LA")
                else rgb.convert(mode)
            )
            for extra in PACKED.get(kind, [{}]):
                exif = {"exif": strange.exif(k + 1)} if kind in ("PNG", "JPEG", "WEBP") else {}
                file = io.BytesIO()
                image.save(file, kind, **extra, **exif)
                files.append(file.getvalue())
    files += [path.read_bytes() for path in sorted(strange.HEIC.glob("*.heic"))]
    return files


def promise(width, height, depth, colour, rest):
    """A PNG whose header promises width x height, with a right checksum."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rest)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@st.composite
def files(draw, whole=whole_files()):  # noqa: B008
    """Bytes of a file, mostly of a picture to which something happened."""
    kind = draw(st.sampled_from(["damaged"] * 8 + ["promise", "promise", "noise"]))
    if kind == "noise":
        return draw(st.binary(max_size=200))
    if kind == "promise":
        side = st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1))
        return promise(
            draw(side),
            draw(side),
            draw(st.sampled_from([1, 2, 4, 8, 16, 3])),
            draw(st.integers(0, 7)),
            bytes(draw(st.integers(0, 3000))),
        )
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 4))):
        last = len(data) - 1
        place = draw(st.integers(0, last if draw(st.booleans()) else min(99, last)))
        what = draw(st.sampled_from(["flip", "set", "insert", "delete", "double"]))
        if what == "flip":
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif what == "set":
            data[place : place + 4] = draw(
                st.sampled_from(
                    [
                        b"\0\0\0\0",
                        b"\xff\xff\xff\xff",
                        b"\x7f\xff\xff\xff",
                        b"\0\0\0\1",
                        b"\1\0\0\0",
                        b"\xff\xff",
                        b"-1.0",
                    ]
                )
            )
        elif what == "insert":
            data[place:place] = draw(st.binary(max_size=30))
        elif what == "delete":
            del data[place : place + draw(st.integers(1, 30))]
        else:
            data += data[place:]
        data = data or bytearray(b"\0")
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 3)) == 0 else data)


NAMES = st.sampled_from(["x.jpg", "x.png", "x.gif", "x.webp", "x.tif", "x.txt", "x", "x.heic"])


def is_sentence(error):
    text = str(error)
    return text.isprintable() and text.endswith(".") and ". " in text and len(text) < 400


@cases(300, 6000)
def test_any_file_gives_a_picture_or_a_sentence(tmp_path, capfd, count):
    @settings(max_examples=count, derandomize=count < 1000, **NORMAL)
    @given(files(), NAMES)
    def holds(data, name):
        path = tmp_path / name
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                image = photos.open_photo(path, max_pixels=SMALL)
        except SdkitError as error:
            assert is_sentence(error), error
            return
        assert image.mode == "RGB" and not image.info and min(image.size) >= photos.MIN_SIDE
        try:
            assert min(photos.resize(image, 64).size) == 64
        except SdkitError as error:
            assert "4:1" in str(error)

    holds()
    assert capfd.readouterr().err == ""


ANY_NUMBER = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-3, 30),
    st.floats(-0.1, 1.1),
    st.sampled_from(
        [
            0,
            -0.0,
            1,
            math.nan,
            math.inf,
            -math.inf,
            1e-300,
            10**400,
            -(10**400),
            True,
            None,
            "5",
            Fraction(1, 2),
            np.float64(0.5),
            np.int64(8),
            np.float32("nan"),
            1j,
        ]
    ),
)
ANY_TEXT = st.one_of(
    st.text(max_size=30),
    st.text(min_size=2001, max_size=2100),
    st.sampled_from(
        [
            "",
            " ",
            "\0",
            "\x1b]0;x\a",
            "\udcff",
            "van gogh",
            "$x^{$",
            "/../..",
            "%s{}",
            "\u202egnp",
            None,
            5,
            b"x",
        ]
    ),
)
GOOD = {
    "prompt": "van gogh",
    "strength": 0.5,
    "guidance_scale": 4.0,
    "num_inference_steps": 8,
    "size": 64,
}
ANY = {
    name: ANY_TEXT if "prompt" in name else ANY_NUMBER
    for name in [*GOOD, "negative_prompt", "seed"]
}


@cases(200, 3000)
def test_any_settings_are_valid_or_give_a_sentence(count):
    @settings(max_examples=count, derandomize=count < 1000, **NORMAL)
    @given(st.fixed_dictionaries({}, optional=ANY))
    def holds(changes):
        try:
            made = generate.Settings(**{**GOOD, **changes})
        except SdkitError as error:
            assert is_sentence(error), error
            return
        assert 1 <= made.steps_run <= 500 and 0 < made.strength <= 1 and 64 <= made.size <= 2048
        assert all(isinstance(value, str) for value in generate.note(made, "x").values())

    holds()


class Painter:
    """In the place of a pipeline: gives the photo back, for the network does not matter here."""

    unet = SimpleNamespace(
        parameters=list,
        config=SimpleNamespace(time_cond_proj_dim=None),
        register_to_config=lambda **_: None,
    )
    vae = SimpleNamespace(decoder=torch.nn.Identity())
    vae_scale_factor, image_processor = 4, VaeImageProcessor()

    def __call__(self, image, num_inference_steps, guidance_scale, **_):
        assert num_inference_steps >= 1 and math.isfinite(guidance_scale)
        return SimpleNamespace(images=np.asarray(image, np.float32)[None] / 255)


OPTION = st.sampled_from(
    [
        "--strength",
        "--guidance-scale",
        "--steps",
        "--seed",
        "--size",
        "--negative-prompt",
        "--out",
        "--overwrite",
        "--no-mark",
        "--no-invisible-mark",
        "--unsigned",
        "--grid",
        "--nonsense",
    ]
)
FLAGS = {"--overwrite", "--no-mark", "--no-invisible-mark", "--unsigned", "--grid"}
VALUE = st.one_of(
    st.integers(-2, 70).map(str),
    st.floats(0, 1).map(str),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        ["nan", "inf", "-inf", "1e999", "", "x" * 300, "a\0b", "in/good.png", "out", "\udcff"]
    ),
    st.text(max_size=10),
)


@cases(80, 1500)
def test_a_run_over_a_folder_gives_only_pictures_and_sentences(
    tiny_data, tmp_path, monkeypatch, capsys, count
):
    """With any options, each good photo gives a whole picture and each bad one a line.

    The exit status is 2 if a photo failed.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models.Model, "pipeline", lambda *_, **__: Painter())
    # the painter has no networks whose operations could be counted
    monkeypatch.setattr(consent, "agree_to_run", lambda *_: None)
    # an error that nobody thought of comes out here as it is
    monkeypatch.setenv("SDKIT_DEBUG", "1")
    (tmp_path / "in").mkdir()
    for name in ("good.png", "good.jpg"):
        Image.fromarray(strange.colours()).save(tmp_path / "in" / name)

    @settings(max_examples=count, derandomize=count < 1000, **NORMAL)
    @given(
        ANY_TEXT.filter(lambda text: isinstance(text, str)),
        st.dictionaries(OPTION, VALUE, max_size=3),
        files(),
    )
    def holds(prompt, options, data):
        (tmp_path / "in" / "bad.tif").write_bytes(data[:3000])
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
        chosen = {"--out": "out", "--size": "64"} | options
        words = [f"{name}={value}" if name not in FLAGS else name for name, value in chosen.items()]
        try:
            code = cli.main(["style", "in", f"--prompt={prompt}", *words])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        assert code in (0, 2) and "Traceback" not in out + err
        wrote = out.count("wrote    ")
        after = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
        new = after.keys() - before.keys()
        if "--overwrite" not in chosen:
            assert len(new) == wrote and all(after[path] == old for path, old in before.items())
        for path in new:
            with Image.open(path) as image:
                image.load()
        assert not list(tmp_path.rglob("*.part")) and (tmp_path / "in" / "good.png").read_bytes()
        failed = [line for line in err.splitlines() if line.startswith("failed   ")]
        assert wrote >= 2 or code == 2
        if code == 2 and not failed:  # said before any work: by argparse, or in a sentence
            assert wrote == 0 and is_sentence(err.strip())
        for path in new:
            path.unlink()

    holds()
