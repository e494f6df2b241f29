"""Measure the shipped weights on held-out data: ``python3 run.py measure --art DIR``.

Pictures drawn from sentences: do they show what the sentence says, for combinations that no
training saw, as read by a network that learned from rendered postcards only? Are they copies of
training postcards? Does mini-clip find the sentence that belongs to a picture?

Photographs and paintings: does a painting's style survive the VAE? Do the style classifier and KID
take photographs restyled as "van gogh" for real Van Goghs? Do they have the texture of paint? Is
the content still there, above all the faces? We trained the classifier and the reader ourselves,
but no training of the painter used them.

docs/measures.md says how to run this and how to read the figures; `MEANINGS` has a line on each.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image, ImageOps
from tqdm.auto import tqdm
from transformers import CLIPModel, CLIPTokenizer

from sdkit import generate, models, postcards, upscale
from sdkit.diffusion import latents
from sdkit.errors import SdkitError
from sdkit.evaluate import faces, judges, looks, metrics
from sdkit.files import model_dir
from sdkit.models import loading
from sdkit.pictures import art, photos

SIDE = 256  # px, the short side at which photographs and paintings are measured
READER_SIDE = 64  # px, the side of the pictures that the postcard reader was trained on
BATCH = 16  # postcards drawn at once
NEIGHBOURS = 4000  # training postcards to compare drawn ones with
REDRAWN = 100  # drawn postcards that are drawn again at twice the size
REAL = 40  # training paintings of a style that KID compares with the held-out ones
TILE = (320, 400)  # px, a portrait in a group photograph
PARTS = ("draw", "clip", "vae", "style", "upscale")  # what can be measured

Figures = dict[str, Any]  # names to numbers or to further dictionaries; fits into JSON
# called with the names of photographs, the photographs, their styled versions and the settings
Show = Callable[[list[str], list[Image.Image], list[Image.Image], models.Settings], None]

# What each figure means. A name stands here without the part after its first comma.
MEANINGS = {
    "correct": "share of a caption's parts that the reader finds in the picture: [share, low, high]"
    " with the 95 % interval",
    "nearest training postcard": "grey levels to the nearest of 4,000 training postcards; copies "
    "would be much nearer than rendered ones",
    "KID to rendered": "distance of drawn postcards to rendered ones in features; 0 is best",
    "postcards": "share of held-out postcards for which mini-clip prefers the right word, by part",
    "styles": "share of pictures for which mini-clip prefers the right style, by style",
    "psnr": "dB; how near the pixels come to the original, more is better",
    "feature distance": "how different from the original it looks to the classifier; 0 is best",
    "style score": "probability of the style for real paintings, 0 to 1",
    "style score after round trip": "style score after the VAE; less than before means that paint "
    "was lost",
    "octave ratio": "fine over coarse contrast; at 256 px real Van Goghs have 1.8, photographs 0.4 "
    "(portraits) to 0.9",
    "octave ratio after round trip": "octave ratio after the VAE; less means that paint was lost",
    "KID after round trip": "distance of paintings after the VAE to those before; 0 is best",
    "style score of photos": "probability of the style for the photographs as they are",
    "style score of styled photos": "probability of the style for the styled photographs",
    "style score of real paintings": "probability of the style for held-out real paintings",
    "KID of photos": "distance of the photographs, as they are, to held-out real paintings",
    "KID of styled photos": "distance of the styled photographs to held-out real paintings, in "
    "features that no training of the painter used; 0 is best",
    "KID of other real paintings": "distance of training paintings to held-out ones; no painter "
    "can be much better",
    "blurred SSIM": "how much of the larger shapes is kept, 1 at most",
    "faces found before": "photographs in which a cascade finds a face",
    "share of them found again": "share of these photographs in whose styled version the cascade "
    "finds a face, too",
    "clipped share": "share of pixels at the end of the scale; real Van Goghs have 0.01, 0.06 in "
    "the worst picture",
    "faces": "number of faces that MTCNN finds in the photographs; no training used MTCNN",
    "found again": "share of these faces that it finds in the styled pictures at the same place: "
    "[share, low, high] with the 95 % interval",
    "landmarks moved": "how far eyes, nose and mouth moved, in eye distances; median of the faces",
    "skin hue shift": "degrees that the hue of skin turned; positive is towards yellow",
    "skin colour distance": "how far the mean colour of skin moved in CIELAB; 2 is just visible",
}


def rounded_mean(values: Sequence[float]) -> float:
    """The mean of the values, rounded to three decimals."""
    return round(float(np.mean(values)), 3)


def explain(figures: Figures) -> dict[str, str]:
    """The `MEANINGS` of all names in ``figures`` and its inner dictionaries."""
    meanings = {}
    for name, value in figures.items():
        key = name.partition(",")[0]
        if key in MEANINGS:
            meanings[key] = MEANINGS[key]
        if isinstance(value, dict):
            meanings |= explain(value)
    return meanings


def round_trip(pipe: DiffusionPipeline, images: Sequence[Image.Image]) -> list[Image.Image]:
    """The pictures after the VAE's encoder and decoder."""
    return [
        photos.to_image(
            latents.decode(
                pipe.vae, latents.encode(pipe.vae, photos.to_tensor(image).to(pipe.device))
            )
        )
        for image in images
    ]


