"""The verbs of the command line and their options.

The modules `verbs`, `about` and `compare` do the work. They are imported when a verb runs, so
``--help`` is quick.
"""

import argparse
import importlib
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

from sdkit import __version__
from sdkit.errors import COMMAND, SdkitError, plain, unexpected
from sdkit.pictures.samples import SAMPLES

MODEL = (
    "mini (default), sd15, sd-turbo, lcm, small, a repository on the hub (owner/name), "
    "a folder in diffusers' layout, or a .safetensors file"
)
DEVICE = "cpu, or a graphics card: cuda (NVIDIA) or mps (Mac) (default: the fastest)"
DEFAULTS = (
    f"The model has a default for each setting that you leave out ({COMMAND} models lists them)."
)
MEASURED = ("draw", "clip", "vae", "style", "upscale")  # as in sdkit.evaluate.measure
PICTURES = f"picture file, folder, or sample photo: {', '.join(SAMPLES)}"


def main(argv: list[str] | None = None) -> int:
    """Run a verb and return its exit code.

    0: done. 2: something is wrong, and a sentence says what. 130: stopped with Ctrl-C. `check` has
    two more; see `sdkit.cli.verbs.check`.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # a program that has no terminal may have closed them
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (it stays open)
        elif hasattr(getattr(sys, name), "reconfigure"):
            # show a ? for a letter or a tick that the terminal does not have
            getattr(sys, name).reconfigure(errors="replace")
    arguments = make_parser().parse_args(argv)
    module, verb = arguments.verb
    try:
        code = getattr(importlib.import_module(f"sdkit.cli.{module}"), verb)(arguments)
        sys.stdout.flush()
        return code
    except SdkitError as error:
        print(f"sdkit: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough, as in `sdkit models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        print(f"sdkit: {unexpected(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsdkit: stopped. The files written before are complete.", file=sys.stderr)
        return 130


# Messages of argparse, and the same in plain English. A message that is not here stays as it is.
SENTENCES = (
    (r"^the following arguments are required: ", "Something is missing: "),
    (r"^unrecognized arguments: ", "Unknown words: "),
    (r"^argument (\S+): invalid int value: ", r"\1 must be a whole number, not "),
    (r"^argument (\S+): invalid float value: ", r"\1 must be a number, not "),
    (
        r"^argument (\S+): invalid choice: (.*?) \(choose from (.*)\)$",
        r"\1 cannot be \2. Use: \3",
    ),
    (r"^argument (\S+): expected .*$", r"After \1 something is missing"),
)


class Parser(argparse.ArgumentParser):
    """A parser that says in one sentence what it cannot read."""

    def error(self, message: str) -> NoReturn:
        for theirs, ours in SENTENCES:
            message = re.sub(theirs, ours, message)
        self.exit(2, plain(f"sdkit: {message[:250]}. See: {self.prog} --help.") + "\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all verbs. It puts (module in sdkit.cli, function) of the verb into `verb`."""
    parser = Parser(
        prog=COMMAND, description="Paint pictures and photographs with a small Stable Diffusion."
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    verb = verbs.add_parser("draw", help="paint a picture from a sentence", epilog=DEFAULTS)
    verb.add_argument(
        "prompt", nargs="+", metavar="WORD", help='what to paint: "a red house by the sea at night"'
    )
    _settings(verb, "drawn")
    verb.add_argument(
        "--count",
        type=int,
        default=1,
        help="number of pictures, one with this seed and the rest with the next seeds (default 1)",
    )
    verb.add_argument("--style", help='style to paint the picture in, for instance "van gogh"')
    verb.add_argument(
        "--upscale",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="make the picture larger: draw it again at twice the size, then enlarge it four times "
        "(mini-sd does this by default, unless you give a --size)",
    )
    verb.add_argument(
        "--edges",
        metavar="PICTURE",
        help="draw along the edges of a picture: a photograph, a postcard, or your own drawing in "
        "dark lines on white (mini-sd only)",
    )
    verb.add_argument(
        "--edges-scale",
        type=float,
        default=1.0,
        metavar="SCALE",
        help="0 to 2: how much the edges count (default 1)",
    )
    _lora(verb)
    verb.set_defaults(verb=("verbs", "draw"))

    verb = verbs.add_parser(
        "style", help="paint photographs in the style of a prompt", epilog=DEFAULTS
    )
    verb.add_argument("photos", nargs="+", metavar="PHOTO", help=PICTURES)
    verb.add_argument("--prompt", required=True, help='style to paint in, for instance "van gogh"')
    verb.add_argument("--strength", type=float, help="0 to 1: how much to change the photo")
    verb.add_argument(
        "--crop",
        choices=("face", "both"),
        help="face: cut out head and shoulders of each person and paint those; both: paint the "
        "whole photo, too (default: only the whole photo)",
    )
    _settings(verb, "styled")
    verb.add_argument(
        "--grid", action="store_true", help="also write a before/after sheet with the settings"
    )
    _lora(verb)
    verb.set_defaults(verb=("verbs", "style"))

    verb = verbs.add_parser(
        "learn",
        help="teach mini-sd a style from five to ten pictures",
        description="Makes a small file (a LoRA) for the option --lora of draw and style. The name "
        'of each picture should say what it shows: "a red house in the snow.png". Ctrl-C stops and '
        "keeps what was learned; the same command goes on. Use only pictures that you may use.",
    )
    verb.add_argument("folder", metavar="FOLDER", help="folder with the pictures")
    verb.add_argument(
        "--word", required=True, help="the new word for the style, for instance chalk"
    )
    verb.add_argument("--steps", type=int, default=300, help="number of updates (default 300)")
    verb.add_argument(
        "--size",
        type=int,
        default=64,
        help="side of the pictures in pixels while learning (default 64; 128 takes five times as "
        "long)",
    )
    verb.add_argument("--seed", type=int, default=0, help="start of the random numbers (default 0)")
    verb.add_argument("--model", default="mini", help="mini (default), or a folder of its kind")
    verb.add_argument("--device", help=DEVICE)
    verb.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="file for the result (default: learned/WORD.safetensors)",
    )
    verb.add_argument("--overwrite", action="store_true", help="replace a file of the same name")
    verb.set_defaults(verb=("teach", "learn"))

    verb = verbs.add_parser("inpaint", help="paint a part of a picture again", epilog=DEFAULTS)
    verb.add_argument("photo", metavar="PICTURE", help=PICTURES.replace(", folder", ""))
    verb.add_argument(
        "mask", help="picture of the same shape: white where PICTURE is painted again"
    )
    verb.add_argument("--prompt", required=True, help="what to paint there")
    _settings(verb, "inpainted")
    verb.set_defaults(verb=("verbs", "inpaint"))

    verb = verbs.add_parser(
        "edit", help="change a word of what a picture shows, and keep the rest", epilog=DEFAULTS
    )
    verb.add_argument("photo", metavar="PICTURE", help=PICTURES.replace(", folder", ""))
    verb.add_argument(
        "--from", required=True, dest="source", help="what PICTURE shows, in a sentence"
    )
    verb.add_argument(
        "--to", required=True, dest="prompt", help="what it should show: change a word of --from"
    )
    verb.add_argument(
        "--keep",
        type=float,
        default=0.4,
        help="0 to 1 (default 0.4): share of the steps in which the new words look where the old "
        "ones looked; more keeps the shape, less lets another thing take its place",
    )
    verb.add_argument(
        "--everywhere",
        action="store_true",
        help="let the whole picture change, not only the places where the changed words look",
    )
    _settings(verb, "edited")
    verb.set_defaults(verb=("verbs", "edit"))

    verb = verbs.add_parser("upscale", help="make pictures of up to 512 pixels four times larger")
    verb.add_argument("pictures", nargs="+", metavar="PICTURE", help=PICTURES)
    verb.add_argument(
        "--steps",
        type=int,
        default=20,
        dest="num_inference_steps",
        help="number of steps (default 20); --strength says which share of them is run",
    )
    verb.add_argument(
        "--strength", type=float, default=0.4, help="0 to 1: how much to invent (default 0.4)"
    )
    verb.add_argument(
        "--noise-level",
        type=int,
        default=0,
        help="0 (default) to 100: add noise that hides flaws of PICTURE; then more is invented",
    )
    verb.add_argument(
        "--seed",
        type=int,
        default=0,
        help="start of the random numbers (default 0): the same seed gives the same picture",
    )
    verb.add_argument(
        "--model", default="mini-upscaler", help="mini-upscaler (default), or a folder of its kind"
    )
    verb.add_argument("--device", help=DEVICE)
    verb.add_argument("--yes", action="store_true", help="do not ask before a long run")
    _files(verb, "upscaled")
    verb.set_defaults(verb=("verbs", "upscale"))

    verb = verbs.add_parser(
        "booth",
        help="open a photo booth in the browser, which paints visitors",
        description="Nothing is written to disk, unless a visitor downloads a picture. "
        "docs/booth.md says more.",
    )
    verb.add_argument("--port", type=int, default=8866, help="port of the page (default 8866)")
    verb.add_argument(
        "--ip",
        default="127.0.0.1",
        help="who can open the page (default 127.0.0.1: only this computer; 0.0.0.0: everybody in "
        "the network who has the token)",
    )
    verb.add_argument(
        "--token", help="secret word in the address, for --ip (default: a new one each time)"
    )
    verb.add_argument(
        "--time-out",
        type=float,
        default=180,
        metavar="SECONDS",
        help="delete the pictures of a visitor who has done nothing for this time (default 180)",
    )
    verb.add_argument(
        "--kiosk",
        action="store_true",
        help="fill the screen, without menus (with Chromium, Chrome or Edge)",
    )
    verb.add_argument("--no-browser", action="store_true", help="open no browser")
    verb.add_argument("--model", default="mini", help=MODEL)
    verb.set_defaults(verb=("serve", "booth"))

    verb = verbs.add_parser(
        "check",
        help="show what pictures say about how they were made, and whether signatures hold",
        description="The pictures may come from any program. A layer is a note, a manifest or a "
        "mark in a picture that says how it was made. Exit code 0: each picture has at least one "
        "layer, and every signature holds. 1: a picture has no layer. 2: a picture cannot be read, "
        "or its manifest cannot be checked. 3: a signature does not hold. The highest code counts.",
    )
    verb.add_argument("pictures", nargs="+", metavar="PICTURE", help="picture file, or folder")
    verb.set_defaults(verb=("verbs", "check"))

    verb = verbs.add_parser("clear", help="remove photographs and all other outputs from notebooks")
    verb.add_argument(
        "notebooks", nargs="+", metavar="NOTEBOOK", help="notebook, or folder of notebooks"
    )
    verb.set_defaults(verb=("verbs", "clear"))

    verb = verbs.add_parser(
        "models", help="list the networks, their size, licence and default settings"
    )
    verb.set_defaults(verb=("about", "list_models"))

    verb = verbs.add_parser(
        "doctor", help="check that nothing is missing, and say what to do if something is"
    )
    verb.set_defaults(verb=("about", "doctor"))

    verb = verbs.add_parser("measure", help="measure how good the pictures of a model are")
    verb.add_argument(
        "--art", type=Path, metavar="DIR", help="folder with the pictures of data/art.tsv"
    )
    verb.add_argument(
        "--split",
        default="validation",
        choices=("validation", "test"),
        help="validation (default) for tuning, test for the final figures only",
    )
    verb.add_argument(
        "--only",
        nargs="+",
        default=MEASURED,
        choices=MEASURED,
        metavar="PART",
        help=f"what to measure, one or more of: {', '.join(MEASURED)} (default: all)",
    )
    verb.add_argument("--size", type=int, help="short side of the styled photographs in pixels")
    verb.add_argument(
        "--portraits",
        type=int,
        default=8,
        help="number of official portraits to paint (default 8)",
    )
    verb.add_argument(
        "--sheet", type=Path, metavar="PNG", help="also write a sheet of the styled photographs"
    )
    verb.add_argument(
        "--save", type=Path, metavar="FOLDER", help="also write each photograph and styled picture"
    )
    verb.add_argument("--model", default="mini-sd", help=MODEL)
    verb.add_argument("--yes", action="store_true", help="do not ask before a download")
    verb.set_defaults(verb=("about", "measure"))

    verb = verbs.add_parser(
        "bench",
        help="measure how long pictures take on this computer, and compare that with the limits",
        description="This takes some minutes, on the processor. Close other programs first. "
        "docs/performance.md says how to read the table.",
    )
    verb.add_argument(
        "--quick",
        action="store_true",
        help="leave out what takes minutes: sizes over 512 px and the full-size network",
    )
    verb.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the table and each single run as JSON"
    )
    verb.add_argument(
        "--model", default="mini-sd", help="mini-sd (default), or a folder in diffusers' layout"
    )
    verb.set_defaults(verb=("about", "bench"))

    verb = verbs.add_parser(
        "compare",
        help="let people compare two models, or two folders of pictures, without knowing which is "
        "which",
        description="First give PHOTOS, A and B: this writes a page with the pictures in random "
        "order, and a key that says which is which. Judge the pairs on the page. Then count the "
        "answers with --answers and --key.",
    )
    verb.add_argument("photos", nargs="?", metavar="PHOTOS", help="folder of photographs")
    for side in ("A", "B"):
        verb.add_argument(
            side.lower(),
            nargs="?",
            metavar=side,
            help="folder of styled pictures, with the names of the photographs; or a model",
        )
    verb.add_argument("--answers", type=Path, metavar="FILE", help="answers saved by the page")
    verb.add_argument("--key", type=Path, metavar="FILE", help="the key of that page")
    verb.add_argument(
        "--prompt", default="van gogh", help='style that the models paint in (default "van gogh")'
    )
    verb.add_argument("--size", type=int, help="short side of the paintings in pixels")
    verb.add_argument(
        "--seed",
        type=int,
        help="seed for the order and the sides (default: a new one each time; the key names it)",
    )
    verb.add_argument("--device", help=DEVICE)
    verb.add_argument(
        "--yes", action="store_true", help="do not ask before long runs and downloads"
    )
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("compared"),
        help="folder for the page and the key (default: compared)",
    )
    verb.set_defaults(verb=("compare", "compare"))
    return parser


