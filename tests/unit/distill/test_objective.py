"""One objective weighs, gates, averages and names."""

import pytest
import torch

from akd_toolkit.declared import checked
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.distill.objective_spec import ObjectiveSpec
from akd_toolkit.outputs import UNLABELLED
from akd_toolkit.registry import GATES, LOSSES

SPEC = {
    "task": {"name": "cross_entropy", "weight": 1.0},
    "distill": [{"name": "integrated_soft_targets", "weight": 0.5, "temperature": 2.0}],
}
SHAPES = {"num_teachers": 2, "student_frame_dim": 8}


def test_without_a_teacher_only_the_task_counts(pair):
    student, _, labels = pair()
    result = build_objective(SPEC, **SHAPES)(student, None, labels)
    torch.testing.assert_close(result.total, torch.nn.functional.cross_entropy(student.logits, labels))
    assert set(result.parts) == {"cross_entropy"}


def test_total_is_the_sum_written_out(pair):
    student, teacher, labels = pair()
    spec = {**SPEC, "gate": {"name": "teacher_error", "theta": 0.7}}
    result = build_objective(spec, **SHAPES)(student, teacher, labels)
    total = 0.0
    for b in range(5):
        gate = GATES.build("teacher_error", theta=0.7)(student, teacher, labels)[b]
        loss = LOSSES.build("integrated_soft_targets", temperature=2.0)(student, teacher, labels)[b]
        total += (torch.nn.functional.cross_entropy(student.logits[b], labels[b]) + gate * 0.5 * loss) / 5
    torch.testing.assert_close(result.total, total)


def test_an_open_gate_equals_no_gate(pair):
    student, teacher, labels = pair()
    gated = build_objective({**SPEC, "gate": {"name": "always_open"}}, **SHAPES)(student, teacher, labels)
    torch.testing.assert_close(gated.total, build_objective(SPEC, **SHAPES)(student, teacher, labels).total)


def test_a_loss_of_weight_0_is_measured_and_not_trained_on(pair):
    student, teacher, labels = pair()
    spec = {**SPEC, "distill": [{**SPEC["distill"][0], "weight": 0}]}
    result = build_objective(spec, **SHAPES)(student, teacher, labels)
    assert result.parts["integrated_soft_targets"] > 0
    torch.testing.assert_close(result.total, result.parts["cross_entropy"])


def test_a_shut_gate_leaves_no_trace_of_the_teacher_in_the_gradient(pair):
    student, teacher, labels = pair()
    wrong = torch.nn.functional.one_hot((labels + 1) % 4, 4).float() * 50
    teacher = type(teacher)(logits=wrong.repeat(2, 1, 1))
    spec = {**SPEC, "gate": {"name": "teacher_error", "theta": 0.9}}
    build_objective(spec, **SHAPES)(student, teacher, labels).total.backward()
    gated = student.logits.grad.clone()
    student.logits.grad = None
    torch.nn.functional.cross_entropy(student.logits, labels).backward()
    torch.testing.assert_close(gated, student.logits.grad)


def test_the_adapter_learns_whom_to_trust_and_leaves_the_student_alone(pair):
    student, teacher, labels = pair(batch=64)
    right = torch.nn.functional.one_hot(labels, 4).float() * 5
    teacher = type(teacher)(logits=torch.stack([right, -right]))
    spec = {
        "task": {"name": "cross_entropy", "weight": 0.0},
        **{k: SPEC[k] for k in ("distill",)},
        "weighting": {"name": "adapter"},
    }
    spec["distill"] = [{**SPEC["distill"][0], "weight": 0}]
    objective = build_objective(spec, **SHAPES)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        result = objective(student, teacher, labels)
        result.total.backward()
        optimiser.step()
    assert result.weights[0].mean() > 0.9
    assert student.frames.grad is None or not student.frames.grad.any()


def test_a_detached_mixture_teaches_the_adapter_nothing_but_an_attached_one_does(pair):
    student, teacher, labels = pair()
    for detach in (True, False):
        spec = {**SPEC, "distill": [{**SPEC["distill"][0], "detach_mixture": detach}]}
        spec["weighting"] = {"name": "adapter", "supervision_weight": 0.0}
        objective = build_objective(spec, **SHAPES)
        objective(student, teacher, labels).total.backward()
        learned = objective.weighting.factors.grad
        assert (learned is None or not learned.any()) == detach


