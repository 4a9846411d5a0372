"""Losses on logits, on softened probabilities and on the relations between utterances."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import huber_loss

from akd_toolkit.distill.losses.relations import distances_between, soft_targets
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES

# Title -> name and options: every form of the losses on trial.
FORMS = {
    "decoupled_kl": ("decoupled_kl", {}),
    "logit_mse": ("logit_mse", {}),
    "logit_mse not centred": ("logit_mse", {"centred": False}),
    "standardized_logit_kl": ("standardized_logit_kl", {}),
    "dist": ("dist", {}),
    "angles of soft targets": ("angle_relation", {}),
    "angles of embeddings": ("angle_relation", {"space": "embedding"}),
    "angles of a sample": ("angle_relation", {"max_triplets": 20}),
    "distances of soft targets": ("distance_relation", {}),
    "distances of embeddings": ("distance_relation", {"space": "embedding"}),
}
every_form = pytest.mark.parametrize("title", FORMS)


def built(title, **options):
    name, fixed = FORMS[title]
    return LOSSES.build(name, **{**fixed, **options})


def random_pair(seed=0, batch=6, classes=5, teachers=1, scale=1.0, dim=3):
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(*shape, generator=generator)

    student = ModelOutput(scale * numbers(batch, classes), embedding=scale * numbers(batch, dim))
    embedding = tuple(scale * numbers(batch, dim + t) for t in range(teachers))
    teacher = TeacherOutput(scale * numbers(teachers, batch, classes), embedding=embedding)
    return student, teacher, torch.randint(classes, (batch,), generator=generator)


def learning(student):
    """The same student, whose outputs collect gradients."""
    return replace(student, logits=student.logits.requires_grad_(), embedding=student.embedding.requires_grad_())


def check_finite(loss, student, teacher, labels):
    student = learning(student)
    values = loss(student, teacher, labels)
    values.sum().backward()
    grads = [tensor.grad for tensor in (student.logits, student.embedding) if tensor.grad is not None]
    assert values.shape == labels.shape and values.isfinite().all() and (values >= -1e-4).all()
    assert grads and all(grad.isfinite().all() for grad in grads)
    return values.detach(), grads


@every_form
def test_a_student_equal_to_its_teacher_has_no_loss_and_hardly_a_gradient(title):
    student, teacher, labels = random_pair(scale=3.0)
    student = replace(student, logits=teacher.logits[0].clone(), embedding=teacher.embedding[0].clone())
    values, grads = check_finite(built(title), student, teacher, labels)
    torch.testing.assert_close(values, torch.zeros(6), rtol=0, atol=1e-5)
    assert max(grad.abs().max() for grad in grads) < 1e-4


@every_form
def test_the_weighting_gets_no_gradient_from_the_loss(title):
    student, teacher, labels = random_pair(teachers=2)
    weights = torch.full((2, 6), 0.5, requires_grad=True)
    built(title)(learning(student), teacher.weighted(weights), labels).sum().backward()
    assert weights.grad is None


@every_form
def test_other_classes_are_refused(title):
    student, _, labels = random_pair(classes=5)
    teacher = TeacherOutput(torch.zeros(1, 6, 4))
    if "embedding" in title:
        with pytest.raises(ValueError, match="of each of the 1 teachers, got one and 0. Use space 'soft_targets'"):
            built(title)(student, teacher, labels)
    else:
        with pytest.raises(ValueError, match="logits must agree in shape"):
            built(title)(student, teacher, labels)


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("decoupled_kl", {"alpha": -1.0}, "alpha"),
        ("decoupled_kl", {"beta": float("nan")}, "beta"),
        ("decoupled_kl", {"temperature": 0}, "temperature"),
        ("standardized_logit_kl", {"temperature": -2}, "temperature"),
        ("dist", {"gamma": -0.5}, "gamma"),
        ("angle_relation", {"space": "logits"}, "space .*'logits'"),
        ("angle_relation", {"max_triplets": 0}, "max_triplets"),
        ("distance_relation", {"space": "frames"}, "space .*'frames'"),
    ],
)
def test_options_out_of_range_are_refused(name, options, key):
    with pytest.raises(ValueError, match=key):
        LOSSES.build(name, **options)


def test_two_classes_leave_nothing_to_compare_beside_the_target():
    student, teacher, labels = random_pair(classes=2)
    assert not LOSSES.build("decoupled_kl", alpha=0.0, beta=8.0)(student, teacher, labels).any()
    plain = LOSSES.build("soft_target_kl")(student, teacher, labels)
    torch.testing.assert_close(LOSSES.build("decoupled_kl")(student, teacher, labels), plain)


def test_a_teacher_certain_of_the_label_still_teaches_how_the_others_compare():
    teacher = TeacherOutput(torch.tensor([[[400.0, 4.0, 0.0]]]))  # the true class has probability 1 in float32
    student = ModelOutput(torch.tensor([[400.0, 0.0, 0.0]]).requires_grad_())
    LOSSES.build("decoupled_kl")(student, teacher, torch.tensor([0])).sum().backward()
    # T^2 beta / T (q_student - q_teacher) = 32 (1/2 - sigmoid(1))
    assert student.logits.grad[0, 1].item() == pytest.approx(32 * (0.5 - 0.7310586), rel=1e-4)


def test_a_teacher_without_a_view_teaches_no_relation():
    student, _, _ = random_pair()
    assert not LOSSES.build("dist")(student, TeacherOutput(torch.zeros(1, 6, 5)), None).any()


@pytest.mark.parametrize(("name", "options"), [("dist", {"gamma": 0.0}), ("standardized_logit_kl", {})])
def test_the_gradient_of_a_flat_student_raises_the_right_classes(name, options):
    student = ModelOutput(torch.zeros(1, 3).requires_grad_())
    values = LOSSES.build(name, **options)(student, TeacherOutput(torch.tensor([[[4.0, 2.0, 0.0]]])), None)
    values.sum().backward()
    assert name != "dist" or values.item() == pytest.approx(0.5)
    assert student.logits.grad.isfinite().all() and student.logits.grad[0, 0] < 0 < student.logits.grad[0, 2]


def naive_angles(x_s, x_t, j, apart):
    """Mean Huber distance over the valid triplets of j, in loops and double precision."""
    values = []
    for i in range(len(x_s)):
        for k in range(len(x_s)):
            if len({i, j, k}) == 3 and apart(i, j) and apart(k, j):
                angles = []
                for x in (x_s, x_t):
                    first, second = x[i] - x[j], x[k] - x[j]
                    angles.append((first / first.norm()) @ (second / second.norm()))
                values.append(huber_loss(*angles).item())
    return sum(values) / len(values) if values else 0.0


def test_angles_equal_the_definition_and_leave_out_triplets_of_equal_points():
    student, teacher, _ = random_pair(batch=7)
    student.embedding[2], teacher.embedding[0][5] = student.embedding[1], teacher.embedding[0][4]
    equal = [{1, 2}, {4, 5}]
    values = LOSSES.build("angle_relation", space="embedding")(student, teacher, None)
    x_s, x_t = student.embedding.double(), teacher.embedding[0].double()
    for j in range(7):
        expected = naive_angles(x_s, x_t, j, apart=lambda a, b: {a, b} not in equal)
        assert values[j].item() == pytest.approx(expected, rel=1e-4)


def test_a_sample_is_the_mean_over_the_partners_that_were_drawn():
    student, teacher, _ = random_pair(batch=10)
    sample = LOSSES.build("angle_relation", space="embedding", max_triplets=160)
    torch.manual_seed(3)
    partners = sample._partners(student.embedding)
    torch.manual_seed(3)
    values = sample(student, teacher, None)
    assert partners.shape == (10, 4)  # 10 utterances with 4 x 4 pairs each
    for j in range(10):
        chosen = set(partners[j].tolist())
        assert len(chosen) == 4 and j not in chosen
        expected = naive_angles(
            student.embedding.double(), teacher.embedding[0].double(), j, apart=lambda a, b, chosen=chosen: a in chosen
        )
        assert values[j].item() == pytest.approx(expected, rel=1e-4)


def test_a_sample_of_all_partners_equals_no_sampling():
    student, teacher, _ = random_pair(batch=10)
    everything = LOSSES.build("angle_relation", max_triplets=None)(student, teacher, None)
    nearly_all = LOSSES.build("angle_relation", max_triplets=999)(student, teacher, None)  # 9 partners of 9
    torch.testing.assert_close(nearly_all, everything)
    state = torch.get_rng_state()
    LOSSES.build("angle_relation", max_triplets=1000)(student, teacher, None)
    assert torch.equal(torch.get_rng_state(), state)


def test_near_points_keep_their_distance_far_from_the_origin():
    points = torch.tensor([[1000.0, 0.0], [1000.5, 0.0], [1000.0, 0.25]])
    distances, apart = distances_between(points)
    expected = torch.tensor([[0.0, 0.5, 0.25], [0.5, 0.0, 0.3125**0.5], [0.25, 0.3125**0.5, 0.0]])
    torch.testing.assert_close(distances, expected)
    assert torch.equal(apart, ~torch.eye(3, dtype=torch.bool))


def test_soft_targets_are_a_softmax_that_always_has_a_gradient():
    logits = torch.tensor([[0.0, 40.0, 90.0, 100.0], [0.0, 1.0, 2.0, 1e4]], requires_grad=True)
    probs = soft_targets(logits, temperature=2.0)
    torch.testing.assert_close(probs, torch.softmax(logits / 2, dim=1), rtol=0, atol=2e-7)
    probs[:, 3].sum().backward()
    assert (logits.grad[1, 3] > 0) and (logits.grad[1, :3] < 0).all()
