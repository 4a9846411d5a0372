"""Does the exported file say what the trained module says?"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.inference.padding import LENGTHS, by_row, padded_batch, takes_lengths
from akd_toolkit.inference.session import open_session, predict_function

# A tenth of a second, the shortest window of a recogniser, and a length that no stride divides.
PROBE_LENGTHS = (1600, 16000, 47123)
PROBE_BATCH_SIZES = (1, 3)
SPEECH_LENGTHS = (1600, 8000, 16000, 31415, 48000, 80000)  # real speech: from 0.1 s to beyond every window
SPEECH_BATCH_SIZES = (1, 2, 5)
TOLERANCE = 1e-4
SMALLEST = 1e-30  # below it float32 loses digits, and the logarithm with them


@dataclass(frozen=True)
class ParityReport:
    """What a comparison of a module with its exported file found.

    Arguments
    ---------
    largest_difference
        Largest difference of one probability, 0 to 1.
    changed_decisions
        Share of the waveforms whose most probable class differs, 0 to 1.
    num_waveforms
        How many waveforms both have heard.
    largest_logit_difference
        Largest difference of one logit, each logit less the mean over the classes (see ``centred_log_probs``).
    lengths, batch_sizes
        What they have heard: samples of a waveform, waveforms of a batch.
    padding_difference
        Largest difference of one probability between an utterance alone, by the file, and in a padded batch with
        lengths, by the module and by a file that takes them.
    """

    largest_difference: float
    changed_decisions: float
    num_waveforms: int
    largest_logit_difference: float = 0.0
    lengths: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    padding_difference: float = 0.0

    def as_dict(self) -> dict:
        """Plain data."""
        return asdict(self)


def check_parity(
    path,
    student: torch.nn.Module,
    waveforms=None,
    tolerance: float = TOLERANCE,
    lengths: tuple[int, ...] = PROBE_LENGTHS,
    batch_sizes: tuple[int, ...] = PROBE_BATCH_SIZES,
) -> ParityReport:
    """Run the module and the exported file on the same waveforms and refuse a file that differs.

    The first waveforms of all batches are also given as one padded batch with lengths, and answered as each is alone:
    by the module within ``tolerance``, and by a file that takes lengths within a tenth of it.

    Arguments
    ---------
    path
        The exported file: ``.onnx`` or, of TorchScript, ``.pt``.
    student
        The module it was exported from; compared in eval mode, returned to its own mode afterwards.
    waveforms
        Batches [batch, samples] to compare on, such as ``speech_batches`` gives. None: noise of every one of
        ``lengths``, in samples, at every one of ``batch_sizes``, each batch from near silence to full scale.
    tolerance
        Largest difference of a probability that passes, > 0.

    Raises
    ------
    ValueError
        If a probability differs by more than ``tolerance`` or is not finite.
    """
    answer, padded_too = open_answer(path)
    batches = list(waveforms) if waveforms is not None else probe_waveforms(lengths, batch_sizes)
    largest, largest_logit, changed, heard = 0.0, 0.0, 0, 0
    for batch in batches:
        batch = np.ascontiguousarray(batch, dtype=np.float32)
        expected, exported = module_probabilities(student, batch), answer(batch)
        difference = float(np.abs(exported - expected).max())
        _refuse(difference, tolerance, path, f"and the module differ by {difference:.1e} in a probability", batch)
        logits = float(np.abs(centred_log_probs(exported) - centred_log_probs(expected)).max())
        largest, largest_logit = max(largest, difference), max(largest_logit, logits)
        changed += int((exported.argmax(axis=1) != expected.argmax(axis=1)).sum())
        heard += len(batch)
    shapes = [np.shape(batch) for batch in batches]
    tried = (tuple(sorted({shape[axis] for shape in shapes})) for axis in (1, 0))
    padding = _padding_difference(answer, padded_too, student, path, [batch[0] for batch in batches], tolerance)
    return ParityReport(largest, changed / heard, heard, largest_logit, *tried, padding)


def _padding_difference(answer, padded_too: bool, student, path, waveforms: list, tolerance: float) -> float:
    """Largest difference of a probability between waveforms alone, by the file, and in one padded batch."""
    padded, lengths = padded_batch(waveforms)
    alone = by_row(answer, padded, lengths)
    by_module = float(np.abs(module_probabilities(student, padded, torch.from_numpy(lengths)) - alone).max())
    _refuse(
        by_module, tolerance, path, f"and the module on padded speech differ by {by_module:.1e}", padded,
        cure="let the student's forward leave out what its lengths call padding",
    )  # fmt: skip
    by_file = float(np.abs(answer(padded, lengths) - alone).max()) if padded_too else 0.0
    _refuse(by_file, tolerance / 10, path, f"answers a padded waveform by {by_file:.1e} otherwise than alone", padded)
    return max(by_module, by_file)


def check_batches(path, batches, tolerance: float = TOLERANCE) -> float:
    """Does an exported file answer a waveform in a batch as alone? The largest difference of a probability.

    Arguments
    ---------
    batches
        As ``waveforms`` of ``check_parity``.

    Raises
    ------
    ValueError
        If an answer depends on the others by more than ``tolerance``.
    """
    answer, _ = open_answer(path)
    largest = 0.0
    for batch in batches:
        difference = float(np.abs(answer(batch) - by_row(answer, batch, np.ones(len(batch)))).max())
        _refuse(difference, tolerance, path, f"answers a waveform by {difference:.1e} differently in a batch", batch)
        largest = max(largest, difference)
    return largest


def open_answer(path) -> tuple[Callable, bool]:
    """An exported file as a function of waveforms [batch, samples], and whether it also takes lengths [batch]."""
    if Path(path).suffix == ".pt":
        from akd_toolkit.deploy.export.torchscript import load_torchscript

        answer, metadata = load_torchscript(path)
        return answer, LENGTHS in metadata
    if Path(path).suffix == ".plan":
        from akd_toolkit.deploy.export.tensorrt import load_engine

        return load_engine(path), True
    session = open_session(path)
    return predict_function(session, path), takes_lengths(session)


def centred_log_probs(probabilities: np.ndarray) -> np.ndarray:
    """Logits as far as probabilities tell them: their logarithms less the mean over the classes.

    A file answers with probabilities, and a softmax forgets what is added to all logits alike; taking the mean away
    from the module's logits too makes both comparable. Probabilities below 1e-30 count as 1e-30.

    Example
    -------
    >>> logits = np.array([[3.0, 1.0, 0.5]])
    >>> centred_log_probs(np.exp(logits) / np.exp(logits).sum()).round(6)
    array([[ 1.5, -0.5, -1. ]])
    """
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST))
    return logs - logs.mean(axis=-1, keepdims=True)


def module_probabilities(
    student: torch.nn.Module, waveform: np.ndarray, lengths: torch.Tensor | None = None
) -> np.ndarray:
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
    """Pieces of real speech to compare on: one batch for each length, in samples, and batch size.

    The pieces follow one another through all the speech, so that no two batches hear the same while there is enough.

    Raises
    ------
    ValueError
        If there is no speech.

    Example
    -------
    >>> batches = speech_batches([np.arange(5.0), np.arange(5.0, 8.0)], lengths=(2, 4), batch_sizes=(2,))
    >>> [batch.tolist() for batch in batches]
    [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0, 6.0, 7.0], [0.0, 1.0, 2.0, 3.0]]]
    """
    waveforms = list(waveforms)
    if not waveforms:
        raise ValueError("there is no speech to compare the file with its module on; give recordings.")
    speech, at, batches = np.concatenate(waveforms).astype(np.float32), 0, []
    for num_samples in lengths:
        for batch_size in batch_sizes:
            needed = batch_size * num_samples
            places = np.arange(at, at + needed) % len(speech)
            batches.append(speech[places].reshape(batch_size, num_samples))
            at += needed
    return batches


def probe_waveforms(lengths=PROBE_LENGTHS, batch_sizes=PROBE_BATCH_SIZES) -> list[np.ndarray]:
    """Noise with a slow swell, the same in every run: one batch for each length and batch size.

    Example
    -------
    >>> [batch.shape for batch in probe_waveforms(lengths=(1600,), batch_sizes=(1, 2))]
    [(1, 1600), (2, 1600)]
    """
    generator = np.random.default_rng(0)
    batches = []
    for num_samples in lengths:
        swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * np.arange(num_samples) / 16000)
        for batch_size in batch_sizes:
            gains = np.geomspace(0.3, 0.001, batch_size)[:, None]
            noise = generator.standard_normal((batch_size, num_samples))
            batches.append((noise * swell * gains).astype(np.float32))
    return batches


def _refuse(
    difference: float,
    tolerance: float,
    path,
    what: str,
    batch,
    cure: str = "do not use the file; export again in eval mode, and report the student if it stays",
) -> None:
    # The negation catches NaN, which no comparison finds larger than anything.
    if not difference <= tolerance:
        raise ValueError(f"{path} {what} of a batch of shape {list(batch.shape)}, more than {tolerance:.0e}: {cure}.")
