"""Scores of predictions, their confidence intervals, and tests whether two systems differ."""

from akd_toolkit.metrics.calibration import expected_calibration_error
from akd_toolkit.metrics.concordance import ccc, ccc_interval
from akd_toolkit.metrics.intervals import Interval, paired_speaker_interval, speaker_counts, speaker_interval
from akd_toolkit.metrics.scores import agreement, class_recalls, confusion_matrix, macro_f1, ua, wa
from akd_toolkit.metrics.significance import holm, mcnemar_exact, speaker_permutation_test

__all__ = [
    "Interval",
    "agreement",
    "ccc",
    "ccc_interval",
    "class_recalls",
    "confusion_matrix",
    "expected_calibration_error",
    "holm",
    "macro_f1",
    "mcnemar_exact",
    "paired_speaker_interval",
    "speaker_counts",
    "speaker_interval",
    "speaker_permutation_test",
    "ua",
    "wa",
]
