"""Front ends that are part of a student's graph: waveform in, log-mel frames out."""

from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.features.mfcc import MFCC

__all__ = ["MFCC", "LogMel"]
