"""One objective weighs, gates, averages and names losses, and moves scheduled numbers."""

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from akd_toolkit.declared import checked
from akd_toolkit.distill.losses import Loss
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.distill.objective_spec import ObjectiveSpec
from akd_toolkit.outputs import UNLABELLED
from akd_toolkit.registry import GATES, LOSSES, SCHEDULES

SPEC = {
    "task": {"name": "cross_entropy", "weight": 1.0},
    "distill": [{"name": "integrated_soft_targets", "weight": 0.5, "temperature": 2.0}],
}
GATE = {"name": "teacher_error", "theta": 0.7}
SHAPES = {"num_teachers": 2, "student_frame_dim": 8}


def objective_of(**changes):
    return build_objective({**SPEC, **changes}, **SHAPES)


def distillation(student, teacher, labels):
    return LOSSES.build("integrated_soft_targets", temperature=2.0)(student, teacher, labels)


def gate_of(student, teacher, labels):
    return GATES.build(**GATE)(student, teacher, labels)


def test_without_a_teacher_only_the_task_counts(pair):
    student, _, labels = pair()
    for changes in ({}, {"gate": {"name": "always_open"}, "complementary": True}):
        result = objective_of(**changes)(student, None, labels)
        torch.testing.assert_close(result.total, cross_entropy(student.logits, labels))
        assert set(result.parts) == {"cross_entropy"}


def test_total_is_the_sum_written_out(pair):
    student, teacher, labels = pair()
    gate, distill = gate_of(student, teacher, labels), distillation(student, teacher, labels)
    task = cross_entropy(student.logits, labels, reduction="none")
    plain = objective_of(gate=GATE)(student, teacher, labels)
    torch.testing.assert_close(plain.total, sum(task[b] + gate[b] * 0.5 * distill[b] for b in range(5)) / 5)
    complementary = objective_of(gate=GATE, complementary=True)(student, teacher, labels)  # (14), beta = 1 - gate
    torch.testing.assert_close(complementary.total, ((1 - gate) * task + 0.5 * gate * distill).mean())
    opened = objective_of(gate={"name": "always_open"})(student, teacher, labels)
    torch.testing.assert_close(opened.total, objective_of()(student, teacher, labels).total)


def test_a_loss_of_weight_0_is_measured_and_not_trained_on(pair):
    student, teacher, labels = pair()
    result = objective_of(distill=[{**SPEC["distill"][0], "weight": 0}])(student, teacher, labels)
    assert result.parts["integrated_soft_targets"] > 0
    torch.testing.assert_close(result.total, result.parts["cross_entropy"])


def test_a_closed_gate_leaves_no_trace_of_the_teacher_in_the_gradient(pair):
    student, teacher, labels = pair()
    wrong = type(teacher)(logits=50 * one_hot((labels + 1) % 4, 4).float().repeat(2, 1, 1))
    total = objective_of(gate=GATE)(student, wrong, labels).total
    expected = torch.autograd.grad(cross_entropy(student.logits, labels), student.logits)
    torch.testing.assert_close(torch.autograd.grad(total, student.logits), expected)


def test_the_adapter_learns_whom_to_trust_and_leaves_the_student_alone(pair):
    student, teacher, labels = pair(batch=64)
    right = 5 * one_hot(labels, 4).float()
    teacher = type(teacher)(logits=torch.stack([right, -right]))
    unweighted = {"task": {**SPEC["task"], "weight": 0.0}, "distill": [{**SPEC["distill"][0], "weight": 0}]}
    objective = objective_of(**unweighted, weighting={"name": "adapter"})
    assert set(objective.state_dict()) == {"weighting.factors", "weighting.shared"}
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.1)
    for _ in range(30):
        optimiser.zero_grad()
        result = objective(student, teacher, labels)
        result.total.backward()
        optimiser.step()
    assert result.weights[0].mean() > 0.9
    assert student.frames.grad is None or not student.frames.grad.any()


