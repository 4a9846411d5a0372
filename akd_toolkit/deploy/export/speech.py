"""Speech that students and exported files are compared on and calibrated on, and scores on it."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.run import label_posteriors
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine
from akd_toolkit.progress import tqdm

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speech:
    """Speech to calibrate on and to compare on."""

    calibration: list[np.ndarray]  # windows of training speakers
    waveforms: dict[str, np.ndarray]  # ID of an utterance -> float32 [samples]
    source: str  # description of the waveforms
    truth: np.ndarray | None = None  # class index of each, where the student belongs to an experiment


def speech_for(
    folder: str | Path,
    engine: Engine,
    calibration: int,
    mode: str = "static",
    given: str | Path | None = None,
    progress: bool = True,
) -> Speech:
    """Speech for the student of ``folder``: the recordings ``given``, what its run held out, or generated voices.

    ``calibration`` is the number of utterances to calibrate on; 0 for none.
    """
    if given is not None:
        place = Path(given)
        files = find_sounds(place, "--speech", "give a folder of recordings to compare the file with its module on")
        bar = tqdm(files, desc=f"reading {place.name}", unit="file", disable=not progress)
        waveforms = {str(path.relative_to(place)): read_audio(path) for path in bar}
        names = list(waveforms)
        calibrating, comparing = (names[1::2][:calibration], names[::2]) if calibration else ([], names)
        windows = [window for name in calibrating for window in engine.windows(waveforms[name])]
        compared = {name: waveforms[name] for name in comparing}
        return Speech(windows, compared, f"{len(comparing)} recordings of {place.name}")
    level = logging.INFO if progress else logging.DEBUG
    try:
        experiment, run = Experiment.of_run(folder)
    except FileNotFoundError:  # a student without its experiment
        if calibration and mode == "static":
            raise ValueError(
                f"{folder} has no training speakers to calibrate an 8-bit file on; give recordings with --speech "
                "FOLDER, or use --mode dynamic."
            ) from None
        with tempfile.TemporaryDirectory() as place:
            made = generate_corpus(Path(place) / "voices", 2, utterances_per_speaker_and_emotion=2, progress=False)
            return Speech([], {path.stem: read_audio(path) for path in find_sounds(made)}, "generated voices")
    source = f"{experiment.manifest.corpus}, held-out speakers {', '.join(run.test_speakers)}"
    logger.log(level, "reading speech to compare on: %s", source)
    test = run.tested(experiment.manifest)
    check_labels(engine, test)
    waveforms, utterances = load_waveforms(test, progress), []
    if calibration:
        logger.log(level, "reading speech to calibrate on: up to %d utterances of training speakers", calibration)
        utterances = training_speech(experiment, run, calibration, progress).values()
    windows = [window for utterance in utterances for window in engine.windows(utterance)]
    return Speech(windows, waveforms, source, test.labels)


def training_speech(
    experiment: Experiment, run: PlannedRun, limit: int, progress: bool = True
) -> dict[str, np.ndarray]:
    """Waveforms of at most ``limit`` utterances of the run's training speakers by ID, evenly spread over the manifest.

    Quantised files are calibrated on these, never on test speakers.
    """
    rows = list(experiment.manifest.of(run.train_speakers))
    chosen = np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(int)
    return load_waveforms([rows[i] for i in chosen], progress)


def check_labels(engine: Engine, test: Manifest) -> None:
    """Raise ValueError if the engine orders classes in another way than the corpus."""
    if engine.label_order != test.label_order:
        raise ValueError(
            f"the model orders classes as [{', '.join(engine.label_order)}] and {test.corpus} as "
            f"[{', '.join(test.label_order)}]; take a model that was trained on this corpus."
        )


def posteriors(engine: Engine, waveforms: dict[str, np.ndarray], title: str, progress: bool = True) -> dict:
    """ID -> posterior of the utterance, the mean over its windows: [classes]."""
    bar = tqdm(waveforms.items(), desc=title, unit="utterance", disable=not progress, leave=False)
    return {name: engine.posterior(waveform) for name, waveform in bar}


def score(engine: Engine, run: PlannedRun, manifest: Manifest, waveforms: dict, title: str) -> pd.DataFrame:
    """Scores of an engine on the test speech of a run, as in its ``scores.csv``; ValueError if its labels differ."""
    test = run.tested(manifest)
    check_labels(engine, test)
    found = posteriors(engine, {name: waveforms[name] for name in test.ids}, title)
    return label_posteriors(test, found, run.fold, run.seed)
