"""The pictures of one system: confusion, reliability, speakers, training and trust in its teachers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from akd_toolkit.evaluate.paper.document import Block, Figure, Text
from akd_toolkit.evaluate.paper.figures import plot_reliability, plot_speakers, speaker_scores
from akd_toolkit.evaluate.paper.studies import calibration_bins
from akd_toolkit.evaluate.paper.systems import System, marking
from akd_toolkit.evaluate.report.histories import chosen_inner_runs, histories
from akd_toolkit.evaluate.report.page import percent
from akd_toolkit.evaluate.report.plots import (
    plot_confusion,
    plot_teacher_weights,
    plot_teacher_weights_epochs,
    plot_training,
)
from akd_toolkit.evaluate.studies.calibration import reliability


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
    experiment = system.experiment
    inner = chosen_inner_runs(experiment.paths, experiment.inner_runs())
    curves, trust, missing = histories([*experiment.outer_runs(done=True), *inner])
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
