"""Training with everything on: the same after a kill, mixed as soft targets would be, and off the path of a test."""

import functools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from akd_toolkit.data.augment import Mixup, build_augmentations, build_mixup, change_batch
from akd_toolkit.data.batches import collate
from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, loader_options
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.environment import sb
from akd_toolkit.outputs import UNLABELLED, ModelOutput, TeacherOutput
from akd_toolkit.registry import STUDENTS
from akd_toolkit.training import averaging
from akd_toolkit.training.brain import DistillBrain
from akd_toolkit.training.checkpointer import SafeCheckpointer

EpochCounter, Stage = sb.utils.epoch_loop.EpochCounter, sb.Stage
LABELS = ("low", "high")
AUGMENT = [
    {"name": "speed_change", "p": 0.5, "speeds": [90, 110]},
    {"name": "added_noise", "p": 0.5},
    {"name": "random_gain", "p": 0.5},
    {"name": "frequency_drop", "p": 0.3},
    {"name": "chunk_drop", "p": 0.5},
    {"name": "spec_augment", "p": 0.8},
]
MIXUP = {"alpha": 1.0, "p": 0.7}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Builds (brain, batches) with every change on by default."""
    monkeypatch.setattr(averaging, "HORIZON", 0.5)  # trainings are short: keeps the decay of 0.5
    random = np.random.default_rng(0)
    rows = [Utterance(f"u{i}", "/u", 0, 2400 + 90 * i, 0.2, f"s{i % 4}", LABELS[i % 3 == 0]) for i in range(16)]
    more = [Utterance(f"x{i}", "/x", 0, 3000, 0.2, "x", "unlabelled") for i in range(8)]
    waves = {row.id: (0.1 * random.standard_normal(row.stop)).astype(np.float32) for row in [*rows, *more]}
    stored = {row.id: torch.randn(2, 2) for row in [*rows, *more]}

    def teachers(name, view, span):
        return TeacherOutput(stored[name][:, None], names=("a", "b"))

    def speech(*manifest, labelled=True):
        return Speech(Manifest(*manifest), lambda i, view: waves[i], teachers, labelled=labelled)

    def build(folder, augment=AUGMENT, mixup=MIXUP, sampling="class_balanced"):
        torch.manual_seed(3)
        student = STUDENTS.example("micro_cnn", num_classes=2)
        spec = {
            "task": {"name": "cross_entropy"},
            "distill": [{"name": "integrated_soft_targets", "weight": 0.5}],
            "weighting": {"name": "adapter"},
            "gate": {"name": "teacher_error"},
        }
        objective = build_objective(spec, num_teachers=2, **student.output_dims())
        hparams = {"seed": 5, "label_order": list(LABELS), "warmup": 0.2, "weight_average": 0.5}
        hparams |= {"augment": augment, "save_every_s": -1.0}
        opt_class = functools.partial(torch.optim.AdamW, lr=0.01)
        options = {"device": "cpu", "precision": "bf16"}
        modules, keep = {"student": student, "objective": objective}, SafeCheckpointer(tmp_path / folder)
        brain = DistillBrain(modules, opt_class, hparams, options, keep)
        change = functools.partial(
            change_batch, augmentations=build_augmentations(augment, "waveform"), mixup=build_mixup(mixup)
        )
        sources = [speech("toy", LABELS, tuple(rows)), speech("more", ("unlabelled",), tuple(more), labelled=False)]
        options = loader_options(TrainSampler(sources, 0.2, 8, 5, sampling=sampling), change)
        return brain, DataLoader(WindowDataset(sources), **options)

    return build


def trained(brain, batches, epochs=4):
    brain.fit(EpochCounter(epochs), batches, progressbar=False)
    return brain.kept


def test_a_killed_training_with_everything_on_ends_with_the_same_weights(make):
    whole, batches = make("whole")
    expected = trained(whole, batches)
    killed, batches = make("killed")
    real = killed.on_stage_start

    def kill(stage, epoch=None):
        if epoch == 3:
            raise KeyboardInterrupt
        real(stage, epoch)

    killed.on_stage_start = kill
    with pytest.raises(KeyboardInterrupt):
        trained(killed, batches)
    torch.rand(100), np.random.rand(100)  # the new process has another random state
    continued, batches = make("killed")
    student = trained(continued, batches)
    assert continued.history == whole.history
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, student.state_dict()[name]), name
    last = whole.history[-1]
    assert all(np.isfinite(value) for value in last.values()) and 0 <= last["gate"] <= 1
    assert last["trust/a"] + last["trust/b"] == pytest.approx(1.0)
    assert {"cross_entropy", "integrated_soft_targets", "weighting", "trust/a/low", "trust/b/high"} <= set(last)


@pytest.fixture
def step():
    """(distill losses, batch, logits) -> total, gradient of the logits and log of a brain's step on them."""

    def run(spec, batch, logits):
        student = STUDENTS.example("micro_cnn", num_classes=3)
        objective = build_objective(
            spec, num_teachers=2, num_classes=3, class_counts=[5, 2, 1], **student.output_dims()
        )
        modules = {"student": student, "objective": objective}
        brain = DistillBrain(modules, torch.optim.SGD, {"label_order": ["a", "b", "c"]}, {"device": "cpu"})
        brain.log = {}
        logits = logits.clone().requires_grad_()
        total = brain.compute_objectives(ModelOutput(logits), batch, Stage.TRAIN)
        total.backward()
        return float(total.detach()), logits.grad, brain.log

    return run


