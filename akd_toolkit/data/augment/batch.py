"""A batch as the student hears it in training: disturbed, then mixed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from akd_toolkit.data.augment.base import Augmentation, WaveformAugmentation
from akd_toolkit.data.augment.mixup import Mixup
from akd_toolkit.data.batches import Batch
from akd_toolkit.registry import AUGMENTATIONS


def build_augmentations(specs: list[dict] | None, stage: str | None = None) -> list[Augmentation]:
    """The augmentations that the setting ``augment`` lists, in its order; those of one stage, or all.

    Example
    -------
    >>> [type(plugin).__name__ for plugin in build_augmentations([{"name": "random_gain"}, {"name": "spec_augment"}])]
    ['RandomGain', 'SpecAugment']
    """
    plugins = [AUGMENTATIONS.build(**spec) for spec in specs or []]
    return [plugin for plugin in plugins if stage in (None, plugin.stage)]


def change_batch(
    batch: Batch, key: Sequence[int], augmentations: Sequence[WaveformAugmentation] = (), mixup: Mixup | None = None
) -> Batch:
    """Disturb every waveform of a training batch, then mix pairs of them.

    Labels, attributes and teachers' answers stay those of the undisturbed windows.

    Arguments
    ---------
    key
        Non-negative numbers that name the batch, such as (seed, epoch, place). They alone decide what is drawn: torch's
        own random state is left as it was, and the same batch can be made again after a kill.
    augmentations
        Applied in this order.
    """
    random = np.random.default_rng(list(key))
    if augmentations:
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed the accelerators too.
            torch.default_generator.manual_seed(int(random.integers(2**63)))
            batch = _disturbed(batch, augmentations)
    return batch if mixup is None else mixup(batch, random)


def _disturbed(batch: Batch, augmentations: Sequence[WaveformAugmentation]) -> Batch:
    waveforms = batch.waveforms
    num_samples = (batch.lengths * waveforms.shape[1]).round().long()
    for augmentation in augmentations:
        waveforms, num_samples = augmentation(waveforms, num_samples)
    lengths = (num_samples.double() / waveforms.shape[1]).float()
    return replace(batch, waveforms=waveforms, lengths=lengths)
