"""results.csv, one row per system with scores in percent, and the tables of a recipe's README made from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
from filelock import FileLock

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import WATERMARK, is_marked
from akd_toolkit.evaluate.report.ablation_report import ablation_markdown, read_ablation
from akd_toolkit.evaluate.report.tables import count, frame_table, read_cells
from akd_toolkit.experiment.paths import ExperimentPaths

KEY_COLUMNS = ("corpus", "recipe", "system", "student", "teachers")
PERCENT_COLUMNS = ("wa_mean", "wa_std", "ua_mean", "ua_std", "wa_pooled", "ua_pooled", "ua_low", "ua_high")
COLUMNS = (*KEY_COLUMNS, "params", "folds", "seeds", *PERCENT_COLUMNS, "minutes", "commit", "date")
SYSTEMS = ("student", "kd", "akd", "teacher")  # in the order of every comparison; "student" has no teacher
ABLATION = "ablation"  # the recipe whose systems are named by the titles of its rows


def results_row(summary: Mapping, *, teachers: Sequence[str], date: str | None = None, **names) -> dict[str, str]:
    """The row of results.csv for one system, as text, from the result of ``summarise``.

    ``names`` are the columns ``corpus``, ``recipe``, ``system`` (in the recipe ``ablation`` the title of the row),
    ``student``, ``params``, ``minutes`` and ``commit``. Shares become percent with one decimal.
    """
    for name in PERCENT_COLUMNS:
        if not 0 <= float(summary[name]) <= 1:
            raise ValueError(f"{name} must be a share in [0, 1], got {summary[name]}; pass the result of summarise().")
    row = {**names, "folds": summary["folds"], "seeds": summary["seeds"], "teachers": " + ".join(teachers)}
    row |= {name: f"{100 * float(summary[name]):.1f}" for name in PERCENT_COLUMNS}
    row |= {"minutes": f"{names['minutes']:.1f}", "date": date or datetime.now(timezone.utc).strftime("%Y-%m-%d")}
    return _checked({name: " ".join(str(row[name]).split()) for name in COLUMNS})


def append_results(path: str | Path, row: dict[str, str]) -> None:
    """Write a row of ``results_row`` into results.csv, where it replaces the row of the same system.

    Runs that end at the same time wait for each other.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        rows = read_results(path).to_dict("records") if path.exists() else []
        _write(path, ({_key(other): other for other in rows} | {_key(row): row}).values())


def publish_results(path: str | Path, run: pd.DataFrame) -> pd.DataFrame:
    """Merge the rows of a run's results.csv into ``path`` and return all rows.

    A row replaces the row of the same system; an ablation replaces the whole earlier one of its corpus, and comes last.
    """
    path = Path(path)
    published = read_results(path) if path.exists() else run.iloc[:0]
    replaced = set(run.loc[run["recipe"] == ABLATION, "corpus"])
    kept = published[~((published["recipe"] == ABLATION) & published["corpus"].isin(replaced))]
    rows = {_key(row): row for table in (kept, run) for row in table.to_dict("records")}
    return _write(path, sorted(rows.values(), key=lambda row: row["recipe"] == ABLATION))


def read_results(path: str | Path) -> pd.DataFrame:
    """The rows of results.csv as text, scores in percent with one decimal."""
    rows = read_cells(path, COLUMNS, "results table", "run a recipe to its end, which writes one")
    for row in rows.to_dict("records"):
        _checked(row, f"{path}: ")
    return rows


def results_table_markdown(path: str | Path) -> str:
    """results.csv as a Markdown table: each student alone, with plain KD, with AKD, then the teachers; no ablation."""
    rows = read_results(path)
    rows = rows[rows["recipe"] != ABLATION].copy()
    rows["place"], rows["last"] = rows["system"].map(SYSTEMS.index), rows["system"] == "teacher"
    rows = rows.sort_values(["corpus", "last", "student", "place"], kind="stable")
    shown = rows[list(KEY_COLUMNS)].assign(parameters=rows["params"].map(count))
    shown["folds x seeds"] = rows["folds"] + " x " + rows["seeds"]
    shown["WA, folds"] = rows["wa_mean"] + " ± " + rows["wa_std"]
    shown["UA, folds"] = rows["ua_mean"] + " ± " + rows["ua_std"]
    shown["WA pooled"] = rows["wa_pooled"]
    shown["UA pooled [95 %]"] = rows["ua_pooled"] + " [" + rows["ua_low"] + ", " + rows["ua_high"] + "]"
    shown[["minutes", "commit", "date"]] = rows[["minutes", "commit", "date"]]
    table = frame_table(shown.replace("", "-"), left=5)
    return f"{WATERMARK}\n\n{table}" if rows["corpus"].map(is_marked).any() else table