def measure_vae(pipe: DiffusionPipeline, pictures: dict[str, list[art.Picture]]) -> Figures:
    """The VAE's round trip, for each kind of picture: PSNR in dB, and what it does to paintings.

    Style scores and octave ratios are given for the paintings before and after the round trip, and
    KID compares both.
    """
    figures, classifier = {}, judges.StyleClassifier.load()
    for kind, chosen in pictures.items():
        images = [ImageOps.fit(picture.image, (SIDE, SIDE)) for picture in chosen]
        decoded = round_trip(pipe, images)
        figures[f"psnr, {kind}"] = rounded_mean(
            [metrics.psnr(after, before) for before, after in zip(images, decoded)]
        )
        if kind in classifier.config.styles and kind != "a photo":
            figures[f"style score, {kind}"] = rounded_mean(classifier.score(images, kind))
            figures[f"style score after round trip, {kind}"] = rounded_mean(
                classifier.score(decoded, kind)
            )
            for name, some in (
                ("octave ratio", images),
                ("octave ratio after round trip", decoded),
            ):
                ratios = [metrics.octave_ratio(image, SIDE) for image in some]
                figures[f"{name}, {kind}"] = round(float(np.median(ratios)), 3)
            figures[f"KID after round trip, {kind}"] = rounded_mean([judges.kid(decoded, images)])
    return figures


