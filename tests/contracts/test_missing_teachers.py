"""Where a teacher has no output for an utterance, every plugin computes what it would without that teacher there.

The references are loops: one objective or plugin for each utterance (or for each set of teachers), from which the
missing teachers were taken out.
"""

import copy
import dataclasses

import pytest
import torch

import akd_toolkit.distill.objective as objectives
from akd_toolkit.distill.losses.distance_relation import DistanceRelation
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES, WEIGHTINGS

BATCH = 6
PRESENT = torch.tensor([[1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 1, 1]], dtype=torch.bool)
BY_TEACHER = {  # a term for each teacher
    *("cosine_embedding", "embedding_regression", "contrastive_representation", "attention_transfer", "hint"),
}
RELATIONS = {"angle_relation", "distance_relation"}
OF_THE_BATCH = {"dist", "teacher_concordance"}  # moments over the batch, of the mixture or the trusted mean


def with_garbage(teacher, present):
    """The teacher outputs with large numbers where they are missing."""
    lost = ~present

    def spoilt(tensor, rows):
        rows = rows.reshape(rows.shape + (1,) * (tensor.dim() - rows.dim()))
        return torch.where(rows, 1e3 * torch.randn_like(tensor), tensor)

    lists = {
        name: tuple(spoilt(tensor, rows) for tensor, rows in zip(getattr(teacher, name), lost))
        for name in ("embedding", "frames")
    }
    stacked = {name: spoilt(getattr(teacher, name), lost) for name in ("logits", "attributes")}
    return dataclasses.replace(teacher, **lists, **stacked, present=present)


def only(teacher, kept, rows):
    """The outputs of the teachers ``kept`` for utterances ``rows``, without a mask."""
    kept, weights = list(kept), teacher.trust()[list(kept)][:, rows]
    return TeacherOutput(
        logits=teacher.logits[kept][:, rows],
        embedding=tuple(teacher.embedding[t][rows] for t in kept),
        frames=tuple(teacher.frames[t][rows] for t in kept),
        lengths=teacher.lengths[rows],
        attributes=teacher.attributes[kept][:, rows],
        weights=weights / weights.sum(dim=0),
    )


def truth_for(plugin, labels):
    return torch.linspace(-1, 1, 2 * BATCH).reshape(-1, 2) if plugin.truth == "attributes" else labels


def present_at(b):
    return PRESENT[:, b].nonzero().flatten().tolist()


@pytest.fixture
def case(pair):
    student, teacher, labels = pair(batch=BATCH, teachers=3)
    weights = torch.softmax(torch.randn(3, BATCH), dim=0)
    return student, dataclasses.replace(teacher, weights=weights), labels


