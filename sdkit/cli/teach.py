"""The verb learn, which teaches the model a style, and the LoRA files that other verbs take."""

import contextlib
import re
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sdkit import models
from sdkit.cli import consent
from sdkit.errors import COMMAND, AlreadyThere, SdkitError, plain
from sdkit.files import expand
from sdkit.pictures import outputs, photos

if TYPE_CHECKING:
    from sdkit import lora

PICTURES = (3, 100)  # fewest and most in a folder
EVERY = 50  # the progress is written to the disk after so many steps
EXAMPLE = "a red house in the snow at night"


def learn(arguments: Namespace) -> int:
    """Learn a style from the pictures in a folder, or go on with a stopped training."""
    model = models.resolve(arguments.model)
    if not model.knows_postcards:
        raise SdkitError(
            f"{model.label} cannot learn here, because it does not know the kit's postcards. "
            "Use mini. LoRAs that others made for this model work with draw and style: --lora."
        )
    # torch and peft take seconds to import, so the checks come first
    files = _pictures(arguments.folder)
    from sdkit import lora

    word = lora.check_word(arguments.word, model.known_words)
    recipe = lora.Recipe(steps=arguments.steps, size=arguments.size, seed=arguments.seed)
    out = expand(arguments.out or Path("learned") / f"{outputs.slug(word)}.safetensors")
    if out.suffix != ".safetensors":
        raise SdkitError(f"--out is {out.name[:60]}. Give the name of a .safetensors file.")
    if out.exists() and not arguments.overwrite:
        raise AlreadyThere(f"{out} exists already. Choose another --out, or add --overwrite.")
    outputs.make_folder(out.parent)
    captions = [lora.caption_of(file, model.known_words) for file in files]
    pictures = [photos.open_photo(file) for file in files]
    _describe(files, captions, word)
    pipe = model.pipeline("text2img", arguments.device)
    about = lora.fingerprint(pictures, captions, word, recipe, model.label)
    return _train(lora.Learner(pipe, pictures, captions, word, recipe), out, about)


def _train(learner: "lora.Learner", out: Path, about: str) -> int:
    """Train to the end of the recipe, or until Ctrl-C; write the LoRA in both cases."""
    from tqdm import tqdm

    unfinished, steps = out.with_name(f".{out.stem}.progress"), learner.recipe.steps
    began = time.perf_counter()
    try:
        if learner.go_on(unfinished, about):
            print(f"Going on after step {learner.done} of {steps}.")
        with (
            _interrupt() as asked,
            tqdm(total=steps, initial=learner.done, unit="step", disable=None, leave=False) as bar,
        ):
            for done, loss in learner.train():
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update()
                if asked:
                    break
                if done % EVERY == 0:
                    learner.save_progress(unfinished, about)
        stopped = learner.done < steps
        if stopped:
            learner.save_progress(unfinished, about)
        learner.save(out)
    finally:
        learner.remove()
    size = out.stat().st_size / 1e6
    print(f"wrote    {plain(out)}  ({size:.1f} MB, {time.perf_counter() - began:.0f} s)")
    prompt = f'"{EXAMPLE}, {learner.word}"'
    if stopped:
        print(
            f"Stopped after step {learner.done} of {steps}. The file holds what was learned so "
            "far. To go on, give the same command again, with --overwrite.",
            file=sys.stderr,
        )
    else:
        unfinished.unlink(missing_ok=True)
    print(f"Try it: {COMMAND} draw {prompt} --lora {plain(out)}")
    return 130 if stopped else 0


@contextlib.contextmanager
def _interrupt() -> Iterator[list[int]]:
    """Ctrl-C adds to the list, so that a step is never stopped halfway.

    The second Ctrl-C stops at once.
    """
    asked: list[int] = []

    def stop(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _pictures(folder: str) -> list[Path]:
    """The pictures of a folder. Raises `SdkitError` if they are too few or too many."""
    path, (fewest, most) = expand(folder), PICTURES
    if not path.is_dir():
        raise SdkitError(f"There is no folder {folder[:200]}. Put five to ten pictures into one.")

    def skip(file: Path) -> None:
        if file.suffix != ".txt":
            print(f"skipped  {plain(file.name)}: not a picture")

    found = [Path(file) for file in photos.find_photos([path], on_skip=skip)]
    if not fewest <= len(found) <= most:
        raise SdkitError(
            f"The folder {path.name} holds {len(found)} picture{'s' * (len(found) != 1)}. "
            f"Choose {fewest} to {most}; five to ten are a good number."
        )
    return found


def _describe(files: list[Path], captions: list[str], word: str) -> None:
    """Print the caption of each picture."""
    for file, caption in zip(files, captions):
        print(f"{plain(file.name)}: {plain(caption) or '(not said)'}")
    if not all(captions):
        print(
            f"Note: The file of a picture should say what it shows, so that {word!r} comes to mean "
            f'the style alone. Name it such as "{EXAMPLE}.png", or write that into a file of the '
            "same name that ends in .txt.",
            file=sys.stderr,
        )


def loras(arguments: Namespace) -> "list[lora.Lora]":
    """The LoRAs that --lora names: files, or repositories on the hub (owner/name)."""
    if not arguments.lora:
        return []
    from sdkit import lora

    found = []
    for text in arguments.lora:
        name, scale = lora.split(text)
        found.append(lora.read(_from_hub(name, arguments.yes) or name, scale))
    return found


def _from_hub(name: str, yes: bool) -> Path | None:
    """The file of a LoRA on the hub, downloaded if it is not here; None if `name` is a file."""
    from sdkit.models import hub, loading

    if expand(name).exists() or not hub.is_repository(name):
        return None
    folder = hub.cached(name, loading.ADAPTER)
    if not folder:
        consent.ask(
            f"The LoRA {name} is not on this computer and must be downloaded from the hub.",
            yes,
            "give a LoRA file of your own",
        )
        folder = hub.fetch(name, loading.ADAPTER)
    return folder / loading.ADAPTER


def note(used: "list[lora.Lora]") -> dict[str, str]:
    """The lines on the LoRAs for the note of a picture."""
    return {"LoRA": "; ".join(one.label for one in used)} if used else {}


def without_words(prompt: str, used: "list[lora.Lora]") -> str:
    """The prompt without the words of the LoRAs. The model does not have to know these words."""
    for one in used:
        if one.word:
            prompt = re.sub(rf"\s*,?\s*\b{re.escape(one.word)}\b", "", prompt, flags=re.IGNORECASE)
    return prompt.strip(" ,") if used else prompt
