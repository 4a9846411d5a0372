"""Speech made louder or quieter."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import WaveformAugmentation, check_range, uniform
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("random_gain")
class RandomGain(WaveformAugmentation):
    """Speech made louder or quieter by a random number of decibels, never beyond full scale.

    y = 10^(min(g, headroom) / 20) x,   headroom = -20 log10(peak of x), or 0 where the peak is above 1

    A front end that takes the mean level away (``normalize: level``, the default of most students) hears of it only
    near silence. Not SpeechBrain's ``RandAmp``, which draws the peak itself and not what it is multiplied with.

    Source: common practice, from no one paper.

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    gain_db
        [low, high], dB, in [-60, 40]; drawn evenly for each utterance.

    Raises
    ------
    ValueError
        If an option is out of range.

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
