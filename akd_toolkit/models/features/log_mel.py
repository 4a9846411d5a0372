"""Log-mel energies from operations on real numbers only, so that the front end can be exported with the student."""

import math

import torch
from torch import Tensor, nn

from akd_toolkit.models.features.power import power_of
from akd_toolkit.models.layers import masked
from akd_toolkit.outputs import frame_mask

NORMALIZATIONS = ("none", "level", "mean")
_DELTA_REACH = 2  # frames to either side of the one whose slope is estimated
_ACTIVE_NATS = 3 * math.log(10)  # 30 dB
_SILENCE = 1e-10  # keeps the logarithm of digital silence finite; far below one step of 16-bit sound


class LogMel(nn.Module):
    """Waveform to log-mel energies, with slopes and normalisation over the utterance as options.

    power[t, k] = |sum_n hann[n] x[t * hop + n] exp(-2 pi i k n / window)|^2
    energy[t, j] = sum_k mel[k, j] power[t, k]
    features[t, j] = log(max(energy[t, j] + floor * max_{t, j} energy, 1e-10))
    slope[t] = sum_{n=1,2} n (x[t + n] - x[t - n]) / 10, the frames beyond either end being copies of the end

    Source: mel scale 2595 log10(1 + f / 700) and slopes of the HTK book (Young et al. 2006, sections 5.4 and
    5.9); the triangles have height 1. Frames are not centred: frame t covers samples t * hop to t * hop + window, so
    padding at the end of a batch reaches no frame that is counted.

    While it trains the module uses an FFT; in evaluation and in an exported file products with cosines and sines
    (``power.py``), which need no complex numbers and leave out the bins that no triangle reads. Both give the same
    numbers to 1e-4.

    Arguments
    ---------
    num_mels
        Triangles between ``fmin_hz`` and ``fmax_hz``.
    window_ms, hop_ms
        Length of a frame and distance between frames, milliseconds.
    fmin_hz, fmax_hz
        Edges of the lowest and of the highest triangle, 0 <= fmin_hz < fmax_hz <= half the rate.
    deltas
        0: energies alone; 1: with their slopes; 2: with the slopes of the slopes too.
    normalize
        ``"none"``; ``"level"``: the mean over all bands and the active frames is subtracted, so that gain does not
        matter; ``"mean"``: every band's own mean over the active frames is, so that neither do microphone and timbre.
        Active frames are those whose loudest band lies within 30 dB of the loudest cell: silence before, between and
        after words does not shift the speech.
    floor
        Smallest energy that is distinguished from none, as a share of the loudest cell of the utterance, in (0, 1);
        1e-8 is 80 dB. Below that, float32 rounding of the FFT and of the products differs.
    sample_rate_hz
        Of the waveform.

    Shape
    -----
    waveform: [batch, samples]. lengths: [batch], share of the samples that is speech, or None for all of it.
    Returns features [batch, T, num_mels * (1 + deltas)], 0 in frames that are padding, with
    T = 1 + (samples - window) // hop, and the number of frames that are speech, [batch], integers >= 1.

    Raises
    ------
    ValueError
        If an option is out of range, or the waveform is not [batch, samples] or is shorter than one window.

    Example
    -------
    >>> features, num_frames = LogMel(num_mels=40)(torch.ones(2, 16000), torch.tensor([1.0, 0.5]))
    >>> features.shape, num_frames  # 1 + (16000 - 400) // 160 and 1 + (8000 - 400) // 160
    (torch.Size([2, 98, 40]), tensor([98, 48]))
    """

    version = 2  # of what it computes; saved with a student, because weights fit one version alone

    def __init__(
        self,
        num_mels: int = 64,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        fmin_hz: float = 50.0,
        fmax_hz: float = 8000.0,
        deltas: int = 0,
        normalize: str = "none",
        floor: float = 1e-8,
        sample_rate_hz: int = 16000,
    ):
        super().__init__()
        _check_options(num_mels, deltas, normalize, floor)
        _check_frequencies(window_ms, hop_ms, fmin_hz, fmax_hz, sample_rate_hz)
        self.num_mels = num_mels
        self.deltas = deltas
        self.normalize = normalize
        self.floor = floor
        self.sample_rate_hz = sample_rate_hz
        self.window = round(window_ms * sample_rate_hz / 1000)  # samples
        self.hop = round(hop_ms * sample_rate_hz / 1000)  # samples
        self.num_features = num_mels * (1 + deltas)
        self.changes: tuple = ()  # augmentations of a training, (energies, num_frames) -> the same
        num_bins = self.window // 2 + 1
        if num_mels <= num_bins:  # more bands than bins cannot all have one, and their table may not fit into memory
            mel = mel_triangles(num_mels, num_bins, fmin_hz, fmax_hz, sample_rate_hz)
        if num_mels > num_bins or not mel.any(dim=0).all():
            raise ValueError(
                f"num_mels {num_mels} leaves bands without a frequency at a window of {window_ms:g} ms; lower num_mels "
                "or raise window_ms."
            )
        used = mel.any(dim=1).nonzero()  # bins that at least one triangle reads
        self.first_bin, self.last_bin = int(used.min()), int(used.max()) + 1
        # Derived from the options, so none of them belongs into a checkpoint.
        self.register_buffer("hann", torch.hann_window(self.window), persistent=False)
        self.register_buffer("mel", mel[self.first_bin : self.last_bin].contiguous(), persistent=False)
        self.power = power_of(self.window, self.hop, self.first_bin, self.last_bin)
        self.register_buffer("ordered_mel", self.mel[self.power.order - self.first_bin], persistent=False)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if torch.is_autocast_enabled(waveform.device.type):  # powers span more digits than half precision has
            with torch.autocast(waveform.device.type, enabled=False):
                return self(waveform, lengths)
        _check_waveform(waveform, self.window)
        num_frames = self.count_frames(waveform, lengths)
        energies = self._energies(waveform, num_frames, padded=lengths is not None)  # [batch, T, num_mels]
        floor = self.floor * energies.amax(dim=(1, 2), keepdim=True)
        features = torch.log((energies + floor).clamp(min=_SILENCE))
        if self.training:
            for change in self.changes:
                features, num_frames = change(features, num_frames)
        mask = None if lengths is None else frame_mask(num_frames, features.shape[1])[..., None]
        features = self._normalized(features, mask)
        stack = [features]
        for _ in range(self.deltas):
            stack.append(slopes(stack[-1], num_frames))
        features = torch.cat(stack, dim=-1) if self.deltas else features
        return (features if mask is None else features * mask), num_frames

    def count_frames(self, waveform: Tensor, lengths: Tensor | None) -> Tensor:
        """Frames of each utterance that contain no padding, [batch]; at least 1."""
        batch, num_samples = waveform.shape
        if lengths is None:
            total = 1 + (num_samples - self.window) // self.hop
            return torch.full((batch,), total, dtype=torch.long, device=waveform.device)
        valid = (lengths * num_samples).round().long()
        return (1 + torch.div(valid - self.window, self.hop, rounding_mode="floor")).clamp(min=1)

    def _energies(self, waveform: Tensor, num_frames: Tensor, padded: bool) -> Tensor:
        """Power in each triangle, 0 in frames that are padding: [batch, T, num_mels]."""
        if not self.training or _in_export():
            energies = self.power(waveform) @ self.ordered_mel
            return masked(energies, frame_mask(num_frames, energies.shape[1])) if padded else energies
        frames = waveform.unfold(1, self.window, self.hop)  # [batch, T, window]
        total, energies = frames.shape[1], []
        for own, count in zip(frames, num_frames.tolist()):  # one utterance at a time stays in the cache
            bins = torch.fft.rfft(own[:count] * self.hann)[:, self.first_bin : self.last_bin]
            power = (bins.real.square() + bins.imag.square()) @ self.mel
            energies.append(nn.functional.pad(power, (0, 0, 0, total - count)))
        return torch.stack(energies)

    def _normalized(self, features: Tensor, mask: Tensor | None) -> Tensor:
        if self.normalize == "none":
            return features
        level = features.amax(dim=2, keepdim=True)  # the loudest band of each frame, [batch, T, 1]
        if mask is not None:
            level = level.masked_fill(~mask, float("-inf"))
        active = (level > level.amax(dim=1, keepdim=True) - _ACTIVE_NATS).to(features.dtype)
        mean = (features * active).sum(dim=1, keepdim=True) / active.sum(dim=1, keepdim=True)  # [batch, 1, num_mels]
        if self.normalize == "level":
            mean = mean.mean(dim=-1, keepdim=True)
        return features - mean


