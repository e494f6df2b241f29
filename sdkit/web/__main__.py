"""The commands ``python -m sdkit.web export`` and ``python -m sdkit.web values``."""

import argparse
import sys
from pathlib import Path

from sdkit.errors import SdkitError
from sdkit.files import ROOT


def main() -> int:
    """Run one command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sdkit.web", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    exporting = commands.add_parser("export", help="write the networks as ONNX files for the page")
    exporting.add_argument("--out", type=Path, default=ROOT / "web" / "public" / "model")
    exporting.add_argument(
        "--precision",
        choices=["ships", "float32"],
        default="ships",
        help="float32 is exact and large; it is for tests",
    )
    values = commands.add_parser("values", help="write the numbers for the tests of the page")
    values.add_argument("--out", type=Path, default=ROOT / "web" / "tests" / "values.json")
    arguments = parser.parse_args()
    try:
        if arguments.command == "export":
            from sdkit.web.export import export

            export(arguments.out, exact=arguments.precision == "float32")
        else:
            from sdkit.web.values import write

            write(arguments.out)
    except SdkitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
