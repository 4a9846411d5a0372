"""What every recipe's train.py calls: prepare the corpus, run what is missing, report."""

import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.environment import sb
from akd_toolkit.evaluate.ablation import run_ablation
from akd_toolkit.evaluate.report.experiment_report import report_student, report_teachers
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.paths import ExperimentPaths, experiments_at
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.run import Run, run_all
from akd_toolkit.experiment.stored import read_settings
from akd_toolkit.metrics.scores import ua, wa
from akd_toolkit.mistakes import exit_code
from akd_toolkit.training.processes import TrainingProcesses, is_main

logger = logging.getLogger(__name__)


def run_recipe(main: Callable[[list[str]], None]) -> int:
    """Call ``main`` with the command line and return the exit code, see ``mistakes.exit_code``."""
    return exit_code(lambda: main(sys.argv[1:]))


def run_experiment(
    config: Config,
    prepare: Callable[..., Manifest],
    train: Callable[[Run], None],
    layout: str | None = None,
) -> NestedCrossValidation | None:
    """Prepare the corpus, run what is not done yet, and write the report.

    Arguments
    ---------
    prepare
        (data folder, output folder, label order, **options of ``prepare:``) -> the corpus.
    train
        One training: builds its parts, fits, evaluates, and ends with ``save_results``.
    layout
        File naming of the generated corpus of ``--debug``; None uses the real corpus also then.

    Returns
    -------
    The protocol; None for an ablation, and in all but the main process of ``torchrun``.
    """
    if is_main():
        for key in ("output_folder", "store_folder", "results_file"):
            if config[key]:
                _check_writable(key, Path(config[key]))
    processes = TrainingProcesses(config.run_opts.device or sb.utils.distributed.infer_device())
    if not is_main():
        processes.follow(train)
        return None
    data_folder = _debug_corpus(config, layout) if config.debug and layout else config["data_folder"]
    manifest = prepare_corpus(config, prepare, data_folder)
    protocol = _run(config, manifest, processes.leading(train))
    processes.dismiss()
    return protocol


def prepare_corpus(config: Config, prepare: Callable[..., Manifest], data_folder: str | Path | None) -> Manifest:
    """Prepare the corpus; ValueError, and the old manifest restored, if existing experiments used another one."""
    folder = config["output_folder"]
    existing = {place: read_settings(ExperimentPaths(place)) for place in experiments_at(folder)}
    manifest_file = ExperimentPaths(folder).manifest
    files = [path for path in (manifest_file, manifest_file.with_suffix(".json")) if path.is_file()]
    before = {path: path.read_text(encoding="utf-8") for path in files}
    manifest = prepare(data_folder, folder, config["label_order"], **config["prepare"])
    for place, settings in existing.items():
        if settings.get("manifest_hash") not in (None, manifest.hash):
            for path, text in before.items():
                write_text_aside(path, text)
            raise ValueError(
                f"{place} was started on another preparation of {manifest.corpus} (manifest "
                f"{settings['manifest_hash']}, now {manifest.hash}); give the same data_folder and prepare options, or "
                "another --output_folder."
            )
    return manifest


def _debug_corpus(config: Config, layout: str) -> Path:
    """Generate the small corpus of ``--debug`` with every speaker of the folds."""
    speakers = [str(speaker) for group in config["outer_folds"] for speaker in group]
    return generate_corpus(
        ExperimentPaths(config["output_folder"]).debug_corpus,
        speakers=speakers,
        emotions=tuple(config["label_order"]),
        utterances_per_speaker_and_emotion=2 if len(speakers) <= 12 else 1,
        layout=layout,
    )


def _check_writable(key: str, path: Path) -> None:
    """Open the file to append, or a temporary file in the folder (its first existing parent)."""
    try:
        if path.is_file() and key == "results_file":
            path.open("a").close()
            return
        with tempfile.TemporaryFile(dir=next(folder for folder in (path, *path.absolute().parents) if folder.exists())):
            pass
    except OSError as error:
        raise ValueError(
            f"{key}: {path} cannot be written ({error.strerror.lower()}); give a path that you can write to."
        ) from None


def _run(config: Config, manifest: Manifest, train: Callable[[Run], None]) -> NestedCrossValidation | None:
    if config["rows"]:
        run_ablation(config, manifest, train)
        return None
    protocol = NestedCrossValidation(config, manifest)
    if config["only_run"]:
        run_one(protocol, config["only_run"], train)
    elif config["student"] is None:
        report_teachers(protocol)
    else:
        report_student(protocol, protocol.run(train))
    return protocol


def run_one(protocol: NestedCrossValidation, name: str, train: Callable[[Run], None]) -> None:
    """Train and score a single run, such as ``seed17/fold1/outer``; ValueError if the protocol has no such run."""
    runs = {run.name: run for run in protocol.all_runs()}
    if name not in runs:
        raise ValueError(f"only_run: '{name}' is not a planned run; choose one of {', '.join(runs)}.")
    run = runs[name]
    run_all(train, [run], name, threads=protocol.config["threads"])
    scores = run.scores()
    wa_ua = [100 * score(scores["truth"], scores["prediction"]) for score in (wa, ua)]
    logger.info("%s: WA %.1f, UA %.1f over %d utterances; see %s", name, *wa_ua, len(scores), run.folder)
