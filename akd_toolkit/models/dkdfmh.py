"""The student of DKDFMH: a deep convolutional network with fused multi-head attention at several scales."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.layers import halved, masked, normalized, normalized_channels_first, pooled, speech_share
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("dkdfmh")
class Dkdfmh(Student):
    """Convolutions with fused multi-head attention at three scales (micro: 0.47 M parameters).

    1. Log-mels are an image; a stem and three stages, each two convolutions, halve time and bands every time.
    2. After each stage the bands that remain are fused to ``dim`` numbers per frame, and an attention set relates the
       frames to each other: all heads are full width, and their mean is what a frame gets.
    3. Mean, deviation and maximum over time at each scale, together, are what the linear classifier reads, after a
       bottleneck.

    Source: Zhao, Wang, Wang & Schuller 2023, "Hierarchical network with decoupled knowledge distillation for speech
    emotion recognition", ICASSP: log filter banks, a deep convolutional network, attention sets at different scales,
    heads fused at each feature point (Xu, Zhang & Khan 2020, "Improve accuracy of speech emotion recognition with
    attention head fusion"). It is distilled by ``decoupled_kl``. Differs from the paper, of which we know no sizes and
    no parameter count: all sizes are ours, chosen for 473,975 parameters (7 classes); feature points are frames with
    their bands fused, not single points of the image; positions come from the convolutions, so that any length fits.

    Arguments (shared ones: ``Student``)
    ---------
    num_mels
        Log-mel bands, a multiple of 2 ** len(channels).
    channels
        Channels of the stem, then of each stage; one scale for each stage, so at least two numbers.
    dim
        Numbers per frame at every scale, >= 2.
    heads
        Attention heads at every scale, >= 1, each with queries and keys of ``dim // 2`` and values of ``dim`` numbers.
    embedding_dim
        Numbers per utterance that the classifier reads.
    dropout
        Share of the pooled statistics and of the embedding left out in training, in [0, 1).

    Shape
    -----
    waveform: [batch, samples]. layers: ``scale_0`` .. ``scale_n``, each [batch, T, dim], by default one frame for every
    40, 80 and 160 ms. frames: the last of them. embedding: [batch, embedding_dim].

    Raises
    ------
    ValueError
        If ``num_mels`` does not divide, there is no stage or no head, or ``dim`` is below 2.

    Example
    -------
    >>> student = Dkdfmh(num_classes=4, **Dkdfmh.example_options).eval()
    >>> output = student(torch.zeros(2, 16000))  # 98 frames of 10 ms, halved three times
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 8]), torch.Size([2, 13, 16]))
    """

    example_options = {"channels": [4, 8, 8], "dim": 16, "heads": 2, "embedding_dim": 8}

    def __init__(
        self,
        num_classes: int,
        num_mels: int = 64,
        normalize: str = "level",
        channels: tuple[int, ...] = (16, 32, 64, 96),
        dim: int = 64,
        heads: int = 4,
        embedding_dim: int = 128,
        dropout: float = 0.2,
    ):
        super().__init__(num_classes)
        if len(channels) < 2 or dim < 2 or heads < 1:
            raise ValueError(
                f"dkdfmh needs two channels or more, dim >= 2 and heads >= 1, got channels={list(channels)}, dim={dim} "
                f"and heads={heads}."
            )
        if num_mels % 2 ** len(channels):
            raise ValueError(
                f"num_mels must be a multiple of {2 ** len(channels)}, as the stem and {len(channels) - 1} stages "
                f"halve the bands, got {num_mels}."
            )
        self.front_end = LogMel(num_mels=num_mels, normalize=normalize)
        self.input_norm = nn.BatchNorm1d(num_mels, affine=False)  # the first convolution scales anyway
        self.stem = _Conv(1, channels[0], kernel=5, stride=2)
        self.downs, self.convs, self.fusions, self.attentions = (nn.ModuleList() for _ in range(4))
        for index in range(1, len(channels)):
            self.downs.append(_Conv(channels[index - 1], channels[index], kernel=3, stride=2))
            self.convs.append(_Conv(channels[index], channels[index], kernel=3, stride=1))
            self.fusions.append(nn.Linear(channels[index] * num_mels // 2 ** (index + 1), dim))
            self.attentions.append(FusedAttention(dim, heads))
        self.dropout = nn.Dropout(dropout)
        self.bottleneck = nn.Sequential(
            nn.Linear(3 * dim * (len(channels) - 1), embedding_dim, bias=False),
            nn.BatchNorm1d(embedding_dim),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(embedding_dim, num_classes)
        self.to(memory_format=torch.channels_last)  # trains faster on a CPU

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        return self.encode(features, None if lengths is None else num_frames)

    def encode(self, features: Tensor, num_frames: Tensor | None) -> ModelOutput:
        """The student behind its front end: log-mels [batch, T, num_mels]; how many of T are speech, or None."""
        mask = frame_mask(num_frames, features.shape[1])
        x = normalized(self.input_norm, features, mask)[:, None]  # [batch, 1, T, mels]
        x, mask, num_frames = self.stem(x, mask, num_frames)
        layers, statistics = {}, []
        stages = zip(self.downs, self.convs, self.fusions, self.attentions, strict=True)
        for index, (down, conv, fusion, attention) in enumerate(stages):
            x, mask, num_frames = conv(*down(x, mask, num_frames))
            frames = attention(fusion(x.transpose(1, 2).flatten(2)), mask)  # [batch, T / 4 (8, 16), dim]
            layers[f"scale_{index}"] = frames
            statistics.append(pooled(frames.float(), mask))
        embedding = self.bottleneck(self.dropout(torch.cat(statistics, dim=1)))
        return ModelOutput(self.classifier(self.dropout(embedding)), embedding, frames, layers, speech_share(mask))


class _Conv(nn.Module):
    """Convolution with zeros in the padding, norm, ReLU: [B, C, T, F] -> [B, C', ceil(T / stride), F / stride]."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor, mask: Tensor | None, num_frames: Tensor | None):
        x = self.conv(masked(x, mask, time=2))
        if self.stride == 2:
            num_frames = halved(num_frames)
            mask = frame_mask(num_frames, x.shape[2])
        return torch.relu(normalized_channels_first(self.norm, x, mask)), mask, num_frames


class FusedAttention(nn.Module):
    """Residual self-attention over frames that adds the mean of its heads: [batch, T, dim] -> [batch, T, dim].

    y = x + mean over heads h of softmax(q_h k_h^T / sqrt(dim / 2)) v_h,   q, k, v linear in norm(x)

    A head that looks elsewhere than the others adds a second peak to the fused map, where one head alone has one.

    Example
    -------
    >>> attention = FusedAttention(dim=4, heads=2)
    >>> attention(torch.ones(1, 3, 4), torch.tensor([[True, True, False]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.widths = [dim // 2, dim // 2, dim]  # of a head's query, key and value
        self.query_key_value = nn.Linear(dim, heads * sum(self.widths))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        heads = self.query_key_value(self.norm(x)).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, T, ...]
        query, key, value = heads.split(self.widths, dim=3)
        scores = query @ key.transpose(2, 3) / self.widths[0] ** 0.5  # [batch, heads, T, T]
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        return x + (torch.softmax(scores, dim=3) @ value).mean(dim=1)
