"""What ``akd runs`` prints."""

from pathlib import Path

import pandas as pd

from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.experiment.paths import STATES
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.scores import ua, wa


def print_runs(folders: list[Path], every: bool = False, state: str | None = None) -> None:
    """A table and a summary for each experiment: a line a fold, or a line a training of all or of those in a state."""
    for folder in folders:
        experiment = Experiment.read(folder)
        states = {run.name: run.state for run in experiment.runs()}  # read once: they change meanwhile
        print(f"{experiment.folder} ({experiment.title})")
        if not states:
            print("no training is planned: the recipe scores its teachers alone.")
            continue
        if every or state:
            rows = [_line(experiment, run, states[run.name]) for run in experiment.runs()]
            rows = [row for row in rows if state in (None, row["state"])]
        else:
            rows = _by_fold(experiment, states)
        print(markdown_table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "none.")
        print(summary(experiment, states))


def summary(experiment: Experiment, states: dict[str, str]) -> str:
    """How many trainings are in each state, and how much time those done have taken."""
    counts = {state: list(states.values()).count(state) for state in STATES}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    done = [run for run in experiment.runs() if states[run.name] == "done"]
    seconds = [run.record.seconds for run in done]
    told = f"{len(states)} trainings: {', '.join(parts)}."
    if seconds:
        told += f" Those done took {sum(seconds) / 60:.1f} min of training, {sum(seconds) / len(seconds):.0f} s each"
        left = len(states) - counts["done"]
        told += (
            f"; {left} more take about {left * sum(seconds) / len(seconds) / 60:.0f} min one by one." if left else "."
        )
    return told


def _by_fold(experiment: Experiment, states: dict[str, str]) -> list[dict]:
    rows = []
    for last in experiment.outer_runs():
        inner = experiment.inner_runs(last)
        chosen = experiment.choice(last.seed, last.fold) or {}
        candidate = chosen.get("chosen", "")
        inner_done = sum(states[run.name] == "done" for run in inner)
        rows.append(
            {
                **_line(experiment, last, states[last.name]),
                **({"inner done": f"{inner_done} of {len(inner)}"} if inner else {}),
                **(
                    {"chosen": candidate, "inner UA": _percent(max(chosen.get("inner_ua", [float("nan")])))}
                    if inner
                    else {}
                ),
            }
        )
    return rows


def _line(experiment: Experiment, run: PlannedRun, state: str) -> dict:
    scores = run.scores(experiment.manifest) if state == "done" else pd.DataFrame()
    measured = [measure(scores["truth"], scores["prediction"]) if len(scores) else float("nan") for measure in (wa, ua)]
    return {
        "run": run.name,
        "scored on": ", ".join(run.test_speakers),
        "state": state,
        "minutes": f"{run.record.seconds / 60:.1f}" if state == "done" else "",
        "WA": _percent(measured[0]),
        "UA": _percent(measured[1]),
    }


def _percent(share: float) -> str:
    return "" if pd.isna(share) else f"{100 * share:.1f}"
