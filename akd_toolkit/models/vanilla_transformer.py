"""The vanilla transformer: patches of log-mel frames as tokens, self-attention over time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.hybrid_blocks import AttentionBlock, hidden_run
from akd_toolkit.models.layers import masked, normalized, speech_mean, speech_share
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("vanilla_transformer")
class VanillaTransformer(Student):
    """Transformer encoder on log-mels with deltas: the baseline of the hybrid one (small: at most 1.5 M parameters).

    1. Every ``patch`` neighbouring frames are one token, ``dim`` linear combinations of all their numbers.
    2. Sines and cosines of its position are added to each token.
    3. Every block lets each token attend over all tokens of the utterance, then transforms it alone.
    4. The mean over time is what the linear classifier reads.

    Source: Vaswani et al. 2017, "Attention is all you need", sections 3.2 to 3.5, with the norms before the branches
    (Xiong et al. 2020); tokens as in Gong et al. 2021, "AST", but over time alone. It is the "vanilla transformer" of
    the tables of Khan et al. 2026, "Real-Time Emotion Recognition System Using Adaptive Distillation Technique", CMES.
    Differs from the paper, which says nothing of its sizes: they are of the order of the hybrid's, and so that the two
    can be compared it gets the same log-mels, masks and dropout, and its branches start equally small.

    Arguments (shared ones: ``Student``)
    ---------
    num_mels
        Log-mel bands, >= 1.
    patch
        Frames of 10 ms that make a token, >= 1.
    dim
        Numbers per token, even.
    depth
        Blocks of attention and feed-forward, >= 1.
    heads
        Attention heads, dividing ``dim``.
    mlp_ratio
        Hidden width of the feed-forward layers over ``dim``.

    Shape
    -----
    waveform: [batch, samples]. embedding: [batch, dim]. frames: [batch, T, dim] with T one for every ``patch`` frames.
    layers: ``patches``, ``block_0`` .. ``block_n``, each [batch, T, dim].

    Raises
    ------
    ValueError
        If ``patch``, ``depth`` or ``heads`` is below 1, or ``dim`` is odd or no multiple of ``heads``.

    Example
    -------
    >>> student = VanillaTransformer(num_classes=4, dim=16, heads=2).eval()
    >>> output = student(torch.zeros(2, 16000))  # 98 frames of 10 ms, the last patch half empty
    >>> output.logits.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 25, 16]))
    """

    example_options = {"dim": 16, "depth": 2, "heads": 2}

    def __init__(
        self,
        num_classes: int,
        num_mels: int = 40,
        deltas: int = 1,
        patch: int = 4,
        dim: int = 128,
        depth: int = 4,
        heads: int = 4,
        mlp_ratio: float = 2.0,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        masking: float = 0.1,
        normalize: str = "level",
    ):
        super().__init__(num_classes)
        if patch < 1 or depth < 1 or heads < 1 or dim % 2 or dim % heads:
            raise ValueError(
                "vanilla_transformer needs patch, depth and heads >= 1 and an even dim, a multiple of heads, got "
                f"patch={patch}, depth={depth}, dim={dim} and heads={heads}."
            )
        self.planes = 1 + deltas
        self.patch = patch
        self.masking = masking
        self.front_end = LogMel(num_mels=num_mels, deltas=deltas, normalize=normalize)
        self.input_norm = nn.BatchNorm1d(num_mels * self.planes, affine=False)  # what follows scales anyway
        self.embed = nn.Conv1d(num_mels * self.planes, dim, patch, stride=patch)  # a linear map of each patch
        rates = [stochastic_depth * (i + 1) / depth for i in range(depth)]
        self.blocks = nn.ModuleList(AttentionBlock(dim, heads, mlp_ratio, rate, neighbours=False) for rate in rates)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        num_frames = None if lengths is None else num_frames
        x = normalized(self.input_norm, features, frame_mask(num_frames, features.shape[1]))
        if self.training and self.masking > 0:
            bands = x.unflatten(-1, (self.planes, -1)).transpose(2, 3)  # [batch, frames, mels, planes]
            x = (bands * hidden_run(bands, 1, self.masking) * hidden_run(bands, 2, self.masking)).transpose(2, 3)
            x = x.flatten(2)
        # Enough zeros for the last patch, be it full or not.
        x = self.embed(F.pad(x, (0, 0, 0, self.patch - 1)).transpose(1, 2)).transpose(1, 2)  # [batch, T, dim]
        mask = frame_mask(None if num_frames is None else (num_frames - 1) // self.patch + 1, x.shape[1])
        x = x + sinusoids(x.shape[1], x.shape[2], x.device)
        layers = {"patches": x}
        for index, block in enumerate(self.blocks):
            x = block(x, mask)
            layers[f"block_{index}"] = x
        frames = masked(self.norm(x), mask)
        embedding = speech_mean(frames, mask)
        return ModelOutput(self.classifier(self.dropout(embedding)), embedding, frames, layers, speech_share(mask))


def sinusoids(num_positions: int, dim: int, device=None) -> Tensor:
    """sin(t / 10000^(2 i / dim)) for i = 0 .. dim / 2 - 1, then the cosines: [num_positions, dim].

    Example
    -------
    >>> sinusoids(2, 4)  # sin and cos of t, and of t / 100
    tensor([[0.0000, 0.0000, 1.0000, 1.0000],
            [0.8415, 0.0100, 0.5403, 0.9999]])
    """
    rates = 10000 ** (-torch.arange(0, dim, 2, device=device) / dim)
    angles = torch.arange(num_positions, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
