"""The micro student: a few convolutions over log-mels, under half a million parameters."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.layers import (
    Packing,
    halved,
    masked,
    normalized,
    normalized_channels_first,
    pooled,
    speech_share,
)
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


class TimeCNN(Student):
    """The layers of ``MicroCNN`` below its head: log-mels, a stem that halves the bands, convolutions over time."""

    def __init__(
        self,
        num_classes: int,
        num_mels: int,
        normalize: str,
        channels: tuple[int, ...],
        dim: int,
        dilations: tuple[int, ...],
    ):
        super().__init__(num_classes)
        if len(channels) < 2 or not dilations:
            raise ValueError(
                "the layers of micro_cnn need two channels or more and one dilation or more, got "
                f"channels={list(channels)} and dilations={list(dilations)}."
            )
        if num_mels % 2 ** len(channels):
            raise ValueError(
                f"num_mels must be a multiple of {2 ** len(channels)}, as each of {len(channels)} stages halves "
                f"the bands, got {num_mels}."
            )
        self.front_end = LogMel(num_mels=num_mels, normalize=normalize)
        self.input_norm = nn.BatchNorm1d(num_mels, affine=False)  # the first convolution scales anyway
        widths = [1, *channels]
        self.stem = nn.ModuleList(
            _StemStage(widths[i], widths[i + 1], kernel=5 if i == 0 else 3, time_stride=2 if i < 2 else 1)
            for i in range(len(channels))
        )
        self.fuse = nn.Linear(channels[-1] * num_mels // 2 ** len(channels), dim, bias=False)
        self.fuse_norm = nn.BatchNorm1d(dim)
        self.blocks = nn.ModuleList(_TimeBlock(dim, dilation) for dilation in dilations)
        self.reach = 4 * max(dilations)  # frames that the widest convolution looks to one side

    def layers_of(self, features: Tensor, num_frames: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """Layers [batch, T / 4, dim] by name, the last one on top, and which of their frames are speech, or None.

        features: log-mels [batch, T, num_mels]. num_frames: how many of T are speech, [batch], or None.
        """
        row, mask = None, frame_mask(num_frames, features.shape[1])
        if self.training and num_frames is not None:
            row = Packing(num_frames, stride=4, gap=self.reach)
            features, mask = row.packed(features)
        x = normalized(self.input_norm, features, mask)[:, None]  # [batch, 1, T, mels]
        for stage in self.stem:
            x, mask = stage(x, mask)
        x = self.fuse(x.transpose(1, 2).flatten(2)).transpose(1, 2)  # [batch, dim, T / 4]
        x = torch.relu(normalized_channels_first(self.fuse_norm, x, mask))
        layers = {"stem": x.transpose(1, 2)}
        for index, block in enumerate(self.blocks):
            x = block(x, mask)
            layers[f"block_{index}"] = x.transpose(1, 2)
        if row is not None:
            layers = {name: row.unpacked(layer) for name, layer in layers.items()}
            mask = frame_mask(halved(halved(num_frames)), layers["stem"].shape[1])
        return layers, mask


@STUDENTS.register("micro_cnn")
class MicroCNN(TimeCNN):
    """Convolutions over time and frequency, then over time alone (micro: at most 0.5 M parameters).

    1. Log-mels are an image [frames, mels]; each stage of the stem halves the bands, the first two also time.
    2. The bands that remain are fused to ``dim`` numbers per 40 ms.
    3. Residual convolutions over time, ever wider apart, look 0.1 to 1 s around.
    4. Mean, deviation and maximum over time are what the linear classifier reads, after a bottleneck.

    Source: the plain recipe of small keyword spotters (Tang & Lin 2018, "Deep residual learning for
    small-footprint keyword spotting") with the statistics pooling of x-vectors (Snyder et al. 2018). Ours: bands
    are fused early, because convolutions over time alone cost a tenth.

    Arguments (shared ones: ``Student``)
    ---------
    num_mels
        Log-mel bands, a multiple of 2 ** len(channels).
    channels
        Channels of the stem's stages, at least two.
    dim
        Numbers per frame after fusing, and width of the residual convolutions.
    dilations
        One residual convolution for each; how many frames its three taps lie apart.
    embedding_dim
        Numbers per utterance that the classifier reads.
    dropout
        Share of the pooled statistics and of the embedding left out in training, in [0, 1).

    Shape
    -----
    waveform: [batch, samples]. frames: [batch, T, dim] with T one for every 40 ms.
    embedding: [batch, embedding_dim]. layers: ``stem`` and ``block_0`` .. ``block_n``, each [batch, T, dim].

    Raises
    ------
    ValueError
        If ``num_mels`` does not divide, there are fewer than two stages, or no dilation.

    Example
    -------
    >>> student = MicroCNN(num_classes=4, channels=(4, 8), dim=16, embedding_dim=8).eval()
    >>> output = student(torch.zeros(2, 16000))  # 98 frames of 10 ms, halved twice
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 8]), torch.Size([2, 25, 16]))
    """

    example_options = {"channels": [4, 8], "dim": 16, "dilations": [1, 2], "embedding_dim": 8}

    def __init__(
        self,
        num_classes: int,
        num_mels: int = 64,
        normalize: str = "level",
        channels: tuple[int, ...] = (16, 32, 48),
        dim: int = 128,
        dilations: tuple[int, ...] = (1, 2, 3, 4),
        embedding_dim: int = 128,
        dropout: float = 0.2,
    ):
        super().__init__(num_classes, num_mels, normalize, channels, dim, dilations)
        self.dropout = nn.Dropout(dropout)
        self.bottleneck = nn.Sequential(
            nn.Linear(3 * dim, embedding_dim, bias=False), nn.BatchNorm1d(embedding_dim), nn.ReLU()
        )
        self.classifier = nn.Linear(embedding_dim, num_classes)
        self.to(memory_format=torch.channels_last)  # trains a third faster on a CPU

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        return self.encode(features, None if lengths is None else num_frames)

    def encode(self, features: Tensor, num_frames: Tensor | None) -> ModelOutput:
        """The student behind its front end: log-mels [batch, T, num_mels]; how many of T are speech, or None."""
        layers, mask = self.layers_of(features, num_frames)
        *_, frames = layers.values()
        weights = None if mask is None else mask.float()  # sums in float32 under autocast
        embedding = self.bottleneck(self.dropout(pooled(frames, weights, floor=0.01)))
        logits = self.classifier(self.dropout(embedding))
        return ModelOutput(logits, embedding, frames, layers, speech_share(mask))


class _StemStage(nn.Module):
    """Convolution that halves the bands, and time at a stride of 2: [B, C, T, F] -> [B, C', T', F / 2]."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, time_stride: int):
        super().__init__()
        self.time_stride = time_stride
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride=(time_stride, 2), padding=kernel // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.conv(masked(x, mask, time=2))
        mask = None if mask is None else mask[:, :: self.time_stride]
        return torch.relu(normalized_channels_first(self.norm, x, mask)), mask


class _TimeBlock(nn.Module):
    """Residual convolution over time: [B, dim, T] -> [B, dim, T]."""

    def __init__(self, dim: int, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return torch.relu(x + normalized_channels_first(self.norm, self.conv(masked(x, mask, time=2)), mask))
