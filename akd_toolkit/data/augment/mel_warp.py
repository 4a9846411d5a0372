"""Another length of the vocal tract."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import FeatureAugmentation, check_number, uniform
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("mel_warp")
class MelWarp(FeatureAugmentation):
    """The mel axis stretched and shifted, as between speakers with vocal tracts of different lengths.

    out[t, j] = x[t, factor * j + shift], linear between bands, the outermost bands repeated beyond the edges

    factor = exp(u), u uniform in [-stretch, stretch]; shift uniform in [-shift, shift]; both drawn for each utterance.

    Source: Jaitly & Hinton 2013, "Vocal tract length perturbation improves speech recognition"; linear in the band's
    number here, which costs one small matrix product.

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    stretch
        Largest logarithm of the factor, in [0, 0.5].
    shift
        Largest shift, bands, in [0, 20].

    Raises
    ------
    ValueError
        If an option is out of range.

    Example
    -------
    >>> warp_matrix(torch.tensor([1.0]), torch.tensor([0.5]), bands=3)[0]  # band j of the result, from bands i
    tensor([[0.5000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.0000, 0.5000, 1.0000]])
    """

    def __init__(self, p: float = 1.0, stretch: float = 0.12, shift: float = 1.5):
        super().__init__(p)
        self.stretch = check_number("stretch", stretch, 0, 0.5)
        self.shift = check_number("shift", shift, 0, 20)

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, bands = features.shape
        factor = uniform(-self.stretch, self.stretch, batch).exp()
        matrix = warp_matrix(factor, uniform(-self.shift, self.shift, batch), bands)
        return features @ matrix.to(features.device), num_frames


def warp_matrix(factor: Tensor, shift: Tensor, bands: int) -> Tensor:
    """Weight of input band i in output band j, [batch, i, j]."""
    places = torch.arange(bands, dtype=torch.float)
    source = (factor[:, None] * places + shift[:, None]).clamp(0, bands - 1)  # [batch, j]
    return (1 - (source[:, None, :] - places[:, None]).abs()).clamp(min=0)
