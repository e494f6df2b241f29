"""How far are the page's pictures from those of PyTorch, for the same wish and the same seed?

The page's side is its own code with the files that ship, run by node with the runtime that the
browser uses. PyTorch's side is the kit with its weights in float32. Sentences are combinations that
no training saw, photographs are validation pictures.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from sdkit import generate, models, postcards, upscale
from sdkit.errors import SdkitError
from sdkit.evaluate import judges, measure, metrics
from sdkit.pictures import art, photos
from sdkit.web import host

SIZE, MULTIPLE = 256, 16  # px: the short side of a photograph on the page, and its steps


def measure_page(art_dir: Path, count: int, model_dir: Path = host.MODEL) -> dict[str, Any]:
    """Figures of the networks in `model_dir`, beside PyTorch.

    art_dir : the folder with the training pictures, for the photographs.
    count : how many sentences, photographs and enlargements, each.

    "psnr" : in dB, [mean, worst], of the page's picture from that of PyTorch. "PyTorch with another
    seed" is the same for two pictures that PyTorch made, and tells how large such figures are for
    pictures that have only the wish in common.
    "correct" : as in `measure.measure_drawing`. "style score" : as in `measure.measure_style`.

    Raises `SdkitError` if node, the networks or the photographs are missing.
    """
    if not (model_dir / "model.json").is_file():
        raise SdkitError("There are no networks for the page yet. Call: python3 run.py web export")
    model = models.resolve("mini-sd")
    text, image = (model.pipeline(task, "cpu", torch.float32) for task in ("text2img", "img2img"))
    rng, styles = np.random.default_rng(0), [s for s in model.defaults["styles"] if s != "a photo"]

    cards = [postcards.sample(5, index, held_out=True) for index in range(count)]
    sentences = [postcards.caption(card, rng, unsaid=()) for card in cards]

    def drawn(prompt: str, seed: int) -> Image.Image:
        small = generate.draw(text, model.settings(prompt, "draw", seed=seed), advise=False)
        return generate.redraw(
            image, small, model.settings(prompt, "redraw", seed=seed), advise=False
        )[0]

    found = art.load(art_dir, "validation", ["a photo"], count)[:count]
    chosen = [photos.resize(picture.image, SIZE, MULTIPLE) for picture in found]
    asked = [styles[k % len(styles)] for k in range(len(chosen))]

    def painted(photo: Image.Image, prompt: str, seed: int) -> Image.Image:
        return generate.style(image, [photo], model.settings(prompt, size=SIZE, seed=seed))[0]

    expected = {
        "drawing": [drawn(prompt, k) for k, prompt in enumerate(_bar(sentences, "drawing"))],
        "painting": [
            painted(photo, prompt, k)
            for k, (photo, prompt) in enumerate(zip(_bar(chosen, "painting"), asked, strict=True))
        ],
    }
    upscaler = models.resolve("mini-upscaler").upscaler(model, "cpu", torch.float32)
    few = expected["drawing"][: max(1, count // 6)]  # an enlargement takes long
    expected["enlarging"] = [
        upscale.upscale(upscaler, [small], seed=k, drawn=True)[0]
        for k, small in enumerate(_bar(few, "enlarging"))
    ]
    again = {
        "drawing": drawn(sentences[0], count),
        "painting": painted(chosen[0], asked[0], count),
        "enlarging": upscale.upscale(upscaler, few[:1], seed=count, drawn=True)[0],
    }
    wishes = {
        "drawing": [
            {**_wish(model.settings(prompt, "draw", seed=k)), "twice": True}
            for k, prompt in enumerate(sentences)
        ],
        "painting": [
            {**_wish(model.settings(prompt, size=SIZE, seed=k)), "picture": as_canvas(photo)}
            for k, (photo, prompt) in enumerate(zip(chosen, asked, strict=True))
        ],
        "enlarging": [
            {"enlarge": True, "seed": k, "picture": as_canvas(small)} for k, small in enumerate(few)
        ],
    }
    figures: dict[str, Any] = {"pictures": {task: len(images) for task, images in expected.items()}}
    made = {
        task: on_the_page(wishes[task], [picture.size for picture in images], model_dir)
        for task, images in expected.items()
    }
    for task, images in expected.items():
        near = [metrics.psnr(*pair) for pair in zip(made[task], images, strict=True)]
        figures[f"psnr, {task}"] = [round(float(f), 1) for f in (np.mean(near), min(near))]
        other = metrics.psnr(again[task], images[0])
        figures[f"psnr, {task}, PyTorch with another seed"] = round(other, 1)
    reader, classifier = judges.PostcardReader.load(), judges.StyleClassifier.load()
    for road, pictures in (("page", made), ("PyTorch", expected)):
        right = reader.read_right(measure.for_reader(pictures["drawing"]), cards)
        figures[f"correct, {road}"] = round(float(right.mean()), 3)
        scores = [
            classifier.score([picture], prompt)[0]
            for picture, prompt in zip(pictures["painting"], asked, strict=True)
        ]
        figures[f"style score, {road}"] = round(float(np.mean(scores)), 3)
    return figures


def on_the_page(
    wishes: Sequence[dict[str, Any]], sizes: Sequence[tuple[int, int]], model_dir: Path = host.MODEL
) -> list[Image.Image]:
    """The pictures that the page's own code makes for `wishes`, of these `sizes`.

    A wish is what ``web/tools/paint.js`` reads. Raises `SdkitError` if node is not here or fails.
    """
    node = shutil.which("node")
    if node is None or not (host.WEB / "node_modules").is_dir():
        raise SdkitError(
            "The page's code runs in node 20. Install it, and call `npm ci` in the folder web."
        )
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "made"
        done = subprocess.run(
            [node, "tools/paint.js", str(model_dir.resolve()), str(result)],
            cwd=host.WEB,
            input=json.dumps(list(wishes)),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SdkitError(f"node failed: {done.stderr[-2000:]}")
        return [
            Image.frombytes("RGBA", size, result.with_suffix(f".{k}").read_bytes()).convert("RGB")
            for k, size in enumerate(sizes)
        ]


def as_canvas(image: Image.Image) -> dict[str, Any]:
    """A picture as the page has it, with 4 bytes for each pixel."""
    data = [*image.convert("RGBA").tobytes()]
    return {"width": image.width, "height": image.height, "data": data}


def _wish(settings: Any) -> dict[str, Any]:
    """Settings of the kit, as the page names them."""
    return {
        "prompt": settings.prompt,
        "seed": settings.seed,
        "guidance": settings.guidance_scale,
        "steps": settings.num_inference_steps,
        "strength": settings.strength,
        "size": settings.size,
    }


def _bar(things: Sequence[Any], what: str) -> Any:
    return tqdm(things, desc=what, leave=False)
