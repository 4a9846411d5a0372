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

    Shape
    -----
    waveforms: [batch, samples], zeros after each window's end. lengths: [batch], share that is speech, in (0, 1].
    labels: [batch], indices into the label order, or UNLABELLED. ids: utterance of each window. attributes:
    [batch, A], NaN where unknown, or None. partner: [batch], after mixup the row that each was mixed with, with the
    share 1 - ``share`` in the sound. All other fields describe the row's own window. extras: items that a user added to
    the dataset, as SpeechBrain's PaddedBatch, or None.
    """

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    labels: Tensor
    teacher: TeacherOutput | None = None
    attributes: Tensor | None = None
    partner: Tensor | None = None
    share: float = 1.0
    extras: object = None

    def to(self, device) -> "Batch":
        names = ("waveforms", "lengths", "labels", "teacher", "attributes", "partner", "extras")
        parts = {name: getattr(self, name) for name in names}
        return replace(self, **{name: part.to(device) for name, part in parts.items() if part is not None})


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

    Arguments
    ---------
    items
        Each with ``id``, ``window``, ``label``, ``attributes``, ``teacher`` and ``key``; others become ``extras``.
    change
        (batch, key) -> batch, such as augmentation. The key belongs to the batch, so that the result does not depend on
        which process changes it.
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
