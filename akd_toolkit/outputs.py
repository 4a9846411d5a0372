"""What models say to the rest of the toolkit: frozen dataclasses that every room speaks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

UNLABELLED = -1  # stands in ``labels`` for speech whose emotion nobody has named


def valid_frames(lengths: Tensor, num_frames: int) -> Tensor:
    """How many of ``num_frames`` are speech, at least 1: [batch], from the relative ``lengths`` [batch].

    A relative length came from a division, so 0.3 * 10 may fall short of 3: it is rounded.

    Example
    -------
    >>> valid_frames(torch.tensor([0.3, 1.0]), 10)
    tensor([ 3., 10.])
    """
    return (lengths * num_frames).round().clamp(min=1)


def frame_mask(num_valid: Tensor | None, num_frames: int) -> Tensor | None:
    """True where a frame is speech and not padding: [batch, num_frames], or None where nothing is padding.

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
    logits: [batch, classes]. embedding: [batch, D], what the classifier reads. frames: [batch, T, D], the last
    feature map. layers: name -> [batch, T, D]. lengths: [batch], share of T that is speech, in (0, 1]. attributes:
    [batch, A], such as valence and arousal, where the corpus has them.

    Example
    -------
    >>> ModelOutput(logits=torch.zeros(2, 4)).logits.shape
    torch.Size([2, 4])
    """

    logits: Tensor
    embedding: Tensor | None = None
    frames: Tensor | None = None
    layers: dict[str, Tensor] = field(default_factory=dict)
    lengths: Tensor | None = None
    attributes: Tensor | None = None

    def frame_mask(self) -> Tensor:
        """True where ``frames`` is speech and not padding: [batch, T]."""
        batch, num_frames = self.frames.shape[:2]
        if self.lengths is None:
            return torch.ones(batch, num_frames, dtype=torch.bool, device=self.frames.device)
        return frame_mask(valid_frames(self.lengths.to(self.frames.device), num_frames), num_frames)


@dataclass(frozen=True)
class TeacherOutput:
    """What m teachers say of a batch: stored numbers that never carry a gradient of their own.

    Shape
    -----
    logits: [m, batch, classes], of heads that have not heard the speaker: what gates and weightings judge. targets: the
    same shape, what losses imitate; None means the logits. embedding: m tensors [batch, D_t]. frames: m tensors
    [batch, T_t, D_t]. lengths: [batch]. weights: [m, batch], sum over m is 1; None means equal trust. attributes:
    [m, batch, A], or None.

    Example
    -------
    >>> two = TeacherOutput(logits=torch.tensor([[[0.0, 0.0]], [[100.0, 0.0]]]))
    >>> two.mixture(temperature=1.0)  # halfway between (1/2, 1/2) and (1, 0)
    tensor([[0.7500, 0.2500]])
    """

    logits: Tensor
    targets: Tensor | None = None
    embedding: tuple[Tensor, ...] = ()
    frames: tuple[Tensor, ...] = ()
    lengths: Tensor | None = None
    weights: Tensor | None = None
    names: tuple[str, ...] = ()
    attributes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def to(self, device) -> "TeacherOutput":
        """The same on another device."""
        tensors = {name: getattr(self, name) for name in ("logits", "targets", "lengths", "weights", "attributes")}
        moved = {name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None}
        lists = {name: tuple(t.to(device) for t in getattr(self, name)) for name in ("embedding", "frames")}
        return replace(self, **moved, **lists)

    @classmethod
    def stacked(cls, parts: Sequence["TeacherOutput"]) -> "TeacherOutput":
        """The same teachers on several batches, one behind the other; shorter frames are padded with zeros.

        Example
        -------
        >>> one, two = TeacherOutput(torch.zeros(2, 1, 4)), TeacherOutput(torch.ones(2, 3, 4))
        >>> TeacherOutput.stacked([one, two]).logits.shape
        torch.Size([2, 4, 4])
        """
        first = parts[0]
        targets = lengths = attributes = None
        if any(part.targets is not None for part in parts):
            targets = torch.cat([part.imitated().logits for part in parts], dim=1)
        if first.frames:
            counts = torch.cat([part.lengths * part.frames[0].shape[1] for part in parts])
            lengths = counts / max(part.frames[0].shape[1] for part in parts)
        if first.attributes is not None:
            attributes = torch.cat([part.attributes for part in parts], dim=1)
        return cls(
            logits=torch.cat([part.logits for part in parts], dim=1),
            targets=targets,
            embedding=tuple(torch.cat(each) for each in zip(*(part.embedding for part in parts))),
            frames=tuple(_padded(each) for each in zip(*(part.frames for part in parts))),
            lengths=lengths,
            names=first.names,
            attributes=attributes,
        )

    def taken(self, rows: Tensor) -> "TeacherOutput":
        """The same teachers on utterances ``rows`` [n] of the batch, in that order."""
        names = ("logits", "targets", "weights", "attributes")  # [m, batch, ...]
        parts = {name: getattr(self, name)[:, rows] for name in names if getattr(self, name) is not None}
        lists = {name: tuple(t[rows] for t in getattr(self, name)) for name in ("embedding", "frames")}
        return replace(self, **parts, **lists, lengths=None if self.lengths is None else self.lengths[rows])

    def imitated(self) -> "TeacherOutput":
        """The teachers as losses see them: their targets stand in for their logits."""
        return self if self.targets is None else replace(self, logits=self.targets, targets=None)

    def weighted(self, weights: Tensor) -> "TeacherOutput":
        """The same teachers trusted by ``weights`` [m, batch]."""
        return replace(self, weights=weights)

    def trust(self) -> Tensor:
        """The weights, or equal ones: [m, batch]."""
        if self.weights is not None:
            return self.weights.float()
        return torch.full(self.logits.shape[:2], 1 / len(self), device=self.logits.device)

    def trusted_attributes(self) -> Tensor:
        """Mean of the teachers' attributes by trust, [batch, A]; teachers without attributes are refused."""
        if self.attributes is None:
            raise ValueError("the teachers predict no attributes; list them in the setting 'attributes' of the YAML.")
        return (self.trust()[..., None] * self.attributes.float()).sum(dim=0)

    def log_mixture(self, temperature: float) -> Tensor:
        """Integrated soft targets, equation (7), as log-probabilities [batch, classes].

        y[b, c] = sum_t w[t, b] softmax(z[t, b] / temperature)[c]: probabilities are mixed, never logits.
        """
        log_probs = torch.log_softmax(self.logits.float() / temperature, dim=-1)
        if self.weights is None:
            return torch.logsumexp(log_probs, dim=0) - torch.log(torch.tensor(float(len(self))))
        # A weight of exactly 0 would put -inf into the gradient; the smallest normal number stands in for it.
        log_weights = self.weights.float().clamp(min=torch.finfo(torch.float32).tiny).log()
        return torch.logsumexp(log_probs + log_weights[..., None], dim=0)

    def mixture(self, temperature: float) -> Tensor:
        """Integrated soft targets, equation (7), as probabilities [batch, classes]."""
        return self.log_mixture(temperature).exp()


