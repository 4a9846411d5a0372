"""A student and speech to ask it about."""

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.registry import STUDENTS
from akd_toolkit.saved import save_student

LABELS = ["anger", "boredom", "sadness", "neutral"]


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory):
    """A small student that nobody has trained, saved as a run leaves it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("student")
    spec = {"name": "micro_cnn", **STUDENTS.get("micro_cnn").example_options}
    student = STUDENTS.build(**spec, num_classes=len(LABELS))
    save_student(folder, student, spec, LABELS, window_s=1.0, test_overlap_s=0.25, sample_rate_hz=16000)
    return folder


@pytest.fixture
def speech(tmp_path):
    """A file: ``speech(seconds, rate)``; noise whose loudness comes and goes."""

    def make(seconds=1.9, rate=16000, name="a.wav", seed=0):
        count = round(seconds * rate)
        envelope = np.sin(np.arange(count) / rate * 7) ** 2
        samples = np.random.default_rng(seed).normal(0, 0.2, count) * envelope
        soundfile.write(tmp_path / name, samples.clip(-1, 1), rate)
        return tmp_path / name

    return make
