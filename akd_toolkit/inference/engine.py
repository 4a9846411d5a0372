"""A trained student behind one call, run by PyTorch or ONNX Runtime. PyTorch is imported only where it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, window_starts
from akd_toolkit.data.files import ONNX_FILE, SETTINGS
from akd_toolkit.inference.session import MIN_SAMPLES, WINDOWS, checked_metadata, open_session, predict_function
from akd_toolkit.mistakes import require

BACKENDS = ("auto", "torch", "onnx")


@dataclass(frozen=True)
class Engine:
    """A callable student: ``engine(waveforms)`` maps [batch, samples] float32 to probabilities [batch, classes].

    ``engine(waveforms, lengths)`` takes a padded batch: ``lengths`` [batch] is the share of the samples that is
    speech, in (0, 1]; each row gets the probabilities that it gets alone.

    ``backend`` is ``"torch"`` or ``"onnx"``; ``window_s`` and ``overlap_s`` are the windows of the student's
    evaluation; ``about`` holds its settings or the file's metadata.
    """

    backend: str
    label_order: tuple[str, ...]
    window_s: float
    overlap_s: float
    predict: Callable = field(repr=False)
    sample_rate_hz: int = SAMPLE_RATE_HZ
    about: dict = field(default_factory=dict, repr=False)

    def __call__(self, waveforms: np.ndarray, lengths=None) -> np.ndarray:
        waveforms = np.ascontiguousarray(waveforms, dtype=np.float32)
        inputs = (waveforms,) if lengths is None else (waveforms, _checked_lengths(lengths, waveforms))
        # 8-bit arithmetic would turn NaN into some number; squares of samples above 1e19 are infinite in float32.
        if np.isfinite(waveforms).all() and np.isfinite(probabilities := self.predict(*inputs)).all():
            return probabilities
        raise ValueError("the student's probabilities for a waveform are not finite; give finite samples in [-1, 1].")

    def posterior(self, waveform: np.ndarray) -> np.ndarray:
        """Mean posterior over the windows of one utterance, as in evaluation: [samples] -> [classes] float64."""
        return np.mean([self(window[None])[0].astype(np.float64) for window in self.windows(waveform)], axis=0)

    def windows(self, waveform: np.ndarray) -> list[np.ndarray]:
        """The windows of one utterance, as in evaluation; each is [samples]."""
        size, overlap = (round(seconds * self.sample_rate_hz) for seconds in (self.window_s, self.overlap_s))
        starts = window_starts(len(waveform), size, size - overlap)
        return [waveform[start : start + size] for start in starts]


def _checked_lengths(lengths, waveforms: np.ndarray) -> np.ndarray:
    """Shares [batch] as float32, of at least 0.1 s."""
    batch, samples = len(waveforms), waveforms.shape[-1]
    try:
        shares = np.asarray(lengths, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"lengths must be numbers, one for each waveform ({error}).") from None
    if shares.shape != (batch,):
        raise ValueError(f"lengths must be [batch] = [{batch}], one share for each waveform, got {list(shares.shape)}.")
    valid = (shares <= 1) & (np.round(shares * samples) >= MIN_SAMPLES)  # NaN is neither
    if not valid.all():
        raise ValueError(
            f"lengths[{valid.argmin()}] is {shares[valid.argmin()]:g}; give the share of the {samples} samples that is "
            f"speech, at most 1 and at least {MIN_SAMPLES} samples (0.1 s)."
        )
    return shares


def open_engine(source: str | Path, backend: str = "auto", threads: int = 1) -> Engine:
    """Open a trained student; FileNotFoundError or ValueError if the source lacks what the backend needs.

    ``source`` is an exported ``.onnx`` file, or a folder with ``student.onnx`` or a saved student (a finished run, a
    bundle). ``backend`` is ``"onnx"``, ``"torch"``, or ``"auto"``: ONNX Runtime where there is an exported file, else
    PyTorch. ``threads`` >= 1 are the CPU threads of ONNX Runtime; PyTorch's are set by ``torch.set_num_threads``.
    """
    source = Path(source)
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got '{backend}'.")
    give = "give an .onnx file, or the folder of a run or of a bundle."
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; {give}")
    if source.is_file() and backend == "torch":
        raise ValueError(f"{source} is an exported file, which PyTorch does not run; give the folder of a run.")
    file = source if source.is_file() else source / ONNX_FILE
    if backend == "onnx" and not file.is_file():
        raise FileNotFoundError(f"{source} holds no {ONNX_FILE}; export the student first (akd export {source}).")
    if backend != "torch" and file.is_file():
        session = open_session(file, threads)
        about = checked_metadata(session.get_modelmeta().custom_metadata_map, file)
        return _engine("onnx", about, predict_function(session, file))
    if not (source / SETTINGS).is_file():
        raise FileNotFoundError(f"{source} holds neither {ONNX_FILE} nor {SETTINGS}; {give}")
    require("torch")
    from akd_toolkit.models.storage import load_student

    return engine_of(*load_student(source))


def engine_of(student, about: dict) -> Engine:
    """An engine of a student in memory (a ``torch.nn.Module``) and the content of its ``student.json``."""
    import torch

    student = student.eval()

    @torch.inference_mode()
    def predict(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        device = next(student.parameters()).device
        inputs = [torch.from_numpy(each).to(device) for each in (waveforms, lengths) if each is not None]
        return torch.softmax(student(*inputs).logits.float(), dim=-1).cpu().numpy()

    return _engine("torch", about, predict)


def _engine(backend: str, about: dict, predict: Callable) -> Engine:
    rate, window_s, overlap_s = ({**WINDOWS, **about}[name] for name in WINDOWS)
    return Engine(backend, tuple(about["label_order"]), float(window_s), float(overlap_s), predict, int(rate), about)
