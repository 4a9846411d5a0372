"""Losses on frames and embeddings: what must hold for any numbers, and what is refused."""

import dataclasses

import pytest
import torch
from torch import nn

import akd_toolkit.distill.losses  # noqa: F401  (registers)
from akd_toolkit.distill.losses.alignment import averaged, time_shares, unit
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


def speech(layer, frames, lengths=None):
    """A student with one layer [batch, T, D] and one teacher with frames [batch, T', D']."""
    logits = torch.zeros(len(layer), 3)
    student = ModelOutput(logits, frames=layer, layers={"low": layer}, lengths=lengths)
    return student, TeacherOutput(logits[None], frames=(frames,), lengths=lengths)


def pooled_over_time(frames, lengths, num_frames):
    return averaged(frames, time_shares(frames, lengths, num_frames))


def test_pooling_does_not_depend_on_how_frames_lie_in_memory():
    frames, lengths = torch.randn(2, 9, 4), torch.tensor([1.0, 0.5])
    by_time = frames.mT.contiguous().mT
    torch.testing.assert_close(pooled_over_time(by_time, lengths, 4), pooled_over_time(frames, lengths, 4))


def test_a_vector_without_length_has_no_direction_and_no_gradient():
    vectors = torch.tensor([[0.0, 0.0], [0.0, -2e4]], requires_grad=True)
    directions = unit(vectors)
    directions.sum().backward()
    assert directions.tolist() == [[0, 0], [0, -1]]
    assert vectors.grad.isfinite().all() and not vectors.grad[0].any()


def hint_of_one(teacher_frame_dim=5, **options):
    """A hint from one teacher to one layer of 4 channels."""
    sizes = {"student_layer_dims": {"low": 4}, "teacher_frame_dims": [teacher_frame_dim]}
    return LOSSES.build("hint", num_teachers=1, **sizes, **options)


def test_hint_normalises_teachers_of_any_scale_and_survives_float16():
    layer, frames = torch.randn(3, 6, 4), torch.randn(3, 12, 64)
    loss = hint_of_one(64)
    values = loss(*speech(layer, frames), None)
    torch.testing.assert_close(loss(*speech(layer, 1e3 * frames + 50), None), values, rtol=1e-3, atol=1e-3)
    assert (values < 1).all()
    with torch.autocast("cpu", torch.float16):
        assert loss(*speech(1e5 * layer, 1e5 * frames), None).isfinite().all()


def test_hint_uses_every_n_th_frame_of_a_teacher_and_no_padding():
    layer, frames = torch.randn(2, 6, 4), torch.randn(2, 12, 5)
    loss = hint_of_one(teacher_step=3)
    values = loss(*speech(layer, frames), None)
    frames[:, [1, 2, 4, 5, 7, 8, 10, 11]] = 1e3
    torch.testing.assert_close(loss(*speech(layer, frames), None), values)
    student = ModelOutput(torch.zeros(1, 3), layers={"low": layer[:1]})
    for step, total, valid in ((4, 9, 8), (2, 149, 120), (3, 16, 10), (4, 150, 148)):
        loss, frames = hint_of_one(teacher_step=step), torch.randn(1, total, 5)
        frames[:, valid:] = 1e3
        short = TeacherOutput(torch.zeros(1, 1, 3), frames=(frames[:, :valid],), lengths=torch.ones(1))
        long = TeacherOutput(torch.zeros(1, 1, 3), frames=(frames,), lengths=torch.tensor([valid / total]))
        torch.testing.assert_close(loss(student, long, None), loss(student, short, None), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "teachers", "sizes"), [(5, 2, [2, 3]), (3, 3, [1, 1, 1]), (4, 1, [4]), (6, 4, [1, 1, 2, 2])]
)
def test_hint_cuts_the_layers_into_groups_in_order(layers, teachers, sizes):
    dims = {f"block_{index}": 4 for index in range(layers)}
    options = {"student_layer_dims": dims, "teacher_frame_dims": [5] * teachers}
    loss = LOSSES.build("hint", num_teachers=teachers, **options)
    assert [layer for group in loss.groups for layer in group] == list(dims)
    assert sorted(map(len, loss.groups)) == sizes


