"""Convolutions over log-mels, then pooling by several attention heads."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.hybrid_blocks import ConvBlock, DownConv, hidden_run
from akd_toolkit.models.layers import halved, normalized, speech_share
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("multihead_attention")
class MultiheadAttention(Student):
    """Convolutional stem and multi-head attention pooling on log-mels with deltas (at most 1 M parameters).

    share[h, t] = softmax over t of q[h] . k[h, t] / sqrt(dim / heads)
    embedding = concatenation over h of sum_t share[h, t] v[h, t]

    with k and v linear in frame t and the query q[h] learned. The frames are the hybrid transformer's stem with its
    bands fused to ``dim`` numbers.

    Source: the attention of Vaswani et al. 2017, section 3.2.2, with learned queries, once per utterance, as India,
    Safari & Hernando 2019 pool speech ("Self multi-head attention for speaker recognition"). It represents the
    "multi-head attention" variant in the tables of Khan et al. 2026, "Real-Time Emotion Recognition System Using
    Adaptive Distillation Technique", CMES. Differs from the paper, which does not describe the rest: no
    frame attends to another here, so that what a whole transformer adds can be measured.

    Arguments (shared ones: ``Student``)
    ---------
    num_mels
        Log-mel bands, a multiple of 2 ** len(channels).
    channels
        Channels of the stem's stages, at least one; each halves time and frequency.
    dim
        Numbers per frame after fusing.
    heads
        Attention heads, dividing ``dim``.

    Shape
    -----
    waveform: [batch, samples]. embedding: [batch, dim]. frames: [batch, T, dim], every 40 ms with two stages.
    layers: ``stem`` [batch, T, bands * channels[-1]] and ``fused`` [batch, T, dim].

    Raises
    ------
    ValueError
        If there is no stage or no head, or the sizes do not divide.

    Example
    -------
    >>> student = MultiheadAttention(num_classes=4, channels=(4, 8), dim=16).eval()
    >>> output = student(torch.zeros(2, 16000))  # 98 frames of 10 ms, halved twice
    >>> output.logits.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 25, 16]))
    """

    example_options = {"channels": [4, 8], "dim": 16, "heads": 2}

    def __init__(
        self,
        num_classes: int,
        num_mels: int = 40,
        deltas: int = 1,
        channels: tuple[int, ...] = (16, 32),
        dim: int = 128,
        heads: int = 4,
        dropout: float = 0.2,
        masking: float = 0.1,
        normalize: str = "level",
    ):
        super().__init__(num_classes)
        if not channels or num_mels % 2 ** len(channels) or heads < 1 or dim % heads:
            raise ValueError(
                "multihead_attention needs at least one stage of channels, num_mels a multiple of 2 ** len(channels) "
                f"and dim one of heads, got channels={list(channels)}, num_mels={num_mels}, dim={dim}, heads={heads}."
            )
        self.planes = 1 + deltas
        self.heads = heads
        self.masking = masking
        self.front_end = LogMel(num_mels=num_mels, deltas=deltas, normalize=normalize)
        self.input_norm = nn.BatchNorm1d(num_mels * self.planes, affine=False)  # the first convolution scales anyway
        widths = [self.planes, *channels]
        self.stem = nn.ModuleList(
            nn.ModuleList([DownConv(widths[i], widths[i + 1]), ConvBlock(widths[i + 1])]) for i in range(len(channels))
        )
        self.fuse = nn.Linear(channels[-1] * num_mels // 2 ** len(channels), dim, bias=False)
        self.fuse_norm = nn.BatchNorm1d(dim)
        self.query = nn.Parameter(torch.randn(heads, dim // heads))
        self.key = nn.Linear(dim, dim, bias=False)  # what it would add to all frames alike, softmax takes away
        self.value = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(dim, num_classes)
        self.to(memory_format=torch.channels_last)  # as the maps are

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        num_frames = None if lengths is None else num_frames
        mask = frame_mask(num_frames, features.shape[1])
        x = normalized(self.input_norm, features, mask)
        x = x.unflatten(-1, (self.planes, -1)).transpose(2, 3)  # [batch, frames, mels, planes]
        if self.training and self.masking > 0:
            x = x * hidden_run(x, 1, self.masking) * hidden_run(x, 2, self.masking)
        for down, block in self.stem:
            num_frames = halved(num_frames)
            mask = frame_mask(num_frames, (x.shape[1] + 1) // 2)
            x = block(down(x, mask), mask)
        stem = x.flatten(2)  # [batch, T, bands * channels]
        frames = torch.relu(normalized(self.fuse_norm, self.fuse(stem), mask))
        embedding = self.pool(frames, mask)
        layers = {"stem": stem, "fused": frames}
        return ModelOutput(self.classifier(self.dropout(embedding)), embedding, frames, layers, speech_share(mask))

    def pool(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """Output of the heads: [batch, T, dim] -> [batch, dim]. mask: True where there is speech, or None."""
        key = self.key(frames).unflatten(-1, self.query.shape)  # [batch, T, heads, dim / heads]
        scores = (key * self.query).sum(dim=-1) / self.query.shape[1] ** 0.5  # [batch, T, heads]
        if mask is not None:
            scores = scores.masked_fill(~mask[:, :, None], float("-inf"))
        shares = torch.softmax(scores, dim=1)
        return (self.value(frames).unflatten(-1, self.query.shape) * shares[..., None]).sum(dim=1).flatten(1)
