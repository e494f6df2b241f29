"""The signed manifest: the library c2pa reads it by itself, and whatever is changed shows."""

import base64
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import threading
import zlib

import c2pa
import numpy as np
import pytest
from cryptography import x509
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdkit import __version__, certificate, layers, manifest, provenance
from sdkit.errors import SdkitError
from sdkit.files import ROOT
from sdkit.pictures.manifest import Origin
from tests import strange

NOTE = {
    "Software": "sdkit 0",
    "Description": "Made with AI: a photograph restyled",
    "Model": "mini-sd",
    "Prompt": "van gogh, für Größe ★",
    "Seed": "3",
}
PICTURE = Image.fromarray(strange.colours(96, 64))
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A configuration folder that is not there yet."""
    monkeypatch.setenv("SDKIT_CONFIG", str(tmp_path / "new" / "sdkit"))
    return tmp_path / "new" / "sdkit"


def signed(origin=Origin.PICTURE, image=PICTURE, note=NOTE):
    return provenance.png(image, note, origin, certificate.own())


def report(data, kind="image/png", **settings):
    """What c2pa itself says about a file."""
    with c2pa.Reader(kind, io.BytesIO(data), context=c2pa.Context.from_dict(settings)) as reader:
        return json.loads(reader.json())


def chunks(data):
    """Yield (kind, body, place in the file) for each chunk of a PNG."""
    place = 8
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, data[place + 8 : place + 8 + size], place
        place += 12 + size


def with_pixels(data, image):
    """The file with the pixels of another picture; all else stays."""
    body = b"".join(body for kind, body, _ in chunks(provenance.png(image, {})) if kind == b"IDAT")
    out, done = data[:8], False
    for kind, own, _ in chunks(data):
        if kind == b"IDAT":
            own, done = (b"" if done else body), True
        crc = struct.pack(">I", zlib.crc32(kind + own))
        out += struct.pack(">I", len(own)) + kind + own + crc if own or kind != b"IDAT" else b""
    return out


@pytest.mark.parametrize(
    "origin, actions",
    [
        (Origin.SENTENCE, ["c2pa.created"]),
        (Origin.PICTURE, ["c2pa.created", "c2pa.edited"]),
    ],
)
def test_c2pa_finds_a_valid_manifest_with_source_model_and_settings(origin, actions):
    told = report(signed(origin), verify={"remote_manifest_fetch": False})
    assert told["validation_state"] == "Valid"
    (only,) = told["manifests"].values()
    assert only["claim_generator_info"][0]["name"] == "sdkit"
    assert only["claim_generator_info"][0]["version"] == __version__
    statements = {each["label"]: each["data"] for each in only["assertions"]}
    assert statements.keys() == {"c2pa.actions.v2", "sdkit.settings"}
    assert statements["sdkit.settings"] == NOTE
    done = statements["c2pa.actions.v2"]["actions"]
    assert [action["action"] for action in done] == actions
    assert {action["digitalSourceType"] for action in done} == {IPTC + origin.value}
    # no preview, no name, no time, no other picture
    assert not {"thumbnail", "title", "ingredients"} & only.keys()
    assert "time" not in only["signature_info"]


def test_c2pa_trusts_the_signature_if_the_certificate_is_given_to_it():
    signer = certificate.own()
    told = report(signed(), trust={"user_anchors": signer.issuer})
    assert told["validation_state"] == "Trusted"
    told = report(signed(), trust={"user_anchors": certificate.make().issuer})
    assert told["validation_state"] == "Valid"


def test_the_signed_sum_is_that_of_all_bytes_outside_the_manifest():
    data = signed()
    with c2pa.Reader("image/png", io.BytesIO(data)) as reader:
        (only,) = json.loads(reader.detailed_json())["manifests"].values()
    said = only["assertion_store"]["c2pa.hash.data"]
    (((start, size),),) = [[(hole["start"], hole["length"]) for hole in said["exclusions"]]]
    ((place, length),) = [(at, len(b) + 12) for kind, b, at in chunks(data) if kind == b"caBX"]
    assert (start, size) == (place, length)
    rest = data[:start] + data[start + size :]
    assert base64.b64decode(said["hash"]) == hashlib.sha256(rest).digest()
    # and this rest is the file that would have been written without a signature
    assert rest == provenance.png(PICTURE, NOTE, Origin.PICTURE)


def test_a_picture_keeps_its_pixels_and_its_texts():
    with Image.open(io.BytesIO(signed())) as image:
        np.testing.assert_array_equal(image, PICTURE)
        image.text.pop("XML:com.adobe.xmp")
        assert image.text == NOTE


def test_one_changed_pixel_breaks_the_signature():
    data, levels = signed(), np.array(PICTURE)
    same = with_pixels(data, PICTURE)
    assert manifest.read(same, "image/png").fault is None
    levels[20, 30, 1] ^= 1
    changed = with_pixels(data, Image.fromarray(levels))
    with Image.open(io.BytesIO(changed)) as image:
        assert (np.asarray(image) != np.asarray(PICTURE)).sum() == 1
    found = manifest.read(changed, "image/png", certificate.own())
    assert found.fault == "the picture was changed after it was signed"
    assert report(changed)["validation_state"] == "Invalid"


def test_a_changed_word_in_note_manifest_or_xmp_breaks_the_signature():
    data = signed()
    for old, new in (b"mini-sd", b"maxi-sd"), (b"sdkit 0", b"sdkit 1"), (IPTC.encode(), None):
        places = [k for k in range(len(data)) if data.startswith(old, k)]
        assert len(places) >= 2  # in the manifest and in a text of the file
        for place in places:
            changed = bytearray(data)
            changed[place : place + len(old)] = new or old.upper()
            found = manifest.read(bytes(changed), "image/png")
            assert found.fault and not found.own, (old, place)


def test_a_manifest_moved_to_another_picture_does_not_hold():
    data = signed()
    other = provenance.png(Image.fromarray(strange.colours(64, 96)), NOTE, Origin.PICTURE)
    ((place, body),) = [(at, body) for kind, body, at in chunks(data) if kind == b"caBX"]
    moved = other[:place] + data[place : place + len(body) + 12] + other[place:]
    assert manifest.read(moved, "image/png").fault == "the picture was changed after it was signed"


def test_a_signature_is_own_only_with_the_key_of_this_computer(monkeypatch):
    own, other = certificate.own(), certificate.make()
    data = provenance.png(PICTURE, NOTE, Origin.PICTURE, other)
    mine, foreign = (manifest.read(d, "image/png", own) for d in (signed(), data))
    assert (mine.fault, mine.own, foreign.fault, foreign.own) == (None, True, None, False)
    assert mine.signer != foreign.signer
    # the same words in the certificate, but another key
    fake = certificate.Signer(other.key, own.chain)
    with pytest.raises(SdkitError, match="cannot be signed"):
        provenance.png(PICTURE, NOTE, Origin.PICTURE, fake)


def test_a_jpeg_signed_by_another_program_is_read():
    signer, file, out = certificate.make(), io.BytesIO(), io.BytesIO()
    PICTURE.save(file, "JPEG")
    action = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}
    content = {
        "claim_generator_info": [{"name": "A camera", "version": "7"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    info = c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None)
    with c2pa.Builder(content) as builder, c2pa.Signer.from_info(info) as made:
        builder.sign(made, "image/jpeg", file, out)
    found = manifest.read(out.getvalue(), "image/jpeg", certificate.own())
    assert (found.fault, found.own, found.program) == (None, False, "A camera 7")
    assert found.sources == ("digitalCapture",)
    cut = out.getvalue().replace(b"A camera", b"A kamera")
    assert manifest.read(cut, "image/jpeg").fault


def test_a_file_without_a_manifest_has_none_and_a_broken_one_does_not_hold():
    assert manifest.read(provenance.png(PICTURE, NOTE, Origin.PICTURE), "image/png") is None
    data = signed()
    ((place, body),) = [(at, body) for kind, body, at in chunks(data) if kind == b"caBX"]
    short = body[: len(body) // 2]
    crc = struct.pack(">I", zlib.crc32(b"caBX" + short))
    chunk = struct.pack(">I", len(short)) + b"caBX" + short + crc
    cut = data[:place] + chunk + data[place + len(body) + 12 :]
    assert manifest.read(cut, "image/png") == manifest.DAMAGED


def test_nothing_of_the_photograph_is_in_any_layer(tmp_path):
    (tmp_path / "in").mkdir()
    strange.write_all(tmp_path / "in")
    with Image.open(tmp_path / "in" / "commented.jpg") as image:
        image.info["exif"] = strange.exif().tobytes()
        data = signed(image=image)
    told = report(data)
    assert strange.SECRET.encode() not in data and strange.SECRET not in json.dumps(told)
    kinds = {kind for kind, _, _ in chunks(data)}
    assert kinds == {b"IHDR", b"caBX", b"tEXt", b"iTXt", b"IDAT", b"IEND"}
    for word in (b"Exif", b"GPS", b"thumbnail", b"claim.thumbnail", b"\xff\xd8\xff"):
        assert word not in next(body for kind, body, _ in chunks(data) if kind == b"caBX")


def test_the_key_is_made_once_and_only_its_owner_may_read_it(config):
    assert certificate.find() is None and not config.exists()
    first, second = certificate.own(), certificate.own()
    assert (first.new, second.new) == (True, False) and first.key == second.key
    assert certificate.find() == second
    if os.name == "posix":
        assert (config / "signing.pem").stat().st_mode & 0o777 == 0o600
        assert config.stat().st_mode & 0o777 == 0o700
    # the certificate names nobody; it and the key are all that is kept
    assert [p.name for p in config.iterdir()] == ["signing.pem"]
    leaf, issuer = x509.load_pem_x509_certificates(first.chain)
    leaf.verify_directly_issued_by(issuer)
    names = {name.value for name in [*leaf.subject, *leaf.issuer]}
    number = leaf.subject.rfc4514_string()[len("CN=key ") :].partition(",")[0]
    assert names == {"sdkit, self-signed", f"key {number}", f"issuer of {number}"}
    assert leaf.public_key() != issuer.public_key()


def test_eight_runs_at_the_same_time_use_one_key(config):
    start, keys = threading.Barrier(8), []

    def run():
        start.wait()
        keys.append(certificate.own().key)

    runs = [threading.Thread(target=run) for _ in range(8)]
    [thread.start() for thread in runs]
    [thread.join() for thread in runs]
    assert len(keys) == 8 and set(keys) == {certificate.own().key}


def test_a_damaged_key_or_a_closed_folder_is_a_sentence(config, monkeypatch):
    config.parent.mkdir()
    config.write_text("a file where the folder should be")
    with pytest.raises(SdkitError, match="SDKIT_CONFIG"):
        certificate.own()
    config.unlink()
    config.mkdir()
    (config / "signing.pem").write_text("nonsense")
    with pytest.raises(SdkitError, match="is damaged. Delete this file"):
        certificate.own()
    assert certificate.find() is None


def test_the_libraries_are_imported_only_to_sign_and_to_read_a_signature():
    code = (
        "import io, sys\nfrom sdkit import cli, verbs, provenance, layers, certificate, manifest\n"
        "from PIL import Image\nprovenance.png(Image.new('RGB', (9, 9)), {}, 'compositeX')\n"
        "manifest.read(b'nothing', 'image/png')\n"
        "print([m for m in ('c2pa', 'cryptography', 'platformdirs') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_xmp_names_the_source_and_pillow_reads_it(tmp_path):
    for origin in Origin:
        with Image.open(io.BytesIO(provenance.png(PICTURE, NOTE, origin))) as image:
            told = image.getxmp()["xmpmeta"]["RDF"]["Description"]
        assert told["DigitalSourceType"] == IPTC + origin.value
        assert told["CreatorTool"] == f"sdkit {__version__}"
    with Image.open(io.BytesIO(provenance.png(PICTURE, NOTE))) as image:
        assert image.getxmp() == {}


AS_ELEMENT = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<Iptc4xmpExt:DigitalSourceType>{}</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF>"
    "</x:xmpmeta>"
)
EVIL = '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY c "&b;&b;">]>' + AS_ELEMENT.format("&c;")


@pytest.mark.parametrize(
    "keywords, text, xmp",
    [
        ({"xmp": AS_ELEMENT.format(f"{IPTC}digitalCapture").encode()}, None, "digitalCapture"),
        ({"xmp": AS_ELEMENT.format("humanEdits").encode()}, None, "humanEdits"),
        ({"xmp": EVIL.encode()}, None, None),
        ({"xmp": b"<not xml"}, None, None),
        ({"comment": b"a dog\nSteps: 20, Sampler: Euler"}, "a dog Steps: 20, Sampler: Euler", None),
        ({"comment": b"my holidays"}, None, None),
        ({}, None, None),
    ],
)
def test_layers_of_foreign_jpegs(tmp_path, keywords, text, xmp):
    PICTURE.save(tmp_path / "a.jpg", **keywords)
    found = layers.read(tmp_path / "a.jpg")
    assert (found.text, found.xmp, found.signed, found.unread) == (text, xmp, None, None)
    assert found.names == ["a text note"] * bool(text) + ["XMP"] * bool(xmp)


@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be"])
def test_a_text_in_the_exif_of_a_jpeg_is_read(tmp_path, code):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "cat\nSteps: 5, Sampler: DDIM".encode(code)
    PICTURE.save(tmp_path / "a.jpg", exif=exif)
    assert layers.read(tmp_path / "a.jpg").text == "cat Steps: 5, Sampler: DDIM"


def test_a_manifest_that_lies_elsewhere_is_not_fetched(tmp_path):
    xmp = AS_ELEMENT.replace(
        "<rdf:Description ",
        '<rdf:Description xmlns:dcterms="http://purl.org/dc/terms/" '
        'dcterms:provenance="https://example.org/manifest" ',
    )
    PICTURE.save(tmp_path / "a.jpg", xmp=xmp.format(f"{IPTC}digitalCapture").encode())
    found = layers.read(tmp_path / "a.jpg")
    assert found.names == ["XMP", "a signed manifest"] and found.signed is None
    assert found.unread.startswith("The manifest lies at https://example.org/manifest, and")


def edited(data, signer):
    """The picture with a manifest of another program around the one that it has."""
    said = {"claim_generator_info": [{"name": "editor", "version": "1"}], "assertions": []}
    info = c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None)
    made = io.BytesIO()
    with c2pa.Signer.from_info(info) as key, c2pa.Builder(json.dumps(said)) as builder:
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        builder.sign(key, "image/png", io.BytesIO(data), made)
    return made.getvalue()


def test_a_picture_that_another_program_changed_is_not_signed_by_this_computer():
    """Our manifest inside of that one is signed with our key, and this is not the same."""
    own = certificate.make()
    ours = provenance.png(PICTURE, {"Description": "x"}, Origin.SENTENCE, own)
    found = manifest.read(edited(ours, certificate.make()), "image/png", own)
    assert (found.fault, found.own, found.program) == (None, False, "editor 1")
    assert (found.sources, found.earlier) == ((), ("trainedAlgorithmicMedia",))
    ours = manifest.read(ours, "image/png", own)
    assert (ours.own, ours.sources, ours.earlier) == (True, ("trainedAlgorithmicMedia",), ())


NOTES = {
    "ComfyUI, without its workflow": {"prompt": '{"3": {"class_type": "KSampler"}}'},
    "NovelAI": {"Title": "AI generated image", "Software": "NovelAI"},
    "NovelAI, only its name": {"Software": "NovelAI"},
    "Midjourney": {"Description": "a cat Job ID: 0a1b2c3d-1111-2222-3333-444455556666"},
    "Fooocus": {"fooocus_scheme": "fooocus"},
    "Easy Diffusion": {"use_stable_diffusion_model": "sd-v1-4"},
    "Google": {"Credit": "Made with Google AI"},
}


@pytest.mark.parametrize("program", NOTES)
def test_notes_of_other_programs_are_known(tmp_path, program):
    info = PngInfo()
    for key, text in NOTES[program].items():
        info.add_text(key, text)
    PICTURE.save(tmp_path / "a.png", pnginfo=info)
    assert layers.read(tmp_path / "a.png").text == next(iter(NOTES[program].values()))


def test_a_note_in_the_place_of_the_camera_is_known_and_a_camera_is_none(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Maker", "Camera 5", "Editor 3"
    PICTURE.save(tmp_path / "a.webp", exif=exif)
    assert layers.read(tmp_path / "a.webp").text is None
    exif[0x0110] = 'prompt:{"3":{"class_type":"KSampler"}}'
    PICTURE.save(tmp_path / "a.webp", exif=exif)
    assert layers.read(tmp_path / "a.webp").text == exif[0x0110]
