"""Markdown tables."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from akd_toolkit.data.watermark import WATERMARK, is_marked
from akd_toolkit.evaluate.report.results import ABLATION, KEY_COLUMNS, SYSTEMS, read_results


def results_table_markdown(path: str | Path) -> str:
    """results.csv as a Markdown table: teachers first, then each student without them, with KD, with AKD.

    The rows of an ablation are left to ``ablation_markdown``, which says what each is compared with. Above a table
    with scores that are not speaker-independent stands the watermark.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_results``.
    """
    rows = read_results(path)
    rows = rows[rows["recipe"] != ABLATION]
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
    table = markdown_table(header, cells, left=5)
    return f"{WATERMARK}\n\n{table}" if any(is_marked(row["corpus"]) for row in rows) else table


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


def _table_line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
