"""What teachers are worth where only a share of the corpus is labelled: LiSER's table, from the rows of an ablation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from akd_toolkit.evaluate.report.plots import COLOURS
from akd_toolkit.evaluate.report.tables import markdown_table, percent, with_limits
from akd_toolkit.evaluate.studies.study import draw_intervals, panels_of, same_rows, score_row, write_page
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.teachers import TEACHERS

ALONE = "student alone"
NOTES = (
    "UA pooled over all outer tests, mean over seeds, with 95 % intervals over speakers; the labels of a share are the "
    "same for every system. Ahead: the system minus the student alone with the same labels, on the same utterances, "
    "paired; p is the permutation test by speaker, not corrected. Of full: its UA as a share of that of the student "
    "alone with all labels. Worth: the share of labels at which the student alone reaches the same UA, by straight "
    "lines between its scores. Student and a teacher that reads no audio: the product of their posteriors, which needs "
    "that teacher's input in the test too: an upper bound (product rule, Kittler et al. 1998). "
    "Source of the comparison: Pendyala, Morgado & Sethares 2025 (LiSER), arXiv 2507.00055."
)


def shares_study(experiments: Sequence[Experiment], to: str | Path) -> Path:
    """Compare systems by ``label_share``; writes table.md, table.csv and a plot to ``to``, and returns the first.

    Experiments that are not finished are left out; ValueError if none remains.
    """
    done = [one for one in experiments if one.outer_runs() and all(run.done for run in one.outer_runs())]
    if not done:
        raise ValueError("no experiment with a student is finished; run more rows of the ablation first.")
    scores, teachers, modality = {}, {}, {}  # by share and system, or share and title
    for one in done:
        share = float(one.settings.get("label_share") or 1.0)
        if (share, system_of(one)) in scores:
            raise ValueError("two experiments have the same share of labels, teachers and weights; give one of them.")
        scores[share, system_of(one)] = one.scores()
        for title, seen in one.teacher_scores().items():  # the same heads in every experiment of a share
            teachers.setdefault((share, title), seen)
            modality.setdefault((share, title), _modality(one.settings["teachers"][title]["name"]))
    for (share, title), seen in teachers.items():
        if modality[share, title] != "audio" and (share, ALONE) in scores:
            scores[share, f"student and {title} in the test"] = fused(scores[share, ALONE], seen)
    rows = []
    for (share, system), own in sorted(scores.items(), key=lambda item: (item[0][0], _order(item[0][1]))):
        against = None if system == ALONE else scores.get((share, ALONE))
        rows.append({"share": share, "system": system, **score_row(own, against)})
    table = with_worth(pd.DataFrame(rows))
    cells = {(row["share"], row["system"]): with_limits(row, "ua_pooled", "ua") for row in table.to_dict("records")}
    parts = [_by_share(cells, sorted(table["system"].unique(), key=_order)), _long(table)]
    if teachers:
        cells = {key: with_limits(score_row(seen), "ua_pooled", "ua") for key, seen in teachers.items()}
        parts += ["## Teachers alone, UA", _by_share(cells, sorted({title for _, title in teachers}))]
    shown = plot_shares(table), "UA by share of labels, with 95 % intervals"
    return write_page(Path(to) / "shares", "Shares of the labels", done, NOTES, {"table.csv": table}, parts, *shown)


def system_of(experiment: Experiment) -> str:
    """Its teachers and, for several, how they are weighted."""
    teachers = list(experiment.settings.get("teachers") or {})
    if len(teachers) < 2:
        return f"+ {teachers[0]}" if teachers else ALONE
    objective = experiment.settings.get("objective") or {}
    weighting = (objective.get("weighting") or {}).get("name", "equal weights")
    gate = (objective.get("gate") or {}).get("name", "no gate")
    return f"+ {' + '.join(teachers)} ({weighting}, {gate})"


def _modality(name: str) -> str:
    try:
        return TEACHERS.get(name).modality
    except ValueError:  # a plugin of another folder
        return "audio"


def fused(scores: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """Scores of the product of both posteriors, scaled to sum to 1; the student's own where the teacher has none.

    Source: Kittler, Hatef, Duin & Matas 1998, "On combining classifiers", product rule with equal priors.
    """
    names = [name for name in scores if name.startswith("p_")]
    product = scores[names].to_numpy() * same_rows(teacher, scores)[names].fillna(1.0).to_numpy()
    product /= product.sum(axis=1, keepdims=True)
    labels = np.array([name.removeprefix("p_") for name in names])
    return scores.assign(**dict(zip(names, product.T)), prediction=labels[product.argmax(axis=1)])


def with_worth(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``of_full`` and ``worth``, both from the UA of the student alone; NaN if unknown.

    Example
    -------
    >>> alone = [{"share": share, "system": ALONE, "ua_pooled": ua} for share, ua in ((0.1, 0.4), (0.5, 0.6), (1, 0.8))]
    >>> taught = {"share": 0.1, "system": "+ face", "ua_pooled": 0.7}
    >>> with_worth(pd.DataFrame([*alone, taught]))[["of_full", "worth"]].iloc[-1].round(3).tolist()  # 0.7 / 0.8
    [0.875, 0.75]
    """
    alone = table[table["system"] == ALONE].sort_values("share")
    if not len(alone):
        return table.assign(of_full=np.nan, worth=np.nan)
    full = alone.loc[alone["share"] == 1, "ua_pooled"].max()  # NaN if there is none
    best = np.maximum.accumulate(alone["ua_pooled"].to_numpy())  # more labels, but by chance a lower UA
    worth = np.interp(table["ua_pooled"], best, alone["share"], left=np.nan, right=np.inf)
    return table.assign(of_full=table["ua_pooled"] / full, worth=worth)


