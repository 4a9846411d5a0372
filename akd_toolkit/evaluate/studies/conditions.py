"""Stored students under other test conditions: in noise, in a room and through a telephone, or with other windows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from akd_toolkit.evaluate.report.plots import COLOURS, INK, MUTED
from akd_toolkit.evaluate.studies.disturbances import CLEAN, CODECS, NOISES, ROOM
from akd_toolkit.evaluate.studies.evaluate_saved import Condition, evaluate_saved
from akd_toolkit.evaluate.studies.study import (
    draw_intervals,
    finished_runs,
    named,
    panels_of,
    score_columns,
    score_row,
    write_study,
)
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.progress import tqdm

WINDOWS_S, OVERLAPS_S = (1.0, 2.0, 3.0), (0.0, 0.25, 0.5)
SNRS_DB, T60S_S = (20.0, 10.0, 5.0, 0.0), (0.3, 0.6, 1.0)
INTERVALS = (
    "WA and UA are means and standard deviations over the outer folds; pooled over all outer tests they have 95 % "
    "intervals over speakers."
)
OVERLAP = (
    "The stored students were evaluated again on their own outer test speakers; only the test windows differ, and the "
    "posteriors of the windows are averaged per utterance. The length used in training is marked *."
)
NOISE = (
    "The stored students were evaluated again on disturbed speech of their own outer test speakers. Nothing was "
    "trained or chosen on disturbed speech, unless by the recipe's own augmentation. The SNR is over the active part "
    "of the recording; babble is six voices of the fold's training speakers; in rooms direct sound and tail have the "
    "same energy; the telephones are 8 kHz alone, G.711 mu-law and GSM 06.10."
)


def noise_conditions() -> list[Condition]:
    """Clean speech, four noises at four SNRs, three rooms, three telephones."""
    noises = [Condition(f"{kind} {snr:g} dB", kind, snr) for kind in NOISES for snr in SNRS_DB]
    rooms = [Condition(f"{ROOM} T60 {t60:g} s", ROOM, t60) for t60 in T60S_S]
    return [Condition(CLEAN), *noises, *rooms, *(Condition(codec, codec) for codec in CODECS)]


def noise_study(experiments: Sequence[Experiment], jobs: int = 1, to: str | Path | None = None) -> Path:
    """Score the stored students on disturbed test speech; returns the path of the table.

    Disturbances are the same for all systems and seeds; babble is made of the training speakers of the fold. ``jobs``
    conditions are computed at the same time.
    """
    systems, conditions, rows = named(experiments, to), noise_conditions(), []
    stored = evaluate_saved(experiments, "noise", conditions, jobs)
    for (system, experiment), scores in zip(systems, stored):
        # Largest difference between a posterior on clean speech and the one that the experiment stored.
        columns = [f"p_{label}" for label in experiment.label_order]
        both = [own.sort_values(["seed", "ID"])[columns].to_numpy() for own in (scores[CLEAN], experiment.scores())]
        gap = float(np.abs(both[0] - both[1]).max())
        for condition in tqdm(conditions, desc=f"{system}: scores", unit="condition"):
            about = {"condition": condition.name, "kind": condition.kind, "level": condition.level}
            row = score_row(scores[condition.name], None if condition.kind == CLEAN else scores[CLEAN])
            rows.append({"system": system, **about, **row, "gap_to_stored": gap})
    columns = {"test speech": "{condition}", **score_columns(CLEAN)}
    tables = {"table.csv": ("", pd.DataFrame(rows), columns)}
    shown = plot_noise, "UA pooled over the level of the disturbance, with 95 % intervals"
    return write_study(experiments, to, "noise", "Disturbed test speech", _noise_notes, tables, *shown)


def _noise_notes(table: pd.DataFrame) -> str:
    gap = table["gap_to_stored"].max()
    clean = f"On clean speech the posteriors equal those that the experiment stored (largest difference {gap:.1g})."
    if gap > 0.01:
        clean = (
            f"**On clean speech a posterior differs by {gap:.2f} from the one that the experiment stored:** the "
            "recordings, the students or the arithmetic have changed since."
        )
    return f"{NOISE} {INTERVALS} {clean}"


def plot_noise(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """A row of panels for each system: pooled UA and its interval over the SNR, in rooms and through telephones."""
    table = tables["table.csv"].assign(ua=tables["table.csv"]["ua_pooled"])
    systems = list(table["system"].unique())
    size = 8.2, 2.7 * len(systems) + 0.7
    figure, panels = panels_of(len(systems), 3, size, sharey=True, width_ratios=(3, 1.4, 1.4))
    for row, system in zip(panels, systems):
        _draw_system(*row, table[table["system"] == system])
        row[0].set_title(system, loc="left", fontsize=10, parse_math=False)
        row[0].set_ylabel("UA pooled, %")
    panels[0, 1].set_title("room", loc="left", fontsize=10)
    panels[0, 2].set_title("telephone", loc="left", fontsize=10)
    lines, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _draw_system(noisy: Axes, room: Axes, telephone: Axes, table: pd.DataFrame) -> None:
    for index, (kind, marker) in enumerate(zip(NOISES, "os^D")):
        rows = table[table["kind"] == kind].sort_values("level")
        shift = 0.25 * (index - 1.5)  # dB, so that the intervals do not hide each other
        style = {"color": COLOURS[index], "marker": marker, "label": kind, "linestyle": "-"}
        draw_intervals(noisy, rows["level"] + shift, rows, **style)
    noisy.set_xticks(rows["level"], [f"{snr:g}" for snr in rows["level"]])
    noisy.invert_xaxis()
    noisy.set_xlabel("SNR, dB")
    rooms, codecs = table[table["kind"] == ROOM].sort_values("level"), table[table["kind"].isin(CODECS)]
    draw_intervals(room, range(len(rooms)), rooms, color=INK, marker="o", linestyle="-")
    room.set_xticks(range(len(rooms)), [f"{level:g}" for level in rooms["level"]])
    room.set_xlabel("T60, s")
    draw_intervals(telephone, range(len(codecs)), codecs, color=INK, marker="o")
    telephone.set_xticks(range(len(codecs)), codecs["kind"])
    clean = 100 * table.loc[table["kind"] == CLEAN, "ua"].iloc[0]
    for axes in (noisy, room, telephone):
        axes.axhline(clean, color=MUTED, linewidth=1.0, label=CLEAN, zorder=1)
        axes.grid(visible=False, axis="x")
        axes.margins(x=0.06 if axes is noisy else 0.25)
        axes.set_ylim(0, 100)


def overlap_study(
    experiments: Sequence[Experiment],
    windows_s: Sequence[float] = WINDOWS_S,
    overlaps_s: Sequence[float] = OVERLAPS_S,
    jobs: int = 1,
    to: str | Path | None = None,
) -> Path:
    """Score the stored students with test windows of several lengths and overlaps; returns the path of the table.

    Windows start every ``window_s - overlap_s``, the last ends with the utterance, and posteriors are averaged per
    utterance. The length used in training and an overlap of 0, the reference, are always added. Windows are above 0.1
    s; overlaps that are not below the window are left out. ``jobs`` conditions are computed at the same time.
    """
    systems = named(experiments, to)
    trained_s = [finished_runs(experiment)[0].record.window_s for experiment in experiments]
    windows_s, overlaps_s = sorted({*map(float, windows_s), *trained_s}), sorted({0.0, *map(float, overlaps_s)})
    name = "window {:g} s overlap {:g} s".format
    pairs = [(window_s, overlap_s) for window_s in windows_s for overlap_s in overlaps_s if overlap_s < window_s]
    conditions, rows = [Condition(name(*pair), window_s=pair[0], overlap_s=pair[1]) for pair in pairs], []
    stored = evaluate_saved(experiments, "overlap", conditions, jobs)
    for (system, _), own_s, scores in zip(systems, trained_s, stored):
        for window_s, overlap_s in tqdm(pairs, desc=f"{system}: scores", unit="condition"):
            reference = None if overlap_s == 0 else scores[name(window_s, 0.0)]
            condition = {"window_s": window_s, "overlap_s": overlap_s, "trained_window": window_s == own_s}
            rows.append({"system": system, **condition, **score_row(scores[name(window_s, overlap_s)], reference)})
    columns = {
        "window": lambda row: f"{row['window_s']:g} s{' *' if row['trained_window'] else ''}",
        "overlap": "{overlap_s:g} s",
        **score_columns("no overlap"),
    }
    tables, notes = {"table.csv": ("", pd.DataFrame(rows), columns)}, f"{OVERLAP} {INTERVALS}"
    return write_study(experiments, to, "overlap", "Overlap of test windows", notes, tables)
