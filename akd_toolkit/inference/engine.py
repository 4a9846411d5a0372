"""A trained student ready to answer: PyTorch or ONNX Runtime behind one call.

Nothing of training is imported, and PyTorch only where it answers: ONNX Runtime alone needs a fifth of its memory.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import ONNX_FILE, SETTINGS
from akd_toolkit.data.segments import window_starts
from akd_toolkit.inference.session import MIN_SAMPLES, answer_of, open_session, session_metadata

BACKENDS = ("auto", "torch", "onnx")


@dataclass(frozen=True)
class Engine:
    """A student that answers: ``engine(waveforms)`` is [batch, samples] float32 -> [batch, classes] float32.

    ``engine(waveforms, lengths)`` answers a padded batch: ``lengths`` [batch] is the share of the samples that is
    speech, in (0, 1], and each row gets the answer that it gets alone.

    Arguments
    ---------
    backend
        ``"torch"`` or ``"onnx"``.
    label_order
        Emotions in the order of the answers.
    window_s, overlap_s
        How the student was scored: windows of this many seconds that share so many.
    about
        Everything else that is known of it, as plain data.
    """

    backend: str
    label_order: tuple[str, ...]
    window_s: float
    overlap_s: float
    answer: object = field(repr=False)
    sample_rate_hz: int = SAMPLE_RATE_HZ
    about: dict = field(default_factory=dict, repr=False)

    def __call__(self, waveforms: np.ndarray, lengths=None) -> np.ndarray:
        waveforms = np.ascontiguousarray(waveforms, dtype=np.float32)
        given = (waveforms,) if lengths is None else (waveforms, _checked_lengths(lengths, waveforms))
        # 8-bit arithmetic would answer NaN with some number; squares of samples above 1e19 are infinite in float32.
        if np.isfinite(waveforms).all() and np.isfinite(probabilities := self.answer(*given)).all():
            return probabilities
        raise ValueError("the student answers a waveform with no numbers; give finite samples in [-1, 1].")

    def posterior(self, waveform: np.ndarray) -> np.ndarray:
        """Mean posterior over the windows of one utterance, as in evaluation: [samples] -> [classes] float64.

        Windows are answered one by one, so that the memory needed does not grow with the utterance.
        """
        size, overlap = (round(seconds * self.sample_rate_hz) for seconds in (self.window_s, self.overlap_s))
        starts = window_starts(len(waveform), size, size - overlap)
        windows = [self(waveform[None, start : start + size])[0].astype(np.float64) for start in starts]
        return np.mean(windows, axis=0)


def _checked_lengths(lengths, waveforms: np.ndarray) -> np.ndarray:
    """Shares [batch] of the samples, float32; refused where a row would be left with less than 0.1 s."""
    batch, samples = len(waveforms), waveforms.shape[-1]
    try:
        shares = np.asarray(lengths, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"lengths must be numbers, one for each waveform ({error}).") from None
    if shares.shape != (batch,):
        raise ValueError(f"lengths must be [batch] = [{batch}], one share for each waveform, got {list(shares.shape)}.")
    right = (shares <= 1) & (np.round(shares * samples) >= MIN_SAMPLES)  # NaN is neither
    if not right.all():
        raise ValueError(
            f"lengths[{right.argmin()}] is {shares[right.argmin()]:g}; give the share of the {samples} samples that is "
            f"speech, at most 1 and at least {MIN_SAMPLES} samples (0.1 s)."
        )
    return shares


def open_engine(source: str | Path, backend: str = "auto", threads: int = 1) -> Engine:
    """Open a trained student.

    Arguments
    ---------
    source
        An exported ``.onnx`` file, or a folder with ``student.onnx`` or with a saved student (a finished run, a
        bundle).
    backend
        ``"onnx"``, ``"torch"``, or ``"auto"``: ONNX Runtime where there is an exported file, else PyTorch.
    threads
        CPU threads of ONNX Runtime, >= 1; PyTorch's are the process's own (``torch.set_num_threads``).

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or it lacks what the backend needs.
    ValueError
        If the backend is unknown or the files cannot be read.
    """
    source = Path(source)
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got '{backend}'.")
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; give an .onnx file, or the folder of a run or of a bundle.")
    file = source if source.is_file() else source / ONNX_FILE
    if backend == "onnx" or source.is_file() or (backend == "auto" and file.is_file()):
        if backend == "torch":
            raise ValueError(f"{source} is an exported file, which PyTorch does not run; give the folder of a run.")
        if not file.is_file():
            raise FileNotFoundError(f"{source} holds no {ONNX_FILE}; export the student first (akd export {source}).")
        return _onnx_engine(file, threads)
    if not (source / SETTINGS).is_file():
        raise FileNotFoundError(
            f"{source} holds neither {ONNX_FILE} nor {SETTINGS}; give the folder of a run or of a bundle."
        )
    return _torch_engine(source)


def engine_of(student, about: dict) -> Engine:
    """A student in memory (a ``torch.nn.Module``), with what ``student.json`` says of it, as an engine."""
    import torch

    student = student.eval()

    @torch.inference_mode()
    def answer(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        device = next(student.parameters()).device
        given = [torch.from_numpy(each).to(device) for each in (waveforms, lengths) if each is not None]
        logits = student(*given).logits
        return torch.softmax(logits.float(), dim=-1).cpu().numpy()

    return _engine("torch", about, answer)


def _torch_engine(folder: Path) -> Engine:
    from akd_toolkit.models.storage import load_student

    return engine_of(*load_student(folder))


def _onnx_engine(file: Path, threads: int) -> Engine:
    session = open_session(file, threads)
    return _engine("onnx", session_metadata(session, file), answer_of(session, file))


def _engine(backend: str, about: dict, answer) -> Engine:
    window_s = float(about.get("window_s", 3.0))
    overlap_s = float(about.get("test_overlap_s", 0.0))
    rate = int(about.get("sample_rate_hz", SAMPLE_RATE_HZ))
    return Engine(backend, tuple(about["label_order"]), window_s, overlap_s, answer, rate, about)
