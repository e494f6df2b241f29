"""sdkit check, --unsigned, and what is said when pictures cannot be signed."""

import re
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdkit import certificate, cli, manifest, photos, provenance, watermark
from sdkit.pictures.manifest import Origin
from tests import strange

PICTURE = Image.fromarray(strange.colours(64, 64))


@pytest.fixture
def work(tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    return tmp_path


def test_check_names_the_layers_of_every_verb(work, capsys, tiny_upscaler):
    photo = ["--prompt", "van gogh", "--steps", "2", "--out", "out"]
    assert cli.main(["style", "coffee", *photo, "--grid"]) == 0
    assert cli.main(["inpaint", "coffee", "coffee", *photo]) == 0
    PICTURE.save("small.png")
    assert cli.main(["upscale", "small.png", "--steps", "3", "--out", "out"]) == 0
    assert cli.main(["draw", "a photo", "--steps", "2", "--out", "drawn"]) == 0
    capsys.readouterr()
    for folder, count, source in ("out", 4, Origin.PICTURE), ("drawn", 1, Origin.SENTENCE):
        assert cli.main(["check", folder]) == 0
        out, err = capsys.readouterr()
        assert out.count("text note        Made with AI: ") == count and err == ""
        assert out.count(f"XMP              {source} (") == count
        assert out.count("signed manifest  holds\n") == count
        assert out.count("this is the key of this computer") == count
        assert out.count(f"says: {source} (") == count
        assert out.count("mark in pixels   ") == count


def test_the_exit_code_is_that_of_the_worst_picture(work, capsys):
    signed = provenance.png(PICTURE, {"Prompt": "x"}, Origin.SENTENCE, certificate.own())
    plain, other = (provenance.png(PICTURE, {"Prompt": x}, Origin.SENTENCE) for x in "xy")
    start, size = 33, len(signed) - len(plain)  # the manifest stands behind the first chunk
    assert signed[:start] + signed[start + size :] == plain
    Path("0-signed.png").write_bytes(signed)
    PICTURE.save("1-bare.jpg")
    Path("2-broken.png").write_bytes(signed[:-80])
    chunk = bytearray(signed[start : start + size])
    chunk[40] ^= 255  # in the first box of the manifest
    chunk[-4:] = zlib.crc32(chunk[4:-4]).to_bytes(4, "big")
    Path("damaged.png").write_bytes(plain[:start] + chunk + plain[start:])
    Path("3-changed.png").write_bytes(other[:start] + signed[start : start + size] + other[start:])
    names = sorted(path.name for path in work.iterdir())
    assert cli.main(["check", names.pop()]) == 3
    assert "does NOT hold: the manifest is damaged" in capsys.readouterr().out
    for code in range(4):
        assert cli.main(["check", names[code]]) == code
        assert cli.main(["check", *names[: code + 1]]) == code
        assert cli.main(["check", *names[code::-1]]) == code
    out, err = capsys.readouterr()
    assert "does NOT hold: the picture was changed after it was signed" in out
    assert "failed   2-broken.png: 2-broken.png is damaged" in err
    assert "layers can be removed" in out


def test_what_is_no_picture_is_a_sentence_and_the_others_are_checked(work, capsys):
    Path("film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    Path("text.jpg").write_text("no picture")
    PICTURE.save("bare.png")
    assert cli.main(["check", "film.mp4", "text.jpg", "gone.png", "coffee", "bare.png"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("bare.png\n  text note        none\n  XMP              none\n")
    lines = err.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["failed", f"{name}:"] for name in ("film.mp4", "text.jpg", "gone.png", "coffee")
    ]


def test_unsigned_leaves_out_only_the_manifest(work, capsys):
    style = ["style", "coffee", "--prompt", "van gogh", "--steps", "2"]
    assert [cli.main(style), cli.main([*style, "--unsigned", "--out", "bare"])] == [0, 0]
    name = "coffee-van-gogh-seed0.png"
    with Image.open(Path("styled", name)) as signed, Image.open(Path("bare", name)) as bare:
        np.testing.assert_array_equal(signed, bare)
        assert signed.text == bare.text and "XML:com.adobe.xmp" in bare.text
    assert b"caBX" in Path("styled", name).read_bytes()
    assert b"c2pa" not in Path("bare", name).read_bytes()
    capsys.readouterr()
    assert cli.main(["check", f"bare/{name}"]) == 0
    assert "signed manifest  none" in capsys.readouterr().out


def test_the_first_signature_says_once_where_the_key_is_and_what_it_is_worth(
    work, capsys, monkeypatch
):
    monkeypatch.setenv("SDKIT_CONFIG", str(work / "config"))
    draw = ["draw", "a photo", "--steps", "2", "--count", "2"]
    assert cli.main([*draw, "--unsigned"]) == 0
    assert not Path("config").exists() and capsys.readouterr().err == ""
    assert cli.main(draw) == 0
    err = capsys.readouterr().err
    assert err.count("Note: ") == 1 and str(work / "config" / "signing.pem") in err
    assert "does not show who made it" in err
    assert cli.main(draw) == 0
    assert capsys.readouterr().err == ""
    # a new key: the old pictures are whole, but no longer from this computer
    shutil.rmtree("config")
    assert cli.main(["check", "drawn"]) == 0
    assert "this kit cannot tell who that is" in capsys.readouterr().out
    assert not Path("config").exists()


@pytest.mark.parametrize("missing", ["c2pa", "cryptography"])
def test_without_a_library_the_picture_is_written_with_the_other_layers(
    work, capsys, monkeypatch, missing
):
    monkeypatch.setenv("SDKIT_CONFIG", str(work / "config"))
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)  # importing it raises ImportError
    assert cli.main(["draw", "a photo", "--steps", "2", "--count", "2"]) == 0
    out, err = capsys.readouterr()
    assert out.count("wrote    ") == 2 and err.count("\n") == 1
    assert err.startswith(f"Note: The pictures are not signed. The package {missing}")
    with Image.open("drawn/a-photo-seed0.png") as image:
        assert "trainedAlgorithmicMedia" in image.text["XML:com.adobe.xmp"]
        assert image.text["Description"].startswith("Made with AI")
    assert cli.main(["check", "drawn"]) == 0


def test_without_the_library_check_says_that_it_cannot_read_the_manifest(work, capsys, monkeypatch):
    data = provenance.png(PICTURE, {}, Origin.SENTENCE, certificate.own())
    Path("a.png").write_bytes(data)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert cli.main(["check", "a.png"]) == 2
    assert "signed manifest  The package c2pa-python, which" in capsys.readouterr().out


def test_a_key_that_cannot_be_kept_does_not_cost_the_picture(work, capsys, monkeypatch):
    Path("file").write_text("")
    monkeypatch.setenv("SDKIT_CONFIG", str(work / "file"))
    assert cli.main(["draw", "a photo", "--steps", "2"]) == 0
    assert "Note: The pictures are not signed. The key for signing" in capsys.readouterr().err
    data = Path("drawn/a-photo-seed0.png").read_bytes()
    assert manifest.read(data, "image/png") is None


def test_a_mark_in_the_pixels_is_what_is_left_of_a_copy(work, capsys):
    style = ["style", "coffee", "--prompt", "van gogh", "--steps", "2", "--size", "256"]
    assert cli.main([*style, "--no-mark"]) == 0  # leaves out only the one that everybody sees
    assert cli.main([*style, "--no-invisible-mark", "--out", "bare"]) == 0
    for folder, code in ("styled", 0), ("bare", 1):
        with Image.open(f"{folder}/coffee-van-gogh-seed0.png") as image:
            image.convert("RGB").save(f"{folder}.jpg", quality=80)
            image.convert("RGB").resize((288, 192)).save(f"{folder}-small.png")
        for name, size in (f"{folder}.jpg", ""), (f"{folder}-small.png", ", at 75% of"):
            capsys.readouterr()
            assert cli.main(["check", name]) == code
            out = capsys.readouterr().out
            assert out.count("none\n") == 3
            if code:
                assert re.search(r"mark in pixels   none \(p = \S+\)\n", out)
            else:
                (p,) = re.findall(r"mark in pixels   found \(p = (\S+)\)" + size, out)
                assert float(p) < 1e-6


def test_layers_of_a_picture_that_is_painted_are_named_and_not_carried_over(work, capsys):
    note = {"Description": "Made with AI: SECRET"}
    Path("ai.png").write_bytes(provenance.png(PICTURE, note, Origin.SENTENCE, certificate.own()))
    PICTURE.save("plain.png")
    watermark.embed(photos.resize(photos.sample("coffee"), 256)).save("marked.png")
    style = ["--prompt", "van gogh", "--steps", "2"]
    assert cli.main(["style", "ai.png", "plain.png", "marked.png", "coffee", *style]) == 0
    err = capsys.readouterr().err
    assert err.count("Note: ") == 2
    assert "Note: ai.png has a text note, XMP, a signed manifest. " in err
    assert "Note: marked.png has a mark in the pixels. " in err
    assert not any(b"SECRET" in path.read_bytes() for path in Path("styled").iterdir())
    assert cli.main(["inpaint", "ai.png", "plain.png", *style]) == 0
    assert capsys.readouterr().err.count("Note: ai.png has") == 1


def test_check_says_what_an_older_manifest_says(work, capsys, monkeypatch):
    found = manifest.Found(None, "key 1", False, "editor 1", (), ("trainedAlgorithmicMedia",))
    monkeypatch.setattr(manifest, "read", lambda *_: found)
    PICTURE.save("a.png")
    assert cli.main(["check", "a.png"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "says: nothing about its source, by editor 1" in lines
    assert "an older manifest in it says: trainedAlgorithmicMedia (made by AI)" in lines
