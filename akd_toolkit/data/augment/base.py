"""What every augmentation promises."""

import torch
from torch import Tensor

from akd_toolkit.outputs import frame_mask


class Augmentation:
    """A change of the training sound, made anew each time it is heard, to each utterance with probability ``p``.

    A subclass of ``WaveformAugmentation`` or ``FeatureAugmentation`` is registered with ``AUGMENTATIONS``, gives its
    ``p`` to ``super().__init__`` and writes ``change``, which is handed the chosen utterances alone, in tensors that
    are its own. Random numbers come from torch's global state on the CPU, which is seeded from outside: the
    augmentation itself has no seed. ``example_options`` holds the smallest options that make sense.
    """

    example_options: dict = {}
    stage: str = ""  # "waveform" or "features"

    def __init__(self, p: float):
        self.p = check_number("p", p, 0, 1)

    def chosen(self, batch: int) -> Tensor:
        """Which utterances are changed this time, [batch]."""
        return torch.rand(batch) < self.p


class WaveformAugmentation(Augmentation):
    """A change of waveforms, 16 kHz; it may make them longer or shorter.

    Shape
    -----
    (waveforms [batch, samples], zeros after each one's end; num_samples [batch], where that end is) -> the same, of
    another length where need be. What is handed in stays as it is.

    Example
    -------
    >>> class Upside(WaveformAugmentation):
    ...     def change(self, waveforms, num_samples):
    ...         return -waveforms, num_samples
    >>> Upside(p=1.0)(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([2, 1]))[0].tolist()
    [[-1.0, -2.0], [-3.0, 0.0]]
    """

    stage = "waveform"

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def __call__(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        chosen = self.chosen(len(waveforms))
        if not chosen.any():
            return waveforms, num_samples
        changed, counts = self.change(waveforms[chosen], num_samples[chosen])
        num_samples = num_samples.clone()
        num_samples[chosen] = counts
        out = waveforms.new_zeros(len(waveforms), int(num_samples.max()))
        for rows, sound in ((chosen, changed), (~chosen, waveforms[~chosen])):
            width = min(sound.shape[1], out.shape[1])
            out[rows, :width] = sound[:, :width]
        return out.masked_fill(~frame_mask(num_samples, out.shape[1]), 0.0), num_samples


class FeatureAugmentation(Augmentation):
    """A change of the log-mel energies inside a student's front end, before they are normalised.

    Shape
    -----
    (features [batch, T, bands], natural logarithms of powers; num_frames [batch], how many of T are speech) -> the
    same, of another T where need be, 0 in the padding. What is handed in stays as it is.
    """

    stage = "features"

    def change(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def __call__(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        chosen = self.chosen(len(features)).to(features.device)
        if not chosen.any():
            return features, num_frames
        changed, counts = self.change(features[chosen], num_frames[chosen])
        num_frames = num_frames.masked_scatter(chosen, counts)
        out = features.new_zeros(len(features), int(num_frames.max()), features.shape[2])
        for rows, part in ((chosen, changed), (~chosen, features[~chosen])):
            width = min(part.shape[1], out.shape[1])
            out[rows, :width] = part[:, :width]
        return out.masked_fill(~frame_mask(num_frames, out.shape[1])[..., None], 0.0), num_frames


def check_number(name: str, value, lowest: float, highest: float) -> float:
    """Return ``value`` if it is a number in [lowest, highest], else refuse it by ``name``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a number from {lowest:g} to {highest:g}, got {value!r}.")
    return value


def check_count(name: str, value, lowest: int = 0) -> int:
    """Return ``value`` if it is a whole number, at least ``lowest``, else refuse it by ``name``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name} must be a whole number from {lowest}, got {value!r}.")
    return value


def check_range(name: str, values, lowest: float, highest: float) -> tuple[float, float]:
    """Return ``values`` if it is ``[low, high]`` with lowest <= low <= high <= highest, else refuse it by ``name``.

    Example
    -------
    >>> check_range("snr_db", [20, 5], -10, 60)
    Traceback (most recent call last):
    ValueError: snr_db must be [low, high] with -10 <= low <= high <= 60, got [20, 5].
    """
    numbers = isinstance(values, list | tuple) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if not (numbers and len(values) == 2 and lowest <= values[0] <= values[1] <= highest):
        raise ValueError(f"{name} must be [low, high] with {lowest:g} <= low <= high <= {highest:g}, got {values!r}.")
    return tuple(values)


def uniform(low: float, high: float, *shape: int) -> Tensor:
    """Random numbers from ``low`` to ``high``."""
    return low + (high - low) * torch.rand(*shape)
