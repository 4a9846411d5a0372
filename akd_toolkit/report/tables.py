"""Markdown tables, and the one in a README that is made of results.csv and of nothing else."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.report.results import KEY_COLUMNS, SYSTEMS, read_results

OPEN, CLOSE = "<!-- results -->", "<!-- /results -->"


def results_table_markdown(path: str | Path) -> str:
    """results.csv as a Markdown table: teachers first, then each student without them, with KD, with AKD.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_results``.
    """
    rows = read_results(path)
    rows = sorted((row for _, row in rows.iterrows()), key=_place)  # stable: ties stay as they were written
    header = ["corpus", "recipe", "system", "student", "teachers", "parameters", "folds x seeds", "WA, folds"]
    header += ["UA, folds", "WA pooled", "UA pooled [95 %]", "minutes", "commit", "date"]
    cells = [
        [
            *(row[name] or "-" for name in KEY_COLUMNS),
            count(row["params"]),
            f"{row['folds']} x {row['seeds']}",
            f"{row['wa_mean']} ± {row['wa_std']}",
            f"{row['ua_mean']} ± {row['ua_std']}",
            row["wa_pooled"],
            f"{row['ua_pooled']} [{row['ua_low']}, {row['ua_high']}]",
            *(row[name] or "-" for name in ("minutes", "commit", "date")),
        ]
        for row in rows
    ]
    return markdown_table(header, cells, left=5)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """A Markdown table whose first ``left`` columns are aligned left and the others, numbers, right.

    Example
    -------
    >>> print(markdown_table(["fold", "UA"], [["03, 08", "81.2"]]))
    | fold | UA |
    |---|---:|
    | 03, 08 | 81.2 |
    """
    rule = ["---" if column < left else "---:" for column in range(len(header))]
    return "\n".join([_table_line(header), f"|{'|'.join(rule)}|", *map(_table_line, rows)])


def sync_readme(readme: str | Path, results_csv: str | Path) -> bool:
    """Put the table of ``results_csv`` between the two markers of ``readme``; True if that changed the page.

    Raises
    ------
    FileNotFoundError
        If either file is missing.
    ValueError
        If the page does not hold each of the two markers once, in order, or the results cannot be read.
    """
    page = _read_page(Path(readme))
    wanted = _with_table(page, Path(readme), results_table_markdown(results_csv))
    if wanted == page:
        return False
    write_text_aside(readme, wanted)
    return True


def check_readme(readme: str | Path, results_csv: str | Path) -> None:
    """Refuse a page whose table is not exactly that of ``results_csv``.

    Raises
    ------
    FileNotFoundError
        If either file is missing.
    ValueError
        If they differ, or as ``sync_readme``.
    """
    page = _read_page(Path(readme))
    if _with_table(page, Path(readme), results_table_markdown(results_csv)) != page:
        raise ValueError(
            f"the table in {readme} is not that of {results_csv}; run "
            "akd_toolkit.report.sync_readme(readme, results_csv), and never edit the table by hand."
        )


def count(number: int | str) -> str:
    """A number of parameters for people.

    Example
    -------
    >>> count(163000), count("10400000"), count(900)
    ('0.16 M', '10.4 M', '900')
    """
    if str(number) in ("", "0"):
        return "-"
    millions = int(number) / 1e6
    if millions < 0.01:
        return str(number)
    return f"{millions:.2f} M" if millions < 1 else f"{millions:.1f} M"


def _place(row: pd.Series) -> tuple:
    return row["corpus"], row["system"] != "teacher", row["student"], SYSTEMS.index(row["system"])


def _read_page(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"there is no page {path}; write it with the lines {OPEN} and {CLOSE} in it.")
    return path.read_text(encoding="utf-8")


def _with_table(page: str, path: Path, table: str) -> str:
    if page.count(OPEN) != 1 or page.count(CLOSE) != 1 or page.index(OPEN) > page.index(CLOSE):
        raise ValueError(f"{path} must hold the lines {OPEN} and {CLOSE} once each, in this order, around its table.")
    before, rest = page.split(OPEN)
    return f"{before}{OPEN}\n\n{table}\n\n{CLOSE}{rest.split(CLOSE)[1]}"


def _table_line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
