"""LIGHT-SERNET: three parallel convolutions, then ever smaller maps; half a million parameters, no recurrence."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.mfcc import MFCC
from akd_toolkit.models.layers import halved, masked, normalized, normalized_channels_first, speech_mean, speech_share
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS


@STUDENTS.register("light_sernet")
class LightSernet(Student):
    """LIGHT-SERNET on MFCCs: a fully convolutional published baseline (micro: 0.46 M parameters).

    1. Three parallel convolutions read the MFCCs: 11 frames long, 9 coefficients wide, and 3 x 3.
    2. Blocks of convolution, batch norm, ReLU and average pooling make the map small and deep; the last looks at
       single points.
    3. The mean over the map is what the linear classifier reads.

    Source: Aftab, Morsali, Ghaemmaghami & Champagne 2022, "LIGHT-SERNET: A lightweight fully convolutional neural
    network for speech emotion recognition", ICASSP; sizes of its released model. The paper's 0.88 MB are two bytes for
    each of our 461,703 parameters (7 classes). Differs from the paper: the mean level of an utterance is taken from
    its MFCCs, which are then standardised over the corpus instead of clipped; padding is masked.

    Arguments (shared ones: ``Student``)
    ---------
    num_mfcc
        Cepstral coefficients, a multiple of 8.
    num_mels
        Log-mel bands of which they are the cosine transform, >= ``num_mfcc``.
    path_channels
        Channels of each of the three paths.
    channels
        Channels of the five blocks.

    Shape
    -----
    waveform: [batch, samples]. embedding: [batch, channels[4]]. layers: ``paths`` and ``block_0`` .. ``block_4``, each
    [batch, T, channels], the mean over the map's coefficients, with a frame for every 32, 64, 128, 256, 512 and 512 ms.
    frames: ``block_1``, because the last map is too coarse to be compared with a teacher's frames.

    Raises
    ------
    ValueError
        If ``num_mfcc`` is not a multiple of 8, or there are not five blocks.

    Example
    -------
    >>> student = LightSernet(num_classes=4, **LightSernet.example_options).eval()
    >>> output = student(torch.zeros(2, 48000))  # 184 frames of 16 ms, halved three times for the frames
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 16]), torch.Size([2, 23, 8]))
    """

    example_options = {
        "num_mfcc": 8,
        "num_mels": 40,
        "path_channels": 4,
        "channels": [8, 8, 8, 8, 16],
    }

    def __init__(
        self,
        num_classes: int,
        num_mfcc: int = 40,
        num_mels: int = 128,
        normalize: str = "level",
        path_channels: int = 32,
        channels: tuple[int, ...] = (64, 96, 128, 160, 320),
        dropout: float = 0.3,
    ):
        super().__init__(num_classes)
        if num_mfcc % 8 or len(channels) != 5:
            raise ValueError(
                f"light_sernet needs num_mfcc to be a multiple of 8, as three poolings halve it, and five channels, "
                f"got {num_mfcc} and {list(channels)}."
            )
        self.front_end = MFCC(
            num_mfcc, num_mels, window_ms=64.0, hop_ms=16.0, fmin_hz=80.0, fmax_hz=7600.0, normalize=normalize
        )
        self.input_norm = nn.BatchNorm1d(num_mfcc, affine=False)
        kernels = ((11, 1), (1, 9), (3, 3))  # frames, coefficients
        self.paths = nn.ModuleList(_Block(1, path_channels, kernel, (2, 2), bias=True) for kernel in kernels)
        widths = [3 * path_channels, *channels]
        # (frames, coefficients) pooled together after each block; the last reads single points and pools nothing.
        pools = ((2, 2), (2, 2), (2, 1), (2, 1), None)
        self.blocks = nn.ModuleList(
            _Block(widths[i], widths[i + 1], (3, 3) if pool else (1, 1), pool) for i, pool in enumerate(pools)
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1], num_classes)
        self.to(memory_format=torch.channels_last)  # trains faster on a CPU

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        return self.encode(features, None if lengths is None else num_frames)

    def encode(self, features: Tensor, num_frames: Tensor | None) -> ModelOutput:
        """The student behind its front end: MFCCs [batch, T, num_mfcc]; how many of T are speech, or None."""
        mask = frame_mask(num_frames, features.shape[1])
        x = normalized(self.input_norm, features, mask)[:, None]  # [batch, 1, T, mfcc]
        paths = [path(x, mask, num_frames) for path in self.paths]
        x, mask, num_frames = torch.cat([path[0] for path in paths], dim=1), *paths[0][1:]
        layers = {"paths": _over_coefficients(x)}
        for index, block in enumerate(self.blocks):
            x, mask, num_frames = block(x, mask, num_frames)
            layers[f"block_{index}"] = _over_coefficients(x)
            if index == 1:
                lengths = speech_share(mask)
        last = layers[f"block_{len(self.blocks) - 1}"]  # [batch, T / 32, channels[4]]
        embedding = speech_mean(last, mask)
        return ModelOutput(self.classifier(self.dropout(embedding)), embedding, layers["block_1"], layers, lengths)


class _Block(nn.Module):
    """Convolution, norm, ReLU and average pooling: [B, C, T, F] -> [B, C', ceil(T / pool), F / pool]."""

    def __init__(self, channels_in: int, channels_out: int, kernel, pool, bias: bool = False):
        super().__init__()
        self.pool = pool
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=bias)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor, mask: Tensor | None, num_frames: Tensor | None):
        x = F.relu(normalized_channels_first(self.norm, self.conv(x), mask))
        if self.pool is None:
            return x, mask, num_frames
        return pooled_map(x, self.pool, mask, num_frames)


def pooled_map(x: Tensor, pool: tuple[int, int], mask: Tensor | None, num_frames: Tensor | None):
    """Means of two frames, a last odd one unchanged; 0 in the padding: [B, C, T, F] -> [B, C, T / 2, F'].

    Also returns the mask and the number of frames that belong to the result.

    Example
    -------
    >>> x, mask = torch.tensor([2.0, 4.0, 6.0, 99.0]).reshape(1, 1, 4, 1), torch.tensor([[True, True, True, False]])
    >>> pooled_map(x, (2, 1), mask, torch.tensor([3]))[0].flatten()
    tensor([3., 6.])
    """
    if mask is None:
        return F.avg_pool2d(x, pool, ceil_mode=True), None, None
    x = F.avg_pool2d(masked(x, mask, time=2), pool, ceil_mode=True)
    share = F.avg_pool1d(mask[:, None].to(x.dtype), 2, ceil_mode=True)[:, :, :, None]  # 1, 1/2 or 0
    num_frames = halved(num_frames)
    return x / share.clamp(min=0.5), frame_mask(num_frames, x.shape[2]), num_frames


def _over_coefficients(x: Tensor) -> Tensor:
    return x.mean(dim=3).transpose(1, 2)  # [batch, T, channels]
