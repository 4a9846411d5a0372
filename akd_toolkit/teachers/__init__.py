"""Teachers: frozen models, their stored features, and the heads that predict emotions from them."""
# ruff: noqa: F401

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers import (
    ecapa_tdnn,
    face_expression,
    feature_table,
    logmel_statistics,
    opensmile_functionals,
    transformers_encoder,
    transformers_text,
)
from akd_toolkit.teachers.bank import TeacherBank, TeacherFold, teacher_params, transfer_fold
from akd_toolkit.teachers.base import Teacher
from akd_toolkit.teachers.crossfit import SoftTargets, crossfit
from akd_toolkit.teachers.head import Head, fit_heads
from akd_toolkit.teachers.store import FeatureStore

build = TEACHERS.build
