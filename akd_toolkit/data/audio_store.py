"""The sound of a corpus on disk: every utterance and every view of it, 16 kHz, as 16-bit integers."""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from akd_toolkit.data.array_store import Chunk, stored_arrays
from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.data.views import ViewSettings, make_view

VERSION = 1  # raise it when the arithmetic of readers or views changes
VIEW_SEED = 0  # views are part of the stored teacher features, so that no run's seed may change them
FULL_SCALE = 2**15  # what 1.0 is in 16-bit samples


class AudioStore:
    """Waveforms of a corpus by utterance and view, memory-mapped: memory does not grow with the corpus.

    View 0 is the clean utterance; others are augmented copies, see ``make_view``. A view is written once and read by
    every training and every teacher. Disk: 32 kB per second of speech and view. ``folder`` is the root of the stores
    of any number of corpora.

    Example
    -------
    >>> import tempfile
    >>> import soundfile
    >>> from akd_toolkit.data.manifest import Utterance
    >>> folder = Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "a.wav", np.full(3200, 0.5), 16000)
    >>> row = Utterance("a", str(folder / "a.wav"), 0, 3200, 0.2, speaker="A", emotion="joy")
    >>> store = AudioStore(Manifest("toy", ("joy",), (row,)), folder, progress=False)
    >>> store.waveform("a").shape, float(store.waveform("a")[0])
    ((3200,), 0.5)
    """

    def __init__(self, manifest: Manifest, folder, settings: ViewSettings = ViewSettings(), progress: bool = True):
        self.manifest, self.settings, self.progress = manifest, settings, progress
        self.folder = Path(folder) / f"{manifest.title}-{manifest.hash}" / f"audio-v{VERSION}"
        self._views: dict[int, Chunk] = {}

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {row.id: index for index, row in enumerate(self.manifest)}

    def prepare(self, num_views: int, jobs: int = 1, backend: str = "local") -> None:
        """Write the first ``num_views`` views that are missing; the first is the clean one."""
        for view in range(num_views):
            self._open(view, jobs, backend)

    def waveform(self, utterance_id: str, view: int = 0) -> np.ndarray:
        """Samples of one view of one utterance: float32 [samples] in [-1, 1]."""
        arrays = self._open(view)
        row = self._rows[utterance_id]
        start, stop = arrays["offsets"][row : row + 2]
        return arrays["samples"][start:stop].astype(np.float32) / np.float32(FULL_SCALE)

    def _open(self, view: int, jobs: int = 1, backend: str = "local") -> Chunk:
        if view not in self._views:
            self._views[view] = stored_arrays(
                self.folder,
                f"view{view}-{self.settings.fingerprint}" if view else "view0",
                self.manifest.ids,
                ("samples", "offsets"),
                partial(self._compute, view=view),
                f"sound of {self.manifest.corpus}, view {view}",
                jobs=jobs,
                backend=backend,
                progress=self.progress,
            )
        return self._views[view]

    def _compute(self, ids: Sequence[str], view: int) -> Chunk:
        if view == 0:
            waveforms = list(load_waveforms([self.manifest.by_id[name] for name in ids], progress=False).values())
        else:
            waveforms = [make_view(self.waveform(name), view, name, VIEW_SEED, self.settings) for name in ids]
        samples = np.round(np.concatenate(waveforms) * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
        return {"samples": samples, "counts": np.array([len(waveform) for waveform in waveforms])}

    def __getstate__(self) -> dict:
        return {**vars(self), "_views": {}}  # a worker opens the files itself
