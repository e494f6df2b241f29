"""The commands of the page: ``python -m sdkit.web export | build | serve | measure | values``."""

import argparse
import json
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
    commands.add_parser("build", help="export the networks and build the page (needs node)")
    serving = commands.add_parser("serve", help="serve the built page on this computer")
    serving.add_argument("--port", type=int, default=8040)
    measuring = commands.add_parser("measure", help="compare the page's pictures with PyTorch's")
    measuring.add_argument("--art", type=Path, required=True, help="the training pictures")
    measuring.add_argument("--count", type=int, default=24, help="sentences, and photographs")
    values = commands.add_parser("values", help="write the numbers for the tests of the page")
    values.add_argument("--out", type=Path, default=ROOT / "web" / "tests" / "values.json")
    arguments = parser.parse_args()
    try:
        if arguments.command == "export":
            from sdkit.web.export import export

            export(arguments.out, exact=arguments.precision == "float32")
        elif arguments.command == "measure":
            from sdkit.web.fidelity import measure_page

            print(json.dumps(measure_page(arguments.art, arguments.count), indent=2))
        elif arguments.command == "values":
            from sdkit.web.values import write

            write(arguments.out)
        else:
            from sdkit.web import host

            host.build() if arguments.command == "build" else host.serve(arguments.port)
    except SdkitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
