"""All teachers of a run over one corpus: stored features, cross-fitted heads, outputs for a batch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.outputs import TeacherOutput
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.attributes import AttributeHead, fit_attributes, predict_attributes
from akd_toolkit.teachers.base import check_same_order
from akd_toolkit.teachers.crossfit import L2, SoftTargets, crossfit, transfer
from akd_toolkit.teachers.store import FeatureStore, is_missing


class TeacherBank:
    """Teachers by title, their feature stores over one corpus, and soft targets for any set of training speakers.

    An encoder is loaded only if one of its features is missing, and unloaded afterwards; training reads stored numbers.

    Arguments
    ---------
    specs
        Title -> ``{name: registered name, option: value, ...}``; the titles appear in tables.
    audio, store_folder, num_views
        The corpus with the views that students are trained on, and how it is stored: see ``FeatureStore``.
    frames
        Titles of the teachers whose frames are stored too.
    device
        Where encoders run while features are computed.

    ValueError if an option is unknown, or a teacher has the corpus's classes in another order.
    """

    def __init__(
        self,
        specs: dict[str, dict],
        audio: AudioStore,
        store_folder,
        num_views: int = 1,
        frames: Sequence[str] = (),
        device: str = "cpu",
        progress: bool = True,
    ):
        if not specs:
            raise ValueError("there are no teachers; give at least one as title: {name: ..., option: value}.")
        if unknown := sorted(set(frames) - set(specs)):
            raise ValueError(f"frames are wanted of teacher {unknown[0]}, but the teachers are {', '.join(specs)}.")
        self.audio, self.manifest, self.num_views = audio, audio.manifest, num_views
        self.stores: dict[str, FeatureStore] = {}
        for title, spec in specs.items():
            teacher = TEACHERS.build(**spec)
            teacher.title, teacher.device = title, device
            teacher.check_label_order(self.manifest.label_order)
            self.stores[title] = FeatureStore(store_folder, audio, teacher, num_views, title in frames, progress)

    def prepare(self, jobs: int = 1, backend: str = "local") -> None:
        """Compute missing features by ``jobs`` processes, then unload the encoders; see ``run_tasks``."""
        self.audio.prepare(self.num_views, jobs, backend)
        for store in self.stores.values():
            store.prepare(jobs, backend)
            store.teacher.unload()

    def fold(
        self,
        train_speakers: Sequence[str],
        groups: Sequence[Sequence[str]],
        label_order: Sequence[str] | None = None,
        l2: Sequence[float] = L2,
        one_head: bool = False,
        attributes: Sequence[str] = (),
        labelled: np.ndarray | None = None,
    ) -> "TeacherFold":
        """Soft targets of every teacher, from heads trained on ``train_speakers`` alone; see ``crossfit``.

        With ``one_head`` losses imitate the head that was trained on all of them, one function for all utterances,
        while gates and weightings still use the cross-fitted heads. ``attributes`` names dimensional labels that
        teachers predict too, always by cross-fitted heads. ``labelled`` [n] says whose labels may be used.
        """
        if label_order is not None:
            check_same_order(self.manifest.label_order, label_order, f"the manifest of {self.manifest.corpus}")
        self.prepare()
        speakers = [row.speaker for row in self.manifest]
        options = {"label_order": self.manifest.label_order, "ids": self.manifest.ids, "l2": l2, "labelled": labelled}
        about = self.manifest.labels, speakers, groups, train_speakers
        targets, predictors = [], []
        for title, store in self.stores.items():
            features, folder = [store.view(view) for view in range(store.num_views)], store.folder / "heads"
            targets.append(crossfit(features, *about, **options, title=title, folder=folder))
            if attributes:
                truth = self.manifest.attribute_values(attributes)
                truth[is_missing(features[0]) | (False if labelled is None else ~labelled)] = np.nan
                predictors.append(fit_attributes(targets[-1], features, truth, folder))
        return TeacherFold(targets, list(self.stores.values()), one_head, predictors)


class TeacherFold(Sequence):
    """The soft targets of all teachers for one set of training speakers; a sequence of ``SoftTargets``.

    ``one_head`` and ``predictors`` (m times an attribute head for each emotion head) as ``TeacherBank.fold``.
    """

    def __init__(
        self,
        targets: list[SoftTargets],
        stores: list[FeatureStore],
        one_head: bool = False,
        predictors: Sequence[tuple[AttributeHead, ...]] = (),
    ):
        self.targets, self.stores, self.predictors = targets, stores, predictors
        self.names = tuple(target.title for target in targets)
        self._rows = {name: row for row, name in enumerate(targets[0].ids)}
        self._logits = torch.stack([target.logits for target in targets])  # [m, n, views, classes]
        self._imitated = self._attributes = None  # or [m, n, views, classes] and [m, n, views, A]
        views = [
            [torch.tensor(store.get(target.ids, view)) for view in range(store.num_views)]
            for target, store in zip(targets, stores if one_head or predictors else ())
        ]
        if one_head:
            by_one = [torch.stack([t.head.logits(view) for view in own], dim=1) for t, own in zip(targets, views)]
            self._imitated = torch.stack(by_one).nan_to_num()
        if predictors:
            parts = zip(predictors, targets, views)
            by_own = [predict_attributes(heads, target.head_of, own) for heads, target, own in parts]
            self._attributes = torch.stack(by_own).nan_to_num()
        self._present = ~self._logits[:, :, 0, 0].isnan()  # [m, n]; what is missing becomes any finite number
        self._logits = self._logits.nan_to_num()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> SoftTargets:
        return self.targets[index]

    @property
    def embedding_dims(self) -> list[int]:
        """D_t of each teacher's embedding."""
        return [target.head.mean.shape[-1] for target in self.targets]

    @property
    def frame_dims(self) -> list[int]:
        """D_t of the frames of each teacher that has stored frames."""
        return [store.frame_dim for store in self.stores if store.with_frames]

    def lookup(
        self,
        ids: Sequence[str],
        view: int | Sequence[int] = 0,
        embeddings: bool = True,
        frames: bool = False,
        spans: Sequence[tuple[float, float]] | None = None,
    ) -> TeacherOutput:
        """The outputs of all teachers for these utterances.

        ``view`` is one for all, or one for each utterance; ``spans`` are the parts of the utterances whose frames are
        wanted, as (begin, end) shares of their durations (None: all).

        Shape
        -----
        logits [m, batch, classes]; embedding m tensors [batch, D_t]; frames [batch, T_t, D_t], float16, of each
        teacher that has stored frames; attributes [m, batch, A] if there are heads for them.
        """
        rows = torch.tensor([self._rows[name] for name in ids])
        views = torch.as_tensor(view).expand(len(rows))
        places = list(zip(ids, views.tolist()))
        embedding = ()
        if embeddings:
            embedding = tuple(
                target.embed(np.concatenate([store.get([name], view) for name, view in places])).nan_to_num()
                for target, store in zip(self.targets, self.stores)
            )
        found, lengths = self._frames(places, spans) if frames else ((), None)
        present = self._present[:, rows]
        return TeacherOutput(
            logits=self._logits[:, rows, views],
            targets=None if self._imitated is None else self._imitated[:, rows, views],
            embedding=embedding,
            frames=found,
            lengths=lengths,
            names=self.names,
            attributes=None if self._attributes is None else self._attributes[:, rows, views],
            present=None if present.all() else present,
        )

    def _frames(self, places: list[tuple[str, int]], spans) -> tuple[tuple[Tensor, ...], Tensor | None]:
        found, lengths = [], None
        for store in self.stores:
            if not store.with_frames:
                continue
            stored = [store.frames([name], view)[0] for name, view in places]  # memory-mapped
            if spans is not None:
                stored = [part_of(frames, *span) for frames, span in zip(stored, spans)]
            # In half precision as stored: what a loss does not read is never converted.
            pieces = [torch.from_numpy(np.array(frames)) for frames in stored]
            counts = torch.tensor([len(piece) for piece in pieces])
            lengths = counts / counts.max()  # the teachers' rates differ, the shares hardly
            found.append(pad_sequence(pieces, batch_first=True))
        return tuple(found), lengths


