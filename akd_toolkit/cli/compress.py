"""``akd compress RUN``: a finished student made smaller and faster, with what each step costs."""

import argparse
import logging
from pathlib import Path

EPILOG = """examples:
  akd compress results/akd/seed17/fold1/outer             the default: prune, train on, 8-bit integers
  akd compress results/akd --steps ../../hparams/compress.yaml --jobs 2
Nothing is done twice: the same command continues where it stopped."""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "compress",
        help="prune and quantise a finished student; a table of what each step costs",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="RUN", help="finished outer run, or an experiment for all of its runs")
    parser.add_argument("--steps", type=Path, metavar="YAML", help="the pipeline (default: as hparams/compress.yaml)")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where everything goes (default: RUN/compressed)")
    parser.add_argument("--store", type=Path, metavar="FOLDER", help="the recipe's store_folder, if it is not found")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs are compressed side by side")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    logging.getLogger("speechbrain").setLevel(logging.WARNING)  # it greets whoever imports it
    from akd_toolkit.compress import compress  # here, because torch and speechbrain come with it

    path = compress(arguments.folder, arguments.steps, arguments.to, arguments.store, arguments.jobs)
    print(path.read_text(encoding="utf-8"))
    print(f"written to {path}")
    return 0
