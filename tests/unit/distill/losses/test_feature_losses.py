"""Losses on frames and embeddings: what must hold for any numbers, and what is refused."""

import dataclasses

import pytest
import torch
from torch import nn

import akd_toolkit.distill.losses  # noqa: F401  (registers)
from akd_toolkit.distill.losses.alignment import averaged, time_shares, unit
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES

ON_FRAMES = ("hint", "attention_transfer")
ON_EMBEDDINGS = ("cosine_embedding", "contrastive_representation")


def speech(layer, frames, lengths=None):
    """A student with one layer [batch, T, D] and one teacher with frames [batch, T', D']."""
    logits = torch.zeros(len(layer), 3)
    student = ModelOutput(logits, frames=layer, layers={"low": layer}, lengths=lengths)
    return student, TeacherOutput(logits[None], frames=(frames,), lengths=lengths)


def pooled_over_time(frames, lengths, num_frames):
    return averaged(frames, time_shares(frames, lengths, num_frames))


def naive_pool(frames, num_valid, num_frames, fine=60):
    """Means over stretches of a finely repeated signal; exact where ``fine`` is divisible by ``num_frames``."""
    repeated = frames[:num_valid].repeat_interleave(fine, dim=0)
    return torch.stack([part.mean(dim=0) for part in repeated.chunk(num_frames)])


