"""``akd study NAME FOLDER...``: studies of finished experiments, without training."""

import argparse
import logging
from pathlib import Path

from akd_toolkit.experiment import Experiment

STUDIES = {
    "overlap": "test windows of several lengths and overlaps (the paper's Table 1)",
    "noise": "noise, babble, rooms and telephones on the test speech",
    "cross": "all utterances of another corpus",
    "calibration": "how true the posteriors are, before and after a temperature",
    "agreement": "agreement with each teacher, and whose mistakes are repeated",
    "groups": "every speaker, women and men",
}
OPTIONS = ("windows_s", "overlaps_s", "on", "labels", "unlabelled", "jobs", "to")  # passed on where they are given


def add_parser(commands) -> None:
    parser = commands.add_parser("study", help="ask the students of a finished experiment again; no training")
    names = parser.add_subparsers(dest="study", required=True)
    added = {name: names.add_parser(name, help=about, description=about) for name, about in STUDIES.items()}
    for name, study in added.items():
        if name == "cross":
            study.add_argument("folder", nargs=1, help="finished experiment")
        else:
            study.add_argument("folder", nargs="+", help="finished experiments")
            study.add_argument("--to", type=Path, help="folder for the common table of several experiments")
        if name in ("overlap", "noise", "cross"):
            study.add_argument("--jobs", type=int, default=1, help="how many conditions are computed side by side")
    seconds = {"type": float, "nargs": "+", "default": argparse.SUPPRESS, "metavar": "S"}
    added["overlap"].add_argument(
        "--window_s", dest="windows_s", **seconds, help="seconds (1 2 3), beside the length trained with"
    )
    added["overlap"].add_argument("--overlap_s", dest="overlaps_s", **seconds, help="seconds (0 0.25 0.5), beside 0")
    cross = added["cross"]
    cross.add_argument("--on", required=True, metavar="FOLDER", help="any experiment on the other corpus")
    cross.add_argument("--labels", metavar="YAML", help="which labels are the same: lines of 'label: common name'")
    cross.add_argument("--unlabelled", metavar="MANIFEST", help="manifest.csv of the speech without labels of FOLDER")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    logging.getLogger("speechbrain").setLevel(logging.WARNING)  # it greets whoever imports it
    from akd_toolkit import studies  # here, because torch and speechbrain come with it

    experiments = [Experiment.read(folder) for folder in arguments.folder]
    options = {name: getattr(arguments, name) for name in OPTIONS if hasattr(arguments, name)}
    study = getattr(studies, f"{arguments.study}_study")
    path = study(experiments[0] if arguments.study == "cross" else experiments, **options)
    print(path.read_text(encoding="utf-8"))
    print(f"written to {path}")
    return 0
