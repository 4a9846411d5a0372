"""Scores of each speaker, of women and of men."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.evaluate.report.plots import COLOURS, MUTED
from akd_toolkit.evaluate.report.summary import speaker_scores, table_counts, utterance_table
from akd_toolkit.evaluate.report.tables import with_limits
from akd_toolkit.evaluate.studies.study import draw_intervals, named, panels_of, write_study
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.intervals import group_gap_interval, speaker_interval

WOMEN, MEN, GAP = "women", "men", "women less men"
SEXES = {"female": WOMEN, "f": WOMEN, "woman": WOMEN, "male": MEN, "m": MEN, "man": MEN}
NOTES = (
    "Stored scores of the outer tests by speaker and by the speakers' sex in the manifest; WA and UA are pooled and "
    "averaged over seeds, UA over the classes that the group or speaker has. Intervals (95 %) of groups and of the gap "
    "are over speakers; those of one speaker are over the utterances, which is too narrow for another recording of "
    "that speaker."
)


def groups_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """WA and UA of every speaker, of women and of men, and the gap between the two; returns the path of the table."""
    rows, speakers = [], []
    for system, experiment in named(experiments, to):
        if not experiment.speakers_known:
            raise ValueError(
                f"{experiment.folder}: {experiment.manifest.corpus} has no speaker labels, so there are no speakers to "
                "compare; give an experiment on a corpus that has them."
            )
        scores, sex = experiment.scores(), speaker_sex(experiment.manifest)
        rows += [{"system": system, **row} for row in sex_rows(scores, sex)]
        own = speaker_scores(scores)
        own.insert(1, "group", [sex.get(speaker, "") for speaker in own["speaker"]])
        speakers.append(own.assign(system=system))
    scored = {
        "utterances": "{utterances}",
        "WA [95 %]": lambda row: with_limits(row, "wa", sign="+" if row["group"] == GAP else ""),
        "UA [95 %]": lambda row: with_limits(row, "ua", sign="+" if row["group"] == GAP else ""),
    }
    of_speakers = {"speaker": "{speaker}", "group": "{group}", **scored}
    tables = {
        "table.csv": ("", pd.DataFrame(rows), {"group": "{group}", "speakers": "{speakers}", **scored}),
        "speakers.csv": ("By speaker", pd.concat(speakers, ignore_index=True), of_speakers),
    }
    shown = plot_speakers, "UA of every speaker with its 95 % interval"
    return write_study(experiments, to, "groups", "Speakers, women and men", NOTES, tables, *shown)


def speaker_sex(manifest: Manifest) -> dict[str, str]:
    """Speaker -> ``women`` or ``men``, for the speakers whose sex the manifest has."""
    found: dict[str, str] = {}
    for row in manifest:
        sex = SEXES.get(row.sex.lower())
        if sex is not None and found.setdefault(row.speaker, sex) != sex:
            raise ValueError(f"speaker {row.speaker} is female and male in the manifest; correct it, prepare again.")
    return found


def sex_rows(scores: pd.DataFrame, sex: dict[str, str]) -> list[dict]:
    """Everybody, women, men, and the gap: pooled WA and UA with 95 % intervals over speakers."""
    labels = label_order_of(scores)
    utterances = utterance_table(scores, labels)
    hits, totals = table_counts(utterances, labels)
    speakers = np.unique(utterances["speaker"])
    women, men = (np.array([sex.get(name) == group for name in speakers]) for group in (WOMEN, MEN))
    rows = []
    for group, members in {"everybody": ~(women & men), WOMEN: women, MEN: men, GAP: women | men}.items():
        row = {"group": group, "speakers": int(members.sum()), "utterances": int(totals[members].sum())}
        for score in ("wa", "ua"):
            if group == GAP:
                interval = group_gap_interval(hits, totals, women, men, score)
            else:
                interval = speaker_interval(hits[members], totals[members], score)
            row |= interval.columns(score)
        rows.append(row)
    return rows


def plot_speakers(tables: dict[str, pd.DataFrame]) -> Figure:
    """A panel for each system, a dot for each speaker in the order of UA, with its interval."""
    speakers = tables["speakers.csv"]
    systems = list(speakers["system"].unique())
    size = max(4.6, 3.4 * len(systems)), 0.9 + 0.2 * speakers.groupby("system").size().max()
    figure, panels = panels_of(1, len(systems), size, sharex=True)
    for axes, system in zip(panels[0], systems):
        rows = speakers[speakers["system"] == system].sort_values("ua").reset_index(drop=True)
        for group, colour, marker in ((WOMEN, COLOURS[1], "o"), (MEN, COLOURS[0], "s"), ("", MUTED, "D")):
            own = rows[rows["group"] == group]
            draw_intervals(axes, own.index, own, horizontal=True, color=colour, marker=marker, label=group or "unknown")
        axes.set_yticks(range(len(rows)), rows["speaker"], parse_math=False, fontsize=8 if len(rows) > 15 else 10)
        axes.set_title(system, loc="left", fontsize=10, parse_math=False, wrap=True)
        axes.set(xlabel="UA, %", xlim=(0, 100))
        axes.grid(visible=False, axis="y")
    panels[0, 0].set_ylabel("speaker")
    if set(speakers["group"]) != {""}:
        lines, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(lines[:2], labels[:2], loc="outside lower center", ncols=2, frameon=False)
    return figure
