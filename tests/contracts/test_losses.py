"""Promises of every registered loss, gate and weighting, found by registration."""

import dataclasses

import pytest
import torch

import akd_toolkit.objective  # noqa: F401  (registers)
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES, WEIGHTINGS


def reorder(output, order):
    """The batch in another order, whichever of the two outputs it is."""
    if isinstance(output, ModelOutput):
        fields = {name: getattr(output, name)[order] for name in ("logits", "embedding", "frames", "lengths")}
        return dataclasses.replace(output, **fields)
    return dataclasses.replace(
        output, logits=output.logits[:, order], embedding=tuple(e[order] for e in output.embedding)
    )


def test_the_suite_has_found_the_plugins():
    assert len(LOSSES.names()) >= 3, LOSSES.names()
    assert len(GATES.names()) >= 2, GATES.names()
    assert len(WEIGHTINGS.names()) >= 2, WEIGHTINGS.names()


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_loss_gives_one_finite_value_per_utterance_and_teaches_the_student(name, scale, pair):
    student, teacher, labels = pair(scale=scale)
    values = LOSSES.example(name)(student, teacher, labels)
    assert values.shape == (5,) and values.isfinite().all() and (values >= -1e-4).all()
    values.sum().backward()
    grads = [tensor.grad for tensor in (student.logits, student.embedding, student.frames) if tensor.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads) and any(grad.any() for grad in grads)


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("shape", [{"batch": 1}, {"classes": 2}, {"teachers": 1}, {"teachers": 3}])
def test_loss_takes_any_batch_number_of_classes_and_number_of_teachers(name, shape, pair):
    options = (
        {"num_teachers": shape["teachers"]}
        if "teachers" in shape and "num_teachers" in LOSSES.example(name).__dict__
        else {}
    )
    student, teacher, labels = pair(**shape)
    values = LOSSES.example(name, **options)(student, teacher, labels)
    assert values.shape == labels.shape and values.isfinite().all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_loss_of_each_utterance_does_not_depend_on_its_place_in_the_batch(name, pair):
    student, teacher, labels = pair()
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = LOSSES.example(name)
    values = loss(student, teacher, labels)
    moved = loss(reorder(student, order), reorder(teacher, order), labels[order])
    torch.testing.assert_close(moved, values[order])


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loss_stays_finite_for_half_precision_logits(name, dtype, pair):
    student, teacher, labels = pair(scale=30.0)
    half = dataclasses.replace(student, logits=student.logits.to(dtype))
    assert LOSSES.example(name)(half, teacher, labels).isfinite().all()


@pytest.mark.parametrize("name", LOSSES.names())
def test_loss_stays_finite_where_a_teacher_is_certain(name, pair):
    student, teacher, labels = pair()
    certain = torch.full_like(teacher.logits, -1e4)
    certain[..., 0] = 1e4
    certain = dataclasses.replace(teacher, logits=certain, weights=torch.tensor([[1.0], [0.0]]).expand(2, 5))
    values = LOSSES.example(name)(student, certain, labels)
    values.sum().backward()
    assert values.isfinite().all()


@pytest.mark.parametrize("name", GATES.names())
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gate_gives_one_detached_share_per_utterance(name, scale, pair):
    student, teacher, labels = pair(scale=scale)
    values = GATES.example(name)(student, teacher, labels)
    assert values.shape == (5,) and not values.requires_grad
    assert (values >= 0).all() and (values <= 1).all()


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_weights_are_shares_of_the_teachers(name, pair):
    student, teacher, labels = pair()
    weights = WEIGHTINGS.example(name)(student, teacher, labels)
    assert weights.shape == (2, 5) and (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(5))


@pytest.mark.parametrize("registry", [LOSSES, GATES, WEIGHTINGS], ids=lambda r: r.kind)
def test_every_plugin_says_what_it_is_and_where_it_comes_from(registry):
    for name in registry.names():
        page = registry.get(name).__doc__
        assert "Source:" in page and ">>>" in page, f"{registry.kind} '{name}' lacks its Source or an Example"


def test_equal_teachers_make_every_weighting_irrelevant(pair):
    student, teacher, labels = pair(teachers=1)
    twice = TeacherOutput(logits=teacher.logits.repeat(2, 1, 1), weights=torch.tensor([[0.9], [0.1]]).expand(2, 5))
    integrated, plain = LOSSES.build("integrated_soft_targets"), LOSSES.build("soft_target_kl")
    torch.testing.assert_close(integrated(student, twice, labels), plain(student, teacher, labels))
