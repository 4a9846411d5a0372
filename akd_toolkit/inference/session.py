"""Opening an exported file: ONNX Runtime, and what the file says of itself."""

import contextlib
import io
import json
from collections.abc import Callable

import numpy as np

from akd_toolkit.data.reader import MAX_RATE_HZ, MIN_RATE_HZ
from akd_toolkit.inference.model_file import read_checked, unreadable
from akd_toolkit.inference.padding import LENGTHS, takes_lengths

MIN_SAMPLES = 1600


def read_metadata(path) -> dict:
    """Labels, sample rate, window, opset and versions that ``export_onnx`` put into the file.

    Returns a dict with ``label_order`` (list), ``sample_rate_hz`` (int), ``window_s`` (float), ``opset`` (int), and
    as text whatever else the file carries.

    Raises
    ------
    ValueError
        If the file was not written by ``export_onnx``.
    """
    return session_metadata(open_session(path), path)


def open_session(path, threads: int = 1):
    """An ONNX Runtime session on the CPU for a file that needs nothing but itself.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If ONNX Runtime does not read it, or it keeps weights in other files or calls operators that are not of the
        ONNX standard.
    """
    import onnxruntime

    stored = read_checked(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what it remarks tells a user nothing, and what fails is raised
    # What was checked was checked as ONNX; the library would take its own format for it where the bytes say so.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        # The bytes that were checked, not the path: nothing can be put in its place in between. What the library
        # prints of a failure would stand among somebody's results.
        with contextlib.redirect_stdout(io.StringIO()):
            return onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for every way a file can be wrong.
        raise unreadable(path, error) from None


def answer_of(session, path) -> Callable:
    """The answering function of an open session, of ``waveforms`` [batch, samples] and perhaps ``lengths`` [batch].

    Raises
    ------
    ValueError
        If it is given lengths that the file does not take, or ONNX Runtime cannot run the file.
    """

    def answer(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        feeds = {"waveform": np.ascontiguousarray(waveforms, dtype=np.float32)}
        if lengths is not None:
            if not takes_lengths(session):
                raise ValueError(
                    f"{path} has no input lengths; export the student again with akd export, or give each waveform "
                    "alone."
                )
            feeds[LENGTHS] = np.ascontiguousarray(lengths, dtype=np.float32)
        try:
            return session.run(["probabilities"], feeds)[0]
        except Exception as error:  # a damaged graph may open and then fail, with a class of the library's own
            raise unreadable(path, error) from None

    return answer


def session_metadata(session, path) -> dict:
    """What ``export_onnx`` put into the file of an open session; see ``read_metadata``."""
    return checked_metadata(dict(session.get_modelmeta().custom_metadata_map), path)


def checked_metadata(stored: dict[str, str], path) -> dict:
    """The texts that an exported file carries, as what they mean; see ``read_metadata``.

    Raises
    ------
    ValueError
        If one that is needed is missing or makes no sense.
    """
    try:
        told = {
            **stored,
            "label_order": [str(label) for label in json.loads(stored["label_order"])],
            "sample_rate_hz": int(stored["sample_rate_hz"]),
            "window_s": float(stored["window_s"]),
            "test_overlap_s": float(stored.get("test_overlap_s", 0.0)),
            "opset": int(stored.get("opset", 0)),
        }
        rate = told["sample_rate_hz"]
        if not 0 <= told["test_overlap_s"] < told["window_s"] <= 600 or not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
            raise ValueError(
                f"a window of {told['window_s']:g} s that overlaps by {told['test_overlap_s']:g} s, at {rate} Hz"
            )
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} does not say what it needs ({str(error)[:100]}); it was not written by export_onnx, so export it "
            "again."
        ) from None
    return told
