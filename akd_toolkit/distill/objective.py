"""The objective: the only place that weighs, gates, averages and names losses."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from akd_toolkit.declared import checked
from akd_toolkit.distill.objective_spec import FILLED_IN, LossPart, ObjectiveSpec, Part, is_schedule
from akd_toolkit.distill.schedules import Schedule
from akd_toolkit.outputs import UNLABELLED, ModelOutput, ObjectiveResult, TeacherOutput
from akd_toolkit.registry import SCHEDULES
from akd_toolkit.solvers import minimise


class Objective(nn.Module):
    """Task losses plus gated, weighted distillation.

    total = mean over labelled b of ( share[b] sum_j weight_j task_j[b] + supervision[b] )
          + sum_k weight_k mean over b in speech_k of ( gate[b] distill_k[b] )

    share[b] is 1, or 1 - gate[b] if ``complementary``: the task then gets what the gate withholds from distillation,
    equation (14) with beta = 1 - gate. speech_k is the batch, or its labelled or unlabelled utterances alone. The
    weighting gives the trust in each teacher, [m, batch], which losses and the gate use; supervision is its own loss. A
    loss with weight 0 is logged but not trained on. Without a teacher only the tasks count.

    An unlabelled utterance (``UNLABELLED``) has no task. A gate that needs the label is open for it, and a distillation
    loss that needs the label gets the most likely class of the teachers' mixture. A teacher that is not present for an
    utterance has no weight there, and distillation is 0 and the gate shut where none is present.

    Everything that is learned here (the Adapter, regressors) is a submodule: the optimiser and checkpoints see it, the
    student's saved weights do not.

    Source: Khan et al. 2026, equations (1)-(14), with the corrections in the docstring of each plugin.

    Arguments
    ---------
    task, distill
        Title -> (loss, weight), of losses on labels and of losses on teacher outputs. A weight is a number >= 0 or a
        ``Schedule``.
    weighting, gate
        Plugins; None means equal trust and an open gate.
    scheduled
        (plugin, name of its attribute, ``Schedule``) of every scheduled option.
    speech
        Title -> ``labelled`` or ``unlabelled``, of distillation losses that are a mean over these alone.

    Shape
    -----
    (student, teacher or None, labels [batch], attributes [batch, A] with NaN for unknown, or None) -> a scalar total
    and its parts.

    Example
    -------
    >>> objective = build_objective({"task": {"name": "cross_entropy", "weight": 2.0}})
    >>> result = objective(ModelOutput(torch.zeros(3, 4)), None, torch.tensor([0, 1, 2]))
    >>> result.total, result.parts  # 2 log 4 and log 4
    (tensor(2.7726), {'cross_entropy': tensor(1.3863)})
    """

    def __init__(
        self,
        task: dict[str, tuple[nn.Module, float | Schedule]],
        distill: dict[str, tuple[nn.Module, float | Schedule]],
        weighting: nn.Module | None = None,
        gate: nn.Module | None = None,
        complementary: bool = False,
        scheduled: Sequence[tuple[nn.Module, str, Schedule]] = (),
        speech: dict[str, str] | None = None,
    ):
        super().__init__()
        self.task = nn.ModuleDict({title: loss for title, (loss, _) in task.items()})
        self.distill = nn.ModuleDict({title: loss for title, (loss, _) in distill.items()})
        self.weighting, self.gate, self.complementary = weighting, gate, complementary
        weights = {title: weight for title, (_, weight) in {**task, **distill}.items()}
        self.scheduled_weights = {title: weight for title, weight in weights.items() if callable(weight)}
        self.scheduled_options, self.speech = scheduled, speech or {}
        self.weights = {title: weight(0.0) if callable(weight) else weight for title, weight in weights.items()}

    @property
    def reads(self) -> set[str]:
        """What the losses and the gate need of the teachers besides logits."""
        return {what for plugin in (*self.distill.values(), self.gate) for what in getattr(plugin, "reads", ())}

    def set_progress(self, progress: float) -> None:
        """Set every scheduled number to its value at this share of training, in [0, 1]."""
        for title, schedule in self.scheduled_weights.items():
            self.weights[title] = schedule(progress)
        for plugin, option, schedule in self.scheduled_options:
            setattr(plugin, option, schedule(progress))
        if self.weighting is not None:
            self.weighting.set_progress(progress)

    def forward(
        self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor, attributes: Tensor | None = None
    ) -> ObjectiveResult:
        whole = _Truth(labels, attributes)
        if teacher is None or not self.distill:
            return ObjectiveResult(*self._tasks(student, whole, torch.ones_like(student.logits[:, 0])))
        seen = _Described(teacher)  # relations between utterances, too, are between those that a teacher describes
        own, teacher, truth = seen.of(student), seen.of(teacher), seen.of(whole)
        if not len(own.logits):
            total, parts = self._tasks(student, whole, torch.ones_like(student.logits[:, 0]))
            parts |= dict.fromkeys(self.distill, torch.zeros_like(total.detach()))
            return ObjectiveResult(total, parts, gate=torch.zeros_like(student.logits[:, 0]))
        teacher = self._weighted(own, teacher, truth.labels)
        truth = truth.completed(teacher)
        gate = seen.spread(self._gate(own, teacher, truth))
        total, parts = self._tasks(student, whole, 1 - gate if self.complementary else torch.ones_like(gate))
        targets = teacher.imitated()
        for title, loss in self.distill.items():
            value = seen.spread(self._value(title, loss, own, targets, truth))
            chosen = whole.chosen(self.speech.get(title, "all"))
            parts[title] = _mean(value.detach(), chosen)
            if self.weights[title] > 0:
                total = total + self.weights[title] * _mean(gate * value, chosen)
        supervision = None if self.weighting is None else self.weighting.supervision(teacher, truth.labels)
        if supervision is not None:
            parts["weighting"] = _mean(supervision.detach(), truth.has_label)
            total = total + _mean(supervision, truth.has_label)
        weights = None if teacher.weights is None else seen.spread(teacher.trust().detach())
        return ObjectiveResult(total, parts, gate=gate, weights=weights)

    def _weighted(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> TeacherOutput:
        return teacher if self.weighting is None else teacher.weighted(self.weighting(student, teacher, labels))

    def _gate(self, student: ModelOutput, teacher: TeacherOutput, truth: "_Truth") -> Tensor:
        """How far distillation is open, [batch], detached."""
        if self.gate is None:
            return torch.ones_like(student.logits[:, 0]).float()
        gate = self.gate(student, teacher, truth.of(self.gate)).detach()
        return torch.where(truth.known_for(self.gate), gate, 1.0) if self.gate.needs_truth else gate

    def _tasks(self, student: ModelOutput, truth: "_Truth", share: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        total, parts = student.logits.new_zeros(()).float(), {}
        for title, loss in self.task.items():
            value, known = self._value(title, loss, student, None, truth), truth.known_for(loss)
            parts[title] = _mean(value.detach(), known)
            if self.weights[title] > 0:
                total = total + self.weights[title] * _mean(share * value, known)
        return total, parts

    def _value(self, title: str, loss: nn.Module, student: ModelOutput, teacher, truth: "_Truth") -> Tensor:
        """One loss per utterance, [batch]; without a gradient where its weight is 0."""
        with torch.set_grad_enabled(self.weights[title] > 0 and torch.is_grad_enabled()):
            return loss(student, teacher, truth.of(loss))

    def fit_weighting(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor, decay: float) -> None:
        """Fit the weighting to its own supervision on all labelled utterances at once, with weight decay.

        minimises  mean over labelled b of supervision[b]  +  decay / (2 N) sum of squared weights of the scores
        """
        if teacher is None or self.weighting is None or not list(self.weighting.parameters()):
            return
        seen = _Described(teacher)
        student, teacher, labels = seen.of(student), seen.of(teacher), labels[seen.rows]
        has_label, known = labels != UNLABELLED, labels.clamp(min=0)
        if not has_label.any():
            return
        self.set_progress(0.0)  # an Adapter that is frozen later is fitted here
        if self.weighting.supervision(teacher, known) is None:
            return

        def loss() -> Tensor:
            supervision = self.weighting.supervision(self._weighted(student, teacher, known), known)
            return _mean(supervision, has_label) + decay / (2 * has_label.sum()) * self.weighting.penalty()

        minimise(loss, list(self.weighting.parameters()), steps=100, history=100, tolerance=1e-7)

    @torch.no_grad()
    def blended_targets(
        self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor
    ) -> tuple[Tensor, Tensor, float]:
        """What a head fitted in closed form learns: targets [batch, classes], weights [batch] and a temperature.

        labelled: target[b] = (1 - o[b]) one_hot(label[b]) + o[b] mixture[b],  weight 1,  o = gate
        unlabelled: target[b] = mixture[b],  weight = gate[b]

        The gate counts as 0 without a teacher, and where every loss with weight is for the other kind of speech. The
        mixture is taken at the temperature of the first distillation loss, schedules at their end.
        """
        self.set_progress(1.0)
        hard = nn.functional.one_hot(labels.clamp(min=0), student.logits.shape[-1]).float()
        losses = [loss for title, loss in self.distill.items() if self.weights[title] > 0]
        if teacher is None or not losses:
            return hard, (labels != UNLABELLED).float(), 1.0
        temperature = getattr(losses[0], "temperature", 1.0)
        teacher = self._weighted(student, teacher, labels)
        truth = _Truth(labels, None).completed(teacher)
        speech = {self.speech.get(title, "all") for title in self.distill if self.weights[title] > 0}
        followed = torch.where(truth.has_label, speech != {"unlabelled"}, speech != {"labelled"})
        gate = self._gate(student, teacher, truth) * teacher.is_present().any(dim=0) * followed
        share = torch.where(truth.has_label, gate, 1.0)[:, None]
        targets = (1 - share) * hard + share * teacher.imitated().mixture(temperature)
        return targets, torch.where(truth.has_label, 1.0, gate), temperature


class _Described:
    """The utterances that at least one teacher describes: ``rows`` [n]."""

    def __init__(self, teacher: TeacherOutput):
        self.batch, self.rows = teacher.logits.shape[1], torch.arange(teacher.logits.shape[1])
        if teacher.present is not None:
            self.rows = teacher.present.any(dim=0).nonzero().flatten()

    def of(self, outputs):
        """The outputs, or the truth, of these utterances."""
        return outputs if len(self.rows) == self.batch else outputs.taken(self.rows)

    def spread(self, values: Tensor) -> Tensor:
        """Values [..., n] of these utterances as values of all, 0 for the others: [..., batch]."""
        if len(self.rows) == self.batch:
            return values
        whole = values.new_zeros(*values.shape[:-1], self.batch)
        return whole.index_copy(-1, self.rows, values)


class _Truth:
    """Labels and attributes of a batch, and which of its utterances have them."""

    def __init__(self, labels: Tensor, attributes: Tensor | None, has_label: Tensor | None = None):
        self.has_label = labels != UNLABELLED if has_label is None else has_label
        self.labels = labels.clamp(min=0)
        self.attributes = attributes

    def completed(self, teacher: TeacherOutput) -> "_Truth":
        """The same, with the most likely class of the teachers' mixture where there is no label."""
        guess = teacher.log_mixture(temperature=1.0).argmax(dim=-1)
        return _Truth(torch.where(self.has_label, self.labels, guess), self.attributes, self.has_label)

    def taken(self, rows: Tensor) -> "_Truth":
        """That of utterances ``rows`` [n]."""
        attributes = None if self.attributes is None else self.attributes[rows]
        return _Truth(self.labels[rows], attributes, self.has_label[rows])

    def of(self, plugin) -> Tensor:
        """What a loss or gate gets as ``labels``."""
        if plugin.truth != "attributes":
            return self.labels
        if self.attributes is None:
            raise ValueError(
                f"{type(plugin).__name__} compares attributes, but the batch has none; list some in the YAML."
            )
        return self.attributes

    def chosen(self, speech: str) -> Tensor:
        """The utterances of ``all``, ``labelled`` or ``unlabelled`` speech, [batch]."""
        if speech == "all":
            return torch.ones_like(self.has_label)
        return self.has_label if speech == "labelled" else ~self.has_label

    def known_for(self, plugin) -> Tensor:
        return ~self.attributes.isnan().all(dim=1) if plugin.truth == "attributes" else self.has_label


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen utterances, 0 where there is none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def build_objective(spec: dict, **shapes) -> Objective:
    """Build the objective that a YAML describes; see ``objective_spec.ObjectiveSpec`` for what it may hold.

    ``shapes`` are the sizes of models and corpus that plugins may ask for by name (``objective_spec.FILLED_IN``).
    A wrong description raises ValueError.
    """
    spec, scheduled = checked(ObjectiveSpec, spec, "objective"), []

    def build(part: Part) -> nn.Module:
        schedules = {key: SCHEDULES.build(**value) for key, value in part.options.items() if is_schedule(value)}
        wanted = inspect.signature(part.plugin).parameters
        filled_in = {key: shapes[key] for key in FILLED_IN if key in wanted and key in shapes}
        for progress in (1.0, 0.0) if schedules else (0.0,):  # the plugin must allow the values at both ends
            values = {key: schedule(progress) for key, schedule in schedules.items()}
            plugin = part.registry.build(part.name, **{**part.options, **values}, **filled_in)
        for key, schedule in schedules.items():
            kept = getattr(plugin, key, None)
            is_count = isinstance(kept, int) and isinstance(values[key], float)  # given as 2.0, kept as 2
            if is_count or not isinstance(kept, int | float):
                raise ValueError(f"{part.registry.kind} '{part.name}': '{key}' cannot follow a schedule; give a value.")
            scheduled.append((plugin, key, schedule))
        return plugin

    def with_weight(loss: LossPart) -> tuple[nn.Module, float | Schedule]:
        return build(loss), SCHEDULES.build(**loss.weight) if is_schedule(loss.weight) else float(loss.weight)

    return Objective(
        task={loss.column: with_weight(loss) for loss in spec.task},
        distill={loss.column: with_weight(loss) for loss in spec.distill or []},
        weighting=build(spec.weighting) if spec.weighting else None,
        gate=build(spec.gate) if spec.gate else None,
        complementary=spec.complementary,
        scheduled=scheduled,
        speech={loss.column: loss.speech for loss in spec.distill or []},
    )
