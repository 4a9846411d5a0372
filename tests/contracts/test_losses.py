"""Promises of every registered loss, gate and weighting, found by registration."""

import dataclasses

import pytest
import torch

import akd_toolkit.distill.objective  # noqa: F401  (registers)
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES, SCHEDULES, WEIGHTINGS


def reorder(output, order):
    """The batch in another order, whichever of the two outputs it is."""
    if isinstance(output, ModelOutput):
        names = ("logits", "embedding", "frames", "lengths", "attributes")
        layers = {name: layer[order] for name, layer in output.layers.items()}
        return dataclasses.replace(output, layers=layers, **{name: getattr(output, name)[order] for name in names})
    return dataclasses.replace(
        output,
        logits=output.logits[:, order],
        embedding=tuple(e[order] for e in output.embedding),
        frames=tuple(f[order] for f in output.frames),
        lengths=output.lengths[order],
        attributes=output.attributes[:, order],
    )


def truth_for(plugin, labels):
    """The third argument as the plugin wants it."""
    return torch.linspace(-1, 1, 2 * len(labels)).reshape(-1, 2) if plugin.truth == "attributes" else labels


def gradients(student):
    tensors = [student.logits, student.embedding, student.frames, student.attributes, *student.layers.values()]
    return [tensor.grad for tensor in tensors if tensor.grad is not None]


def test_the_suite_has_found_the_plugins():
    assert len(LOSSES.names()) >= 12, LOSSES.names()
    assert len(GATES.names()) >= 6, GATES.names()
    assert len(WEIGHTINGS.names()) >= 4, WEIGHTINGS.names()
    assert len(SCHEDULES.names()) >= 4, SCHEDULES.names()


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_loss_gives_one_finite_value_per_utterance_and_teaches_the_student(name, scale, pair, build_for):
    student, teacher, labels = pair(scale=scale)
    loss = build_for(LOSSES, name, student, teacher)
    values = loss(student, teacher, truth_for(loss, labels))
    assert values.shape == (5,) and values.isfinite().all() and (values >= -1e-4).all()
    values.sum().backward()
    grads = gradients(student)
    assert grads and all(grad.isfinite().all() for grad in grads) and any(grad.any() for grad in grads)


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("shape", [{"batch": 1}, {"classes": 2}, {"teachers": 1}, {"teachers": 3}], ids=str)
def test_loss_takes_any_batch_number_of_classes_and_number_of_teachers(name, shape, pair, build_for):
    student, teacher, labels = pair(**shape)
    loss = build_for(LOSSES, name, student, teacher)
    values = loss(student, teacher, truth_for(loss, labels))
    assert values.shape == labels.shape and values.isfinite().all()
    if values.requires_grad:  # one utterance alone has no relations to others
        values.sum().backward()
        assert all(grad.isfinite().all() for grad in gradients(student))


@pytest.mark.parametrize("name", LOSSES.names())
def test_loss_of_each_utterance_does_not_depend_on_its_place_in_the_batch(name, pair, build_for):
    student, teacher, labels = pair()
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = build_for(LOSSES, name, student, teacher)
    truth = truth_for(loss, labels)
    values = loss(student, teacher, truth)
    moved = loss(reorder(student, order), reorder(teacher, order), truth[order])
    torch.testing.assert_close(moved, values[order])


