"""All teachers of a run over one corpus: stored features, cross-fitted heads, answers for a batch."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.outputs import TeacherOutput
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.attributes import AttributeHead, answers, fit_attributes
from akd_toolkit.teachers.crossfit import L2, SoftTargets, crossfit
from akd_toolkit.teachers.head import check_label_order
from akd_toolkit.teachers.store import FeatureStore

logger = logging.getLogger(__name__)


class TeacherBank:
    """Teachers by title, their stores over one corpus, and soft targets for any set of training speakers.

    An encoder is loaded only when one of its features is missing, and let go afterwards; training meets stored numbers.

    Arguments
    ---------
    specs
        Title -> ``{name: registered name, option: value, ...}``; the titles appear in tables.
    audio
        The corpus, with the views that students are trained on.
    store_folder
        Root of the stores.
    num_views
        Copies of each utterance, the clean one included.
    frames
        Titles of the teachers whose frames are kept too.
    device
        Where encoders run while features are computed.

    Raises
    ------
    ValueError
        If an option is unknown, or a teacher knows the corpus's classes in another order.

    Example
    -------
    >>> import tempfile
    >>> import soundfile
    >>> from akd_toolkit.data.manifest import Manifest, Utterance
    >>> folder, rows = tempfile.mkdtemp(), []
    >>> for speaker, emotion in [(s, e) for s in "ABC" for e in ("low", "high")]:
    ...     file = f"{folder}/{speaker}{emotion}.wav"
    ...     soundfile.write(file, np.sin(np.arange(4000) * (0.05 if emotion == "low" else 0.4)) / 2, 16000)
    ...     rows.append(Utterance(f"{speaker}{emotion}", file, 0, 4000, 0.25, speaker, emotion))
    >>> audio = AudioStore(Manifest("toy", ("low", "high"), tuple(rows)), folder, progress=False)
    >>> teachers = {"bands": {"name": "logmel_statistics", "num_mels": 8}}
    >>> bank = TeacherBank(teachers, audio, folder, progress=False)
    >>> fold = bank.fold(["A", "B"], [["A"], ["B"], ["C"]])
    >>> fold.lookup(["Clow", "Chigh"]).logits.argmax(dim=-1)  # of a speaker whom no head has heard
    tensor([[0, 1]])
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
        unknown = sorted(set(frames) - set(specs))
        if unknown:
            raise ValueError(f"frames are asked of teacher {unknown[0]}, but the teachers are {', '.join(specs)}.")
        self.audio, self.manifest, self.num_views = audio, audio.manifest, num_views
        self.stores: dict[str, FeatureStore] = {}
        for title, spec in specs.items():
            options = dict(spec)
            teacher = TEACHERS.build(options.pop("name"), **options)
            teacher.title, teacher.device = title, device
            teacher.check_label_order(self.manifest.label_order)
            self.stores[title] = FeatureStore(store_folder, audio, teacher, num_views, title in frames, progress)

    def prepare(self, jobs: int = 1, backend: str = "local") -> None:
        """Compute all features that are missing, by ``jobs`` processes, then unload the encoders; see ``run_tasks``."""
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
    ) -> "TeacherFold":
        """Soft targets of every teacher, from heads that have heard no one but ``train_speakers``.

        With ``one_head`` losses imitate the head that has heard all of them, one function for all utterances, while
        gates and weightings go on judging by heads that have not heard the utterance's speaker. ``attributes`` names
        dimensional labels that teachers predict too, always by heads that have not heard the speaker.
        """
        if label_order is not None:
            check_label_order(self.manifest.label_order, label_order, f"the manifest of {self.manifest.corpus}")
        self.prepare()
        targets, predictors = [], []
        for title, store in self.stores.items():
            features = [store.view(view) for view in range(store.num_views)]
            targets.append(
                crossfit(
                    features,
                    self.manifest.labels,
                    [row.speaker for row in self.manifest],
                    groups,
                    train_speakers,
                    self.manifest.label_order,
                    ids=self.manifest.ids,
                    l2=l2,
                    title=title,
                    folder=store.folder / "heads",
                )
            )
            if attributes:
                truth = self.manifest.attribute_values(attributes)
                predictors.append(fit_attributes(targets[-1], features, truth, store.folder / "heads"))
        return TeacherFold(targets, list(self.stores.values()), one_head, predictors)


