"""Where an experiment keeps what: the only code that spells its folders and files, and that decides what is done."""

import re
from pathlib import Path

from akd_toolkit.data.files import MANIFEST, SETTINGS, WEIGHTS
from akd_toolkit.experiment.locks import is_running

STATES = ("done", "running", "stopped", "planned")  # of a training


def of_fold(folder: Path, seed: int, fold: int) -> Path:
    """What belongs to one seed and outer fold, below any folder.

    Example
    -------
    >>> of_fold(Path("results/akd"), 17, 1).as_posix()
    'results/akd/seed17/fold1'
    """
    return Path(folder) / f"seed{seed}" / f"fold{fold}"


class RunPaths:
    """The files of one training, or of a student that was compressed later, in its folder."""

    def __init__(self, folder: str | Path):
        self.folder = folder = Path(folder)
        self.student, self.weights = folder / SETTINGS, folder / WEIGHTS
        self.record = folder / "record.json"  # on whom it was trained and tested, and what was proved of that
        self.history = folder / "metrics.csv"
        self.scores = folder / "scores.csv"  # written last
        self.lock = folder / "running.json"  # there while a process trains
        self.older_proof = folder / "audit.json"  # with heads/, what stood there before record.json

    def older_heads(self) -> list[Path]:
        return sorted((self.folder / "heads").glob("teacher*.json"))

    @property
    def done(self) -> bool:
        return self.scores.is_file()

    @property
    def state(self) -> str:
        """``done``, ``running``, ``stopped`` (begun, and no process trains it) or ``planned``."""
        if self.done:
            return "done"
        if is_running(self.lock):
            return "running"
        return "stopped" if self.folder.is_dir() and any(self.folder.iterdir()) else "planned"


class ExperimentPaths:
    """The files of an experiment in its ``output_folder``; a row of an ablation finds the corpus one folder up."""

    def __init__(self, folder: str | Path):
        self.folder = folder = Path(folder)
        self.settings = folder / "settings.yaml"  # what defines the result; written last
        self.plan = folder / "plan.json"  # what the last start was asked for
        self.environment = folder / "environment.json"
        self.scores, self.report = folder / "scores.csv", folder / "report.md"
        self.ablation_table, self.ablation_report = folder / "ablation.csv", folder / "ablation.md"
        self.debug_corpus = folder / "corpus"
        self.compressed = folder / "compressed"

    @property
    def exists(self) -> bool:
        return self.settings.is_file()

    @property
    def manifest(self) -> Path:
        own = self.folder / MANIFEST
        return own if own.is_file() else self.folder.parent / MANIFEST

    def run(self, seed: int, fold: int, split: int | None = None, candidate: int | None = None) -> RunPaths:
        """A refit, or with ``split`` and ``candidate`` (from 1) one of the inner runs."""
        name = "outer" if split is None else f"inner{split}-candidate{candidate}"
        return RunPaths(of_fold(self.folder, seed, fold) / name)

    def choice(self, seed: int, fold: int) -> Path:
        return of_fold(self.folder, seed, fold) / "choice.json"

    def teacher_scores(self, title: str) -> Path:
        """Of one teacher; a recipe that scores teachers alone kept them in the teacher's own folder."""
        alone = self.folder / title / "scores.csv"
        beside = self.folder / "teachers" / title / "scores.csv"
        return alone if alone.is_file() and not beside.is_file() else beside

    def study(self, name: str) -> Path:
        return self.folder / "studies" / name

    def study_tables(self) -> list[Path]:
        return sorted(self.study("").glob("*/table.md"))

    def begun(self) -> list[tuple[int, int]]:
        """(seed, fold) of every folder that there is."""
        names = [path.relative_to(self.folder).parts for path in self.folder.glob("seed*/fold*")]
        pairs = [(seed.removeprefix("seed"), fold.removeprefix("fold")) for seed, fold in names]
        return sorted((int(seed), int(fold)) for seed, fold in pairs if seed.isdigit() and fold.isdigit())

    def scored_inner_runs(self) -> list[Path]:
        """Folders of inner runs that are done, whether they are still planned or not."""
        return [folder for folder in self.scored_runs() if folder.name.startswith("inner")]

    def scored_runs(self) -> list[Path]:
        """Folders of all runs that are done."""
        return sorted(path.parent for path in self.folder.glob("seed*/fold*/*/scores.csv"))

    def row(self, title: str) -> Path:
        """Folder of the experiment that a row of an ablation is.

        Example
        -------
        >>> ExperimentPaths("out").row("hybrid transformer + KD").name
        'hybrid-transformer-plus-kd'
        """
        return self.folder / "-".join(re.findall(r"[a-z0-9.]+", title.lower().replace("+", " plus ")))

    def rows(self) -> list[Path]:
        """Folders of experiments directly below, such as the rows of an ablation."""
        return sorted(path.parent for path in self.folder.glob(f"*/{self.settings.name}"))


def experiments_at(folder: str | Path) -> list[Path]:
    """The folder itself where it holds an experiment, else those of the experiments directly below it."""
    paths = ExperimentPaths(folder)
    return [paths.folder] if paths.exists else paths.rows()


def experiment_above(place: Path) -> ExperimentPaths | None:
    """The experiment that a folder lies in."""
    return next((paths for paths in map(ExperimentPaths, place.parents) if paths.exists), None)


def refits_below(folder: Path) -> list[RunPaths]:
    """The refits in a folder of a fold, a seed, an experiment or an ablation."""
    patterns = ("outer", "fold*/outer", "seed*/fold*/outer", "*/seed*/fold*/outer")
    return [RunPaths(path) for pattern in patterns for path in sorted(folder.glob(pattern))]
