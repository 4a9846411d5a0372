"""Mixup trains as soft targets would, and each teacher is judged by its own label."""

import numpy as np
import pytest
import torch

from akd_toolkit.data.augment import Mixup
from akd_toolkit.data.batches import collate
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.environment import sb
from akd_toolkit.outputs import UNLABELLED, ModelOutput, TeacherOutput
from akd_toolkit.registry import STUDENTS
from akd_toolkit.training.brain import DistillBrain

Stage = sb.Stage


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
    target, soft = between(batch, torch.nn.functional.one_hot(batch.labels, 3).float()), logits.requires_grad_()
    expected = -(target * soft.log_softmax(dim=1)).sum(dim=1).mean()
    expected.backward()
    assert total == pytest.approx(float(expected.detach()), rel=1e-5) and log["cross_entropy"] == [pytest.approx(total)]
    torch.testing.assert_close(gradient, soft.grad)


def between(batch, values):
    return batch.share * values + (1 - batch.share) * values[batch.partner]


@pytest.mark.parametrize("name", ["soft_target_kl", "integrated_soft_targets", "logit_mse"])
def test_mixup_has_the_gradient_of_mixed_teachers_up_to_a_constant(name, step):
    said, logits = torch.randn(2, 4, 3), torch.randn(4, 3)
    batch = mixed_batch(TeacherOutput(said, names=("a", "b")))
    options = {} if name == "logit_mse" else {"temperature": 2.0}
    spec = {"task": {"name": "cross_entropy", "weight": 0.0}, "distill": [{"name": name, **options}]}
    _, gradient, _ = step(spec, batch, logits)
    soft = logits.requires_grad_()
    if name == "logit_mse":
        target = between(batch, (said - said.mean(dim=2, keepdim=True)).mean(dim=0))
        expected = (soft - soft.mean(dim=1, keepdim=True) - target).square().mean(dim=1).mean()
    else:
        target = between(batch, (said / 2).softmax(dim=2).mean(dim=0))
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
