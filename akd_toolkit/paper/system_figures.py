"""The pictures of one system: confusion, reliability, speakers, training and trust in its teachers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from akd_toolkit.experiment.stored import Experiment, StoredRun
from akd_toolkit.paper.document import Block, Figure, Text
from akd_toolkit.paper.figures import plot_reliability, plot_speakers, speaker_scores
from akd_toolkit.paper.studies import calibration_bins
from akd_toolkit.paper.systems import System, marking
from akd_toolkit.report.page import percent
from akd_toolkit.report.plots import (
    plot_confusion,
    plot_teacher_weights,
    plot_teacher_weights_epochs,
    plot_training,
)
from akd_toolkit.studies.calibration import reliability


class Drawing:
    """Draws pictures into ``folder``/figures and numbers their captions.

    Arguments
    ---------
    folder
        The report's.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.count = 0

    def __call__(
        self,
        name: str,
        caption: str,
        alt: str,
        draw: Callable[[list[Path]], None],
        marks: tuple[str, ...] = (),
        themed: bool = True,
    ) -> Figure:
        """``draw`` is given the two files to write."""
        self.count += 1
        draw([self.folder / "figures" / f"{name}{suffix}" for suffix in (".png", ".svg")])
        return Figure(name, f"{marking(marks)}Figure {self.count}. {caption}", alt, themed)


def figure_title(system: System, what: str) -> str:
    """What stands above a picture: watermarks first."""
    return " - ".join([*system.marks, f"{system.corpus}: {system.name}", what])


def confusion_figure(system: System, draw: Drawing, key: str) -> Figure:
    """Figures 2 to 4 of the paper: percent of the true class, and counts."""
    found = system.summary
    seeds = ", mean counts over seeds" if found["seeds"] > 1 else ""
    caption = f"Confusion, {system.corpus}, {system.name}: all outer tests together, percent of the true class{seeds}."
    title = figure_title(system, "confusion")
    alt = f"confusion matrix of {system.name} on {system.corpus}: recalls " + ", ".join(
        f"{row.label} {percent(row.recall)}" for row in found["class_table"].itertuples()
    )
    drawn = partial(plot_confusion, found["confusion"], system.label_order, title=title)
    return draw(f"confusion-{key}", caption, alt, drawn, system.marks, themed=False)


def system_blocks(system: System, draw: Drawing, key: str) -> list[Block]:
    """Reliability, speakers and, of a student, training curves and trust in its teachers."""
    blocks: list[Block] = [_reliability(system, draw, key), _speakers(system, draw, key)]
    if system.teacher:
        return blocks
    curves, trust, missing = histories(system.experiment)
    if curves is not None:
        caption = f"Training, {system.corpus}, {system.name}: every fold and seed, and their mean."
        title = figure_title(system, "training")
        drawn = partial(plot_training, curves, title=title)
        alt = "training curves, one panel for each part of the objective"
        blocks.append(draw(f"training-{key}", caption, alt, drawn, system.marks))
    if trust is not None:
        blocks += _trust(system, trust, draw, key)
    if missing:
        blocks.append(Text(f"No metrics.csv, so no curves, of {', '.join(missing)}.", warning=True))
    return blocks


def histories(experiment: Experiment) -> tuple[pd.DataFrame | None, pd.DataFrame | None, list[str]]:
    """Training curves and trust in each teacher of every finished outer run, and the runs whose metrics are missing.

    Raises
    ------
    ValueError
        If a metrics.csv cannot be read; the sentence names it.
    """
    curves, trust, missing = [], [], []
    for run in experiment.outer_runs():
        if run.state != "done":
            continue
        try:
            wide = run.history()
        except FileNotFoundError:
            missing.append(run.name)
            continue
        except ValueError as error:
            raise ValueError(
                f"{run.folder / 'metrics.csv'} cannot be read ({error}); run its training again."
            ) from None
        if "epoch" not in wide.columns or wide.empty:
            raise ValueError(f"{run.folder / 'metrics.csv'} has no row of an epoch; run its training again.")
        curves.append(_curves(wide, run))
        trust.append(_trust_rows(wide, run))
    drawn = pd.concat(curves, ignore_index=True) if curves else None
    weights = pd.concat(trust, ignore_index=True) if trust else None
    if weights is None or weights.empty or weights["teacher"].nunique() < 2:
        return drawn, None, missing
    # Shares that were rounded while training sum to nearly 1.
    weights["weight"] /= weights.groupby(["fold", "seed", "epoch", "label"])["weight"].transform("sum")
    order = {label: place for place, label in enumerate(experiment.label_order)}
    return drawn, weights.sort_values("label", key=lambda labels: labels.map(order), kind="stable"), missing


