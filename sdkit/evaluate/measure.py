"""Measure the shipped weights on what no training saw: ``python3 run.py measure --art DIR``.

Of pictures painted from sentences: do they show what was asked for, read by a network that learned from rendered
postcards alone, for combinations held out of every training? Are they copies of training postcards? And does CLIP tell
which sentence belongs to a picture?

Of photographs and paintings: does a painting's style survive the VAE, does "van gogh" turn photographs into what the
classifier and KID take for Van Gogh, and is the content, above all the face, still there? Both networks that answer are
ours, too, but were in no loss of the generator.
"""

import sys
from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm.auto import tqdm
from transformers import CLIPModel, CLIPTokenizer

from sdkit import generate, models, postcards, upscale
from sdkit.diffusion import latents
from sdkit.evaluate import judges, metrics
from sdkit.files import model_dir
from sdkit.pictures import art, photos

SIDE = 256  # px, the short side at which photographs and paintings are measured
NEIGHBOURS = 4000  # training postcards among which a copied one would be found
REDRAWN = 100  # drawn postcards that are drawn again at twice the size


def mean(values):
    """Mean of a list, as a float rounded to three decimals."""
    return round(float(np.mean(values)), 3)


def round_trip(pipe, images):
    """What is left of ``images`` after encoder and decoder alone."""
    return [
        photos.to_image(
            latents.decode(
                pipe.vae, latents.encode(pipe.vae, photos.to_tensor(image).to(pipe.device))
            )
        )
        for image in images
    ]


def measure_vae(pipe, pictures):
    """PSNR in dB after a round trip, by kind of picture, and the style score of paintings before and after."""
    figures, classifier = {}, judges.StyleClassifier.load()
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
    classifier = judges.StyleClassifier.load()
    before = [photos.resize(photograph, settings.size) for photograph in photographs]
    bar = tqdm(total=len(before) * settings.steps_run, desc=prompt, leave=False)
    after = generate.style(pipe, before, settings, on_step=bar.update)
    bar.close()
    faces = [k for k, image in enumerate(before) if metrics.face_found(image)]
    figures = {
        "style score of photos": mean(classifier.score(before, prompt)),
        "style score of styled photos": mean(classifier.score(after, prompt)),
        "style score of real paintings": mean(classifier.score(paintings, prompt)),
        "KID of photos": mean([judges.kid(before, paintings)]),
        "KID of styled photos": mean([judges.kid(after, paintings)]),
        "blurred SSIM": mean([metrics.blurred_ssim(b, a) for a, b in zip(before, after)]),
    }
    if faces:
        figures["faces found before"] = len(faces)
        figures["share of them found again"] = mean([metrics.face_found(after[k]) for k in faces])
    return figures, before, after


def shares(right):
    """bool (N, parts) -> for each part, and all at once: share right and its 95 % Wilson interval."""
    columns = {**dict(zip(postcards.PARTS, right.T)), "all at once": right.all(1)}
    return {
        name: [
            round(float(share), 3)
            for share in (column.mean(), *metrics.wilson(column.sum(), len(column)))
        ]
        for name, column in columns.items()
    }


