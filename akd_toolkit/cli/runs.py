"""``akd runs FOLDER``: planned and running trainings of an experiment, and the scores of finished ones."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from akd_toolkit.cli.command import show
from akd_toolkit.experiment.paths import STATES


def run(
    folders: Annotated[list[Path], Argument(metavar="FOLDER...", help="output_folder of a recipe")],
    every: Annotated[bool, Option("--all", help="a line for each training instead of one for each fold")] = False,
    state: Annotated[Literal[STATES] | None, Option(help="only trainings in this state; a line each")] = None,
) -> None:
    from akd_toolkit.experiment.stored import Experiment

    for folder in folders:
        experiment = Experiment.read(folder)
        print(f"{experiment.folder} ({experiment.title})")
        _show_runs(experiment, every or bool(state), state)


def _show_runs(experiment, every: bool, state: str | None) -> None:
    from akd_toolkit.evaluate.report.tables import markdown_table

    runs = experiment.runs()
    if not runs:
        print("no training is planned: the recipe scores its teachers alone.")
        return
    states = {run.name: run.state for run in runs}  # read once, because they change meanwhile
    if every:
        rows = [_row(experiment, run, states[run.name]) for run in runs if state in (None, states[run.name])]
    else:
        rows = [_row_of_fold(experiment, run, states) for run in experiment.outer_runs()]
    show(markdown_table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "none.")
    counts = {state: list(states.values()).count(state) for state in STATES}
    line = f"{len(states)} trainings: {', '.join(f'{count} {state}' for state, count in counts.items() if count)}."
    seconds = [run.record.seconds for run in runs if states[run.name] == "done"]
    if seconds:
        mean_s, left = sum(seconds) / len(seconds), len(states) - len(seconds)
        line += f" Those done took {sum(seconds) / 60:.1f} min of training, {mean_s:.0f} s each"
        line += f"; {left} more take about {left * mean_s / 60:.0f} min one by one." if left else "."
    print(line)


def _row_of_fold(experiment, outer, states: dict[str, str]) -> dict:
    row, inner = _row(experiment, outer, states[outer.name]), experiment.inner_runs(outer)
    if inner:
        choice = experiment.choice(outer.seed, outer.fold) or {}
        row["inner done"] = f"{sum(states[run.name] == 'done' for run in inner)} of {len(inner)}"
        row["chosen"] = choice.get("chosen", "")
        row["inner UA"] = f"{100 * max(choice['inner_ua']):.1f}" if choice.get("inner_ua") else ""
    return row


def _row(experiment, run, state: str) -> dict:
    from akd_toolkit.metrics.scores import ua, wa

    row = {"run": run.name, "scored on": ", ".join(run.test_speakers), "state": state}
    row |= {"minutes": "", "WA": "", "UA": ""}
    if state == "done":
        scores = run.scores(experiment.manifest)
        row["minutes"] = f"{run.record.seconds / 60:.1f}"
        row |= {name: f"{100 * of(scores['truth'], scores['prediction']):.1f}" for name, of in (("WA", wa), ("UA", ua))}
    return row
