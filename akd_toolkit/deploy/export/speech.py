"""Speech that an exported file is calibrated on and compared with its module on."""

import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import read_audio, window_starts
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.evaluate.evaluation import EvaluationSet, evaluation_set, training_speech
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
    heldout: EvaluationSet | None = None  # the same with labels, where the student belongs to an experiment


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
        return _recordings(Path(given), engine, calibration, progress)
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
    heldout = evaluation_set(experiment, run, progress)
    utterances = []
    if calibration:
        logger.log(level, "reading speech to calibrate on: up to %d utterances of training speakers", calibration)
        utterances = training_speech(experiment, run, calibration, progress).values()
    return Speech(_windows(utterances, engine), heldout.waveforms, source, heldout)


def _recordings(folder: Path, engine: Engine, calibration: int, progress: bool) -> Speech:
    files = find_sounds(folder, "--speech", "give a folder of recordings to compare the file with its module on")
    bar = tqdm(files, desc=f"reading {folder.name}", unit="file", disable=not progress)
    waveforms = {str(path.relative_to(folder)): read_audio(path) for path in bar}
    names = list(waveforms)
    calibrating, comparing = (names[1::2][:calibration], names[::2]) if calibration else ([], names)
    windows = _windows([waveforms[name] for name in calibrating], engine)
    source = f"{len(comparing)} recordings of {folder.name}"
    return Speech(windows, {name: waveforms[name] for name in comparing}, source)


def _windows(waveforms: Iterable[np.ndarray], engine: Engine) -> list[np.ndarray]:
    """The windows that evaluation cuts these utterances into."""
    size, overlap = (round(seconds * engine.sample_rate_hz) for seconds in (engine.window_s, engine.overlap_s))
    return [w[start : start + size] for w in waveforms for start in window_starts(len(w), size, size - overlap)]