def test_the_objective_never_enters_the_saved_student():
    objective = build_objective({**SPEC, "weighting": {"name": "adapter"}}, **SHAPES)
    assert set(objective.state_dict()) == {"weighting.factors", "weighting.shared"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": {"name": "cross_entrpy"}}, "unknown loss 'cross_entrpy'. Did you mean 'cross_entropy'"),
        ({"distill": [{"name": "soft_target_kl", "weight": -1}]}, "distill.0.weight: got -1"),
        ({"distill": [{"name": "soft_target_kl"}, {"name": "soft_target_kl"}]}, "listed 2 times"),
        ({"gate": {"theta": 0.5}}, "'name' is missing"),
        (
            {"task": {"name": "cross_entropy", "balanced": "efective"}},
            "balanced must be false, true or effective, got 'ef",
        ),
        ({"weighting": {"name": "adapter", "supervision": 1}}, "weighting 'adapter': .*'supervision'"),
        ({"weighting": {"name": "adapter", "num_teachers": 3}}, "the toolkit sets 'num_teachers'"),
        ({"gate": "teacher_error"}, 'gate: got "teacher_error"'),
        ({"task": "cross_entropy"}, 'task: got "cross_entropy"'),
        ({"distil": []}, "'distil'; did you mean 'distill'"),
        ({"complementary": True}, "without a gate"),
        ({"distill": [{"name": "soft_target_kl", "temperature": -1}]}, "loss 'soft_target_kl' .*must be > 0, got -1"),
        ({"distill": [{"name": "soft_target_kl", "temperature": "hot"}]}, "temperature must be > 0, got 'hot'"),
        ({"distill": [{"name": "soft_target_kl", "temperature": {"start": 4}}]}, "temperature must be > 0, got {"),
        ({"gate": {"name": "teacher_error", "theta": 2}}, r"gate 'teacher_error' .*theta must be in \[0, 1\]"),
        ({"gate": {"name": "teacher_error", "theta": "much"}}, "gate 'teacher_error' with {'theta': 'much'}"),
    ],
)
def test_a_wrong_description_is_refused_before_any_size_is_known(change, message):
    with pytest.raises(ValueError, match=message):
        checked(ObjectiveSpec, {**SPEC, **change})


@pytest.mark.parametrize("title", ["total", "gate", "weighting", "train", "keys", "", "a.b", "a/b", 3])
def test_a_title_that_means_something_else_is_refused(title):
    with pytest.raises(ValueError, match="title"):
        checked(ObjectiveSpec, {**SPEC, "distill": [{"name": "soft_target_kl", "title": title}]})


def test_logits_of_different_shape_are_refused(pair):
    student, _, labels = pair(classes=4)
    _, teacher, _ = pair(classes=7)
    with pytest.raises(
        ValueError, match=r"logits must agree in shape \[batch, classes\]: student \[5, 4\], teacher \[5, 7\]"
    ):
        build_objective(SPEC, **SHAPES)(student, teacher, labels)


def test_unlabelled_utterances_have_no_task_and_an_open_gate(pair):
    student, teacher, labels = pair()
    spec = {**SPEC, "gate": {"name": "teacher_error", "theta": 0.0}}  # shut wherever there is a label
    some = torch.where(torch.tensor([True, True, False, False, True]), labels, UNLABELLED)
    result = build_objective(spec, **SHAPES)(student, teacher, some)
    known = some != UNLABELLED
    task = torch.nn.functional.cross_entropy(student.logits[known], labels[known])
    distill = LOSSES.build("integrated_soft_targets", temperature=2.0)(student, teacher, labels)
    torch.testing.assert_close(result.total, task + 0.5 * distill[~known].sum() / 5)
    assert result.gate.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]


def test_a_batch_without_any_label_still_distils(pair):
    student, teacher, labels = pair()
    result = build_objective(SPEC, **SHAPES)(student, teacher, torch.full_like(labels, UNLABELLED))
    assert result.parts["cross_entropy"] == 0 and result.total > 0


def test_losses_imitate_targets_while_the_gate_judges_logits(pair):
    student, teacher, labels = pair()
    taught = type(teacher)(logits=teacher.logits, targets=torch.zeros_like(teacher.logits))
    spec = {**SPEC, "gate": {"name": "teacher_error", "theta": 0.7}}
    objective = build_objective(spec, **SHAPES)
    result, plain = objective(student, taught, labels), objective(student, teacher, labels)
    torch.testing.assert_close(result.gate, plain.gate)
    uniform = type(teacher)(logits=torch.zeros_like(teacher.logits))
    expected = LOSSES.build("integrated_soft_targets", temperature=2.0)(student, uniform, labels).mean()
    torch.testing.assert_close(result.parts["integrated_soft_targets"], expected)


def test_blended_targets_follow_the_gate(pair):
    student, teacher, labels = pair()
    spec = {**SPEC, "gate": {"name": "teacher_error", "theta": 0.7}}
    objective = build_objective(spec, **SHAPES)
    some = labels.clone()
    some[0] = UNLABELLED
    targets, temperature = objective.blended_targets(student, teacher, some)
    gate = GATES.build("teacher_error", theta=0.7)(student, teacher, labels)
    gate[0] = 1.0
    hard = torch.nn.functional.one_hot(labels, 4).float()
    expected = (1 - gate)[:, None] * hard + gate[:, None] * teacher.mixture(2.0)
    assert temperature == 2.0
    torch.testing.assert_close(targets, expected)


