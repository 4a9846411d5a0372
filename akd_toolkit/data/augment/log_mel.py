"""Changes of the log-mel energies inside a student's front end, and masks over them (SpecAugment)."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import FeatureAugmentation, check_count, check_number, check_range, uniform
from akd_toolkit.outputs import frame_mask
from akd_toolkit.registry import AUGMENTATIONS

SPREAD = 0.5  # nats; standard deviation of the log power of a noise band from frame to frame


@AUGMENTATIONS.register("mel_warp")
class MelWarp(FeatureAugmentation):
    """The mel axis stretched and shifted, as between speakers with vocal tracts of different lengths.

    out[t, j] = x[t, factor * j + shift], linear between bands, the outermost bands repeated beyond the edges

    factor = exp(u), u uniform in [-stretch, stretch]; shift uniform in [-shift, shift]; both drawn for each utterance.

    Source: Jaitly & Hinton 2013, "Vocal tract length perturbation improves speech recognition"; linear in the band
    number here, which costs one small matrix product.

    Arguments
    ---------
    stretch
        Largest logarithm of the factor, in [0, 0.5].
    shift
        Largest shift, bands, in [0, 20].

    Example
    -------
    >>> warp_matrix(torch.tensor([1.0]), torch.tensor([0.5]), bands=3)[0]  # output band j from input bands i
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


@AUGMENTATIONS.register("mel_tempo")
class MelTempo(FeatureAugmentation):
    """Speech made faster or slower; pitch and formants stay.

    out[t] = x[factor * t], linear between frames, for t up to (frames - 1) / factor

    factor = exp(u), u uniform in [-stretch, stretch], drawn for each utterance.

    Source: the tempo perturbation of Ko et al. 2015, "Audio augmentation for speech recognition", on frames.

    Arguments
    ---------
    stretch
        Largest logarithm of the factor, in [0, 0.7].

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
    """Frames [batch, T, bands] read ``factor`` times as fast, and their number, [batch]."""
    counts = 1 + ((num_frames - 1) / factor).floor().long()
    last = (num_frames - 1)[:, None]
    places = torch.arange(int(counts.max()), device=features.device) * factor[:, None]  # [batch, T']
    below = torch.minimum(places.floor().long(), last)
    share = (places - below).clamp(0, 1)[..., None]
    below, above = (
        features.take_along_dim(place[..., None], dim=1) for place in (below, torch.minimum(below + 1, last))
    )
    return torch.lerp(below, above, share), counts


@AUGMENTATIONS.register("mel_equalizer")
class MelEqualizer(FeatureAugmentation):
    """Another microphone, room or telephone: a tilt over all bands and one bump, constant over an utterance.

    out[t, j] = x[t, j] + tilt * (2 j / (bands - 1) - 1) + bump * exp(-(j - centre)^2 / (2 width^2))

    tilt uniform in [-tilt, tilt], bump in [-bump, bump], centre over all bands, width from 1/16 to 1/4 of the bands.

    Source: a filter is a sum in the logarithm; ranges of a few decibels follow FilterAugment (Nam et al. 2022).

    Arguments
    ---------
    tilt
        Largest change at the outermost bands, nats of power, in [0, 10]; 1.2 nats are 5.2 dB.
    bump
        Largest height of the bump, nats of power, in [0, 10].

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