def test_a_weighting_fitted_at_once_trusts_the_teacher_that_is_right(pair):
    student, teacher, labels = pair(batch=64)
    right = 3 * one_hot(labels, 4).float()
    teacher = type(teacher)(logits=torch.stack([right, torch.zeros_like(right)]))
    objective = objective_of(weighting={"name": "adapter"})
    objective.fit_weighting(student, teacher, labels, decay=0.01)
    assert objective.weighting(student, teacher, labels)[0].mean() > 0.9


@pytest.mark.parametrize("speech", ["labelled", "unlabelled"])
def test_a_loss_may_be_for_labelled_or_for_unlabelled_speech_alone(speech, pair):
    student, teacher, labels = pair()
    known = torch.tensor([True, False, True, False, True])
    some = torch.where(known, labels, UNLABELLED)
    part = {**SPEC["distill"][0], "speech": speech}
    rows = known if speech == "labelled" else ~known
    result = objective_of(distill=[part])(student, teacher, some)
    expected = distillation(student, teacher, labels)[rows].mean()
    torch.testing.assert_close(result.parts["integrated_soft_targets"], expected)
    torch.testing.assert_close(result.total, result.parts["cross_entropy"] + 0.5 * expected)
    none = labels if speech == "unlabelled" else torch.full_like(labels, UNLABELLED)
    assert objective_of(distill=[part])(student, teacher, none).parts["integrated_soft_targets"] == 0
    targets, weights, _ = objective_of(distill=[part]).blended_targets(student, teacher, some)
    hard = one_hot(labels, 4).float()
    assert torch.equal(targets[known], hard[known]) == (speech == "unlabelled")
    assert not torch.equal(targets[~known], hard[~known])
    assert torch.equal(weights, torch.where(known, 1.0, float(speech == "unlabelled")))


@pytest.mark.parametrize("detach", [True, False])
def test_only_an_attached_mixture_trains_an_adapter_without_supervision(detach, pair):
    distill = [{**SPEC["distill"][0], "detach_mixture": detach}]
    objective = objective_of(distill=distill, weighting={"name": "adapter", "supervision_weight": 0.0})
    objective(*pair()).total.backward()
    learned = objective.weighting.factors.grad
    assert (learned is None or not learned.any()) == detach


def test_a_frozen_adapter_stays_as_it_is(pair):
    objective, learned = objective_of(weighting={"name": "adapter", "freeze_after": 0.5}), []
    optimiser, data = torch.optim.AdamW(objective.parameters(), lr=0.1), pair()
    for progress in (0.0, 0.4, 0.5, 0.9):
        objective.set_progress(progress)
        optimiser.zero_grad()
        objective(*data).total.backward()
        optimiser.step()
        learned.append(objective.weighting.factors.detach().clone())
    assert not torch.equal(learned[0], learned[1]) and torch.equal(learned[1], learned[2])
    assert torch.equal(learned[2], learned[3])


def test_unlabelled_utterances_have_no_task_and_an_open_gate_unless_it_needs_no_label(pair):
    student, teacher, labels = pair()
    known = torch.tensor([True, True, False, False, True])
    some = torch.where(known, labels, UNLABELLED)
    result = objective_of(gate={**GATE, "theta": 0.0})(student, teacher, some)  # closed wherever there is a label
    task = cross_entropy(student.logits[known], labels[known])
    torch.testing.assert_close(result.total, task + 0.5 * distillation(student, teacher, labels)[~known].sum() / 5)
    assert result.gate.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]
    unlabelled = torch.full_like(labels, UNLABELLED)
    result = objective_of(gate={"name": "teacher_entropy"})(student, teacher, unlabelled)
    assert (result.gate < 1).any() and result.parts["cross_entropy"] == 0 and result.total > 0


def test_losses_imitate_targets_while_the_gate_judges_logits(pair):
    student, teacher, labels = pair()
    flat = torch.zeros_like(teacher.logits)
    objective = objective_of(gate=GATE)
    result = objective(student, type(teacher)(logits=teacher.logits, targets=flat), labels)
    torch.testing.assert_close(result.gate, objective(student, teacher, labels).gate)
    expected = distillation(student, type(teacher)(logits=flat), labels).mean()
    torch.testing.assert_close(result.parts["integrated_soft_targets"], expected)


