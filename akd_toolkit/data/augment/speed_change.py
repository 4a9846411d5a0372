"""Speech played faster or slower."""

import torch
from speechbrain.augment.time_domain import SpeedPerturb
from torch import Tensor

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ
from akd_toolkit.data.augment.base import WaveformAugmentation, check_number
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("speed_change")
class SpeedChange(WaveformAugmentation):
    """Speech played at one of several speeds: pitch and formants move with it, as between speakers.

    y(t) = x(speed t), so that n samples become ceil(100 n / speed), with speed in percent

    The resampling is SpeechBrain's ``SpeedPerturb``, which draws one speed a batch; here each utterance has its own. At
    a speed under 100 a window grows beyond the recipe's ``window_s``. An utterance that would fall under 0.1 s is left
    as it is.

    Source: Ko, Peddinti, Povey & Khudanpur 2015, "Audio augmentation for speech recognition".

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    speeds
        Speeds to choose from, percent, whole numbers from 50 to 200.

    Raises
    ------
    ValueError
        If an option is out of range, or there is no speed.

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
        self.speeds = torch.tensor([check_number("a speed of speeds", speed, 50, 200) for speed in speeds])
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
