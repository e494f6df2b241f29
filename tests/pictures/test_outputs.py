"""Results get new names, and no metadata reaches a result."""

import io
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdkit import cli, outputs, photos, provenance, watermark
from sdkit.files import ROOT
from tests import strange

SECRET = strange.SECRET.encode()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>' + SECRET + b"</dc:creator></x:xmpmeta>"


def photo(side=64):
    return Image.fromarray(strange.colours(side, side))


@pytest.fixture
def work(tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDKIT_DEVICE", "cpu")
    return tmp_path


def test_each_option_leaves_out_one_mark(work):
    style = ["style", "coffee", "--prompt", "van gogh", "--steps", "2", "--size", "128"]
    visible, invisible = "--no-mark", "--no-invisible-mark"
    made = []
    for left_out in ([], [visible], [invisible], [visible, invisible]):
        folder = "-".join(["out", *left_out])
        assert cli.main([*style, *left_out, "--out", folder]) == 0
        made.append(Image.open(Path(folder, "coffee-van-gogh-seed0.png")))
    marked, unseen, seen, bare = made
    np.testing.assert_array_equal(marked, watermark.embed(provenance.mark(bare)))
    np.testing.assert_array_equal(unseen, watermark.embed(bare))
    np.testing.assert_array_equal(seen, provenance.mark(bare))
    assert len({image.tobytes() for image in made}) == 4
    assert all(image.text == bare.text for image in made)
    assert "Made with AI" in bare.text["Description"]


def test_eight_runs_into_one_folder_save_all_their_pictures(tmp_path):
    start, paths = threading.Barrier(8), []

    def run(value):
        start.wait()
        for _ in range(3):
            paths.append(
                (outputs.save(Image.new("RGB", (8, 8), (value,) * 3), tmp_path, "x", {}), value)
            )

    runs = [threading.Thread(target=run, args=[k]) for k in range(8)]
    [thread.start() for thread in runs]
    [thread.join() for thread in runs]
    assert sorted(path for path, _ in paths) == sorted(tmp_path.iterdir()) and len(paths) == 24
    for path, value in paths:
        with Image.open(path) as image:
            assert image.getpixel((0, 0)) == (value,) * 3


def test_overwrite_replaces_old_files_but_none_of_this_run(tmp_path):
    white, black = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8))
    (tmp_path / "precious").write_text("whole")
    (tmp_path / "x.png").symlink_to(tmp_path / "precious")
    first = outputs.save(white, tmp_path, "x", {}, replace=True)
    second = outputs.save(black, tmp_path, "x", {}, replace=True, written=[first])
    assert (first.name, second.name) == ("x.png", "x-2.png")
    assert (
        tmp_path / "precious"
    ).read_text() == "whole"  # the link is replaced, not the file behind it


def test_a_killed_run_leaves_only_whole_pictures(tmp_path):
    """A process saves pictures again and again, and is killed. The last whole picture is there."""
    code = (
        "import sys\nfrom PIL import Image\nfrom sdkit import outputs\nprint('go', flush=True)\n"
        "while True: outputs.save(Image.effect_noise((300, 300), 9).convert('RGB'), "
        "sys.argv[1], 'x', {}, True)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE
    )
    running.stdout.readline()
    while not (tmp_path / "x.png").exists():
        assert running.poll() is None
    running.kill()
    running.communicate()
    with Image.open(tmp_path / "x.png") as image:
        image.load()
    assert [p for p in tmp_path.iterdir() if not p.name.endswith(".part")] == [tmp_path / "x.png"]


def test_the_next_run_deletes_unfinished_files_of_a_killed_run(work):
    import os

    (work / "styled").mkdir()
    old, new = (work / "styled" / f".{digit * 16}.part" for digit in "ab")
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    assert cli.main(["style", "gone.jpg", "--prompt", "van gogh"]) == 2
    assert not old.exists() and new.exists()


def jpeg_segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def box(kind, data):
    return struct.pack(">I", len(data) + 8) + kind + data


