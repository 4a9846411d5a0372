"""Hand-crafted acoustic functionals of openSMILE."""

from functools import cached_property
from importlib import metadata

import numpy as np

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.base import SAMPLE_RATE_HZ, Teacher

FEATURE_SETS = ("ComParE_2016", "eGeMAPSv02")


@TEACHERS.register("opensmile")
class OpenSmileFunctionals(Teacher):
    """openSMILE functionals of the whole utterance: ComParE 2016 [1, 6373] or eGeMAPS [1, 88].

    Needs the extra ``opensmile``, else ImportError. A number that openSMILE cannot compute for a very short utterance
    counts as 0.

    Source: Eyben, Wöllmer & Schuller 2010 (openSMILE); Schuller et al. 2016 (ComParE); Eyben et al. 2016 (eGeMAPS).

    ``feature_set`` is ``ComParE_2016`` or ``eGeMAPSv02``.

    Example
    -------
    >>> OpenSmileFunctionals("eGeMAPS")
    Traceback (most recent call last):
    ValueError: feature_set must be one of ComParE_2016, eGeMAPSv02, got 'eGeMAPS'.
    """

    name = "opensmile"
    version = 1
    num_layers = 1
    example_options = {"feature_set": "eGeMAPSv02"}

    def __init__(self, feature_set: str = "ComParE_2016"):
        if feature_set not in FEATURE_SETS:
            raise ValueError(f"feature_set must be one of {', '.join(FEATURE_SETS)}, got '{feature_set}'.")
        try:
            self._version = metadata.version("opensmile")
        except metadata.PackageNotFoundError:
            raise ImportError(
                "teacher 'opensmile' needs the package opensmile; install the extra: "
                "pip install 'akd-toolkit[opensmile]'."
            ) from None
        self.feature_set = feature_set
        self.title = f"openSMILE {feature_set}"

    def identity(self) -> dict:
        return {"feature_set": self.feature_set, "opensmile": self._version}

    def features(self, waveform: np.ndarray) -> np.ndarray:
        values = self._smile.process_signal(waveform, SAMPLE_RATE_HZ).to_numpy(dtype=np.float32)
        return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)

    @cached_property
    def _smile(self):
        import opensmile

        return opensmile.Smile(opensmile.FeatureSet[self.feature_set], opensmile.FeatureLevel.Functionals)
