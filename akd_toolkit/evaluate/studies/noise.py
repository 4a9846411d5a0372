"""How well a student understands speech in noise, in a room and through a telephone, without being trained for it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from akd_toolkit.evaluate.studies.answering import Condition, answer
from akd_toolkit.evaluate.studies.disturbances import CLEAN, CODECS, NOISES, ROOM
from akd_toolkit.evaluate.studies.noise_plot import plot_noise
from akd_toolkit.evaluate.studies.tables import (
    INTERVALS,
    by_system,
    check_place,
    publish,
    score_cells,
    score_header,
    score_row,
    system_names,
    write_table,
)
from akd_toolkit.experiment.stored import Experiment

STUDY = "noise"
SNRS_DB, T60S_S = (20.0, 10.0, 5.0, 0.0), (0.3, 0.6, 1.0)


def noise_conditions() -> list[Condition]:
    """Clean speech, four noises at four ratios, three rooms, three telephones.

    Example
    -------
    >>> [condition.name for condition in noise_conditions()][:3], len(noise_conditions())
    (['clean', 'white 20 dB', 'white 10 dB'], 23)
    """
    noises = [Condition(f"{kind} {snr:g} dB", kind, snr) for kind in NOISES for snr in SNRS_DB]
    rooms = [Condition(f"{ROOM} T60 {t60:g} s", ROOM, t60) for t60 in T60S_S]
    return [Condition(CLEAN), *noises, *rooms, *(Condition(codec, codec) for codec in CODECS)]


def noise_study(experiments: Sequence[Experiment], jobs: int = 1, to: str | Path | None = None) -> Path:
    """Score the stored students again on disturbed test speech; returns the table's path.

    Every disturbance is the same for all systems and seeds; babble is made of the training speakers of the fold.
    Windows and overlap are those of each experiment.

    Arguments
    ---------
    jobs
        How many conditions are computed side by side.
    to
        Folder for the common table of several experiments.
    """
    check_place(experiments, to)
    conditions = noise_conditions()
    found = answer(experiments, STUDY, conditions, jobs)
    rows = []
    for experiment, system, scores in zip(experiments, system_names(experiments), found):
        gap = _gap(scores[CLEAN], experiment.scores())
        for condition in tqdm(conditions, desc=f"{system}: scores", unit="condition"):
            reference = None if condition.kind == CLEAN else scores[CLEAN]
            of_condition = {"condition": condition.name, "kind": condition.kind, "level": condition.level}
            row = score_row(scores[condition.name], reference)
            rows.append({"system": system, **of_condition, **row, "gap_to_stored": gap})
    return publish(experiments, STUDY, to, pd.DataFrame(rows), _write)


def _gap(clean: pd.DataFrame, stored: pd.DataFrame) -> float:
    """Largest difference of a posterior on clean speech from what the experiment stored."""
    columns = [name for name in stored.columns if name.startswith("p_")]
    ordered = [scores.sort_values(["seed", "ID"])[columns].to_numpy() for scores in (clean, stored)]
    return float(np.abs(ordered[0] - ordered[1]).max())


def _write(folder: Path, table: pd.DataFrame) -> Path:
    protocol = (
        "The stored students answered their own outer test speakers again, whose speech was disturbed; nothing was "
        "trained or chosen on disturbed speech unless the recipe's own augmentation did."
    )
    levels = (
        "The SNR holds over the part of the recording in which somebody speaks; babble is six voices of the fold's "
        "training speakers; rooms have direct sound and tail of equal energy; the telephones are 8 kHz alone, G.711 "
        "mu-law and GSM 06.10."
    )
    largest = table["gap_to_stored"].max()
    clean = f"On clean speech the posteriors are those that the experiment stored (largest difference {largest:.1g})."
    if largest > 0.01:
        clean = (
            f"**On clean speech a posterior differs by {largest:.2f} from what the experiment stored:** the "
            "recordings, the students or the arithmetic have changed since."
        )
    markdown = by_system(
        table, ["test speech", *score_header(CLEAN)], lambda row: [row["condition"], *score_cells(row)], left=2
    )
    plot_noise(table, [folder / "plot.png", folder / "plot.svg"])
    picture = "![UA pooled over the level of the disturbance, with 95 % intervals](plot.png)"
    parts = [picture, markdown]
    return write_table(folder, table, "Disturbed test speech", [protocol, levels, INTERVALS, clean], parts)
