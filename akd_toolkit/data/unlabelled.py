"""Speech without labels, on which a student can learn what its teachers answer."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from akd_toolkit.data.audio import read_recording
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.preparing import AUDIO_SUFFIXES, measure, prepare_once
from akd_toolkit.registry import CORPORA

LABEL = "unlabelled"


@CORPORA.register("unlabelled")
def prepare_unlabelled(folder, save_folder, progress: bool = True) -> Manifest:
    """Any folder of speech, at any depth; no label and no speaker is read from it.

    Silence before and after the speech is left out: rows say where the speech begins and ends.
    Its people must not be those of the corpus it is used with; identical recordings are refused there.

    Arguments
    ---------
    folder
        Holds .wav or .flac files, in subfolders or not.
    save_folder
        The manifest goes to a subfolder of it named after the folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no audio, or a file is bad; all bad files are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"unlabelled {folder} is not a folder; give a folder of speech, 'mixtures' or null.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise ValueError(
            f"unlabelled {folder} holds no .wav or .flac file; give a folder of speech, 'mixtures' or null."
        )

    def build() -> Manifest:
        rows = [
            Utterance(str(path.relative_to(folder)), str(path.resolve()), 0, 0, 0.0, speaker=LABEL, emotion=LABEL)
            for path in files
        ]
        rows = [_trimmed(row) for row in measure(rows, folder.name, progress)]
        return Manifest(folder.name, (LABEL,), tuple(rows))

    home = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    arguments = {"preparer": LABEL, "folder": str(folder.resolve())}
    return prepare_once(Path(save_folder) / f"{folder.name}-{home}", arguments, files, build)


def _trimmed(row: Utterance) -> Utterance:
    """The row from 0.1 s before to 0.1 s after what is within 30 dB of its loudest 50 ms."""
    recording = read_recording(row.wav)
    rate = recording.sample_rate_hz
    power = recording.samples.reshape(len(recording.samples), -1).mean(axis=1) ** 2
    smooth = uniform_filter1d(power, round(0.05 * rate), mode="constant")
    loud = np.flatnonzero(smooth > 1e-3 * smooth.max())
    start, stop = max(0, int(loud[0]) - rate // 10), min(len(power), int(loud[-1]) + rate // 10)
    return replace(row, start=start, stop=stop, duration=(stop - start) / rate)
