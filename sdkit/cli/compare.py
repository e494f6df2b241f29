"""The verb compare: a page with blind pairs of paintings, and the count of the answers."""

import json
import secrets
import sys
from argparse import Namespace
from collections.abc import Callable

from PIL import Image

from sdkit import models
from sdkit.cli import consent
from sdkit.errors import SdkitError, plain
from sdkit.files import expand, write_atomically
from sdkit.pictures import album, outputs


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
        raise SdkitError(f"There is no folder {arguments.photos}. Give a folder of photographs.")
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    if seed < 0:
        raise SdkitError(f"Seed {seed} is below 0. Choose 0 or more.")
    sheet, key_file = arguments.out / "sheet.html", arguments.out / "key.json"
    for path in (sheet, key_file):
        if path.exists():
            raise SdkitError(f"{path} exists already. Choose another folder with --out.")
    outputs.make_folder(arguments.out)
    originals, leave_out = album.named([arguments.photos]), _once()
    sides = [_side(name, originals, arguments, leave_out) for name in (arguments.a, arguments.b)]
    for name in sorted(sides[0].keys() ^ sides[1].keys()):
        leave_out(f"left out {plain(name)}: only A or only B has it")
    photo_of = {name: _photo_of(name, originals) for name in sides[0].keys() & sides[1].keys()}
    for name in sorted(name for name, photo in photo_of.items() if photo is None):
        leave_out(f"left out {plain(name)}: it has no photograph")
    wanted = {name: source for name, source in originals.items() if name in photo_of.values()}
    trios = {}
    for photo, picture in album.open_each(wanted, leave_out):
        for name in sorted(name for name in photo_of if photo_of[name] == photo):
            a, b = (side[name] for side in sides)
            trios[name] = (picture.resize(a.size), a, b)
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
    print(f"wrote    {plain(key_file)}  (open it after you have judged)")
    return 0


def _once() -> Callable[[str], None]:
    """A function that prints a sentence to stderr, but the same one only once.

    Both sides and the page open the same photographs.
    """
    said: set[str] = set()

    def leave_out(sentence: str) -> None:
        if sentence not in said:
            print(sentence, file=sys.stderr)
        said.add(sentence)

    return leave_out


def _side(
    source: str,
    originals: dict[str, album.Source],
    arguments: Namespace,
    leave_out: Callable[[str], None],
) -> dict[str, Image.Image]:
    """The paintings of one side by name: files of a folder, or painted now by a model."""
    folder = expand(source)
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        return dict(album.open_each(album.named([source]), leave_out))
    model = models.resolve(source)
    consent.agree_to_fetch(model, arguments.yes)
    size = {} if arguments.size is None else {"size": arguments.size}
    settings = model.settings(arguments.prompt, **size)
    pipe = model.pipeline("img2img", arguments.device)
    from tqdm import tqdm

    from sdkit import generate

    painted: dict[str, Image.Image] = {}
    steps = len(originals) * settings.steps_run
    with tqdm(total=steps, unit="step", disable=None, leave=False) as bar:
        for name, photo in album.open_each(originals, leave_out, settings.size):
            if not painted:
                with bar.external_write_mode():  # the question needs the line of the bar
                    consent.agree_to_run(pipe, settings, photo.size, len(originals), arguments.yes)
            (painted[name],) = generate.style(pipe, [photo], settings, bar.update, advise=False)
    return painted


def _photo_of(name: str, originals: dict[str, album.Source]) -> str | None:
    """The photograph of a painting: of the same name, or of the longest name it begins with."""
    found = [stem for stem in originals if name == stem or name.startswith(f"{stem}-")]
    return max(found, key=len, default=None)
