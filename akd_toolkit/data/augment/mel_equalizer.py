"""Another microphone, room or telephone: a smooth filter."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import FeatureAugmentation, check_number, uniform
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("mel_equalizer")
class MelEqualizer(FeatureAugmentation):
    """A tilt over all bands and one bump, the same in every frame of an utterance.

    out[t, j] = x[t, j] + tilt * (2 j / (bands - 1) - 1) + bump * exp(-(j - centre)^2 / (2 width^2))

    tilt uniform in [-tilt, tilt], bump in [-bump, bump], centre over all bands, width from 1/16 to 1/4 of the bands.

    Source: a filter is a sum in the logarithm; ranges of a few decibels a band follow FilterAugment (Nam et al. 2022).

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    tilt
        Largest change at the outermost bands, nats of power, in [0, 10]; 1.2 nats are 5.2 dB.
    bump
        Largest height of the bump, nats of power, in [0, 10].

    Raises
    ------
    ValueError
        If an option is out of range.

    Example
    -------
    >>> flat = MelEqualizer(tilt=1.0, bump=0.0)
    >>> curve = flat.change(torch.zeros(1, 2, 3), torch.tensor([2]))[0][0]
    >>> bool(curve[0, 1] == 0), bool(curve[0, 0] == -curve[0, 2]), torch.equal(curve[0], curve[1])
    (True, True, True)
    """

    def __init__(self, p: float = 1.0, tilt: float = 1.2, bump: float = 1.3):
        super().__init__(p)
        self.tilt = check_number("tilt", tilt, 0, 10)
        self.bump = check_number("bump", bump, 0, 10)

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, bands = features.shape
        places = torch.linspace(-1, 1, bands)
        centre, width = uniform(-1, 1, batch, 1), uniform(1 / 8, 1 / 2, batch, 1)
        curve = uniform(-self.tilt, self.tilt, batch, 1) * places
        curve = curve + uniform(-self.bump, self.bump, batch, 1) * (-((places - centre) / width).square() / 2).exp()
        return features + curve[:, None].to(features.device), num_frames
