"""One ONNX file from waveform to probabilities, with the front end inside and its labels in the metadata."""

import copy
import json
import logging
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from akd_toolkit import __version__
from akd_toolkit.deploy.export.compact import compact
from akd_toolkit.deploy.export.names import name_front_end
from akd_toolkit.deploy.export.parity import TOLERANCE, ParityReport, check_parity
from akd_toolkit.inference.padding import LENGTHS, MEANING, with_lengths
from akd_toolkit.inference.session import MIN_SAMPLES

logger = logging.getLogger(__name__)

# 18 is the oldest opset that the exporter writes without converting, so the file also runs on older devices.
OPSET = 18


class Probabilities(torch.nn.Module):
    """The student as the file shows it: whole waveforms in, probabilities out."""

    def __init__(self, student):
        super().__init__()
        self.student = student

    def forward(self, waveform: Tensor) -> Tensor:
        return torch.softmax(self.student(waveform).logits, dim=-1)


def export_onnx(
    student: torch.nn.Module,
    path,
    label_order,
    sample_rate_hz: int = 16000,
    window_s: float = 3.0,
    opset: int = OPSET,
    tolerance: float = TOLERANCE,
    about: dict | None = None,
    lengths: bool = True,
) -> ParityReport:
    """Write ``student`` as one ONNX file and prove that it answers as the module does.

    The graph maps ``waveform`` [batch, samples], float32 in [-1, 1], any length from 0.1 s, to ``probabilities``
    [batch, classes]; the optional input ``lengths`` says how much of each row is speech (``padding.with_lengths``). It
    is written aside, compared with the module on several lengths and batch sizes, and only then given its name, so that
    ``path`` never holds a half-written or a wrong file.

    Arguments
    ---------
    student
        A trained student; exported in eval mode and on the CPU, left as it was.
    path
        File to write, ending in ``.onnx``.
    label_order
        Names of the classes in the order of the logits; stored in the file.
    sample_rate_hz, window_s
        What the student was trained on, in Hz and s; stored in the file for those who run it.
    opset
        Version of the operator set to write.
    tolerance
        Largest difference of a probability between file and module, > 0.
    about
        What ``student.json`` says of the student; of it ``test_overlap_s`` and ``corpus`` are stored in the file.
    lengths
        False leaves the input ``lengths`` out, and with it the control flow that some converters do not read.

    Raises
    ------
    ValueError
        If there are not as many labels as classes, a label appears twice, or file and module disagree.
    """
    path = Path(path)
    # A copy, so that neither the training mode nor the device of the caller's student is touched.
    student = copy.deepcopy(student).cpu().float().eval()
    metadata = metadata_of(student, label_order, sample_rate_hz, window_s, about)
    if not lengths:
        del metadata[LENGTHS]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write(student, aside, opset)
        _stamp(aside, metadata)
        report = check_parity(aside, student, tolerance=tolerance)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    logger.info(
        "wrote %s: %.2f MB, opset %d, differs from the module by at most %.1e on %d waveforms.",
        path, path.stat().st_size / 1e6, opset, report.largest_difference, report.num_waveforms,
    )  # fmt: skip
    return report


def _write(student, path, opset):
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=MIN_SAMPLES)
    # The exporter's warnings and log lines tell of its own insides; what matters is checked by parity afterwards.
    with warnings.catch_warnings(), quiet("torch.onnx", "onnxscript", "onnx_ir"):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Probabilities(student).eval(),
            (torch.zeros(2, 3 * MIN_SAMPLES),),
            str(path),
            input_names=["waveform"],
            output_names=["probabilities"],
            dynamic_shapes={"waveform": {0: batch, 1: samples}},
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _stamp(path, metadata):
    import onnx

    model = onnx.load(path)
    name_front_end(model.graph)
    # The exporter leaves traces of the machine's source files on every node; a released file shall not carry them.
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    compact(model)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    onnx.helper.set_model_props(model, {**metadata, "opset": str(opset), "onnx": onnx.__version__})
    if LENGTHS in metadata:
        model = with_lengths(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def metadata_of(student, label_order, sample_rate_hz, window_s, about: dict | None = None) -> dict[str, str]:
    """What an exported file says of itself, as texts; refused if the labels do not fit the student."""
    label_order = _checked_labels(label_order)
    num_classes = student(torch.zeros(1, MIN_SAMPLES)).logits.shape[-1]
    if num_classes != len(label_order):
        raise ValueError(
            f"label_order has {len(label_order)} names {list(label_order)} but the student tells {num_classes} "
            "classes apart; give one name per class, in the order of training."
        )
    about = about or {}
    return {
        "label_order": json.dumps(list(label_order), ensure_ascii=False),
        "sample_rate_hz": str(int(sample_rate_hz)),
        "window_s": str(float(window_s)),
        "test_overlap_s": str(float(about.get("test_overlap_s", 0.0))),
        "corpus": str(about.get("corpus", "")),
        LENGTHS: MEANING,
        "precision": "fp32",
        "student": type(student).__name__,
        "num_parameters": str(sum(p.numel() for p in student.parameters())),
        "akd_toolkit": __version__,
        "torch": torch.__version__,
    }


@contextmanager
def quiet(*names):
    loggers = [logging.getLogger(name) for name in names]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _checked_labels(label_order):
    labels = tuple(str(label) for label in label_order)
    if isinstance(label_order, str) or len(set(labels)) != len(labels):
        raise ValueError(f"label_order must be a list of different names, got {label_order!r}.")
    return labels
