"""``akd export RUN``: a trained student as one file, and the proof that it is the same student."""

import argparse
from pathlib import Path

EPILOG = """examples:
  akd export results/akd/seed17/fold1/outer                          student.onnx in the run's folder
  akd export results/akd/seed17/fold1/outer --precision int8         student.int8.onnx, calibrated on training speakers
  akd export results/akd --precision int8 --to /tmp/int8             every finished run, and one table of all
  akd export bundle --precision int8 --speech my/recordings          a student without its experiment
exit code: 0 if every file passed its comparison; a file that does not is not written"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "export",
        help="write a trained student as ONNX, TorchScript or TensorRT, compared with its module",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_folder", metavar="RUN", help="a finished outer run, an experiment with many, or a bundle")
    parser.add_argument("--format", default="onnx", choices=("onnx", "tensorrt", "torchscript"))
    parser.add_argument("--precision", default="fp32", choices=("fp32", "fp16", "int8"))
    parser.add_argument("--to", metavar="PATH", help="file or folder to write; the run's folder if not given")
    parser.add_argument(
        "--calibration", type=int, default=100, metavar="N", help="int8: utterances of training speakers (100)"
    )
    parser.add_argument(
        "--mode", default="static", choices=("static", "dynamic"), help="int8: ranges fixed, or found in every call"
    )
    parser.add_argument("--speech", metavar="FOLDER", help="recordings to compare on, for a student without experiment")
    parser.add_argument("--batch", type=int, nargs=3, metavar=("MIN", "OPT", "MAX"), help="tensorrt: sizes of batches")
    parser.add_argument("--samples", type=int, nargs=3, metavar=("MIN", "OPT", "MAX"), help="tensorrt: lengths")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    from akd_toolkit.export.tensorrt import Shapes
    from akd_toolkit.export_run import as_table, export_experiment, export_run

    given = {name: tuple(getattr(arguments, name)) for name in ("batch", "samples") if getattr(arguments, name)}
    if given and arguments.format != "tensorrt":
        raise ValueError("--batch and --samples are of tensorrt alone; other files take any batch and length.")
    folder = Path(arguments.run_folder)
    options = {
        name: getattr(arguments, name) for name in ("format", "precision", "to", "calibration", "mode", "speech")
    }
    options["shapes"] = Shapes(**given)
    if (folder / "settings.yaml").is_file() and not (folder / "student.json").is_file():
        reports = export_experiment(folder, **options)
    else:
        reports = [export_run(folder, **options)]
    print(as_table(reports))
    for report in reports:
        print(f"written to {report.file}")
    return 0
