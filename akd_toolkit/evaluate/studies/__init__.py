"""Studies of finished experiments that need no training: stored students are asked again, or stored scores read again.

Each function takes experiments (``experiment.Experiment``), leaves table.csv and table.md in
``FOLDER/studies/<name>``, and returns the path of the last table. What students answered lies below it, one file of
scores a run and condition, from which everything else is computed.
"""

from akd_toolkit.evaluate.studies.agreement import agreement_study
from akd_toolkit.evaluate.studies.calibration import calibration_study
from akd_toolkit.evaluate.studies.cross import cross_study
from akd_toolkit.evaluate.studies.groups import groups_study
from akd_toolkit.evaluate.studies.noise import noise_study
from akd_toolkit.evaluate.studies.overlap import overlap_study

__all__ = [
    "agreement_study",
    "calibration_study",
    "cross_study",
    "groups_study",
    "noise_study",
    "overlap_study",
]