@AUGMENTATIONS.register("mel_noise")
class MelNoise(FeatureAugmentation):
    """Stationary noise of a random colour, added in the power domain.

    out[t, j] = log(exp(x[t, j]) + exp(loud - below + colour * (2 j / (bands - 1) - 1) + 0.5 n[t, j])),   n ~ N(0, 1)

    loud is the level that the loudest band of a frame exceeds in a tenth of the frames; ``below`` and colour are drawn
    for each utterance. Powers add, as those of independent sounds do on average.

    Source: the standard model of noisy log-spectra (Moreno 1996, "Speech recognition in noisy environments", ch. 4).

    Arguments
    ---------
    below
        [low, high] of the distance from ``loud``, nats of power, in [-5, 20]; 3.5 nats are 15 dB.
    colour
        Largest tilt of the noise at the outermost bands, nats, in [0, 10]; 0 is the same power in all bands.

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


@AUGMENTATIONS.register("mel_silence")
class MelSilence(FeatureAugmentation):
    """Near-silence added before and after the speech, as a recording or a stream has it.

    out = lead frames | x | trail frames,   added[t, j] = loud - below + 0.5 n[t, j],   n ~ N(0, 1)

    lead and trail are uniform in 0 .. ``frames``, ``below`` in its range, drawn for each utterance; loud is that of
    ``mel_noise``.

    Source: ours.

    Arguments
    ---------
    frames
        Most frames that are added on either side, in [1, 500]; 10 ms each in most students.
    below
        Range of the distance from the loud cells, nats of power, [low, high] in [0, 30]; 9.2 nats are 40 dB.

    Example
    -------
    >>> speech, num_frames = torch.ones(1, 4, 2), torch.tensor([4])
    >>> longer, count = MelSilence(p=1.0, frames=5)(speech, num_frames)
    >>> longer.shape[1] == int(count), int((longer > 0.9).all(dim=2).sum())  # the four frames of speech are all there
    (True, 4)
    """

    example_options = {"frames": 5}

    def __init__(self, p: float = 0.5, frames: int = 40, below: tuple[float, float] = (9.0, 16.0)):
        super().__init__(p)
        self.frames = check_number("frames", check_count("frames", frames, 1), 1, 500)
        self.below = check_range("below", list(below), 0, 30)

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        batch, total, bands = features.shape
        lead, trail = torch.randint(0, self.frames + 1, (2, batch)).to(features.device)
        longer = num_frames + lead + trail
        size = int(longer.max())
        level = loud_level(features, num_frames) - uniform(*self.below, batch).to(features.device)
        out = level[:, None, None] + SPREAD * torch.randn(batch, size, bands).to(features.device)
        place = torch.arange(size, device=features.device) - lead[:, None]  # [batch, size], frame of the speech
        inside = (place >= 0) & (place < num_frames[:, None])
        speech = features.gather(1, place.clamp(0, total - 1)[..., None].expand(-1, -1, bands))
        return torch.where(inside[..., None], speech, out), longer


def loud_level(features: Tensor, num_frames: Tensor) -> Tensor:
    """The level that the loudest band of a frame exceeds in a tenth of the frames, [batch]."""
    peaks = features.amax(dim=2).masked_fill(~frame_mask(num_frames, features.shape[1]), float("-inf"))
    return peaks.sort(dim=1, descending=True).values.gather(1, (num_frames // 10)[:, None])[:, 0]


@AUGMENTATIONS.register("spec_augment")
class SpecAugment(FeatureAugmentation):
    """Random bands and random ranges of frames replaced by the utterance's mean energy.

    A mask over n places has a width w, uniform in [0, share n], and begins uniformly in [0, n - w]. Masks lie within
    the speech of each utterance, which those of SpeechBrain and torchaudio do not. Time is not warped.

    Source: Park et al. 2019, "SpecAugment: A simple data augmentation method for automatic speech recognition",
    section 2; widths are shares here, as students differ in bands and frames.

    Arguments
    ---------
    time_masks, band_masks
        Number of masks of each kind, >= 0.
    time_share, band_share
        Largest mask as a share of the utterance's frames, or of all bands, in [0, 1].

    Example
    -------
    >>> mask = SpecAugment(p=1.0, time_masks=0, band_masks=1, band_share=1.0)
    >>> features = torch.tensor([0.0, 2.0]).expand(1, 4, 2)  # [batch, T, bands]
    >>> changed, _ = mask(features, torch.tensor([4]))
    >>> changed.shape, (changed == changed[:, :1]).all()  # a band is masked in all frames, or in none
    (torch.Size([1, 4, 2]), tensor(True))
    """

    def __init__(
        self,
        p: float = 1.0,
        time_masks: int = 2,
        band_masks: int = 2,
        time_share: float = 0.1,
        band_share: float = 0.15,
    ):
        super().__init__(p)
        self.time_masks = check_count("time_masks", time_masks)
        self.band_masks = check_count("band_masks", band_masks)
        self.time_share = check_number("time_share", time_share, 0, 1)
        self.band_share = check_number("band_share", band_share, 0, 1)

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        _, total, bands = features.shape
        speech = frame_mask(num_frames, total)[..., None]
        mean = (features * speech).sum(dim=(1, 2), keepdim=True) / (num_frames[:, None, None] * bands)
        in_time = masks(num_frames, self.time_masks, self.time_share, total)
        in_bands = masks(torch.full_like(num_frames, bands), self.band_masks, self.band_share, bands)
        return torch.where(in_time[:, :, None] | in_bands[:, None, :], mean, features), num_frames


def masks(sizes: Tensor, count: int, share: float, total: int) -> Tensor:
    """Whether a place lies under one of ``count`` masks of its row, [batch, total]; none reaches beyond ``sizes``."""
    # Drawn on the CPU, so that every device masks the same.
    draws = torch.rand(2, len(sizes), count).to(sizes.device)
    width = (draws[0] * ((share * sizes).floor() + 1)[:, None]).floor()
    begin = (draws[1] * (sizes[:, None] - width + 1)).floor()
    places = torch.arange(total, device=sizes.device)[:, None, None]  # [total, 1, 1]
    return ((begin <= places) & (places < begin + width)).any(dim=-1).T
