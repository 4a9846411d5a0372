"""Gates: per utterance, whether to trust any teacher."""

from akd_toolkit.gates.always_open import AlwaysOpen
from akd_toolkit.gates.base import Gate
from akd_toolkit.gates.teacher_error import TeacherError

__all__ = ["AlwaysOpen", "Gate", "TeacherError"]
