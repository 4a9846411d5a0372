"""TIM-Net: gated dilated convolutions over time in both directions; 0.1 M parameters."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.mfcc import MFCC
from akd_toolkit.models.layers import normalized, speech_mean, speech_share
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("tim_net")
class TimNet(Student):
    """TIM-Net on MFCCs: temporal-aware blocks in both directions, fused over scales (micro: 0.10 M parameters).

    block_j(x) = x * sigmoid(h(h(x))),   h(x) = dropout(relu(norm(causal convolution of x, 2^j frames apart)))
    g_j = mean over time of (block_j forwards + block_j backwards)
    embedding = sum_j w_j g_j

    Source: Ye, Wen, Wei, Xu, Liu & Shan 2023, "Temporal modeling matters: A novel temporal emotional modeling approach
    for speech emotion recognition", ICASSP, and the sizes of its released model. The paper's 0.40 MB are four bytes
    for each of our 104,496 parameters (7 classes, 8 blocks a direction; 10 blocks for utterances of 14 s). Differs from
    the paper: 16 kHz instead of 22.05; the mean level of an utterance is taken from its MFCCs, which are then
    standardised over the corpus; the weights w_j begin equal; each utterance is reversed within its own length, so
    that padding comes last in both directions, where causal convolutions never meet it.

    Arguments (shared ones: ``Student``)
    ---------
    num_mfcc
        Cepstral coefficients.
    num_mels
        Log-mel bands of which they are the cosine transform, >= ``num_mfcc``.
    dim
        Channels of each direction.
    num_blocks
        Blocks of each direction, >= 1. Block j, from 0 on, sees 2^j frames further back, twice.
    dropout
        Share of the channels left out in training after each convolution, in [0, 1).

    Shape
    -----
    waveform: [batch, samples]. frames: [batch, T, dim], one for every 12.5 ms; their mean is the embedding,
    [batch, dim]. layers: ``block_0`` .. ``block_n``, each [batch, T, dim], both directions in the order of time.

    Raises
    ------
    ValueError
        If there is no block.

    Example
    -------
    >>> student = TimNet(num_classes=4, **TimNet.example_options).eval()
    >>> output = student(torch.zeros(2, 16000))  # 1 + (16000 - 800) // 200 frames
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 8]), torch.Size([2, 77, 8]))
    """

    example_options = {"num_mfcc": 13, "num_mels": 40, "dim": 8, "num_blocks": 3}

    def __init__(
        self,
        num_classes: int,
        num_mfcc: int = 39,
        num_mels: int = 128,
        normalize: str = "level",
        dim: int = 39,
        num_blocks: int = 8,
        dropout: float = 0.1,
    ):
        super().__init__(num_classes)
        if num_blocks < 1:
            raise ValueError(f"num_blocks must be >= 1, got {num_blocks}.")
        self.front_end = MFCC(num_mfcc, num_mels, window_ms=50.0, hop_ms=12.5, normalize=normalize)
        self.input_norm = nn.BatchNorm1d(num_mfcc, affine=False)
        self.enter = nn.ModuleList(nn.Linear(num_mfcc, dim) for _ in range(2))  # forwards, backwards
        self.blocks = nn.ModuleList(_Block(dim, 2**index, dropout) for index in range(num_blocks))
        self.scale_weights = nn.Parameter(torch.full((num_blocks,), 1 / num_blocks))
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        return self.encode(features, None if lengths is None else num_frames)

    def encode(self, features: Tensor, num_frames: Tensor | None) -> ModelOutput:
        """The student behind its front end: MFCCs [batch, T, num_mfcc]; how many of T are speech, or None."""
        mask = frame_mask(num_frames, features.shape[1])
        x = normalized(self.input_norm, features, mask)
        x = torch.cat([self.enter[0](x), self.enter[1](backwards(x, num_frames))], dim=2)  # [batch, T, 2 * dim]
        layers = {}
        for index, block in enumerate(self.blocks):
            x = block(x, mask)
            past, future = x.chunk(2, dim=2)
            layers[f"block_{index}"] = past + backwards(future, num_frames)
        frames = torch.stack(list(layers.values()), dim=-1) @ self.scale_weights
        embedding = speech_mean(frames, mask)
        return ModelOutput(self.classifier(embedding), embedding, frames, layers, speech_share(mask))


class _Block(nn.Module):
    """Temporal-aware block, for both directions at once: [B, T, 2 * dim] -> [B, T, 2 * dim]."""

    def __init__(self, dim: int, dilation: int, dropout: float):
        super().__init__()
        self.convs = nn.ModuleList(_CausalConv(dim, dilation) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm1d(2 * dim) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        gate = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            gate = torch.relu(normalized(norm, conv(gate), mask))
            if self.training:  # a channel is left out all along an utterance
                gate = gate * self.dropout(torch.ones_like(gate[:, :1]))
        return x * torch.sigmoid(gate)


class _CausalConv(nn.Module):
    """Convolution of each direction with two taps, now and ``dilation`` frames ago: [B, T, 2 * dim] -> the same.

    As one product of matrices, of which half is 0: on a CPU this is quicker than a grouped convolution.
    """

    def __init__(self, dim: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        bound = 1 / math.sqrt(2 * dim)
        self.weight = nn.Parameter(torch.empty(2, 2, dim, dim).uniform_(-bound, bound))  # [tap, direction, out, in]
        self.bias = nn.Parameter(torch.empty(2 * dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        earlier = F.pad(x, (0, 0, self.dilation, 0))[:, : x.shape[1]]
        taps = torch.cat([torch.block_diag(*tap) for tap in self.weight], dim=1)  # [2 * dim, 4 * dim]
        return F.linear(torch.cat([earlier, x], dim=2), taps, self.bias)


def backwards(frames: Tensor, num_frames: Tensor | None) -> Tensor:
    """The speech frames in reverse, padding left where it is: [batch, T, D] -> [batch, T, D].

    Example
    -------
    >>> backwards(torch.tensor([[[1.0], [2.0], [3.0], [0.0]]]), torch.tensor([3]))[0, :, 0]
    tensor([3., 2., 1., 0.])
    """
    if num_frames is None:
        return frames.flip(1)
    position = torch.arange(frames.shape[1], device=frames.device)[None]
    mirrored = num_frames[:, None] - 1 - position
    source = torch.where(mirrored >= 0, mirrored, position)
    return frames.gather(1, source[:, :, None].expand(-1, -1, frames.shape[2]))
