"""The sound of a corpus in memory: every utterance once, every view of it made when first asked for."""

from functools import lru_cache

import numpy as np

from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.data.views import ViewSettings, make_view

VIEW_SEED = 0  # views are part of the stored teacher features, so that no run's seed may change them


class Waveforms:
    """Waveforms of a corpus by utterance and view, 16 kHz, float32.

    Memory: 64 kB a second of speech for each view that has been heard.
    """

    def __init__(self, manifest: Manifest, settings: ViewSettings = ViewSettings(), progress: bool = True):
        self.clean = load_waveforms(manifest, progress)
        self.settings = settings
        self._views: dict[tuple[str, int], np.ndarray] = {}

    def view(self, utterance_id: str, view: int) -> np.ndarray:
        """Samples of one view; 0 is the clean waveform."""
        if view == 0:
            return self.clean[utterance_id]
        key = utterance_id, view
        if key not in self._views:
            self._views[key] = make_view(self.clean[utterance_id], view, utterance_id, VIEW_SEED, self.settings)
        return self._views[key]


@lru_cache(maxsize=2)
def waveforms_of(manifest: Manifest) -> Waveforms:
    """The corpus's waveforms, read once a process."""
    return Waveforms(manifest)
