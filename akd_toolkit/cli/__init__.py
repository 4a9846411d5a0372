"""The command ``akd``."""

import argparse
import importlib
import logging
import sys

from akd_toolkit import __version__

COMMANDS = {  # name -> module of this room; only the one that is called is imported
    "plugins": "plugins",
    "runs": "runs",
    "audit": "audit",
    "report": "report",
    "study": "study",
    "new-recipe": "new_recipe",
    "compress": "compress",
    "export": "export",
    "bench": "bench",
    "predict": "predict",
    "listen": "listen",
    "release": "release",
}


def main(argv: list[str] | None = None) -> int:
    """Run ``akd`` with ``argv`` (the command line if None) and return the exit code.

    0 when all is well, 1 for a mistake of the user's (one sentence says which) or a finding such as a leak, 130 when
    stopped by Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="akd", description="Adaptive knowledge distillation for speech emotion.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    called = next((word for word in argv if not word.startswith("-")), None)
    for name in [called] if called in COMMANDS else COMMANDS:
        importlib.import_module(f"akd_toolkit.cli.{COMMANDS[name]}").add_parser(commands)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("\nstopped; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