def mel_triangles(num_mels: int, num_bins: int, fmin_hz: float, fmax_hz: float, sample_rate_hz: int) -> Tensor:
    """Triangles of height 1, evenly spaced on the mel scale: [num_bins, num_mels].

    Example
    -------
    >>> mel_triangles(1, 5, 0.0, 8000.0, 16000).argmax(dim=0)  # 1767 Hz, in mel halfway, is next to 2000 Hz
    tensor([1])
    """
    edges_mel = torch.linspace(_hz_to_mel(fmin_hz), _hz_to_mel(fmax_hz), num_mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)  # Hz
    bins = torch.linspace(0, sample_rate_hz / 2, num_bins, dtype=torch.float64)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def slopes(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Slope over five frames, the end frames being repeated: [batch, T, D] -> [batch, T, D].

    Example
    -------
    >>> slopes(torch.tensor([[[0.0], [1.0], [2.0], [3.0], [4.0]]]), torch.tensor([5]))[0, :, 0]
    tensor([0.5000, 0.8000, 1.0000, 0.8000, 0.5000])
    """
    positions = torch.arange(frames.shape[1], device=frames.device)[None]  # [1, T]
    last = (num_frames - 1)[:, None]
    total = torch.zeros_like(frames)
    for reach in range(1, _DELTA_REACH + 1):
        later = torch.minimum(positions + reach, last)  # [batch, T]
        earlier = torch.minimum((positions - reach).clamp(min=0), last)
        total = total + reach * (_take(frames, later) - _take(frames, earlier))
    return total / (2 * sum(reach**2 for reach in range(1, _DELTA_REACH + 1)))


def _take(frames: Tensor, positions: Tensor) -> Tensor:
    return frames.gather(1, positions[..., None].expand(-1, -1, frames.shape[2]))


def _hz_to_mel(frequency_hz: float) -> float:
    return 2595 * math.log10(1 + frequency_hz / 700)


def _in_export() -> bool:
    return torch.jit.is_tracing() or torch.compiler.is_exporting()


def _check_waveform(waveform: Tensor, window: int) -> None:
    if waveform.dim() != 2:
        raise ValueError(f"waveform must be [batch, samples], got {list(waveform.shape)}; add or drop an axis.")
    if not _in_export() and waveform.shape[1] < window:
        raise ValueError(
            f"waveform has {waveform.shape[1]} samples, fewer than one window of {window}; pad it or leave it out."
        )


def _check_options(num_mels: int, deltas: int, normalize: str, floor: float) -> None:
    if num_mels < 1:
        raise ValueError(f"num_mels must be >= 1, got {num_mels}.")
    if deltas not in (0, 1, 2):
        raise ValueError(f"deltas must be 0, 1 or 2, got {deltas}.")
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {', '.join(NORMALIZATIONS)}, got '{normalize}'.")
    if not 0 < floor < 1:
        raise ValueError(f"floor must be in (0, 1), a share of the loudest cell, got {floor}.")


def _check_frequencies(window_ms: float, hop_ms: float, fmin_hz: float, fmax_hz: float, sample_rate_hz: int) -> None:
    if window_ms <= 0 or hop_ms <= 0:
        raise ValueError(f"window_ms and hop_ms must be > 0, got {window_ms} and {hop_ms}.")
    if not 0 <= fmin_hz < fmax_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"need 0 <= fmin_hz < fmax_hz <= {sample_rate_hz / 2:g} Hz (half the rate), "
            f"got {fmin_hz:g} and {fmax_hz:g}."
        )
