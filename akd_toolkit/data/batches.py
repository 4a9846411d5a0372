"""Windows of one partition, collated: what a student is trained and scored on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.segments import cut
from akd_toolkit.outputs import TeacherOutput


@dataclass(frozen=True)
class Batch:
    """Padded windows with their labels and, where there are teachers, what those say of them.

    Shape
    -----
    waveforms: [batch, samples], zeros after each window's end. lengths: [batch], share that is speech, in (0, 1].
    labels: [batch], indices into the label order. ids: utterance of each window.
    """

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    labels: Tensor
    teacher: TeacherOutput | None = None

    def to(self, device) -> "Batch":
        teacher = None if self.teacher is None else self.teacher.to(device)
        moved = {name: getattr(self, name).to(device) for name in ("waveforms", "lengths", "labels")}
        return replace(self, **moved, teacher=teacher)


def collate(ids: list[str], windows: list[np.ndarray], labels, teacher: TeacherOutput | None = None) -> Batch:
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
    return Batch(ids, waveforms, lengths, torch.as_tensor(np.asarray(labels), dtype=torch.long), teacher)


class TrainBatches(IterableDataset):
    """One random window of every training utterance an epoch, in random order, from a random view of it.

    A view is an augmented copy (``data/views.py``); the teachers' answers belong to the very view that the student
    hears. Order, views and windows depend on (seed, epoch) alone, so that a continued run draws what an unbroken one
    would have drawn.

    Arguments
    ---------
    manifest
        Training utterances of ONE partition.
    waveform
        (utterance id, view) -> samples, 16 kHz.
    window_s
        Seconds of a window; a shorter utterance is taken whole.
    views
        Number of augmented copies of each utterance; 0 trains on the clean ones alone.
    teachers
        (utterance ids, views) -> TeacherOutput, or None.
    """

    def __init__(
        self,
        manifest: Manifest,
        waveform: Callable[[str, int], np.ndarray],
        window_s: float,
        batch_size: int,
        seed: int,
        views: int = 0,
        teachers: Callable[[list[str], list[int]], TeacherOutput] | None = None,
    ):
        self.manifest = manifest
        self.waveform = waveform
        self.window = round(window_s * SAMPLE_RATE_HZ)
        self.batch_size = batch_size
        self.seed = seed
        self.views = views
        self.teachers = teachers
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.manifest) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.manifest))
        views = random.integers(0, self.views + 1, size=len(order))
        places = random.random(len(order))
        for chosen in np.array_split(order, len(self)):
            ids = [self.manifest.ids[index] for index in chosen]
            picked = [int(views[index]) for index in chosen]
            windows = [self._window(*item) for item in zip(ids, picked, places[chosen])]
            teacher = None if self.teachers is None else self.teachers(ids, picked)
            yield collate(ids, windows, self.manifest.labels[chosen], teacher)

    def _window(self, utterance_id: str, view: int, place: float) -> np.ndarray:
        samples = self.waveform(utterance_id, view)
        start = round(place * max(0, len(samples) - self.window))
        return samples[start : start + self.window]


def scoring_batches(
    manifest: Manifest, waveforms: dict[str, np.ndarray], window_s: float, overlap_s: float, batch_size: int
) -> list[Batch]:
    """Overlapping windows of every test utterance, in order; the windows of one utterance share its id."""
    segments = cut(manifest, window_s, overlap_s)
    batches = []
    for first in range(0, len(segments), batch_size):
        group = segments[first : first + batch_size]
        windows = [waveforms[s.utterance_id][s.samples()] for s in group]
        batches.append(collate([s.utterance_id for s in group], windows, [s.label for s in group]))
    return batches
