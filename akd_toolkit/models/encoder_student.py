"""A student initialised from its teacher: the lowest layers of a speech encoder, with a new head."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student
from akd_toolkit.models.features.whisper_log_mel import WhisperLogMel
from akd_toolkit.models.fitted_head import FittedHead
from akd_toolkit.models.whisper_layers import WhisperLayers, load_whisper
from akd_toolkit.models.whisper_reduction import reduce_layers
from akd_toolkit.outputs import ModelOutput
from akd_toolkit.registry import STUDENTS

ARCHITECTURE_KEYS = ("width", "heads", "feed_forward", "num_mels")
RANK_KEYS = ("conv1", "conv2", "attention", "project", "expand", "contract")


@STUDENTS.register("encoder_student")
class EncoderStudent(FittedHead, Student):
    """The lowest layers of Whisper, a learned mixture of them, mean and deviation, a linear classifier.

    frames = sum_l softmax(layer_logits)[l] * layer_l
    embedding = (mean | deviation over frames - centre) / scale

    Source: Radford et al. 2022 (encoder); Yang et al. 2021, SUPERB (weighted layers). Differs from Whisper:
    nothing is padded to 30 s, padding is masked, upper layers and the last layer norm are dropped. Knowledge
    passes by weights: fit the head on the untouched encoder first (``fit_head``), then fine-tune with a small
    learning rate.

    With ``ranks`` the encoder is a small copy of the source's: each of its linear maps has a low rank and is fitted,
    without labels, to what the source computes on the training speech (``reduce``), before the head is fitted.

    Arguments
    ---------
    num_classes
        Number of emotions.
    source
        Hub name, or folder written by ``save_pretrained``, of a Whisper model. None builds the
        ``architecture`` with random weights, to be filled by ``load_state_dict``: a released student needs no
        source.
    num_layers
        Number of transformer layers kept, from the lowest.
    frozen_layers
        The convolutions and this many of the lowest layers keep the source's weights; None lets all learn.
    dropout
        Probability with which the classifier's inputs are dropped, in [0, 1).
    ranks
        Ranks, each >= 1, of ``conv1``, ``conv2`` and, in every layer, ``attention`` (query, key and value
        together), ``project``, ``expand`` and ``contract``; None keeps the source's full maps.
    architecture
        ``width``, ``heads``, ``feed_forward`` and ``num_mels``; read from the source where one is given.

    Shape
    -----
    waveform: [batch, samples], 16 kHz, at least 1600 samples (0.1 s), meant for at most 30 s. lengths:
    [batch], relative. embedding: [batch, 2 * width]. frames and each of ``layers``: [batch, T, width], one
    frame per 20 ms.

    Raises
    ------
    ValueError
        If the source is not a Whisper, has fewer layers, lacks weights, neither source nor architecture is
        given, or a rank is missing or larger than its map.

    Example
    -------
    >>> student = EncoderStudent(num_classes=4, **EncoderStudent.example_options)
    >>> output = student(torch.zeros(2, 3200))
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 32]), torch.Size([2, 10, 16]))
    """

    example_options = {
        "num_layers": 2,
        "architecture": {"width": 16, "heads": 2, "feed_forward": 32, "num_mels": 80},
    }

    def __init__(
        self,
        num_classes: int,
        source: str | None = None,
        num_layers: int = 3,
        frozen_layers: int | None = 0,
        dropout: float = 0.0,
        ranks: dict | None = None,
        architecture: dict | None = None,
    ):
        super().__init__(num_classes)
        weights = None
        if source is not None:
            architecture, weights = load_whisper(source, num_layers)
        _check_options(num_layers, frozen_layers, dropout, architecture)
        if ranks is not None:
            _check_ranks(ranks, architecture)
        self.options = {
            "num_classes": num_classes,
            "num_layers": num_layers,
            "frozen_layers": frozen_layers,
            "dropout": dropout,
            "ranks": None if ranks is None else dict(ranks),
            "architecture": dict(architecture),
        }
        width = architecture["width"]
        self.front_end = WhisperLogMel(architecture["num_mels"])
        self.encoder = WhisperLayers(num_layers=num_layers, **architecture, ranks=ranks)
        self._full: list[WhisperLayers] = []  # in a list, so that it is no part of the student
        self.layer_logits = nn.Parameter(torch.zeros(num_layers))
        with torch.no_grad():
            self.layer_logits[-1] = 2.0  # starts near the top layer kept, which is the best single one
        self.add_standardisation(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * width, num_classes)
        if weights is not None and ranks is None:
            self.encoder.load_state_dict(weights)
        elif weights is not None:
            self._full = [WhisperLayers(num_layers=num_layers, **architecture).eval()]
            self._full[0].load_state_dict(weights)
        for part in self.encoder.lowest(frozen_layers):
            part.requires_grad_(False)

    @property
    def build_options(self) -> dict:
        """Plain options that rebuild this student without its source; weights come from a state dict."""
        return deepcopy(self.options)

    @property
    def to_fit(self) -> WhisperLayers | None:
        """The source's layers while the maps of low rank are not fitted to them, else None."""
        return self._full[0] if self._full else None

    @torch.no_grad()
    def reduce(self, waveforms: list[Tensor]) -> None:
        """Fit the maps of low rank to the source's on training utterances, each [samples]; see ``reduce_layers``."""
        mels = [self.front_end.of_batch(waveform[None], None)[0] for waveform in waveforms]
        reduce_layers(self.to_fit.to(mels[0].device), self.encoder, mels)
        self._full = []

    def take_reduced(self, weights: dict[str, Tensor]) -> None:
        """Weights of an encoder that was fitted before, in place of ``reduce``."""
        self.encoder.load_state_dict(weights)
        self._full = []

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        layers, num_valid = self._encode(waveform, lengths)
        frames = self._mix(layers)
        embedding = self.standardised(frames, num_valid)
        return ModelOutput(
            logits=self.classifier(self.dropout(embedding)),
            embedding=embedding,
            frames=frames,
            layers={f"layer{number}": layer for number, layer in enumerate(layers, start=1)},
            lengths=num_valid / frames.shape[1],
        )

    def parameter_groups(self, learning_rate: float, layer_decay: float = 1.0) -> list[dict]:
        """Optimiser groups whose rate falls by ``layer_decay`` with each layer down; frozen weights left out.

        Example
        -------
        >>> student = EncoderStudent(num_classes=4, **EncoderStudent.example_options)
        >>> [group["lr"] for group in student.parameter_groups(1.0, 0.5)]  # head, layer 2, layer 1
        [1.0, 1.0, 0.5]
        """
        parts = [[self.classifier.weight, self.classifier.bias, self.layer_logits]]
        parts += [list(part.parameters()) for part in reversed(self.encoder.parts())]
        depths = [0, *range(len(parts) - 1)]
        groups = [
            {"params": [p for p in part if p.requires_grad], "lr": learning_rate * layer_decay**depth}
            for part, depth in zip(parts, depths, strict=True)
        ]
        return [group for group in groups if group["params"]]

    def _encode(self, waveform: Tensor, lengths: Tensor | None) -> tuple[list[Tensor], Tensor]:
        mel, num_frames = self.front_end.of_batch(waveform, lengths)
        return self.encoder(mel, num_frames)

    def _encoded(self, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        layers, num_valid = self._encode(waveform, lengths)
        return self._mix(layers), num_valid

    def _mix(self, layers: list[Tensor]) -> Tensor:
        weights = torch.softmax(self.layer_logits, dim=0)
        # The statistics are taken in full precision, whatever the layers were computed in.
        return sum(weight * layer.float() for weight, layer in zip(weights, layers, strict=True))


def _check_options(num_layers: int, frozen_layers: int | None, dropout: float, architecture: dict | None):
    if architecture is None:
        raise ValueError(
            "encoder_student: neither source nor architecture is given; name a Whisper model, or rebuild a "
            "saved student from its build_options."
        )
    if sorted(architecture) != sorted(ARCHITECTURE_KEYS):
        raise ValueError(
            f"encoder_student: architecture needs exactly {', '.join(ARCHITECTURE_KEYS)}, got "
            f"{', '.join(sorted(map(str, architecture))) or 'nothing'}."
        )
    if architecture["width"] % (2 * architecture["heads"]):
        raise ValueError(
            f"encoder_student: width must be a multiple of twice the heads, got width "
            f"{architecture['width']} and {architecture['heads']} heads."
        )
    if num_layers < 1:
        raise ValueError(f"encoder_student: num_layers must be at least 1, got {num_layers}.")
    if frozen_layers is not None and not 0 <= frozen_layers <= num_layers:
        raise ValueError(f"encoder_student: frozen_layers must be 0 to {num_layers} or null, got {frozen_layers}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"encoder_student: dropout must be in [0, 1), got {dropout}.")


def _check_ranks(ranks: dict, architecture: dict) -> None:
    if sorted(ranks) != sorted(RANK_KEYS):
        raise ValueError(
            f"encoder_student: ranks needs exactly {', '.join(RANK_KEYS)}, got "
            f"{', '.join(sorted(map(str, ranks))) or 'nothing'}."
        )
    width, limits = architecture["width"], dict.fromkeys(RANK_KEYS, architecture["width"])
    limits["conv1"] = min(width, 3 * architecture["num_mels"])
    for name, rank in ranks.items():
        if not isinstance(rank, int) or not 1 <= rank <= limits[name]:
            raise ValueError(
                f"encoder_student: ranks.{name} is {rank}; give a whole number from 1 to {limits[name]}, the full rank."
            )
