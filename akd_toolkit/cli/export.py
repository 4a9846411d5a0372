"""``akd export RUN``: a trained student as one file, and the proof that it is the same student."""

import argparse
from pathlib import Path

from akd_toolkit.export_formats import CALIBRATION, FORMATS, SUFFIXES, check_format

EPILOG = """examples:
  akd export results/akd/seed17/fold1/outer                          student.onnx in the run's folder
  akd export results/akd/seed17/fold1/outer --precision int8         student.int8.onnx, calibrated on training speakers
  akd export results/akd --precision int8 --to exported              every finished run, and one table of all
  akd export bundle --precision int8 --speech recordings --to other  a student without its experiment
exit code: 0 if every file passed its comparison, and all files of an experiment together; a file that does not pass
is not written"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "export",
        help="write a trained student as ONNX, TorchScript or TensorRT, compared with its module",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_folder", metavar="RUN", help="a finished outer run, an experiment with many, or a bundle")
    parser.add_argument("--format", default="onnx", choices=sorted(FORMATS))
    parser.add_argument("--precision", default="fp32", choices=FORMATS["onnx"])
    parser.add_argument(
        "--to", metavar="PATH", help="file or folder to write; the run's folder if not given; a bundle needs one"
    )
    parser.add_argument(
        "--calibration",
        type=int,
        default=CALIBRATION,
        metavar="N",
        help=f"int8: utterances of training speakers ({CALIBRATION})",
    )
    parser.add_argument(
        "--mode", default="static", choices=("static", "dynamic"), help="int8: ranges fixed, or found in every call"
    )
    parser.add_argument("--speech", metavar="FOLDER", help="recordings to compare on, for a student without experiment")
    parser.add_argument("--batch", type=int, nargs=3, metavar=("MIN", "OPT", "MAX"), help="tensorrt: sizes of batches")
    parser.add_argument("--samples", type=int, nargs=3, metavar=("MIN", "OPT", "MAX"), help="tensorrt: lengths")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    given = {name: tuple(getattr(arguments, name)) for name in ("batch", "samples") if getattr(arguments, name)}
    if given and arguments.format != "tensorrt":
        raise ValueError("--batch and --samples are of tensorrt alone; other files take any batch and length.")
    check_format(arguments.format, arguments.precision, arguments.calibration)
    folder = Path(arguments.run_folder)
    _check_places(folder, arguments.to, arguments.speech)
    from akd_toolkit.export.tensorrt import Shapes  # here, because torch comes with it
    from akd_toolkit.export_report import as_table, check_together
    from akd_toolkit.export_run import export_experiment, export_run

    options = {
        name: getattr(arguments, name) for name in ("format", "precision", "to", "calibration", "mode", "speech")
    }
    options["shapes"] = Shapes(**given)
    if _is_experiment(folder):
        reports = export_experiment(folder, **options)
    else:
        reports = [export_run(folder, **options)]
    print(as_table(reports))
    for report in reports:
        print(f"written to {report.file}")
    check_together(reports)
    return 0


def _is_experiment(folder: Path) -> bool:
    return (folder / "settings.yaml").is_file() and not (folder / "student.json").is_file()


def _check_places(folder: Path, to: str | None, speech: str | None) -> None:
    """Refuse what is no folder with a student, and a bundle as a place to write to."""
    if folder.is_file():
        what = "an exported file already" if folder.suffix in SUFFIXES.values() else "a file"
        raise ValueError(f"{folder} is {what}; give the folder of the run that it is of.")
    for place in (folder, speech):
        if place is not None and not Path(place).is_dir():
            raise FileNotFoundError(f"{place} does not exist; check the path.")
    from akd_toolkit.hub import check_folder, is_bundle  # here, because it takes its time

    target = (folder if to is None else Path(to)).resolve()
    for place in (target, *target.parents):
        if is_bundle(place):
            raise ValueError(
                f"{place} is a bundle, and a file beside those that were released would spoil it; give another place "
                "with --to, for example --to exported."
            )
    if not _is_experiment(folder):
        check_folder(folder)
