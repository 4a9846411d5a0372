"""A batch of padded windows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.outputs import TeacherOutput


@dataclass(frozen=True)
class Batch:
    """Padded windows with their labels and, if there are teachers, the teacher outputs.

    After mixup all fields but ``waveforms``, ``lengths``, ``partner`` and ``share`` describe the row's own window.
    """

    ids: list[str]  # utterance of each window
    waveforms: Tensor  # [batch, samples], zeros after each window's end
    lengths: Tensor  # [batch], share that is speech, in (0, 1]
    labels: Tensor  # [batch], indices into the label order, or UNLABELLED
    teacher: TeacherOutput | None = None
    attributes: Tensor | None = None  # [batch, A], NaN where unknown
    partner: Tensor | None = None  # [batch], after mixup the row that each was mixed with,
    share: float = 1.0  # which has the share 1 - ``share`` in the sound
    extras: object = None  # items that a user added to the dataset, as SpeechBrain's PaddedBatch

    def to(self, device) -> "Batch":
        return replace(self, **{name: part.to(device) for name, part in vars(self).items() if hasattr(part, "to")})


def collate(
    ids: list[str], windows: list[np.ndarray], labels, teacher: TeacherOutput | None = None, attributes=None
) -> Batch:
    """Pad windows with zeros to the longest.

    Example
    -------
    >>> batch = collate(["a", "b"], [np.ones(4, np.float32), np.ones(2, np.float32)], [0, 1])
    >>> batch.waveforms[1], batch.lengths
    (tensor([1., 1., 0., 0.]), tensor([1.0000, 0.5000]))
    """
    longest = max(len(window) for window in windows)
    waveforms = torch.zeros(len(windows), longest)
    for row, window in zip(waveforms, windows):
        row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window))
    lengths = torch.tensor([len(window) / longest for window in windows])
    attributes = None if attributes is None else torch.as_tensor(attributes, dtype=torch.float)
    return Batch(ids, waveforms, lengths, torch.as_tensor(np.asarray(labels), dtype=torch.long), teacher, attributes)


def collate_items(items: list[dict], change: Callable[[Batch, tuple[int, ...]], Batch] | None = None) -> Batch:
    """The ``collate_fn`` of a ``WindowDataset``.

    Items have ``id``, ``window``, ``label``, ``attributes``, ``teacher`` and ``key``; others become ``extras``.
    ``change`` maps (batch, key) to a batch, such as augmentation: the key belongs to the batch, so that the result does
    not depend on which process changes it.
    """
    columns = {name: [item[name] for item in items] for name in items[0]}
    ids, windows, labels, attributes, teachers, keys = (
        columns.pop(name) for name in ("id", "window", "label", "attributes", "teacher", "key")
    )
    teacher = None if teachers[0] is None else TeacherOutput.stacked(teachers)
    batch = collate(ids, windows, labels, teacher, None if attributes[0] is None else np.stack(attributes))
    if columns:
        from akd_toolkit.environment import sb  # here, because akd predict imports this module without SpeechBrain

        extras = [{name: item[name] for name in columns} for item in items]
        batch = replace(batch, extras=sb.dataio.batch.PaddedBatch(extras))
    return batch if change is None else change(batch, keys[0])