def test_without_teachers_blended_targets_are_the_labels(pair):
    student, _, labels = pair()
    targets, temperature = build_objective(SPEC, **SHAPES).blended_targets(student, None, labels)
    assert temperature == 1.0 and (targets.argmax(dim=1) == labels).all() and targets.sum() == 5


def test_a_weighting_fitted_at_once_trusts_the_teacher_that_is_right(pair):
    student, teacher, labels = pair(batch=64)
    right = torch.nn.functional.one_hot(labels, 4).float() * 3
    teacher = type(teacher)(logits=torch.stack([right, torch.zeros_like(right)]))
    objective = build_objective({**SPEC, "weighting": {"name": "adapter"}}, **SHAPES)
    objective.fit_weighting(student, teacher, labels, decay=0.01)
    assert objective.weighting(student, teacher, labels)[0].mean() > 0.9


def test_complementary_weights_give_the_task_what_the_gate_withholds(pair):
    student, teacher, labels = pair()
    gate = GATES.build("teacher_error", theta=0.7)(student, teacher, labels)
    spec = {**SPEC, "gate": {"name": "teacher_error", "theta": 0.7}, "complementary": True}
    result = build_objective(spec, **SHAPES)(student, teacher, labels)
    task = torch.nn.functional.cross_entropy(student.logits, labels, reduction="none")
    distill = LOSSES.build("integrated_soft_targets", temperature=2.0)(student, teacher, labels)
    torch.testing.assert_close(result.total, ((1 - gate) * task + 0.5 * gate * distill).mean())  # (14), beta = 1 - gate


def test_complementary_weights_leave_the_task_alone_where_there_is_no_teacher(pair):
    student, _, labels = pair()
    spec = {**SPEC, "gate": {"name": "always_open"}, "complementary": True}
    result = build_objective(spec, **SHAPES)(student, None, labels)
    torch.testing.assert_close(result.total, torch.nn.functional.cross_entropy(student.logits, labels))


def test_a_gate_without_need_of_labels_acts_on_unlabelled_speech(pair):
    student, teacher, labels = pair()
    nobody = torch.full_like(labels, UNLABELLED)
    of_entropy = build_objective({**SPEC, "gate": {"name": "teacher_entropy"}}, **SHAPES)
    of_error = build_objective({**SPEC, "gate": {"name": "teacher_error", "theta": 0.0}}, **SHAPES)
    assert (of_entropy(student, teacher, nobody).gate < 1).any()
    assert (of_error(student, teacher, nobody).gate == 1).all()


def test_one_loss_may_stand_twice_under_two_titles(pair):
    student, teacher, labels = pair()
    twice = [
        {"name": "soft_target_kl", "temperature": 1.0},
        {"name": "soft_target_kl", "temperature": 4.0, "title": "soft_target_kl at 4", "weight": 0.0},
    ]
    result = build_objective({**SPEC, "distill": twice}, **SHAPES)(student, teacher, labels)
    expected = LOSSES.build("soft_target_kl", temperature=4.0)(student, teacher, labels).mean()
    torch.testing.assert_close(result.parts["soft_target_kl at 4"], expected)


def test_several_tasks_are_added_up(pair):
    student, _, labels = pair()
    attributes = torch.randn(5, 2)
    attributes[0] = torch.nan
    spec = {"task": [{"name": "cross_entropy", "weight": 0.0}, {"name": "concordance", "weight": 2.0}]}
    result = build_objective(spec, num_attributes=2)(student, None, labels, attributes)
    torch.testing.assert_close(result.total, 2 * result.parts["concordance"])
    assert result.parts["cross_entropy"] > 0
    result.total.backward()
    assert student.logits.grad is None and not student.attributes.grad[0].any() and student.attributes.grad[1:].any()


def test_a_frozen_adapter_stays_as_it_is(pair):
    student, teacher, labels = pair()
    objective = build_objective({**SPEC, "weighting": {"name": "adapter", "freeze_after": 0.5}}, **SHAPES)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=0.1)
    learned = []
    for progress in (0.0, 0.4, 0.5, 0.9):
        objective.set_progress(progress)
        optimiser.zero_grad()
        objective(student, teacher, labels).total.backward()
        optimiser.step()
        learned.append(objective.weighting.factors.detach().clone())
    assert not torch.equal(learned[0], learned[1]) and torch.equal(learned[1], learned[2])
    assert torch.equal(learned[2], learned[3])