def encoded(image, kind, **keywords):
    file = io.BytesIO()
    image.save(file, kind, **keywords)
    return file.getvalue()


def with_secrets(side=64):
    """{name: bytes} of photographs with SECRET wherever a format has room for it."""
    image = photo(side)
    exif = strange.exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + SECRET  # UserComment
    exif.get_ifd(0x8769)[0x927C] = SECRET  # MakerNote
    thumbnail = encoded(image.resize((32, 32)), "JPEG", comment=SECRET)
    profile = strange._profile().replace(b"sRGB", SECRET[:4]) + SECRET
    jpeg = encoded(image, "JPEG", exif=exif, comment=SECRET, icc_profile=profile, quality=95)
    segments = [
        jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + SECRET),
        jpeg_segment(
            0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(SECRET)) + SECRET
        ),
        jpeg_segment(0xE0, b"JFXX\0\x10" + thumbnail),
        jpeg_segment(0xEC, b"Ducky" + SECRET),
        jpeg_segment(0xEF, SECRET),
        jpeg_segment(0xFE, SECRET),
    ]
    png = encoded(image, "PNG", exif=exif, icc_profile=profile)
    chunks = [
        png_chunk(b"tEXt", b"Author\0" + SECRET),
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(SECRET)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        png_chunk(b"prVt", SECRET),
    ]
    hidden = np.dstack([np.asarray(image), np.zeros((side, side), np.uint8)])
    gif = encoded(image, "GIF")
    cut = 13 + 3 * 2 ** ((gif[10] & 7) + 1)  # behind the palette
    tags = {
        270: strange.SECRET,
        315: strange.SECRET,
        700: XMP,
        33723: SECRET,
        34377: SECRET,
        37724: SECRET,
    }
    return {
        "segments.jpg": jpeg[:2] + b"".join(segments) + jpeg[2:] + SECRET,
        "two.mpo": encoded(image, "MPO", save_all=True, append_images=[photo(32)], exif=exif)
        + thumbnail,
        "chunks.png": png[:33] + b"".join(chunks) + png[33:] + SECRET,
        "hidden.png": encoded(Image.fromarray(hidden), "PNG", exif=exif),
        "all.webp": encoded(image, "WEBP", exif=exif, xmp=XMP, icc_profile=profile),
        "tags.tif": encoded(image, "TIFF", tiffinfo=tags, icc_profile=profile),
        "comment.gif": encoded(
            image, "GIF", comment=SECRET, save_all=True, append_images=[photo(64)] * 2
        ),
        "comment.jp2": encoded(image, "JPEG2000", comment=SECRET),
        "boxes.jp2": (
            encoded(image, "JPEG2000") + box(b"uuid", bytes(range(16)) + XMP) + box(b"xml ", XMP)
        ),
        "xmp.gif": gif[:cut]
        + b"!\xff\x0bXMP DataXMP"
        + XMP
        + bytes([1, *range(255, -1, -1), 0])
        + gif[cut:],
        "frames.png": encoded(image, "PNG", save_all=True, append_images=[photo(64)] * 2, exif=exif)
        + SECRET,
        "frames.webp": encoded(
            image, "WEBP", save_all=True, append_images=[photo(64)] * 2, exif=exif, xmp=XMP
        ),
        "pages.tif": encoded(
            image, "TIFF", save_all=True, append_images=[photo(32)], tiffinfo=tags
        ),
        "id.tga": encoded(image, "TGA", id_section=SECRET) + SECRET,
        **(
            {"all.avif": encoded(image, "AVIF", exif=exif, xmp=XMP, icc_profile=profile)}
            if "AVIF" in Image.SAVE
            else {}
        ),
        "comment.ppm": b"P6 # " + SECRET + b"\n64 64 255\n" + image.tobytes(),
        "tail.bmp": encoded(image, "BMP") + SECRET,
    }


