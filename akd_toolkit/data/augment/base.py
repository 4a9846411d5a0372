"""What every augmentation does, mixup, and how a training batch goes through them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from akd_toolkit.data.batches import Batch
from akd_toolkit.declared import Section, checked
from akd_toolkit.outputs import UNLABELLED, frame_mask
from akd_toolkit.registry import AUGMENTATIONS

MOST_GAIN = 10.0  # 20 dB, so that a window with hardly any speech is not amplified further


class Mixup(Section):
    """Each utterance of a batch mixed with another at equal loudness.

    x[b] = (s a[b] + (1 - s) g[b] a[j]) / sqrt(s^2 + (1 - s)^2),   g = rms of a[b] / rms of a[j], within 20 dB
    s = max(l, 1 - l),   l ~ Beta(alpha, alpha), one per batch

    j is the partner of b: labelled speech is mixed with labelled, unlabelled with unlabelled. The batch keeps labels,
    attributes and teacher outputs of b and records j and s; its objective is s objective(x, those of b) +
    (1 - s) objective(x, those of j), see ``training.brain``. For losses linear in their target and for squared
    differences of logits this has the gradient of the mixed target. The mixture is as long as the longer of the two.

    Source: Zhang, Cisse, Dauphin & Lopez-Paz 2018, "mixup: Beyond empirical risk minimization"; loudness: Tokozume,
    Ushiku & Harada 2018, "Learning from between-class examples for deep sound recognition"; the larger share first:
    Berthelot et al. 2019, "MixMatch".

    Arguments
    ---------
    alpha
        Of the Beta distribution, in [0.01, 100]: near 0 one of the two dominates, at 1 all shares are equally likely.
    p
        Probability that a batch is mixed, in [0, 1].
    """

    alpha: float = Field(0.2, ge=0.01, le=100, description="of the Beta distribution of the share; 1 draws all alike")
    p: float = Field(1.0, ge=0, le=1, description="probability that a batch is mixed")

    def __call__(self, batch: Batch, random: np.random.Generator) -> Batch:
        share, mixes = float(random.beta(self.alpha, self.alpha)), random.random() < self.p
        if not mixes:
            return batch
        share = max(share, 1 - share)
        partner = partners(batch.labels, random)
        waveforms, lengths = mixed(batch.waveforms, batch.lengths, partner, share)
        return replace(batch, waveforms=waveforms, lengths=lengths, partner=partner, share=share)


def partners(labels: Tensor, random: np.random.Generator) -> Tensor:
    """For each row another labelled or another unlabelled row, itself if there is no other: [batch]."""
    partner = torch.arange(len(labels))
    for kind in (labels != UNLABELLED, labels == UNLABELLED):
        rows = kind.nonzero().squeeze(1)
        rows = rows[torch.from_numpy(random.permutation(len(rows)))]
        partner[rows] = rows.roll(1)
    return partner


def mixed(waveforms: Tensor, lengths: Tensor, partner: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Waveforms mixed with their partners, within full scale, and the longer of the two lengths."""
    counts = (lengths * waveforms.shape[1]).round()
    rms = (waveforms.square().sum(dim=1) / counts).sqrt()
    gain = (rms / rms[partner].clamp(min=1e-9)).clamp(1 / MOST_GAIN, MOST_GAIN)
    gain = torch.where((rms > 0) & (rms[partner] > 0), gain, 1.0)[:, None]
    both = (share * waveforms + (1 - share) * gain * waveforms[partner]) / (share**2 + (1 - share) ** 2) ** 0.5
    both = both / both.abs().amax(dim=1, keepdim=True).clamp(min=1)
    alone = (partner == torch.arange(len(partner)))[:, None]
    return torch.where(alone, waveforms, both), torch.maximum(lengths, lengths[partner])


def build_mixup(spec: dict | None) -> Mixup | None:
    """The setting ``mixup``, or None."""
    return None if spec is None else checked(Mixup, spec, "mixup")


