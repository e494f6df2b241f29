"""The verb compare: a page with blind pairs of paintings, and the count of the answers."""

import json
import secrets
import sys
from argparse import Namespace
from pathlib import Path

from PIL import Image

from sdkit import models
from sdkit.cli import consent
from sdkit.errors import SdkitError, plain
from sdkit.files import expand, write_atomically
from sdkit.pictures import outputs, photos


def compare(arguments: Namespace) -> int:
    """Write the page and its key; with --answers, count the answers instead."""
    if arguments.answers or arguments.key:
        if not (arguments.answers and arguments.key) or arguments.photos:
            raise SdkitError("To count answers, give --answers FILE and --key FILE, nothing else.")
        from sdkit.evaluate import blind

        key = blind.read_key(arguments.key)
        print(blind.describe(blind.count(blind.read_answers(arguments.answers, key), key), key))
        return 0
    if arguments.b is None:
        raise SdkitError(
            "Give three things: a folder of photographs, A and B. Or give --answers FILE and "
            "--key FILE."
        )
    if not expand(arguments.photos).is_dir():
        raise SdkitError(f"There is no folder {arguments.photos}. Name one with photographs.")
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    if seed < 0:
        raise SdkitError(f"Seed {seed} is below 0. Choose 0 or more.")
    sheet, key_file = arguments.out / "sheet.html", arguments.out / "key.json"
    for path in (sheet, key_file):
        if path.exists():
            raise SdkitError(f"{path} is there already. Choose another folder with --out.")
    outputs.make_folder(arguments.out)
    originals = {outputs.stem(path): path for path in photos.find_photos([arguments.photos])}
    sides = [_side(name, originals, arguments) for name in (arguments.a, arguments.b)]
    names = sorted(sides[0].keys() & sides[1].keys())
    for name in sorted(sides[0].keys() ^ sides[1].keys()):
        print(f"left out {plain(name)}: only A or only B has it", file=sys.stderr)
    trios = {}
    for name in names:
        a, b = (_open(side[name]) for side in sides)
        if photo := _photo_of(name, originals):
            trios[name] = (photos.open_photo(photo).resize(a.size), a, b)
        else:
            print(f"left out {plain(name)}: there is no photograph of it", file=sys.stderr)
    if not trios:
        raise SdkitError(
            "No photograph has a painting in both A and B. A painting must have the name of its "
            "photograph, or begin with it: me.jpg, me-van-gogh-seed0.png."
        )
    from sdkit.evaluate import blind

    key = blind.make_key(list(trios), arguments.a, arguments.b, seed)
    page = blind.page(key, trios)
    for path, text in ((sheet, page), (key_file, json.dumps(key, indent=1))):
        with write_atomically(path, replace=False) as part:
            part.write_text(text, encoding="utf-8")
    print(f"wrote    {plain(sheet)}  ({len(trios)} pairs; open it in a browser)")
    print(f"wrote    {plain(key_file)}  (do not look before you have judged)")
    return 0


def _side(
    source: str, originals: dict[str, Path | str], arguments: Namespace
) -> dict[str, Path | str | Image.Image]:
    """The paintings of one side by name: files of a folder, or painted now by a model."""
    folder = expand(source)
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        return {outputs.stem(path): path for path in photos.find_photos([source])}
    model = models.resolve(source)
    consent.agree_to_fetch(model, arguments.yes)
    size = {} if arguments.size is None else {"size": arguments.size}
    settings = model.settings(arguments.prompt, **size)
    pipe = model.pipeline("img2img", arguments.device)
    from tqdm import tqdm

    from sdkit import generate

    opened = {name: photos.open_photo(path) for name, path in originals.items()}
    first = photos.resized_size(next(iter(opened.values())), settings.size)
    consent.agree_to_run(pipe, settings, first, len(opened), arguments.yes)
    steps = len(opened) * settings.steps_run
    with tqdm(total=steps, unit="step", disable=None, leave=False) as bar:
        return {
            name: generate.style(pipe, [photo], settings, bar.update, advise=False)[0]
            for name, photo in opened.items()
        }


def _open(painting: Path | str | Image.Image) -> Image.Image:
    """A painting of `_side` as a picture."""
    return painting if isinstance(painting, Image.Image) else photos.open_photo(painting)


def _photo_of(name: str, originals: dict[str, Path | str]) -> Path | str | None:
    """The photograph of a painting: of the same name, or of the longest name it begins with."""
    found = [stem for stem in originals if name == stem or name.startswith(f"{stem}-")]
    return originals[max(found, key=len)] if found else None
