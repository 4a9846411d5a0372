"""Steady noise of a random colour."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import FeatureAugmentation, check_number, check_range, uniform
from akd_toolkit.outputs import frame_mask
from akd_toolkit.registry import AUGMENTATIONS

SPREAD = 0.5  # nats; deviation of the logarithm of a band's noise power from frame to frame


@AUGMENTATIONS.register("mel_noise")
class MelNoise(FeatureAugmentation):
    """Noise added in the power domain, some way below the loud parts of the utterance.

    out[t, j] = log(exp(x[t, j]) + exp(loud - below + colour * (2 j / (bands - 1) - 1) + 0.5 n[t, j])),   n ~ N(0, 1)

    loud is the level that the loudest band of a frame exceeds in a tenth of the frames; ``below`` and colour are drawn
    for each utterance. Powers add, as those of independent sounds do on average.

    Source: the standard model of noisy log-spectra (Moreno 1996, "Speech recognition in noisy environments", ch. 4).

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    below
        Range of the distance from the loud cells, nats of power, [low, high] in [-5, 20]; 3.5 nats are 15 dB.
    colour
        Largest tilt of the noise at the outermost bands, nats, in [0, 10]; 0 is one power in all bands.

    Raises
    ------
    ValueError
        If an option is out of range.

    Example
    -------
    >>> noise = MelNoise(p=1.0, below=[0, 0], colour=0.0)
    >>> louder = noise(torch.zeros(1, 10, 4), torch.tensor([10]))[0]  # log(exp(0) + exp(0 + 0.5 n)) > 0
    >>> bool((louder > 0).all())
    True
    """

    def __init__(self, p: float = 0.5, below: tuple[float, float] = (3.5, 9.0), colour: float = 2.0):
        super().__init__(p)
        self.below = check_range("below", list(below), -5, 20)
        self.colour = check_number("colour", colour, 0, 10)

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        batch, total, bands = features.shape
        level = loud_level(features, num_frames) - uniform(*self.below, batch).to(features.device)
        tilt = uniform(-self.colour, self.colour, batch, 1) * torch.linspace(-1, 1, bands)
        noise = (tilt[:, None] + SPREAD * torch.randn(batch, total, bands)).to(features.device)
        return torch.logaddexp(features, level[:, None, None] + noise), num_frames


def loud_level(features: Tensor, num_frames: Tensor) -> Tensor:
    """The level that the loudest band of a frame exceeds in a tenth of the frames, [batch].

    Example
    -------
    >>> loud_level(torch.arange(10.0)[None, :, None], torch.tensor([10]))
    tensor([8.])
    """
    peaks = features.amax(dim=2).masked_fill(~frame_mask(num_frames, features.shape[1]), float("-inf"))
    rank = (num_frames // 10).clamp(min=0)  # frames above it
    return peaks.sort(dim=1, descending=True).values.gather(1, rank[:, None])[:, 0]
