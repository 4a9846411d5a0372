"""``akd study NAME FOLDER...``: studies of finished experiments, without training."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from akd_toolkit.cli.command import Command, Jobs, show

Folder = Annotated[str, Argument(metavar="FOLDER", help="finished experiment")]
Folders = Annotated[list[str], Argument(metavar="FOLDER...", help="finished experiments")]
To = Annotated[Path | None, Option(metavar="FOLDER", help="for the common table of several experiments")]
app = Typer(help="re-evaluate finished experiments, without training", rich_markup_mode=None, add_completion=False)


def study(name: str, experiments, **options) -> None:
    """Run a study and print its table."""
    from akd_toolkit.evaluate import studies
    from akd_toolkit.experiment.stored import Experiment

    several = isinstance(experiments, list)
    experiments = [Experiment.read(folder) for folder in experiments] if several else Experiment.read(experiments)
    given = {key: value for key, value in options.items() if value is not None}
    path = getattr(studies, f"{name}_study")(experiments, **given)
    show(path.read_text(encoding="utf-8"))
    print(f"written to {path}")


@app.command(cls=Command)
def overlap(
    folders: Folders,
    window_s: Annotated[
        list[float] | None, Option("--window_s", metavar="S...", help="(1 2 3), beside the length used in training")
    ] = None,
    overlap_s: Annotated[
        list[float] | None, Option("--overlap_s", metavar="S...", help="(0 0.25 0.5), beside 0")
    ] = None,
    jobs: Jobs = 1,
    to: To = None,
) -> None:
    """test windows of several lengths and overlaps (the paper's Table 1)"""
    study("overlap", folders, windows_s=window_s, overlaps_s=overlap_s, jobs=jobs, to=to)


@app.command(cls=Command)
def noise(folders: Folders, jobs: Jobs = 1, to: To = None) -> None:
    """noise, babble, rooms and telephones on the test speech"""
    study("noise", folders, jobs=jobs, to=to)


@app.command(cls=Command)
def cross(
    folder: Folder,
    on: Annotated[str, Option(metavar="FOLDER", help="any experiment on the other corpus")],
    labels: Annotated[str | None, Option(metavar="YAML", help="equal labels: lines of 'label: common name'")] = None,
    unlabelled: Annotated[str | None, Option(metavar="MANIFEST", help="speech without labels of FOLDER")] = None,
    jobs: Jobs = 1,
) -> None:
    """all utterances of another corpus"""
    study("cross", folder, on=on, labels=labels, unlabelled=unlabelled, jobs=jobs)


def _of_stored_scores(name: str, about: str) -> None:
    @app.command(name, cls=Command, help=about)
    def run(folders: Folders, to: To = None) -> None:
        study(name, folders, to=to)


_of_stored_scores("calibration", "calibration of the posteriors, before and after a temperature")
_of_stored_scores("agreement", "agreement with each teacher, and whose mistakes are repeated")
_of_stored_scores("groups", "every speaker, women and men")
_of_stored_scores("sources", "candidates on inner folds, and what each source of unlabelled speech is worth")


@app.command(cls=Command)
def shares(
    folder: Annotated[str, Argument(metavar="FOLDER", help="output_folder of an ablation over label_share")],
) -> None:
    """systems by their share of labels (LiSER's table), from the finished rows of an ablation"""
    from akd_toolkit.experiment.paths import ExperimentPaths, experiments_at

    study("shares", list(map(str, experiments_at(folder))), to=ExperimentPaths(folder).study(""))
