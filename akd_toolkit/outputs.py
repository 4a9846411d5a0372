"""Outputs of students, teachers and the objective, as frozen dataclasses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

UNLABELLED = -1  # in ``labels``: the emotion is unknown


def valid_frames(lengths: Tensor, num_frames: int) -> Tensor:
    """Number of valid frames (at least 1) per utterance, [batch], from relative ``lengths`` [batch]; rounded.

    Example
    -------
    >>> valid_frames(torch.tensor([0.3, 1.0]), 10)
    tensor([ 3., 10.])
    """
    return (lengths * num_frames).round().clamp(min=1)


def frame_mask(num_valid: Tensor | None, num_frames: int) -> Tensor | None:
    """True where a frame is not padding, [batch, num_frames]; None for no padding at all.

    Example
    -------
    >>> frame_mask(torch.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    if num_valid is None:
        return None
    return torch.arange(num_frames, device=num_valid.device) < num_valid[:, None]


@dataclass(frozen=True)
class ModelOutput:
    """One forward pass of a student.

    Shape
    -----
    logits: [batch, classes]. embedding: [batch, D], the classifier's input. frames: [batch, T, D], the last feature
    map. layers: name -> [batch, T, D]. lengths: [batch], share of T that is not padding, in (0, 1]. attributes:
    [batch, A], such as valence and arousal, for corpora that have them.
    """

    logits: Tensor
    embedding: Tensor | None = None
    frames: Tensor | None = None
    layers: dict[str, Tensor] = field(default_factory=dict)
    lengths: Tensor | None = None
    attributes: Tensor | None = None

    def taken(self, rows: Tensor) -> "ModelOutput":
        """The outputs for utterances ``rows`` [n] of the batch, in that order."""
        names = ("logits", "embedding", "frames", "lengths", "attributes")
        parts = {name: getattr(self, name)[rows] for name in names if getattr(self, name) is not None}
        return replace(self, **parts, layers={name: layer[rows] for name, layer in self.layers.items()})

    def frame_mask(self) -> Tensor:
        """True where ``frames`` is not padding: [batch, T]."""
        batch, num_frames = self.frames.shape[:2]
        if self.lengths is None:
            return torch.ones(batch, num_frames, dtype=torch.bool, device=self.frames.device)
        return frame_mask(valid_frames(self.lengths.to(self.frames.device), num_frames), num_frames)


@dataclass(frozen=True)
class TeacherOutput:
    """Stored outputs of m teachers for a batch, without gradients.

    Shape
    -----
    logits: [m, batch, classes], from heads that were not fitted on the speaker; gates and weightings use them. targets:
    same shape, what losses imitate; None means the logits. embedding: m tensors [batch, D_t]. frames: m tensors
    [batch, T_t, D_t]. lengths: [batch]. weights: [m, batch], sum over m is 1; None means equal weights. attributes:
    [m, batch, A], or None. present: [m, batch], False where a teacher has no output, such as for an utterance without
    video: the other tensors then hold any finite number; None means that all are present.

    Example
    -------
    >>> two = TeacherOutput(logits=torch.tensor([[[0.0, 0.0]], [[100.0, 0.0]]]))
    >>> two.mixture(temperature=1.0)  # halfway between (1/2, 1/2) and (1, 0)
    tensor([[0.7500, 0.2500]])
    >>> replace(two, present=torch.tensor([[True], [False]])).mixture(temperature=1.0)  # the first alone
    tensor([[0.5000, 0.5000]])
    """

    logits: Tensor
    targets: Tensor | None = None
    embedding: tuple[Tensor, ...] = ()
    frames: tuple[Tensor, ...] = ()
    lengths: Tensor | None = None
    weights: Tensor | None = None
    names: tuple[str, ...] = ()
    attributes: Tensor | None = None
    present: Tensor | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def to(self, device) -> "TeacherOutput":
        """A copy on another device."""
        return self._mapped(lambda tensor: tensor.to(device), lambda tensor: tensor.to(device))

    def taken(self, rows: Tensor) -> "TeacherOutput":
        """The outputs for utterances ``rows`` [n] of the batch, in that order."""
        return self._mapped(lambda tensor: tensor[:, rows], lambda tensor: tensor[rows])

    def _mapped(self, over_teachers: Callable, over_batch: Callable) -> "TeacherOutput":
        """Change tensors [m, batch, ...] by the first function and tensors [batch, ...] by the second."""
        names = ("logits", "targets", "weights", "attributes", "present")
        stacked = {name: over_teachers(getattr(self, name)) for name in names if getattr(self, name) is not None}
        lists = {name: tuple(map(over_batch, getattr(self, name))) for name in ("embedding", "frames")}
        return replace(self, **stacked, **lists, lengths=None if self.lengths is None else over_batch(self.lengths))

    @classmethod
    def stacked(cls, parts: Sequence["TeacherOutput"]) -> "TeacherOutput":
        """Concatenate batches of the same teachers; shorter frames are padded with zeros.

        Example
        -------
        >>> one, two = TeacherOutput(torch.zeros(2, 1, 4)), TeacherOutput(torch.ones(2, 3, 4))
        >>> TeacherOutput.stacked([one, two]).logits.shape
        torch.Size([2, 4, 4])
        """
        first = parts[0]
        targets = lengths = attributes = present = None
        if any(part.targets is not None for part in parts):
            targets = torch.cat([part.imitated().logits for part in parts], dim=1)
        if first.frames:
            counts = torch.cat([part.lengths * part.frames[0].shape[1] for part in parts])
            lengths = counts / max(part.frames[0].shape[1] for part in parts)
        if first.attributes is not None:
            attributes = torch.cat([part.attributes for part in parts], dim=1)
        if any(part.present is not None for part in parts):
            present = torch.cat([part.is_present() for part in parts], dim=1)
        return cls(
            logits=torch.cat([part.logits for part in parts], dim=1),
            targets=targets,
            embedding=tuple(torch.cat(each) for each in zip(*(part.embedding for part in parts))),
            frames=tuple(_padded(each) for each in zip(*(part.frames for part in parts))),
            lengths=lengths,
            names=first.names,
            attributes=attributes,
            present=present,
        )

    def imitated(self) -> "TeacherOutput":
        """What losses imitate: the targets in place of the logits."""
        return self if self.targets is None else replace(self, logits=self.targets, targets=None)

    def weighted(self, weights: Tensor) -> "TeacherOutput":
        """A copy with ``weights`` [m, batch]."""
        return replace(self, weights=weights)

    def is_present(self) -> Tensor:
        """True where a teacher has an output: [m, batch]."""
        if self.present is not None:
            return self.present
        return torch.ones(self.logits.shape[:2], dtype=torch.bool, device=self.logits.device)

    def trust(self) -> Tensor:
        """The weights, equal ones by default, scaled to sum to 1 over the teachers that are present: [m, batch].

        Where these have no weight at all it is equal, and 0 where none is present.
        """
        present = self.is_present()
        even = present / present.sum(dim=0).clamp(min=1)
        if self.weights is None or self.present is None:
            return even if self.weights is None else self.weights.float()
        weights = self.weights.float() * present
        total = weights.sum(dim=0)
        return torch.where(total > 0, weights / total.clamp(min=torch.finfo(torch.float32).tiny), even)

    def even_trust(self) -> Tensor:
        """Equal trust in the teachers that are present, whatever the weights: [m, batch]."""
        return replace(self, weights=None).trust()

    def trusted_attributes(self) -> Tensor:
        """Weighted mean of the teachers' attributes, [batch, A]; ValueError if they predict none."""
        if self.attributes is None:
            raise ValueError("the teachers predict no attributes; list them in the setting 'attributes' of the YAML.")
        return (self.trust()[..., None] * self.attributes.float()).sum(dim=0)

    def log_mixture(self, temperature: float) -> Tensor:
        """Integrated soft targets, equation (7), as log-probabilities [batch, classes].

        y[b, c] = sum_t w[t, b] softmax(z[t, b] / temperature)[c]: probabilities are mixed, never logits.
        """
        log_probs = torch.log_softmax(self.logits.float() / temperature, dim=-1)
        if self.weights is None and self.present is None:
            return torch.logsumexp(log_probs, dim=0) - torch.log(torch.tensor(float(len(self))))
        # clamped, because log(0) would make the gradient infinite
        log_weights = self.trust().clamp(min=torch.finfo(torch.float32).tiny).log()
        return torch.logsumexp(log_probs + log_weights[..., None], dim=0)

    def mixture(self, temperature: float) -> Tensor:
        """Integrated soft targets, equation (7), as probabilities [batch, classes]."""
        return self.log_mixture(temperature).exp()


class Posteriors(dict):
    """Predictions of a student: utterance id -> probabilities [classes]; ``attributes``: utterance id -> [A]."""

    def __init__(self, probs: dict, attributes: dict | None = None):
        super().__init__(probs)
        self.attributes = attributes or {}


def _padded(parts: Sequence[Tensor]) -> Tensor:
    """Batches of frames [batch, T, D] as one, the shorter padded with zeros."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts])


@dataclass(frozen=True)
class ObjectiveResult:
    """Value of the objective for a batch.

    ``total`` is a scalar with a gradient. The rest is detached: ``parts`` are unweighted batch means by name
    (``weighting`` is the loss of the weighting itself), ``weights`` [m, batch] the weight of each teacher or None,
    ``gate`` [batch] how far distillation was open or None.
    """

    total: Tensor
    parts: dict[str, Tensor]
    gate: Tensor | None = None
    weights: Tensor | None = None

    def mixed(self, other: "ObjectiveResult", share: float) -> "ObjectiveResult":
        """``share`` * this + (1 - ``share``) * ``other``, for every value; both come from the same objective."""

        def blend(mine, theirs):
            return None if mine is None or theirs is None else share * mine + (1 - share) * theirs

        parts = {name: blend(value, other.parts[name]) for name, value in self.parts.items() if name in other.parts}
        return ObjectiveResult(
            blend(self.total, other.total), parts, blend(self.gate, other.gate), blend(self.weights, other.weights)
        )

    def logged(self, labels: Tensor, label_order: Sequence[str], teachers: Sequence[str]) -> dict[str, float]:
        """Values for the log: total, parts, mean gate, and mean weight of each teacher, also by class.

        Example
        -------
        >>> result = ObjectiveResult(torch.tensor(0.5), {}, weights=torch.tensor([[1.0, 0.5]]))
        >>> result.logged(torch.tensor([0, UNLABELLED]), ["sad"], ["base"])
        {'total': 0.5, 'trust/base': 0.75, 'trust/base/sad': 1.0}
        """
        values = {"total": self.total.detach(), **self.parts}
        if self.gate is not None:
            values["gate"] = self.gate.mean()
        if self.weights is not None:
            described = self.weights.sum(dim=0) > 0  # by at least one teacher
            labels, weights = labels[described], self.weights[:, described]
            known = labels[labels != UNLABELLED].unique().tolist()
            for title, trust in zip(teachers, weights if described.any() else ()):
                values[f"trust/{title}"] = trust.mean()
                for label in known:
                    values[f"trust/{title}/{label_order[label]}"] = trust[labels == label].mean()
        return {name: float(value) for name, value in values.items()}
