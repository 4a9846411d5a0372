"""Another tempo, at the same pitch."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import FeatureAugmentation, check_number, uniform
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("mel_tempo")
class MelTempo(FeatureAugmentation):
    """Speech made faster or slower; pitch and formants stay.

    out[t] = x[factor * t], linear between frames, for t up to (frames - 1) / factor

    factor = exp(u), u uniform in [-stretch, stretch], drawn for each utterance.

    Source: the tempo perturbation of Ko et al. 2015, "Audio augmentation for speech recognition", on frames.

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    stretch
        Largest logarithm of the factor, in [0, 0.7].

    Raises
    ------
    ValueError
        If an option is out of range.

    Example
    -------
    >>> frames = torch.tensor([0.0, 2.0, 4.0, 6.0])[None, :, None]
    >>> at_tempo(frames, torch.tensor([4]), torch.tensor([0.5]))[0].flatten()
    tensor([0., 1., 2., 3., 4., 5., 6.])
    """

    def __init__(self, p: float = 1.0, stretch: float = 0.16):
        super().__init__(p)
        self.stretch = check_number("stretch", stretch, 0, 0.7)

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        factor = uniform(-self.stretch, self.stretch, len(features)).exp()
        return at_tempo(features, num_frames, factor.to(features.device))


def at_tempo(features: Tensor, num_frames: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Frames [batch, T, bands] read ``factor`` times as fast, and their numbers, [batch]."""
    counts = 1 + ((num_frames - 1) / factor).floor().long()
    last = (num_frames - 1)[:, None]
    places = torch.arange(int(counts.max()), device=features.device) * factor[:, None]  # [batch, T']
    below = torch.minimum(places.floor().long(), last)
    share = (places - below).clamp(0, 1)[..., None]
    index = below[..., None].expand(-1, -1, features.shape[2])
    above = torch.minimum(below + 1, last)[..., None].expand(-1, -1, features.shape[2])
    return torch.lerp(features.gather(1, index), features.gather(1, above), share), counts
