"""Gates: per utterance, whether to trust any teacher. One file each, registered by importing it."""
# ruff: noqa: F401

from akd_toolkit.distill.gates.always_open import AlwaysOpen
from akd_toolkit.distill.gates.base import Gate
from akd_toolkit.distill.gates.teacher_agreement import TeacherAgreement
from akd_toolkit.distill.gates.teacher_concordance_error import TeacherConcordanceError
from akd_toolkit.distill.gates.teacher_correct import TeacherCorrect
from akd_toolkit.distill.gates.teacher_distance import TeacherDistance
from akd_toolkit.distill.gates.teacher_entropy import TeacherEntropy
from akd_toolkit.distill.gates.teacher_error import TeacherError
