"""``akd report``: the tables and figures of a paper, from finished experiments."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    folders: Annotated[list[str], Argument(metavar="FOLDER...", help="output_folder of a recipe or of an ablation")],
    to: Annotated[str, Option(metavar="OUT", help="folder to write")] = "report",
    title: Annotated[str, Option(metavar="TEXT", help="heading of the page")] = "",
    baseline: Annotated[str | None, Option(metavar="NAME", help="test all against this system, not every two")] = None,
    cited: Annotated[str | None, Option(metavar="CSV", help="published numbers of your own")] = None,
) -> None:
    from akd_toolkit.evaluate.report.full_report import report_experiments
    from akd_toolkit.evaluate.report.systems import COMMITTED

    page = report_experiments(folders, to, title, baseline, cited or str(COMMITTED))
    print(f"see {page} and {Path(page).with_suffix('.md')}")
