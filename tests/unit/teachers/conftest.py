"""A small corpus of tones and small random models."""

import numpy as np
import pytest
from encoders import save_encoder
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers.base import Teacher

LABELS = ("low", "high")


@pytest.fixture
def encoder_folder(tmp_path):
    return lambda kind="wav2vec2", **options: save_encoder(kind, tmp_path / kind, **options)


@pytest.fixture
def voice():
    """Seconds of noise -> a waveform that changes over time."""

    def make(seconds=1.0, seed=0):
        random = np.random.default_rng(seed)
        time_s = np.arange(int(16000 * seconds)) / 16000
        tone = np.sin(2 * np.pi * (150 + 40 * np.sin(5 * time_s)) * time_s) * (0.6 + 0.4 * np.sin(9 * time_s))
        return (0.3 * tone + 0.05 * random.standard_normal(len(time_s))).astype(np.float32)

    return make


def make_manifest(speakers="ABCD", repeats=5) -> Manifest:
    rows = [
        Utterance(f"{s}-{emotion}-{i}", "-", 0, 4000, 0.25, speaker=s, emotion=emotion, sha256=f"{s}{emotion}{i}")
        for s in speakers
        for emotion in LABELS
        for i in range(repeats)
    ]
    return Manifest("tones", LABELS, tuple(rows))


@pytest.fixture
def manifest():
    return make_manifest()


@pytest.fixture
def sounds(manifest, voice):
    """ID -> waveform; ``high`` is louder in its upper band."""
    found = {}
    for index, row in enumerate(manifest):
        clean = voice(0.25 + 0.01 * (index % 3), seed=index)
        found[row.id] = clean if row.emotion == "low" else (clean * np.cos(np.arange(len(clean)) * 2)).astype("f4")
    return found


@pytest.fixture
def audio(manifest, sounds):
    return InMemoryAudio(manifest, sounds)


class Counting(Teacher):
    """A teacher that counts its calls."""

    name, title, num_layers, frame_rate_hz = "counting", "counting", 2, 100.0

    def __init__(self, tag="a"):
        self.tag, self.calls, self.stop_after = tag, 0, None

    def identity(self):
        return {"tag": self.tag}

    def features(self, waveform):
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        return np.array([[waveform.mean(), len(waveform)], [waveform.std(), 1.0]], dtype=np.float32)

    def features_and_frames(self, waveform):
        return self.features(waveform), waveform[: len(waveform) // 160 * 160].reshape(-1, 160)[:, :3]


@pytest.fixture
def counting():
    return Counting
