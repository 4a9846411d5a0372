"""How well a student understands each speaker, women, and men."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.evaluate.report.summary import label_indices, utterance_table
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.evaluate.studies.answering import finished_runs
from akd_toolkit.evaluate.studies.groups_plot import plot_groups
from akd_toolkit.evaluate.studies.tables import by_system, check_place, percent, publish, system_names, write_table
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.intervals import group_gap_interval, speaker_counts, speaker_interval

STUDY = "groups"
WOMEN, MEN, GAP = "women", "men", "women less men"
SEXES = {"female": WOMEN, "f": WOMEN, "woman": WOMEN, "male": MEN, "m": MEN, "man": MEN}


def groups_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """WA and UA of every speaker, of women and of men, and the gap between the two; returns the table's path.

    Arguments
    ---------
    to
        Folder for the common table of several experiments.

    Raises
    ------
    ValueError
        If an experiment is unfinished, or nobody knows who speaks in its corpus.
    """
    check_place(experiments, to)
    rows, speakers = [], []
    for system, experiment in zip(system_names(experiments), experiments):
        finished_runs(experiment)
        if not experiment.speakers_known:
            raise ValueError(
                f"{experiment.folder}: nobody knows who speaks in {experiment.manifest.corpus}, so there are no "
                "speakers to compare; give an experiment on a corpus with speaker labels."
            )
        scores, sex = experiment.scores(), speaker_sex(experiment.manifest)
        rows += [{"system": system, **row} for row in sex_rows(scores, sex)]
        speakers.append(speaker_rows(scores, sex).assign(system=system))
    every_speaker = pd.concat(speakers, ignore_index=True)

    def write(folder: Path, table: pd.DataFrame) -> Path:
        of_table = every_speaker[every_speaker["system"].isin(table["system"])]
        write_text_aside(folder / "speakers.csv", of_table.to_csv(index=False, lineterminator="\n"))
        plot_groups(of_table, [folder / "plot.png", folder / "plot.svg"])
        return _write(folder, table, of_table)

    return publish(experiments, STUDY, to, pd.DataFrame(rows), write)


def speaker_sex(manifest: Manifest) -> dict[str, str]:
    """Speaker -> ``women`` or ``men``; speakers whose sex the manifest does not say are left out.

    Raises
    ------
    ValueError
        If a speaker has two.
    """
    found: dict[str, str] = {}
    for row in manifest:
        sex = SEXES.get(row.sex.lower())
        if sex is not None and found.setdefault(row.speaker, sex) != sex:
            raise ValueError(f"speaker {row.speaker} is a woman and a man in the manifest; correct it, prepare again.")
    return found


def sex_rows(scores: pd.DataFrame, sex: dict[str, str]) -> list[dict]:
    """Everybody, women, men, and the gap: pooled WA and UA with 95 % intervals over speakers.

    For the gap women are drawn among women and men among men, so that every redrawn corpus has as many of each. A group
    of one speaker has no interval.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> probs = np.eye(2)[[0, 1, 0, 0]]
    >>> who = ["a", "b", "c", "d"], ["03", "03", "08", "08"], ["L", "A", "L", "A"]
    >>> rows = sex_rows(make_scores(*who, probs, ["L", "A"], fold=1, seed=17), {"03": "women", "08": "men"})
    >>> [(row["group"], row["ua"]) for row in rows]
    [('everybody', 0.75), ('women', 1.0), ('men', 0.5), ('women less men', 0.5)]
    """
    speakers, hits, totals = _counts(scores)
    members = {"everybody": np.ones(len(speakers), dtype=bool)}
    members |= {group: np.array([sex.get(name) == group for name in speakers]) for group in (WOMEN, MEN)}
    rows = []
    for group, chosen in members.items():
        row = {"group": group, "speakers": int(chosen.sum()), "utterances": int(totals[chosen].sum())}
        for score in ("wa", "ua"):
            row |= speaker_interval(hits[chosen], totals[chosen], score).columns(score)
        rows.append(row)
    women, men = members[WOMEN], members[MEN]
    row = {"group": GAP, "speakers": int((women | men).sum()), "utterances": int(totals[women | men].sum())}
    for score in ("wa", "ua"):
        row |= group_gap_interval(hits, totals, women, men, score).columns(score)
    return [*rows, row]


def speaker_rows(scores: pd.DataFrame, sex: dict[str, str]) -> pd.DataFrame:
    """One row a speaker: group, utterances, WA and UA, with 95 % intervals over the utterances.

    One speaker's utterances resemble each other, so these intervals are too narrow for what he might say another day.
    """
    labels = label_order_of(scores)
    utterances = utterance_table(scores, labels)
    rows = []
    for speaker, of_speaker in utterances.groupby("speaker"):
        truth = label_indices(of_speaker["truth"], labels)
        counts = speaker_counts(of_speaker["right"], truth, np.arange(len(of_speaker)), len(labels))
        row = {"speaker": speaker, "group": sex.get(speaker, ""), "utterances": len(of_speaker)}
        for score in ("wa", "ua"):
            row |= speaker_interval(*counts, score).columns(score)
        rows.append(row)
    return pd.DataFrame(rows)


def _counts(scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Speakers in order, and their hits and utterances by class."""
    labels = label_order_of(scores)
    utterances = utterance_table(scores, labels)
    truth = label_indices(utterances["truth"], labels)
    counts = speaker_counts(utterances["right"], truth, utterances["speaker"], len(labels))
    return np.unique(utterances["speaker"]), *counts


def _write(folder: Path, table: pd.DataFrame, speakers: pd.DataFrame) -> Path:
    protocol = (
        "Stored scores of the outer tests by speaker and by the speakers' sex as the manifest says it; WA and UA are "
        "pooled and averaged over seeds, UA over the classes that the group or speaker has."
    )
    intervals = (
        "Intervals (95 %) of groups and of the gap are over speakers, those of one speaker over the "
        "utterances, which is too narrow for what that speaker might say another day."
    )

    def cells(row) -> list[str]:
        signed = row["group"] == GAP
        scored = [percent(row, score, score, signed) for score in ("wa", "ua")]
        return [row["group"], str(row["speakers"]), str(row["utterances"]), *scored]

    header = ["group", "speakers", "utterances", "WA [95 %]", "UA [95 %]"]
    parts = [by_system(table, header, cells, left=2)]
    parts += ["![UA of every speaker with its 95 % interval](plot.png)", "## By speaker"]
    lines = [
        [row["system"], row["speaker"], row["group"], row["utterances"]]
        + [percent(row, score, score) for score in ("wa", "ua")]
        for _, row in speakers.iterrows()
    ]
    columns = ["system", "speaker", "group", "utterances", "WA [95 %]", "UA [95 %]"]
    parts.append(markdown_table(columns, lines, left=3))
    return write_table(folder, table, "Speakers, women and men", [protocol, intervals], parts)
