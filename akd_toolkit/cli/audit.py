"""``akd audit``: what can be proved of an experiment, or of the split files of others, and what cannot."""

import argparse
import json
from pathlib import Path

from akd_toolkit.audit import as_dict, as_text, has_leak
from akd_toolkit.audit.split_files import audit_split_files
from akd_toolkit.audit.stored import audit_experiment, title_of
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment import Experiment

EPILOG = """examples:
  akd audit results/akd                                   a finished or planned experiment
  akd audit EmoBox/data/emodb                             split files of others: CSV, TSV, JSON, JSONL
  akd audit train.csv test.csv --speaker spk --audio /data/corpus
  akd audit folds/ --speaker-pattern '^(Ses\\d\\d[FM])'
exit code: 0 without a leak, 1 with one"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "audit",
        help="prove that a split leaks nothing, or name what leaks",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="+", help="output_folder of a recipe, or files or folders of splits")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-sound", action="store_true", help="experiment: do not compare how recordings sound")
    parser.add_argument(
        "--unlabelled", metavar="MANIFEST", help="experiment: manifest.csv of the speech without labels"
    )
    splits = parser.add_argument_group("split files")
    splits.add_argument("--speaker", metavar="COLUMN", help="column or key that names the speaker")
    splits.add_argument(
        "--speaker-pattern", metavar="REGEX", help="its first group, found in ID or path, is the speaker"
    )
    splits.add_argument("--partition", metavar="COLUMN", help="column that says train, valid or test, or the fold")
    splits.add_argument("--audio", metavar="ROOT", help="folder of the recordings, to compare their sound as well")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    folders = _experiments(arguments.path)
    if folders:
        unlabelled = Manifest.read(arguments.unlabelled) if arguments.unlabelled else None
        audits = []
        for folder in folders:
            experiment = Experiment.read(folder)
            findings = audit_experiment(experiment, not arguments.no_sound, unlabelled)
            audits.append((title_of(experiment), findings))
    else:
        options = (arguments.speaker, arguments.speaker_pattern, arguments.partition, arguments.audio)
        audits = [audit_split_files(arguments.path, *options)]
    if arguments.json:
        print(json.dumps([as_dict(*audit) for audit in audits], indent=2))
    else:
        print("\n\n".join(as_text(*audit) for audit in audits))
    return int(any(has_leak(findings) for _, findings in audits))


def _experiments(paths: list[str]) -> list[Path]:
    """The experiments at the paths, or in folders of several such as an ablation's; none where all are split files."""
    found = {
        path: [path] if (path / "settings.yaml").is_file() else sorted(s.parent for s in path.glob("*/settings.yaml"))
        for path in map(Path, paths)
    }
    others = [str(path) for path, folders in found.items() if not folders]
    if others and len(others) < len(found):
        raise ValueError(
            f"{', '.join(others)} holds no experiment, and the others do; audit split files by themselves."
        )
    return [folder for folders in found.values() for folder in folders]