class Posteriors(dict):
    """What a student predicts: utterance id -> probabilities [classes].

    ``attributes`` holds utterance id -> [A] where it predicts dimensional labels too.
    """

    def __init__(self, probs: dict, attributes: dict | None = None):
        super().__init__(probs)
        self.attributes = attributes or {}


def _padded(parts: Sequence[Tensor]) -> Tensor:
    """Batches of frames [batch, T, D] as one, the shorter padded with zeros."""
    longest = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts])


@dataclass(frozen=True)
class ObjectiveResult:
    """The number to minimise and everything that went into it.

    ``total`` is a scalar with a gradient; ``parts`` are unweighted batch means by name, detached (``weighting`` is what
    the weighting itself learns from); ``weights`` [m, batch] is the trust in each teacher and ``gate`` [batch] how far
    distillation was open, both detached, or None.
    """

    total: Tensor
    parts: dict[str, Tensor]
    gate: Tensor | None = None
    weights: Tensor | None = None

    def mixed(self, other: "ObjectiveResult", share: float) -> "ObjectiveResult":
        """``share`` of this and 1 - ``share`` of ``other``, in every number; both were asked the same."""

        def blend(mine, theirs):
            return None if mine is None else share * mine + (1 - share) * theirs

        parts = {name: blend(value, other.parts[name]) for name, value in self.parts.items()}
        return ObjectiveResult(
            blend(self.total, other.total), parts, blend(self.gate, other.gate), blend(self.weights, other.weights)
        )
