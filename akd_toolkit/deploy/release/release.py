"""From a finished run to a bundle: weights, settings, exported files, scores, model card and sums, or nothing."""

import copy
import json
import logging
import os
import shutil
from pathlib import Path

from akd_toolkit import __version__
from akd_toolkit.audit.experiment import audit_experiment
from akd_toolkit.data.files import SETTINGS, WEIGHTS, folder_aside
from akd_toolkit.deploy.export.run import export_run
from akd_toolkit.deploy.formats import PRECISIONS
from akd_toolkit.deploy.release.card import write_card
from akd_toolkit.deploy.release.metadata import gather, is_path, student_licence, training_corpora, without_paths
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import override
from akd_toolkit.inference.bundle import ALLOWED, CARD, HYPERPARAMS, SCORES, check_bundle, is_bundle, write_list
from akd_toolkit.inference.engine import ONNX_FILE
from akd_toolkit.inference.hub import PRETRAINED

logger = logging.getLogger(__name__)

KEPT = (  # of a run's record
    *("student", "label_order", "attributes", "num_parameters", "log_mel_version", "sample_rate_hz", "window_s"),
    *("test_overlap_s", "corpus", "train_speakers", "test_speakers", "candidate", "compressed_by"),
)
DESCRIPTIONS = {
    WEIGHTS: "weights",
    SETTINGS: "the student, its options, labels, windows, speakers",
    ONNX_FILE: "the same in one file for ONNX Runtime, 32 bits",
    "student.fp16.onnx": "the same, weights in 16 bits",
    "student.int8.onnx": "the same, most of it in 8 bits",
    SCORES: "scores, recalls, audit and corpora as data",
    HYPERPARAMS: "how it was trained; SpeechBrain loads the student by it",
}
SPEECHBRAIN = """# Settings of the training, for people to read.{compressed}
# Only SpeechBrain reads this file: Pretrained.from_hparams loads the student by the next lines.
released: !new:akd_toolkit.inference.released.ReleasedStudent
modules:
    student: !ref <released>
pretrainer: !ref <released>
"""
COMPRESSED = " The student was compressed afterwards (compressed_by);\n# number_of_epochs is of the training before."
OWN = ("seed", "fold", "corpus", "window_s", "label_order", "student")  # of the run, in hyperparams.yaml
NOT_WRITTEN = ("manifest_hash", "unlabelled_hash", "log_mel_version", "candidates")  # of the settings


def release(
    run_folder: str | Path,
    to: str | Path,
    licence: str | None = None,
    precisions: tuple[str, ...] = ("fp32",),
    sound: bool = True,
    source: str | None = None,
    weights: bool = True,
) -> Path:
    """Write the bundle of a finished outer run to the folder ``to``, all or nothing.

    It is made next to ``to``, checked as a download is, and renamed. An older bundle at ``to`` is replaced.

    Arguments
    ---------
    run_folder
        ``results/akd/seed17/fold1/outer``, or a compressed student, ``results/akd/compressed/seed17/fold1/1-prune``.
    licence, source
        Identifier of the hub (``apache-2.0``), by default that of ``student_licence``; and what the card tells readers
        to load, by default the folder's name, and nothing for the package's own.
    precisions, weights
        Exported files: ``fp32`` (always written), ``fp16``, ``int8``, each compared with the student on the recordings
        of the test speakers. Without weights there is only ``student.onnx`` in the one precision given.
    sound
        Whether the audit compares how recordings sound.

    FileNotFoundError if the folder is not a finished outer run; FileExistsError if ``to`` holds something that is
    not a bundle; ValueError if the audit finds a leak, a corpus' terms are unknown and no licence is given, or an
    exported file differs from the student.
    """
    to = Path(os.path.abspath(Path(to).expanduser()))
    _check_target(to)
    if unknown := [name for name in precisions if name not in PRECISIONS]:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got '{unknown[0]}'.")
    if not weights and len(precisions) > 1:
        raise ValueError(f"without weights a bundle holds one file, got precision {' '.join(precisions)}; give one.")
    if licence is not None and not all(letter.isalnum() or letter in ".-_+" for letter in licence or " "):
        raise ValueError(f"licence must be an identifier such as apache-2.0 or my-company-1.0, got '{licence}'.")
    source = source or ("" if to == PRETRAINED else f"path/to/{to.name}")
    experiment, run = Experiment.of_run(run_folder)
    licence = licence or student_licence(training_corpora(experiment))
    logger.info("auditing %s", experiment.folder)
    findings = audit_experiment(experiment, sound)
    if leaks := [finding.sentence for finding in findings if finding.verdict == "leak"]:
        raise ValueError(
            f"{experiment.folder} has a leak, so its student is not released: "
            f"{without_paths(leaks[0], experiment).rstrip('.')} (akd audit {experiment.folder} lists all)."
        )
    metadata = gather(experiment, run, findings)
    about = _about(plain(vars(run.record)), experiment.corpus, metadata, licence)
    with folder_aside(to) as aside:
        _write_json(aside / SETTINGS, about)
        metadata["exported"] = _export(run.folder, ("fp32", *precisions) if weights else precisions, aside)
        whats = dict(DESCRIPTIONS)
        if weights:
            shutil.copyfile(run.paths.weights, aside / WEIGHTS)
            _write_hyperparams(aside / HYPERPARAMS, about, experiment)
        else:
            (file,) = aside.glob("student*.onnx")
            whats[ONNX_FILE] = f"waveform to probabilities, for ONNX Runtime, in {precisions[0]}"
            file.rename(aside / ONNX_FILE)
        _write_json(aside / SCORES, {**metadata, "licence": licence})
        written = [(aside / name, what) for name, what in whats.items() if (aside / name).exists()]
        files = [(path.name, path.stat().st_size, what) for path, what in written]
        card = write_card(about, metadata, experiment, source, files)
        (aside / CARD).write_text(card, encoding="utf-8")
        write_list(aside)
        check_bundle(aside)
    return to


