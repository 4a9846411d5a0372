"""The hybrid spatio-temporal transformer: convolution, attention over frequency, attention over time, in a U."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.hybrid_blocks import AttentionBlock, ConvBlock, DownConv, hidden_run
from akd_toolkit.models.layers import convolved, halved, masked, normalized, pooled, speech_share
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("hybrid_transformer")
class HybridTransformer(Student):
    """Hybrid spatio-temporal transformer on log-mels with deltas (small: at most 5 M parameters).

    1. Log-mels and their deltas are the channels of an image [mels, frames].
    2. A convolutional stem with skip connections makes both axes 4 times shorter.
    3. Every frame attends over its bands; then its bands are fused to ``dim`` numbers.
    4. Encoder: attention over time at 40 ms, then at 80 ms, then at 160 ms a frame. Decoder: back up the same
       steps, each adding what the encoder had at that resolution.
    5. Mean, deviation and maximum of the last map over time are what the linear classifier reads.

    Source: Khan et al. 2026, "Real-Time Emotion Recognition System Using Adaptive Distillation Technique", CMES:
    the stem, attention over time and frequency, encoder-decoder with skips, 40 log-mels fused to 128 dimensions.
    Differs from the paper, which gives no sizes: positions come from convolutions, so that any length fits; bands
    attend before they are fused and frames after, which costs a tenth of attending to all pairs of bands and frames.

    Arguments (shared ones: ``Student``)
    ---------
    num_mels
        Log-mel bands, a multiple of 4.
    channels
        Channels of the stem's two stages; the second is also the width of a band in attention over frequency.
    dim
        Numbers per frame after fusing.
    frequency_depth
        Blocks of attention over the bands, >= 0.
    depth
        Blocks of attention over time at each resolution, encoder and decoder alike, >= 1.
    halvings
        How often the encoder halves the number of frames, >= 0; 0 is a plain transformer.
    heads
        Attention heads over time, dividing ``dim``.
    frequency_heads
        Attention heads over frequency, dividing ``channels[1]``.
    mlp_ratio
        Hidden width of the feed-forward layers over their input; half of it in attention over frequency.

    Shape
    -----
    waveform: [batch, samples]. embedding: [batch, 3 * dim]. frames: [batch, T, dim] with T one for every 40 ms.
    layers: ``stem``, ``frequency``, ``encoder_i``, ``bottleneck``, ``decoder_i``, with T halved i times.

    Raises
    ------
    ValueError
        If an option is out of its range or the sizes do not divide.

    Example
    -------
    >>> student = HybridTransformer(num_classes=4, dim=16, channels=(8, 8), heads=2).eval()
    >>> output = student(torch.zeros(2, 16000))  # 98 frames of 10 ms, halved twice by the stem
    >>> output.logits.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 25, 16]))
    """

    example_options = {"dim": 32, "channels": [8, 16], "heads": 2, "halvings": 1}

    def __init__(
        self,
        num_classes: int,
        num_mels: int = 40,
        deltas: int = 1,
        channels: tuple[int, int] = (16, 32),
        dim: int = 128,
        frequency_depth: int = 1,
        depth: int = 1,
        halvings: int = 2,
        heads: int = 4,
        frequency_heads: int = 2,
        mlp_ratio: float = 2.0,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        masking: float = 0.1,
        normalize: str = "level",
    ):
        super().__init__(num_classes)
        _check_sizes(num_mels, channels, dim, heads, frequency_heads, depth, frequency_depth, halvings)
        _check_shares(dropout=dropout, stochastic_depth=stochastic_depth, masking=masking)
        self.planes = 1 + deltas
        self.masking = masking
        self.front_end = LogMel(num_mels=num_mels, deltas=deltas, normalize=normalize)
        # Brings slopes to the scale of energies; the first convolution scales anyway.
        self.input_norm = nn.BatchNorm1d(num_mels * self.planes, affine=False)
        widths = [self.planes, *channels]
        self.stem = nn.ModuleList(
            nn.ModuleList([DownConv(widths[i], widths[i + 1]), ConvBlock(widths[i + 1])]) for i in range(2)
        )
        # Branches are left out the more often the deeper they are: stochastic depth with a linear schedule.
        num_blocks = frequency_depth + depth * (2 * halvings + 1)
        rates = iter([stochastic_depth * (i + 1) / num_blocks for i in range(num_blocks)])

        def blocks(count, width=dim, heads=heads, mlp_ratio=mlp_ratio, neighbours=True):
            return nn.ModuleList(AttentionBlock(width, heads, mlp_ratio, next(rates), neighbours) for _ in range(count))

        num_bands = num_mels // 4
        self.band_embedding = nn.Parameter(0.02 * torch.randn(num_bands, channels[1]))
        self.frequency = blocks(frequency_depth, channels[1], frequency_heads, mlp_ratio / 2, neighbours=False)
        self.fuse = nn.Linear(num_bands * channels[1], dim, bias=False)
        self.fuse_norm = nn.BatchNorm1d(dim)
        self.encoder = nn.ModuleList(blocks(depth) for _ in range(halvings))
        self.down = nn.ModuleList(nn.Conv1d(dim, dim, 3, stride=2, padding=1) for _ in range(halvings))
        self.bottleneck = blocks(depth)
        self.up = nn.ModuleList(nn.Linear(dim, dim) for _ in range(halvings))
        self.decoder = nn.ModuleList(blocks(depth) for _ in range(halvings))
        self.norm = nn.BatchNorm1d(dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(3 * dim, num_classes)
        self.to(memory_format=torch.channels_last)  # as the maps are

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_valid = self.front_end(waveform, lengths)
        if lengths is None:
            num_valid = None  # nothing is padding, so nothing is masked
        layers = {}
        x = self._fused_bands(features, num_valid, layers)
        num_valid = halved(halved(num_valid))
        mask = frame_mask(num_valid, x.shape[1])
        frames = normalized(self.norm, self._encoded_and_decoded(x, num_valid, layers), mask)
        embedding = pooled(frames, mask)
        logits = self.classifier(self.dropout(embedding))
        return ModelOutput(logits, embedding, frames, layers, speech_share(mask))

    def _fused_bands(self, features: Tensor, num_valid: Tensor | None, layers: dict) -> Tensor:
        """Stem, attention over frequency, and fusing: [batch, T, planes * mels] -> [batch, T / 4, dim]."""
        mask = frame_mask(num_valid, features.shape[1])
        x = normalized(self.input_norm, features, mask)
        x = x.unflatten(-1, (self.planes, -1)).transpose(2, 3)  # [batch, T, mels, planes]
        if self.training and self.masking > 0:
            x = x * hidden_run(x, 1, self.masking) * hidden_run(x, 2, self.masking)
        for down, block in self.stem:
            num_valid = halved(num_valid)
            mask = frame_mask(num_valid, (x.shape[1] + 1) // 2)
            x = block(down(x, mask), mask)
        layers["stem"] = x.flatten(2)  # [batch, T / 4, bands * channels]
        frames_of_bands = (x + self.band_embedding).flatten(0, 1)  # every frame is a sequence of bands
        for block in self.frequency:
            frames_of_bands = block(frames_of_bands, None)
        x = frames_of_bands.reshape(layers["stem"].shape)
        layers["frequency"] = x
        return torch.relu(normalized(self.fuse_norm, self.fuse(x), mask))

    def _encoded_and_decoded(self, x: Tensor, num_valid: Tensor | None, layers: dict) -> Tensor:
        """The U of attention over time: [batch, T, dim] -> [batch, T, dim]."""
        skips = []
        for i, blocks in enumerate(self.encoder):
            mask = frame_mask(num_valid, x.shape[1])
            for block in blocks:
                x = block(x, mask)
            layers[f"encoder_{i}"] = x
            skips.append((x, mask))
            x = convolved(self.down[i], masked(x, mask))
            num_valid = halved(num_valid)
        mask = frame_mask(num_valid, x.shape[1])
        for block in self.bottleneck:
            x = block(x, mask)
        layers["bottleneck"] = x
        for i in reversed(range(len(self.decoder))):
            skip, mask = skips[i]
            x = skip + self.up[i](x).repeat_interleave(2, dim=1)[:, : skip.shape[1]]
            for block in self.decoder[i]:
                x = block(x, mask)
            layers[f"decoder_{i}"] = x
        return x


def _check_sizes(num_mels, channels, dim, heads, frequency_heads, depth, frequency_depth, halvings):
    if len(channels) != 2 or depth < 1 or frequency_depth < 0 or halvings < 0:
        raise ValueError(
            "hybrid_transformer needs two channels, depth >= 1, frequency_depth >= 0 and halvings >= 0, got "
            f"channels={list(channels)}, depth={depth}, frequency_depth={frequency_depth}, halvings={halvings}."
        )
    if num_mels % 4 or dim % heads or channels[1] % frequency_heads:
        raise ValueError(
            "num_mels must be a multiple of 4, dim one of heads, and channels[1] one of frequency_heads, got "
            f"num_mels={num_mels}, dim={dim}, heads={heads}, channels={list(channels)}, "
            f"frequency_heads={frequency_heads}."
        )


def _check_shares(**shares):
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be in [0, 1), got {share}.")
