"""Speech without some bands of frequency."""

import torch
from scipy.fft import next_fast_len
from speechbrain.processing.signal_processing import notch_filter
from torch import Tensor

from akd_toolkit.data.augment.base import WaveformAugmentation, check_count, check_number
from akd_toolkit.registry import AUGMENTATIONS

TAPS = 101


@AUGMENTATIONS.register("frequency_drop")
class FrequencyDrop(WaveformAugmentation):
    """Bands of the speech taken out at random frequencies.

    The filters are those of SpeechBrain's ``DropFreq`` (101 taps; at the very centre of a band some 10 dB of
    attenuation, beside it more). ``DropFreq`` itself draws the same bands for a whole batch; here each utterance has
    its own, and all filters of a batch are applied at once by FFT.

    Source: Ravanelli et al. 2021, "SpeechBrain: a general-purpose speech toolkit"; after the masked bands of Park et
    al. 2019 (SpecAugment), on the waveform.

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    most
        Bands of an utterance: from 1 to this many, >= 1.
    width
        How far a band reaches to either side, as a share of half the sampling rate, in [0.01, 0.2]; at 0.05 what is 3
        dB down is 900 Hz wide.

    Raises
    ------
    ValueError
        If an option is out of range.

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
    # Filters one after the other are a product of spectra; that of the longest chain still fits without wrapping round.
    reach = (TAPS - 1) * int(counts.max()) + 1
    size = next_fast_len(reach, real=True)
    chains = torch.stack([torch.fft.irfft(torch.fft.rfft(own, size).prod(dim=0), size) for own in rows])
    total = next_fast_len(waveforms.shape[1] + reach, real=True)
    filtered = torch.fft.irfft(torch.fft.rfft(waveforms, total) * torch.fft.rfft(chains[:, :reach], total), total)
    # Each filter delays by half its length.
    places = torch.arange(waveforms.shape[1]) + (TAPS // 2) * counts[:, None]
    return filtered.gather(1, places)
