"""SpecAugment inside a student's front end."""

import torch
from torch import Tensor

from akd_toolkit.data.augment.base import FeatureAugmentation, check_count, check_number
from akd_toolkit.outputs import frame_mask
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("spec_augment")
class SpecAugment(FeatureAugmentation):
    """Random bands and random ranges of frames replaced by the utterance's mean energy.

    A mask over n places has a width w, uniform in [0, share n], and begins uniformly in [0, n - w].

    Masks lie within the speech of each utterance. SpeechBrain's ``SpectrogramDrop`` and torchaudio's masking draw over
    the padding too and fill with one number per batch, so neither is used. Time is not warped.

    Source: Park et al. 2019, "SpecAugment: A simple data augmentation method for automatic speech recognition",
    section 2; widths are shares here, as students differ in bands and frames.

    Arguments
    ---------
    time_masks, band_masks
        Number of masks of each kind, >= 0.
    time_share
        Longest mask in time as a share of the utterance's frames, in [0, 1].
    band_share
        Widest mask as a share of all bands, in [0, 1].

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
    """Whether a place lies under one of ``count`` masks of its row, [batch, total]; none reaches beyond ``sizes``.

    Example
    -------
    >>> masks(torch.tensor([3]), count=1, share=0.0, total=4)
    tensor([[False, False, False, False]])
    """
    # Drawn on the CPU, so that every device masks the same.
    draws = torch.rand(2, len(sizes), count).to(sizes.device)
    width = (draws[0] * ((share * sizes).floor() + 1)[:, None]).floor()
    begin = (draws[1] * (sizes[:, None] - width + 1)).floor()
    places = torch.arange(total, device=sizes.device)[:, None, None]  # [total, 1, 1]
    return ((begin <= places) & (places < begin + width)).any(dim=-1).T
