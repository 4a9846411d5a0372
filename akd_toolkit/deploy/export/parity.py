"""Comparison of an exported file with its trained module: probabilities and decisions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binom

from akd_toolkit.inference.session import LENGTHS, by_row, open_session, padded_batch, predict_function, takes_lengths

# A tenth of a second, the shortest window of a recogniser, and a length that no stride divides.
PROBE_LENGTHS = (1600, 16000, 47123)
PROBE_BATCH_SIZES = (1, 3)
SPEECH_LENGTHS = (1600, 8000, 16000, 31415, 48000, 80000)  # real speech: from 0.1 s to beyond every window
SPEECH_BATCH_SIZES = (1, 2, 5)
CERTAIN = 0.01  # a file is refused when chance would make it this bad less often
_QUANTILE = 2.326  # of a normal distribution, one side, for the same certainty


class Tolerance(NamedTuple):
    """Limits of a precision, each 0 to 1."""

    probability: float  # largest difference of a probability on ``speech_batches``
    changed: float  # share of changed decisions
    ua: float  # unweighted accuracy lost


# In fp32 only the order of sums differs. The largest differences over 15 micro CNNs of EmoDB were 0.003 (fp16) and
# 0.045 (int8); three times that is allowed.
TOLERANCES = {
    "fp32": Tolerance(probability=1e-4, changed=0.0, ua=0.0),
    "fp16": Tolerance(probability=0.01, changed=0.005, ua=0.005),
    "int8": Tolerance(probability=0.15, changed=0.02, ua=0.005),
}
TOLERANCE = TOLERANCES["fp32"].probability


@dataclass(frozen=True)
class ParityReport:
    """Comparison of a module with its exported file; differences are the largest found."""

    largest_difference: float  # of a probability
    changed_decisions: float  # share of the waveforms
    num_waveforms: int
    largest_logit_difference: float = 0.0  # of ``centred_log_probs``
    lengths: tuple[int, ...] = ()  # samples per waveform that were compared
    batch_sizes: tuple[int, ...] = ()
    padding_difference: float = 0.0  # of a probability alone and in a padded batch with lengths


def check_parity(path, student: torch.nn.Module, waveforms=None, tolerance: float = TOLERANCE) -> ParityReport:
    """Run module and exported file on the same waveforms and raise ValueError if they differ.

    The first waveforms of all batches are also given as one padded batch with lengths: the module must agree within
    ``tolerance``, and a file that takes lengths within a tenth of it, with the file on each waveform alone.

    Arguments
    ---------
    path
        The exported file, ``.onnx``, ``.pt`` (TorchScript) or ``.plan``.
    student
        Its module; compared in eval mode, its training mode is restored.
    waveforms
        Batches [batch, samples], for example from ``speech_batches``. None: those of ``probe_waveforms``.
    tolerance
        Largest allowed difference of a probability, > 0.

    ValueError if a probability differs by more than ``tolerance`` or is not finite.
    """
    predict, padded_too = open_predict(path)
    batches = list(waveforms) if waveforms is not None else probe_waveforms()
    largest, largest_logit, changed, total = 0.0, 0.0, 0, 0
    for batch in batches:
        batch = np.ascontiguousarray(batch, dtype=np.float32)
        expected, exported = module_probabilities(student, batch), predict(batch)
        difference = float(np.abs(exported - expected).max())
        _check(difference, tolerance, f"{path} and the module differ by {difference:.1e} in a probability", batch)
        logits = float(np.abs(centred_log_probs(exported) - centred_log_probs(expected)).max())
        largest, largest_logit = max(largest, difference), max(largest_logit, logits)
        changed += int((exported.argmax(axis=1) != expected.argmax(axis=1)).sum())
        total += len(batch)
    shapes = [np.shape(batch) for batch in batches]
    compared = (tuple(sorted({shape[axis] for shape in shapes})) for axis in (1, 0))
    padding = _padding_difference(predict, padded_too, student, path, [batch[0] for batch in batches], tolerance)
    return ParityReport(largest, changed / total, total, largest_logit, *compared, padding)


def _padding_difference(predict, padded_too: bool, student, path, waveforms: list, tolerance: float) -> float:
    padded, lengths = padded_batch(waveforms)
    alone = by_row(predict, padded, lengths)
    by_module = float(np.abs(module_probabilities(student, padded, torch.from_numpy(lengths)) - alone).max())
    message = f"{path} and the module on padded speech differ by {by_module:.1e}"
    _check(by_module, tolerance, message, padded, "let the student's forward ignore the padding that its lengths show")
    by_file = float(np.abs(predict(padded, lengths) - alone).max()) if padded_too else 0.0
    message = f"the probabilities of {path} for a padded waveform and for the waveform alone differ by {by_file:.1e}"
    _check(by_file, tolerance / 10, message, padded)
    return max(by_module, by_file)


def check_batches(path, batches, tolerance: float = TOLERANCE) -> float:
    """Largest difference of a probability between a waveform in a batch and alone; ValueError beyond ``tolerance``."""
    predict, _ = open_predict(path)
    largest = 0.0
    for batch in batches:
        difference = float(np.abs(predict(batch) - by_row(predict, batch, np.ones(len(batch)))).max())
        message = f"the probabilities of {path} for a waveform in a batch and alone differ by {difference:.1e}"
        _check(difference, tolerance, message, batch)
        largest = max(largest, difference)
    return largest


def _check(difference: float, tolerance: float, message: str, batch, cure: str = "") -> None:
    cure = cure or "do not use the file; export again in eval mode, and report the student if it still fails"
    if not difference <= tolerance:  # true for NaN too
        raise ValueError(f"{message} for a batch of shape {list(batch.shape)}, more than {tolerance:.0e}: {cure}.")


def open_predict(path) -> tuple[Callable, bool]:
    """An exported file as a function of waveforms [batch, samples], and whether it also takes lengths [batch]."""
    if Path(path).suffix == ".pt":
        from akd_toolkit.deploy.export.torchscript import load_torchscript

        predict, metadata = load_torchscript(path)
        return predict, LENGTHS in metadata
    if Path(path).suffix == ".plan":
        from akd_toolkit.deploy.export.tensorrt import load_engine

        return load_engine(path), True
    session = open_session(path)
    return predict_function(session, path), takes_lengths(session)


def centred_log_probs(probabilities: np.ndarray) -> np.ndarray:
    """Logits minus their mean over the classes, computed from probabilities (clamped to 1e-30)."""
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-30))
    return logs - logs.mean(axis=-1, keepdims=True)


def module_probabilities(student, waveform: np.ndarray, lengths: torch.Tensor | None = None) -> np.ndarray:
    """Softmax of the module's logits in eval mode, [batch, classes]; its training mode is restored."""
    was_training = student.training
    student.eval()
    try:
        with torch.no_grad():
            logits = student(torch.from_numpy(waveform), lengths).logits
    finally:
        student.train(was_training)
    return torch.softmax(logits.float(), dim=-1).numpy()