def _order(system: str) -> tuple:
    """The student alone first, then the simpler systems."""
    return system != ALONE, len(system), system


def _labels(share: float) -> str:
    return f"{100 * share:g} %"


def _by_share(cells: dict[tuple[float, str], str], columns: list[str]) -> str:
    """Shares as rows; a dash where there is no cell."""
    shares = sorted({share for share, _ in cells})
    rows = [[_labels(share), *(cells.get((share, column), "-") for column in columns)] for share in shares]
    return markdown_table(["labels", *columns], rows)


def _long(table: pd.DataFrame) -> str:
    rows = []
    for row in table.to_dict("records"):
        ahead = with_limits(row, "ua_ahead", sign="+") or "-"
        p = "-" if pd.isna(row["ua_p"]) else f"{row['ua_p']:.3f}"
        worth = {"nan": "fewer", "inf": "more than all"}.get(str(row["worth"]), f"{100 * row['worth']:.0f} %")
        scores = [with_limits(row, "wa_pooled", "wa"), with_limits(row, "ua_pooled", "ua"), ahead, p]
        rows.append([_labels(row["share"]), row["system"], *scores, percent(row["of_full"]), worth])
    header = ["labels", "system", "WA pooled [95 %]", "UA pooled [95 %]", "UA ahead [95 %]", "p", "of full", "worth"]
    return markdown_table(header, rows, left=2)


def plot_shares(table: pd.DataFrame) -> Figure:
    """A line for each system over the share of labels, on a logarithmic axis."""
    figure, panels = panels_of(1, 1, (6.0, 4.4))
    axes, systems = panels[0, 0], sorted(table["system"].unique(), key=_order)
    for index, system in enumerate(systems):
        rows = table[table["system"] == system].sort_values("share").assign(ua=lambda own: own["ua_pooled"])
        places = 100 * rows["share"] * 1.03 ** (index - len(systems) / 2)  # beside each other
        style = {"marker": "osD^vX"[index % 6], "color": COLOURS[index % len(COLOURS)], "label": system}
        draw_intervals(axes, places, rows, **{"linestyle": "-", "linewidth": 1.2, **style})
    axes.set_xscale("log")
    shares = sorted(table["share"].unique())
    axes.set_xticks([100 * share for share in shares], [_labels(share) for share in shares])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="labelled share of the training utterances", ylabel="UA, %")
    axes.legend(frameon=False, fontsize=8)
    return figure
