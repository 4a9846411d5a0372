"""An exported file in half precision, or in 8-bit integers; the front end stays in 32 bits in both."""

import io
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np

from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.export.compact import compact
from akd_toolkit.deploy.export.eight_bits import WEIGHTED, Plan, plan, store_weights
from akd_toolkit.deploy.export.half import in_half
from akd_toolkit.deploy.export.names import front_end_nodes
from akd_toolkit.inference.padding import LENGTHS, with_lengths, without_lengths
from akd_toolkit.inference.session import MIN_SAMPLES, load_model

MODES = ("static", "dynamic")
METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}


def to_fp16(source, target) -> Path:
    """Write the exported file ``source`` in half precision: weights and arithmetic, but for the front end.

    Input and output stay float32, as do the front end (powers of a spectrum outgrow 65 504), sums over time, squares,
    roots and softmaxes. ONNX Runtime has few half-precision operators for CPUs and converts around the others: such a
    file is half as large, but slower there; it is meant for accelerators.

    Raises
    ------
    FileNotFoundError
        If there is no ``source``.
    ValueError
        If ``source`` is no exported file in 32 bits.
    """
    model = _fp32_model(source)
    half = in_half(model, front_end_nodes(model.graph))
    return _save(half, model, target, precision="fp16")


def to_int8(
    source, target, calibration: Iterable[np.ndarray] | None = None, mode: str = "static", method: str = "minmax"
) -> Path:
    """Write the exported file ``source`` with 8-bit weights, and 8-bit arithmetic where that is faster.

    The front end, the classifier and what follows it stay in 32 bits; ``eight_bits.plan`` says what of the rest
    computes in 8 bits and of what only the weights are stored so. Weights are signed with one scale for each output;
    activations are unsigned with one scale for each tensor. On a CPU with AVX-512 VNNI, ONNX Runtime 1.31 takes 0.76
    of the time of 32 bits for the micro CNN, and 0.88 with signed activations.

    Arguments
    ---------
    source, target
        An exported file in 32 bits, and the file to write.
    calibration
        Waveforms [samples] of training speakers that show how large activations get, at least one; windows as long as
        those that the file will hear. Only ``"static"`` needs them.
    mode
        ``"static"``: ranges of activations are fixed by ``calibration``. ``"dynamic"``: they are found anew in every
        call and for matrix products alone (8-bit convolutions of this kind take four times as long as in 32 bits),
        which needs no speech; an utterance's answer then depends a little on the others in its batch, but not where
        the batch is padded and has ``lengths``.
    method
        How ranges follow from the calibration: ``"minmax"`` (their extremes), ``"percentile"`` (99.999 % of the
        values) or ``"entropy"`` (least information lost). The last two compare windows of one length, the commonest,
        and leave out others; on EmoDB they decided no better than the first.

    Raises
    ------
    FileNotFoundError
        If there is no ``source``.
    ValueError
        If ``source`` is no exported file in 32 bits, an option is unknown, or there is no speech to calibrate on.
    """
    if mode not in MODES or method not in METHODS:
        raise ValueError(
            f"mode must be one of {', '.join(MODES)} and method one of {', '.join(METHODS)}, got '{mode}' and "
            f"'{method}'."
        )
    model = _fp32_model(source)
    wanted = plan(model.graph)
    if mode == "dynamic":
        quantised, how = _dynamic(model, wanted), "none"
    else:
        windows = _checked(calibration, method)
        quantised = _static(model, wanted, windows, method)
        how = f"{method} over {len(windows)} windows" if wanted.computed else "none"
    store_weights(quantised, wanted.weighted)
    return _save(quantised, model, target, precision="int8", quantisation=mode, calibration=how)


def _static(model, wanted: Plan, windows: list[np.ndarray], method: str):
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if not wanted.computed:
        return _copy(model)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        quantize_static(
            _copy(model),
            made := Path(folder) / "int8.onnx",
            _Reader(windows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(wanted.computed),
            op_types_to_quantize=[*WEIGHTED, "Add", "Relu"],
            calibrate_method=getattr(CalibrationMethod, METHODS[method]),
            extra_options={"CalibPercentile": 99.999} if method == "percentile" else {},
        )
        return load_model(made)


def _dynamic(model, wanted: Plan):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The library makes a Gemm into a MatMul of this name first.
    names = [*wanted.weighted, *(f"{name}_MatMul" for name in wanted.weighted)]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        quantize_dynamic(
            _copy(model),
            made := Path(folder) / "int8.onnx",
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=names,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
        return load_model(made)


def _copy(model):
    return type(model).FromString(model.SerializeToString())


class _Reader:
    """Hands windows to the library, one by one."""

    def __init__(self, windows: list[np.ndarray]):
        self.windows: Iterator[np.ndarray] = iter(windows)

    def get_next(self) -> dict | None:
        window = next(self.windows, None)
        return None if window is None else {"waveform": window[None]}


def _checked(calibration: Iterable[np.ndarray] | None, method: str) -> list[np.ndarray]:
    windows = [np.ascontiguousarray(window, dtype=np.float32) for window in calibration or ()]
    bad = next((w for w in windows if w.ndim != 1 or len(w) < MIN_SAMPLES or not np.isfinite(w).all()), None)
    if bad is not None:
        raise ValueError(
            f"calibration holds a waveform of shape {list(bad.shape)}; give finite ones [samples] of at least "
            f"{MIN_SAMPLES} samples."
        )
    if not windows:
        raise ValueError("static 8-bit files need speech to calibrate on; give windows of training speakers.")
    if method == "minmax":
        return windows
    lengths = [len(window) for window in windows]
    return [window for window in windows if len(window) == max(set(lengths), key=lengths.count)]


def _fp32_model(source):
    model = load_model(source)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    if "label_order" not in stored or stored.get("precision", "fp32") != "fp32":
        found = f"is in {stored['precision']}" if stored.get("precision") else "was not written by export_onnx"
        raise ValueError(f"{source} {found}; give an exported file in fp32.")
    return without_lengths(model)


def _save(changed, model, target, **metadata) -> Path:
    """Write ``changed`` with the metadata of ``model`` and more, checked, and without what the converter noted."""
    import onnx

    for part in (changed.graph, *changed.graph.node):
        del part.metadata_props[:]
    del changed.graph.value_info[:]
    changed.producer_name, changed.producer_version = model.producer_name, model.producer_version
    compact(changed)  # an optimiser may have computed the constants that the source only describes
    stored = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(changed, {**stored, **metadata})
    if LENGTHS in stored:
        changed = with_lengths(changed)
    onnx.checker.check_model(changed)
    with written_aside(target) as aside:
        onnx.save(changed, aside)
    return Path(target)


@contextmanager
def _quiet():
    """Neither the library's advice to pre-process (export_onnx has done that) nor its progress."""
    earlier = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(earlier)