NOTES = {
    "Software",
    "Description",
    "Model",
    "Prompt",
    "Prompt before",
    "Kept",
    "Negative prompt",
    "Strength",
    "Guidance scale",
    "Steps",
    "Seed",
    "Size",
    "Noise level",
    "XML:com.adobe.xmp",
}


def leaks(path):
    """What a PNG file holds beside its pixels, its notes and its manifest (caBX), as a list.

    The list has the names of other chunks, texts that are not part of the note, b"secret" if the
    file holds `SECRET`, and b"more" if anything follows the last chunk.
    """
    data, found, place = path.read_bytes(), [], 8
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        if kind == b"zTXt":
            body += zlib.decompress(body.split(b"\0", 1)[1][1:])
        if kind not in (b"IHDR", b"IDAT", b"IEND", b"tEXt", b"iTXt", b"caBX"):
            found.append(kind)
        if kind in (b"tEXt", b"iTXt") and body.split(b"\0")[0].decode() not in NOTES:
            found.append(body)
        place += 12 + size
    return found + [b"secret"] * (SECRET in data) + [b"more"] * (place != len(data))


def test_results_of_every_verb_contain_only_pixels_of_the_photo(
    work, tiny_upscaler, monkeypatch, capfd
):
    from sdkit import upscale

    monkeypatch.setattr(
        upscale,
        "upscale",
        lambda pipe, images, **_: [photos.resize(image, 256) for image in images],
    )
    (work / "in").mkdir()
    secrets = with_secrets()
    for name, data in secrets.items():
        (work / "in" / name).write_bytes(data)
        assert SECRET in data or name == "hidden.png"
    Image.new("L", (64, 64), 255).save("mask.png")
    few = ["--prompt", "van gogh", "--steps", "2", "--out", "out"]
    assert cli.main(["style", "in", *few, "--grid"]) == 0
    assert cli.main(["upscale", "in", "--out", "out", "--steps", "3"]) == 0
    for name in secrets:
        assert cli.main(["inpaint", f"in/{name}", "mask.png", *few]) == 0
        edit = ["--from", "a photo", "--to", "van gogh", *few[2:]]
        assert cli.main(["edit", f"in/{name}", *edit]) == 0
    assert cli.main(["draw", "a photo", "--steps", "2", "--out", "out"]) == 0
    made = sorted((work / "out").iterdir())
    assert len(made) == 4 * len(secrets) - (-len(secrets) // 4) + 1  # sheets of four, one drawing
    assert {path.name: leaks(path) for path in made if leaks(path)} == {}
    assert all(b"caBX" in path.read_bytes() for path in made)
    for path in made:
        with Image.open(path) as image:
            assert image.text["Description"].startswith("Made with AI") and image.text[
                "Software"
            ].startswith("sdkit")
    assert strange.SECRET not in "".join(capfd.readouterr())


def test_hidden_colours_and_later_frames_do_not_reach_a_result():
    """What was made transparent is gone, and not only invisible: white is all there is."""
    hidden = Image.open(io.BytesIO(with_secrets()["hidden.png"]))
    assert np.asarray(photos.open_photo(hidden)).min() == 255
    for image in (Image.new("L", (9, 9), 18), Image.fromarray(np.full((9, 9), 0x1234, np.uint16))):
        file = encoded(image, "PNG")
        shade = struct.pack(">H", np.asarray(image)[0, 0])
        keyed = Image.open(io.BytesIO(file[:33] + png_chunk(b"tRNS", shade) + file[33:]))
        assert np.asarray(photos.open_photo(keyed)).min() == 255


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a clone")
def test_git_ignores_photographs():
    paths = [
        "private/me.jpg",
        "notebooks/private/me.jpg",
        "styled/me.png",
        "upscaled/me.png",
        "inpainted/me.png",
        "edited/me.png",
        "notebooks/styled/me.png",
        "notebooks/.ipynb_checkpoints/x.ipynb",
        "styled/.0123.part",
    ]
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == paths
    assert (
        subprocess.run(
            ["git", "ls-files", "private", "styled"], cwd=ROOT, capture_output=True
        ).stdout
        == b""
    )
