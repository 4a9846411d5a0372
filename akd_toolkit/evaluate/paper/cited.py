"""Numbers that others published, each with a grade that says how far it can be compared with ours, and its source."""

from pathlib import Path

import pandas as pd

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
    """How honest a number is, from A to D, by the rule of ``GRADES``.

    Arguments
    ---------
    speaker_independent
        Whether no test speaker was heard in training: ``yes``, ``no`` or ``unknown``.
    chosen_on_test
        Whether an epoch, a setting or a model was chosen by its score on the test: the same three.

    Raises
    ------
    ValueError
        If an answer is none of the three.

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
    """The published numbers as they are written: text, percent, empty where there is none.

    A row may carry D instead of the grade that the rule gives, where its note says why; never a better one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing, a row has no source or no score, a score is no percentage, or a grade breaks the rule.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no table of published numbers {path}; give another path.")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(rows.columns) != COLUMNS:
        raise ValueError(f"{path} has the columns {', '.join(rows.columns)} but needs {', '.join(COLUMNS)}; mend it.")
    for line, row in enumerate(rows.to_dict("records"), start=2):
        _check(row, f"{path}, line {line} ({row['corpus']}, {row['system']})")
    return rows


def _check(row: dict[str, str], where: str) -> None:
    if not row["source"].strip():
        raise ValueError(f"{where}: it has no source; name the paper, its DOI or its address.")
    scores = [row[name] for name in ("wa", "ua") if row[name]]
    if not scores:
        raise ValueError(f"{where}: it has neither WA nor UA; leave the row out.")
    for score in scores:
        if not score.replace(".", "", 1).isdigit() or not 0 <= float(score) <= 100:
            raise ValueError(f"{where}: '{score}' is no percentage; give a number from 0 to 100.")
    try:
        earned = grade(row["speaker_independent"], row["chosen_on_test"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if row["grade"] not in (earned, "D") or (row["grade"] != earned and not row["note"].strip()):
        raise ValueError(f"{where}: its grade is '{row['grade']}' but its answers earn {earned}; mend one of them.")
