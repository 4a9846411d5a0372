"""The base class of students."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput

SAMPLE_RATE_HZ = 16000
MIN_SAMPLES = 1600  # 0.1 s: shorter sounds are too short to classify, and leave some students no frame


class Student(nn.Module):
    """A small model from waveform to emotion, with its front end inside.

    A subclass is registered with ``STUDENTS`` and sets ``example_options``, the smallest options that make sense.
    In evaluation an utterance in a padded batch gets the output that it gets alone. It uses operations on real numbers
    alone, so that it exports with any batch and length.

    Arguments
    ---------
    num_classes
        Number of emotions, >= 2.
    deltas
        0: log-mels alone; 1: with their slopes; 2: with the slopes of the slopes as well.
    normalize
        What is subtracted from the log-mels: ``"none"``, ``"level"`` or ``"mean"``; see ``LogMel``.
    masking
        Largest share of the bands, and of the frames, set to 0 in one run each in training, in [0, 1) (SpecAugment,
        Park et al. 2019).
    stochastic_depth
        Share of residual branches skipped in training, rising linearly to this at the deepest, in [0, 1).
    dropout
        Share of the embedding set to 0 in training, in [0, 1).

    All but the first are options of those students that list them in their signature.

    Shape
    -----
    waveform: [batch, samples], 16 kHz, in [-1, 1], at least 1600 samples (0.1 s). lengths: [batch], share of
    the samples that is speech, or None for all of it. Returns a ``ModelOutput`` whose ``frames`` are the last
    feature map and whose ``embedding`` is what the classifier reads.

    Example
    -------
    >>> class Level(Student):
    ...     def forward(self, waveform, lengths=None):
    ...         return ModelOutput(waveform.abs().mean(dim=1, keepdim=True) * torch.ones(self.num_classes))
    >>> Level(num_classes=2)(torch.ones(1, 1600)).logits
    tensor([[1., 1.]])
    """

    example_options: dict = {}

    def __init__(self, num_classes: int):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes must be >= 2, got {num_classes}.")
        self.num_classes = num_classes
        self.regressor: AttributeHead | None = None  # see add_attributes

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        raise NotImplementedError

    def add_attributes(self, count: int, centre: Tensor | float = 0.0, scale: Tensor | float = 1.0) -> None:
        """Let every call also predict ``count`` dimensional labels from the embedding, as ``output.attributes``.

        ``centre`` and ``scale`` [count] are mean and deviation of the labels trained on; kept with the weights.
        """
        embedding_dim = self.output_dims()["student_embedding_dim"]
        self.regressor = AttributeHead(embedding_dim, count, centre, scale).to(next(self.parameters()).device)
        self.register_forward_hook(_with_attributes)

    def num_parameters(self) -> int:
        """Numbers that are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def output_dims(self) -> dict:
        """Sizes that losses and weightings with trainable weights need.

        ``student_embedding_dim``, ``student_frame_dim``, and ``student_layer_dims`` by layer name.
        """
        was_training = self.training
        device = next(self.parameters()).device
        output = self.eval()(torch.zeros(1, MIN_SAMPLES, device=device))
        self.train(was_training)
        return {
            "student_embedding_dim": output.embedding.shape[-1],
            "student_frame_dim": output.frames.shape[-1],
            "student_layer_dims": {name: layer.shape[-1] for name, layer in output.layers.items()},
        }


class AttributeHead(nn.Module):
    """Linear regression of dimensional labels in their own unit: [batch, D] -> [batch, count].

    attributes = centre + scale * (W embedding + b)
    """

    def __init__(self, embedding_dim: int, count: int, centre: Tensor | float = 0.0, scale: Tensor | float = 1.0):
        super().__init__()
        self.linear = nn.Linear(embedding_dim, count)
        self.register_buffer("centre", torch.as_tensor(centre).float().expand(count).clone())
        self.register_buffer("scale", torch.as_tensor(scale).float().expand(count).clone())

    def forward(self, embedding: Tensor) -> Tensor:
        return self.centre + self.scale * self.linear(embedding)


def _with_attributes(student: Student, inputs: tuple, output: ModelOutput) -> ModelOutput:
    return replace(output, attributes=student.regressor(output.embedding))


def check_waveform(waveform: Tensor) -> None:
    """Refuse what no student accepts, before anything is computed.

    Raises
    ------
    ValueError
        If the waveform is not [batch, samples] with at least 1600 samples.

    Example
    -------
    >>> check_waveform(torch.zeros(1, 100))
    Traceback (most recent call last):
    ValueError: waveform must be [batch, samples] with at least 1600 samples (0.1 s), got [1, 100]; pad it with zeros.
    """
    if waveform.dim() != 2 or waveform.shape[1] < MIN_SAMPLES:
        raise ValueError(
            f"waveform must be [batch, samples] with at least {MIN_SAMPLES} samples (0.1 s), got "
            f"{list(waveform.shape)}; pad it with zeros."
        )
