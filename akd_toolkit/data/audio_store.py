"""The sound of a corpus on disk: every utterance and every view of it, 16 kHz, as 16-bit integers.

A view is the clean waveform or an augmented copy that is the same in every run. Teacher features of (utterance, view)
are therefore computed once, and student and teacher receive the same sound.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from akd_toolkit.data.array_store import Chunk, stored_arrays
from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ
from akd_toolkit.data.manifest import Manifest, load_waveforms

VERSION = 1  # raise it when the arithmetic of readers or views changes
VIEW_SEED = 0  # views are part of the stored teacher features, so that no run's seed may change them
FULL_SCALE = 2**15  # what 1.0 is in 16-bit samples


@dataclass(frozen=True)
class ViewSettings:
    """How much a view may differ from the clean waveform."""

    speed_low: float = 0.8  # range of the playback speed, in [0.5, 2]; pitch and formants move with it
    speed_high: float = 1.25
    tilt_db: float = 3.0  # largest slope of a random equaliser, dB per octave around 1 kHz, >= 0
    bump_db: float = 5.0  # largest height of its one peak or notch, >= 0
    gain_db: float = 12.0  # largest attenuation, >= 0
    snr_db: float | None = 15.0  # half of the views get noise at this SNR to 25 dB more; None adds none

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with any setting, for the keys of stored features."""
        return hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()[:12]


def make_view(
    waveform: np.ndarray, view: int, utterance_id: str, seed: int, settings: ViewSettings = ViewSettings()
) -> np.ndarray:
    """Copy ``view`` of an utterance; 0 is the clean waveform. The same arguments give the same samples in every run.

    [samples] float32 gives [samples / speed], float32 in [-1, 1], never shorter than 0.1 s.

    Example
    -------
    >>> slow = ViewSettings(speed_low=0.8, speed_high=0.8)
    >>> make_view(np.full(16000, 0.1, dtype=np.float32), 1, "a1", seed=1, settings=slow).shape  # 16000 / 0.8
    (20000,)
    """
    if view == 0:
        return waveform
    key = f"{seed}|{utterance_id}|{view}".encode()
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "little"))
    from scipy.signal import resample_poly  # here, because it is slow to import

    # Drawn together, so that switching one setting off does not change the others.
    speed, tilt, bump, place, gain, noisy, snr = random.uniform(size=7)
    percent = round(100 * settings.speed_low * (settings.speed_high / settings.speed_low) ** speed)
    percent = max(1, min(percent, 100 * len(waveform) // MIN_SAMPLES))
    copy = resample_poly(waveform, 100, percent).astype(np.float64)
    copy = _equalise(copy, settings.tilt_db * (2 * tilt - 1), settings.bump_db * (2 * bump - 1), place)
    if settings.snr_db is not None and noisy < 0.5:
        level = np.sqrt(np.mean(np.square(copy))) * 10 ** (-(settings.snr_db + 25.0 * snr) / 20)
        copy = copy + level * random.standard_normal(len(copy))
    # The equaliser may lift the peak above full scale: restore it before attenuating.
    peak = max(np.abs(copy).max(), 1e-9)
    copy = copy * (np.abs(waveform).max() / peak) * 10 ** (-settings.gain_db * gain / 20)
    return copy.astype(np.float32)


def _equalise(waveform: np.ndarray, tilt_db: float, bump_db: float, place: float) -> np.ndarray:
    """Slope of ``tilt_db`` per octave around 1 kHz, and one bump of 0.7 octaves between 150 Hz and 6 kHz."""
    if tilt_db == 0 and bump_db == 0:
        return waveform
    spectrum = np.fft.rfft(waveform)
    hz = np.maximum(np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE_HZ), 60.0)
    centre_hz = 150.0 * (6000.0 / 150.0) ** place
    gain_db = tilt_db * np.clip(np.log2(hz / 1000.0), -3, 3)
    gain_db += bump_db * np.exp(-0.5 * (np.log2(hz / centre_hz) / 0.7) ** 2)
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(waveform))


class AudioStore:
    """Waveforms of a corpus by utterance and view, memory-mapped: memory does not grow with the corpus.

    View 0 is the clean utterance; others are augmented copies, see ``make_view``. A view is written once and read by
    every training and every teacher. Disk: 32 kB per second of speech and view. ``folder`` is the root of the stores
    of any number of corpora.
    """

    def __init__(self, manifest: Manifest, folder, settings: ViewSettings = ViewSettings(), progress: bool = True):
        self.manifest, self.settings, self.progress = manifest, settings, progress
        self.folder = Path(folder) / f"{manifest.title}-{manifest.hash}" / f"audio-v{VERSION}"
        self._rows = {row.id: index for index, row in enumerate(manifest)}
        self._views: dict[int, Chunk] = {}

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
