"""Losses on frames and embeddings against NumPy's loops."""

import json
from pathlib import Path

import pytest
import torch

import akd_toolkit.distill.losses  # noqa: F401  (registers)
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES

GROUPS = [["low", "high"], ["middle"]]


@pytest.fixture(scope="module")
def reference():
    return json.loads(Path(__file__).with_name("reference.json").read_text())


@pytest.fixture
def models(reference):
    layers = {name: torch.tensor(layer) for name, layer in reference["layers"].items()}
    own, labels, trust = (torch.tensor(reference[name]) for name in ("own", "labels", "trust"))
    student = ModelOutput(
        torch.zeros(len(own), 3), own, layers["high"], layers, lengths=torch.tensor(reference["own_lengths"])
    )
    teacher = TeacherOutput(
        torch.zeros(2, len(own), 3),
        embedding=tuple(torch.tensor(embedding) for embedding in reference["embeddings"]),
        frames=tuple(torch.tensor(frames) for frames in reference["frames"]),
        lengths=torch.tensor(reference["lengths"]),
        weights=trust,
    )
    return student, teacher, labels


def fill(linear, stored):
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(stored[0]))
        linear.bias.copy_(torch.tensor(stored[1]))


def equal(values, expected):
    torch.testing.assert_close(values.detach(), torch.tensor(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance, normalize", [("huber", True), ("squared", False)])
def test_hint_equals_the_reference(distance, normalize, reference, models):
    student, teacher, _ = models
    hint = LOSSES.build(
        "hint",
        num_teachers=2,
        student_layer_dims={name: layer.shape[2] for name, layer in student.layers.items()},
        teacher_frame_dims=[frames.shape[2] for frames in teacher.frames],
        groups=GROUPS,
        distance=distance,
        num_frames=3,
        teacher_step=1,
        normalize=normalize,
    )
    for regressors, stored in zip(hint.regressors, reference["regressors"], strict=True):
        for regressor, numbers in zip(regressors, stored, strict=True):
            fill(regressor, numbers)
    equal(hint(*models), reference[f"hint_{distance}"])


def test_cosine_embedding_equals_the_reference(reference, models):
    loss = LOSSES.build("cosine_embedding", student_embedding_dim=4, teacher_embedding_dims=[5, 7])
    for projection, stored in zip(loss.projections, reference["projections"], strict=True):
        fill(projection, stored)
    equal(loss(*models), reference["cosine_embedding"])


def test_attention_transfer_equals_the_reference(reference, models):
    loss = LOSSES.build("attention_transfer", layers=["low", "high"], num_frames=3)
    equal(loss(*models), reference["attention_transfer"])


@pytest.mark.parametrize("negatives", ["other", "other_class"])
def test_contrastive_representation_equals_the_reference(negatives, reference, models):
    sizes = dict(student_embedding_dim=4, teacher_embedding_dims=[5, 7], dim=3)
    loss = LOSSES.build("contrastive_representation", **sizes, temperature=0.5, negatives=negatives)
    fill(loss.student_projection, reference["crd_own"])
    for projection, stored in zip(loss.teacher_projections, reference["crd_theirs"], strict=True):
        fill(projection, stored)
    equal(loss(*models), reference[f"contrastive_{negatives}"])
