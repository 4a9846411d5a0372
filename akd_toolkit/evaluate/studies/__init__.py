"""Studies of finished experiments without training: stored students are evaluated again, or stored scores are analysed.

Each writes ``table.csv`` and ``table.md`` to ``FOLDER/studies/<name>`` and returns the path of the last.
"""

from akd_toolkit.evaluate.studies.agreement import agreement_study
from akd_toolkit.evaluate.studies.calibration import calibration_study
from akd_toolkit.evaluate.studies.conditions import noise_study, overlap_study
from akd_toolkit.evaluate.studies.cross import cross_study
from akd_toolkit.evaluate.studies.groups import groups_study
from akd_toolkit.evaluate.studies.shares import shares_study
from akd_toolkit.evaluate.studies.sources import sources_study

__all__ = [
    "agreement_study",
    "calibration_study",
    "cross_study",
    "groups_study",
    "noise_study",
    "overlap_study",
    "shares_study",
    "sources_study",
]
