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
    path, student
        The exported file, ``.onnx``, ``.pt`` (TorchScript) or ``.plan``, and its module, compared in eval mode.
    waveforms
        Batches [batch, samples], for example from ``speech_batches``. None: those of ``probe_waveforms``.
    tolerance
        Largest allowed difference of a probability, > 0; ValueError beyond it, and where one is not finite.
    """
    predict, padded_too = open_predict(path)
    batches = probe_waveforms() if waveforms is None else [np.ascontiguousarray(w, dtype=np.float32) for w in waveforms]
    differences, logits, changed = [], [], []
    for batch in batches:
        one, other = module_probabilities(student, batch), predict(batch)
        differences.append(_difference(one, other, tolerance, f"{path} and the module", batch))
        logits.append(float(np.abs(centred_log_probs(other) - centred_log_probs(one)).max()))
        changed += list(one.argmax(axis=1) != other.argmax(axis=1))
    padded, lengths = padded_batch([batch[0] for batch in batches])
    alone, by_module = by_row(predict, padded, lengths), module_probabilities(student, padded, lengths)
    cure = "let the student's forward ignore the padding that its lengths show"
    padding = _difference(by_module, alone, tolerance, f"{path} and the module on padded speech", padded, cure)
    if padded_too:
        what = f"{path} for a padded waveform and for the waveform alone"
        padding = max(padding, _difference(predict(padded, lengths), alone, tolerance / 10, what, padded))
    shapes = (tuple(sorted({batch.shape[axis] for batch in batches})) for axis in (1, 0))
    return ParityReport(max(differences), float(np.mean(changed)), len(changed), max(logits), *shapes, padding)


def check_batches(path, batches, tolerance: float = TOLERANCE) -> float:
    """Largest difference of a probability between a waveform in a batch and alone; ValueError beyond ``tolerance``."""
    predict, _ = open_predict(path)
    both = ((predict(batch), by_row(predict, batch, np.ones(len(batch))), batch) for batch in batches)
    what = f"{path} for a waveform in a batch and alone"
    return max(_difference(together, alone, tolerance, what, batch) for together, alone, batch in both)


def _difference(one, other, tolerance: float, what: str, batch, cure: str = "") -> float:
    """Largest difference of two results for a batch; ValueError beyond the tolerance."""
    difference = float(np.abs(one - other).max())
    cure = cure or "do not use the file; export again in eval mode, and report the student if it still fails"
    if not difference <= tolerance:  # true for NaN too
        raise ValueError(
            f"{what}: the probabilities differ by {difference:.1e} for a batch of shape {list(batch.shape)}, more than "
            f"{tolerance:.0e}; {cure}."
        )
    return difference


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


def module_probabilities(student, *inputs: np.ndarray) -> np.ndarray:
    """[batch, classes] for waveforms and perhaps lengths, in eval mode; the student's training mode is restored."""
    was_training = student.training
    student.eval()
    try:
        with torch.no_grad():
            logits = student(*map(torch.from_numpy, inputs)).logits
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
    problem = ""
    # P(X >= changed), if the true share of changes were just the tolerated one
    if changed > limits.changed * total and binom.sf(changed - 1, total, limits.changed) < CERTAIN:
        share = f"{100 * limits.changed:g} %"
        problem = f"changes {changed} of {total} decisions of its module, more than the {share}"
    elif truth is not None:
        loss, error = ua_loss(truth, before, after)
        if loss - _QUANTILE * error > limits.ua:
            problem = f"loses {100 * loss:.1f} points of UA on {total} utterances, more than the {100 * limits.ua:g}"
    if problem:
        cure = "do not use it; take a higher precision, or more calibration"
        raise ValueError(f"{name} {problem} allowed for {precision}: {cure}.")


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