def mixed_batch(teacher=None, labels=(0, 2, 1, 1)):
    windows = [np.full(1600, 0.1, np.float32)] * len(labels)
    batch = collate([str(i) for i in range(len(labels))], windows, list(labels), teacher)
    return Mixup(alpha=1.0)(batch, np.random.default_rng(4))


def test_mixup_has_the_gradient_of_the_mixed_label(step):
    batch, logits = mixed_batch(), torch.randn(4, 3)
    total, gradient, log = step({"task": {"name": "cross_entropy"}}, batch, logits)
    hard = torch.nn.functional.one_hot(batch.labels, 3).float()
    target = batch.share * hard + (1 - batch.share) * hard[batch.partner]
    soft = logits.clone().requires_grad_()
    expected = -(target * soft.log_softmax(dim=1)).sum(dim=1).mean()
    expected.backward()
    assert total == pytest.approx(float(expected.detach()), rel=1e-5) and log["cross_entropy"] == [pytest.approx(total)]
    torch.testing.assert_close(gradient, soft.grad)


@pytest.mark.parametrize("name", ["soft_target_kl", "integrated_soft_targets", "logit_mse"])
def test_mixup_has_the_gradient_of_mixed_teachers_up_to_a_constant(name, step):
    said, logits = torch.randn(2, 4, 3), torch.randn(4, 3)
    batch = mixed_batch(TeacherOutput(said, names=("a", "b")))
    options = {} if name == "logit_mse" else {"temperature": 2.0}
    spec = {"task": {"name": "cross_entropy", "weight": 0.0}, "distill": [{"name": name, **options}]}
    _, gradient, _ = step(spec, batch, logits)
    soft = logits.clone().requires_grad_()
    if name == "logit_mse":
        centred = (said - said.mean(dim=2, keepdim=True)).mean(dim=0)
        target = batch.share * centred + (1 - batch.share) * centred[batch.partner]
        expected = (soft - soft.mean(dim=1, keepdim=True) - target).square().mean(dim=1).mean()
    else:
        probs = (said / 2).softmax(dim=2).mean(dim=0)
        target = batch.share * probs + (1 - batch.share) * probs[batch.partner]
        expected = -(4 * target * (soft / 2).log_softmax(dim=1)).sum(dim=1).mean()
    expected.backward()
    torch.testing.assert_close(gradient, soft.grad)


def test_under_mixup_each_teachers_answer_is_judged_by_its_own_label(step):
    said = torch.zeros(2, 4, 3)
    said[:, [0, 1], [0, 2]] = 9.0  # right about the first two
    said[:, [2, 3], 2] = 9.0  # wrong about the others
    batch = mixed_batch(TeacherOutput(said, names=("a", "b")))
    spec = {"task": {"name": "cross_entropy"}, "distill": [{"name": "logit_mse"}], "gate": {"name": "teacher_error"}}
    _, _, log = step(spec, batch, torch.zeros(4, 3))
    assert log["gate"] == [pytest.approx(0.5, abs=0.01)]  # two open, two shut, in either half of the mixture


def test_under_mixup_speech_without_a_label_has_no_task(step):
    teacher = TeacherOutput(torch.randn(2, 4, 3), names=("a", "b"))
    batch = mixed_batch(teacher, labels=(0, 2, UNLABELLED, UNLABELLED))
    spec = {"task": {"name": "cross_entropy"}, "distill": [{"name": "logit_mse", "weight": 0.0}]}
    _, gradient, _ = step(spec, batch, torch.randn(4, 3))
    assert gradient[:2].any() and not gradient[2:].any()