def part_of(frames: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Frames from share ``begin`` to share ``end``, at least one."""
    first = min(round(begin * len(frames)), len(frames) - 1)
    return frames[first : max(first + 1, round(end * len(frames)))]


def transfer_fold(fold: TeacherFold, bank: TeacherBank, manifest: Manifest, standardise: float = 1.0) -> TeacherFold:
    """Soft targets of ``fold``'s teachers for the unlabelled speech of ``manifest``, a part of ``bank``'s corpus.

    A training speaker of the fold, whose mixtures are in that speech, gets targets from the head that was not trained
    on that speaker, any other speaker from the head trained on all training speakers. With ``standardise`` 1, features
    are standardised by the mean and deviation of ``manifest``, so that its language, room and level do not shift every
    prediction to one class; with 0 by the head's own, those of the labelled corpus; between, by numbers between these.
    Speech outside of ``manifest``, such as mixtures of test speakers, is not used.
    """
    stores = list(bank.stores.values())
    targets = [transfer(target, store, manifest, standardise) for target, store in zip(fold.targets, stores)]
    predictors = [
        tuple(replace(old, head=head) for old, head in zip(predictor, target.heads))
        for predictor, target in zip(fold.predictors, targets)
    ]
    return TeacherFold(targets, stores, predictors=predictors)


def teacher_params(spec: dict) -> int:
    """Number of parameters of the frozen model behind ``spec``; 0 for a teacher without a model."""
    return TEACHERS.build(**spec).num_parameters
