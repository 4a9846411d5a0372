"""Numbers that move while a student is trained."""

import pytest
import torch

from akd_toolkit.declared import checked
from akd_toolkit.distill.losses import Loss
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.distill.objective_spec import ObjectiveSpec
from akd_toolkit.registry import LOSSES, SCHEDULES

SHAPES = {"num_teachers": 2, "student_frame_dim": 8}
SPEC = {
    "task": {"name": "cross_entropy", "weight": 1.0},
    "distill": [
        {
            "name": "soft_target_kl",
            "weight": {"name": "warmup", "value": 2.0, "until": 0.5},
            "temperature": {"name": "linear", "start": 4.0, "end": 1.0},
        }
    ],
}


def test_end_points_and_middle():
    linear, cosine = SCHEDULES.build("linear", start=4.0, end=1.0), SCHEDULES.build("cosine", start=4.0, end=1.0)
    assert [linear(p) for p in (0.0, 0.5, 1.0)] == [4.0, 2.5, 1.0]
    assert [cosine(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([4.0, 2.5, 1.0])
    assert cosine(0.1) > linear(0.1)  # flat at its ends
    assert SCHEDULES.build("constant", value=3.0)(0.2) == 3.0
    assert [SCHEDULES.build("warmup", value=2.0, until=0.25)(p) for p in (0.0, 0.125, 0.25, 1.0)] == [0, 1, 2, 2]


def test_weight_and_temperature_follow_the_progress(pair):
    student, teacher, labels = pair()
    objective = build_objective(SPEC, **SHAPES)
    for progress, weight, temperature in ((0.0, 0.0, 4.0), (0.25, 1.0, 3.25), (1.0, 2.0, 1.0)):
        objective.set_progress(progress)
        result = objective(student, teacher, labels)
        loss = LOSSES.build("soft_target_kl", temperature=temperature)(student, teacher, labels).mean()
        torch.testing.assert_close(result.parts["soft_target_kl"], loss)
        torch.testing.assert_close(result.total, result.parts["cross_entropy"] + weight * loss)


def test_progress_alone_decides_so_that_a_continued_run_goes_on(pair):
    student, teacher, labels = pair()
    begun, fresh = build_objective(SPEC, **SHAPES), build_objective(SPEC, **SHAPES)
    for step in range(8):
        begun.set_progress(step / 10)
    fresh.set_progress(0.7)
    assert torch.equal(begun(student, teacher, labels).total, fresh(student, teacher, labels).total)


def test_a_gate_may_follow_a_schedule_too(pair):
    student, teacher, labels = pair()
    gate = {"name": "teacher_error", "theta": {"name": "linear", "start": 0.0, "end": 1.0}}
    objective = build_objective({**SPEC, "gate": gate}, **SHAPES)
    shut = objective(student, teacher, labels).gate
    objective.set_progress(1.0)
    assert not shut.any() and objective(student, teacher, labels).gate.all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"weight": {"name": "linaer", "start": 1, "end": 0}}, "unknown schedule 'linaer'. Did you mean 'linear'"),
        ({"weight": {"name": "linear", "start": 1.0, "end": -1.0}}, "distill.0.weight: got {"),
        ({"temperature": {"name": "linear", "start": 1.0, "end": 0.0}}, "temperature must be > 0, got 0.0"),
        ({"temperature": {"name": "linear", "from": 1.0}}, "schedule 'linear'"),
        ({"temperature": {"name": "linear", "start": 1.0, "end": "low"}}, "schedule 'linear' needs numbers, got .*low"),
        ({"weight": {"name": "cosine", "start": "high", "end": 0.0}}, "schedule 'cosine' needs numbers, got .*high"),
    ],
)
def test_a_wrong_schedule_is_refused_before_anything_is_built(change, message):
    with pytest.raises(ValueError, match=message):
        checked(ObjectiveSpec, {**SPEC, "distill": [{"name": "soft_target_kl", **change}]})


def test_a_count_cannot_follow_a_schedule():
    hint = {"name": "hint", "num_frames": {"name": "linear", "start": 2, "end": 8}}
    sizes = {"student_layer_dims": {"low": 4}, "teacher_frame_dims": [5], "num_teachers": 1}
    with pytest.raises(ValueError, match="'num_frames' cannot follow a schedule"):
        build_objective({**SPEC, "distill": [hint]}, **sizes)


class Fixed(Loss):
    """A loss that uses its option when it is built and does not keep it."""

    def __init__(self, power: float = 1.0):
        super().__init__()
        self.factor = 10.0**power


def test_an_option_that_is_fixed_when_built_cannot_follow_a_schedule(monkeypatch):
    moving = {"name": "fixed", "power": {"name": "constant", "value": 2.0}}
    monkeypatch.setitem(LOSSES._plugins, "fixed", Fixed)
    build_objective({**SPEC, "distill": [{**moving, "power": 2.0}]})
    with pytest.raises(ValueError, match="'power' cannot follow a schedule"):
        build_objective({**SPEC, "distill": [moving]})
