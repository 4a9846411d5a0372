"""Changes of level, speed and spectrum of the waveform, and dropped samples."""

import torch
from scipy.fft import next_fast_len
from speechbrain.augment.time_domain import DropChunk, SpeedPerturb
from speechbrain.processing.signal_processing import notch_filter
from torch import Tensor

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ
from akd_toolkit.data.augment.base import WaveformAugmentation, check_count, check_number, check_range, uniform
from akd_toolkit.registry import AUGMENTATIONS

TAPS = 101  # of a filter of ``FrequencyDrop``


@AUGMENTATIONS.register("random_gain")
class RandomGain(WaveformAugmentation):
    """Speech made louder or quieter by a random gain, never beyond full scale.

    y = 10^(min(g, headroom) / 20) x,   headroom = -20 log10(peak of x), or 0 where the peak is above 1

    A front end that removes the mean level (``normalize: level``, the default of most students) only notices it near
    silence. SpeechBrain's ``RandAmp`` draws the peak instead of the gain.

    Source: common practice, from no one paper.

    Arguments
    ---------
    gain_db
        [low, high], dB, in [-60, 40]; drawn uniformly for each utterance.

    Example
    -------
    >>> RandomGain(p=1.0, gain_db=[-20, -20])(torch.tensor([[0.5, -1.0]]), torch.tensor([2]))[0]
    tensor([[ 0.0500, -0.1000]])
    """

    def __init__(self, p: float = 0.5, gain_db: list[float] = (-12.0, 6.0)):
        super().__init__(p)
        self.gain_db = check_range("gain_db", gain_db, -60, 40)

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        gain = 10 ** (uniform(*self.gain_db, len(waveforms), 1) / 20)
        peak = waveforms.abs().amax(dim=1, keepdim=True)
        headroom = (1 / peak.clamp(min=1e-9)).clamp(min=1)
        return waveforms * torch.minimum(gain, headroom), num_samples


@AUGMENTATIONS.register("speed_change")
class SpeedChange(WaveformAugmentation):
    """Speech played at one of several speeds: pitch and formants move with it.

    y(t) = x(speed t), so that n samples become ceil(100 n / speed), with speed in percent

    Resampling is SpeechBrain's ``SpeedPerturb``, which draws one speed per batch; here each utterance has its own. At a
    speed under 100 a window becomes longer than ``window_s``. An utterance that would become shorter than 0.1 s is not
    changed.

    Source: Ko, Peddinti, Povey & Khudanpur 2015, "Audio augmentation for speech recognition".

    Arguments
    ---------
    speeds
        Speeds to choose from, percent, whole numbers from 50 to 200.

    Example
    -------
    >>> waveforms, num_samples = SpeedChange(p=1.0, speeds=[80])(torch.ones(1, 16000), torch.tensor([16000]))
    >>> waveforms.shape, num_samples  # 16000 / 0.8
    (torch.Size([1, 20000]), tensor([20000]))
    """

    def __init__(self, p: float = 0.5, speeds: list[int] = (90, 95, 105, 110)):
        super().__init__(p)
        if not isinstance(speeds, list | tuple) or not speeds or any(not isinstance(speed, int) for speed in speeds):
            raise ValueError(f"speeds must be a list of percents, such as [90, 110], got {speeds!r}.")
        self.speeds = torch.tensor([check_number("speeds: each", speed, 50, 200) for speed in speeds])
        self.perturb = {speed: SpeedPerturb(SAMPLE_RATE_HZ, [speed]) for speed in self.speeds.tolist()}

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        speeds = self.speeds[torch.randint(len(self.speeds), (len(waveforms),))]
        counts = torch.ceil(100 * num_samples / speeds).long()
        short = counts < MIN_SAMPLES
        speeds, counts = speeds.masked_fill(short, 100), torch.where(short, num_samples, counts)
        out = waveforms.new_zeros(len(waveforms), int(counts.max()))
        for speed in speeds.unique().tolist():
            rows = speeds == speed
            sound = waveforms[rows] if speed == 100 else self.perturb[speed](waveforms[rows])
            width = min(sound.shape[1], out.shape[1])
            out[rows, :width] = sound[:, :width]
        return out, counts


