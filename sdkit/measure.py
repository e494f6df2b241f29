"""Measure the shipped weights on pictures that no training saw: ``python3 run.py measure --art DIR``.

What is asked: does a painting's style survive the VAE, does "van gogh" turn photographs into what the classifier and
KID take for Van Gogh, and is the content, above all the face, still there? The classifier that answers is ours, too,
but was in no loss of the generator.
"""
import json
from pathlib import Path

import numpy as np
from PIL import ImageOps
from tqdm.auto import tqdm

from sdkit import art, latents, metrics, models, photos, plots
from sdkit.generate import style
from sdkit.paths import SdkitError

SIDE = 256   # px, the short side at which everything is measured


def mean(values):
    """Mean of a list, as a float rounded to three decimals."""
    return round(float(np.mean(values)), 3)


def round_trip(pipe, images):
    """What is left of ``images`` after encoder and decoder alone."""
    return [photos.to_image(latents.decode(pipe.vae, latents.encode(pipe.vae, photos.to_tensor(image).to(pipe.device))))
            for image in images]


def measure_vae(pipe, pictures):
    """PSNR in dB after a round trip, by kind of picture, and the style score of paintings before and after."""
    figures, classifier = {}, metrics.StyleClassifier.load()
    for name, chosen in pictures.items():
        images = [ImageOps.fit(p.image, (SIDE, SIDE)) for p in chosen]
        back = round_trip(pipe, images)
        figures[f"psnr, {name}"] = mean([metrics.psnr(b, a) for a, b in zip(images, back)])
        if name in classifier.config.styles and name != "a photo":
            figures[f"style score, {name}"] = mean(classifier.score(images, name))
            figures[f"style score after round trip, {name}"] = mean(classifier.score(back, name))
    return figures


def measure_style(pipe, photographs, paintings, prompt, settings):
    """Scores of ``photographs`` painted by ``prompt``, beside those of the photographs and of real ``paintings``."""
    classifier = metrics.StyleClassifier.load()
    before = [photos.resize(photograph, settings.size) for photograph in photographs]
    bar = tqdm(total=len(before) * settings.steps_run, desc=prompt, leave=False)
    after = style(pipe, before, settings, on_step=bar.update)
    bar.close()
    faces = [k for k, image in enumerate(before) if metrics.face_found(image)]
    figures = {"style score of photos": mean(classifier.score(before, prompt)),
               "style score of styled photos": mean(classifier.score(after, prompt)),
               "style score of real paintings": mean(classifier.score(paintings, prompt)),
               "KID of photos": mean([metrics.kid(before, paintings)]),
               "KID of styled photos": mean([metrics.kid(after, paintings)]),
               "blurred SSIM": mean([metrics.blurred_ssim(b, a) for a, b in zip(before, after)])}
    if faces:
        figures["faces found before"] = len(faces)
        figures["share of them found again"] = mean([metrics.face_found(after[k]) for k in faces])
    return figures, before, after


def main(art_dir=None, model="mini-sd", split="validation", portraits=8, sheet=None):
    """Print every figure as JSON and return it; ``sheet``: PNG to write with the styled photographs.

    ``art_dir``: folder with the training pictures; ``split``: "validation", or "test" for the closing figures;
    ``portraits``: how many of the official portraits. Raises SdkitError where the pictures are missing.
    """
    if art_dir is None:
        raise SdkitError("Measuring needs the pictures of data/art.tsv: give their folder with --art DIR "
                         "(data/README.md says how to get them).")
    pipe, pictures = models.load(model), art.load(art_dir, split)
    kinds = {name: [p for p in pictures if p.style == name and not p.file.startswith("portrait/")]
             for name in models.defaults(model)["styles"]}
    kinds["portrait"] = [p for p in pictures if p.file.startswith("portrait/")][:portraits]
    photographs = [p.image for p in kinds["a photo"] + kinds["portrait"]]
    figures = {"split": split, "vae": measure_vae(pipe, kinds)}
    for prompt in models.defaults(model)["styles"]:
        if prompt == "a photo":
            continue
        paintings = [p.image for p in kinds[prompt]]
        some = photographs if prompt == "van gogh" else photographs[::3]
        figures[prompt], before, after = measure_style(pipe, some, paintings, prompt, models.settings(prompt, model))
        if sheet and prompt == "van gogh":
            plots.before_after(before, after, models.settings(prompt, model)).savefig(Path(sheet))
    print(json.dumps(figures, indent=1))
    return 0
