"""Augmentations inside a student's front end, there while it trains and gone afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from akd_toolkit.data.augment.base import FeatureAugmentation
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.features.whisper_log_mel import WhisperLogMel


@contextmanager
def changed_front_end(student: nn.Module, augmentations: Sequence[FeatureAugmentation]) -> Iterator[None]:
    """Within the ``with`` block, what the student's front end says in training mode passes through ``augmentations``.

    Forward hooks on every ``LogMel`` (also the one below ``MFCC``) and ``WhisperLogMel``: the student has no new
    module, weight or option, in evaluation mode nothing happens, and after the block no trace is left.
    """
    found = log_mels(student) if augmentations else []
    handles = [module.register_forward_hook(partial(_changed, augmentations)) for module in found]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_front_end(student: nn.Module, augmentations: Sequence[FeatureAugmentation]) -> None:
    """Refuse a student that computes no log-mels for ``augmentations`` to change."""
    if augmentations and not log_mels(student):
        raise ValueError(
            f"augment: {type(augmentations[0]).__name__} changes log-mels, and the student {type(student).__name__} "
            "has no LogMel or WhisperLogMel; take it out of augment, or choose another student."
        )


def log_mels(student: nn.Module) -> list[nn.Module]:
    """The modules of a student that compute log-mels."""
    return [module for module in student.modules() if isinstance(module, LogMel | WhisperLogMel)]


def _changed(augmentations: Sequence[FeatureAugmentation], module: nn.Module, inputs: tuple, output: tuple):
    features, num_frames = output
    # Under autocast LogMel calls itself once more without it: only that inner call is changed.
    if not module.training or torch.is_autocast_enabled(features.device.type):
        return None
    unfolded = _unfolded(module, features)
    for augmentation in augmentations:
        unfolded = augmentation(unfolded, num_frames)
    return _folded(module, unfolded), num_frames


def _unfolded(module: nn.Module, features: Tensor) -> Tensor:
    """As augmentations see features: [batch, T, kinds, bands]."""
    if isinstance(module, WhisperLogMel):
        return features.transpose(1, 2)[:, :, None]  # from [batch, bands, T]
    return features.unflatten(2, (-1, module.num_mels))  # from [batch, T, kinds * bands]


def _folded(module: nn.Module, unfolded: Tensor) -> Tensor:
    return unfolded.squeeze(2).transpose(1, 2) if isinstance(module, WhisperLogMel) else unfolded.flatten(2)
