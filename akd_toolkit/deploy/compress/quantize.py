"""The step that writes a file of 8-bit integers."""

from pathlib import Path

import numpy as np
from torch import nn

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression, Work, check_count, check_rate
from akd_toolkit.deploy.compress.fake_quant import fake_quantised
from akd_toolkit.deploy.export.precision import to_int8
from akd_toolkit.evaluate.evaluation import training_speech

MODES = ("dynamic", "static", "qat")


@COMPRESSIONS.register("quantize")
class Quantize(Compression):
    """Write a file of 8-bit integers; the front end stays in 32 bits.

    ``dynamic``: weights are integers, and every call finds the range of its activations. ``static``: that range is
    fixed beforehand, on speech of training speakers. ``qat``: the student is first trained with rounded weights and
    activations, under its own objective; then as static.

    Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference". Differs: the exporter folds a norm into its convolution after training instead of during it; with a
    scale for each channel the rounding is the same.

    Arguments
    ---------
    mode
        ``dynamic``, ``static`` or ``qat``.
    utterances
        Of training speakers, for the ranges of activations, >= 1.
    epochs, lr
        Of training with ``qat``: epochs >= 1, and the peak of the learning rate in (0, 1].

    Example
    -------
    >>> Quantize(mode="static").changes_student, Quantize(mode="qat", epochs=1).changes_student
    (False, True)
    """

    file = "student.int8.onnx"

    def __init__(self, mode: str = "static", utterances: int = 64, epochs: int = 0, lr: float = 0.0003):
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got '{mode}'.")
        check_count("utterances", utterances, 1)
        check_count("epochs", epochs, 0)
        check_rate(lr)
        if (epochs > 0) != (mode == "qat"):
            raise ValueError(f"mode {mode} with {epochs} epochs makes no sense; qat needs 1 or more, the others 0.")
        self.mode, self.utterances, self.epochs, self.lr = mode, utterances, epochs, lr
        self.changes_student = mode == "qat"

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        with fake_quantised(work.student) as student:
            work.train(student, work.spec, self.epochs, self.lr, precision="fp32", weight_average=0.0)
        return work.student.eval(), work.spec

    def write(self, work: Work, exported: Path, target: Path) -> None:
        dynamic = self.mode == "dynamic"
        speech = None if dynamic else calibration(work, self.utterances)
        to_int8(exported, target, speech, mode="dynamic" if dynamic else "static")


def calibration(work: Work, utterances: int) -> list[np.ndarray]:
    """The first window of that many utterances of training speakers, evenly spread over the corpus: each [samples]."""
    run = work.source.run
    speech = training_speech(work.source.experiment, run, utterances, progress=False)
    return [waveform[: round(run.record.window_s * SAMPLE_RATE_HZ)] for waveform in speech.values()]