def _curves(wide: pd.DataFrame, run: StoredRun) -> pd.DataFrame:
    """Parts of the objective in long form, without the trust by class."""
    wide = wide[[name for name in wide.columns if name.count("/") < 2]]
    long = wide.melt(id_vars="epoch", var_name="part", value_name="value").dropna()
    return long.assign(split="train", fold=run.fold, seed=run.seed)


def _trust_rows(wide: pd.DataFrame, run: StoredRun) -> pd.DataFrame:
    """Columns trust/<teacher>/<label> in long form."""
    parts = [name for name in wide.columns if name.startswith("trust/") and name.count("/") == 2]
    long = wide.melt("epoch", parts, var_name="part", value_name="weight").dropna()
    names = long["part"].str.split("/")
    return long.assign(teacher=names.str[1], label=names.str[2], fold=run.fold, seed=run.seed).drop(columns="part")


def _trust(system: System, trust: pd.DataFrame, draw: Drawing, key: str) -> list[Figure]:
    last = trust[trust["epoch"] == trust.groupby(["fold", "seed"])["epoch"].transform("max")]
    table = last.groupby(["teacher", "label"], sort=False)["weight"].mean().unstack()
    table = table.reindex(index=last["teacher"].unique(), columns=last["label"].unique())
    caption = f"Trust in each teacher by class at the end of training, {system.corpus}, {system.name}, mean over runs."
    title = figure_title(system, "trust in its teachers")
    bars = partial(plot_teacher_weights, table, title=title)
    alt = "bars: mean weight of each teacher for each class"
    figures = [draw(f"trust-{key}", caption, alt, bars, system.marks, themed=False)]
    if trust["epoch"].nunique() > 1:
        caption = (
            f"Trust in each teacher by class and epoch, {system.corpus}, {system.name}; a band reaches from the lowest "
            "run to the highest."
        )
        lines = partial(plot_teacher_weights_epochs, trust, title=title)
        alt = "lines: mean weight of each teacher over the epochs, one panel a class"
        figures.append(draw(f"trust-epochs-{key}", caption, alt, lines, system.marks))
    return figures


def _reliability(system: System, draw: Drawing, key: str) -> Figure:
    """As scored, and where the calibration study was run, after its temperature."""
    conditions = {f"as scored: ECE {percent(system.summary['ece'])}": reliability(system.scores)}
    if not system.teacher:
        conditions |= calibration_bins(system.experiment)
    caption = (
        f"Reliability, {system.corpus}, {system.name}: accuracy against confidence in 15 bins. ECE: expected "
        "calibration error, %, mean over seeds."
    )
    title = figure_title(system, "reliability")
    drawn = partial(plot_reliability, conditions, title=title)
    alt = "accuracy against confidence, and the number of utterances at each confidence"
    return draw(f"reliability-{key}", caption, alt, drawn, system.marks)


def _speakers(system: System, draw: Drawing, key: str) -> Figure:
    table = speaker_scores(system.scores, system.label_order)
    caption = (
        f"Every test speaker, {system.corpus}, {system.name}: WA and UA with 95 % over the speaker's own utterances, "
        "which are taken as independent."
    )
    title = figure_title(system, "speakers")
    drawn = partial(plot_speakers, table, title=title)
    alt = "dots and intervals: WA and UA of every speaker"
    return draw(f"speakers-{key}", caption, alt, drawn, system.marks)
