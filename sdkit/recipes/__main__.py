"""Train everything: ``python -m sdkit.recipes --art DIR``.

``python -m sdkit.recipes --checksums`` only makes the list of checksums again.
"""

import argparse
import sys
from pathlib import Path

from sdkit.errors import SdkitError
from sdkit.files import models_dir
from sdkit.models import checksums
from sdkit.recipes import chain


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and run the chain, or print its plan."""
    parser = argparse.ArgumentParser(prog="python -m sdkit.recipes", description=chain.__doc__)
    parser.add_argument("--art", type=Path, help="folder with the training pictures")
    parser.add_argument(
        "--out", type=Path, help="folder where the networks are saved (default: data/models)"
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        help="folder for checkpoints, logs and loss curves (default: runs)",
    )
    parser.add_argument(
        "--features",
        type=Path,
        help="folder with the VGG16 that losses use (default: the folder features beside --art)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only print the plan, with estimates of time"
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="tiny networks and two steps each, to see whether everything works; needs --out",
    )
    parser.add_argument(
        "--checksums",
        action="store_true",
        help="train nothing; only make the list of checksums beside the networks again",
    )
    args = parser.parse_args(arguments)
    if not args.art and not args.checksums:
        parser.error("Name the folder with the training pictures: --art DIR.")
    try:
        if args.checksums:
            print(checksums.write(args.out or models_dir()))
            return
        if args.tiny and args.out is None:
            raise SdkitError("--tiny would replace the networks in data/models. Give --out DIR.")
        all_stages = chain.stages(args.art, args.out, args.runs, args.tiny, args.features)
        if args.dry_run:
            print(chain.describe(chain.plan(all_stages)))
        else:
            chain.run(all_stages)
            checksums.write(args.out or models_dir())
    except SdkitError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
