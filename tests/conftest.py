"""Fixtures that every room's tests share."""

import os

# Before torch and its thread pools are imported: the suite must not take more cores than it is given.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from akd_toolkit.outputs import ModelOutput, TeacherOutput

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def fixed_seeds():
    """Every test starts from the same random state and leaves the process's own as it was."""
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
    """Real corpora and teachers beside the project; tests that need them skip where they are not."""
    if not SHARED.is_dir():
        pytest.skip("needs the real corpora and models in ../shared, which are not here")
    return SHARED


@pytest.fixture
def pair():
    """(student, teacher, labels) with random logits of a given scale."""

    def make(batch=5, classes=4, teachers=2, scale=1.0, frames=6, dim=8):
        student = ModelOutput(
            logits=(scale * torch.randn(batch, classes)).requires_grad_(),
            embedding=torch.randn(batch, dim, requires_grad=True),
            frames=torch.randn(batch, frames, dim, requires_grad=True),
            lengths=torch.ones(batch),
        )
        teacher = TeacherOutput(
            logits=scale * torch.randn(teachers, batch, classes),
            embedding=tuple(torch.randn(batch, 3 + t) for t in range(teachers)),
            names=tuple(f"teacher{t}" for t in range(teachers)),
        )
        return student, teacher, torch.randint(classes, (batch,))

    return make
