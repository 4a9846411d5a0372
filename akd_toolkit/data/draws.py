"""Which windows a batch is made of: samplers for ``WindowDataset``."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.batches import Batch, collate_items
from akd_toolkit.data.dataset import Draw, Speech, WindowDataset
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.sampling import epoch_order
from akd_toolkit.data.segments import cut


class TrainSampler(Sampler[list[Draw]]):
    """Batches of one random window of every labelled utterance an epoch, in random order, from a random view of it.

    With another ``sampling`` some utterances are drawn more often and others less; an epoch is as long. Unlabelled
    windows are the last rows of each batch. All that is drawn depends on (seed, epoch) alone, so that a continued run
    draws what an unbroken one would have drawn. With several processes (DDP) each takes its share of every batch: as
    many steps as with one process, of as many windows.

    Arguments
    ---------
    sources
        Training utterances of one partition and, behind them, at most one source of unlabelled speech.
    window_s
        Seconds of a window.
    batch_size
        Labelled windows of a batch, >= 1.
    seed
        Of order, views and windows.
    unlabelled_ratio
        Unlabelled windows for each labelled one, > 0.
    sampling
        Which labelled utterances an epoch takes, a name of ``sampling.SAMPLINGS``.
    rank, num_processes
        Which process of how many this is: each takes every n-th window of a batch.

    Raises
    ------
    ValueError
        If a batch has fewer labelled windows than there are processes.

    Example
    -------
    >>> from akd_toolkit.data.manifest import Utterance
    >>> rows = [Utterance(f"a{i}", "/a.wav", 0, 16000, 1.0, speaker="A", emotion="joy") for i in range(5)]
    >>> sampler = TrainSampler([Speech(Manifest("toy", ("joy",), tuple(rows)), None)], 0.5, batch_size=2, seed=1)
    >>> [[draw.row for draw in draws] for draws in sampler]
    [[4, 0], [1, 2], [3]]
    """

    def __init__(
        self,
        sources: Sequence[Speech],
        window_s: float,
        batch_size: int,
        seed: int,
        unlabelled_ratio: float = 1.0,
        sampling: str = "natural",
        rank: int = 0,
        num_processes: int = 1,
    ):
        self.sources, self.size = tuple(sources), round(window_s * SAMPLE_RATE_HZ)
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self.unlabelled_ratio, self.sampling = unlabelled_ratio, sampling
        self.rank, self.num_processes = rank, num_processes
        smallest = len(self.sources[0].manifest) // len(self)
        if smallest < num_processes:
            raise ValueError(
                f"batch_size {batch_size} gives batches of {smallest} labelled windows for {num_processes} processes; "
                "raise batch_size or start fewer processes."
            )

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.sources[0].manifest) // self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng([self.seed, self.epoch])
        labelled, *unlabelled = self.sources
        order = epoch_order(labelled.manifest, self.sampling, random)
        for number, rows in enumerate(np.array_split(order, len(self)), start=1):
            key = (self.seed, self.epoch, number) + ((self.rank,) if self.num_processes > 1 else ())
            draws = self._windows(0, rows, random, key)
            for source, speech in enumerate(unlabelled, start=1):
                size = round(self.unlabelled_ratio * len(rows))
                draws += self._windows(source, random.integers(len(speech.manifest), size=size), random, key)
            yield draws[self.rank :: self.num_processes]

    def _windows(self, source: int, rows: np.ndarray, random: np.random.Generator, key) -> list[Draw]:
        """A random window of a random view of each row."""
        views = random.integers(0, self.sources[source].views + 1, size=len(rows))
        drawn = zip(rows.tolist(), views.tolist(), random.random(len(rows)).tolist())
        return [Draw(source, row, view, place, self.size, key) for row, view, place in drawn]


def whole_draws(sources: Sequence[Speech], batch_size: int) -> list[list[Draw]]:
    """Batches of every utterance whole and every view of it, one source after another."""
    batches = []
    for source, speech in enumerate(sources):
        # Neighbours of one length need little padding.
        order = np.argsort([row.duration for row in speech.manifest], kind="stable")
        for view in range(speech.views + 1):
            for rows in np.array_split(order, -(-len(order) // batch_size)):
                batches.append([Draw(source, row, view) for row in rows.tolist()])
    return batches


def scoring_draws(manifest: Manifest, window_s: float, overlap_s: float, batch_size: int) -> list[list[Draw]]:
    """Batches of overlapping windows of every utterance, in order; see ``segments.cut``."""
    rows = {name: row for row, name in enumerate(manifest.ids)}
    draws = [Draw(0, rows[s.utterance_id], place=s.samples()) for s in cut(manifest, window_s, overlap_s)]
    return [draws[first : first + batch_size] for first in range(0, len(draws), batch_size)]


def scoring_batches(
    manifest: Manifest, waveform: Callable[[str], np.ndarray], window_s: float, overlap_s: float, batch_size: int
) -> Iterator[Batch]:
    """The same windows as batches; ``waveform`` maps an utterance's ID to its samples."""
    dataset = WindowDataset([Speech(manifest, lambda name, view: waveform(name))])
    for draws in scoring_draws(manifest, window_s, overlap_s, batch_size):
        yield collate_items([dataset[draw] for draw in draws])