class TeacherFold:
    """The soft targets of all teachers for one set of training speakers; a sequence of ``SoftTargets``.

    Shape
    -----
    ``lookup``: logits [m, batch, classes]; embedding m tensors [batch, D_t]; frames [batch, T_t, D_t], float16, of each
    teacher that has stored frames; attributes [m, batch, A] where there are heads for them.
    """

    def __init__(
        self,
        targets: list[SoftTargets],
        stores: list[FeatureStore],
        one_head: bool = False,
        predictors: Sequence[tuple[AttributeHead, ...]] = (),
    ):
        self.targets, self.stores, self.predictors = targets, stores, predictors
        self._taught = torch.stack([_by_one_head(*pair) for pair in zip(targets, stores)]) if one_head else None
        self.names = tuple(target.title for target in targets)
        self._rows = {name: row for row, name in enumerate(targets[0].ids)}
        self._logits = torch.stack([target.logits for target in targets])  # [m, n, views, classes]
        self._attributes = None  # or [m, n, views, A]
        if predictors:
            self._attributes = torch.stack([_predicted(*each) for each in zip(predictors, targets, stores)])

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[SoftTargets]:
        return iter(self.targets)

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
        """What all teachers say of these utterances.

        Arguments
        ---------
        view
            One view for all, or one for each utterance.
        spans
            Part of the utterance whose frames are wanted, as (begin, end) shares of its duration; None means all.
        """
        rows = torch.tensor([self._rows[name] for name in ids])
        views = torch.as_tensor(view).expand(len(rows))
        embedding = ()
        if embeddings:
            embedding = tuple(self._embedding(*pair, ids, views.tolist()) for pair in zip(self.targets, self.stores))
        found, lengths = self._frames(ids, views.tolist(), spans) if frames else ((), None)
        return TeacherOutput(
            logits=self._logits[:, rows, views],
            targets=None if self._taught is None else self._taught[:, rows, views],
            embedding=embedding,
            frames=found,
            lengths=lengths,
            names=self.names,
            attributes=None if self._attributes is None else self._attributes[:, rows, views],
        )

    def _embedding(self, target: SoftTargets, store: FeatureStore, ids, views: list[int]) -> Tensor:
        return target.embed(np.concatenate([store.get([name], view) for name, view in zip(ids, views)]))

    def _frames(self, ids, views: list[int], spans) -> tuple[tuple[Tensor, ...], Tensor | None]:
        found, lengths = [], None
        for store in self.stores:
            if not store.with_frames:
                continue
            stored = [store.frames([name], view)[0] for name, view in zip(ids, views)]  # memory-mapped
            if spans is not None:
                stored = [_part(frames, *span) for frames, span in zip(stored, spans)]
            # Half precision as stored: what a loss does not read is never converted.
            pieces = [torch.from_numpy(np.array(frames)) for frames in stored]
            counts = torch.tensor([len(piece) for piece in pieces])
            lengths = counts / counts.max()  # the teachers' rates differ, the shares hardly
            found.append(torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True))
        return tuple(found), lengths


def _predicted(predictor: Sequence[AttributeHead], target: SoftTargets, store: FeatureStore) -> Tensor:
    """Attributes [n, views, A], each utterance answered by the head that speaks for it."""
    views = [torch.tensor(store.get(target.ids, view)) for view in range(store.num_views)]
    return answers(predictor, target.head_of, views)


def _by_one_head(target: SoftTargets, store: FeatureStore) -> Tensor:
    """Logits [n, views, classes] of the head that has heard all training speakers, for every utterance."""
    views = [target.head.logits(torch.tensor(store.get(target.ids, view))) for view in range(store.num_views)]
    return torch.stack(views, dim=1)


def _part(frames: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Frames from share ``begin`` to share ``end``, at least one."""
    first = min(round(begin * len(frames)), len(frames) - 1)
    return frames[first : max(first + 1, round(end * len(frames)))]


def teacher_params(spec: dict) -> int:
    """Number of parameters of the frozen model behind ``spec``; 0 for a teacher that has learned nothing.

    Example
    -------
    >>> teacher_params({"name": "logmel_statistics"})
    0
    """
    options = dict(spec)
    return TEACHERS.build(options.pop("name"), **options).num_parameters
