"""Features of one teacher over one corpus, computed once and then read from disk."""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from akd_toolkit.data.array_store import OFFSETS, Chunk, stored_arrays
from akd_toolkit.data.audio_store import VERSION, AudioStore
from akd_toolkit.parallel import stop_workers
from akd_toolkit.teachers.base import Teacher


class FeatureStore:
    """Memory-mapped features [n, L, D] of every utterance, a file for each view; see ``stored_arrays``.

    The path holds the manifest's hash and the teacher's fingerprint, the file name the version of the audio and the
    settings of the view, so features of anything else are never found.

    Arguments
    ---------
    folder
        Root of the store; entries of many corpora and teachers can share it.
    audio
        The corpus, with all its views.
    num_views
        Views per utterance: 1 is the clean waveform alone, more adds augmented copies.
    frames
        Whether to store frames too, as float16 in one flat file per view.
    progress
        Whether to show a bar while computing.

    Raises
    ------
    ValueError
        If the teacher gives a number that is not finite; teacher and utterance are named.
    OSError
        If the disk is full.
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
        entry = f"{self.manifest.title}-{self.manifest.hash}"
        self.folder = Path(folder) / entry / f"{teacher.name}-{teacher.fingerprint}"
        self._views: dict[int, Chunk] = {}

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {row.id: index for index, row in enumerate(self.manifest)}

    def prepare(self, jobs: int = 1, backend: str = "local") -> None:
        """Compute every view that is missing; the log says what was computed and what reused."""
        for view in range(self.num_views):
            self._open(view, jobs, backend)
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
        unknown = [name for name in ids if name not in self._rows]
        if unknown:
            raise ValueError(
                f"utterance {unknown[0]} is not in {self.manifest.corpus}; the store was made for other utterances."
            )
        return [self._rows[name] for name in ids]

    def _open(self, view: int, jobs: int = 1, backend: str = "local") -> Chunk:
        if not 0 <= view < self.num_views:
            raise ValueError(f"view must be 0 to {self.num_views - 1}, got {view}; raise num_views for more.")
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
        described = [self._describe_one(utterance_id, view) for utterance_id in ids]
        arrays = {"features": np.stack([features for features, _ in described])}
        if self.with_frames:
            arrays["frames"] = np.concatenate([frames for _, frames in described])
            arrays["counts"] = np.array([len(frames) for _, frames in described])
        return arrays

    def _describe_one(self, utterance_id: str, view: int) -> tuple[np.ndarray, np.ndarray | None]:
        waveform = self.audio.waveform(utterance_id, view)
        if self.with_frames:
            features, frames = self.teacher.features_and_frames(waveform)
            frames = np.clip(frames, -65504, 65504).astype(np.float16)  # the range of float16
        else:
            features, frames = self.teacher.features(waveform), None
        if not np.isfinite(features).all() or (frames is not None and not np.isfinite(frames).all()):
            raise ValueError(
                f"teacher {self.teacher.title} gives numbers that are not finite for utterance {utterance_id}; "
                "listen to the recording, and leave it out of the manifest if it holds no speech."
            )
        return np.asarray(features, dtype=np.float32), frames

    def __getstate__(self) -> dict:
        return {**vars(self), "_views": {}}  # a worker opens the files itself
