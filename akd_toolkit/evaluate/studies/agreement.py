"""Agreement of a student with its teachers, and which of their mistakes it repeats."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from akd_toolkit.evaluate.report.summary import probs_and_truth
from akd_toolkit.evaluate.report.tables import percent, with_limits
from akd_toolkit.evaluate.studies.study import named, same_rows, write_study
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.intervals import jackknife_interval, ratio

LEAST = 1e-12  # probability used instead of 0
NOTES = (
    "Student and teacher were scored on the same outer test utterances, whose speakers neither the student nor the "
    "teacher's head was trained on; shares are over all seeds, with 95 % intervals over speakers. Repeated: of the "
    "teacher's mistakes, the share where the student predicts the same wrong class; corrected: where it is right. "
    "Kept: of the teacher's correct predictions, the share where the student is right too. KL is of the student from "
    "the teacher, JS the Jensen-Shannon divergence, both in nats."
)


def agreement_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """Compare each student with each of its teachers on the outer tests; returns the path of the table."""
    rows, classes = [], []
    for system, experiment in named(experiments, to):
        teachers, own = experiment.teacher_scores(), experiment.scores()
        if not teachers:
            raise ValueError(
                f"{experiment.folder} has no scores of teachers: its student had none, or an older toolkit ran it; "
                "run its recipe again to write them (nothing is trained again)."
            )
        for teacher, scores in teachers.items():
            pairs = paired(own[own["ID"].isin(scores["ID"])], scores)
            names = {"system": system, "teacher": teacher}
            rows.append({**names, **agreement_row(pairs)})
            means = {name: (name, "mean") for name in ("agreement", "right", "teacher_right")}
            by_class = pairs.groupby("truth").agg(**means, utterances=("ID", "nunique"))
            by_class = by_class.reindex([label for label in experiment.label_order if label in by_class.index])
            classes.append(by_class.rename_axis("label").reset_index().assign(**names))
    columns = {
        "teacher": "{teacher}",
        "teacher's WA": lambda row: percent(row["teacher_right"]),
        "agreement [95 %]": partial(with_limits, value="agreement"),
        **{"KL": "{kl:.3f}", "JS": "{js:.3f}", "teacher's mistakes": "{teacher_errors}"},
        **{f"{name} [95 %]": partial(with_limits, value=name) for name in ("repeated", "corrected", "kept")},
    }
    shares = {"agreement": "agreement", "student's recall": "right", "teacher's recall": "teacher_right"}
    of_classes = {
        **{"teacher": "{teacher}", "class": "{label}", "utterances": "{utterances}"},
        **{heading: lambda row, name=name: percent(row[name]) for heading, name in shares.items()},
    }
    tables = {
        "table.csv": ("", pd.DataFrame(rows), columns),
        "classes.csv": ("By class", pd.concat(classes, ignore_index=True), of_classes),
    }
    return write_study(experiments, to, "agreement", "Agreement with the teachers", NOTES, tables)


def paired(scores: pd.DataFrame, teacher: pd.DataFrame) -> pd.DataFrame:
    """One row for each prediction of the student, compared with the teacher's for the same utterance.

    Columns: ID, speaker, seed, truth; ``agreement``, ``right``, ``teacher_right``, ``repeated`` (the student makes the
    teacher's mistake) as 0 or 1; ``kl`` and ``js`` in nats:

    kl = sum_c t_c log(t_c / s_c),   js = (KL(t, m) + KL(s, m)) / 2 with m = (t + s) / 2;   t teacher, s student

    Source: Lin 1991, "Divergence measures based on the Shannon entropy" (js, at most ln 2).

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
    teacher = same_rows(teacher, scores)
    s, t = (np.maximum(probs_and_truth(rows)[0], LEAST) for rows in (scores, teacher))
    m = (s + t) / 2
    prediction, truth = scores["prediction"].to_numpy(), scores["truth"].to_numpy()
    same, right = prediction == teacher["prediction"].to_numpy(), prediction == truth
    return scores[["ID", "speaker", "seed", "truth"]].assign(
        agreement=same.astype(float),
        right=right.astype(float),
        teacher_right=(teacher["prediction"].to_numpy() == truth).astype(float),
        repeated=(same & ~right).astype(float),
        kl=rel_entr(t, s).sum(axis=1),
        js=(rel_entr(t, m) + rel_entr(s, m)).sum(axis=1) / 2,
    )


def agreement_row(pairs: pd.DataFrame) -> dict:
    """Shares and divergences over all predictions, each with its 95 % interval over speakers.

    * ``agreement``: share of equal predictions; ``kl``, ``js``: means;
    * ``repeated``, ``corrected``: of the teacher's mistakes, those that the student makes too, or does not make;
    * ``kept``: of the teacher's correct predictions, those where the student is right too.
    """
    right, every = pairs["teacher_right"], pd.Series(1.0, index=pairs.index)
    shares = {
        **{name: (pairs[name], every) for name in ("agreement", "kl", "js", "teacher_right")},
        "repeated": (pairs["repeated"], 1 - right),
        "corrected": (pairs["right"] * (1 - right), 1 - right),
        "kept": (pairs["right"] * right, right),
    }
    row = {}
    for name, parts in shares.items():
        over, under = (part.groupby(pairs["speaker"]).sum().to_numpy() for part in parts)
        left_out = ratio(over.sum() - over, under.sum() - under)
        bounds = (0, np.inf if name in ("kl", "js") else 1)
        row |= jackknife_interval(ratio(over.sum(), under.sum()), left_out, bounds=bounds).columns(name)
    errors = round((1 - right).sum() / pairs["seed"].nunique())
    return {**row, "teacher_errors": errors, "utterances": pairs["ID"].nunique()}