def group_photos(portraits: Sequence[Image.Image], across: int) -> list[Image.Image]:
    """Portraits side by side, ``across`` x ``across`` in a picture, so that faces are small.

    Each portrait is in at most one picture; those that do not fill one are left out.
    """
    count, (width, height) = across**2, TILE
    groups = []
    for first in range(0, len(portraits) - count + 1, count):
        group = Image.new("RGB", (across * width, across * height))
        for k, portrait in enumerate(portraits[first : first + count]):
            place = (k % across * width, k // across * height)
            group.paste(ImageOps.fit(portrait, TILE), place)
        groups.append(group)
    return groups


def measure_style(
    pipe: DiffusionPipeline,
    photographs: Sequence[Image.Image],
    paintings: Sequence[Image.Image],
    prompt: str,
    settings: generate.Settings,
    others: Sequence[Image.Image] = (),
    with_faces: bool = False,
    groups: Sequence[Image.Image] = (),
) -> tuple[Figures, list[Image.Image], list[Image.Image]]:
    """Restyle ``photographs`` by ``prompt`` and score them: (figures, before, after).

    Beside the scores of the results are those of the photographs and of real ``paintings`` of the
    same style. KID is also given from ``others``, more real paintings, to these.

    with_faces : also look for each face again; see `faces`.
    groups : more photographs with small faces. Only their faces are measured.
    """
    classifier = judges.StyleClassifier.load()
    before = [photos.resize(photograph, settings.size) for photograph in photographs]
    crowds = [photos.resize(group, settings.size) for group in groups] if with_faces else []
    both = [*before, *crowds]
    bar = tqdm(total=len(both) * settings.steps_run, desc=prompt, leave=False)
    styled = generate.style(pipe, both, settings, on_step=bar.update)
    bar.close()
    after = styled[: len(before)]
    portraits = [k for k, image in enumerate(before) if metrics.face_found(image)]
    figures: Figures = {
        "style score of photos": rounded_mean(classifier.score(before, prompt)),
        "style score of styled photos": rounded_mean(classifier.score(after, prompt)),
        "style score of real paintings": rounded_mean(classifier.score(paintings, prompt)),
        "KID of photos": rounded_mean([judges.kid(before, paintings)]),
        "KID of styled photos": rounded_mean([judges.kid(after, paintings)]),
        "blurred SSIM": rounded_mean([metrics.blurred_ssim(b, a) for a, b in zip(before, after)]),
    }
    if others:
        figures["KID of other real paintings"] = rounded_mean([judges.kid(others, paintings)])
    if portraits:
        figures["faces found before"] = len(portraits)
        figures["share of them found again"] = rounded_mean(
            [metrics.face_found(after[k]) for k in portraits]
        )
    kinds = {"photos": before, "styled photos": after, "real paintings": paintings}
    figures["look"] = {kind: looks.summary(images, settings.size) for kind, images in kinds.items()}
    if with_faces:
        figures["faces"] = faces.measure(both, styled)
    return figures, before, after


def shares_right(right: np.ndarray) -> dict[str, list[float]]:
    """bool (N, parts) -> for each part, and for all parts at once: [share right, low, high].

    low and high are the ends of the 95 % Wilson interval.
    """
    columns = {**dict(zip(postcards.PARTS, right.T)), "all at once": right.all(1)}  # each (N,)
    return {
        name: [
            round(float(share), 3)
            for share in (column.mean(), *metrics.wilson(column.sum(), len(column)))
        ]
        for name, column in columns.items()
    }


def for_reader(images: Sequence[Image.Image]) -> torch.Tensor:
    """PIL pictures to the reader's input: (B, 3, 64, 64) in [-1, 1]."""
    return photos.to_batch([image.resize((READER_SIDE, READER_SIDE)) for image in images])


def nearest_distances(x: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """From each picture in x (B, ...) to its nearest in ``others`` (M, ...): (B,) grey levels.

    The distance between two pictures is the root mean square difference of their pixels.
    """
    distances = torch.cdist(x.flatten(1), others.flatten(1))  # (B, M), root of summed squares
    return distances.amin(1) / x[0].numel() ** 0.5 * photos.LEVELS_PER_UNIT


def measure_drawing(pipe: DiffusionPipeline, model: models.Model | str, count: int) -> Figures:
    """Do pictures drawn for ``count`` held-out combinations show what their captions say?

    Each picture has its own random caption that says all five parts, and its own seed. A quarter of
    them has a second thing. "correct" is the share of parts that the reader finds in the pictures,
    beside the same share for rendered postcards, before and after the VAE.

    "nearest training postcard" would show copies: it is the distance, in grey levels, to the
    nearest of ``NEIGHBOURS`` training postcards, for drawn pictures and for rendered ones that no
    training saw. A model that copies would be nearer than the rendered ones.

    If the model can redraw, the first ``REDRAWN`` pictures are also drawn again at twice the size,
    and KID compares both versions with rendered postcards.
    """
    reader, rng = judges.PostcardReader.load(), np.random.default_rng(0)
    settings = models.settings("", model, "draw")
    cards = [postcards.sample(5, index, held_out=True) for index in range(count)]
    prompts = [postcards.caption(card, rng, unsaid=()) for card in cards]
    images = []
    for start in tqdm(range(0, count, BATCH), desc="drawing", leave=False):
        seeds = range(start, min(start + BATCH, count))
        images += pipe(
            prompts[start : start + BATCH],
            guidance_scale=settings.guidance_scale,
            height=settings.size,
            width=settings.size,
            num_inference_steps=settings.num_inference_steps,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        ).images
    drawn = for_reader(images)
    rendered = photos.to_batch([postcards.draw(card) for card in cards])  # (B, 3, 64, 64)
    decoded = latents.decode(pipe.vae, latents.encode(pipe.vae, rendered)).cpu()
    bar = tqdm(range(NEIGHBOURS), desc="training postcards", leave=False)
    training = photos.to_batch([postcards.draw(postcards.sample(1, k)) for k in bar])
    figures = {
        "correct, drawn": shares_right(reader.read_right(drawn, cards)),
        "correct, rendered": shares_right(reader.read_right(rendered, cards)),
        "correct, rendered, after the VAE": shares_right(reader.read_right(decoded, cards)),
        "nearest training postcard": {
            name: rounded_mean(nearest_distances(x, training).numpy())
            for name, x in (("drawn", drawn), ("rendered", rendered))
        },
    }
    if "redraw" in models.defaults(model):
        figures |= measure_redrawing(model, images[:REDRAWN], prompts, cards)
    return figures


def measure_redrawing(
    model: models.Model | str,
    images: Sequence[Image.Image],
    prompts: Sequence[str],
    cards: Sequence[postcards.Postcard],
) -> Figures:
    """Figures of drawn ``images`` that the model draws again; see `measure_drawing`.

    ``prompts`` and ``cards`` begin with those of ``images``.
    """
    pipe = models.load(model)
    redrawn = [
        generate.redraw(pipe, [image], models.settings(prompt, model, "redraw", seed=k))[0]
        for k, (image, prompt) in enumerate(
            tqdm(list(zip(images, prompts)), desc="drawing again", leave=False)
        )
    ]
    cards = cards[: len(images)]
    rendered = [Image.fromarray(postcards.draw(card, redrawn[0].width)) for card in cards]
    return {
        "correct, drawn again": shares_right(
            judges.PostcardReader.load().read_right(for_reader(redrawn), cards)
        ),
        "KID to rendered": {
            name: rounded_mean([judges.kid(some, rendered)])
            for name, some in (("drawn", images), ("drawn again", redrawn))
        },
    }


def similarity(
    model: CLIPModel, tokenizer: CLIPTokenizer, x: torch.Tensor, texts: Sequence[str]
) -> torch.Tensor:
    """How well pictures x (B, 3, S, S) fit ``texts``: (B, texts), the largest fits best.

    The cosine of CLIP's embeddings (Radford et al. 2021, arXiv:2103.00020, section 3.1), times the
    length of the picture's embedding. Compare the texts of one picture only.
    """
    ids = tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        return_tensors="pt",
        max_length=model.config.text_config.max_position_embeddings,
    ).input_ids  # (texts, L)
    text = model.get_text_features(input_ids=ids).pooler_output  # (texts, D)
    picture = model.get_image_features(pixel_values=x).pooler_output  # (B, D)
    return picture @ (text / text.norm(dim=1, keepdim=True)).T


@torch.no_grad()
def zero_shot_styles(
    model: CLIPModel, tokenizer: CLIPTokenizer, pictures: Sequence[art.Picture], crops: int = 4
) -> dict[str, float]:
    """For each style, the share of its pictures for which CLIP prefers the caption of that style.

    There is one caption for each style. The similarity is the mean over random crops.
    """
    captions, figures = [f"a picture in the style of {style}" for style in art.STYLES], {}
    size = model.config.vision_config.image_size
    for style in art.STYLES:
        rng, right = np.random.default_rng(0), []
        for picture in (picture for picture in pictures if picture.style == style):
            x = photos.to_batch([art.crop(picture, size, rng, (128, 256)) for _ in range(crops)])
            best = int(similarity(model, tokenizer, x, captions).mean(0).argmax())
            right.append(art.STYLES[best] == style)
        figures |= {style: rounded_mean(right)} if right else {}
    return figures


@torch.no_grad()
def zero_shot_postcards(
    model: CLIPModel,
    tokenizer: CLIPTokenizer,
    cards: Sequence[postcards.Postcard],
    x: torch.Tensor,
) -> dict[str, float]:
    """For each part, the share of postcards for which CLIP prefers the right caption.

    x (N, 3, S, S) are the pictures of the N ``cards``. For each part there is one caption for each
    word that the part can take; all other parts in it are right.
    """
    right = {part: [] for part in postcards.PARTS}
    counts = [len(words) for words in postcards.WORDS.values()]
    for card, picture in zip(cards, x):
        captions = [
            postcards.plain_caption(replace(card, second=None, **{part: word}))  # type: ignore[arg-type]
            for part, words in postcards.WORDS.items()
            for word in words
        ]
        by_part = similarity(model, tokenizer, picture[None], captions)[0].split(counts)
        for (part, words), values in zip(postcards.WORDS.items(), by_part):
            right[part].append(words[int(values.argmax())] == getattr(card, part))
    return {part: rounded_mean(answers) for part, answers in right.items()}


def measure_clip(pictures: Sequence[art.Picture], count: int = 200) -> Figures:
    """mini-clip's zero-shot accuracy on ``count`` held-out postcards and on ``pictures``.

    Zero-shot: it was never trained for these tasks (Radford et al. 2021, section 3.1).
    """
    model = loading.shipped(CLIPModel, "mini-clip")
    tokenizer = CLIPTokenizer.from_pretrained(model_dir("mini-sd") / "tokenizer")
    cards = [postcards.sample(1, index, held_out=True) for index in range(count)]
    x = photos.to_batch(
        [postcards.draw(card, model.config.vision_config.image_size) for card in cards]
    )
    return {
        "postcards": zero_shot_postcards(model, tokenizer, cards, x),
        "styles": zero_shot_styles(model, tokenizer, pictures),
    }


def measure_upscaler(
    pipe: DiffusionPipeline,
    art_dir: str | Path,
    split: str = "validation",
    count: int = 12,
    limit: int | None = None,
    classifier: judges.StyleClassifier | None = None,
) -> Figures:
    """Shrink pictures from 256 to 64 px, enlarge them again in several ways, and compare.

    Gives PSNR in dB and `judges.feature_distance` (less is better) for each way and each kind of
    picture, of which there are about ``count``. "diffusion" takes the default strength, which needs
    the regressor; "diffusion from noise" takes strength 1. ``split`` and ``limit`` are those of
    `art.load`, ``classifier`` is that of `judges.feature_distance`.
    """
    kinds = {
        "paintings": [],
        "photos": [],
        "postcards": [
            Image.fromarray(postcards.draw(postcards.sample(5, k, held_out=True), SIDE))
            for k in range(count)
        ],
    }
    for picture in art.load(art_dir, split, limit=limit):
        kinds["photos" if picture.style == "a photo" else "paintings"].append(
            ImageOps.fit(picture.image, (SIDE, SIDE))
        )
    kinds = {
        kind: images[:: max(1, len(images) // count)][:count] for kind, images in kinds.items()
    }
    originals = [image for images in kinds.values() for image in images]
    shrunk = [image.resize((SIDE // 4, SIDE // 4), Image.Resampling.BICUBIC) for image in originals]
    ways = {
        "bicubic": lambda images: [
            image.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in images
        ]
    }
    if pipe.regressor is not None:
        ways["regression"] = lambda images: upscale.regress(pipe, images)
    if pipe.unet is not None and pipe.regressor is not None:
        ways["diffusion"] = lambda images: upscale.upscale(pipe, images)
    if pipe.unet is not None:
        ways["diffusion from noise"] = lambda images: upscale.upscale(pipe, images, strength=1.0)
    figures = {}
    for way, enlarge in ways.items():
        enlarged = iter([enlarge([image])[0] for image in tqdm(shrunk, desc=way, leave=False)])
        figures[way] = {}
        for kind, images in kinds.items():
            pairs = [(next(enlarged), original) for original in images]
            figures[way][f"psnr, {kind}"] = rounded_mean([metrics.psnr(*pair) for pair in pairs])
            figures[way][f"feature distance, {kind}"] = rounded_mean(
                [judges.feature_distance(*pair, classifier) for pair in pairs]
            )
    return figures


def measure_all(
    art_dir: str | Path | None = None,
    model: models.Model | str = "mini-sd",
    split: str = "validation",
    portraits: int = 8,
    drawings: int = 300,
    only: Sequence[str] = PARTS,
    size: int | None = None,
    show: Show | None = None,
) -> Figures:
    """Every figure, as a dictionary that fits into JSON.

    art_dir : folder with the training pictures. Without it, only postcards are measured.
    model : a model, or its name.
    split : "validation", or "test" for the final figures.
    portraits : how many of the official portraits to restyle.
    drawings : how many postcards to draw.
    only : which of `PARTS` to measure.
    size : short side in px at which photographs are restyled; the model's own if not given.
    show : see `measure_art`.

    Raises `SdkitError` if all parts in ``only`` need pictures, and there are none.
    """
    model, figures = models.resolve(model), {}
    if art_dir is None and not {"draw", "clip"} & set(only):
        raise SdkitError(
            f"Without pictures these cannot be measured: {', '.join(only)}. Add --art DIR "
            "(data/README.md says how to get the pictures)."
        )
    if "draw" in only:
        figures["drawing"] = measure_drawing(models.load(model, task="text2img"), model, drawings)
    if "clip" in only and (model_dir("mini-clip") / "config.json").is_file():
        figures["clip"] = measure_clip(art.load(art_dir, split) if art_dir else [])
    if art_dir is None:
        print(
            "Only postcards are measured. To measure photographs and paintings too, add --art DIR "
            "(data/README.md says how to get the pictures).",
            file=sys.stderr,
        )
        return figures
    if {"vae", "style"} & set(only):
        figures |= measure_art(art_dir, model, split, portraits, only, size, show)
    if "upscale" in only and (model_dir("mini-upscaler") / "model_index.json").is_file():
        figures["upscaler"] = measure_upscaler(models.load_upscaler(shared=model), art_dir, split)
    return figures


def measure_art(
    art_dir: str | Path,
    model: models.Model | str,
    split: str,
    portraits: int,
    only: Sequence[str] = PARTS,
    size: int | None = None,
    show: Show | None = None,
) -> Figures:
    """Figures of the VAE, and of each style on photographs.

    Raises `SdkitError` if pictures are missing from the folder.

    ``show(names, before, after, settings)``, if given, is called for each style with the
    photographs and their styled versions, for instance to save them. Styles other than "van gogh"
    are measured on every third photograph. For "van gogh", faces are also measured in group
    photographs that are put together from all portraits.
    """
    pipe, pictures = models.load(model), art.load(art_dir, split)
    kinds = {
        name: [p for p in pictures if p.style == name and not p.file.startswith("portrait/")]
        for name in models.defaults(model)["styles"]
    }
    all_portraits = [p for p in pictures if p.file.startswith("portrait/")]
    kinds["portrait"] = all_portraits[:portraits]
    sitters = [p.image for p in all_portraits]
    photographs = kinds["a photo"] + kinds["portrait"]
    figures: Figures = {"split": split}
    if "vae" in only:
        figures["vae"] = measure_vae(pipe, kinds)
    if "style" not in only:
        return figures
    with_faces = _faces_can_be_measured()
    changes: dict[str, Any] = {} if size is None else {"size": size}
    for prompt in models.defaults(model)["styles"]:
        if prompt == "a photo" or not kinds[prompt]:  # no real paintings to compare with
            continue
        settings = models.settings(prompt, model, **changes)
        chosen = photographs if prompt == "van gogh" else photographs[::3]
        figures[prompt], before, after = measure_style(
            pipe,
            [picture.image for picture in chosen],
            [picture.image for picture in kinds[prompt]],
            prompt,
            settings,
            [picture.image for picture in art.load(art_dir, "train", [prompt], REAL)],
            with_faces,
            [*group_photos(sitters, 2), *group_photos(sitters, 4)] if prompt == "van gogh" else [],
        )
        if show:
            # a slash would make folders of "photo/1.jpg" and "portrait/1.jpg"
            names = [picture.file.rpartition(".")[0].replace("/", "-") for picture in chosen]
            show(names, before, after, settings)
    return figures


def _faces_can_be_measured() -> bool:
    """Whether the detector is here. If not, a sentence says how to install it."""
    try:
        faces.detector()
    except SdkitError as error:
        print(error, file=sys.stderr)
        return False
    return True
