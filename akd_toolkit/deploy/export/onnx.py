"""ONNX export: one file from waveform to probabilities, with the front end inside and its labels in the metadata."""

import copy
import io
import json
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor

from akd_toolkit import __version__
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.export.graph import compact, name_front_end, with_lengths
from akd_toolkit.deploy.export.parity import ParityReport, check_parity
from akd_toolkit.inference.session import LENGTHS, MEANING, MIN_SAMPLES

logger = logging.getLogger(__name__)

OPSET = 18  # the oldest that the exporter writes without a conversion, so the file also runs on older devices


class Probabilities(torch.nn.Module):
    """The exported module: waveforms [batch, samples] -> probabilities [batch, classes]."""

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
    about: dict | None = None,
    lengths: bool = True,
) -> ParityReport:
    """Write ``student`` as one ONNX file and check that the file gives the module's probabilities.

    The graph maps ``waveform`` [batch, samples], float32 in [-1, 1], at least 0.1 s, to ``probabilities``
    [batch, classes]; the optional input ``lengths`` is the share of each row that is speech. The file is compared with
    the module at several lengths and batch sizes before ``path`` is replaced.

    Arguments
    ---------
    student, path
        Exported in eval mode and on the CPU, the caller's module stays as it is; a path that ends in ``.onnx``.
    label_order, sample_rate_hz, window_s
        Classes in the order of the logits, and the speech that it was trained on, in Hz and s; stored in the file.
    about
        Content of ``student.json``; its ``test_overlap_s`` and ``corpus`` are stored in the file.
    lengths
        False leaves out the input ``lengths`` and its control flow, which some converters do not support.

    ValueError if the labels are not as many as the classes or not unique, or file and module differ.
    """
    about = {**(about or {}), "label_order": label_order, "sample_rate_hz": sample_rate_hz, "window_s": window_s}
    student, metadata = prepared(student, about)
    if not lengths:
        del metadata[LENGTHS]
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=MIN_SAMPLES)
    with written_aside(path) as aside:
        with quiet():
            torch.onnx.export(
                Probabilities(student).eval(),
                (torch.zeros(2, 3 * MIN_SAMPLES),),
                str(aside),
                input_names=["waveform"],
                output_names=["probabilities"],
                dynamic_shapes={"waveform": {0: batch, 1: samples}},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        _finish(aside, metadata)
        report = check_parity(aside, student)
    logger.info(
        "wrote %s: %.2f MB, opset %d, differs from the module by at most %.1e on %d waveforms.",
        path, Path(path).stat().st_size / 1e6, OPSET, report.largest_difference, report.num_waveforms,
    )  # fmt: skip
    return report


def prepared(student, about: dict) -> tuple[torch.nn.Module, dict]:
    """A copy of the student to export, and the file's metadata as text; ValueError if the labels do not fit it."""
    student, label_order = copy.deepcopy(student).cpu().float().eval(), about["label_order"]
    labels = [str(label) for label in label_order]
    if isinstance(label_order, str) or len(set(labels)) != len(labels):
        raise ValueError(f"label_order must be a list of different names, got {label_order!r}.")
    num_classes = student(torch.zeros(1, MIN_SAMPLES)).logits.shape[-1]
    if num_classes != len(labels):
        raise ValueError(
            f"label_order has {len(labels)} names {labels} but the student has {num_classes} classes; give one name "
            "per class, in the order of training."
        )
    return student, {
        "label_order": json.dumps(labels, ensure_ascii=False),
        "sample_rate_hz": str(int(about.get("sample_rate_hz", SAMPLE_RATE_HZ))),
        "window_s": str(float(about.get("window_s", 3.0))),
        "test_overlap_s": str(float(about.get("test_overlap_s", 0.0))),
        "corpus": str(about.get("corpus", "")),
        LENGTHS: MEANING,
        "precision": "fp32",
        "student": type(student).__name__,
        "num_parameters": str(sum(p.numel() for p in student.parameters())),
        "akd_toolkit": __version__,
        "torch": torch.__version__,
    }


def _finish(path, metadata):
    """Name the front end, remove traces of this machine's source files, compact, add metadata and ``lengths``."""
    import onnx

    model = onnx.load(path)
    name_front_end(model.graph)
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    compact(model)
    onnx.helper.set_model_props(model, {**metadata, "opset": str(OPSET), "onnx": onnx.__version__})
    if LENGTHS in metadata:
        model = with_lengths(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


@contextmanager
def quiet():
    """Hide what libraries warn of, log below errors and print; it concerns their internals, and parity decides."""
    earlier = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(earlier)
