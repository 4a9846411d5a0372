"""Small corpora for the tests of data."""

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.manifest import Manifest, Utterance


@pytest.fixture
def tone():
    """A waveform: ``tone(seconds)``, float32, 440 Hz, half of full scale."""

    def make(seconds: float = 0.5, sample_rate_hz: int = 16000, hz: float = 440.0) -> np.ndarray:
        time = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
        return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)

    return make


@pytest.fixture
def sound_file(tmp_path, tone):
    """A file: ``sound_file(name, samples, sample_rate_hz, subtype)`` gives its path."""

    def make(name="a.wav", samples=None, sample_rate_hz=16000, subtype="PCM_16"):
        samples = tone(0.5, sample_rate_hz) if samples is None else samples
        soundfile.write(tmp_path / name, samples, sample_rate_hz, subtype=subtype)
        return tmp_path / name

    return make


@pytest.fixture
def toy_manifest():
    """A manifest without files: ``toy_manifest("A:anger", "B:neutral", ...)``, one second each."""

    def make(*rows, label_order=("anger", "neutral"), duration=1.0):
        utterances = []
        for index, row in enumerate(rows):
            speaker, emotion = row.split(":")
            stop = round(16000 * duration)
            name = f"u{index}"
            wav, sha256 = f"/corpus/{name}.wav", f"sha-{speaker}{index}"
            utterances.append(Utterance(name, wav, 0, stop, duration, speaker, emotion, sha256=sha256))
        return Manifest("toy", label_order, tuple(utterances))

    return make
