"""A student and speech to ask it about."""

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly

from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import STUDENTS

LABELS = ["anger", "boredom", "sadness", "neutral"]


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory):
    """A small untrained student, saved as by a run."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("student")
    spec = {"name": "micro_cnn", **STUDENTS.get("micro_cnn").example_options}
    student = STUDENTS.build(**spec, num_classes=len(LABELS))
    save_student(folder, student, spec, LABELS, window_s=1.0, test_overlap_s=0.25, sample_rate_hz=16000)
    return folder


@pytest.fixture(scope="session")
def talk():
    """About 10 s of generated voices without pauses, at 16 kHz."""
    random = np.random.default_rng(0)
    return np.concatenate([speak(random_sentence(random), VoiceSettings(level_db=6.0), random) for _ in range(7)])


@pytest.fixture
def speech(tmp_path, talk):
    """A file: ``speech(seconds, rate)``; a stretch of ``talk``."""

    def make(seconds=1.9, rate=16000, name="a.wav", seed=0):
        samples = resample_poly(np.roll(talk, -20000 * seed), rate, 16000)[: round(seconds * rate)]
        soundfile.write(tmp_path / name, samples.clip(-1, 1), rate)
        return tmp_path / name

    return make
