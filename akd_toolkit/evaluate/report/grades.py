"""How far a number can be compared: grades A to D, for published numbers and for our own systems."""

from pathlib import Path

import pandas as pd

from akd_toolkit.data.watermark import MARK

COLUMNS = (
    *("corpus", "classes", "system", "parameters", "wa", "ua"),
    *("speaker_independent", "chosen_on_test", "grade", "source", "note"),
)
ANSWERS = ("yes", "no", "unknown")
GRADES = {
    "A": "speaker-independent, and nothing was chosen on the test",
    "B": "speaker-independent; how epochs and settings were chosen is not known",
    "C": "speakers on both sides, or something was chosen on the test",
    "D": "not known whether speakers are on both sides, or marked illustrative by its authors",
}
COMMITTED = Path(__file__).parent / "cited.csv"


def grade(speaker_independent: str, chosen_on_test: str) -> str:
    """The grade of a number by the rule of ``GRADES``.

    The two answers are ``yes``, ``no`` or ``unknown``: whether no test speaker was in the training data, and whether an
    epoch, a setting or a model was chosen by its test score.

    Example
    -------
    >>> grade("yes", "no"), grade("yes", "unknown"), grade("unknown", "yes"), grade("unknown", "no")
    ('A', 'B', 'C', 'D')
    """
    for name, answer in (("speaker_independent", speaker_independent), ("chosen_on_test", chosen_on_test)):
        if answer not in ANSWERS:
            raise ValueError(f"{name} must be one of {', '.join(ANSWERS)}, got '{answer}'.")
    if speaker_independent == "no" or chosen_on_test == "yes":
        return "C"
    if speaker_independent == "unknown":
        return "D"
    return "A" if chosen_on_test == "no" else "B"


def read_cited(path: str | Path = COMMITTED) -> pd.DataFrame:
    """The published numbers as text: percent, empty where there is none.

    Refused: a row without source or score, and a grade better than its answers. A worse one needs a note.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no table of published numbers {path}; give another path.")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(rows.columns) != COLUMNS:
        raise ValueError(f"{path} has the columns {', '.join(rows.columns)} but needs {', '.join(COLUMNS)}; fix it.")
    for line, row in enumerate(rows.to_dict("records"), start=2):
        try:
            _check(row)
        except ValueError as error:
            raise ValueError(f"{path}, line {line} ({row['corpus']}, {row['system']}): {error}") from None
    return rows


def own_answers(system) -> tuple[str, str, str]:
    """The two answers that a grade is made of, for a ``System`` of ours, and a note; from what its folder proves."""
    experiment = system.experiment
    if MARK in system.marks:
        return "no", "unknown", "the corpus does not say who speaks, so speakers may be on both sides"
    if system.leaks:
        first = system.leaks[0]
        note = f"the audit found {len(system.leaks)}, first ({first.check}): {first.sentence.rstrip('.')}"
        on_test = any(leak.check in ("choice", "epochs") for leak in system.leaks)
        return "unknown", "yes" if on_test else "unknown", note
    if system.teacher or len(experiment.candidates) < 2:
        return "yes", "unknown", "one setting, fixed before the run; how it was found is not stored"
    if not all(experiment.choice(run.seed, run.fold) for run in experiment.outer_runs(done=True)):
        return "yes", "unknown", "a choice.json is missing, so it is not known how candidates were chosen"
    return "yes", "no", f"best of {len(experiment.candidates)} candidates on inner folds, then scored once"


def _check(row: dict[str, str]) -> None:
    if not row["source"].strip():
        raise ValueError("it has no source; name the paper, its DOI or its address.")
    scores = [row[name] for name in ("wa", "ua") if row[name]]
    if not scores:
        raise ValueError("it has neither WA nor UA; leave the row out.")
    for score in scores:
        if not score.replace(".", "", 1).isdigit() or float(score) > 100:
            raise ValueError(f"'{score}' is not a percentage; give a number from 0 to 100.")
    earned = grade(row["speaker_independent"], row["chosen_on_test"])
    if row["grade"] not in (earned, "D") or (row["grade"] != earned and not row["note"].strip()):
        raise ValueError(f"its grade is '{row['grade']}' but its answers give {earned}; correct one of them.")
