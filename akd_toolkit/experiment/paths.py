"""Layout of experiment folders, which runs are done, and the locks of those that are running."""

import re
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from akd_toolkit.data.files import MANIFEST, SETTINGS, WEIGHTS

STATES = ("done", "running", "stopped", "planned")  # of a run


def of_fold(folder: Path, seed: int, fold: int) -> Path:
    """Subfolder of one seed and outer fold.

    Example
    -------
    >>> of_fold(Path("results/akd"), 17, 1).as_posix()
    'results/akd/seed17/fold1'
    """
    return Path(folder) / f"seed{seed}" / f"fold{fold}"


class RunPaths:
    """Files of one training, or of a compressed student, in its folder."""

    def __init__(self, folder: str | Path):
        self.folder = folder = Path(folder)
        self.student, self.weights = folder / SETTINGS, folder / WEIGHTS
        self.record = folder / "record.json"
        self.history = folder / "metrics.csv"
        self.scores = folder / "scores.csv"  # written last
        self.lock = folder / "running.lock"  # exists while a process trains

    @property
    def done(self) -> bool:
        return self.scores.is_file()

    @property
    def state(self) -> str:
        """``done``, ``running``, ``stopped`` (started, but no process is training) or ``planned``."""
        if self.done:
            return "done"
        if _is_locked(self.lock):
            return "running"
        return "stopped" if self.folder.is_dir() and any(self.folder.iterdir()) else "planned"


class ExperimentPaths:
    """Files of an experiment in its ``output_folder``; rows of an ablation share the corpus of the parent folder."""

    def __init__(self, folder: str | Path):
        self.folder = folder = Path(folder)
        self.settings = folder / "settings.yaml"  # what defines the result; written last
        self.plan = folder / "plan.json"  # seeds and folds of the last start
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
        """An outer run, or with ``split`` and ``candidate`` (from 1) an inner run."""
        name = "outer" if split is None else f"inner{split}-candidate{candidate}"
        return RunPaths(of_fold(self.folder, seed, fold) / name)

    def choice(self, seed: int, fold: int) -> Path:
        return of_fold(self.folder, seed, fold) / "choice.json"

    def teacher_scores(self, title: str) -> Path:
        """Scores of a teacher: in ``teachers/``, or in its own folder for a recipe without a student."""
        alone, beside = (folder / title / "scores.csv" for folder in (self.folder, self.folder / "teachers"))
        return alone if alone.is_file() and not beside.is_file() else beside

    def study(self, name: str) -> Path:
        return self.folder / "studies" / name

    def study_tables(self) -> list[Path]:
        return sorted(self.study("").glob("*/table.md"))

    def begun(self) -> list[tuple[int, int]]:
        """(seed, fold) of every existing folder."""
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.glob("seed*/fold*")]
        found = [re.fullmatch(r"seed(\d+)/fold(\d+)", name) for name in names]
        return sorted((int(match[1]), int(match[2])) for match in found if match)

    def scored_runs(self) -> list[Path]:
        """Folders of all runs that are done."""
        return sorted(path.parent for path in self.folder.glob("seed*/fold*/*/scores.csv"))

    def scored_inner_runs(self) -> list[Path]:
        return [folder for folder in self.scored_runs() if folder.name.startswith("inner")]

    def row(self, title: str) -> Path:
        """Folder of a row of an ablation.

        Example
        -------
        >>> ExperimentPaths("out").row("hybrid transformer + KD").name
        'hybrid-transformer-plus-kd'
        """
        return self.folder / "-".join(re.findall(r"[a-z0-9.]+", title.lower().replace("+", " plus ")))

    def rows(self) -> list[Path]:
        """Folders of experiments directly below, such as rows of an ablation."""
        return sorted(path.parent for path in self.folder.glob(f"*/{self.settings.name}"))


def experiments_at(folder: str | Path) -> list[Path]:
    """The folder itself if it is an experiment, else the experiments directly below it."""
    paths = ExperimentPaths(folder)
    return [paths.folder] if paths.exists else paths.rows()


def refits_below(folder: Path) -> list[RunPaths]:
    """The outer runs in the folder of a fold, a seed, an experiment or an ablation."""
    patterns = ("outer", "fold*/outer", "seed*/fold*/outer", "*/seed*/fold*/outer")
    return [RunPaths(path) for pattern in patterns for path in sorted(folder.glob(pattern))]


@contextmanager
def locked(lock: Path):
    """Hold the lock of a run; ValueError if another process holds it. The system frees the lock of a killed process."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"{lock.parent} is being trained by another process; wait for it or stop it.") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        held.release()


def _is_locked(lock: Path) -> bool:
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