def test_blended_targets_follow_the_gate_and_are_the_labels_without_teachers(pair):
    student, teacher, labels = pair()
    some, gate = labels.clone(), gate_of(student, teacher, labels)
    some[0], gate[0] = UNLABELLED, 1.0
    objective, hard = objective_of(gate=GATE), one_hot(labels, 4).float()
    targets, weights, temperature = objective.blended_targets(student, teacher, some)
    torch.testing.assert_close(targets, (1 - gate)[:, None] * hard + gate[:, None] * teacher.mixture(2.0))
    assert temperature == 2.0 and weights.tolist() == [1.0] * len(labels)  # a gate by labels is open without one
    targets, weights, temperature = objective.blended_targets(student, None, labels)
    assert torch.equal(targets, hard) and weights.tolist() == [1.0] * len(labels) and temperature == 1.0
    by_entropy = {"name": "teacher_entropy"}
    objective = objective_of(gate=by_entropy)
    _, weights, _ = objective.blended_targets(student, teacher, some)
    torch.testing.assert_close(weights[0], objective(student, teacher, some).gate[0])
    assert weights[1:].tolist() == [1.0] * (len(labels) - 1)


def test_one_loss_may_be_listed_twice_under_two_titles(pair):
    student, teacher, labels = pair()
    twice = [
        {"name": "soft_target_kl", "temperature": 1.0},
        {"name": "soft_target_kl", "temperature": 4.0, "title": "soft_target_kl at 4", "weight": 0.0},
    ]
    result = objective_of(distill=twice)(student, teacher, labels)
    expected = LOSSES.build("soft_target_kl", temperature=4.0)(student, teacher, labels).mean()
    torch.testing.assert_close(result.parts["soft_target_kl at 4"], expected)


def test_several_tasks_are_added_up(pair):
    student, _, labels = pair()
    attributes = torch.randn(5, 2)
    attributes[0] = torch.nan
    tasks = [{"name": "cross_entropy", "weight": 0.0}, {"name": "concordance", "weight": 2.0}]
    result = build_objective({"task": tasks}, num_attributes=2)(student, None, labels, attributes)
    torch.testing.assert_close(result.total, 2 * result.parts["concordance"])
    assert result.parts["cross_entropy"] > 0
    result.total.backward()
    assert student.logits.grad is None and not student.attributes.grad[0].any() and student.attributes.grad[1:].any()


KL = {"name": "soft_target_kl"}
MOVING = {"name": "linear", "start": 1.0, "end": 0.0}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"task": {"name": "cross_entrpy"}}, "unknown loss 'cross_entrpy'. Did you mean 'cross_entropy'"),
        ({"task": "cross_entropy"}, "task"),
        ({"task": {"name": "cross_entropy", "balanced": "efective"}}, "balanced .*'efective'"),
        ({"distill": [{**KL, "weight": -1}]}, "distill.0.weight: got -1"),
        ({"distill": [KL, KL]}, "soft_target_kl' is listed 2 times"),
        ({"distill": [{**KL, "temperature": -1}]}, "temperature must be > 0"),
        ({"distill": [{**KL, "temperature": "hot"}]}, "temperature .*'hot'"),
        ({"distill": [{**KL, "temperature": {"start": 4}}]}, "temperature must be > 0"),
        ({"distil": []}, "'distil'; did you mean 'distill'"),
        ({"gate": {"theta": 0.5}}, "'name' is missing"),
        ({"gate": "teacher_error"}, "gate"),
        ({"gate": {"name": "teacher_error", "theta": 2}}, r"theta must be in \[0, 1\]"),
        ({"gate": {"name": "teacher_error", "theta": "much"}}, "theta"),
        ({"weighting": {"name": "adapter", "supervision": 1}}, "'supervision'"),
        ({"weighting": {"name": "adapter", "num_teachers": 3}}, "'num_teachers'"),
        ({"complementary": True}, "complementary"),
        ({"distill": [{**KL, "weight": {**MOVING, "name": "linaer"}}]}, "unknown schedule 'linaer'"),
        ({"distill": [{**KL, "weight": {**MOVING, "end": -1.0}}]}, "distill.0.weight"),
        ({"distill": [{**KL, "temperature": MOVING}]}, "temperature must be > 0, got 0.0"),
        ({"distill": [{**KL, "temperature": {"name": "linear", "from": 1.0}}]}, "schedule 'linear'"),
        ({"distill": [{**KL, "temperature": {**MOVING, "end": "low"}}]}, "schedule 'linear' needs numbers"),
        *(({"distill": [{**KL, "title": title}]}, "title") for title in ("total", "gate", "keys", "", "a.b", "a/b", 3)),
    ],
)
def test_a_wrong_description_is_refused_before_any_size_is_known(change, key):
    with pytest.raises(ValueError, match=key):
        checked(ObjectiveSpec, {**SPEC, **change})