@pytest.mark.parametrize("name", LOSSES.names())
def test_loss_stays_finite_where_every_utterance_looks_the_same(name, pair, build_for):
    student, teacher, labels = pair(batch=4)
    same = torch.zeros(4, dtype=torch.long)
    student, teacher = reorder(student, same), reorder(teacher, same)
    for tensor in (student.logits, student.embedding, student.frames, student.attributes, *student.layers.values()):
        tensor.retain_grad()
    loss = build_for(LOSSES, name, student, teacher)
    values = loss(student, teacher, truth_for(loss, labels))
    values.sum().backward()
    assert values.isfinite().all() and all(grad.isfinite().all() for grad in gradients(student))


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loss_stays_finite_for_half_precision_outputs(name, dtype, pair, build_for):
    student, teacher, labels = pair(scale=30.0)
    loss = build_for(LOSSES, name, student, teacher)
    half = dataclasses.replace(
        student,
        **{field: getattr(student, field).to(dtype) for field in ("logits", "embedding", "frames", "attributes")},
        layers={title: layer.to(dtype) for title, layer in student.layers.items()},
    )
    with torch.autocast("cpu", dtype):
        values = loss(half, teacher, truth_for(loss, labels))
    values.float().sum().backward()
    assert values.isfinite().all() and all(grad.isfinite().all() for grad in gradients(student))


@pytest.mark.parametrize("name", LOSSES.names())
def test_loss_stays_finite_where_a_teacher_is_certain(name, pair, build_for):
    student, teacher, labels = pair()
    certain = torch.full_like(teacher.logits, -1e4)
    certain[..., 0] = 1e4
    certain = dataclasses.replace(teacher, logits=certain, weights=torch.tensor([[1.0], [0.0]]).expand(2, 5))
    loss = build_for(LOSSES, name, student, teacher)
    values = loss(student, certain, truth_for(loss, labels))
    values.sum().backward()
    assert values.isfinite().all() and all(grad.isfinite().all() for grad in gradients(student))


@pytest.mark.parametrize("name", GATES.names())
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gate_gives_one_detached_share_per_utterance(name, scale, pair, build_for):
    student, teacher, labels = pair(scale=scale)
    gate = build_for(GATES, name, student, teacher)
    values = gate(student, teacher, truth_for(gate, labels))
    assert values.shape == (5,) and not values.requires_grad
    assert (values >= 0).all() and (values <= 1).all()


@pytest.mark.parametrize("name", GATES.names())
@pytest.mark.parametrize("shape", [{"batch": 1}, {"classes": 2}, {"teachers": 1}, {"teachers": 3}], ids=str)
def test_gate_takes_any_batch_number_of_classes_and_number_of_teachers(name, shape, pair, build_for):
    student, teacher, labels = pair(**shape)
    gate = build_for(GATES, name, student, teacher)
    values = gate(student, teacher, truth_for(gate, labels))
    assert values.shape == labels.shape and ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@pytest.mark.parametrize("shape", [{}, {"batch": 1}, {"teachers": 1}, {"teachers": 3}], ids=str)
def test_weights_are_shares_of_the_teachers(name, shape, pair, build_for):
    student, teacher, labels = pair(**shape)
    weights = build_for(WEIGHTINGS, name, student, teacher)(student, teacher, labels)
    assert weights.shape == teacher.logits.shape[:2] and (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(len(labels)))


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_schedule_is_finite_from_the_first_step_to_the_last(name):
    schedule = SCHEDULES.example(name)
    values = [schedule(step / 10) for step in range(11)]
    assert all(isinstance(value, float) and value >= 0 for value in values)


@pytest.mark.parametrize("registry", [LOSSES, GATES, WEIGHTINGS, SCHEDULES], ids=lambda r: r.kind)
def test_every_plugin_says_what_it_is_and_where_it_comes_from(registry):
    for name in registry.names():
        page = registry.get(name).__doc__
        assert "Source:" in page and ">>>" in page, f"{registry.kind} '{name}' lacks its Source or an Example"


def test_equal_teachers_make_every_weighting_irrelevant(pair):
    student, teacher, labels = pair(teachers=1)
    twice = TeacherOutput(logits=teacher.logits.repeat(2, 1, 1), weights=torch.tensor([[0.9], [0.1]]).expand(2, 5))
    integrated, plain = LOSSES.build("integrated_soft_targets"), LOSSES.build("soft_target_kl")
    torch.testing.assert_close(integrated(student, twice, labels), plain(student, teacher, labels))
