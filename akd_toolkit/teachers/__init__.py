"""Teachers: frozen models, their stored features, and the heads that read emotions from them."""

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers import ecapa_tdnn, logmel_statistics, opensmile_functionals, transformers_encoder
from akd_toolkit.teachers.bank import TeacherBank, TeacherFold, teacher_params
from akd_toolkit.teachers.base import Teacher
from akd_toolkit.teachers.crossfit import SoftTargets, crossfit
from akd_toolkit.teachers.head import Head, fit_heads
from akd_toolkit.teachers.store import FeatureStore
from akd_toolkit.teachers.transfer import answers_on

build = TEACHERS.build

__all__ = [
    "FeatureStore",
    "Head",
    "SoftTargets",
    "Teacher",
    "TeacherBank",
    "TeacherFold",
    "answers_on",
    "build",
    "crossfit",
    "ecapa_tdnn",
    "fit_heads",
    "logmel_statistics",
    "opensmile_functionals",
    "teacher_params",
    "transformers_encoder",
]
