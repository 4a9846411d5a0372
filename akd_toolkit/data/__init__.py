"""Corpora: manifests, speaker folds, windows, views and audio."""

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.folds import OuterFold, check_speakers_disjoint, inner_folds, outer_folds
from akd_toolkit.data.manifest import Manifest, Utterance, load_waveforms
from akd_toolkit.data.segments import Segment, cut
from akd_toolkit.data.views import ViewSettings, make_view

__all__ = [
    "MIN_SAMPLES",
    "SAMPLE_RATE_HZ",
    "Manifest",
    "OuterFold",
    "Segment",
    "Utterance",
    "ViewSettings",
    "check_speakers_disjoint",
    "cut",
    "inner_folds",
    "load_waveforms",
    "make_view",
    "outer_folds",
    "read_audio",
]
