"""The log-mel front end of Whisper, computed inside the model's own graph."""

import math

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import check_waveform
from akd_toolkit.outputs import frame_mask

WINDOW = 400  # samples, 25 ms at 16 kHz
HOP = 160  # samples, 10 ms
MIN_SAMPLES = 1600  # 0.1 s
LN10 = math.log(10)


class WhisperLogMel(nn.Module):
    """Log-mel energies with Whisper's numbers, for waveforms of any length.

    mel[b, m, t] = max(x, max_over_m_t(x) - 8) / 4 + 1,   x = log10(max(energy[b, m, t], 1e-10))

    The DFT is a convolution, so that the whole chain exports to ONNX in real arithmetic, and every utterance
    is mirrored at its own end and clamped below its own maximum: its padding changes nothing.

    Source: Radford et al. 2022, section 2.2. Differs from the published extractor: nothing is padded to 30 s,
    and the filter bank is Slaney's (triangles of equal area on Slaney's mel scale) by its closed form.

    Arguments
    ---------
    num_mels
        Number of mel bands: 80, or 128 for the third large Whisper.

    Shape
    -----
    waveform: [batch, samples], 16 kHz, in [-1, 1], at least 1600 samples (0.1 s). num_samples: [batch], the
    samples that are not padding. Returns the energies [batch, num_mels, samples // 160] in about [-1, 2], 0
    in the padding, and the number of frames that are not padding, [batch].

    Example
    -------
    >>> mel, num_frames = WhisperLogMel()(torch.zeros(1, 1600), torch.tensor([1600]))
    >>> mel.shape, num_frames, float(mel.max())  # log10(1e-10) / 4 + 1
    (torch.Size([1, 80, 10]), tensor([10]), -1.5)
    """

    def __init__(self, num_mels: int = 80):
        super().__init__()
        self.changes: tuple = ()  # augmentations of a training, on natural logarithms of powers
        # Derived from formulas alone, so they need no place in a checkpoint.
        self.register_buffer("dft", dft_kernels(WINDOW), persistent=False)
        self.register_buffer("filters", slaney_filters(num_mels, WINDOW).float(), persistent=False)

    def of_batch(self, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Energies of waveforms [batch, samples] with relative lengths; in full precision under autocast."""
        check_waveform(waveform)
        samples = waveform.shape[1]
        if lengths is None:
            num_samples = torch.full_like(waveform[:, 0], samples, dtype=torch.long)
        else:
            # A relative length came from a division: round, never cut.
            num_samples = (lengths * samples).round().long()
        if torch.is_autocast_enabled(waveform.device.type):
            with torch.autocast(waveform.device.type, enabled=False):
                return self(waveform.float(), num_samples)
        return self(waveform, num_samples)

    def forward(self, waveform: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = nn.functional.conv1d(mirrored(waveform, num_samples)[:, None], self.dft, stride=HOP)
        # The extractor drops its last frame, which lies half beyond the end.
        real, imaginary = spectrum[:, :, :-1].chunk(2, dim=1)
        energy = self.filters @ (real.square() + imaginary.square())  # [batch, mels, frames]
        log_energy = energy.clamp(min=1e-10).log10()
        num_frames = num_samples // HOP
        if self.training and self.changes:
            nats = log_energy.transpose(1, 2) * LN10
            for change in self.changes:
                nats, num_frames = change(nats, num_frames)
            log_energy = nats.transpose(1, 2) / LN10
        valid = frame_mask(num_frames, log_energy.shape[-1])[:, None]
        loudest = torch.where(valid, log_energy, -10.0).amax(dim=(1, 2), keepdim=True)
        return torch.where(valid, torch.maximum(log_energy, loudest - 8) / 4 + 1, 0.0), num_frames


def mirrored(waveform: Tensor, num_samples: Tensor) -> Tensor:
    """Extend each utterance by half a window on both sides, mirrored at its own first and last sample.

    Example
    -------
    >>> mirrored(torch.arange(400.0)[None], torch.tensor([400]))[0, [0, 199, 200, 599, 600, 799]]
    tensor([200.,   1.,   0., 399., 398., 199.])
    """
    samples = torch.arange(-(WINDOW // 2), waveform.shape[1] + WINDOW // 2, device=waveform.device).abs()
    last = num_samples[:, None] - 1
    index = torch.where(samples <= last, samples, 2 * last - samples).clamp(min=0)
    return waveform.gather(1, index)


def dft_kernels(size: int) -> Tensor:
    """Hann-windowed cosines and sines: kernels [2 * (size // 2 + 1), 1, size], real parts first.

    Example
    -------
    >>> dft_kernels(4)[2, 0].tolist()  # window 0, 1/2, 1, 1/2 times the cosine of two periods, 1, -1, 1, -1
    [0.0, -0.5, 1.0, -0.5]
    """
    time = torch.arange(size, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * time / size)
    # Exact multiples keep the cosine of a right angle at 1e-16 rather than 1e-13.
    turns = (torch.arange(size // 2 + 1)[:, None] * torch.arange(size)) % size
    phase = 2 * torch.pi * turns.double() / size
    return (torch.cat([phase.cos(), -phase.sin()]) * window).float()[:, None]


def slaney_filters(num_mels: int, size: int, sample_rate_hz: int = 16000) -> Tensor:
    """Slaney's triangular filters: [num_mels, size // 2 + 1], each of area 1 over frequency in Hz.

    Slaney's mel scale is linear below 1 kHz (15 mel there, 66.7 Hz each) and logarithmic above (27 mel for a
    factor of 6.4).

    Example
    -------
    >>> filters = slaney_filters(80, 400)
    >>> filters.shape, int(filters[10].argmax()) * 40  # Hz; band 11 of 81 on the scale
    (torch.Size([80, 201]), 400)
    """
    log_step = torch.log(torch.tensor(6.4, dtype=torch.float64)) / 27
    top = 15 + torch.log(torch.tensor(sample_rate_hz / 2 / 1000, dtype=torch.float64)) / log_step
    mels = torch.linspace(0, 1, num_mels + 2, dtype=torch.float64) * top
    edges = torch.where(mels < 15, mels * 200 / 3, 1000 * torch.exp(log_step * (mels - 15)))
    bins = torch.linspace(0, sample_rate_hz / 2, size // 2 + 1, dtype=torch.float64)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0)
    return triangles * 2 / (high - low)