def test_schedules_have_their_end_points_and_middle():
    linear, cosine = SCHEDULES.build("linear", start=4.0, end=1.0), SCHEDULES.build("cosine", start=4.0, end=1.0)
    assert [linear(p) for p in (0.0, 0.5, 1.0)] == [4.0, 2.5, 1.0]
    assert [cosine(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([4.0, 2.5, 1.0])
    assert cosine(0.1) > linear(0.1)  # flat at its ends
    assert SCHEDULES.build("constant", value=3.0)(0.2) == 3.0
    assert [SCHEDULES.build("warmup", value=2.0, until=0.25)(p) for p in (0.0, 0.125, 0.25, 1.0)] == [0, 1, 2, 2]


def test_weight_option_and_gate_follow_the_progress_alone(pair):
    student, teacher, labels = pair()
    weight = {"name": "warmup", "value": 2.0, "until": 0.5}
    distill = [{**KL, "weight": weight, "temperature": {"name": "linear", "start": 4.0, "end": 1.0}}]
    gate = {"name": "teacher_error", "theta": {"name": "linear", "start": 0.0, "end": 1.0}}
    objective = objective_of(distill=distill)
    for progress, weight, temperature in ((0.0, 0.0, 4.0), (1.0, 2.0, 1.0), (0.25, 1.0, 3.25)):
        objective.set_progress(progress)
        result = objective(student, teacher, labels)
        loss = LOSSES.build("soft_target_kl", temperature=temperature)(student, teacher, labels).mean()
        torch.testing.assert_close(result.parts["soft_target_kl"], loss)
        torch.testing.assert_close(result.total, result.parts["cross_entropy"] + weight * loss)
    objective = objective_of(gate=gate)
    closed = objective(student, teacher, labels).gate
    objective.set_progress(1.0)
    assert not closed.any() and objective(student, teacher, labels).gate.all()


class Fixed(Loss):
    """A loss that uses its option when it is built and does not keep it."""

    def __init__(self, power: float = 1.0):
        super().__init__()
        self.factor = 10.0**power


def test_a_count_and_an_option_that_is_not_kept_cannot_follow_a_schedule(monkeypatch):
    hint = {"name": "hint", "num_frames": {"name": "linear", "start": 2, "end": 8}}
    sizes = {"student_layer_dims": {"low": 4}, "teacher_frame_dims": [5], "num_teachers": 1}
    with pytest.raises(ValueError, match="'num_frames' cannot follow a schedule"):
        build_objective({**SPEC, "distill": [hint]}, **sizes)
    monkeypatch.setitem(LOSSES._plugins, "fixed", Fixed)
    build_objective({**SPEC, "distill": [{"name": "fixed", "power": 2.0}]})
    with pytest.raises(ValueError, match="'power' cannot follow a schedule"):
        build_objective({**SPEC, "distill": [{"name": "fixed", "power": {"name": "constant", "value": 2.0}}]})
