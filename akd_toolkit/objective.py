"""The objective: the only place that weighs, gates, averages and names."""

import inspect

import torch
from torch import Tensor, nn

import akd_toolkit.gates
import akd_toolkit.losses
import akd_toolkit.weightings  # noqa: F401  (importing the three rooms registers their plugins)
from akd_toolkit.outputs import UNLABELLED, ModelOutput, ObjectiveResult, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES, WEIGHTINGS

# Constructor arguments that a plugin may ask for by name; build_objective reads them off the models.
FILLED_IN = (
    "num_classes",
    "class_counts",
    "num_teachers",
    "student_frame_dim",
    "student_embedding_dim",
    "teacher_embedding_dims",
    "teacher_frame_dims",
)


class Objective(nn.Module):
    """Task loss plus gated, weighted distillation.

    total = mean over labelled b of ( task_weight task[b] + supervision[b] )
          + mean over all b of ( gate[b] sum_k weight_k distill_k[b] )

    The weighting says how far each teacher is trusted, [m, batch]; the losses and the gate see teachers that carry
    these weights. A distillation loss of weight 0 is measured and logged, not trained on. Without a teacher only the
    task counts. An utterance without a label (``UNLABELLED``) has no task and an open gate; a loss that asks for its
    label is given the class that the teachers' mixture holds most likely. Everything that learns here (the Adapter,
    regressors) is a submodule: optimiser and checkpoints see it, the student's saved weights never do.

    Source: Khan et al. 2026, equations (1)-(8) and (12)-(13), as repaired in each plugin's page.

    Arguments
    ---------
    task
        (loss, weight >= 0) of the hard labels.
    distill
        name -> (loss, weight >= 0).
    weighting, gate
        Plugins; None means equal trust and an open gate.

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput or None, labels [batch]) -> ObjectiveResult with a scalar total.

    Example
    -------
    >>> objective = build_objective({"task": {"name": "cross_entropy", "weight": 2.0}})
    >>> result = objective(ModelOutput(torch.zeros(3, 4)), None, torch.tensor([0, 1, 2]))
    >>> result.total, result.parts  # 2 log 4 and log 4
    (tensor(2.7726), {'cross_entropy': tensor(1.3863)})
    """

    def __init__(
        self,
        task: tuple[nn.Module, float],
        task_name: str = "task",
        distill: dict[str, tuple[nn.Module, float]] | None = None,
        weighting: nn.Module | None = None,
        gate: nn.Module | None = None,
    ):
        super().__init__()
        self.task, self.task_weight = task
        self.task_name = task_name
        distill = distill or {}
        self.distill = nn.ModuleDict({name: loss for name, (loss, _) in distill.items()})
        self.distill_weights = {name: weight for name, (_, weight) in distill.items()}
        self.weighting = weighting
        self.gate = gate

    @property
    def reads(self) -> set[str]:
        """What the losses need of the teachers besides logits."""
        return {what for loss in self.distill.values() for what in getattr(loss, "reads", ())}

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> ObjectiveResult:
        has_label = labels != UNLABELLED
        task = self.task(student, None, labels.clamp(min=0))  # [batch]
        parts = {self.task_name: _mean(task.detach(), has_label)}
        total = self.task_weight * _mean(task, has_label)
        if teacher is None or not self.distill:
            return ObjectiveResult(total, parts)

        if self.weighting is not None:
            teacher = teacher.weighted(self.weighting(student, teacher, labels))
        labels = torch.where(has_label, labels, teacher.log_mixture(temperature=1.0).argmax(dim=-1))
        gate = torch.ones_like(task) if self.gate is None else self.gate(student, teacher, labels)
        gate = torch.where(has_label, gate, 1.0).detach()
        imitated = teacher.imitated()
        for name, loss in self.distill.items():
            weight = self.distill_weights[name]
            with torch.set_grad_enabled(weight > 0 and torch.is_grad_enabled()):
                value = loss(student, imitated, labels)  # [batch]
            parts[name] = value.detach().mean()
            if weight > 0:
                total = total + weight * (gate * value).mean()
        supervision = None if self.weighting is None else self.weighting.supervision(teacher, labels)
        if supervision is not None:
            parts["weighting"] = _mean(supervision.detach(), has_label)
            total = total + _mean(supervision, has_label)
        weights = None if teacher.weights is None else teacher.weights.detach()
        return ObjectiveResult(total, parts, gate=gate, weights=weights)

    def fit_weighting(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor, decay: float) -> None:
        """Let the weighting learn from its own supervision on all labelled utterances at once.

        minimises  mean over labelled b of supervision[b]  +  decay / (2 N) sum of squared scores' weights

        Without the decay it would learn by heart which teacher is right about which training utterance.
        """
        if teacher is None or self.weighting is None or not list(self.weighting.parameters()):
            return
        has_label, known = labels != UNLABELLED, labels.clamp(min=0)
        optimizer = torch.optim.LBFGS(self.weighting.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            weighted = teacher.weighted(self.weighting(student, teacher, known))
            loss = _mean(self.weighting.supervision(weighted, known), has_label)
            loss = loss + decay / (2 * has_label.sum()) * self.weighting.penalty()
            loss.backward()
            return loss

        if self.weighting.supervision(teacher, known) is not None:
            with torch.enable_grad():
                optimizer.step(closure)
            optimizer.zero_grad()

    @torch.no_grad()
    def blended_targets(
        self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor
    ) -> tuple[Tensor, float]:
        """One distribution per utterance for a head that is fitted at once, [batch, classes], and its temperature.

        target[b] = ((1 - o[b]) one_hot(label[b]) + o[b] mixture[b]),   o = gate where distillation has weight, else 0

        The mixture is taken at the temperature of the first distillation loss; an utterance without a label is all
        mixture.
        """
        classes = student.logits.shape[-1]
        has_label = labels != UNLABELLED
        hard = nn.functional.one_hot(labels.clamp(min=0), classes).float()
        losses = [loss for name, loss in self.distill.items() if self.distill_weights[name] > 0]
        if teacher is None or not losses:
            return hard, 1.0
        temperature = getattr(losses[0], "temperature", 1.0)
        if self.weighting is not None:
            teacher = teacher.weighted(self.weighting(student, teacher, labels))
        gate = torch.ones_like(hard[:, 0]) if self.gate is None else self.gate(student, teacher, labels.clamp(min=0))
        share = torch.where(has_label, gate, 1.0)[:, None]
        return (1 - share) * hard + share * teacher.imitated().mixture(temperature), temperature


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen utterances, 0 where there is none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def build_objective(spec: dict, **shapes) -> Objective:
    """Build the objective that YAML describes.

    Arguments
    ---------
    spec
        ``{task: {name, weight, ...}, distill: [{name, weight, ...}, ...], weighting: {name, ...}, gate: {name, ...}}``;
        all but ``task`` may be left out.
    shapes
        What plugins may ask for by name, see ``FILLED_IN``.

    Raises
    ------
    ValueError
        For an unknown plugin or option, a negative weight, or one loss named twice.
    """
    check_objective(spec)

    def build(registry, options):
        options = {key: value for key, value in options.items() if key != "weight"}
        wanted = inspect.signature(registry.get(options["name"])).parameters
        return registry.build(**options, **{key: shapes[key] for key in FILLED_IN if key in wanted and key in shapes})

    def weighed(options):
        return build(LOSSES, options), float(options.get("weight", 1.0))

    return Objective(
        task=weighed(spec["task"]),
        task_name=spec["task"]["name"],
        distill={options["name"]: weighed(options) for options in spec.get("distill") or []},
        weighting=build(WEIGHTINGS, spec["weighting"]) if spec.get("weighting") else None,
        gate=build(GATES, spec["gate"]) if spec.get("gate") else None,
    )


def check_objective(spec: dict) -> None:
    """Refuse an objective's description before anything is built; see ``build_objective``."""
    if "task" not in spec:
        raise ValueError("objective: 'task' is missing; give at least {task: {name: cross_entropy, weight: 1.0}}.")
    distill = spec.get("distill") or []
    for options in [spec["task"], *distill]:
        weight = options.get("weight", 1.0)
        if not isinstance(weight, int | float) or weight < 0:
            raise ValueError(f"loss '{options.get('name')}': weight must be a number >= 0, got {weight!r}.")
        _check(LOSSES, {key: value for key, value in options.items() if key != "weight"})
    names = [options["name"] for options in distill]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"objective: the loss '{name}' is listed {names.count(name)} times under distill; list it once."
            )
    for registry, key in ((WEIGHTINGS, "weighting"), (GATES, "gate")):
        if spec.get(key):
            _check(registry, spec[key])


def _check(registry, options: dict) -> None:
    if "name" not in options:
        raise ValueError(
            f"{registry.kind}: 'name' is missing in {dict(options)}. Known: {', '.join(registry.names())}."
        )
    registry.check(options["name"], {k: v for k, v in options.items() if k != "name"}, given_later=FILLED_IN)