@AUGMENTATIONS.register("chunk_drop")
class ChunkDrop(WaveformAugmentation):
    """Short parts of the speech set to zero: SpeechBrain's ``DropChunk``.

    Source: Ravanelli et al. 2021, "SpeechBrain: a general-purpose speech toolkit"; after the masked frames of Park et
    al. 2019 (SpecAugment), on the waveform.

    Arguments
    ---------
    most
        An utterance loses 1 to this many parts, >= 1.
    chunk_ms
        [low, high] of a part's length, ms, in [1, 1000].

    Example
    -------
    >>> dropped, _ = ChunkDrop(p=1.0, most=1, chunk_ms=[100, 100])(torch.ones(1, 16000), torch.tensor([16000]))
    >>> int((dropped == 0).sum())  # 100 ms
    1600
    """

    def __init__(self, p: float = 0.5, most: int = 3, chunk_ms: list[float] = (10.0, 60.0)):
        super().__init__(p)
        shortest, longest = check_range("chunk_ms", chunk_ms, 1, 1000)
        self.drop = DropChunk(
            drop_length_low=round(shortest * SAMPLE_RATE_HZ / 1000),
            drop_length_high=round(longest * SAMPLE_RATE_HZ / 1000),
            drop_count_low=1,
            drop_count_high=check_count("most", most, 1),
        )

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        return self.drop(waveforms, num_samples / waveforms.shape[1]), num_samples


@AUGMENTATIONS.register("frequency_drop")
class FrequencyDrop(WaveformAugmentation):
    """Bands removed at random frequencies.

    The filters are those of SpeechBrain's ``DropFreq`` (101 taps), which draws the same bands for a whole batch; here
    each utterance has its own, and all filters of a batch are applied at once by FFT.

    Source: Ravanelli et al. 2021, "SpeechBrain: a general-purpose speech toolkit"; after the masked bands of Park et
    al. 2019 (SpecAugment), on the waveform.

    Arguments
    ---------
    most
        An utterance loses 1 to this many bands, >= 1.
    width
        Half the width of a band, as a share of half the sampling rate, in [0.01, 0.2]; 0.05 removes 900 Hz (at -3 dB).

    Example
    -------
    >>> _ = torch.manual_seed(0)
    >>> noise = torch.randn(1, 16000)
    >>> dropped, _ = FrequencyDrop(p=1.0, most=1, width=0.2)(noise, torch.tensor([16000]))
    >>> bool(dropped.square().sum() < 0.95 * noise.square().sum())
    True
    """

    def __init__(self, p: float = 0.5, most: int = 3, width: float = 0.05):
        super().__init__(p)
        self.most = check_count("most", most, 1)
        self.width = check_number("width", width, 0.01, 0.2)

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        centres = torch.rand(len(waveforms), self.most).clamp(min=1e-3)  # shares of half the sampling rate
        counts = torch.randint(1, self.most + 1, (len(waveforms),))
        return without_bands(waveforms, centres, counts, self.width), num_samples


def without_bands(waveforms: Tensor, centres: Tensor, counts: Tensor, width: float) -> Tensor:
    """Waveforms [batch, samples] without the bands around the first ``counts`` [batch] of ``centres`` [batch, most]."""
    rows = [
        torch.stack([notch_filter(centre, TAPS, width).flatten() for centre in own[:count]])
        for own, count in zip(centres, counts.tolist())
    ]
    # A chain of filters is a product of spectra; the FFT is long enough for the longest chain.
    reach = (TAPS - 1) * int(counts.max()) + 1
    size = next_fast_len(reach, real=True)
    chains = torch.stack([torch.fft.irfft(torch.fft.rfft(own, size).prod(dim=0), size) for own in rows])
    total = next_fast_len(waveforms.shape[1] + reach, real=True)
    filtered = torch.fft.irfft(torch.fft.rfft(waveforms, total) * torch.fft.rfft(chains[:, :reach], total), total)
    places = torch.arange(waveforms.shape[1]) + (TAPS // 2) * counts[:, None]  # each filter delays by half its length
    return filtered.gather(1, places)