def _settings(verb: argparse.ArgumentParser, folder: str) -> None:
    """Give `verb` the options of all verbs that paint. Results go to `folder`."""
    verb.add_argument("--negative-prompt", default="", help="what to avoid")
    verb.add_argument(
        "--guidance-scale", type=float, help="how much to amplify the prompt; 1: not at all"
    )
    verb.add_argument(
        "--steps", type=int, dest="num_inference_steps", help="steps from pure noise to a picture"
    )
    verb.add_argument(
        "--seed",
        type=int,
        default=0,
        help="start of the random numbers (default 0): the same seed gives the same picture",
    )
    verb.add_argument("--size", type=int, help="short side of the result in pixels")
    verb.add_argument("--model", default="mini", help=MODEL)
    verb.add_argument("--device", help=DEVICE)
    verb.add_argument(
        "--yes", action="store_true", help="do not ask before long runs and downloads"
    )
    _files(verb, folder)


def _lora(verb: argparse.ArgumentParser) -> None:
    """Give `verb` the option for styles that were learned later."""
    verb.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="FILE[:SCALE]",
        help="paint with a learned style (see learn): a LoRA file or a repository on the hub, and "
        "its strength (default 1); write its word into the prompt; you can give several",
    )


def _files(verb: argparse.ArgumentParser, folder: str) -> None:
    """Give `verb` the options about the files that it writes. They go to `folder` by default."""
    verb.add_argument(
        "--out", type=Path, default=Path(folder), help=f"folder for the results (default: {folder})"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace files of the same name")
    verb.add_argument(
        "--no-mark", action="store_true", help='leave out the small "AI" in the corner'
    )
    verb.add_argument(
        "--no-invisible-mark", action="store_true", help="leave out the mark in the pixels"
    )
    verb.add_argument(
        "--unsigned", action="store_true", help="leave out the signed manifest inside the file"
    )
