"""Scores of predictions, how sure they are, and whether two systems differ."""

from akd_toolkit.metrics.calibration import expected_calibration_error
from akd_toolkit.metrics.concordance import ccc, speaker_bootstrap_ccc
from akd_toolkit.metrics.intervals import (
    Interval,
    paired_speaker_bootstrap,
    speaker_bootstrap,
    speaker_counts,
)
from akd_toolkit.metrics.scores import agreement, class_recalls, confusion_matrix, macro_f1, ua, wa
from akd_toolkit.metrics.significance import mcnemar_exact, speaker_permutation_test

__all__ = [
    "Interval",
    "agreement",
    "ccc",
    "class_recalls",
    "confusion_matrix",
    "expected_calibration_error",
    "macro_f1",
    "mcnemar_exact",
    "paired_speaker_bootstrap",
    "speaker_bootstrap",
    "speaker_bootstrap_ccc",
    "speaker_counts",
    "speaker_permutation_test",
    "ua",
    "wa",
]
