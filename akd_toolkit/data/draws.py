"""Which windows make a batch: samplers for ``WindowDataset``, and options for its DataLoader."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch.utils.data import Sampler

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ, window_starts
from akd_toolkit.data.batches import Batch, collate_items
from akd_toolkit.data.dataset import Draw, Speech, WindowDataset
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.declared import Section, checked


class Sampling(Section):
    """The setting ``sampling``."""

    name: Literal["natural", "class_balanced", "speaker_balanced", "corpus_balanced"] = Field(
        description="natural has every utterance once, the others each class, speaker or corpus (the part of a "
        "speaker's name before a slash) equally often"
    )


def sampling_of(spec: dict | None) -> str:
    """The name in the setting ``sampling``; ``natural`` if it is None."""
    return "natural" if spec is None else checked(Sampling, spec, "sampling").name


def epoch_order(manifest: Manifest, sampling: str, random: np.random.Generator) -> np.ndarray:
    """Rows of one epoch in random order, as many as the manifest has; see ``Sampling``."""
    if sampling == "natural":
        return random.permutation(len(manifest))
    if sampling == "class_balanced":
        return balanced_order(manifest.labels, random)
    names = [row.speaker.partition("/")[0] if sampling == "corpus_balanced" else row.speaker for row in manifest]
    return balanced_order(np.unique(names, return_inverse=True)[1], random)


def balanced_order(groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As many rows as there are, each group equally often up to one; no row repeats before its whole group was used."""
    present = np.unique(groups)
    share, rest = divmod(len(groups), len(present))
    more = random.permutation(len(present)) < rest
    chosen = []
    for group, count in zip(present, share + more):
        rows = np.flatnonzero(groups == group)
        rounds = [random.permutation(rows) for _ in range(-(-count // len(rows)))]
        chosen += [np.concatenate(rounds)[:count]] if rounds else []
    return random.permutation(np.concatenate(chosen))


class TrainSampler(Sampler[list[Draw]]):
    """Batches of one epoch: a random window from a random view of every labelled utterance, in random order.

    Unlabelled windows are the last rows of each batch. All draws depend on (seed, epoch) alone, so that a resumed run
    draws the same. With several processes (DDP) each takes its share of every batch.

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
        sources: Sequence[Speech],  # the labelled one, then unlabelled ones, which divide a batch by their weights
        window_s: float,
        batch_size: int,  # labelled windows, >= 1
        seed: int,
        unlabelled_ratio: float = 1.0,  # unlabelled windows for each labelled one, > 0
        sampling: str = "natural",  # of labelled utterances, a name of ``Sampling``
        rank: int = 0,  # which process this is
        num_processes: int = 1,
        epoch_size: int | None = None,  # labelled windows, which repeat a smaller part; None: one for each utterance
    ):
        self.sources, self.size = tuple(sources), round(window_s * SAMPLE_RATE_HZ)
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        self.unlabelled_ratio, self.sampling = unlabelled_ratio, sampling
        self.rank, self.num_processes = rank, num_processes
        self.epoch_size = epoch_size or len(self.sources[0].manifest)
        smallest = self.epoch_size // len(self)
        if smallest < num_processes:
            few = f"gives batches of {smallest} labelled windows for {num_processes} processes"
            raise ValueError(f"batch_size {batch_size} {few}; raise batch_size or start fewer processes.")

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.epoch_size // self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng([self.seed, self.epoch])
        labelled, *unlabelled = self.sources
        passes = -(-self.epoch_size // len(labelled.manifest))
        order = np.concatenate([epoch_order(labelled.manifest, self.sampling, random) for _ in range(passes)])
        order = order[: self.epoch_size]
        for number, rows in enumerate(np.array_split(order, len(self)), start=1):
            key = (self.seed, self.epoch, number) + ((self.rank,) if self.num_processes > 1 else ())
            draws = self._windows(0, rows, random, key)
            sizes = [round(self.unlabelled_ratio * len(rows))]
            if len(unlabelled) > 1:
                weights = np.array([speech.weight for speech in unlabelled])
                sizes = random.multinomial(sizes[0], weights / weights.sum()).tolist()
            for source, (speech, size) in enumerate(zip(unlabelled, sizes), start=1):
                if speech.chances is None:
                    rows = random.integers(len(speech.manifest), size=size)
                else:
                    rows = random.choice(len(speech.manifest), size=size, p=speech.chances)
                draws += self._windows(source, rows, random, key)
            yield draws[self.rank :: self.num_processes]

    def _windows(self, source: int, rows: np.ndarray, random: np.random.Generator, key) -> list[Draw]:
        """A random window of a random view of each row."""
        views = random.integers(0, self.sources[source].views + 1, size=len(rows))
        drawn = zip(rows.tolist(), views.tolist(), random.random(len(rows)).tolist())
        return [Draw(source, row, view, place, self.size, key) for row, view, place in drawn]


def whole_draws(sources: Sequence[Speech], batch_size: int, sampling: str = "natural") -> list[list[Draw]]:
    """Batches of every view of whole utterances, one source after another, sorted by length to save padding.

    The first source has the utterances of an epoch of ``sampling``, the same for every seed; the others have all.
    """
    batches = []
    for source, speech in enumerate(sources):
        rows = np.sort(epoch_order(speech.manifest, "natural" if source else sampling, np.random.default_rng(0)))
        order = rows[np.argsort([speech.manifest.utterances[row].duration for row in rows], kind="stable")]
        for view in range(speech.views + 1):
            for rows in np.array_split(order, -(-len(order) // batch_size)):
                batches.append([Draw(source, row, view) for row in rows.tolist()])
    return batches


def scoring_draws(manifest: Manifest, window_s: float, overlap_s: float, batch_size: int) -> list[list[Draw]]:
    """Batches of windows of ``window_s`` that overlap by ``overlap_s`` and cover every utterance, in order.

    ``window_s`` is at least 0.1 s, ``overlap_s`` in [0, window_s). The last window is moved back so that it ends with
    the utterance. An utterance shorter than a window is one window of its own length. The manifest is one partition
    only, so that no utterance has windows in two.
    """
    window, overlap = round(window_s * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
    if window < MIN_SAMPLES:
        raise ValueError(f"window_s must be at least {MIN_SAMPLES / SAMPLE_RATE_HZ} s, got {window_s}.")
    if not 0 <= overlap < window:
        raise ValueError(f"overlap_s must be in [0, window_s = {window_s}) s, got {overlap_s}.")
    draws = []
    for row, utterance in enumerate(manifest):
        total = round(utterance.duration * SAMPLE_RATE_HZ)
        starts = window_starts(total, window, window - overlap)
        draws += [Draw(0, row, place=slice(start, min(start + window, total))) for start in starts]
    return [draws[first : first + batch_size] for first in range(0, len(draws), batch_size)]


def scoring_batches(
    manifest: Manifest, waveform: Callable[[str], np.ndarray], window_s: float, overlap_s: float, batch_size: int
) -> Iterator[Batch]:
    """The windows of ``scoring_draws`` as batches; ``waveform`` maps an utterance's ID to its samples."""
    dataset = WindowDataset([Speech(manifest, lambda name, view: waveform(name))])
    for draws in scoring_draws(manifest, window_s, overlap_s, batch_size):
        yield collate_items([dataset[draw] for draw in draws])


def loader_options(draws, change: Callable | None = None, num_workers: int = 0) -> dict:
    """Options of a DataLoader for a ``WindowDataset``; with 0 workers this process makes the batches.

    ``draws`` are a sampler or a list of batches of ``Draw``; for ``change`` see ``collate_items``. The loader has its
    own random generator: the number of workers does not affect what a training draws.
    """
    collate = collate_items if change is None else partial(collate_items, change=change)
    options = {"batch_sampler": draws, "collate_fn": collate, "generator": torch.Generator()}
    if not num_workers:
        return options
    # A server without threads starts the workers, since a process with threads cannot be forked safely.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload(["akd_toolkit.data.dataset"])
    workers = {"num_workers": num_workers, "persistent_workers": True, "worker_init_fn": end_with_parent}
    return {**options, **workers, "multiprocessing_context": context}


def end_with_parent(worker: int) -> None:
    """End this worker when the training process ends, even if that was killed.

    PyTorch's workers watch their parent process, which here is the server that started them.
    """

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
