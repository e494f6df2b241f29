"""What the invisible mark costs, what it survives, and how often it is found where there is none.

    python tests/benchmarks/watermark.py --made MADE --photos PHOTOS [--repaint 8]

MADE is a folder of the kit's results without a mark (`sdkit style ... --no-mark --no-invisible-
mark`), PHOTOS one of any pictures. The first table marks each result, changes the file as people
and websites do, and looks for the mark. The second one counts how often p falls below a bound
where there is no mark: on PHOTOS as they are, and on each of them with `--keys` other keys at one
size. A right p falls below a bound at most as often as the bound says.

The cost is given in decibels: how much nearer a photograph of PHOTOS is to what the VAE of mini-sd
makes of it (PSNR) than to the same with the mark.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from sdkit import metrics, photos, watermark

BOUNDS = (0.1, 0.01, 1e-3, 1e-4, 1e-6)


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image, factor, how=Image.Resampling.BICUBIC):
    return image.resize([round(side * factor) for side in image.size], how)


def quarter(image, start=(0.23, 0.31)):
    """A part with half the width and half the height."""
    left, top = (round(part * side) for part, side in zip(start, image.size))
    return image.crop((left, top, left + image.width // 2, top + image.height // 2))


def screenshot(image):
    """Shown at 83 % on a page with a border, photographed from the screen's memory, saved again."""
    small = scaled(image, 0.83, Image.Resampling.BILINEAR)
    page = Image.new("RGB", (small.width + 90, small.height + 61), (250, 250, 250))
    page.paste(small, (37, 29))
    return jpeg(page, 85)


def blurred(image):
    return image.filter(ImageFilter.GaussianBlur(1.5))


