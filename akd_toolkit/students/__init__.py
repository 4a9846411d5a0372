"""Small models that are trained and exported; they know nothing of teachers."""

from akd_toolkit.students import base, encoder_student, hybrid_transformer, micro_cnn
from akd_toolkit.students.base import Student

__all__ = ["Student", "base", "encoder_student", "hybrid_transformer", "micro_cnn"]
