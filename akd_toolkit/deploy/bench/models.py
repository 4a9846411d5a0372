"""A student on disk in every form that a way of running it needs; what is missing is exported."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from akd_toolkit.deploy.bench.operations import operations_of_file
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.models.storage import WEIGHTS, load_student

STORED = {  # part -> what an exported file is called in the folder of a run or of a bundle
    "fp32": "student.onnx",
    "fp16": "student.fp16.onnx",
    "int8": "student.int8.onnx",
    "torchscript": "student.torchscript.pt",
}
MADE_OF = {"fp16": ("fp32",), "int8": ("fp32",), "fp32.plan": ("fp32",), "fp16.plan": ("fp32", "fp16")}


@dataclass
class Model:
    """A student on disk.

    Arguments
    ---------
    places
        Part (see ``ways.Way``) -> folder or file; ``features/fp32`` and so on are the front end alone.
    reasons
        Part -> why it is not there.
    notes
        Part -> what a reader must know of it.
    """

    title: str
    work: Path
    parameters: int | None = None
    places: dict[str, Path] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    gflops: dict[str, float] = field(default_factory=dict)

    def megabytes(self, part: str) -> float:
        """Of the file; of a folder, of the weights in it."""
        place = self.places[part]
        return (place / WEIGHTS if place.is_dir() else place).stat().st_size / 1e6


def make_missing(model: Model, parts: set[str], voices: np.ndarray) -> None:
    """Export what is wanted and not there; what cannot be made leaves its reason."""
    needed = {*parts, *(before for part in parts for before in MADE_OF.get(part, ()))}
    for part, make in _makers().items():
        if part not in needed or part in model.places or part in model.reasons:
            continue
        target = model.work / STORED.get(part, f"student.{part}")
        try:
            make(model, target, voices)
            model.places[part] = target
        except Exception as error:  # exporters and quantisers fail in ways of their own; the row says which
            model.reasons[part] = f"not exported: {first_line(error).removeprefix('not exported: ')}"


def _makers() -> dict:
    return {
        "fp32": _make_fp32,
        "fp16": _make_fp16,
        "int8": _make_int8,
        "torchscript": _make_torchscript,
        "fp32.plan": lambda model, target, voices: _make_plan(model, "fp32", target),
        "fp16.plan": lambda model, target, voices: _make_plan(model, "fp16", target),
    }


def _make_fp32(model: Model, target: Path, voices) -> None:
    student, about = load_student(_needed(model, "folder"))
    export_onnx(student, target, about["label_order"], window_s=float(about.get("window_s", 3.0)))


def _make_fp16(model: Model, target: Path, voices) -> None:
    from akd_toolkit.deploy.export.precision import to_fp16

    to_fp16(_needed(model, "fp32"), target)


def _make_int8(model: Model, target: Path, voices) -> None:
    from akd_toolkit.deploy.export.precision import to_int8

    to_int8(_needed(model, "fp32"), target, calibration=list(voices))
    model.notes["int8"] = "calibrated on generated voices"


def _make_torchscript(model: Model, target: Path, voices) -> None:
    from akd_toolkit.deploy.export.torchscript import export_torchscript

    student, about = load_student(_needed(model, "folder"))
    export_torchscript(student, target, about["label_order"])


def _make_plan(model: Model, part: str, target: Path) -> None:
    from akd_toolkit.deploy.export.tensorrt import build_engine

    build_engine(_needed(model, part), target)


def _needed(model: Model, part: str) -> Path:
    if part not in model.places:
        raise ValueError(model.reasons.get(part, f"there is no {part}"))
    return model.places[part]


def inspect_file(model: Model, part: str, num_samples: int) -> None:
    """Count the operations of an exported file and cut out its front end; a file that cannot be run is set aside."""
    try:
        model.gflops[part] = operations_of_file(model.places[part], num_samples) / 1e9
        _cut_features(model, part)
    except Exception as error:  # ONNX Runtime has a class of its own for every way in which a file can be wrong
        model.reasons[part] = f"{model.places.pop(part).name} cannot be run: {first_line(error)}"


def _cut_features(model: Model, part: str) -> None:
    """The front end as a file of its own: the nodes whose names say so, up to what the others read of them."""
    import onnx

    from akd_toolkit.deploy.export.onnx import front_end_nodes
    from akd_toolkit.inference.padding import without_lengths

    whole = onnx.shape_inference.infer_shapes(without_lengths(onnx.load(model.places[part])))
    inside = set(front_end_nodes(whole.graph))
    made = {name for node in whole.graph.node if node.name in inside for name in node.output}
    read = {name for node in whole.graph.node if node.name not in inside for name in node.input}
    outputs = sorted(made & read)
    if not outputs:
        return
    target = model.work / f"features.{part}.onnx"
    onnx.save(onnx.utils.Extractor(whole).extract_model([whole.graph.input[0].name], outputs), target)
    model.places[f"features/{part}"] = target


def first_line(error: Exception) -> str:
    """What another's library says first; the rest is for its makers."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
