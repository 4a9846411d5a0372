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


each_loss = pytest.mark.parametrize("name", LOSSES.names())
each_gate = pytest.mark.parametrize("name", GATES.names())
each_shape = pytest.mark.parametrize("shape", [{"batch": 1}, {"classes": 2}, {"teachers": 1}, {"teachers": 3}], ids=str)


def check_finite(loss, student, teacher, labels):
    """One finite value per utterance, with finite gradients; returns these."""
    values = loss(student, teacher, truth_for(loss, labels)).float()
    assert values.shape == labels.shape and values.isfinite().all() and (values >= -1e-4).all()
    if values.requires_grad:  # one utterance alone has no relations to others
        values.sum().backward()
    grads = gradients(student)
    assert all(grad.isfinite().all() for grad in grads)
    return grads


@each_loss
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_loss_gives_one_finite_value_per_utterance_and_teaches_the_student(name, scale, pair, build_for):
    student, teacher, labels = pair(scale=scale)
    grads = check_finite(build_for(LOSSES, name, student, teacher), student, teacher, labels)
    assert any(grad.any() for grad in grads)


@each_loss
@each_shape
def test_loss_takes_any_batch_number_of_classes_and_number_of_teachers(name, shape, pair, build_for):
    student, teacher, labels = pair(**shape)
    check_finite(build_for(LOSSES, name, student, teacher), student, teacher, labels)


@each_loss
def test_loss_of_each_utterance_does_not_depend_on_its_place_in_the_batch(name, pair, build_for):
    student, teacher, labels = pair()
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = build_for(LOSSES, name, student, teacher)
    truth = truth_for(loss, labels)
    moved = loss(reorder(student, order), reorder(teacher, order), truth[order])
    torch.testing.assert_close(moved, loss(student, teacher, truth)[order])


@each_loss
def test_loss_stays_finite_where_all_utterances_are_equal_and_a_teacher_is_certain(name, pair, build_for):
    student, teacher, labels = pair(batch=4)
    loss = build_for(LOSSES, name, student, teacher)
    certain = torch.full_like(teacher.logits, -1e4)
    certain[..., 0] = 1e4
    trusted = torch.tensor([[1.0], [0.0]]).expand(2, 4)
    check_finite(loss, student, dataclasses.replace(teacher, logits=certain, weights=trusted), labels)
    same = torch.zeros(4, dtype=torch.long)
    student, teacher = reorder(student, same), reorder(teacher, same)
    for tensor in (student.logits, student.embedding, student.frames, student.attributes, *student.layers.values()):
        tensor.retain_grad()
    check_finite(loss, student, teacher, labels)


@each_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loss_stays_finite_for_half_precision_outputs(name, dtype, pair, build_for):
    student, teacher, labels = pair(scale=30.0)
    half = dataclasses.replace(
        student,
        **{field: getattr(student, field).to(dtype) for field in ("logits", "embedding", "frames", "attributes")},
        layers={title: layer.to(dtype) for title, layer in student.layers.items()},
    )
    loss = build_for(LOSSES, name, student, teacher)
    with torch.autocast("cpu", dtype):
        values = loss(half, teacher, truth_for(loss, labels))
    values.float().sum().backward()
    assert values.isfinite().all() and all(grad.isfinite().all() for grad in gradients(student))


@each_gate
@pytest.mark.parametrize(
    "shape", [{"scale": 1e4}, {"batch": 1}, {"classes": 2}, {"teachers": 1}, {"teachers": 3}], ids=str
)
def test_gate_gives_one_detached_share_per_utterance(name, shape, pair, build_for):
    student, teacher, labels = pair(**shape)
    gate = build_for(GATES, name, student, teacher)
    values = gate(student, teacher, truth_for(gate, labels))
    assert values.shape == labels.shape and not values.requires_grad and ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@each_shape
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
def test_every_plugin_has_a_source_and_an_example(registry):
    for name in registry.names():
        page = registry.get(name).__doc__
        assert "Source:" in page and ">>>" in page, f"{registry.kind} '{name}' lacks its Source or an Example"


def test_weights_of_equal_teachers_do_not_matter(pair):
    student, teacher, labels = pair(teachers=1)
    twice = TeacherOutput(logits=teacher.logits.repeat(2, 1, 1), weights=torch.tensor([[0.9], [0.1]]).expand(2, 5))
    integrated, plain = LOSSES.build("integrated_soft_targets"), LOSSES.build("soft_target_kl")
    torch.testing.assert_close(integrated(student, twice, labels), plain(student, teacher, labels))
