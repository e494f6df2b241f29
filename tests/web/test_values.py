"""The page computes in JavaScript what the kit computes in Python: noise, tokens, steps."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from PIL import Image

from sdkit import generate, models, upscale
from sdkit.diffusion import latents
from sdkit.files import ROOT
from sdkit.pictures import photos
from sdkit.web import host, values
from sdkit.web.fidelity import as_canvas

WEB = ROOT / "web"


def new_enough():
    """Is there an npm, and a node of version 20 or newer?"""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return int(said.strip().removeprefix("v").split(".")[0]) >= 20


node = pytest.mark.skipif(not new_enough(), reason="node 20 or newer is not installed")
packages = pytest.mark.skipif(
    not (WEB / "node_modules").is_dir(), reason="run `npm ci` in the folder web first"
)


def test_the_numbers_for_the_page_are_up_to_date():
    """If this fails, run: python -m sdkit.web values"""
    stored = json.loads((WEB / "tests" / "values.json").read_text("utf-8"))
    fresh = values.values()
    assert stored.keys() == fresh.keys()
    for name in ("tokens", "resized", "phrases", "sentences", "style_scales"):
        assert stored[name] == json.loads(json.dumps(fresh[name]))
    for name in ("noise", "runs", "scales"):
        np.testing.assert_allclose(numbers(stored[name]), numbers(fresh[name]), atol=2e-4)


LARGEST = int(re.search(r"LARGEST = (\d+);", (WEB / "src" / "patches.js").read_text()).group(1))


def numbers(value):
    """All numbers in nested lists and dictionaries, in order."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value) if not isinstance(value[key], str)]
    return [n for v in value for n in numbers(v)] if isinstance(value, list) else [value]


@node
def test_the_page_computes_the_same_numbers():
    command = json.loads((WEB / "package.json").read_text("utf-8"))["scripts"]["test"].split()
    assert command[0] == "node"  # npm itself needs long to start on a busy machine
    done = subprocess.run(
        [shutil.which("node"), *command[1:]],
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_page_server_and_service_worker_have_the_same_policy():
    """It allows requests to the page's own host only."""
    policy = host.HEADERS["Content-Security-Policy"]
    assert f'content="{policy}"' in (WEB / "index.html").read_text("utf-8")
    worker = (WEB / "src" / "offline.js").read_text("utf-8")
    assert policy in re.sub(r'" \+\s*"', "", worker)
    sources = {word for rule in policy.split(";") for word in rule.split()[1:]}
    assert sources == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:", "data:"}


@pytest.fixture(scope="module", params=["float32", "ships"])
def exported(tmp_path_factory, request):
    """A folder with the networks, exact and as the page gets them."""
    pytest.importorskip("onnx", reason="the export needs the package onnx")
    from sdkit.web.export import export

    folder = tmp_path_factory.mktemp("model")
    export(folder, exact=request.param == "float32")
    return folder


def painted_by_page(folder, tmp_path, sides, **wish):
    done = subprocess.run(
        ["node", "tools/paint.js", str(folder), str(tmp_path / "made")],
        cwd=WEB,
        input=json.dumps(wish),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    width, height = sides
    made = np.fromfile(tmp_path / "made", np.uint8).reshape(height, width, 4)
    assert (made[..., 3] == 255).all()
    return made[..., :3]


def difference(made, image):
    """The mean difference of two pictures, as a share of the range."""
    return np.abs(made.astype(float) - np.asarray(image, float)).mean() / 255


@node
@packages
def test_the_page_draws_the_same_picture(exported, tmp_path):
    model = models.resolve("mini-sd")
    settings = model.settings("a red house by the sea", "draw", num_inference_steps=4, seed=3)
    (image,) = generate.draw(model.pipeline("text2img", "cpu", torch.float32), settings)
    wish = {"prompt": settings.prompt, "seed": 3, "guidance": settings.guidance_scale, "steps": 4}
    made = painted_by_page(exported, tmp_path, image.size, size=settings.size, **wish)
    assert difference(made, image) < 1e-2
    assert difference(made, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) > 2e-2


@node
@packages
def test_the_page_paints_the_same_picture_from_a_photograph(exported, tmp_path):
    model = models.resolve("mini-sd")
    photo = photos.resize(photos.sample("astronaut").crop((100, 0, 400, 200)), 64, 16)
    settings = model.settings("van gogh", num_inference_steps=6, strength=0.5, size=64, seed=1)
    pipe = model.pipeline("img2img", "cpu", torch.float32)
    (image,) = generate.style(pipe, [photo], settings)
    wish = {"prompt": "van gogh", "seed": 1, "guidance": settings.guidance_scale, "steps": 6}
    made = painted_by_page(
        exported, tmp_path, image.size, strength=0.5, picture=as_canvas(photo), **wish
    )
    assert difference(made, image) < 1e-2
    assert difference(made, photo) > 1e-2


@node
@packages
def test_the_page_enlarges_the_same_picture(exported, tmp_path):
    small = photos.resize(photos.sample("astronaut"), 32, 8).crop((0, 0, 32, 24))
    shared = models.resolve("mini-sd")
    pipe = models.resolve("mini-upscaler").upscaler(shared, "cpu", torch.float32)
    (large,) = upscale.upscale(pipe, [small], seed=2, drawn=True)
    made = painted_by_page(
        exported, tmp_path, large.size, enlarge=True, seed=2, picture=as_canvas(small)
    )
    assert difference(made, large) < 1e-2
    # nearer than the picture that is only scaled
    assert difference(made, large) < difference(np.asarray(small.resize(large.size)), large) / 3


@node
@packages
def test_the_page_decodes_a_large_picture_patch_by_patch(exported, tmp_path):
    """Within 1 of 255 levels on average of what the VAE decodes at once."""
    vae = (
        models.resolve("mini-upscaler")
        .upscaler(models.resolve("mini-sd"), "cpu", torch.float32)
        .vae
    )
    photo = photos.resize(photos.sample("astronaut"), 416, 16)
    code = latents.encode(vae, photos.to_tensor(photo))
    height, width = code.shape[2:]
    assert height * width > LARGEST
    given = {"numbers": code.flatten().tolist(), "height": height, "width": width}
    made = painted_by_page(exported, tmp_path, photo.size, latents=given)
    expected = photos.to_image(latents.decode(vae, code))
    assert 0 < difference(made, expected) < 1 / 255
    assert np.abs(made.astype(float) - np.asarray(expected, float)).max() < 12


@node
@packages
@pytest.mark.parametrize("wrong", [0, 30])
def test_the_page_finds_out_if_a_network_computes_wrongly(exported, tmp_path, wrong):
    """The page tests a graphics chip with one small picture."""
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    told = json.loads((folder / "model.json").read_text("utf-8"))
    told["check"]["after"] = [abs(level - wrong) for level in told["check"]["after"]]
    (folder / "model.json").write_text(json.dumps(told), "utf-8")
    done = subprocess.run(
        ["node", "tools/paint.js", str(folder), str(tmp_path / "none")],
        cwd=WEB,
        input='{"check": true}',
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert (done.returncode != 0) == bool(wrong)
    assert ("picture of the check is wrong" in done.stderr) == bool(wrong)
