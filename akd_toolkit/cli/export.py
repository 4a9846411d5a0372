"""``akd export RUN``: a trained student as one file, compared with the student itself."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from akd_toolkit.cli.command import show
from akd_toolkit.deploy.formats import CALIBRATION, FORMATS, SUFFIXES, check_format

EPILOG = """examples:
  akd export results/akd/seed17/fold1/outer                          student.onnx in the run's folder
  akd export results/akd/seed17/fold1/outer --precision int8         student.int8.onnx, calibrated on training speakers
  akd export results/akd --precision int8 --to exported              every finished run, and one table of all
  akd export bundle --precision int8 --speech recordings --to other  a student without its experiment
exit code: 0 if every file passed its comparison, and all files of an experiment together; a file that does not pass
is not written"""


def run(
    folder: Annotated[Path, Argument(metavar="RUN", help="a finished outer run, an experiment with many, or a bundle")],
    format: Annotated[Literal[tuple(sorted(FORMATS))], Option()] = "onnx",
    precision: Annotated[Literal[FORMATS["onnx"]], Option()] = "fp32",
    to: Annotated[str | None, Option(metavar="PATH", help="file or folder to write; a bundle needs one")] = None,
    calibration: Annotated[int, Option(metavar="N", help="int8: utterances of training speakers")] = CALIBRATION,
    mode: Annotated[Literal["static", "dynamic"], Option(help="int8: ranges fixed, or found in every call")] = "static",
    speech: Annotated[str | None, Option(metavar="FOLDER", help="recordings to compare on, for a bundle")] = None,
    batch: Annotated[tuple[int, int, int] | None, Option(metavar="MIN OPT MAX", help="tensorrt: batches")] = None,
    samples: Annotated[tuple[int, int, int] | None, Option(metavar="MIN OPT MAX", help="tensorrt: lengths")] = None,
    no_lengths: Annotated[
        bool, Option("--no-lengths", help="onnx: without the input lengths and its loop, for converters that lack them")
    ] = False,
) -> None:
    given = {name: value for name, value in (("batch", batch), ("samples", samples)) if value}
    if given and format != "tensorrt":
        raise ValueError("--batch and --samples are for tensorrt only; other files take any batch and length.")
    if no_lengths and format != "onnx":
        raise ValueError(f"--no-lengths is for onnx only, and the format is {format}; leave it out.")
    check_format(format, precision, calibration)
    _check_places(folder, to, speech)
    from akd_toolkit.deploy.export.run import as_table, check_together, export_experiment, export_run
    from akd_toolkit.deploy.export.tensorrt import Shapes

    options = {"format": format, "precision": precision, "to": to, "calibration": calibration, "mode": mode}
    options |= {"speech": speech, "shapes": Shapes(**given), "lengths": not no_lengths}
    if _is_experiment(folder):
        reports = export_experiment(folder, **options)
    else:
        reports = [export_run(folder, **options)]
    show(as_table(reports))
    for report in reports:
        print(f"written to {report.file}")
    check_together(reports)


def _is_experiment(folder: Path) -> bool:
    from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths

    return ExperimentPaths(folder).exists and not RunPaths(folder).student.is_file()


def _check_places(folder: Path, to: str | None, speech: str | None) -> None:
    """Refuse a place without a student, and a bundle as a place to write to."""
    if folder.is_file():
        what = "an exported file already" if folder.suffix in SUFFIXES.values() else "a file"
        raise ValueError(f"{folder} is {what}; give the folder of the run that it belongs to.")
    for place in (folder, speech):
        if place is not None and not Path(place).is_dir():
            raise FileNotFoundError(f"{place} does not exist; check the path.")
    from akd_toolkit.inference.bundle import check_folder, is_bundle

    target = (folder if to is None else Path(to)).resolve()
    for place in (target, *target.parents):
        if is_bundle(place):
            raise ValueError(f"{place} is a bundle, which must stay as released; give another place with --to.")
    if not _is_experiment(folder):
        check_folder(folder)
