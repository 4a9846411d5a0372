"""Does the exported file say what the trained module says?"""

from dataclasses import dataclass

import numpy as np
import torch

from akd_toolkit.export.session import open_session

# A tenth of a second, the shortest window of a recogniser, and a length that no stride divides.
LENGTHS = (1600, 16000, 47123)
BATCH_SIZES = (1, 3)
TOLERANCE = 1e-4


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
    """

    largest_difference: float
    changed_decisions: float
    num_waveforms: int


def check_parity(
    path,
    student: torch.nn.Module,
    waveforms=None,
    tolerance: float = TOLERANCE,
    lengths: tuple[int, ...] = LENGTHS,
    batch_sizes: tuple[int, ...] = BATCH_SIZES,
) -> ParityReport:
    """Run the module and ONNX Runtime on the same waveforms and refuse a file that differs.

    Arguments
    ---------
    path
        The exported file.
    student
        The module it was exported from; compared in eval mode, returned to its own mode afterwards.
    waveforms
        Batches [batch, samples] to compare on. None: noise of every one of ``lengths``, in samples, at every one of
        ``batch_sizes``, each batch from near silence to full scale.
    tolerance
        Largest difference of a probability that passes, > 0.

    Raises
    ------
    ValueError
        If a probability differs by more than ``tolerance`` or is not finite.
    """
    session = open_session(path)
    batches = list(waveforms) if waveforms is not None else probe_waveforms(lengths, batch_sizes)
    largest, changed, heard = 0.0, 0, 0
    for batch in batches:
        batch = np.ascontiguousarray(batch, dtype=np.float32)
        expected = module_probabilities(student, batch)
        exported = session.run(["probabilities"], {"waveform": batch})[0]
        difference = float(np.abs(exported - expected).max())
        # The negation catches NaN, which no comparison finds larger than anything.
        if not difference <= tolerance:
            raise ValueError(
                f"{path} and the module differ by {difference:.1e} in a probability of a batch of shape "
                f"{list(batch.shape)}, more than {tolerance:.0e}: do not use the file; export again in eval mode, "
                "and report the student if it stays."
            )
        largest = max(largest, difference)
        changed += int((exported.argmax(axis=1) != expected.argmax(axis=1)).sum())
        heard += len(batch)
    return ParityReport(largest, changed / heard, heard)


def module_probabilities(student: torch.nn.Module, waveform: np.ndarray) -> np.ndarray:
    """Softmax of the module's logits in eval mode, [batch, classes]; its training mode is restored."""
    was_training = student.training
    student.eval()
    try:
        with torch.no_grad():
            logits = student(torch.from_numpy(waveform)).logits
    finally:
        student.train(was_training)
    return torch.softmax(logits.float(), dim=-1).numpy()


def probe_waveforms(lengths=LENGTHS, batch_sizes=BATCH_SIZES) -> list[np.ndarray]:
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