def speech_batches(
    waveforms: Sequence[np.ndarray],
    lengths: Sequence[int] = SPEECH_LENGTHS,
    batch_sizes: Sequence[int] = SPEECH_BATCH_SIZES,
) -> list[np.ndarray]:
    """Consecutive pieces of speech: one batch for each length, in samples, and batch size."""
    if not len(waveforms):
        raise ValueError("there is no speech to compare the file with its module on; give recordings.")
    speech, at, batches = np.concatenate(waveforms).astype(np.float32), 0, []
    for num_samples in lengths:
        for batch_size in batch_sizes:
            places = np.arange(at, at + batch_size * num_samples) % len(speech)
            batches.append(speech[places].reshape(batch_size, num_samples))
            at += len(places)
    return batches


def probe_waveforms(lengths=PROBE_LENGTHS, batch_sizes=PROBE_BATCH_SIZES) -> list[np.ndarray]:
    """Noise with a slow swell, the same in every run: one batch for each length and batch size."""
    generator = np.random.default_rng(0)
    batches = []
    for num_samples in lengths:
        swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * np.arange(num_samples) / 16000)
        for batch_size in batch_sizes:
            gains = np.geomspace(0.3, 0.001, batch_size)[:, None]
            noise = generator.standard_normal((batch_size, num_samples))
            batches.append((noise * swell * gains).astype(np.float32))
    return batches


def check_decisions(name: str, precision: str, before, after, truth=None) -> None:
    """Raise ValueError if the file ``name`` changes more decisions, or loses more UA, than its precision may.

    A few utterances cannot prove a share of 2 %, so a file fails only beyond chance: when a file at the tolerated share
    would change as many decisions in less than 1 % of such samples (binomial), or when the loss of UA minus 2.3 of
    its standard errors exceeds the tolerance. ``before``, ``after`` and ``truth`` are labels [n]: the module's
    decisions, the file's, and the true ones if they are known.
    """
    limits = TOLERANCES[precision]
    before, after = np.asarray(before), np.asarray(after)
    changed, total = int((before != after).sum()), len(before)
    cure = "do not use it; take a higher precision, or more calibration."
    # P(X >= changed), if the true share of changes were just the tolerated one
    if changed > limits.changed * total and binom.sf(changed - 1, total, limits.changed) < CERTAIN:
        raise ValueError(
            f"{name} changes {changed} of {total} decisions of its module, more than the {100 * limits.changed:g} % "
            f"allowed for {precision}: {cure}"
        )
    loss, error = (0.0, 0.0) if truth is None else ua_loss(truth, before, after)
    if loss - _QUANTILE * error > limits.ua:
        raise ValueError(
            f"{name} loses {100 * loss:.1f} points of UA on {total} utterances, more than the {100 * limits.ua:g} "
            f"allowed for {precision}: {cure}"
        )


def ua_loss(truth, before, after) -> tuple[float, float]:
    """UA lost from ``before`` to ``after``, and the standard error of that loss.

    Mean over classes of the mean of d = hit before - hit after; variance: mean over classes of mean(d^2) / n, divided
    by their number. d is not centred, because a class with one utterance proves nothing.
    """
    truth, before, after = (np.asarray(values) for values in (truth, before, after))
    lost = (before == truth).astype(float) - (after == truth)
    by_class = [lost[truth == label] for label in np.unique(truth)]
    variance = sum(np.mean(d**2) / len(d) for d in by_class) / len(by_class) ** 2
    return float(np.mean([d.mean() for d in by_class])), float(np.sqrt(variance))
