"""Training curves and trust in teachers, from the histories of finished runs."""

from collections.abc import Sequence

import pandas as pd

from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.record import read_json

VALID = "valid/"  # begins the columns of metrics.csv that come from the held-out speakers of an inner split


def histories(runs: Sequence[PlannedRun]) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[str]]:
    """Curves, trust in each teacher by class and epoch, and the names of runs whose history is missing.

    Of an inner run only the curves of its held-out speakers are taken: it shares seed and fold with the refit.

    Curves have the columns epoch, part, value, split, fold and seed; trust has epoch, part, weight, teacher, label,
    fold and seed, in the order of the labels. None where there is nothing to show, as of a single teacher.

    Raises
    ------
    ValueError
        If a history is damaged or has no epoch.
    """
    curves, trust, missing = [], [], []
    for run in runs:
        try:
            wide = run.history()
        except FileNotFoundError:
            missing.append(run.name)
            continue
        if "epoch" not in wide.columns or wide.empty:
            raise ValueError(f"{run.paths.history} has no row of an epoch; run its training again.")
        curves += _curves(wide, run)
        trust += [_trust(wide, run)] if run.kind == "outer" else []
    drawn = pd.concat(curves, ignore_index=True) if curves else None
    weights = pd.concat(trust, ignore_index=True) if trust else None
    if weights is None or weights["teacher"].nunique() < 2:
        return drawn, None, missing
    # Shares that were rounded while training sum to nearly 1.
    weights["weight"] /= weights.groupby(["fold", "seed", "epoch", "label"])["weight"].transform("sum")
    order = {label: place for place, label in enumerate(runs[0].label_order)}
    by_label = {"key": lambda labels: labels.map(order), "kind": "stable", "ignore_index": True}
    return drawn, weights.sort_values("label", **by_label), missing


def chosen_inner_runs(paths: ExperimentPaths, inner: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Those inner runs that are done and whose candidate was chosen."""
    files = {(run.seed, run.fold): paths.choice(run.seed, run.fold) for run in inner}
    chosen = {key: read_json(file).get("chosen") for key, file in files.items() if file.is_file()}
    return [run for run in inner if run.done and chosen.get((run.seed, run.fold)) == run.candidate]


def _curves(wide: pd.DataFrame, run: PlannedRun) -> list[pd.DataFrame]:
    """Parts of the objective in long form, without the trust by class; of an inner run those of its valid set."""
    split, fold = ("train", run.fold) if run.kind == "outer" else ("valid", f"{run.fold}, inner {run.split}")
    names = [name for name in wide.columns if name.count("/") < 2 and name.startswith(VALID) == (split == "valid")]
    if not set(names) - {"epoch"}:
        return []
    long = wide.melt("epoch", [name for name in names if name != "epoch"], var_name="part", value_name="value").dropna()
    return [long.assign(part=long["part"].str.removeprefix(VALID), split=split, fold=fold, seed=run.seed)]


def _trust(wide: pd.DataFrame, run: PlannedRun) -> pd.DataFrame:
    """Columns trust/<teacher>/<label> in long form."""
    parts = [name for name in wide.columns if name.startswith("trust/") and name.count("/") == 2]
    long = wide.melt("epoch", parts, var_name="part", value_name="weight").dropna()
    names = long["part"].str.split("/")
    return long.assign(teacher=names.str[1], label=names.str[2], fold=run.fold, seed=run.seed)
