"""Training curves and trust in teachers, from the histories of finished runs."""

from collections.abc import Sequence

import pandas as pd

from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.record import read_json

VALID = "valid/"  # prefix of the columns of metrics.csv that come from the held-out speakers of an inner split


def histories(runs: Sequence[PlannedRun]) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[str]]:
    """Curves, trust in each teacher by class and epoch, and the names of runs whose history is missing.

    Of an inner run only the curves of its held-out speakers are taken: it shares seed and fold with the refit.

    Curves have the columns epoch, part, value, split, fold and seed; trust has epoch, weight, teacher, label, fold and
    seed, in the order of the labels. None where there is nothing to show, as with a single teacher.
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
        long = wide.melt("epoch", var_name="part").dropna().assign(seed=run.seed)
        levels, valid = long["part"].str.count("/"), long["part"].str.startswith(VALID)
        if run.kind == "outer":
            curves.append(long[(levels < 2) & ~valid].assign(split="train", fold=run.fold))
            by_class = long[long["part"].str.startswith("trust/") & (levels == 2)].assign(fold=run.fold)
            by_class[["teacher", "label"]] = by_class["part"].str.split("/", expand=True).reindex(columns=[1, 2])
            trust.append(by_class.rename(columns={"value": "weight"}).drop(columns="part"))
        else:
            of_valid = long[(levels < 2) & valid].assign(split="valid", fold=f"{run.fold}, inner {run.split}")
            curves.append(of_valid.assign(part=of_valid["part"].str.removeprefix(VALID)))
    drawn = pd.concat(curves, ignore_index=True) if curves else None
    weights = pd.concat(trust, ignore_index=True) if trust else None
    drawn = None if drawn is None or drawn.empty else drawn
    if weights is None or weights["teacher"].nunique() < 2:
        return drawn, None, missing
    # Shares that were rounded while training sum to nearly 1.
    weights["weight"] /= weights.groupby(["fold", "seed", "epoch", "label"])["weight"].transform("sum")
    order = {label: place for place, label in enumerate(runs[0].label_order)}
    by_label = {"key": lambda labels: labels.map(order), "kind": "stable", "ignore_index": True}
    return drawn, weights.sort_values("label", **by_label), missing


def trust_at_the_end(trust: pd.DataFrame) -> pd.DataFrame:
    """Mean weight in the last epoch of each run: teachers x classes."""
    last = trust[trust["epoch"] == trust.groupby(["fold", "seed"])["epoch"].transform("max")]
    table = last.groupby(["teacher", "label"], sort=False)["weight"].mean().unstack()
    return table.reindex(index=last["teacher"].unique(), columns=last["label"].unique())


def chosen_inner_runs(paths: ExperimentPaths, inner: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Those inner runs that are done and whose candidate was chosen."""
    files = {(run.seed, run.fold): paths.choice(run.seed, run.fold) for run in inner}
    chosen = {key: read_json(file).get("chosen") for key, file in files.items() if file.is_file()}
    return [run for run in inner if run.done and chosen.get((run.seed, run.fold)) == run.candidate]
