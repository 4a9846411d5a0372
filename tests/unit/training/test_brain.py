"""Training: it learns, it distils, it continues after a kill, and it leaves the teachers as they were."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from akd_toolkit.data.batches import Speech, TrainBatches, collate
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.mistakes import sentence_for
from akd_toolkit.models.base import Student
from akd_toolkit.models.encoder_student import EncoderStudent
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.training import brain as brains
from akd_toolkit.training.brain import DistillBrain, SupervisedBrain, predict
from akd_toolkit.training.checkpoint import save_state

LABELS = ("low", "high")
HPARAMS = {"number_of_epochs": 4, "label_order": list(LABELS), "warmup": 0.2, "weight_average": 0.5}


class Levels(Student):
    """Loudness of two halves through a tiny network with dropout."""

    def __init__(self, num_classes: int = 2):
        super().__init__(num_classes)
        self.body = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(8, num_classes)

    def forward(self, waveform, lengths=None):
        halves = waveform.unflatten(1, (2, -1)).abs().mean(dim=2)
        embedding = self.body(halves)
        return ModelOutput(self.head(embedding), embedding, embedding[:, None])


@pytest.fixture
def corpus():
    rng = np.random.default_rng(0)
    rows = [Utterance(f"u{i}", f"/u{i}.wav", 0, 1600, 0.1, f"s{i % 4}", LABELS[i % 2]) for i in range(24)]
    manifest = Manifest("toy", LABELS, tuple(rows))
    waves = {}
    for row in rows:  # "high" is loud and bright, "low" quiet and dull
        noise = rng.standard_normal(1601).astype(np.float32)
        waves[row.id] = 0.5 * np.diff(noise) if row.emotion == "high" else 0.1 * (noise[1:] + noise[:-1])
    return manifest, waves


@pytest.fixture
def make(corpus, tmp_path):
    manifest, waves = corpus
    stored = torch.randn(2, len(manifest), 2)

    def teachers(ids, views, spans):
        rows = [manifest.ids.index(i) for i in ids]
        return TeacherOutput(logits=stored[:, rows], names=("a", "b"))

    def build(kind=DistillBrain, folder="run", **changes):
        torch.manual_seed(3)
        spec = {"task": {"name": "cross_entropy", "weight": 1.0}}
        if kind is DistillBrain:
            spec["distill"] = [{"name": "integrated_soft_targets", "weight": 0.5}]
            spec["weighting"] = {"name": "adapter"}
            spec["gate"] = {"name": "teacher_error", "theta": 0.9}
        objective = build_objective(spec, num_teachers=2, student_frame_dim=8)
        opt_class = partial(torch.optim.AdamW, lr=0.05)
        brain = kind(
            Levels(), objective, {**HPARAMS, "opt_class": opt_class, **changes}, 5, tmp_path / folder, {"device": "cpu"}
        )
        batches = TrainBatches(Speech(manifest, lambda i, v: waves[i], teachers), 0.1, 8, seed=5)
        return brain, batches

    build.stored = stored
    return build


def test_training_lowers_the_loss_and_learns_the_task(make, corpus):
    manifest, waves = corpus
    brain, batches = make(SupervisedBrain, number_of_epochs=15)
    student = brain.train_student(batches, progressbar=False)
    assert brain.history[-1]["total"] < 0.7 * brain.history[0]["total"]
    test = [collate(list(manifest.ids), [waves[i] for i in manifest.ids], manifest.labels)]
    posteriors = predict(student, test)
    right = [LABELS[posteriors[row.id].argmax()] == row.emotion for row in manifest]
    assert np.mean(right) > 0.9


def test_distillation_logs_parts_gate_and_trust(make):
    brain, batches = make()
    brain.train_student(batches, progressbar=False)
    last = brain.history[-1]
    assert {"total", "cross_entropy", "integrated_soft_targets", "weighting", "gate", "trust/a", "trust/b/high"} <= set(
        last
    )
    assert last["trust/a"] + last["trust/b"] == pytest.approx(1.0)
    assert 0 <= last["gate"] <= 1


def test_training_leaves_the_teachers_as_they_were(make):
    before = make.stored.clone()
    brain, batches = make()
    brain.train_student(batches, progressbar=False)
    assert torch.equal(make.stored, before) and not make.stored.requires_grad


def test_a_killed_training_continues_to_the_same_weights_and_log(make, monkeypatch):
    monkeypatch.setattr(brains, "SAVE_EVERY_S", -1.0)
    whole, batches = make(folder="whole")
    expected = whole.train_student(batches, progressbar=False)

    killed, batches = make(folder="killed")
    real = killed.on_stage_start

    def kill(stage, epoch=None):
        if epoch == 3:
            raise KeyboardInterrupt
        real(stage, epoch)

    killed.on_stage_start = kill
    with pytest.raises(KeyboardInterrupt):
        killed.train_student(batches, progressbar=False)
    continued, batches = make(folder="killed")
    student = continued.train_student(batches, progressbar=False)
    assert continued.history == whole.history
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, student.state_dict()[name]), name


def test_a_broken_checkpoint_is_named(make, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"not a checkpoint")
    brain, batches = make()
    with pytest.raises(ValueError, match=r"the checkpoint .*checkpoint\.pt cannot be read .*; delete it"):
        brain.train_student(batches, progressbar=False)


def test_a_checkpoint_of_another_shape_is_named(make):
    brain, batches = make(SupervisedBrain)
    brain.init_optimizers()
    state = {name: part.state_dict() for name, part in brain._stateful().items() if name != "optimizer"}
    state["modules"]["student.head.bias"] = torch.zeros(3)
    save_state(brain.checkpoint, {**state, "optimizer": {}, "epoch": 1, "step": 1, "history": [], "seconds": 0.0})
    with pytest.raises(ValueError, match=r"checkpoint\.pt does not fit"):
        brain.train_student(batches, progressbar=False)


def test_a_training_that_diverges_names_run_epoch_and_learning_rate(make):
    brain, batches = make(SupervisedBrain, warmup=0.0)
    brain.opt_class = partial(torch.optim.AdamW, lr=1e30)
    with pytest.raises(ValueError, match=r"/run: the loss is (nan|inf) in epoch 1, .* 9.83e\+29; lower") as caught:
        brain.train_student(batches, progressbar=False)
    assert sentence_for(caught.value) and not brain.checkpoint.exists()


def test_a_student_with_a_weight_that_is_not_finite_is_not_kept(make):
    brain, batches = make(SupervisedBrain, weight_average=0.0)

    def spoil(stage, stage_loss, epoch=None):
        brain.modules.student.head.weight.data[0, 0] = float("nan") if epoch == 4 else 1.0

    brain.on_stage_end = spoil
    with pytest.raises(ValueError, match="a weight is not finite after epoch 4"):
        brain.train_student(batches, progressbar=False)


def test_the_same_seed_gives_the_same_student_and_another_seed_another(make):
    weights = []
    for seed in (5, 5, 6):
        brain, batches = make(folder=f"run{len(weights)}")
        brain.seed = batches.seed = seed
        weights.append(brain.train_student(batches, progressbar=False).head.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_posteriors_of_an_utterance_are_the_mean_over_its_windows(corpus):
    student = Levels().eval()
    windows = [np.full(1600, level, dtype=np.float32) for level in (0.1, 0.9)]
    both = predict(student, [collate(["u", "u"], windows, [0, 0])])["u"]
    each = [predict(student, [collate(["u"], [window], [0])])["u"] for window in windows]
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-12)


def test_a_student_that_begins_as_its_teacher_fits_its_head_first(make, corpus):
    manifest, waves = corpus
    brain, batches = make(number_of_epochs=0, head_decay=1.0)
    torch.manual_seed(0)
    student = EncoderStudent(num_classes=2, **EncoderStudent.example_options)
    objective = build_objective(
        {
            "task": {"name": "cross_entropy"},
            "distill": [{"name": "integrated_soft_targets", "temperature": 2.0}],
            "weighting": {"name": "adapter"},
            "gate": {"name": "teacher_error", "theta": 0.0},  # shut: the labels alone are learned
        },
        num_teachers=2,
        student_frame_dim=student.output_dims()["student_frame_dim"],
    )
    brain = DistillBrain(
        student, objective, {**vars(brain.hparams), "opt_class": brain.opt_class}, 5, brain.checkpoint.parent
    )
    before = {name: tensor.clone() for name, tensor in student.encoder.state_dict().items()}
    trained = brain.train_student(batches, progressbar=False)
    posteriors = predict(trained, [collate(list(manifest.ids), [waves[i] for i in manifest.ids], manifest.labels)])
    assert np.mean([LABELS[posteriors[row.id].argmax()] == row.emotion for row in manifest]) > 0.9
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.encoder.state_dict().items())
    (row,) = brain.history
    assert row["epoch"] == 0 and row["gate"] == 0 and row["trust/a"] + row["trust/b"] == pytest.approx(1.0)