def _check_target(to: Path) -> None:
    """Only a bundle may be replaced."""
    names = {path.name for path in to.iterdir()} if to.is_dir() else set()
    if to.is_file() or (names and not is_bundle(to)):
        raise FileExistsError(f"{to} holds something that is not a bundle; give another folder.")
    if foreign := sorted(names - set(ALLOWED)):
        raise FileExistsError(f"{to} holds {foreign[0]} beside a bundle; move it away, or give another folder.")


def _about(record: dict, corpus: str, metadata: dict, licence: str) -> dict:
    """The content of ``student.json``."""
    about = {key: record[key] for key in KEPT if record[key] not in (None, [])} | {"corpus": corpus}
    if not metadata["speaker_independent"]:  # thousands of names of recordings
        about["train_speakers"], about["test_speakers"] = [], []
    about |= {"sample_rate_hz": 16000, "licence": licence, "recipe": metadata["recipe"]}
    return about | {"seed": metadata["seed"], "fold": metadata["fold"], "akd_toolkit": __version__}


def _export(run_folder: Path, precisions: tuple[str, ...], folder: Path) -> dict[str, dict]:
    """Write the exported files and return their comparison with the student on the test speakers."""
    found = {}
    for precision in PRECISIONS:
        if precision in precisions:
            logger.info("exporting in %s", precision)
            report = export_run(run_folder, "onnx", precision, folder)
            (folder / f"{report.file.name}.parity.json").unlink()  # scores.json holds the same
            values = report.as_dict()
            found[precision] = {key: values[key] for key in values if key not in ("file", "format", "speech")}
    return found


def _write_hyperparams(path: Path, about: dict, experiment: Experiment) -> None:
    """Settings of one run without paths of this machine, and what SpeechBrain needs to load the student."""
    from ruamel.yaml import YAML

    settings = copy.deepcopy(experiment.settings)
    for key, value in (about.get("candidate") or {}).items():
        override(settings, key, value)
    content = {key: about[key] for key in OWN}
    content |= {"sample_rate": about["sample_rate_hz"], "out_n_neurons": len(about["label_order"])}
    content |= {"compressed_by": about["compressed_by"]} if about.get("compressed_by") else {}
    others = {key for key in settings if key not in (*OWN, *NOT_WRITTEN) and not key.startswith("test_overlap")}
    content |= {key: value for key, value in settings.items() if key in others}
    content["test_overlap_s"] = about["test_overlap_s"]
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output, yaml.width = None, False, 100
    with path.open("w", encoding="utf-8") as file:
        file.write(SPEECHBRAIN.format(compressed=COMPRESSED if about.get("compressed_by") else ""))
        yaml.dump(plain(content), file)


def plain(value):
    """Settings without calls, and with the last part of every path of this machine instead of it.

    Example
    -------
    >>> plain({"opt_class": {"!name:torch.optim.AdamW": {"lr": 1}}, "source": "/home/me/big", "from": "owner/name"})
    {'opt_class': {'class': 'torch.optim.AdamW', 'lr': 1}, 'source': 'big', 'from': 'owner/name'}
    """
    if isinstance(value, dict):
        ((key, options), *others) = value.items() or ((None, None),)
        if str(key).startswith(("!name:", "!new:", "!apply:")) and not others:
            return {"class": key.split(":", 1)[1], **plain(options if isinstance(options, dict) else {})}
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return Path(value).name if is_path(value) else value


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
