"""Features of one teacher over one corpus, computed once and then read from disk."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from akd_toolkit.data.array_store import OFFSETS, Chunk, stored_arrays
from akd_toolkit.data.audio_store import VERSION, AudioStore
from akd_toolkit.parallel import stop_workers
from akd_toolkit.teachers.base import MODALITIES, Teacher, fingerprint_of

logger = logging.getLogger(__name__)


class FeatureStore:
    """Memory-mapped features [n, L, D] of every utterance, a file for each view; see ``stored_arrays``.

    The path holds the manifest's hash and the teacher's fingerprint, the file name the version of the audio and the
    settings of the view, so features of anything else are never found. Of teachers that do not read audio, the path
    also depends on what they read; all views are the same, and features are NaN for an utterance without any
    (``is_missing``), which the log counts.

    Many corpora and teachers can share ``folder``. ``num_views`` 1 is the clean waveform alone, more adds augmented
    copies; ``frames`` stores frames too, as float16 in one flat file per view. ValueError if the teacher gives a number
    that is not finite, OSError if the disk is full.
    """

    def __init__(
        self, folder, audio: AudioStore, teacher: Teacher, num_views: int = 1, frames: bool = False, progress=True
    ):
        if num_views < 1:
            raise ValueError(f"num_views must be >= 1 (1 is the clean waveform alone), got {num_views}.")
        if frames and teacher.frame_rate_hz is None:
            raise ValueError(f"teacher {teacher.title} has no frames; set frames for a transformers_encoder only.")
        self.audio, self.manifest, self.teacher = audio, audio.manifest, teacher
        self.num_views, self.with_frames, self.progress = num_views, frames, progress
        key = teacher.fingerprint
        if self._reads:
            key = fingerprint_of(key, [_content(self._reads(row)) for row in self.manifest])
        self.folder = Path(folder) / f"{self.manifest.title}-{self.manifest.hash}" / f"{teacher.name}-{key}"
        self._views: dict[int, Chunk] = {}

    @property
    def _reads(self) -> Callable | None:
        """Utterance -> what the teacher reads of it; None for audio."""
        return MODALITIES.get(self.teacher.modality)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {row.id: index for index, row in enumerate(self.manifest)}

    def prepare(self, jobs: int = 1, backend: str = "local") -> None:
        """Compute every view that is missing; the log says what was computed and what reused."""
        for view in range(self.num_views):
            self._open(view, jobs, backend)
        if missing := int(is_missing(self.view(0)).sum()) if self._reads else 0:
            where = f"{missing} of {len(self.manifest)} utterances of {self.manifest.corpus}"
            logger.info("teacher %s has no output for %s; they are masked.", self.teacher.title, where)
        if jobs > 1:
            stop_workers()

    def view(self, view: int) -> np.ndarray:
        """Features [n, L, D] float32 of one view in the order of the manifest, memory-mapped and read-only."""
        return self._open(view)["features"]

    def get(self, ids: Sequence[str], view: int) -> np.ndarray:
        """Features [len(ids), L, D] of these utterances."""
        return self.view(view)[self._index(ids)]

    def frames(self, ids: Sequence[str], view: int) -> list[np.ndarray]:
        """Frames [T, D_f] float16 of these utterances."""
        arrays = self._open(view)
        offsets = arrays[OFFSETS]
        return [arrays["frames"][offsets[row] : offsets[row + 1]] for row in self._index(ids)]

    @property
    def frame_dim(self) -> int:
        """D_f of the stored frames."""
        return self._open(0)["frames"].shape[1]

    def _index(self, ids: Sequence[str]) -> list[int]:
        for name in ids:
            if name not in self._rows:
                raise ValueError(f"utterance {name} is not in {self.manifest.corpus}, for which the store was made.")
        return [self._rows[name] for name in ids]

    def _open(self, view: int, jobs: int = 1, backend: str = "local") -> Chunk:
        if not 0 <= view < self.num_views:
            raise ValueError(f"view must be 0 to {self.num_views - 1}, got {view}; raise num_views for more.")
        view = 0 if self._reads else view
        if view not in self._views:
            self._views[view] = stored_arrays(
                self.folder,
                f"sound{VERSION}-view{view}" + (f"-{self.audio.settings.fingerprint}" if view else ""),
                self.manifest.ids,
                ("features", "frames", OFFSETS) if self.with_frames else ("features",),
                partial(self._describe, view=view),
                f"{self.teacher.title} on {self.manifest.corpus}, view {view}",
                about={"teacher": self.teacher.title, "identity": self.teacher.identity()},
                jobs=jobs,
                backend=backend,
                progress=self.progress,
            )
        return self._views[view]

    def _describe(self, ids: Sequence[str], view: int) -> Chunk:
        features, frames = zip(*(self._describe_one(utterance_id, view) for utterance_id in ids))
        arrays = {"features": np.stack(features)}
        if self.with_frames:
            arrays |= {"frames": np.concatenate(frames), "counts": np.array(list(map(len, frames)))}
        return arrays

    def _describe_one(self, utterance_id: str, view: int) -> tuple[np.ndarray, np.ndarray | None]:
        reads, features, frames = self._reads, None, None
        given = reads(self.manifest.by_id[utterance_id]) if reads else self.audio.waveform(utterance_id, view)
        if self.with_frames:
            features, frames = self.teacher.features_and_frames(given)
            frames = np.clip(frames, -65504, 65504).astype(np.float16)  # the range of float16
            self._check_finite(frames, utterance_id)
        elif given is not None:
            features = self.teacher.features(given)
        if features is None:  # of what is not audio
            return np.full((self.teacher.num_layers, self.teacher.feature_dim), np.nan, dtype=np.float32), None
        return self._check_finite(features, utterance_id), frames

    def _check_finite(self, values: np.ndarray, utterance_id: str) -> np.ndarray:
        if not np.isfinite(values).all():
            raise ValueError(
                f"teacher {self.teacher.title} gives numbers that are not finite for utterance {utterance_id}; look at "
                "its recording, and leave it out of the manifest if it holds no speech."
            )
        return np.asarray(values, dtype=np.float32)

    def __getstate__(self) -> dict:
        return {**vars(self), "_views": {}}  # a worker opens the files itself


def is_missing(features):
    """Which utterances have no features of a teacher, from [n, L, D], an array or a tensor: [n]."""
    return features[:, 0, 0] != features[:, 0, 0]  # true of NaN alone


def _content(given) -> list:
    """What identifies something read from a manifest: a video by name and size, a row by ID and name of the file."""
    if isinstance(given, Path):
        return [given.name, given.stat().st_size if given.is_file() else None]
    return given if given is None or isinstance(given, str) else [given.id, Path(given.wav).stem]
