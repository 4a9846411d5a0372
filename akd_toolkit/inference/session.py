"""ONNX files of unknown origin: opened only if they are self-contained; their metadata and their input ``lengths``."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from akd_toolkit.data.reader import MAX_RATE_HZ, MIN_RATE_HZ

MIN_SAMPLES = 1600
LENGTHS = "lengths"
MEANING = "optional input, float32 [batch] or [1]: share of the samples of a row that is speech, (0, 1]; 1 if not given"
WINDOWS = {"sample_rate_hz": 16000, "window_s": 3.0, "test_overlap_s": 0.0}  # of a student that does not say
STANDARD = ("", "ai.onnx")  # operator domains of every runtime


def load_model(path):
    """The file as an ``onnx.ModelProto``, if it stores all its weights itself and uses standard operators only.

    ValueError if it does not.
    """
    return _checked(path)[1]


def read_checked(path) -> bytes:
    """The bytes of an ONNX file that ``load_model`` accepts."""
    return _checked(path)[0]


def _checked(path) -> tuple:
    """Bytes and message of an ONNX file."""
    import onnx

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; export a student to it first.")
    content = Path(path).read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf has classes of its own
        raise _unreadable(path, error) from None
    again = "so it is not opened; export the student again with akd export."
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "NodeProto" and message.domain not in STANDARD:
            raise ValueError(
                f"{path} uses {message.op_type} of '{message.domain}', which is not in the ONNX standard, {again}"
            )
        if kind == "TensorProto" and (message.external_data or message.data_location):
            raise ValueError(f"{path} keeps weights in other files, {again}")
    return content, model


def _unreadable(path, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).split("\n")[0]
    return ValueError(f"{path} is not an ONNX file that ONNX Runtime reads ({reason}); export it again.")


def _messages(message) -> Iterator:
    """A protobuf message and all messages within it: nodes, subgraphs, functions, dense and sparse tensors."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if hasattr(value, "__len__") else (value,):
                yield from _messages(inner)


def open_session(path, threads: int = 1):
    """A CPU session of ONNX Runtime for a file that passes ``read_checked``."""
    import onnxruntime

    content = read_checked(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # errors are raised anyway
    # The content was checked as ONNX; without this, ONNX Runtime may detect its own format.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        # The checked bytes, not the path, whose file could change in between.
        with contextlib.redirect_stdout(io.StringIO()):
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has many classes of its own
        raise _unreadable(path, error) from None


def takes_lengths(session) -> bool:
    """Whether the file of a session has the input ``lengths``."""
    return any(value.name == LENGTHS for value in session.get_overridable_initializers())


def predict_function(session, path) -> Callable:
    """A function from ``waveforms`` [batch, samples] and optional ``lengths`` [batch] to probabilities.

    It raises ValueError if the file has no input ``lengths`` and they are given, or ONNX Runtime cannot run the file.
    """

    def predict(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        inputs = {"waveform": np.ascontiguousarray(waveforms, dtype=np.float32)}
        if lengths is not None:
            if not takes_lengths(session):
                raise ValueError(f"{path} has no input lengths; export the student again, or give each waveform alone.")
            inputs[LENGTHS] = np.ascontiguousarray(lengths, dtype=np.float32)
        try:
            return session.run(["probabilities"], inputs)[0]
        except Exception as error:  # a damaged graph may open and then fail
            raise _unreadable(path, error) from None

    return predict


def padded_batch(waveforms: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Waveforms as one batch, padded at the end with zeros, and the share of each row that is speech.

    Example
    -------
    >>> batch, lengths = padded_batch([np.ones(4), np.ones(2)])
    >>> batch.tolist(), lengths.tolist()
    ([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]], [1.0, 0.5])
    """
    longest = max(map(len, waveforms))
    batch = np.stack([np.pad(np.float32(waveform), (0, longest - len(waveform))) for waveform in waveforms])
    return batch, np.array([len(waveform) / longest for waveform in waveforms], dtype=np.float32)


def by_row(predict: Callable, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The result of ``predict`` for each row alone, cut to its share of the samples: [batch, classes]."""
    # As the graph and the students do, in float32: exact for rows of up to 2^22 samples (262 s).
    counts = np.round(np.asarray(lengths, dtype=np.float32) * np.float32(waveforms.shape[1])).astype(int)
    return np.concatenate([predict(row[None, :count]) for row, count in zip(waveforms, counts, strict=True)])


def read_metadata(path) -> dict:
    """What ``export_onnx`` wrote into the file: labels, sample rate, window, opset, versions.

    Returns a dict with ``label_order`` (list), ``sample_rate_hz`` (int), ``window_s`` (float), ``opset`` (int), and
    as text whatever else the file carries. Raises ValueError if ``export_onnx`` did not write the file.
    """
    return checked_metadata(open_session(path).get_modelmeta().custom_metadata_map, path)


def checked_metadata(stored: dict[str, str], path) -> dict:
    """Convert the metadata of an exported file from text and check it; see ``read_metadata``."""
    try:
        metadata = {
            **stored,
            "label_order": [str(label) for label in json.loads(stored["label_order"])],
            "sample_rate_hz": int(stored["sample_rate_hz"]),
            "window_s": float(stored["window_s"]),
            "test_overlap_s": float(stored.get("test_overlap_s", 0.0)),
            "opset": int(stored.get("opset", 0)),
        }
        rate, window_s, overlap_s = (metadata[key] for key in ("sample_rate_hz", "window_s", "test_overlap_s"))
        if not 0 <= overlap_s < window_s <= 600 or not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
            raise ValueError(f"a window of {window_s:g} s that overlaps by {overlap_s:g} s, at {rate} Hz")
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} has wrong or missing metadata ({str(error)[:100]}); it was not written by export_onnx, so export "
            "it again."
        ) from None
    return metadata
