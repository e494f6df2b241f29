"""The verbs of the command line and their options. What a verb does is in `verbs` and `about`.

The parser imports neither `verbs` nor `about`, for these need NumPy and more: ``--help`` is quick.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

from sdkit import __version__
from sdkit.errors import SdkitError, plain, unexpected
from sdkit.pictures.samples import SAMPLES

MODEL = (
    "mini (default), sd15, sd-turbo, lcm, small, a repository on the hub (owner/name), "
    "a folder in diffusers' layout, or a .safetensors file"
)
DEVICE = "cpu, cuda or mps, where there is one (default: the fastest)"
DEFAULTS = "Where a setting is left out, the model's own default holds (see: sdkit models)."
PICTURES = f"picture file, folder, or sample photo: {', '.join(SAMPLES)}"


def main(argv=None):
    """Run a verb and return its exit code: 0 done, 2 something is wrong (and was said in a sentence)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # a program that has no terminal may have closed them
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (it stays open)
        elif hasattr(getattr(sys, name), "reconfigure"):
            # a terminal that lacks a letter or a tick shows a ? instead
            getattr(sys, name).reconfigure(errors="replace")
    arguments = _parser().parse_args(argv)
    try:
        code = arguments.verb(arguments)
        sys.stdout.flush()
        return code
    except SdkitError as error:
        print(f"sdkit: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who read along (as in `sdkit models | head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        print(f"sdkit: {unexpected(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsdkit: stopped; what was written before is whole.", file=sys.stderr)
        return 130


class Parser(argparse.ArgumentParser):
    """Says in one sentence what it cannot read, as the rest of the kit does."""

    def error(self, message):
        self.exit(2, plain(f"sdkit: {message[:250]}. See: {self.prog} --help.") + "\n")


def _later(module, name):
    """A function that imports `sdkit.cli.<module>` when it is called, and runs the verb `name`."""

    def run(arguments):
        return getattr(importlib.import_module(f"sdkit.cli.{module}"), name)(arguments)

    return run


def _parser():
    parser = Parser(prog="sdkit", description="Stable Diffusion, small and in the open.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("draw", help="paint a picture from a sentence", epilog=DEFAULTS)
    verb.add_argument(
        "prompt", nargs="+", metavar="WORD", help='what to paint: "a red house by the sea at night"'
    )
    _settings(verb, "drawn")
    verb.add_argument(
        "--count",
        type=int,
        default=1,
        help="how many, with this seed and the following (default 1)",
    )
    verb.add_argument("--style", help='paint the result again in a style, for instance "van gogh"')
    verb.add_argument(
        "--upscale",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="make what is drawn larger: mini-sd draws it again at twice the size, and it is then "
        "enlarged four times (its default, unless a --size is asked for)",
    )
    verb.set_defaults(verb=_later("verbs", "draw"))

    verb = verbs.add_parser(
        "style", help="paint photographs in the style of a prompt", epilog=DEFAULTS
    )
    verb.add_argument("photos", nargs="+", metavar="PHOTO", help=PICTURES)
    verb.add_argument("--prompt", required=True, help='what to paint like, for instance "van gogh"')
    verb.add_argument("--strength", type=float, help="0 to 1: how far to go from the photo")
    _settings(verb, "styled")
    verb.add_argument(
        "--grid", action="store_true", help="also write a before/after sheet with the settings"
    )
    verb.set_defaults(verb=_later("verbs", "style"))

    verb = verbs.add_parser("inpaint", help="paint a part of a picture anew", epilog=DEFAULTS)
    verb.add_argument("photo", metavar="PICTURE", help=PICTURES.replace(", folder", ""))
    verb.add_argument(
        "mask", help="picture of the same shape: white where PICTURE shall be painted anew"
    )
    verb.add_argument("--prompt", required=True, help="what to paint there")
    _settings(verb, "inpainted")
    verb.set_defaults(verb=_later("verbs", "inpaint"))

    verb = verbs.add_parser("upscale", help="make pictures of up to 512 pixels four times larger")
    verb.add_argument("pictures", nargs="+", metavar="PICTURE", help=PICTURES)
    verb.add_argument(
        "--steps",
        type=int,
        default=20,
        dest="num_inference_steps",
        help="steps (default 20), of which the share --strength is made",
    )
    verb.add_argument(
        "--strength", type=float, default=0.4, help="0 to 1: how much to invent (default 0.4)"
    )
    verb.add_argument(
        "--noise-level",
        type=int,
        default=0,
        help="0 (default) to 100: noise that hides flaws of PICTURE, and leaves more to be invented",
    )
    verb.add_argument(
        "--seed", type=int, default=0, help="of the noise (default 0): one seed, one picture"
    )
    verb.add_argument(
        "--model", default="mini-upscaler", help="mini-upscaler (default), or a folder of its kind"
    )
    verb.add_argument("--device", help=DEVICE)
    _files(verb, "upscaled")
    verb.set_defaults(verb=_later("verbs", "upscale"))

    verb = verbs.add_parser("clear", help="take photographs and all other outputs out of notebooks")
    verb.add_argument(
        "notebooks", nargs="+", metavar="NOTEBOOK", help="notebook, or folder of notebooks"
    )
    verb.set_defaults(verb=_later("verbs", "clear"))

    verb = verbs.add_parser(
        "models", help="list the networks, their size, licence and default settings"
    )
    verb.set_defaults(verb=_later("about", "list_models"))

    verb = verbs.add_parser(
        "doctor", help="check that all is there, and say what to do where it is not"
    )
    verb.set_defaults(verb=_later("about", "doctor"))

    verb = verbs.add_parser(
        "measure", help="print the figures of the shipped weights on held-out pictures"
    )
    verb.add_argument(
        "--art", type=Path, metavar="DIR", help="folder with the pictures of data/art.tsv"
    )
    verb.add_argument(
        "--split",
        default="validation",
        choices=("validation", "test"),
        help="validation (default) for tuning, test for closing figures only",
    )
    verb.add_argument(
        "--sheet", type=Path, metavar="PNG", help="also write a sheet of the styled photographs"
    )
    verb.add_argument("--model", default="mini-sd", help=MODEL)
    verb.add_argument(
        "--yes", action="store_true", help="answer the question on a download with yes"
    )
    verb.set_defaults(verb=_later("about", "measure"))
    return parser


def _settings(verb, folder):
    """Give ``verb`` the options that all picture-making verbs share; results go to ``folder``."""
    verb.add_argument("--negative-prompt", default="", help="what to keep away from")
    verb.add_argument(
        "--guidance-scale", type=float, help="how much to amplify the prompt; 1 is not at all"
    )
    verb.add_argument(
        "--steps", type=int, dest="num_inference_steps", help="steps of the whole chain"
    )
    verb.add_argument(
        "--seed", type=int, default=0, help="of the noise (default 0): one seed, one picture"
    )
    verb.add_argument("--size", type=int, help="short side of the result in pixels")
    verb.add_argument("--model", default="mini", help=MODEL)
    verb.add_argument("--device", help=DEVICE)
    verb.add_argument(
        "--yes", action="store_true", help="answer questions on long runs and downloads with yes"
    )
    _files(verb, folder)


def _files(verb, folder):
    """Give ``verb`` the options on the files that it writes, into ``folder`` where nothing else is said."""
    verb.add_argument(
        "--out", type=Path, default=Path(folder), help=f"folder for the results (default: {folder})"
    )
    verb.add_argument("--overwrite", action="store_true", help="replace files of the same name")
    verb.add_argument(
        "--no-mark", action="store_true", help='leave out the small "AI" in the corner'
    )