def measure_drawing(pipe, model, count):
    """Do pictures drawn for ``count`` held-out combinations show what was asked for? And are they copies?

    Each picture has a random caption of its own that says all five parts; a quarter has a second thing. "Nearest" is
    the root mean square distance, in grey levels, to the nearest of ``NEIGHBOURS`` training postcards, beside that of
    rendered postcards which no training saw: a model that copies would be nearer. The first ``REDRAWN`` are also drawn
    again at twice the size, where the model does that; KID compares both with rendered ones.
    """
    reader, rng, settings = (
        judges.PostcardReader.load(),
        np.random.default_rng(0),
        models.settings("", model, "draw"),
    )
    cards = [postcards.sample(5, index, held_out=True) for index in range(count)]
    prompts = [postcards.caption(card, rng, unsaid=()) for card in cards]
    renders, images = art.to_batch([postcards.draw(card) for card in cards]), []
    for k in tqdm(range(0, count, 16), desc="drawing", leave=False):
        some = range(k, min(k + 16, count))
        images += pipe(
            prompts[k : k + 16],
            guidance_scale=settings.guidance_scale,
            height=settings.size,
            width=settings.size,
            num_inference_steps=settings.num_inference_steps,
            generator=[torch.Generator().manual_seed(seed) for seed in some],
        ).images
    drawn = small(images)
    back = latents.decode(pipe.vae, latents.encode(pipe.vae, renders)).cpu()
    bar = tqdm(range(NEIGHBOURS), desc="training postcards", leave=False)
    seen = art.to_batch([postcards.draw(postcards.sample(1, k)) for k in bar])
    near = {
        name: mean(
            [
                (
                    torch.cdist(x.flatten(1), seen.flatten(1)).amin(1) / x[0].numel() ** 0.5 * 127.5
                ).numpy()
            ]
        )
        for name, x in (("drawn", drawn), ("rendered", renders))
    }
    figures = {
        "as asked, drawn": shares(reader.read_right(drawn, cards)),
        "as asked, rendered": shares(reader.read_right(renders, cards)),
        "as asked, rendered, after the VAE": shares(reader.read_right(back, cards)),
        "nearest": near,
    }
    if "redraw" in models.defaults(model):
        painter, asked = models.load(model), list(zip(images, prompts))[:REDRAWN]
        again = [
            generate.redraw(painter, [image], models.settings(prompt, model, "redraw", seed=k))[0]
            for k, (image, prompt) in enumerate(tqdm(asked, desc="drawing again", leave=False))
        ]
        figures["as asked, drawn again"] = shares(reader.read_right(small(again), cards[:REDRAWN]))
        truths = [Image.fromarray(postcards.draw(card, again[0].width)) for card in cards[:REDRAWN]]
        figures["KID to rendered"] = {
            name: mean([judges.kid(some, truths)])
            for name, some in (("drawn", images[:REDRAWN]), ("drawn again", again))
        }
    return figures


def small(images):
    """List of PIL -> (B, 3, 64, 64) in [-1, 1], as the reader wants them."""
    return art.to_batch([np.asarray(image.resize((64, 64))) for image in images])


def similarity(model, tokenizer, x, texts):
    """A CLIP's similarity of pictures (B, 3, S, S) and ``texts``, on a scale of each picture's own: (B, texts)."""
    ids = tokenizer(
        texts,
        padding=True,
        truncation=True,
        return_tensors="pt",
        max_length=model.config.text_config.max_position_embeddings,
    ).input_ids
    text = model.get_text_features(input_ids=ids).pooler_output
    return (
        model.get_image_features(pixel_values=x).pooler_output
        @ (text / text.norm(dim=1, keepdim=True)).T
    )


@torch.no_grad()
def zero_shot_styles(model, tokenizer, pictures, crops=4):
    """For each style, the share of its `art.Picture`s whose nearest caption, of one for each style, names it."""
    said, figures = [f"a picture in the style of {style}" for style in art.STYLES], {}
    for style in art.STYLES:
        rng, right = np.random.default_rng(0), []
        for picture in (picture for picture in pictures if picture.style == style):
            x = art.to_batch(
                [
                    art.crop(picture, model.config.vision_config.image_size, rng, (128, 256))
                    for _ in range(crops)
                ]
            )
            right.append(
                art.STYLES[int(similarity(model, tokenizer, x, said).mean(0).argmax())] == style
            )
        figures |= {style: mean(right)} if right else {}
    return figures


@torch.no_grad()
def zero_shot_postcards(model, tokenizer, shown, x):
    """For each part, the share of postcards ``shown`` whose nearest caption is the right one.

    The captions to choose from say all else as it is, and each of the words that this part can take. ``x`` (N, 3, S,
    S): the pictures.
    """
    right, counts = (
        {part: [] for part in postcards.PARTS},
        [len(words) for words in postcards.WORDS.values()],
    )
    for card, picture in zip(shown, x):
        said = [
            postcards.plain_caption(replace(card, second=None, **{part: word}))
            for part, words in postcards.WORDS.items()
            for word in words
        ]
        near = similarity(model, tokenizer, picture[None], said)[0].split(counts)
        for (part, words), values in zip(postcards.WORDS.items(), near):
            right[part].append(words[int(values.argmax())] == getattr(card, part))
    return {part: mean(answers) for part, answers in right.items()}


