"""Losses on frames and embeddings against loops in NumPy float64, written from the equations."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

import akd_toolkit.distill.losses  # noqa: F401  (registers)
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES

BATCH, BINS, DELTA = 5, 3, 1.0
LAYERS = {"low": 4, "middle": 3, "high": 4}
GROUPS = [["low", "high"], ["middle"]]
FRAME_DIMS, EMBEDDING_DIMS, OWN_DIM, CRD_DIM, CRD_TEMPERATURE = [6, 5], [5, 7], 4, 3, 0.5


def averaged(frames, length):
    """The speech frames as a step function of time, averaged over BINS stretches of equal time."""
    speech = frames[: max(1, round(length * len(frames)))]
    edges = np.linspace(0, len(speech), BINS + 1)
    rows = []
    for begin, end in pairwise(edges):
        # Between two neighbouring cuts, of frames or of stretches, the step function has one value.
        cuts = np.unique(np.concatenate([[begin, end], np.arange(np.ceil(begin), end)]))
        area = sum((b - a) * speech[int((a + b) / 2)] for a, b in pairwise(cuts))
        rows.append(area / (end - begin))
    return np.array(rows)


def huber(x):
    return 0.5 * x * x if abs(x) <= DELTA else DELTA * (abs(x) - 0.5 * DELTA)


def hint(layers, own_lengths, frames, lengths, regressors, distance, normalize):
    values = []
    for b in range(BATCH):
        total = 0.0
        for t, group in enumerate(GROUPS):
            target = averaged(frames[t][b], lengths[b])
            if normalize:
                centred = target - target.mean(axis=1, keepdims=True)
                target = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
            for name, (matrix, offset) in zip(group, regressors[t]):
                guess = averaged(layers[name][b], own_lengths[b]) @ matrix.T + offset
                gaps = (guess - target).ravel()
                total += np.mean([huber(gap) if distance == "huber" else gap**2 for gap in gaps])
        values.append(total)
    return values


def cosine(x, y):
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def cosine_embedding(own, embeddings, projections, trust):
    return [
        sum(trust[t, b] * (1 - cosine(target[b], matrix @ own[b] + offset)) for t, target in enumerate(embeddings)
            for matrix, offset in [projections[t]])
        for b in range(BATCH)
    ]  # fmt: skip


def embedding_regression(own, embeddings, projections, trust):
    return [
        sum(trust[t, b] * np.mean((target[b] - matrix @ own[b] - offset) ** 2) for t, target in enumerate(embeddings)
            for matrix, offset in [projections[t]])
        for b in range(BATCH)
    ]  # fmt: skip


def look(frames, length):
    strength = averaged((frames**2).mean(axis=1)[:, None], length)[:, 0]
    return strength / np.sqrt((strength**2).sum())


def attention_transfer(layers, own_lengths, frames, lengths, trust):
    values = []
    for b in range(BATCH):
        total = 0.0
        for t, target in enumerate(frames):
            teacher = look(target[b], lengths[b])
            gaps = [((look(layers[name][b], own_lengths[b]) - teacher) ** 2).sum() for name in ("low", "high")]
            total += trust[t, b] * np.mean(gaps)
        values.append(total)
    return values


def contrastive(own, embeddings, own_projection, projections, trust, labels, negatives):
    values = []
    for b in range(BATCH):
        others = [j for j in range(BATCH) if (labels[j] != labels[b] if negatives == "other_class" else j != b)]
        noise = len(others) / BATCH
        total = 0.0
        for t, target in enumerate(embeddings):
            mine = own_projection[0] @ own[b] + own_projection[1]
            teacher = target @ projections[t][0].T + projections[t][1]
            critic = [np.exp(cosine(mine, other) / CRD_TEMPERATURE) for other in teacher]
            h = [value / (value + noise) for value in critic]
            nce = -np.log(h[b]) - sum(np.log(1 - h[j]) for j in others)
            total += trust[t, b] * nce / (len(others) + 1)
        values.append(total)
    return values


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(20260102)

    def affine(rows, columns):
        return rng.normal(0, 1 / np.sqrt(columns), (rows, columns)), rng.normal(0, 0.1, rows)

    layers = {name: rng.normal(0, 1, (BATCH, 8, dim)) for name, dim in LAYERS.items()}
    own_lengths = np.array([1.0, 0.625, 0.25, 0.875, 0.125])  # the last has fewer frames than stretches
    frames = [rng.normal(0, 3, (BATCH, total, dim)) for total, dim in zip((20, 16), FRAME_DIMS)]
    lengths = np.array([1.0, 0.75, 0.25, 0.5, 0.125])
    own = rng.normal(0, 1, (BATCH, OWN_DIM))
    embeddings = [rng.normal(0, 2, (BATCH, dim)) for dim in EMBEDDING_DIMS]
    labels = np.array([0, 1, 0, 2, 1])
    share = rng.uniform(0.1, 0.9, BATCH)
    trust = np.stack([share, 1 - share])
    regressors = [[affine(dim, LAYERS[name]) for name in group] for group, dim in zip(GROUPS, FRAME_DIMS)]
    projections = [affine(dim, OWN_DIM) for dim in EMBEDDING_DIMS]
    crd_own, crd_theirs = affine(CRD_DIM, OWN_DIM), [affine(CRD_DIM, dim) for dim in EMBEDDING_DIMS]

    sides = (layers, own_lengths, frames, lengths)
    values = dict(
        layers=layers,
        own_lengths=own_lengths,
        frames=frames,
        lengths=lengths,
        own=own,
        embeddings=embeddings,
        labels=labels,
        trust=trust,
        regressors=regressors,
        projections=projections,
        crd_own=crd_own,
        crd_theirs=crd_theirs,
        hint_huber=hint(*sides, regressors, "huber", normalize=True),
        hint_squared=hint(*sides, regressors, "squared", normalize=False),
        cosine_embedding=cosine_embedding(own, embeddings, projections, trust),
        embedding_regression=embedding_regression(own, embeddings, projections, trust),
        attention_transfer=attention_transfer(*sides, trust),
        contrastive_other=contrastive(own, embeddings, crd_own, crd_theirs, trust, labels, "other"),
        contrastive_other_class=contrastive(own, embeddings, crd_own, crd_theirs, trust, labels, "other_class"),
    )
    return json.loads(json.dumps(values, default=np.ndarray.tolist))


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


@pytest.mark.parametrize("name", ["cosine_embedding", "embedding_regression"])
def test_a_loss_of_projected_embeddings_equals_the_reference(name, reference, models):
    loss = LOSSES.build(name, student_embedding_dim=4, teacher_embedding_dims=[5, 7])
    for projection, stored in zip(loss.projections, reference["projections"], strict=True):
        fill(projection, stored)
    equal(loss(*models), reference[name])


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
