"""Fixtures that all tests share."""

import inspect
import os

# Before torch and its thread pools are imported: the suite must not take more cores than it is given.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from akd_toolkit import progress
from akd_toolkit.cli.plugins import registries
from akd_toolkit.outputs import ModelOutput, TeacherOutput

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def pytest_terminal_summary(terminalreporter):
    """Print how many plugins tests/contracts covers."""
    counts = [f"{len(registry.names())} {kind}" for kind, registry in registries().items()]
    terminalreporter.write_line(f"plugins found by registration: {', '.join(counts)}")


@pytest.fixture(autouse=True)
def fixed_seeds():
    """Every test starts from the same random state."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


@pytest.fixture
def shared_folder() -> Path:
    """Real corpora and models; tests that need them are skipped without."""
    if not SHARED.is_dir():
        pytest.skip("needs the real corpora and models in ../shared")
    return SHARED


@pytest.fixture
def pair():
    """Random (student, teacher, labels); teachers differ in the sizes of embeddings and frames."""

    def make(batch=5, classes=4, teachers=2, scale=1.0, frames=6, dim=8):
        def learned(*shape):
            return torch.randn(*shape, requires_grad=True)

        student = ModelOutput(
            logits=(scale * torch.randn(batch, classes)).requires_grad_(),
            embedding=learned(batch, dim),
            frames=learned(batch, frames, dim),
            layers={name: learned(batch, frames, dim) for name in ("low", "middle", "high")},
            lengths=torch.ones(batch),
            attributes=learned(batch, 2),
        )
        teacher = TeacherOutput(
            logits=scale * torch.randn(teachers, batch, classes),
            embedding=tuple(torch.randn(batch, 3 + t) for t in range(teachers)),
            frames=tuple(torch.randn(batch, 9 + t, 5 + t) for t in range(teachers)),
            lengths=torch.ones(batch),
            names=tuple(f"teacher{t}" for t in range(teachers)),
            attributes=torch.randn(teachers, batch, 2),
        )
        return student, teacher, torch.randint(classes, (batch,))

    return make


def shapes_of(student: ModelOutput, teacher: TeacherOutput) -> dict:
    """Arguments that the objective fills in, see ``FILLED_IN``."""
    return {
        "num_classes": student.logits.shape[1],
        "class_counts": [3] * student.logits.shape[1],
        "num_attributes": student.attributes.shape[1],
        "num_teachers": len(teacher),
        "student_frame_dim": student.frames.shape[2],
        "student_embedding_dim": student.embedding.shape[1],
        "student_layer_dims": {name: layer.shape[2] for name, layer in student.layers.items()},
        "teacher_embedding_dims": [values.shape[1] for values in teacher.embedding],
        "teacher_frame_dims": [values.shape[2] for values in teacher.frames],
        "teacher_accuracies": [0.5 + 0.1 * index for index in range(len(teacher))],
    }


@pytest.fixture
def build_for():
    """(registry, name, student, teacher, **options) -> the plugin's example with arguments filled in."""

    def build(registry, name, student, teacher, **options):
        wanted = inspect.signature(registry.get(name)).parameters
        filled = {key: value for key, value in shapes_of(student, teacher).items() if key in wanted}
        return registry.example(name, **{**filled, **options})

    return build


@pytest.fixture
def terminal(capsys, monkeypatch):
    """``capsys`` with progress bars, as on a terminal."""
    monkeypatch.setattr(progress, "HIDDEN", False)
    return capsys
