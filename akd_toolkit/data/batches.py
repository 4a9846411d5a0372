"""Windows of one partition, collated: what a student is trained and scored on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.sampling import epoch_order
from akd_toolkit.data.segments import cut
from akd_toolkit.outputs import UNLABELLED, TeacherOutput


@dataclass(frozen=True)
class Batch:
    """Padded windows with their labels and, where there are teachers, what those say of them.

    Shape
    -----
    waveforms: [batch, samples], zeros after each window's end. lengths: [batch], share that is speech, in (0, 1].
    labels: [batch], indices into the label order, or UNLABELLED. ids: utterance of each window. attributes:
    [batch, A], NaN where unknown, or None. partner: [batch], where windows have been mixed, the row that each was mixed
    with; it has the share 1 - ``share`` in the sound. All else says what holds of the row's own window.
    """

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    labels: Tensor
    teacher: TeacherOutput | None = None
    attributes: Tensor | None = None
    partner: Tensor | None = None
    share: float = 1.0

    def to(self, device) -> "Batch":
        names = ("waveforms", "lengths", "labels", "teacher", "attributes", "partner")
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


@dataclass(frozen=True)
class Speech:
    """A corpus to draw windows from.

    Arguments
    ---------
    manifest
        Its utterances.
    waveform
        (utterance id, view) -> samples, 16 kHz.
    teachers
        (utterance ids, views, spans) -> TeacherOutput, or None; a span is the window's (begin, end) as shares of the
        utterance, for losses on frames.
    views
        Number of augmented copies of each utterance; 0 means the clean ones alone.
    """

    manifest: Manifest
    waveform: Callable[[str, int], np.ndarray]
    teachers: Callable[[list[str], list[int], list[tuple[float, float]]], TeacherOutput] | None = None
    views: int = 0


class TrainBatches(IterableDataset):
    """One random window of every training utterance an epoch, in random order, from a random view of it.

    Another ``sampling`` hears some utterances more often and others less; an epoch is as long. A view is an augmented
    copy (``data/views.py``); the teachers' answers belong to the very view that the student hears. Where there is
    unlabelled speech, each batch ends with windows of it. Order, views, windows and changes depend on (seed, epoch)
    alone, so that a continued run draws what an unbroken one would have drawn.

    Arguments
    ---------
    labelled
        Training utterances of ONE partition.
    window_s
        Seconds of a window; a shorter utterance is taken whole.
    batch_size
        Labelled windows of a batch, >= 1.
    seed
        Of order, views and windows.
    unlabelled
        Speech without labels, or None.
    unlabelled_ratio
        Unlabelled windows for each labelled one, > 0.
    attributes
        Names of the dimensional labels that batches carry; none by default.
    sampling
        Which labelled utterances an epoch hears, a name that ``sampling.Sampling`` allows.
    change
        (batch, key) -> batch, what is done to each batch before the student hears it, such as augmentation; the key
        names the batch: seed, epoch and its number from 1. None changes nothing. ``whole`` is never changed.
    rank, num_processes
        Which process of how many this is: each takes every n-th row of a batch.
    """

    def __init__(
        self,
        labelled: Speech,
        window_s: float,
        batch_size: int,
        seed: int,
        unlabelled: Speech | None = None,
        unlabelled_ratio: float = 1.0,
        attributes: Sequence[str] = (),
        sampling: str = "natural",
        change: Callable[[Batch, tuple[int, ...]], Batch] | None = None,
        rank: int = 0,
        num_processes: int = 1,
    ):
        self.labelled = labelled
        self.window = round(window_s * SAMPLE_RATE_HZ)
        self.batch_size = batch_size
        self.seed = seed
        self.unlabelled = unlabelled
        self.unlabelled_ratio = unlabelled_ratio
        self.attributes = tuple(attributes)
        self.sampling = sampling
        self.change = change
        self.rank, self.num_processes = rank, num_processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.labelled.manifest) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng([self.seed, self.epoch])
        order = epoch_order(self.labelled.manifest, self.sampling, random)
        for number, rows in enumerate(np.array_split(order, len(self)), start=1):
            ids, windows, teacher = self._draw(self.labelled, rows, random)
            labels, attributes = self.labelled.manifest.labels[rows], self._attributes(self.labelled, rows)
            if self.unlabelled is not None:
                rows = random.integers(len(self.unlabelled.manifest), size=round(self.unlabelled_ratio * len(rows)))
                more_ids, more_windows, more_teacher = self._draw(self.unlabelled, rows, random)
                ids, windows, teacher = ids + more_ids, windows + more_windows, teacher.joined(more_teacher)
                labels = np.concatenate([labels, np.full(len(rows), UNLABELLED)])
                if self.attributes:
                    attributes = np.concatenate([attributes, self._attributes(self.unlabelled, rows)])
            mine = slice(self.rank, None, self.num_processes)
            teacher, attributes = teacher and teacher.taken(mine), None if attributes is None else attributes[mine]
            batch = collate(ids[mine], windows[mine], labels[mine], teacher, attributes)
            key = (self.seed, self.epoch, number) + ((self.rank,) if self.num_processes > 1 else ())
            yield batch if self.change is None else self.change(batch, key)

    def whole(self) -> Iterator[Batch]:
        """Every utterance whole, every view of it, first labelled and then unlabelled speech."""
        for speech in filter(None, (self.labelled, self.unlabelled)):
            labels = speech.manifest.labels if speech is self.labelled else np.full(len(speech.manifest), UNLABELLED)
            lengths = [row.duration for row in speech.manifest]
            order = np.argsort(lengths, kind="stable")  # neighbours of one length need little padding
            for view in range(speech.views + 1):
                for rows in np.array_split(order, -(-len(order) // self.batch_size)):
                    ids = [speech.manifest.ids[row] for row in rows]
                    views, spans = [view] * len(ids), [(0.0, 1.0)] * len(ids)
                    teacher = None if speech.teachers is None else speech.teachers(ids, views, spans)
                    windows = [speech.waveform(utterance_id, view) for utterance_id in ids]
                    yield collate(ids, windows, labels[rows], teacher, self._attributes(speech, rows))

    def _attributes(self, speech: Speech, rows) -> np.ndarray | None:
        """Attributes of these rows; None where batches carry none."""
        return speech.manifest.attribute_values(self.attributes, rows) if self.attributes else None

    def _draw(self, speech: Speech, rows, random) -> tuple[list[str], list[np.ndarray], TeacherOutput | None]:
        """Ids, one random window each, and what the teachers say of the views that these come from."""
        ids = [speech.manifest.ids[row] for row in rows]
        views = random.integers(0, speech.views + 1, size=len(rows)).tolist()
        windows, spans = [], []
        for utterance_id, view, place in zip(ids, views, random.random(len(rows))):
            samples = speech.waveform(utterance_id, view)
            start = round(place * max(0, len(samples) - self.window))
            windows.append(samples[start : start + self.window])
            spans.append((start / len(samples), min(1.0, (start + self.window) / len(samples))))
        return ids, windows, None if speech.teachers is None else speech.teachers(ids, views, spans)


class ScoringBatches(IterableDataset):
    """Overlapping windows of every utterance, in order; the windows of one utterance share its id.

    Arguments
    ---------
    manifest
        Utterances to score.
    waveform
        Utterance id -> samples, 16 kHz.
    window_s, overlap_s
        Seconds of a window, and how much of it the next one repeats.
    batch_size
        Windows of a batch, >= 1.
    attributes
        Names of the dimensional labels that batches carry; none by default.
    """

    def __init__(
        self,
        manifest: Manifest,
        waveform: Callable[[str], np.ndarray],
        window_s: float,
        overlap_s: float,
        batch_size: int,
        attributes: Sequence[str] = (),
    ):
        self.manifest = manifest
        self.waveform = waveform
        self.segments = cut(manifest, window_s, overlap_s)
        self.batch_size = batch_size
        self.attributes = tuple(attributes)
        self.rows = {name: row for row, name in enumerate(manifest.ids)}

    def __len__(self) -> int:
        return -(-len(self.segments) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.segments), self.batch_size):
            group = self.segments[first : first + self.batch_size]
            ids, windows = [s.utterance_id for s in group], [self.waveform(s.utterance_id)[s.samples()] for s in group]
            rows = [self.rows[name] for name in ids]
            attributes = self.manifest.attribute_values(self.attributes, rows) if self.attributes else None
            yield collate(ids, windows, [s.label for s in group], attributes=attributes)
