"""Mel-frequency cepstral coefficients: the cosine transform of log-mels, again from operations on real numbers only."""

import math

import torch
from torch import Tensor, nn

from akd_toolkit.models.features.log_mel import LogMel


class MFCC(nn.Module):
    """Waveform to the lowest cepstral coefficients of its log-mel energies.

    mfcc[t, i] = sum_j sqrt((2 - [i = 0]) / M) cos(pi i (j + 1/2) / M) features[t, j],   M = num_mels

    Source: Davis & Mermelstein 1980. The transform is orthonormal, without liftering; with ``normalize="level"`` the
    mean of coefficient 0 over the utterance is 0, so that gain does not matter.

    Arguments
    ---------
    num_mfcc
        Coefficients kept, from number 0 on, 1 to ``num_mels``.
    num_mels
        Triangles of the log-mels.
    log_mel_options
        Any other of ``LogMel``'s, but for ``deltas``.

    Shape
    -----
    waveform: [batch, samples]. lengths: [batch], share of the samples that is speech, or None for all of it.
    Returns mfcc [batch, T, num_mfcc], 0 in frames that are padding, and the number of frames that are speech, [batch].

    Raises
    ------
    ValueError
        If more coefficients are requested than there are triangles, or ``LogMel`` refuses its options.

    Example
    -------
    >>> mfcc, num_frames = MFCC(num_mfcc=1, num_mels=4)(torch.zeros(1, 1600))
    >>> mfcc[0, 0]  # of silence, 4 * log(1e-10) / sqrt(4)
    tensor([-46.0517])
    """

    def __init__(self, num_mfcc: int = 40, num_mels: int = 64, **log_mel_options):
        super().__init__()
        if not 1 <= num_mfcc <= num_mels:
            raise ValueError(f"num_mfcc must be between 1 and num_mels = {num_mels}, got {num_mfcc}.")
        self.log_mel = LogMel(num_mels=num_mels, **log_mel_options)
        self.num_features = num_mfcc
        # Derived from the options, so it does not belong in a checkpoint.
        self.register_buffer("cosines", cosine_transform(num_mels, num_mfcc), persistent=False)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if torch.is_autocast_enabled(waveform.device.type):  # sums of many bands need single precision
            with torch.autocast(waveform.device.type, enabled=False):
                return self(waveform, lengths)
        features, num_frames = self.log_mel(waveform, lengths)
        return features @ self.cosines, num_frames


def cosine_transform(num_mels: int, num_mfcc: int) -> Tensor:
    """The first columns of the orthonormal cosine transform (DCT-II): [num_mels, num_mfcc].

    Example
    -------
    >>> cosine_transform(2, 2)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]])
    """
    bands = torch.arange(num_mels, dtype=torch.float64)[:, None] + 0.5
    columns = torch.arange(num_mfcc, dtype=torch.float64)
    scale = torch.where(columns == 0, 1.0, 2.0).div(num_mels).sqrt()
    return (scale * torch.cos(math.pi / num_mels * bands * columns)).float()