def measure_clip(pictures, count=200):
    """mini-clip's accuracy without any training for the task, on held-out postcards and on art: a dict."""
    model = CLIPModel.from_pretrained(model_dir("mini-clip")).float().eval()
    tokenizer = CLIPTokenizer.from_pretrained(model_dir("mini-sd") / "tokenizer")
    cards = [postcards.sample(1, index, held_out=True) for index in range(count)]
    drawings = art.to_batch(
        [postcards.draw(card, model.config.vision_config.image_size) for card in cards]
    )
    return {
        "postcards": zero_shot_postcards(model, tokenizer, cards, drawings),
        "styles": zero_shot_styles(model, tokenizer, pictures),
    }


def measure_upscaler(pipe, art_dir, split="validation", count=12, limit=None):
    """Pictures of 256 px shrunk to 64 and made large again, in several ways, against the truth: a dict for each way.

    PSNR in dB and `judges.feature_distance` (less is better) for each kind of picture. "diffusion" is with the default
    strength, which needs the regressor; "diffusion from noise" with strength 1.
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
    truths = [image for images in kinds.values() for image in images]
    shrunk, figures = (
        [truth.resize((SIDE // 4, SIDE // 4), Image.Resampling.BICUBIC) for truth in truths],
        {},
    )
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
    for way, enlarge in ways.items():
        large = [enlarge([image])[0] for image in tqdm(shrunk, desc=way, leave=False)]
        figures[way], rest = {}, iter(large)
        for kind, some in kinds.items():
            pairs = [(next(rest), truth) for truth in some]
            figures[way][f"psnr, {kind}"] = mean([metrics.psnr(*pair) for pair in pairs])
            figures[way][f"feature distance, {kind}"] = mean(
                [judges.feature_distance(*pair) for pair in pairs]
            )
    return figures


def measure_all(
    art_dir=None, model="mini-sd", split="validation", portraits=8, drawings=300, show=None
):
    """Every figure, as a dict that fits into JSON.

    ``art_dir``: folder with the training pictures, without which only postcards are measured; ``split``: "validation",
    or "test" for the closing figures; ``portraits``: how many of the official portraits; ``drawings``: of postcards;
    ``show``: as for `measure_art`.
    """
    figures = {"drawing": measure_drawing(models.load(model, task="text2img"), model, drawings)}
    if (model_dir("mini-clip") / "config.json").is_file():
        figures["clip"] = measure_clip(art.load(art_dir, split) if art_dir else [])
    if art_dir is None:
        print(
            "Without --art DIR only postcards are measured, drawn and named (data/README.md says how to get the "
            "pictures).",
            file=sys.stderr,
        )
    else:
        figures |= measure_art(art_dir, model, split, portraits, show)
        if (model_dir("mini-upscaler") / "model_index.json").is_file():
            figures["upscaler"] = measure_upscaler(
                models.load_upscaler(shared=model), art_dir, split
            )
    return figures


def measure_art(art_dir, model, split, portraits, show=None):
    """Figures of the VAE, and of each style on photographs. Raises SdkitError where pictures are missing.

    ``show(before, after, settings)`` is called with the photographs painted as Van Gogh, for instance to draw a sheet.
    """
    pipe, pictures = models.load(model), art.load(art_dir, split)
    kinds = {
        name: [p for p in pictures if p.style == name and not p.file.startswith("portrait/")]
        for name in models.defaults(model)["styles"]
    }
    kinds["portrait"] = [p for p in pictures if p.file.startswith("portrait/")][:portraits]
    photographs = [p.image for p in kinds["a photo"] + kinds["portrait"]]
    figures = {"split": split, "vae": measure_vae(pipe, kinds)}
    for prompt in models.defaults(model)["styles"]:
        if prompt == "a photo":
            continue
        paintings, settings = [p.image for p in kinds[prompt]], models.settings(prompt, model)
        some = photographs if prompt == "van gogh" else photographs[::3]
        figures[prompt], before, after = measure_style(pipe, some, paintings, prompt, settings)
        if show and prompt == "van gogh":
            show(before, after, settings)
    return figures
