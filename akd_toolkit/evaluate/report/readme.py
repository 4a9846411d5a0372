"""The tables of a recipe's README, made of results.csv and ablation.csv beside it and of nothing else."""

from pathlib import Path

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.evaluate.report.ablation import ablation_markdown, read_ablation
from akd_toolkit.evaluate.report.results import ABLATION, COLUMNS, read_results
from akd_toolkit.evaluate.report.tables import results_table_markdown
from akd_toolkit.experiment.paths import ExperimentPaths

PICTURE = "ablation.svg"
NO_ABLATION = "No ablation has been published."


def sync_readme(readme: str | Path, results_csv: str | Path) -> bool:
    """Put the tables between their markers in ``readme``; True if that changed the page.

    Between ``<!-- results -->`` and ``<!-- /results -->``: the rows of ``results_csv`` but those of the ablation.
    Between ``<!-- ablation -->`` and ``<!-- /ablation -->``, which a page without an ablation need not have: the
    table of ``ablation.csv`` beside ``results_csv``, and the picture beside it.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the page does not hold its markers once, in order, the two tables do not tell the same of the ablation, or
        one of them cannot be read.
    """
    page = _read_page(Path(readme))
    wanted = _with_tables(page, Path(readme), Path(results_csv))
    if wanted == page:
        return False
    write_text_aside(readme, wanted)
    return True


def check_readme(readme: str | Path, results_csv: str | Path) -> None:
    """Refuse a page whose tables are not exactly those that ``sync_readme`` would write.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If they differ, or as ``sync_readme``.
    """
    page = _read_page(Path(readme))
    if _with_tables(page, Path(readme), Path(results_csv)) != page:
        raise ValueError(
            f"the table in {readme} is not that of {results_csv}; run "
            "akd_toolkit.evaluate.report.sync_readme(readme, results_csv), and never edit the table by hand."
        )


def check_ablation(ablation_csv: str | Path, results_csv: str | Path) -> None:
    """Refuse tables that do not hold the same rows of the ablation with the same figures.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a row is in only one of them, or a column that both have differs.
    """
    of_ablation = read_ablation(ablation_csv).set_index("system")
    of_results = read_results(results_csv)
    of_results = of_results[of_results["recipe"] == ABLATION].set_index("system")
    for row in of_ablation.index.difference(of_results.index, sort=False):
        raise ValueError(f"row '{row}' is in {ablation_csv} but not in {results_csv}; run the ablation again.")
    for row in of_results.index.difference(of_ablation.index, sort=False):
        raise ValueError(
            f"row '{row}' is in {results_csv} but not in {ablation_csv}; "
            "delete it there if the ablation has it no longer, or publish both of one run."
        )
    for name in (column for column in COLUMNS if column in of_ablation):
        differs = of_ablation[name] != of_results.loc[of_ablation.index, name]
        if differs.any():
            system = of_ablation.index[differs][0]
            raise ValueError(
                f"row '{system}' has {name} '{of_ablation.loc[system, name]}' in {ablation_csv} but "
                f"'{of_results.loc[system, name]}' in {results_csv}; publish both of one run."
            )


def _with_tables(page: str, path: Path, results_csv: Path) -> str:
    page = _with_block(page, path, "results", results_table_markdown(results_csv))
    ablation_csv = ExperimentPaths(results_csv.parent).ablation_table
    if ablation_csv.exists() or (read_results(results_csv)["recipe"] == ABLATION).any():
        check_ablation(ablation_csv, results_csv)
        drawn = ablation_csv.with_name(PICTURE)
        if not drawn.is_file():
            raise FileNotFoundError(f"there is no picture {drawn}; publish the ablation again.")
        picture = f"![UA points of every row of the ablation]({PICTURE})"
        return _with_block(page, path, "ablation", f"{picture}\n\n{ablation_markdown(ablation_csv)}")
    return _with_block(page, path, "ablation", NO_ABLATION) if "<!-- ablation -->" in page else page


def _with_block(page: str, path: Path, name: str, block: str) -> str:
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(start) != 1 or page.count(end) != 1 or page.index(start) > page.index(end):
        raise ValueError(f"{path} must hold the lines {start} and {end} once each, in this order, around its table.")
    before, rest = page.split(start)
    return f"{before}{start}\n\n{block}\n\n{end}{rest.split(end)[1]}"


def _read_page(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no page {path}; write it with the lines <!-- results --> and <!-- /results --> in it."
        )
    return path.read_text(encoding="utf-8")
