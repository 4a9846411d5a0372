"""What every recipe's train.py calls: prepare, run what is not done, report, and stop cleanly."""

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
from akd_toolkit.evaluate.recipe_report import report_student, report_teachers
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.paths import ExperimentPaths, experiments_at
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.run import Run
from akd_toolkit.experiment.runner import run_all
from akd_toolkit.experiment.stored import read_settings
from akd_toolkit.metrics.scores import ua, wa
from akd_toolkit.mistakes import exit_code
from akd_toolkit.training.processes import TrainingProcesses, is_main

logger = logging.getLogger(__name__)


def run_recipe(main: Callable[[list[str]], None]) -> int:
    """Call ``main`` with the command line and return the exit code, as ``mistakes.exit_code`` does."""
    return exit_code(lambda: main(sys.argv[1:]))


def debug_corpus(config, layout: str) -> Path:
    """The tiny generated corpus of ``--debug``, named as the recipe's own corpus names its files.

    It has every speaker of the folds; where they are more than twelve, each says but one sentence an emotion.
    """
    speakers = [str(speaker) for group in config["outer_folds"] for speaker in group]
    return generate_corpus(
        ExperimentPaths(config["output_folder"]).debug_corpus,
        speakers=speakers,
        emotions=tuple(config["label_order"]),
        utterances_per_speaker_and_emotion=2 if len(speakers) <= 12 else 1,
        layout=layout,
    )


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
        (data folder, output folder, label order, options of ``prepare:``) -> the corpus.
    train
        One training: builds its parts, fits, evaluates, and ends with ``save_results``.
    layout
        How the generated corpus of ``--debug`` names its files; None takes the real corpus also then.

    Returns
    -------
    The protocol; None for the rows of an ablation, and in all but the main process.
    """
    if is_main():
        for key in ("output_folder", "store_folder"):
            _can_be_written(key, Path(config[key]))
    processes = TrainingProcesses(config.run_opts.device or sb.utils.distributed.infer_device())
    if not is_main():
        processes.follow(train)
        return None
    data_folder = debug_corpus(config, layout) if config.debug and layout else config["data_folder"]
    manifest = prepare_corpus(config, prepare, data_folder)
    protocol = _run(config, manifest, processes.leading(train))
    processes.dismiss()
    return protocol


def prepare_corpus(config: Config, prepare: Callable[..., Manifest], data_folder: str | Path | None) -> Manifest:
    """Prepare the corpus, unless that would put another one under experiments that were begun.

    Raises
    ------
    ValueError
        If the output folder holds an experiment on another preparation, whose manifest is left as it was.
    """
    folder = config["output_folder"]
    begun = {place: read_settings(ExperimentPaths(place)) for place in experiments_at(folder)}
    manifest_file = ExperimentPaths(folder).manifest
    files = [path for path in (manifest_file, manifest_file.with_suffix(".json")) if path.is_file()]
    before = {path: path.read_text(encoding="utf-8") for path in files}
    manifest = prepare(data_folder, folder, config["label_order"], **config["prepare"])
    for place, settings in begun.items():
        if settings.get("manifest_hash") not in (None, manifest.hash):
            for path, text in before.items():
                write_text_aside(path, text)
            raise ValueError(
                f"{place} was begun on another preparation of {manifest.corpus} (manifest {settings['manifest_hash']}, "
                f"now {manifest.hash}); give the same data_folder and prepare options, or another --output_folder."
            )
    return manifest


def _can_be_written(key: str, folder: Path) -> None:
    """Write into the folder, or into the one where it is to be made, and leave nothing there."""
    try:
        with tempfile.TemporaryFile(dir=next(path for path in (folder, *folder.absolute().parents) if path.exists())):
            pass
    except OSError as error:
        reason = f"{key}: {folder} cannot be written ({error.strerror.lower()})"
        raise ValueError(f"{reason}; give a folder that you can write to.") from None


def _run(config: Config, manifest: Manifest, train: Callable[[Run], None]):
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
    """Train and score one split alone, such as ``seed17/fold1/outer``.

    Raises
    ------
    ValueError
        If the protocol has no such run.
    """
    runs = {run.name: run for run in protocol.all_runs()}
    if name not in runs:
        raise ValueError(f"only_run: '{name}' is not a planned run; choose one of {', '.join(runs)}.")
    run = runs[name]
    run_all(train, [run], name, threads=protocol.config["threads"])
    scores = run.scores()
    shares = [100 * score(scores["truth"], scores["prediction"]) for score in (wa, ua)]
    logger.info("%s: WA %.1f, UA %.1f over %d utterances; see %s", name, *shares, len(scores), run.folder)
