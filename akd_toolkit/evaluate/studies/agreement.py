"""How far a student says what its teachers say, and whose mistakes it repeats."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.evaluate.studies.answering import finished_runs
from akd_toolkit.evaluate.studies.tables import by_system, check_place, percent, publish, system_names, write_table
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.intervals import jackknife_interval, ratio

STUDY = "agreement"
LEAST = 1e-12  # probability that stands in for 0


def agreement_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """Compare each student with each of its teachers on the outer tests; returns the table's path.

    Arguments
    ---------
    to
        Folder for the common table of several experiments.

    Raises
    ------
    ValueError
        If an experiment has no stored scores of a teacher.
    """
    check_place(experiments, to)
    rows, classes = [], []
    for system, experiment in zip(system_names(experiments), experiments):
        finished_runs(experiment)
        scores, teachers = experiment.scores(), experiment.teacher_scores()
        if not teachers:
            raise ValueError(
                f"{experiment.folder} holds no scores of teachers: its student had none, or an older toolkit ran it; "
                "run its recipe again to write them (nothing is trained anew)."
            )
        for teacher, of_teacher in teachers.items():
            pairs = paired(scores, of_teacher)
            rows.append({"system": system, "teacher": teacher, **agreement_row(pairs)})
            by_class = pairs.groupby("truth", sort=False)[["agreement", "right", "teacher_right"]].mean()
            by_class = by_class.reindex([label for label in experiment.label_order if label in by_class.index])
            utterances = pairs.groupby("truth")["ID"].nunique()
            by_class = by_class.assign(utterances=utterances, system=system, teacher=teacher).reset_index()
            classes.append(by_class.rename(columns={"truth": "label"}))
    every_class = pd.concat(classes, ignore_index=True)

    def write(folder: Path, table: pd.DataFrame) -> Path:
        of_table = every_class[every_class["system"].isin(table["system"])]
        write_text_aside(folder / "classes.csv", of_table.to_csv(index=False, lineterminator="\n"))
        return _write(folder, table, of_table)

    return publish(experiments, STUDY, to, pd.DataFrame(rows), write)


def paired(scores: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """One row for each answer of the student, with what the teacher said of the same utterance.

    Columns: ID, speaker, seed, truth; ``agreement``, ``right``, ``teacher_right``, ``repeated`` (the student gives the
    teacher's wrong answer) as 0 or 1; ``kl`` and ``js`` in nats:

    kl = sum_c t_c log(t_c / s_c),   js = (KL(t, m) + KL(s, m)) / 2 with m = (t + s) / 2;   t teacher, s student

    Source: Lin 1991, "Divergence measures based on the Shannon entropy" (js, at most ln 2).

    Raises
    ------
    ValueError
        If the two were not scored on the same utterances.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> student = make_scores(["a"], ["03"], ["L"], np.array([[0.5, 0.5]]), ["L", "A"], fold=1, seed=17)
    >>> teacher = make_scores(["a"], ["03"], ["L"], np.array([[1.0, 0.0]]), ["L", "A"], fold=1, seed=0)
    >>> paired(student, teacher)[["agreement", "kl", "js"]].round(4).values.tolist()  # ln 2; (ln 4/3 + ln 4/3 / 2 ...)
    [[1.0, 0.6931, 0.2158]]
    """
    labels = label_order_of(scores)
    if set(scores["ID"]) != set(teacher["ID"]) or label_order_of(teacher) != labels:
        raise ValueError("student and teacher were not scored on the same utterances and labels; run the recipe again.")
    told = teacher.drop_duplicates("ID").set_index("ID").loc[scores["ID"]]
    columns = [f"p_{label}" for label in labels]
    s, t = (np.maximum(table[columns].to_numpy(float), LEAST) for table in (scores, told))
    m = (s + t) / 2
    said, teacher_said, truth = (
        scores["prediction"].to_numpy(),
        told["prediction"].to_numpy(),
        scores["truth"].to_numpy(),
    )
    same, right = said == teacher_said, said == truth
    return scores[["ID", "speaker", "seed", "truth"]].assign(
        agreement=same.astype(float),
        right=right.astype(float),
        teacher_right=(teacher_said == truth).astype(float),
        repeated=(same & ~right).astype(float),
        kl=(t * np.log(t / s)).sum(axis=1),
        js=((t * np.log(t / m)).sum(axis=1) + (s * np.log(s / m)).sum(axis=1)) / 2,
    )


def agreement_row(pairs: pd.DataFrame) -> dict:
    """Shares and divergences over all answers, each with its 95 % interval over speakers.

    * ``agreement``: of all answers, those that are the teacher's; ``kl``, ``js``: means;
    * ``repeated``: of the teacher's mistakes, those that the student repeats, with the same wrong class;
    * ``corrected``: of the teacher's mistakes, those where the student is right;
    * ``kept``: of the teacher's right answers, those where the student is right too.
    """
    wrong, right = 1 - pairs["teacher_right"], pairs["teacher_right"]
    one = pd.Series(1.0, index=pairs.index)
    shares = {
        "agreement": (pairs["agreement"], one),
        "kl": (pairs["kl"], one),
        "js": (pairs["js"], one),
        "teacher_right": (right, one),
        "repeated": (pairs["repeated"], wrong),
        "corrected": (pairs["right"] * wrong, wrong),
        "kept": (pairs["right"] * right, right),
    }
    _, speaker = np.unique(pairs["speaker"], return_inverse=True)
    row = {}
    for name, parts in shares.items():
        over, under = (np.bincount(speaker, weights=part.to_numpy(float)) for part in parts)
        left_out = ratio(over.sum() - over, under.sum() - under)
        highest = np.inf if name in ("kl", "js") else 1
        row |= jackknife_interval(ratio(over.sum(), under.sum()), left_out, bounds=(0, highest)).columns(name)
    return {
        **row,
        "teacher_errors": round(wrong.sum() / pairs["seed"].nunique()),
        "utterances": pairs["ID"].nunique(),
    }


def _write(folder: Path, table: pd.DataFrame, classes: pd.DataFrame) -> Path:
    protocol = (
        "Student and teacher answered the same outer test utterances, whose speakers neither the student nor the "
        "teacher's head had heard; shares are over all seeds, with 95 % intervals over speakers."
    )
    meaning = (
        "Repeated: of the teacher's mistakes, the share where the student gives the same wrong answer; corrected: "
        "where it gives the right one; kept: of the teacher's right answers, the share where the student is right too. "
        "Divergences compare the posteriors and are in nats; KL is of the student from the teacher."
    )
    header = ["teacher", "teacher's WA", "agreement [95 %]", "KL", "JS", "teacher's mistakes"]
    header += ["repeated [95 %]", "corrected [95 %]", "kept [95 %]"]

    def cells(row) -> list[str]:
        return [
            row["teacher"],
            f"{100 * row['teacher_right']:.1f}",
            percent(row, "agreement", "agreement"),
            f"{row['kl']:.3f}",
            f"{row['js']:.3f}",
            str(row["teacher_errors"]),
            *(percent(row, name, name) for name in ("repeated", "corrected", "kept")),
        ]

    columns = ["system", "teacher", "class", "utterances", "agreement", "student's recall", "teacher's recall"]
    lines = [
        [row["system"], row["teacher"], row["label"], row["utterances"]]
        + [f"{100 * row[name]:.1f}" for name in ("agreement", "right", "teacher_right")]
        for _, row in classes.iterrows()
    ]
    parts = [by_system(table, header, cells, left=2), "## By class", markdown_table(columns, lines, left=3)]
    return write_table(folder, table, "Agreement with the teachers", [protocol, meaning], parts)