def mixed_alone(loss, name, student, teacher, labels):
    """The loss of utterances that are compared with a mixture only: the mixture is made beforehand by a loop."""
    logits = torch.zeros(1, *student.logits.shape)
    attributes = torch.zeros(1, BATCH, 2)
    for b in range(BATCH):
        own = only(teacher, present_at(b), [b])
        logits[0, b] = loss.temperature * own.log_mixture(loss.temperature) if name == "dist" else 0.0
        attributes[0, b] = own.trusted_attributes()
    return loss(student, TeacherOutput(logits, attributes=attributes), labels)


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_loss_equals_a_loop_without_the_missing_teacher(name, case, build_for):
    student, teacher, labels = case
    loss = build_for(LOSSES, name, student, teacher)
    truth = truth_for(loss, labels)
    values = loss(student, with_garbage(teacher, PRESENT), truth).float()
    if name in BY_TEACHER:
        expected, trust = torch.zeros(BATCH), dataclasses.replace(teacher, present=PRESENT).trust()
        for t in range(3):
            rows = PRESENT[t].nonzero().flatten()
            # Alone on its own utterances, but by the same weights: all trust in it, the others' terms are 0.
            sure = torch.zeros(3, len(rows))
            sure[t] = 1.0
            part = dataclasses.replace(teacher.taken(rows), weights=sure)
            if name == "hint":  # does not use weights: only this teacher guides layers
                alone = copy.deepcopy(loss)
                alone.groups = [group if other == t else [] for other, group in enumerate(loss.groups)]
                expected[rows] += alone(student.taken(rows), part, truth[rows])
            else:
                expected[rows] += trust[t, rows] * loss(student.taken(rows), part, truth[rows])
    elif name in OF_THE_BATCH:
        expected = mixed_alone(loss, name, student, teacher, truth)
    elif name in RELATIONS:
        expected = values  # of a mixture; embeddings are tested below
    else:
        loops = []
        for b in range(BATCH):
            own = only(teacher, present_at(b), [b])
            loops.append(loss(student.taken(torch.tensor([b])), own, truth[b : b + 1]))
        expected = torch.cat(loops)
        if loss.truth == "attributes":  # a task: no teacher, moments of the batch
            expected = loss(student, None, truth)
    torch.testing.assert_close(values, expected.float(), rtol=1e-4, atol=1e-5)
    values.sum().backward()
    grads = [x.grad for x in (student.logits, student.embedding, student.frames) if x.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("name", sorted(RELATIONS))
@pytest.mark.parametrize("space", ["soft_targets", "embedding"])
def test_a_relation_equals_a_loop_over_the_utterances_of_each_teacher(name, space, case, build_for):
    student, teacher, labels = case
    loss = build_for(LOSSES, name, student, teacher, space=space)
    values = loss(student, with_garbage(teacher, PRESENT), labels)
    expected, trust = torch.zeros(BATCH), dataclasses.replace(teacher, present=PRESENT).trust()
    if space == "soft_targets":
        mixtures = [only(teacher, present_at(b), [b]).log_mixture(loss.temperature) for b in range(BATCH)]
        expected = loss(student, TeacherOutput(loss.temperature * torch.cat(mixtures)[None]), labels)
    else:
        for t in range(3):
            rows = PRESENT[t].nonzero().flatten()
            alone = TeacherOutput(teacher.logits[t : t + 1, rows], embedding=(teacher.embedding[t][rows],))
            expected[rows] += trust[t, rows] * loss(student.taken(rows), alone, labels[rows])
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", GATES.names())
def test_a_gate_equals_a_loop_without_the_missing_teacher(name, case, build_for):
    student, teacher, labels = case
    gate = build_for(GATES, name, student, teacher)
    truth = truth_for(gate, labels)
    values = gate(student, with_garbage(teacher, PRESENT), truth)
    if gate.truth == "attributes":  # one number for the batch
        means = torch.stack([only(teacher, present_at(b), [b]).trusted_attributes()[0] for b in range(BATCH)])
        expected = gate(student, TeacherOutput(teacher.logits[:1], attributes=means[None]), truth)
    else:
        loops = [
            gate(student.taken(torch.tensor([b])), only(teacher, present_at(b), [b]), truth[b : b + 1])
            for b in range(BATCH)
        ]
        expected = torch.cat(loops)
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_weights_equal_those_of_the_teachers_that_are_present(name, case, build_for):
    student, teacher, labels = case
    weighting = build_for(WEIGHTINGS, name, student, teacher)
    masked = with_garbage(teacher, PRESENT)
    trust = masked.weighted(weighting(student, masked, labels)).trust()
    torch.testing.assert_close(trust.sum(dim=0), torch.ones(BATCH))
    assert not trust[~PRESENT].any()
    for b in range(BATCH):
        kept = present_at(b)
        smaller = build_for(WEIGHTINGS, name, student, teacher)
        if hasattr(weighting, "teacher_accuracies"):
            smaller.teacher_accuracies = [weighting.teacher_accuracies[t] for t in kept]
        if hasattr(weighting, "factors"):
            smaller.shared = weighting.shared
            smaller.factors = torch.nn.Parameter(weighting.factors[kept].detach())
        alone = smaller(student, only(teacher, kept, list(range(BATCH))), labels)[:, b]
        torch.testing.assert_close(trust[kept, b], alone)


@pytest.mark.parametrize("name", LOSSES.names())
def test_the_objective_leaves_out_an_utterance_without_any_teacher(name, case, build_for, monkeypatch):
    """Distillation is that of the other utterances, over the whole batch; the task sees all."""
    student, teacher, labels = case
    loss = build_for(LOSSES, name, student, teacher)
    if loss.truth == "attributes" or name in ("cross_entropy", "focal"):
        pytest.skip("a loss on labels has no teacher")
    task = LOSSES.build("cross_entropy")
    gate = GATES.build("teacher_error", theta=1.0)
    objective = objectives.Objective({"task": (task, 1.0)}, {"d": (loss, 2.0)}, gate=gate, complementary=True)
    present = PRESENT.clone()
    present[:, 2] = False
    rows = torch.tensor([0, 1, 3, 4, 5])
    result = objective(student, with_garbage(teacher, present), labels)
    part = dataclasses.replace(teacher.taken(rows), present=present[:, rows])
    opened = gate(student.taken(rows), part, labels[rows])
    values = loss(student.taken(rows), part.imitated(), labels[rows])
    share = torch.ones(BATCH)
    share[rows] -= opened
    expected = (share * task(student, None, labels)).mean() + 2 * (opened * values).sum() / BATCH
    torch.testing.assert_close(result.total, expected)
    assert result.gate[2] == 0 and result.weights[:, 2].eq(0).all()
    nobody = objective(student, with_garbage(teacher, torch.zeros_like(PRESENT)), labels)
    torch.testing.assert_close(nobody.total, task(student, None, labels).mean())
    assert nobody.parts["d"] == 0
    nobody.total.backward()
    assert student.logits.grad.isfinite().all()


def test_outputs_keep_their_mask_when_batches_are_joined_and_taken_apart():
    whole = TeacherOutput(torch.zeros(2, 2, 3))
    partly = dataclasses.replace(whole, present=torch.tensor([[True, False], [False, True]]))
    joined = TeacherOutput.stacked([whole, partly])
    assert joined.present.tolist() == [[True, True, True, False], [True, True, False, True]]
    assert joined.taken(torch.tensor([3, 0])).present.tolist() == [[False, True], [True, True]]
    assert TeacherOutput.stacked([whole, whole]).present is None


def test_distances_of_two_utterances_are_those_of_the_teacher_that_has_both():
    # teacher 1 has all three points on a line, teacher 2 the first two alone: there every relative distance is 1
    student = ModelOutput(torch.zeros(3, 2), torch.tensor([[0.0], [1.0], [2.0]]))
    points = torch.tensor([[0.0], [5.0], [99.0]])
    present = torch.tensor([[True, True, False]])
    teacher = TeacherOutput(torch.zeros(1, 3, 2), embedding=(points,), present=present)
    values = DistanceRelation(space="embedding")(student, teacher, None)
    assert values.tolist() == [0.0, 0.0, 0.0]


def test_heads_fitted_in_closed_form_follow_the_label_alone_where_no_teacher_is_present(case):
    student, teacher, labels = case
    objective = objectives.Objective({}, {"d": (LOSSES.build("soft_target_kl"), 1.0)})
    present = PRESENT.clone()
    present[:, 1:3] = False
    labels[2] = -1
    targets, weights, _ = objective.blended_targets(student, with_garbage(teacher, present), labels)
    assert targets[1].tolist() == torch.eye(4)[labels[1]].tolist() and weights.tolist() == [1, 1, 0, 1, 1, 1]
