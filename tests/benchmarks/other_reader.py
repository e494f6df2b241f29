"""Does another program read our manifests, and does it see what was changed?

    npm install --prefix FOLDER @trustnxt/c2pa-ts
    python -m tests.benchmarks.other_reader FOLDER

The kit signs with c2pa-python, and reads with it, too. c2pa-ts is a program of other people, in
another language, and shares no code with it. It gets two pictures as the kit signs them, and three
that were changed afterwards. For each, this prints what c2pa-ts says. The exit code is 1 if it
calls an unchanged picture changed, or the other way round. c2pa-ts does not ask who signed.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from sdkit import certificate, manifest, photos, provenance, watermark

READER = """
import { readFileSync } from 'node:fs';
import { PNG } from '@trustnxt/c2pa-ts/asset';
import { SuperBox } from '@trustnxt/c2pa-ts/jumbf';
import { ManifestStore, ValidationResult } from '@trustnxt/c2pa-ts/manifest';
const picture = new PNG(readFileSync(0));
let result;
try {
  const box = SuperBox.fromBuffer(await picture.getManifestJUMBF());
  result = await ManifestStore.read(box).validate(picture);
} catch (error) {
  result = ValidationResult.fromError(error);
}
const faults = result.statusEntries.filter(one => !one.success).map(one => one.code);
console.log(result.isValid ? 'valid' : 'not valid: ' + faults.join(', '));
"""


def parts(png):
    """The chunks of a PNG: name, bytes."""
    at = 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at:end]
        at = end


def with_pixels(png, image):
    """The PNG with other pixels, and all else as it was."""
    file = io.BytesIO()
    image.save(file, "PNG")
    pixels = [part for name, part in parts(file.getvalue()) if name == b"IDAT"]
    kept = [part for name, part in parts(png) if name != b"IDAT"]
    return png[:8] + b"".join([*kept[:-1], *pixels, kept[-1]])


def pictures():
    """What was done, the file, and whether it is unchanged."""
    signer = certificate.make()
    cup = watermark.embed(photos.resize(photos.sample("coffee"), 512))
    note = {"Description": "Made with AI: ä 日本", "Prompt": "van gogh", "Model": "mini-sd"}
    for origin in manifest.Origin:
        png = provenance.png(cup, note, origin, signer)
        yield f"signed, {origin}", png, True
    levels = np.array(cup)
    levels[100, 200, 0] ^= 1
    yield "one pixel changed", with_pixels(png, Image.fromarray(levels)), False
    yield "one word of the manifest changed", png.replace(b"mini-sd", b"maxi-sd", 1), False
    yield "another picture in its place", with_pixels(png, cup.rotate(180)), False


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wrong = 0
    with tempfile.NamedTemporaryFile("w", suffix=".mjs", dir=sys.argv[1], delete=False) as script:
        script.write(READER)
    try:
        for name, png, unchanged in pictures():
            said = subprocess.run(["node", script.name], input=png, capture_output=True, check=True)
            sentence = said.stdout.decode().strip()
            wrong += (sentence == "valid") != unchanged
            print(f"{name:<52}{sentence}", flush=True)
    finally:
        Path(script.name).unlink()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
