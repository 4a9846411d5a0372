"""``akd audit``: leak checks of an experiment or of split files from elsewhere."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

EPILOG = """examples:
  akd audit results/akd                                   a finished or planned experiment
  akd audit EmoBox/data/emodb                             split files of others: CSV, TSV, JSON, JSONL
  akd audit train.csv test.csv --speaker spk --audio /data/corpus
  akd audit folds/ --speaker-pattern '^(Ses\\d\\d[FM])'
exit code: 0 without a leak, 1 with one; with --strict, 3 where speakers or utterances could not be proved"""


def run(
    path: Annotated[list[str], Argument(metavar="PATH...", help="output_folder of a recipe, or split files")],
    as_json: Annotated[bool, Option("--json", help="print JSON")] = False,
    strict: Annotated[bool, Option("--strict", help="exit code 3 where speakers or utterances are not proved")] = False,
    no_sound: Annotated[bool, Option("--no-sound", help="experiment: do not compare how recordings sound")] = False,
    unlabelled: Annotated[str | None, Option(metavar="MANIFEST", help="experiment: the speech without labels")] = None,
    speaker: Annotated[str | None, Option(metavar="COLUMN", help="split files: who speaks")] = None,
    speaker_pattern: Annotated[
        str | None, Option(metavar="REGEX", help="first group in ID or path: the speaker")
    ] = None,
    partition: Annotated[str | None, Option(metavar="COLUMN", help="split files: the partition or fold")] = None,
    ids: Annotated[str | None, Option("--id", metavar="COLUMN,...", help="split files: columns of the ID")] = None,
    audio: Annotated[str | None, Option(metavar="ROOT", help="split files: recordings, to compare their sound")] = None,
) -> int:
    from akd_toolkit.audit import as_dict, as_text, has_leak, unproved
    from akd_toolkit.audit.experiment import audit_experiment, title_of
    from akd_toolkit.audit.split_files import audit_split_files
    from akd_toolkit.data.manifest import Manifest
    from akd_toolkit.experiment.stored import Experiment

    folders = _experiments(path)
    if folders:
        columns = {"--speaker": speaker, "--speaker-pattern": speaker_pattern, "--partition": partition, "--id": ids}
        _refuse({**columns, "--audio": audio}, f"split files, and {path[0]} holds an experiment")
        more_speech = Manifest.read(unlabelled) if unlabelled else None
        audits = []
        for experiment in map(Experiment.read, folders):
            audits.append((title_of(experiment), audit_experiment(experiment, not no_sound, more_speech)))
    else:
        _refuse({"--no-sound": no_sound, "--unlabelled": unlabelled}, f"experiments, and {path[0]} holds none")
        columns = [name.strip() for name in (ids or "").split(",") if name.strip()]
        audits = [audit_split_files(path, speaker, speaker_pattern, partition, audio, columns)]
    if as_json:
        print(json.dumps([as_dict(*audit) for audit in audits], indent=2))
    else:
        print("\n\n".join(as_text(*audit) for audit in audits))
    if any(has_leak(findings) for _, findings in audits):
        return 1
    return 3 if strict and any(unproved(findings) for _, findings in audits) else 0


def _refuse(options: dict, purpose: str) -> None:
    """Refuse options that would have no effect."""
    for option, given in options.items():
        if given:
            raise ValueError(f"{option} is for {purpose}; leave it out.")


def _experiments(paths: list[str]) -> list[Path]:
    """The experiments at the paths, or in folders of several such as an ablation's; none where all are split files."""
    from akd_toolkit.experiment.paths import ExperimentPaths, experiments_at

    found = {path: experiments_at(path) for path in map(Path, paths)}
    for path, folders in found.items():
        above = [parent for parent in path.resolve().parents if ExperimentPaths(parent).exists]
        if above and not folders and path.is_dir():
            raise ValueError(f"{path} is inside the experiment {above[0]}; audit that folder.")
    others = [str(path) for path, folders in found.items() if not folders]
    if others and len(others) < len(found):
        raise ValueError(
            f"{', '.join(others)} holds no experiment, and the others do; audit split files by themselves."
        )
    return [folder for folders in found.values() for folder in folders]
