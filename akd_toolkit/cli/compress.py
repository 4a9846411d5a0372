"""``akd compress RUN``: a finished student made smaller and faster, with what each step costs."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from akd_toolkit.cli.command import Jobs, show

EPILOG = """examples:
  akd compress results/akd/seed17/fold1/outer             the default: prune, train on, 8-bit integers
  akd compress results/akd --steps ../../hparams/compress.yaml --jobs 2
Nothing is done twice: the same command continues where it stopped."""


def run(
    folder: Annotated[str, Argument(metavar="RUN", help="finished outer run, or an experiment for all of its runs")],
    steps: Annotated[Path | None, Option(metavar="YAML", help="pipeline; else as hparams/compress.yaml")] = None,
    to: Annotated[Path | None, Option(metavar="FOLDER", help="where everything goes; else RUN/compressed")] = None,
    store: Annotated[Path | None, Option(metavar="FOLDER", help="store_folder, if it is not found")] = None,
    jobs: Jobs = 1,
) -> None:
    from akd_toolkit.deploy.compress import compress

    path = compress(folder, steps, to, store, jobs)
    show(path.read_text(encoding="utf-8"))
    print(f"written to {path}")
