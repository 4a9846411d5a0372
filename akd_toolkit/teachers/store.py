"""Features of one teacher over one corpus, computed once and read from disk ever after."""

import io
import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.data.views import ViewSettings, make_view
from akd_toolkit.teachers.base import Teacher, fingerprint_of

logger = logging.getLogger(__name__)
CHUNK = 16  # utterances per file while computing: what a kill can cost


class FeatureStore:
    """Memory-mapped features [n, L, D] of every utterance, one file for each view.

    The path holds the manifest's hash and the teacher's fingerprint, the file name that of the view's settings: what
    was computed from anything else is never found. Files are written aside and renamed, so a kill, Ctrl-C or a full
    disk leaves finished views and finished chunks, which the next run continues.

    Arguments
    ---------
    folder
        Root of the store; entries of many corpora and teachers live side by side.
    num_views
        Views per utterance: 1 is the clean waveform alone, more adds augmented copies.
    view_seed, view_settings
        Handed to ``make_view``.
    frames
        Whether to keep frames too, as float16 in one flat file per view.
    waveforms
        Called without arguments for ID -> waveform when something is missing; default reads the manifest's files.
    progress
        Whether to show a bar while computing.

    Shape
    -----
    ``view``: [n, L, D] float32 in the order of the manifest. ``get``: [len(ids), L, D]. ``frames``: a list of [T, D_f].

    Raises
    ------
    ValueError
        If the teacher gives a number that is not finite; teacher and utterance are named.
    OSError
        If the disk is full.
    """

    def __init__(
        self,
        folder,
        manifest: Manifest,
        teacher: Teacher,
        num_views: int = 1,
        view_seed: int = 0,
        view_settings: ViewSettings = ViewSettings(),
        frames: bool = False,
        waveforms: Callable[[], dict[str, np.ndarray]] | None = None,
        progress: bool = True,
    ):
        if num_views < 1:
            raise ValueError(f"num_views must be >= 1 (1 is the clean waveform alone), got {num_views}.")
        if frames and teacher.frame_rate_hz is None:
            raise ValueError(f"teacher {teacher.title} has no frames; set frames for a transformers_encoder only.")
        self.manifest, self.teacher, self.num_views = manifest, teacher, num_views
        self.view_seed, self.view_settings, self.with_frames = view_seed, view_settings, frames
        self.progress = progress
        entry = f"{manifest.corpus}-{manifest.hash}"
        self.folder = Path(folder) / entry / f"{teacher.name}-{teacher.fingerprint}"
        self._waveforms = waveforms or (lambda: load_waveforms(manifest, progress))
        self._rows = {row.id: index for index, row in enumerate(manifest)}
        self._maps: dict[str, np.ndarray] = {}
        self._stems: dict[int, str] = {0: "view0"}

    def prepare(self) -> None:
        """Compute every view that is missing; the log says what was computed and what reused."""
        for view in range(self.num_views):
            self.view(view)

    def view(self, view: int) -> np.ndarray:
        """Features [n, L, D] of one view, memory-mapped and read-only."""
        return self._map(view, ".npy")

    def get(self, ids: Sequence[str], view: int) -> np.ndarray:
        """Features [len(ids), L, D] of these utterances."""
        return self.view(view)[self._index(ids)]

    def frames(self, ids: Sequence[str], view: int) -> list[np.ndarray]:
        """Frames [T, D_f] float16 of these utterances."""
        flat, offsets = self._map(view, ".frames.npy"), self._map(view, ".offsets.npy")
        return [flat[offsets[row] : offsets[row + 1]] for row in self._index(ids)]

    @property
    def frame_dim(self) -> int:
        """D_f of the stored frames."""
        return self._map(0, ".frames.npy").shape[1]

    def _index(self, ids: Sequence[str]) -> list[int]:
        unknown = [name for name in ids if name not in self._rows]
        if unknown:
            raise ValueError(
                f"utterance {unknown[0]} is not in {self.manifest.corpus}; the store was made for other utterances."
            )
        return [self._rows[name] for name in ids]

    def _map(self, view: int, suffix: str) -> np.ndarray:
        if not 0 <= view < self.num_views:
            raise ValueError(f"view must be 0 to {self.num_views - 1}, got {view}; raise num_views for more.")
        name = self._stem(view) + suffix
        if name not in self._maps:
            self._maps.update(self._open_or_compute(view))
        return self._maps[name]

    def _stem(self, view: int) -> str:
        if view not in self._stems:
            settings = fingerprint_of(self.view_seed, self.view_settings.fingerprint, self._view_probe(view))
            self._stems[view] = f"view{view}-{settings[:8]}"
        return self._stems[view]

    def _view_probe(self, view: int) -> str:
        # The settings do not tell when the arithmetic of make_view changes; one short copy does.
        probe = np.sin(np.arange(1600, dtype=np.float32) / 7) / 2
        copy = make_view(probe, view, "probe", self.view_seed, self.view_settings)
        return fingerprint_of(len(copy), np.round(copy, 3).tolist())

    def _suffixes(self) -> list[str]:
        return [".npy", ".frames.npy", ".offsets.npy"] if self.with_frames else [".npy"]

    def _open_or_compute(self, view: int) -> dict[str, np.ndarray]:
        maps = self._open(view)
        if maps is None:
            with _one_at_a_time(self.folder / f".{self._stem(view)}.lock"):
                maps = self._open(view)  # another process may have computed it while this one waited
                if maps is None:
                    self._compute(view)
                    return self._open(view)
        logger.info("teacher %s: reused view %d of %d utterances.", self.teacher.title, view, len(self.manifest))
        return maps

    def _open(self, view: int) -> dict[str, np.ndarray] | None:
        """The entry's files, mapped; None where one is missing, torn, or not of this manifest."""
        stem = self._stem(view)
        paths = [self.folder / (stem + suffix) for suffix in self._suffixes()]
        about = self.folder / f"{stem}.json"
        if not all(path.is_file() for path in [*paths, about]):
            return None
        try:
            if json.loads(about.read_text())["ids"] != list(self._rows):
                raise ValueError("its utterances differ")
            maps = {path.name: np.load(path, mmap_mode="r", allow_pickle=False) for path in paths}
            if len(maps[f"{stem}.npy"]) != len(self._rows):
                raise ValueError("its number of rows differs")
        except (ValueError, KeyError, EOFError, OSError) as error:
            logger.warning("stored features in %s cannot be used (%s); computing them again.", paths[0], error)
            return None
        return maps

    def _compute(self, view: int) -> None:
        begin, rows = time.monotonic(), list(self.manifest)
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        parts = self.folder / f".{self._stem(view)}{'.frames' if self.with_frames else ''}.parts"
        paths = [parts / f"{index:06d}.npz" for index in range(len(chunks))]
        num_kept, waveforms = 0, None
        title = f"{self.teacher.title}, view {view}"
        with tqdm(total=len(rows), desc=title, unit="utt", disable=not self.progress) as bar:
            for path, chunk in zip(paths, chunks):
                if _read_part(path) is None:
                    waveforms = waveforms or self._waveforms()
                    self._write_part(path, [self._describe(row.id, waveforms, view) for row in chunk])
                else:
                    num_kept += len(chunk)
                bar.update(len(chunk))
        self._merge(view, paths)
        for path in paths:
            path.unlink(missing_ok=True)
        parts.rmdir()
        logger.info(
            "teacher %s: computed view %d of %d utterances in %.0f s%s.",
            *(self.teacher.title, view, len(rows), time.monotonic() - begin),
            f" ({num_kept} were there from an interrupted run)" if num_kept else "",
        )

    def _describe(self, utterance_id: str, waveforms: dict, view: int) -> tuple[np.ndarray, np.ndarray | None]:
        waveform = make_view(waveforms[utterance_id], view, utterance_id, self.view_seed, self.view_settings)
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

    def _write_part(self, path: Path, described: list) -> None:
        arrays = {"features": np.stack([features for features, _ in described])}
        if self.with_frames:
            arrays["frames"] = np.concatenate([frames for _, frames in described])
            arrays["counts"] = np.array([len(frames) for _, frames in described])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        with written_aside(path) as aside:
            aside.write_bytes(buffer.getbuffer())

    def _merge(self, view: int, paths: list[Path]) -> None:
        stem = self._stem(view)
        # The list of utterances goes first: features are valid from the moment their own file is renamed.
        about = {"ids": list(self._rows), "teacher": self.teacher.title, "identity": self.teacher.identity()}
        write_text_aside(self.folder / f"{stem}.json", json.dumps(about, indent=1, default=str))
        if self.with_frames:
            counts = np.concatenate([_read_part(path)["counts"] for path in paths])
            with written_aside(self.folder / f"{stem}.offsets.npy") as aside:
                np.save(aside, np.concatenate([[0], np.cumsum(counts)]))
            _write_array(self.folder / f"{stem}.frames.npy", paths, "frames", int(counts.sum()))
        _write_array(self.folder / f"{stem}.npy", paths, "features", len(self._rows))


def _read_part(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None


def _write_array(path: Path, parts: list[Path], key: str, length: int) -> None:
    """Write array ``key`` of all parts, joined along their first axis, as one .npy file, a part at a time.

    Not through a memory map: on a full disk that ends the process instead of raising OSError.
    """
    first = _read_part(parts[0])[key]
    shape = (length, *first.shape[1:])
    header = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
    with written_aside(path) as aside, open(aside, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(_read_part(part)[key]).data)


@contextmanager
def _one_at_a_time(path: Path):
    """Let one process compute while others wait; the operating system frees the lock of a killed one."""
    try:
        import fcntl
    except ImportError:  # no such locks here: two processes may compute the same numbers twice
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
