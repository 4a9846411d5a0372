"""The speech that an exported file is calibrated on, and that it is compared with its module on."""

import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.segments import window_starts
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.evaluate.heldout import Heldout, heldout_speech, training_speech
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speech:
    """What a file is calibrated on and compared on, and where it is from.

    Arguments
    ---------
    calibration
        Windows of training speakers, each float32 [samples]; [] if none were asked for.
    heard
        Utterances to compare on: ID -> float32 [samples].
    source
        Where these are from, in words.
    heldout
        The same with labels, where the run's experiment is at hand.
    """

    calibration: list[np.ndarray]
    heard: dict[str, np.ndarray]
    source: str
    heldout: Heldout | None = None


def speech_for(
    folder: str | Path,
    engine: Engine,
    calibration: int,
    mode: str = "static",
    given: str | Path | None = None,
    progress: bool = True,
) -> Speech:
    """Speech for the student of ``folder``: what is given, what its run held out, or generated voices.

    Arguments
    ---------
    engine
        The student; its window and overlap cut what calibrates.
    calibration
        Utterances to calibrate on; 0 for none.
    mode
        ``"static"`` or ``"dynamic"``; generated voices do for the second alone.
    given
        Folder of recordings; half of them calibrate, where that is asked for.

    Raises
    ------
    ValueError
        If there is nothing to calibrate on, or a file cannot be read.
    """
    level = logging.INFO if progress else logging.DEBUG
    if given is not None:
        return _of_recordings(Path(given), engine, calibration, progress)
    experiment, run = _of_run(folder)
    if experiment is not None:
        source = f"{experiment.manifest.corpus}, held-out speakers {', '.join(run.test_speakers)}"
        logger.log(level, "reading speech to compare on: %s", source)
        heldout = heldout_speech(experiment, run, progress)
        windows = ()
        if calibration:
            logger.log(level, "reading speech to calibrate on: up to %d utterances of training speakers", calibration)
            windows = training_speech(experiment, run, calibration, progress).values()
        return Speech(_windows(windows, engine), heldout.waveforms, source, heldout)
    if calibration and mode == "static":
        raise ValueError(
            f"{folder} does not tell of its training speakers, and an 8-bit file is calibrated on speech; give some "
            "with --speech FOLDER, or take --mode dynamic."
        )
    with tempfile.TemporaryDirectory() as place:
        made = generate_corpus(Path(place) / "voices", 2, utterances_per_speaker_and_emotion=2, progress=False)
        waveforms = {path.stem: read_audio(path) for path in find_sounds(made)}
    return Speech([], waveforms, "generated voices")


def _of_recordings(folder: Path, engine: Engine, calibration: int, progress: bool) -> Speech:
    files = find_sounds(folder, "--speech", "give a folder of recordings to compare the file with its module on")
    bar = tqdm(files, desc=f"reading {folder.name}", unit="file", disable=not progress)
    waveforms = {str(path.relative_to(folder)): read_audio(path) for path in bar}
    names = list(waveforms)
    calibrating, heard = (names[1::2], names[::2]) if calibration else ([], names)
    return Speech(
        _windows([waveforms[name] for name in calibrating[:calibration]], engine),
        {name: waveforms[name] for name in heard},
        f"{len(heard)} recordings of {folder.name}",
    )


def _of_run(folder: str | Path) -> tuple:
    """The run's experiment and the run; (None, None) for a student that was taken out of it."""
    try:
        return Experiment.of_run(folder)
    except FileNotFoundError:
        return None, None


def _windows(waveforms: Iterable[np.ndarray], engine: Engine) -> list[np.ndarray]:
    """The windows that evaluation would hear of these utterances."""
    size, overlap = (round(seconds * engine.sample_rate_hz) for seconds in (engine.window_s, engine.overlap_s))
    return [w[start : start + size] for w in waveforms for start in window_starts(len(w), size, size - overlap)]