@pytest.mark.parametrize("num_valid", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("num_frames", [1, 3, 5])
def test_pooling_equals_the_mean_over_a_finely_repeated_signal(num_valid, num_frames):
    frames = torch.randn(1, 12, 3)
    pooled = pooled_over_time(frames, torch.tensor([num_valid / 12]), num_frames)[0]
    torch.testing.assert_close(pooled, naive_pool(frames[0], num_valid, num_frames), rtol=1e-4, atol=1e-5)


def test_stretches_share_the_speech_and_nothing_else():
    shares = time_shares(torch.zeros(3, 20, 1), torch.tensor([1.0, 0.55, 0.01]), num_frames=7)
    whole = torch.arange(20) < torch.tensor([20, 11, 1])[:, None]
    torch.testing.assert_close(shares.sum(dim=1), whole.float())
    torch.testing.assert_close(shares.sum(dim=2), torch.tensor([20.0, 11.0, 1.0])[:, None].expand(3, 7) / 7)


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


@pytest.mark.parametrize("name", ON_FRAMES)
def test_loss_on_frames_does_not_look_at_padding(name, pair, build_for):
    student, teacher, labels = pair(frames=8)
    lengths = torch.tensor([1.0, 0.5, 0.25, 0.75, 0.5])
    frames = tuple(torch.randn(5, 16, said.shape[2]) for said in teacher.frames)
    loss = build_for(LOSSES, name, student, teacher, num_frames=3)

    def value(padding):
        own = {title: padded(layer, lengths, padding) for title, layer in student.layers.items()}
        own_frames = padded(student.frames, lengths, padding)
        heard = dataclasses.replace(student, layers=own, frames=own_frames, lengths=lengths)
        said = tuple(padded(frame, lengths, padding) for frame in frames)
        return loss(heard, dataclasses.replace(teacher, frames=said, lengths=lengths), labels)

    torch.testing.assert_close(value(0.0), value(1e3))


def padded(frames, lengths, padding):
    speech_frames = torch.arange(frames.shape[1]) < (lengths * frames.shape[1]).round()[:, None]
    return frames.masked_fill(~speech_frames[..., None], padding)


@pytest.mark.parametrize("name", ON_FRAMES)
def test_loss_on_frames_does_not_depend_on_the_rate_of_frames(name):
    layer, frames = torch.randn(3, 6, 4), torch.randn(3, 12, 5)
    sizes = dict(num_teachers=1, student_layer_dims={"low": 4}, teacher_frame_dims=[5], teacher_step=1)
    loss = LOSSES.build(name, num_frames=4, **(sizes if name == "hint" else {}))
    twice = speech(layer.repeat_interleave(2, dim=1), frames.repeat_interleave(2, dim=1))
    torch.testing.assert_close(loss(*twice, None), loss(*speech(layer, frames), None))


@pytest.mark.parametrize("distance", ["huber", "squared"])
def test_hint_is_zero_where_the_regressor_gives_the_teachers_frames(distance):
    sizes = dict(num_teachers=1, student_layer_dims={"low": 4}, teacher_frame_dims=[5])
    loss = LOSSES.build("hint", **sizes, distance=distance, normalize=False)
    layer = torch.randn(3, 12, 4).repeat_interleave(4, dim=1)  # the step of 4 then leaves nothing out
    student, teacher = speech(layer, loss.regressors[0][0](layer).detach())
    torch.testing.assert_close(loss(student, teacher, None), torch.zeros(3))


def test_hint_takes_the_norm_of_teachers_at_any_scale():
    layer, frames = torch.randn(3, 6, 4), torch.randn(3, 12, 64)
    sizes = dict(num_teachers=1, student_layer_dims={"low": 4}, teacher_frame_dims=[64])
    loss = LOSSES.build("hint", **sizes)
    values = loss(*speech(layer, frames), None)
    torch.testing.assert_close(loss(*speech(layer, 1e3 * frames + 50), None), values, rtol=1e-3, atol=1e-3)
    assert (values < 1).all()


def test_hint_counts_every_n_th_frame_of_a_teacher():
    layer, frames = torch.randn(2, 6, 4), torch.randn(2, 12, 5)
    sizes = dict(num_teachers=1, student_layer_dims={"low": 4}, teacher_frame_dims=[5], teacher_step=3)
    loss = LOSSES.build("hint", **sizes)
    values = loss(*speech(layer, frames), None)
    frames[:, [1, 2, 4, 5, 7, 8, 10, 11]] = 1e3
    torch.testing.assert_close(loss(*speech(layer, frames), None), values)


@pytest.mark.parametrize(
    "layers, teachers, sizes", [(5, 2, [2, 3]), (3, 3, [1, 1, 1]), (4, 1, [4]), (6, 4, [1, 1, 2, 2])]
)
def test_hint_cuts_the_layers_into_groups_in_order(layers, teachers, sizes):
    names = [f"block_{index}" for index in range(layers)]
    loss = LOSSES.build(
        "hint", num_teachers=teachers, student_layer_dims=dict.fromkeys(names, 4), teacher_frame_dims=[5] * teachers
    )
    assert [layer for group in loss.groups for layer in group] == names
    assert sorted(map(len, loss.groups)) == sizes


def test_hint_leaves_layers_of_no_group_alone(pair):
    student, teacher, labels = pair()
    sizes = dict(num_teachers=2, student_layer_dims=dict.fromkeys(student.layers, 8), teacher_frame_dims=[5, 6])
    loss = LOSSES.build("hint", **sizes, groups=[["low"], ["low", "high"]])
    loss(student, teacher, labels).sum().backward()
    assert student.layers["low"].grad.any() and student.layers["high"].grad.any()
    assert student.layers["middle"].grad is None


def test_hint_survives_layers_beyond_float16_under_its_autocast():
    loss = LOSSES.build("hint", num_teachers=1, student_layer_dims={"low": 4}, teacher_frame_dims=[5])
    student, teacher = speech(1e5 * torch.randn(2, 6, 4), 1e5 * torch.randn(2, 12, 5))
    with torch.autocast("cpu", torch.float16):
        assert loss(student, teacher, None).isfinite().all()


@pytest.mark.parametrize("factor", [1e-2, 1e4])
def test_attention_transfer_does_not_look_at_scale(factor):
    layer, frames = torch.randn(3, 6, 4), torch.randn(3, 12, 5)
    loss = LOSSES.build("attention_transfer", num_frames=5)
    expected = loss(*speech(layer, frames), None)
    torch.testing.assert_close(loss(*speech(factor * layer, frames), None), expected)
    torch.testing.assert_close(loss(*speech(layer, factor * frames), None), expected)


def test_attention_transfer_is_zero_where_both_are_strong_at_the_same_times():
    level = torch.rand(3, 12, 1)
    loss = LOSSES.build("attention_transfer", num_frames=5)
    values = loss(*speech(level * torch.ones(4), -2 * level * torch.ones(7)), None)
    torch.testing.assert_close(values, torch.zeros(3))


def test_attention_transfer_takes_silence(pair):
    student, teacher = speech(torch.zeros(2, 6, 4, requires_grad=True), torch.randn(2, 12, 5))
    LOSSES.build("attention_transfer")(student, teacher, None).sum().backward()
    assert student.frames.grad.isfinite().all()


def test_cosine_embedding_goes_from_0_for_equal_to_2_for_opposite_directions():
    own = torch.randn(1, 6).expand(3, 6)
    loss = LOSSES.build("cosine_embedding", student_embedding_dim=6, teacher_embedding_dims=[6], projection=False)
    teacher = TeacherOutput(torch.zeros(1, 3, 2), embedding=(own * torch.tensor([[1e-3], [-7.0], [0.0]]),))
    values = loss(ModelOutput(torch.zeros(3, 2), embedding=own), teacher, None)
    torch.testing.assert_close(values, torch.tensor([0.0, 2.0, 1.0]))  # the last teacher has no direction


@pytest.mark.parametrize("name", [*ON_EMBEDDINGS, "attention_transfer"])
def test_trust_says_which_teacher_counts(name, pair, build_for):
    student, teacher, labels = pair()
    loss = build_for(LOSSES, name, student, teacher)
    first, second = (
        loss(student, teacher.weighted(torch.tensor(trust)[:, None].expand(2, 5)), labels)
        for trust in ([1.0, 0.0], [0.0, 1.0])
    )
    both = loss(student, teacher.weighted(torch.tensor([[0.25], [0.75]]).expand(2, 5)), labels)
    torch.testing.assert_close(both, 0.25 * first + 0.75 * second)
    torch.testing.assert_close(loss(student, teacher, labels), 0.5 * first + 0.5 * second)


def crd(dim=6, **options):
    sizes = dict(student_embedding_dim=dim, teacher_embedding_dims=[dim], dim=dim)
    loss = LOSSES.build("contrastive_representation", **sizes, **options)
    for projection in (loss.student_projection, *loss.teacher_projections):
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
    return loss


def test_contrast_is_lowest_where_each_student_has_its_own_teachers_answer():
    said = torch.eye(6)
    loss, teacher = crd(), TeacherOutput(torch.zeros(1, 6, 2), embedding=(said,))
    aligned = loss(ModelOutput(torch.zeros(6, 2), embedding=said), teacher, torch.arange(6))
    for shift in range(1, 6):
        other = loss(ModelOutput(torch.zeros(6, 2), embedding=said.roll(shift, 0)), teacher, torch.arange(6))
        assert (other > aligned + 0.5).all()


def test_contrast_with_itself_alone_says_nothing():
    loss, own = crd(), torch.randn(1, 6, requires_grad=True)
    values = loss(
        ModelOutput(torch.zeros(1, 2), embedding=own),
        TeacherOutput(torch.zeros(1, 1, 2), embedding=(torch.randn(1, 6),)),
        torch.tensor([0]),
    )
    values.sum().backward()
    assert values.tolist() == [0.0] and not own.grad.any()


def test_contrast_with_other_classes_does_not_push_away_from_the_own():
    own, said, labels = torch.randn(4, 6), torch.randn(4, 6), torch.tensor([0, 0, 1, 1])
    student = ModelOutput(torch.zeros(4, 2), embedding=own)
    changed = said.clone()
    changed[1] = own[0]  # another utterance of the class of the first

    def first(loss, said):
        return loss(student, TeacherOutput(torch.zeros(1, 4, 2), embedding=(said,)), labels)[0]

    torch.testing.assert_close(first(crd(negatives="other_class"), changed), first(crd(negatives="other_class"), said))
    assert first(crd(negatives="other"), changed) > first(crd(negatives="other"), said)


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
    with pytest.raises(ValueError, match="'attention_transfer' needs frames of every teacher, but 1 of 2"):
        LOSSES.build("attention_transfer")(student, dataclasses.replace(teacher, frames=teacher.frames[:1]), labels)


def test_padding_of_the_teacher_leaves_no_trace_however_many_frames_are_skipped():
    for step, total, valid in ((4, 9, 8), (2, 149, 120), (3, 16, 10), (4, 150, 148)):
        loss = LOSSES.build("hint", **HINT_OF_ONE, teacher_step=step)
        student = ModelOutput(torch.zeros(1, 3), layers={"low": torch.randn(1, 6, 4)})
        frames = torch.randn(1, total, 5)
        short = TeacherOutput(torch.zeros(1, 1, 3), frames=(frames[:, :valid],), lengths=torch.ones(1))
        padded = frames.clone()
        padded[:, valid:] = 1e3
        long = TeacherOutput(torch.zeros(1, 1, 3), frames=(padded,), lengths=torch.tensor([valid / total]))
        torch.testing.assert_close(loss(student, long, None), loss(student, short, None), rtol=1e-4, atol=1e-5)


HINT_OF_ONE = dict(num_teachers=1, student_layer_dims={"low": 4}, teacher_frame_dims=[5])
