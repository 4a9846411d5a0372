"""A micro student of two branches: a trained CNN, and Whisper's own convolutions at low rank."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student
from akd_toolkit.models.features.whisper_log_mel import WhisperLogMel
from akd_toolkit.models.fitted_head import FittedHead
from akd_toolkit.models.layers import halved, masked
from akd_toolkit.models.low_rank import LowRankConvolution
from akd_toolkit.models.micro_cnn import MicroCNN
from akd_toolkit.models.whisper_layers import load_whisper
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("two_branch_cnn")
class TwoBranchCNN(FittedHead, Student):
    """The micro CNN beside Whisper's two convolutions at low rank, frozen (micro: at most 0.5 M parameters).

    logits = (C cnn_embedding + S (mean | deviation of the frozen frames, standardised)) / 2

    The branches are trained apart. S is fitted before training, see ``fit_head``; then the CNN learns alone, and in
    training mode the other branch is not computed: its part of the embedding is 0 and the logits are the CNN's. Their
    errors differ, so that the mean is better than either.

    Source: Radford et al. 2022 (Whisper's convolutions); Denton et al. 2014, "Exploiting linear structure within
    convolutional networks" (low rank by singular values). The combination is ours.

    Arguments
    ---------
    num_classes
        Number of emotions.
    source
        Hub name, or folder written by ``save_pretrained``, of a Whisper model. None builds the ``architecture`` with
        random weights, to be filled by ``load_state_dict``.
    ranks
        Channels between the two halves of the first and of the second convolution, >= 1.
    cnn
        Options of ``micro_cnn``.
    architecture
        ``width`` and ``num_mels`` of the Whisper model; read from the source where one is given.

    Shape
    -----
    waveform: [batch, samples], 16 kHz, at least 1600 samples (0.1 s). embedding: [batch, D + 2 * width], D that of
    ``micro_cnn``, as are frames and layers.

    Raises
    ------
    ValueError
        If neither source nor architecture is given, or the source is not a Whisper.

    Example
    -------
    >>> student = TwoBranchCNN(num_classes=4, **TwoBranchCNN.example_options).eval()
    >>> output = student(torch.zeros(2, 16000))
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 40]), torch.Size([2, 25, 16]))
    """

    trained = ("cnn.", "stem_classifier")
    fitted_and_trained = True  # a recipe must do both
    example_options = {
        "ranks": [4, 8],
        "cnn": MicroCNN.example_options,
        "architecture": {"width": 16, "num_mels": 80},
    }

    def __init__(
        self,
        num_classes: int,
        source: str | None = None,
        ranks: tuple[int, int] = (48, 88),
        cnn: dict | None = None,
        architecture: dict | None = None,
    ):
        super().__init__(num_classes)
        if source is None and sorted(architecture or {}) != ["num_mels", "width"]:
            raise ValueError(
                f"two_branch_cnn: architecture is {architecture}; give a source, a Whisper model, or an architecture "
                "with exactly num_mels and width."
            )
        weights = None
        if source is not None:
            architecture, weights = load_whisper(source, num_layers=0)
        width, num_mels = architecture["width"], architecture["num_mels"]
        self.options = {"num_classes": num_classes, "ranks": list(ranks), "cnn": dict(cnn or {})}
        self.options["architecture"] = {"width": width, "num_mels": num_mels}
        self.cnn = MicroCNN(num_classes, **{"dilations": (1, 2, 3), **(cnn or {})})
        self.stem = WhisperStem(width, num_mels, ranks, weights).requires_grad_(False)
        self.add_standardisation(2 * width)
        self.stem_classifier = nn.Linear(2 * width, num_classes).requires_grad_(False)

    @property
    def build_options(self) -> dict:
        """Plain options that rebuild this student without its source; weights come from a state dict."""
        return dict(self.options)

    @property
    def front_end(self) -> nn.Module:
        """The CNN's, where augmentation acts."""
        return self.cnn.front_end

    @property
    def fitted(self) -> nn.Linear:
        return self.stem_classifier

    def classifier(self, embedding: Tensor) -> Tensor:
        """Mean of both branches' logits: [batch, D + 2 * width] -> [batch, classes]."""
        own, stem = embedding.tensor_split([self.cnn.classifier.in_features], dim=1)
        return (self.cnn.classifier(own) + self.stem_classifier(stem)) / 2

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        own = self.cnn(waveform, lengths)
        if self.training:
            stem = own.embedding.new_zeros(len(waveform), self.stem_classifier.in_features)
            return replace(own, embedding=torch.cat([own.embedding, stem], dim=1))
        embedding = torch.cat([own.embedding, self.standardised(*self._encoded(waveform, lengths))], dim=1)
        return replace(own, logits=self.classifier(embedding), embedding=embedding)

    def _encoded(self, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.stem(waveform, lengths)


class WhisperStem(nn.Module):
    """Log-mels and convolutions of Whisper, the latter at low rank: frames [B, T, width], and how many are speech.

    There is one frame for each 20 ms. ``weights`` are those of the convolutions; None leaves random ones.
    """

    def __init__(self, width: int, num_mels: int, ranks: tuple[int, int], weights: dict | None):
        super().__init__()
        self.front_end = WhisperLogMel(num_mels)
        self.conv1 = LowRankConvolution(num_mels, width, ranks[0], stride=1)
        self.conv2 = LowRankConvolution(width, width, ranks[1], stride=2)
        if weights is not None:
            self.conv1.approximate(weights["conv1.weight"], weights["conv1.bias"])
            self.conv2.approximate(weights["conv2.weight"], weights["conv2.bias"])

    def forward(self, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        mel, num_frames = self.front_end.of_batch(waveform, lengths)
        hidden = masked(nn.functional.gelu(self.conv1(mel)), frame_mask(num_frames, mel.shape[2]), time=2)
        return nn.functional.gelu(self.conv2(hidden)).transpose(1, 2).float(), halved(num_frames)
