"""From a finished run to a bundle: weights, settings, exported files, scores, model card and sums, or nothing."""

import json
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from akd_toolkit import __version__
from akd_toolkit.audit import Finding, has_leak
from akd_toolkit.audit.experiment import audit_experiment
from akd_toolkit.data.files import SETTINGS, WEIGHTS
from akd_toolkit.deploy.export.formats import PRECISIONS
from akd_toolkit.deploy.export.run import export_run
from akd_toolkit.deploy.release.card import write_card
from akd_toolkit.deploy.release.corpora import student_licence
from akd_toolkit.deploy.release.facts import corpora_heard, gather, private_names, without
from akd_toolkit.deploy.release.hyperparams import plain, write_hyperparams
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.bundle import ALLOWED, CARD, HYPERPARAMS, SCORES, check_bundle, is_bundle, write_list
from akd_toolkit.inference.engine import ONNX_FILE

logger = logging.getLogger(__name__)

KEPT = (  # of a run's record; seconds of training and the like are not released
    *("student", "label_order", "attributes", "num_parameters", "sample_rate_hz", "window_s", "test_overlap_s"),
    *("corpus", "train_speakers", "test_speakers", "candidate", "compressed_by"),
)
WHAT = {
    WEIGHTS: "weights",
    SETTINGS: "which student, its options, labels, windows, speakers",
    ONNX_FILE: "the same in one file for ONNX Runtime, 32 bits",
    "student.fp16.onnx": "the same, weights in 16 bits",
    "student.int8.onnx": "the same, most of it in 8 bits",
    SCORES: "scores, recalls, audit and corpora as data",
    HYPERPARAMS: "how it was trained; to read, not to execute",
}


def release(
    run_folder: str | Path,
    to: str | Path,
    licence: str | None = None,
    precisions: tuple[str, ...] = ("fp32",),
    sound: bool = True,
    source: str | None = None,
) -> Path:
    """Write the bundle of a finished outer run to the folder ``to``.

    It is made beside ``to``, checked as a download is, and renamed: whenever the release is stopped, ``to`` is as it
    was before. A bundle that lies there is replaced.

    Arguments
    ---------
    run_folder
        Of a finished outer run, such as ``results/akd/seed17/fold1/outer``, or of a compressed student of one, such as
        ``results/akd/compressed/seed17/fold1/1-prune``.
    licence
        Identifier of the student's licence, as the hub writes it (``apache-2.0``); None: that of the least free corpus
        that it heard.
    precisions
        Of the exported files, ``fp32`` (always there), ``fp16``, ``int8``; each is compared with the student on the
        test speakers' recordings, which must be at hand.
    sound
        Whether the audit compares how recordings sound.
    source
        What the card tells its readers to load; by default the folder's name.

    Raises
    ------
    FileNotFoundError
        If the folder is no finished outer run.
    FileExistsError
        If ``to`` holds something that is no bundle.
    ValueError
        If the audit finds a leak, a corpus' terms are not known and no licence is given, or an exported file does not
        answer as the student does.
    """
    to = Path(os.path.abspath(Path(to).expanduser()))
    _check_target(to)
    _check_options(licence, precisions)
    experiment, run = Experiment.of_run(run_folder)
    licence = licence or student_licence(corpora_heard(experiment))
    logger.info("auditing %s", experiment.folder)
    findings = audit_experiment(experiment, sound)
    refuse_leaks(findings, experiment)
    facts = gather(experiment, run, findings)
    with _folder_aside(to) as aside:
        shutil.copyfile(run.paths.weights, aside / WEIGHTS)
        about = _about(plain(vars(run.record)), experiment.corpus, facts, licence)
        _write_json(aside / SETTINGS, about)
        facts["exported"] = _exported(run.folder, precisions, aside)
        _write_json(aside / SCORES, {**facts, "licence": licence})
        write_hyperparams(aside / HYPERPARAMS, about, experiment)
        files = [(name, (aside / name).stat().st_size, what) for name, what in WHAT.items() if (aside / name).exists()]
        card = write_card(about, facts, experiment, source or f"path/to/{to.name}", files)
        (aside / CARD).write_text(card, encoding="utf-8")
        write_list(aside)
        check_bundle(aside)
    return to


def refuse_leaks(findings: list[Finding], experiment: Experiment) -> None:
    """A student whose scores mean less than they say is not released."""
    if has_leak(findings):
        first = next(finding for finding in findings if finding.verdict == "leak")
        told = without(first.sentence, private_names(experiment))
        raise ValueError(
            f"{experiment.folder} has a leak, so its student is not released: {told.rstrip('.')} (akd audit "
            f"{experiment.folder} names all)."
        )


def _check_target(to: Path) -> None:
    """Only a bundle, which can be released again, is ever replaced."""
    there = {path.name for path in to.iterdir()} if to.is_dir() else set()
    if to.is_file() or (there and not is_bundle(to)):
        raise FileExistsError(f"{to} holds something that is no bundle; give another folder, which release will make.")
    if foreign := sorted(there - set(ALLOWED)):
        raise FileExistsError(
            f"{to} holds {foreign[0]} beside a bundle, and would be replaced; move it away, or give another folder."
        )


def _check_options(licence: str | None, precisions: tuple[str, ...]) -> None:
    unknown = [name for name in precisions if name not in PRECISIONS]
    if unknown:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got '{unknown[0]}'.")
    if licence is not None and not all(letter.isalnum() or letter in ".-_+" for letter in licence or " "):
        raise ValueError(f"licence must be an identifier such as apache-2.0 or my-company-1.0, got '{licence}'.")


def _about(record: dict, corpus: str, facts: dict, licence: str) -> dict:
    about = {key: record[key] for key in KEPT if record[key] not in (None, [])} | {"corpus": corpus}
    if not facts["speaker_independent"]:  # names of single recordings, by the thousand
        about["train_speakers"], about["test_speakers"] = [], []
    about |= {"sample_rate_hz": 16000, "licence": licence, "recipe": facts["recipe"]}
    return about | {"seed": facts["seed"], "fold": facts["fold"], "akd_toolkit": __version__}


def _exported(run_folder: Path, precisions: tuple[str, ...], folder: Path) -> dict[str, dict]:
    """Write ``student.onnx`` and those of other precisions, each proved on the test speakers; how they compare."""
    found = {}
    for precision in PRECISIONS:
        if precision == "fp32" or precision in precisions:
            logger.info("exporting in %s", precision)
            report = export_run(run_folder, "onnx", precision, folder)
            (folder / f"{report.file.name}.parity.json").unlink()  # scores.json holds the same
            told = report.as_dict()
            found[precision] = {key: told[key] for key in told if key not in ("file", "format", "speech")}
    return found


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _folder_aside(to: Path):
    """Yield an empty folder beside ``to`` that takes its place when the block ends well, and vanishes if not."""
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{to.name}.", suffix=".part", dir=to.parent))
    old = aside.with_suffix(".old")
    try:
        yield aside
        aside.chmod(0o755)  # mkdtemp makes it private
        if to.exists():
            os.replace(to, old)
        os.replace(aside, to)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if not to.exists() and old.exists():
            os.replace(old, to)
        shutil.rmtree(old, ignore_errors=True)