def noisy(image):
    levels = np.asarray(image) + np.random.default_rng(0).normal(0, 12, (*image.size[::-1], 3))
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def covered(image):
    """The upper half is white."""
    copy = image.copy()
    copy.paste("white", (0, 0, image.width, image.height // 2))
    return copy


def on_a_phone(image):
    """As wide as the screen of a phone, on a page of it."""
    page = Image.new("RGB", (1080, 1920), "white")
    small = scaled(image, 1080 / image.width)
    page.paste(small, (0, 300))
    return jpeg(page, 80)


def in_format(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file).convert("RGB")


ATTACKS = {
    "as it was saved": lambda image: image,
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 70": lambda image: jpeg(image, 70),
    "JPEG 50": lambda image: jpeg(image, 50),
    "JPEG 20": lambda image: jpeg(image, 20),
    "half the width and height": lambda image: scaled(image, 0.5),
    "half, JPEG 70": lambda image: jpeg(scaled(image, 0.5), 70),
    "third of the width and height": lambda image: scaled(image, 1 / 3),
    "a quarter cut out": quarter,
    "a quarter cut out, JPEG 70": lambda image: jpeg(quarter(image), 70),
    "a sixteenth cut out": lambda image: quarter(quarter(image)),
    "screenshot at 83 %, JPEG 85": screenshot,
    "1.37 times larger": lambda image: scaled(image, 1.37),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "blurred, sigma 1.5 px": blurred,
    "noise, sigma 12 levels": noisy,
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by half a degree": lambda image: image.rotate(0.5, Image.Resampling.BICUBIC),
    "turned by 2 degrees": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "turned by 4.8 degrees": lambda image: image.rotate(4.8, Image.Resampling.BICUBIC),
    "turned by 8 degrees": lambda image: image.rotate(8, Image.Resampling.BICUBIC),
    "3 % wider, as high as before": lambda image: image.resize(
        (round(1.03 * image.width), image.height), Image.Resampling.BICUBIC
    ),
    "16 colours": lambda image: image.quantize(16).convert("RGB"),
    "black and white dots": lambda image: image.convert("1").convert("RGB"),
    "negative": ImageOps.invert,
    "WebP 30": lambda image: in_format(image, "WEBP", quality=30),
    "AVIF 50": lambda image: in_format(image, "AVIF", quality=50),
    "median of 5 x 5 px": lambda image: image.filter(ImageFilter.MedianFilter(5)),
    "half of it covered": covered,
    "on the page of a phone, JPEG 80": on_a_phone,
}


def repainting(strength):
    """mini-sd paints the picture again."""
    from sdkit import generate, models

    pipe, settings = models.load(), models.settings("van gogh", strength=strength)
    return lambda image: generate.style(pipe, [image], settings, advise=False)[0]


def survival(made, attacks):
    marked = [watermark.embed(image) for image in made]
    print(f"{'what was done':<32}{'pictures':>9}{'found':>8}{'median p':>11}{'worst p':>10}")
    for name, attack in attacks.items():
        p = sorted(watermark.detect(attack(image)).p for image in marked)
        found = np.mean([value < watermark.FOUND for value in p])
        print(f"{name:<32}{len(p):>9}{found:>8.0%}{np.median(p):>11.0e}{p[-1]:>10.0e}", flush=True)


def false_alarms(paths, keys):
    alone, places, best = [], [], []
    for path in paths:
        picture = photos.resize(photos.open_photo(path), 512)
        alone.append(watermark.detect(picture).p)
        evened = watermark._evened(picture)
        for key in range(keys):
            set_key(b"another %d" % key)
            z = watermark._agreement(evened, 1.0)
            places.append(np.exp(-(np.maximum(z[:, ::8, ::8], 0) ** 2) / 2).ravel())
            best.append(min(1.0, z.size * np.exp(-(z.max() ** 2) / 2)))
        set_key(OWN_KEY)
    rows = {
        f"{len(alone)} pictures, all sizes": np.array(alone),
        f"the same with {keys} other keys": np.array(best),
        "each place by itself": np.concatenate(places),
    }
    print(f"\n{'share with p below':<36}" + "".join(f"{bound:>10g}" for bound in BOUNDS))
    for name, values in rows.items():
        print(f"{name:<36}" + "".join(f"{(values <= b).mean():>10.2g}" for b in BOUNDS))
    print(f"smallest p of a picture without the mark: {min(alone):.2g}")


OWN_KEY = watermark.KEY


def set_key(key):
    watermark.KEY = key
    watermark._waves.cache_clear()


def cost(made, paths):
    from sdkit import latents, models

    vae = models.load().vae
    before, after = [], []
    for path in paths:
        picture = photos.resize(photos.open_photo(path), 256)
        x = photos.to_tensor(picture)
        again = photos.to_image(latents.decode(vae, latents.encode(vae, x)))
        for values, image in (before, again), (after, watermark.embed(again)):
            values.append(metrics.psnr(image, picture))
    own = [metrics.psnr(watermark.embed(image), image) for image in made]
    print(
        f"\nthe mark against the picture: {np.mean(own):.1f} dB (worst {min(own):.1f})"
        f"\nVAE against {len(before)} photographs: {np.mean(before):.2f} dB, "
        f"with the mark {np.mean(after):.2f} dB: {np.mean(before) - np.mean(after):.2f} dB lost"
        f" (worst {np.max(np.subtract(before, after)):.2f})"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--made", required=True, type=Path)
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--count", type=int, default=10_000, help="about so many of PHOTOS")
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument(
        "--repaint", type=int, default=0, metavar="N", help="also repaint N results with mini-sd"
    )
    arguments = parser.parse_args()
    made = [photos.open_photo(path) for path in photos.find_photos([arguments.made])]
    paths = sorted(path for path in arguments.photos.rglob("*") if path.suffix in (".jpg", ".png"))
    paths = paths[:: max(1, len(paths) // arguments.count)]  # from everywhere in the folder
    survival(made, ATTACKS)
    if arguments.repaint:
        strengths = (0.1, 0.3, 0.5)
        repaint = {f"repainted, strength {s}": repainting(s) for s in strengths}
        survival(made[: arguments.repaint], repaint)
    cost(made, paths[::20])
    false_alarms(paths, arguments.keys)


if __name__ == "__main__":
    main()
