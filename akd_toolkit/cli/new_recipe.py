"""``akd new-recipe``: a recipe for a corpus that the toolkit does not know, ready to train."""

from typing import Annotated, Literal

from typer import Argument, Option


def run(
    name: Annotated[str, Argument(metavar="NAME", help="of corpus and recipe: letters, digits, - and _")],
    data_folder: Annotated[str, Option("--data_folder", metavar="FOLDER", help="holds the recordings, at any depth")],
    layout: Annotated[
        Literal["folders", "pattern", "csv"] | None,
        Option(
            help="folders: one for each class, in or around one for each speaker; pattern: of names; csv: a table. "
            "Without it: csv if there is --table or --columns, pattern if there is --pattern, else folders"
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        Option(
            help="such as '{speaker}_{emotion}_{text}', '{speaker:2}{text:3}{emotion:1}*', "
            "'{speaker}/*/{emotion}/*', or a regular expression with groups (?P<speaker>...) and (?P<emotion>...)"
        ),
    ] = None,
    table: Annotated[str | None, Option(metavar="FILE", help="CSV, TSV, or several: '*/metadata.csv'")] = None,
    columns: Annotated[
        list[str],
        Option(
            metavar="KIND=NAME...",
            help="columns of path, speaker, emotion, id, sex, text, start, stop, duration, or an attribute; - for none",
        ),
    ] = (),
    labels: Annotated[list[str], Option(metavar="CODE=LABEL...", help="W=anger; X=- leaves X out")] = (),
    no_speakers: Annotated[bool, Option("--no-speakers", "--no_speakers", help="the speakers are unknown")] = False,
    folds: Annotated[int, Option(help="outer folds, from 3; as many as speakers at most")] = 5,
    to: Annotated[str, Option(metavar="FOLDER", help="folder in which the recipe's folder is made")] = ".",
) -> None:
    options = locals()
    from akd_toolkit.cli.recipe_maker import make_recipe

    make_recipe(**options)