def test_hint_leaves_layers_of_no_group_alone(pair):
    student, teacher, labels = pair()
    options = {"student_layer_dims": dict.fromkeys(student.layers, 8), "teacher_frame_dims": [5, 6]}
    loss = LOSSES.build("hint", num_teachers=2, **options, groups=[["low"], ["low", "high"]])
    loss(student, teacher, labels).sum().backward()
    assert student.layers["low"].grad.any() and student.layers["high"].grad.any()
    assert student.layers["middle"].grad is None


def test_attention_transfer_compares_times_and_not_scale():
    layer, frames, level = torch.randn(3, 6, 4), torch.randn(3, 12, 5), torch.rand(3, 12, 1)
    loss = LOSSES.build("attention_transfer", num_frames=5)
    expected = loss(*speech(layer, frames), None)
    for factor in (1e-2, 1e4):
        torch.testing.assert_close(loss(*speech(factor * layer, frames), None), expected)
        torch.testing.assert_close(loss(*speech(layer, factor * frames), None), expected)
    torch.testing.assert_close(loss(*speech(level * torch.ones(4), -2 * level * torch.ones(7)), None), torch.zeros(3))
    silent, teacher = speech(torch.zeros(3, 6, 4, requires_grad=True), frames)
    loss(silent, teacher, None).sum().backward()
    assert silent.frames.grad.isfinite().all()


def test_cosine_embedding_goes_from_0_for_equal_to_2_for_opposite_directions():
    own = torch.randn(1, 6).expand(3, 6)
    loss = LOSSES.build("cosine_embedding", student_embedding_dim=6, teacher_embedding_dims=[6], projection=False)
    teacher = TeacherOutput(torch.zeros(1, 3, 2), embedding=(own * torch.tensor([[1e-3], [-7.0], [0.0]]),))
    values = loss(ModelOutput(torch.zeros(3, 2), embedding=own), teacher, None)
    torch.testing.assert_close(values, torch.tensor([0.0, 2.0, 1.0]))  # the last teacher has no direction


def contrast(own, target, labels, dim=6, **options):
    """The contrastive loss with projections that change nothing."""
    sizes = {"student_embedding_dim": dim, "teacher_embedding_dims": [dim], "dim": dim}
    loss = LOSSES.build("contrastive_representation", **sizes, **options)
    for projection in (loss.student_projection, *loss.teacher_projections):
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
    logits = torch.zeros(1, len(own), 2)
    return loss(ModelOutput(logits[0], embedding=own), TeacherOutput(logits, embedding=(target,)), labels)


def test_contrast_is_lowest_where_each_student_has_the_embedding_of_its_own_utterance():
    target, labels = torch.eye(6), torch.arange(6)
    aligned = contrast(target, target, labels)
    assert all((contrast(target.roll(shift, 0), target, labels) > aligned + 0.5).all() for shift in range(1, 6))
    own = torch.randn(1, 6, requires_grad=True)
    alone = contrast(own, torch.randn(1, 6), torch.tensor([0]))
    alone.sum().backward()
    assert alone.tolist() == [0.0] and not own.grad.any()


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("hint", {"teacher_frame_dims": [5]}, "'hint' .*1 of 2"),
        ("hint", {"student_layer_dims": {"low": 4}}, "groups"),
        ("hint", {"groups": [["low"]]}, "groups must be 2 lists"),
        ("hint", {"groups": [["low"], ["top"]]}, "'top', but the student has low, high"),
        ("hint", {"distance": "l1"}, "distance .*'l1'"),
        ("hint", {"num_frames": 0}, "num_frames"),
        ("attention_transfer", {"num_frames": 1}, "num_frames"),
        ("attention_transfer", {"layers": ["top"], "student_layer_dims": {"low": 4}}, "'top', but the student has low"),
        ("cosine_embedding", {"teacher_embedding_dims": []}, "embeddings of every teacher"),
        ("cosine_embedding", {"projection": False}, "student 8, teachers .3, 4."),
        ("contrastive_representation", {"negatives": "all"}, "negatives .*'all'"),
        ("contrastive_representation", {"temperature": 0.0}, "temperature"),
    ],
)
def test_options_that_do_not_fit_are_refused(name, options, key):
    with pytest.raises(ValueError, match=key):
        LOSSES.example(name, **options)


def test_attention_transfer_refuses_a_teacher_without_frames(pair):
    student, teacher, labels = pair()
    with pytest.raises(ValueError, match="'attention_transfer' .*1 of 2"):
        LOSSES.build("attention_transfer")(student, dataclasses.replace(teacher, frames=teacher.frames[:1]), labels)
