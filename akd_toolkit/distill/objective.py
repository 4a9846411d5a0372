"""The objective: the only place that weighs, gates, averages and names."""

import inspect

import torch
from torch import Tensor, nn

from akd_toolkit.declared import checked
from akd_toolkit.distill.objective_spec import FILLED_IN, ObjectiveSpec, Part, is_schedule
from akd_toolkit.outputs import UNLABELLED, ModelOutput, ObjectiveResult, TeacherOutput
from akd_toolkit.registry import SCHEDULES
from akd_toolkit.solvers import minimise


class Objective(nn.Module):
    """Task losses plus gated, weighted distillation.

    total = mean over labelled b of ( share[b] sum_j weight_j task_j[b] + supervision[b] )
          + mean over all b of ( gate[b] sum_k weight_k distill_k[b] )

    share[b] is 1, or 1 - gate[b] where the objective is ``complementary``: the task then takes what the gate withholds,
    equation (14) with beta = 1 - gate. The weighting says how far each teacher is trusted, [m, batch]; the losses and
    the gate see teachers that carry these weights. A loss of weight 0 is measured and logged, not trained on. Without a
    teacher only the tasks count. An utterance without a label (``UNLABELLED``) has no task, and a gate that needs one
    is open for it; a loss that asks for its label is given the class that the teachers' mixture holds most likely.
    Everything that learns here (the Adapter, regressors) is a submodule: optimiser and checkpoints see it, the
    student's saved weights never do.

    Source: Khan et al. 2026, equations (1)-(14), as repaired in each plugin's page.

    Arguments
    ---------
    task
        title -> (loss, weight >= 0) of what people have labelled.
    distill
        title -> (loss, weight >= 0) of what teachers say.
    weighting, gate
        Plugins; None means equal trust and an open gate.
    complementary
        Whether a task loss gets the weight that the gate withholds from distillation.

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput or None, labels [batch], attributes [batch, A] or None)
    -> ObjectiveResult with a scalar total. Unknown attributes are NaN.

    Example
    -------
    >>> objective = build_objective({"task": {"name": "cross_entropy", "weight": 2.0}})
    >>> result = objective(ModelOutput(torch.zeros(3, 4)), None, torch.tensor([0, 1, 2]))
    >>> result.total, result.parts  # 2 log 4 and log 4
    (tensor(2.7726), {'cross_entropy': tensor(1.3863)})
    """

    def __init__(
        self,
        task: dict[str, tuple[nn.Module, float]],
        distill: dict[str, tuple[nn.Module, float]] | None = None,
        weighting: nn.Module | None = None,
        gate: nn.Module | None = None,
        complementary: bool = False,
    ):
        super().__init__()
        distill = distill or {}
        self.task = nn.ModuleDict({title: loss for title, (loss, _) in task.items()})
        self.distill = nn.ModuleDict({title: loss for title, (loss, _) in distill.items()})
        self.weights = {title: weight for title, (_, weight) in {**task, **distill}.items()}
        self.weighting = weighting
        self.gate = gate
        self.complementary = complementary
        self.schedules: list[tuple] = []  # (where, which key or attribute, schedule)

    @property
    def reads(self) -> set[str]:
        """What the losses need of the teachers besides logits."""
        return {what for loss in self.distill.values() for what in getattr(loss, "reads", ())}

    def set_progress(self, progress: float) -> None:
        """Move every scheduled number to the share of training that is done, in [0, 1]."""
        for where, key, schedule in self.schedules:
            if isinstance(where, dict):
                where[key] = schedule(progress)
            else:
                setattr(where, key, schedule(progress))
        if self.weighting is not None:
            self.weighting.set_progress(progress)

    def forward(
        self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor, attributes: Tensor | None = None
    ) -> ObjectiveResult:
        truth = _Truth(labels, attributes)
        if teacher is None or not self.distill:
            total, parts = self._tasks(student, truth, torch.ones_like(student.logits[:, 0]))
            return ObjectiveResult(total, parts)

        if self.weighting is not None:
            teacher = teacher.weighted(self.weighting(student, teacher, truth.labels))
        truth = truth.completed(teacher)
        gate = self._open(student, teacher, truth)
        total, parts = self._tasks(student, truth, 1 - gate if self.complementary else torch.ones_like(gate))
        imitated = teacher.imitated()
        for title, loss in self.distill.items():
            weight = self.weights[title]
            with torch.set_grad_enabled(weight > 0 and torch.is_grad_enabled()):
                value = loss(student, imitated, truth.of(loss))  # [batch]
            parts[title] = value.detach().mean()
            if weight > 0:
                total = total + weight * (gate * value).mean()
        supervision = None if self.weighting is None else self.weighting.supervision(teacher, truth.labels)
        if supervision is not None:
            parts["weighting"] = _mean(supervision.detach(), truth.has_label)
            total = total + _mean(supervision, truth.has_label)
        weights = None if teacher.weights is None else teacher.weights.detach()
        return ObjectiveResult(total, parts, gate=gate, weights=weights)

    def _tasks(self, student: ModelOutput, truth: "_Truth", share: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        total, parts = student.logits.new_zeros(()).float(), {}
        for title, loss in self.task.items():
            weight, known = self.weights[title], truth.known_for(loss)
            with torch.set_grad_enabled(weight > 0 and torch.is_grad_enabled()):
                value = loss(student, None, truth.of(loss))  # [batch]
            parts[title] = _mean(value.detach(), known)
            if weight > 0:
                total = total + weight * _mean(share * value, known)
        return total, parts

    def _open(self, student: ModelOutput, teacher: TeacherOutput, truth: "_Truth") -> Tensor:
        """How far distillation is open, [batch], detached."""
        if self.gate is None:
            return torch.ones_like(student.logits[:, 0]).float()
        gate = self.gate(student, teacher, truth.of(self.gate)).detach()
        return torch.where(truth.known_for(self.gate), gate, 1.0) if self.gate.needs_truth else gate

    def fit_weighting(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor, decay: float) -> None:
        """Let the weighting learn from its own supervision on all labelled utterances at once.

        minimises  mean over labelled b of supervision[b]  +  decay / (2 N) sum of squared scores' weights

        Without the decay it would learn by heart which teacher is right about which training utterance.
        """
        if teacher is None or self.weighting is None or not list(self.weighting.parameters()):
            return
        has_label, known = labels != UNLABELLED, labels.clamp(min=0)
        if not has_label.any():
            return
        self.set_progress(0.0)  # an Adapter that is frozen later learns here
        if self.weighting.supervision(teacher, known) is None:
            return

        def loss() -> Tensor:
            weighted = teacher.weighted(self.weighting(student, teacher, known))
            error = _mean(self.weighting.supervision(weighted, known), has_label)
            return error + decay / (2 * has_label.sum()) * self.weighting.penalty()

        minimise(loss, list(self.weighting.parameters()), steps=100, history=100, tolerance=1e-7)

    @torch.no_grad()
    def blended_targets(
        self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor
    ) -> tuple[Tensor, float]:
        """One distribution per utterance for a head that is fitted at once, [batch, classes], and its temperature.

        target[b] = ((1 - o[b]) one_hot(label[b]) + o[b] mixture[b]),   o = gate where distillation has weight, else 0

        The mixture is taken at the temperature of the first distillation loss; an utterance without a label is all
        mixture. Schedules stand at their end.
        """
        self.set_progress(1.0)
        classes = student.logits.shape[-1]
        hard = nn.functional.one_hot(labels.clamp(min=0), classes).float()
        losses = [loss for title, loss in self.distill.items() if self.weights[title] > 0]
        if teacher is None or not losses:
            return hard, 1.0
        temperature = getattr(losses[0], "temperature", 1.0)
        if self.weighting is not None:
            teacher = teacher.weighted(self.weighting(student, teacher, labels))
        share = self._open(student, teacher, _Truth(labels, None).completed(teacher))[:, None]
        return (1 - share) * hard + share * teacher.imitated().mixture(temperature), temperature


class _Truth:
    """What people have said of a batch, and for which of its utterances."""

    def __init__(self, labels: Tensor, attributes: Tensor | None, has_label: Tensor | None = None):
        self.has_label = labels != UNLABELLED if has_label is None else has_label
        self.labels = labels.clamp(min=0)
        self.attributes = attributes

    def completed(self, teacher: TeacherOutput) -> "_Truth":
        """The same, with the teachers' likeliest class where nobody has named one."""
        guess = teacher.log_mixture(temperature=1.0).argmax(dim=-1)
        return _Truth(torch.where(self.has_label, self.labels, guess), self.attributes, self.has_label)

    def of(self, plugin) -> Tensor:
        if plugin.truth != "attributes":
            return self.labels
        if self.attributes is None:
            raise ValueError(
                f"{type(plugin).__name__} compares attributes, but the batch has none; list some in the YAML."
            )
        return self.attributes

    def known_for(self, plugin) -> Tensor:
        return ~self.attributes.isnan().all(dim=1) if plugin.truth == "attributes" else self.has_label


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen utterances, 0 where there is none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def build_objective(spec: dict, **shapes) -> Objective:
    """Build the objective that YAML describes.

    Arguments
    ---------
    spec
        ``{task: {name, weight, ...} or a list of such, distill: [{name, weight, ...}, ...], weighting: {name, ...},
        gate: {name, ...}, complementary: false}``; all but ``task`` may be left out. A loss that is listed twice needs
        a ``title`` of its own. A number may be a schedule, ``{name: linear, start: 0.0, end: 1.0}``.
    shapes
        What plugins may ask for by name, see ``FILLED_IN``.

    Raises
    ------
    ValueError
        For an unknown plugin or option, a negative weight, or two losses of one title.
    """
    spec, schedules = checked(ObjectiveSpec, spec, "objective"), []

    def build(part: Part):
        moving = {key: SCHEDULES.build(**value) for key, value in part.options.items() if is_schedule(value)}
        wanted = inspect.signature(part.plugin).parameters
        filled_in = {key: shapes[key] for key in FILLED_IN if key in wanted and key in shapes}
        for progress in (1.0, 0.0) if moving else (0.0,):  # both ends must be values that the plugin allows
            at = {key: schedule(progress) for key, schedule in moving.items()}
            plugin = part.registry.build(part.name, **{**part.options, **at}, **filled_in)
        for key, schedule in moving.items():
            kept = getattr(plugin, key, None)
            is_count = isinstance(kept, int) and isinstance(at[key], float)  # given as 2.0, kept as 2
            if is_count or not isinstance(kept, int | float):
                raise ValueError(f"{part.registry.kind} '{part.name}': '{key}' cannot follow a schedule; give a value.")
            schedules.append((plugin, key, schedule))
        return plugin

    moving = {loss.column: SCHEDULES.build(**loss.weight) for loss in spec.losses if is_schedule(loss.weight)}

    def weighed(losses):
        return {
            loss.column: (build(loss), moving[loss.column](0.0) if loss.column in moving else float(loss.weight))
            for loss in losses
        }

    objective = Objective(
        task=weighed(spec.task),
        distill=weighed(spec.distill or []),
        weighting=build(spec.weighting) if spec.weighting else None,
        gate=build(spec.gate) if spec.gate else None,
        complementary=spec.complementary,
    )
    objective.schedules = [*schedules, *((objective.weights, title, schedule) for title, schedule in moving.items())]
    return objective
