"""``akd runs FOLDER``: which trainings an experiment plans, which are running, and what the finished ones scored."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from akd_toolkit.experiment.paths import STATES


def run(
    folders: Annotated[list[Path], Argument(metavar="FOLDER...", help="output_folder of a recipe")],
    every: Annotated[bool, Option("--all", help="a line for each training instead of one for each fold")] = False,
    state: Annotated[Literal[STATES] | None, Option(help="only trainings in this state; a line each")] = None,
) -> None:
    from akd_toolkit.cli.run_table import print_runs  # here, because it takes its time

    print_runs(folders, every, state)
