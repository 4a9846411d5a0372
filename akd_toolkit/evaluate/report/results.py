"""results.csv: one row a system, scores in percent."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside

KEY_COLUMNS = ("corpus", "recipe", "system", "student", "teachers")
PERCENT_COLUMNS = (
    *("wa_mean", "wa_std", "ua_mean", "ua_std"),
    *("wa_pooled", "ua_pooled", "ua_low", "ua_high"),
)
COLUMNS = (*KEY_COLUMNS, "params", "folds", "seeds", *PERCENT_COLUMNS, "minutes", "commit", "date")
# In the order of a table; "student" is the one without a teacher.
SYSTEMS = ("teacher", "student", "kd", "akd")
ABLATION = "ablation"  # the recipe whose systems are named by the titles of its rows


def results_row(
    summary: dict,
    *,
    corpus: str,
    recipe: str,
    system: str,
    student: str,
    teachers: Sequence[str],
    params: int,
    minutes: float,
    commit: str,
    date: str | None = None,
) -> dict:
    """The row of results.csv for one system, from what ``summarise`` returned; scores stay shares in [0, 1].

    Arguments
    ---------
    system
        ``teacher``, ``student`` (no teacher), ``kd`` or ``akd``; in the recipe ``ablation`` the title of the row.
    student, teachers
        Names; an empty string and an empty list where there is none.
    params
        Parameters of the model that the row scores.
    minutes
        Wall-clock time of all folds and seeds.
    date
        Year-month-day; today (UTC) if not given.

    Example
    -------
    >>> summary = dict.fromkeys(PERCENT_COLUMNS, 0.5) | {"folds": 5, "seeds": 3, "speakers": 10}
    >>> row = results_row(summary, corpus="EmoDB", recipe="akd", system="akd", student="micro_cnn",
    ...                   teachers=["opensmile", "whisper"], params=160000, minutes=12.0, commit="0a1b2c3")
    >>> row["teachers"], row["folds"], row["ua_pooled"]
    ('opensmile + whisper', 5, 0.5)
    """
    key = (corpus, recipe, system, student, " + ".join(teachers))
    named = dict(zip(KEY_COLUMNS, key, strict=True))
    measured = {name: summary[name] for name in ("folds", "seeds", *PERCENT_COLUMNS)}
    date = date or datetime.now(timezone.utc).strftime("%Y-%m-%d")
    return {**named, "params": params, **measured, "minutes": minutes, "commit": commit, "date": date}


def append_results(path: str | Path, row: dict) -> None:
    """Write ``row`` into results.csv, replacing one that agrees in ``KEY_COLUMNS``.

    A row of an ablation replaces the one of its corpus and title, whatever its student and teachers are.

    Shares become percent with one decimal. The file is written aside and renamed, and two runs that end at
    the same time wait for each other, so no row is lost.

    Raises
    ------
    ValueError
        If the row's columns are not those of ``COLUMNS``, a score is not a share in [0, 1], ``system`` is
        unknown, or the file has other columns.

    Example
    -------
    >>> import tempfile
    >>> row = dict.fromkeys(COLUMNS, "") | dict.fromkeys(PERCENT_COLUMNS, 0.8125)
    >>> row |= {"corpus": "EmoDB", "system": "kd", "params": 160000, "folds": 5, "seeds": 3, "minutes": 12.34}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append_results(Path(folder) / "results.csv", row)
    ...     print((Path(folder) / "results.csv").read_text().splitlines()[1])
    EmoDB,,kd,,,160000,5,3,81.2,81.2,81.2,81.2,81.2,81.2,81.2,81.2,12.3,,
    """
    path = Path(path)
    written = _as_text(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _one_writer(path.parent):
        rows = read_results(path) if path.exists() else pd.DataFrame(columns=list(COLUMNS), dtype=str)
        same = [row_key(other) == row_key(written) for other in rows.to_dict("records")]
        place = same.index(True) if any(same) else len(rows)
        rows.loc[place] = [written[name] for name in COLUMNS]
        write_text_aside(path, rows.to_csv(index=False, lineterminator="\n"))


def publish_results(path: str | Path, run: pd.DataFrame) -> pd.DataFrame:
    """Put the rows that a run has left into results.csv and return all; an ablation is replaced as a whole.

    A row takes the place of the one that ``append_results`` would replace; rows that the run did not make stay. The
    rows of an ablation come last, in the order of the run.

    Raises
    ------
    ValueError
        If the file that is there cannot be read.
    """
    path = Path(path)
    published = read_results(path) if path.exists() else run.iloc[:0]
    ablated = set(run.loc[run["recipe"] == ABLATION, "corpus"])
    kept = published[~((published["recipe"] == ABLATION) & published["corpus"].isin(ablated))]
    rows = {row_key(row): row for table in (kept, run) for row in table.to_dict("records")}
    ordered = sorted(rows.values(), key=lambda row: row["recipe"] == ABLATION)  # stable
    table = pd.DataFrame(ordered, columns=list(COLUMNS), dtype=str)
    write_text_aside(path, table.to_csv(index=False, lineterminator="\n"))
    return table


def row_key(row: Mapping[str, str]) -> tuple[str, ...]:
    """What makes a row of results.csv that row and no other: of an ablation, the title alone names its system."""
    return tuple(row[name] for name in (KEY_COLUMNS[:3] if row["recipe"] == ABLATION else KEY_COLUMNS))


def read_results(path: str | Path) -> pd.DataFrame:
    """The rows of results.csv as they are written: text, percent with one decimal.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its columns are not those of ``COLUMNS``, in that order, or a system is unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no results table {path}; run a recipe to its end first.")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(rows.columns) != COLUMNS:
        raise ValueError(
            f"{path} has the columns {', '.join(rows.columns)} but needs {', '.join(COLUMNS)}; move it away or mend it."
        )
    for row in rows.to_dict("records"):
        _check_system(row, f"{path}: ")
    return rows


def _as_text(row: dict) -> dict[str, str]:
    if set(row) != set(COLUMNS):
        odd = sorted(set(row) ^ set(COLUMNS))
        raise ValueError(f"a results row needs exactly {', '.join(COLUMNS)}; missing or unknown: {', '.join(odd)}.")
    _check_system(row)
    for name in PERCENT_COLUMNS:
        if not 0 <= float(row[name]) <= 1:
            raise ValueError(f"{name} must be a share in [0, 1], got {row[name]}; pass what summarise() returned.")
    percent = {name: f"{100 * float(row[name]):.1f}" for name in PERCENT_COLUMNS}
    minutes = "" if row["minutes"] in ("", None) else f"{float(row['minutes']):.1f}"
    text = {name: " ".join(str(row[name]).split()) for name in COLUMNS}
    return {**text, **percent, "minutes": minutes}


def _check_system(row: Mapping[str, str], where: str = "") -> None:
    if row["recipe"] == ABLATION:
        if not str(row["system"]).strip():
            raise ValueError(f"{where}system must be the title of the row in the recipe '{ABLATION}', got none.")
    elif row["system"] not in SYSTEMS:
        raise ValueError(f"{where}system must be one of {', '.join(SYSTEMS)}, got '{row['system']}'.")


@contextmanager
def _one_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two runs that end together do not overwrite each other's row."""
    try:
        import fcntl
    except ImportError:  # Windows: no torn file there either, but of two rows written at once the later wins
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks is no reason to lose the result
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
