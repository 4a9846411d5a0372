"""``akd report``: the tables and figures of a paper, from finished experiments."""

from pathlib import Path

from akd_toolkit.paper import write_paper
from akd_toolkit.paper.cited import COMMITTED


def add_parser(commands) -> None:
    about = "tables, figures and one HTML page from the stored scores of finished experiments"
    parser = commands.add_parser("report", help=about, description=about)
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="output_folder of a recipe or of an ablation")
    parser.add_argument("--to", default="report", metavar="OUT", help="folder to write (default: report)")
    parser.add_argument("--title", default="", help="heading of the page")
    parser.add_argument("--baseline", metavar="NAME", help="test all systems against this one, not every two")
    parser.add_argument("--cited", default=str(COMMITTED), metavar="CSV", help="published numbers of your own")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    page = write_paper(arguments.folders, arguments.to, arguments.title, arguments.baseline, arguments.cited)
    print(f"see {page} and {Path(page).with_suffix('.md')}")
    return 0