def sync_readme(readme: str | Path, results_csv: str | Path) -> bool:
    """Put the tables between their markers in ``readme``; True if that changed the page.

    Between ``<!-- results -->`` and ``<!-- /results -->``: ``results_table_markdown`` of ``results_csv``.
    Between ``<!-- ablation -->`` and ``<!-- /ablation -->``, needed only with an ablation: the table of
    ``ablation.csv`` and the picture, both beside ``results_csv``.
    """
    page, wanted = _with_tables(Path(readme), Path(results_csv))
    if wanted != page:
        write_text_aside(readme, wanted)
    return wanted != page


def check_readme(readme: str | Path, results_csv: str | Path) -> None:
    """Refuse a page whose tables are not exactly those that ``sync_readme`` would write."""
    page, wanted = _with_tables(Path(readme), Path(results_csv))
    if wanted != page:
        raise ValueError(
            f"the table in {readme} differs from {results_csv}; never edit it by hand, run "
            "akd_toolkit.evaluate.report.results.sync_readme(readme, results_csv)."
        )


def check_ablation(ablation_csv: str | Path, results_csv: str | Path) -> None:
    """Refuse tables that do not hold the same rows of the ablation with the same values."""
    ablation, results = read_ablation(ablation_csv).set_index("system"), read_results(results_csv)
    results = results[results["recipe"] == ABLATION].set_index("system")
    for row in ablation.index.symmetric_difference(results.index, sort=False):
        there, missing = (ablation_csv, results_csv) if row in ablation.index else (results_csv, ablation_csv)
        raise ValueError(f"row '{row}' is in {there} but not in {missing}; publish both of one run.")
    common = [name for name in COLUMNS if name in ablation]
    differs = ablation[common] != results.loc[ablation.index, common]
    for system, name in differs.stack()[lambda different: different].index:
        raise ValueError(
            f"row '{system}' has {name} '{ablation.loc[system, name]}' in {ablation_csv} but "
            f"'{results.loc[system, name]}' in {results_csv}; publish both of one run."
        )


def _write(path: Path, rows) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(COLUMNS), dtype=str)
    write_text_aside(path, table.to_csv(index=False, lineterminator="\n"))
    return table


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    """What identifies a system: for a row of an ablation its title alone, whatever student and teachers it has."""
    return tuple(row[name] for name in (KEY_COLUMNS[:3] if row["recipe"] == ABLATION else KEY_COLUMNS))


def _checked(row: dict[str, str], where: str = "") -> dict[str, str]:
    if row["recipe"] == ABLATION:
        if not row["system"].strip():
            raise ValueError(f"{where}system must be the title of the row in the recipe '{ABLATION}', got none.")
    elif row["system"] not in SYSTEMS:
        raise ValueError(f"{where}system must be one of {', '.join(SYSTEMS)}, got '{row['system']}'.")
    return row


def _with_tables(readme: Path, results_csv: Path) -> tuple[str, str]:
    """The page as it is, and with the tables."""
    if not readme.is_file():
        raise FileNotFoundError(
            f"there is no page {readme}; write it with the lines <!-- results --> and <!-- /results --> in it."
        )
    page = readme.read_text(encoding="utf-8")
    blocks = {"results": results_table_markdown(results_csv)}
    ablation_csv = ExperimentPaths(results_csv.parent).ablation_table
    if ablation_csv.exists() or (read_results(results_csv)["recipe"] == ABLATION).any():
        check_ablation(ablation_csv, results_csv)
        picture = ablation_csv.with_name("ablation.svg")
        if not picture.is_file():
            raise FileNotFoundError(f"there is no picture {picture}; publish the ablation again.")
        shown = f"![UA points of every row of the ablation]({picture.name})"
        blocks["ablation"] = f"{shown}\n\n{ablation_markdown(ablation_csv)}"
    elif "<!-- ablation" in page:
        blocks["ablation"] = "No ablation has been published."
    wanted = page
    for name, block in blocks.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if page.count(start) != 1 or page.count(end) != 1 or page.index(start) > page.index(end):
            raise ValueError(f"{readme} must hold {start} and {end} once each, in this order, around its table.")
        before, after = wanted.split(start)[0], wanted.split(end)[1]
        wanted = f"{before}{start}\n\n{block}\n\n{end}{after}"
    return page, wanted
