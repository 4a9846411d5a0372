"""Speech with short holes."""

from speechbrain.augment.time_domain import DropChunk
from torch import Tensor

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.augment.base import WaveformAugmentation, check_count, check_range
from akd_toolkit.registry import AUGMENTATIONS


@AUGMENTATIONS.register("chunk_drop")
class ChunkDrop(WaveformAugmentation):
    """Short stretches of the speech set to zero: SpeechBrain's ``DropChunk``.

    Source: Ravanelli et al. 2021, "SpeechBrain: a general-purpose speech toolkit"; after the masked frames of Park et
    al. 2019 (SpecAugment), on the waveform.

    Arguments
    ---------
    p
        Probability that an utterance is changed, in [0, 1].
    most
        Holes of an utterance: from 1 to this many, >= 1.
    chunk_ms
        [low, high] of a hole's length, ms, in [1, 1000].

    Raises
    ------
    ValueError
        If an option is out of range.

    Example
    -------
    >>> import torch
    >>> dropped, _ = ChunkDrop(p=1.0, most=1, chunk_ms=[100, 100])(torch.ones(1, 16000), torch.tensor([16000]))
    >>> int((dropped == 0).sum())  # 100 ms
    1600
    """

    def __init__(self, p: float = 0.5, most: int = 3, chunk_ms: list[float] = (10.0, 60.0)):
        super().__init__(p)
        shortest, longest = check_range("chunk_ms", chunk_ms, 1, 1000)
        self.drop = DropChunk(
            drop_length_low=round(shortest * SAMPLE_RATE_HZ / 1000),
            drop_length_high=round(longest * SAMPLE_RATE_HZ / 1000),
            drop_count_low=1,
            drop_count_high=check_count("most", most, 1),
        )

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        return self.drop(waveforms, num_samples / waveforms.shape[1]), num_samples