class Augmentation:
    """A random change of the training sound, applied to each utterance with probability ``p``.

    Subclass ``WaveformAugmentation`` or ``FeatureAugmentation``, register the class with ``AUGMENTATIONS``, pass ``p``
    to ``super().__init__`` and write ``change``, which receives the selected utterances as values [batch, length, ...],
    0 after each utterance's end, and counts [batch], where that end is, and returns new ones, possibly of another
    length. Draw random numbers from torch's global generator on the CPU; the caller seeds it. ``example_options`` holds
    small valid options for tests.
    """

    example_options: dict = {}
    stage: str = ""  # "waveform" or "features"

    def __init__(self, p: float):
        self.p = check_number("p", p, 0, 1)

    def change(self, values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def __call__(self, values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        chosen = (torch.rand(len(values)) < self.p).to(values.device)
        if not chosen.any():
            return values, counts
        changed, new_counts = self.change(values[chosen], counts[chosen])
        counts = counts.masked_scatter(chosen, new_counts)
        out = values.new_zeros(len(values), int(counts.max()), *values.shape[2:])
        for rows, part in ((chosen, changed), (~chosen, values[~chosen])):
            width = min(part.shape[1], out.shape[1])
            out[rows, :width] = part[:, :width]
        padding = ~frame_mask(counts, out.shape[1])
        return out.masked_fill(padding.view(*padding.shape, *[1] * (out.ndim - 2)), 0.0), counts


class WaveformAugmentation(Augmentation):
    """A change of 16 kHz waveforms, [batch, samples].

    Example
    -------
    >>> class Inverted(WaveformAugmentation):
    ...     def change(self, waveforms, num_samples):
    ...         return -waveforms, num_samples
    >>> Inverted(p=1.0)(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([2, 1]))[0].tolist()
    [[-1.0, -2.0], [-3.0, 0.0]]
    """

    stage = "waveform"


class FeatureAugmentation(Augmentation):
    """A change of log-mel energies (log of power) inside the front end, before normalisation: [batch, T, bands]."""

    stage = "features"


def build_augmentations(specs: list[dict] | None, stage: str | None = None) -> list[Augmentation]:
    """The augmentations listed in the setting ``augment``, in order; only those of one stage if it is given."""
    plugins = [AUGMENTATIONS.build(**spec) for spec in specs or []]
    return [plugin for plugin in plugins if stage in (None, plugin.stage)]


def change_batch(
    batch: Batch, key: Sequence[int], augmentations: Sequence[WaveformAugmentation] = (), mixup: Mixup | None = None
) -> Batch:
    """Augment every waveform of a training batch, then mix pairs of them.

    Labels, attributes and teacher outputs remain those of the original windows. ``key`` holds non-negative numbers that
    identify the batch, such as (seed, epoch, step); they alone seed the random numbers, so that a resumed run makes the
    same batch, and torch's own random state is left unchanged.
    """
    random = np.random.default_rng(list(key))
    if augmentations:
        waveforms = batch.waveforms
        num_samples = (batch.lengths * waveforms.shape[1]).round().long()
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed the accelerators too.
            torch.default_generator.manual_seed(int(random.integers(2**63)))
            for augmentation in augmentations:
                waveforms, num_samples = augmentation(waveforms, num_samples)
        lengths = (num_samples.double() / waveforms.shape[1]).float()
        batch = replace(batch, waveforms=waveforms, lengths=lengths)
    return batch if mixup is None else mixup(batch, random)


def check_number(name: str, value, lowest: float, highest: float) -> float:
    """``value`` if it is a number in [lowest, highest]; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise ValueError(f"{name} must be a number from {lowest:g} to {highest:g}, got {value!r}.")
    return value


def check_count(name: str, value, lowest: int = 0) -> int:
    """``value`` if it is a whole number, at least ``lowest``; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name} must be a whole number from {lowest}, got {value!r}.")
    return value


def check_range(name: str, values, lowest: float, highest: float) -> tuple[float, float]:
    """``values`` as a tuple if it is ``[low, high]`` with lowest <= low <= high <= highest; else ValueError."""
    try:
        low, high = (check_number(name, value, lowest, highest) for value in values)
    except (TypeError, ValueError):
        low, high = 1, 0
    if low > high or not isinstance(values, list | tuple):
        raise ValueError(f"{name} must be [low, high] with {lowest:g} <= low <= high <= {highest:g}, got {values!r}.")
    return low, high


def uniform(low: float, high: float, *shape: int) -> Tensor:
    """Random numbers from ``low`` to ``high``."""
    return low + (high - low) * torch.rand(*shape)
