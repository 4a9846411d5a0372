"""The rows of students and peers; forms of a student that are missing are exported when a backend needs them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak
from akd_toolkit.deploy.bench.backends import BACKENDS, missing
from akd_toolkit.deploy.bench.measures import operations_of_file, operations_of_module
from akd_toolkit.deploy.bench.table import Row
from akd_toolkit.deploy.bench.worker import first_line
from akd_toolkit.deploy.export.graph import front_end_nodes, without_lengths
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.deploy.export.run import export_saved
from akd_toolkit.deploy.export.tensorrt import build_engine
from akd_toolkit.inference.bundle import check_folder
from akd_toolkit.inference.session import read_metadata
from akd_toolkit.models.storage import SETTINGS, WEIGHTS, load_student, save_student
from akd_toolkit.registry import STUDENTS

FILES = {  # form -> name of the exported file in the folder of a run or of a bundle
    "fp32": "student.onnx",
    "fp16": "student.fp16.onnx",
    "int8": "student.int8.onnx",
    "torchscript": "student.torchscript.pt",
}
MADE_FROM = {  # form -> the form that it is exported from
    **{"fp32": "folder", "torchscript": "folder", "fp16": "fp32", "int8": "fp32"},
    **{"fp32.plan": "fp32", "fp16.plan": "fp16"},
}
CLASSES = 7  # of a student with fresh weights, as in EmoDB


class Model:
    """A student and its forms, each a row without a backend, whose ``reason`` says why the form is not available.

    ``given`` maps names of forms to their files or, as text, to such a reason; other forms are exported into ``work``
    when they are needed. The 8-bit file is calibrated on ``signals`` [count, samples], which shows its speed and size,
    not its scores.
    """

    def __init__(self, title, parameters: int | None, given: dict[str, Path | str], work: Path, signals, note=""):
        self.title, self.parameters, self.work, self.signals = title, parameters, work, signals
        self.forms: dict[str, Row] = {}
        for name, path in given.items():
            failed = isinstance(path, str)
            self.forms[name] = Row(reason=path) if failed else self._inspected(name, path, path.is_file() * note)

    def form(self, name: str) -> Row:
        """A form of the student, exported now if it is missing."""
        if name not in self.forms:
            target = self.work / FILES.get(name, f"student.{name}")
            try:
                self._export(name, target)
                note = "calibrated on generated voices" if name == "int8" else ""
                self.forms[name] = self._inspected(name, target, note)
            except Exception as error:  # exporters and quantisers fail in many ways; the row shows the reason
                self.forms[name] = Row(reason=f"not exported: {first_line(error).removeprefix('not exported: ')}")
        return self.forms[name]

    def _export(self, name: str, target: Path) -> None:
        source = self.form(MADE_FROM[name])
        if source.reason:
            raise ValueError(source.reason)
        if name in ("fp32", "torchscript"):
            export_saved(*load_student(source.path), target)
        elif name == "fp16":
            to_fp16(source.path, target)
        elif name == "int8":
            to_int8(source.path, target, calibration=list(self.signals))
        else:
            build_engine(source.path, target)

    def _inspected(self, name: str, path: Path, note: str) -> Row:
        """The form with its operations and, for an ONNX file, its front end; one that cannot be run has a reason."""
        form, num_samples = Row(path=str(path), note=note), self.signals.shape[1]
        form.megabytes = (path / WEIGHTS if path.is_dir() else path).stat().st_size / 1e6
        try:
            if name == "folder":
                form.gflops = operations_of_module(load_student(path)[0], num_samples) / 1e9
            elif name in ("fp32", "fp16", "int8"):
                form.gflops = operations_of_file(path, num_samples) / 1e9
                form.features = self._front_end(name, path)
            else:
                form.gflops = self.forms.get(MADE_FROM[name], Row()).gflops
        except Exception as error:  # ONNX Runtime has many error classes
            return Row(reason=f"{path.name} cannot be run: {first_line(error)}")
        return form

    def _front_end(self, name: str, path: Path) -> tuple[str, str] | None:
        """The front end's nodes as a file of their own; None if the file has none."""
        import onnx

        whole = onnx.shape_inference.infer_shapes(without_lengths(onnx.load(path)))
        inside = front_end_nodes(whole.graph)
        made = {value for node in whole.graph.node if node.name in inside for value in node.output}
        read = {value for node in whole.graph.node if node.name not in inside for value in node.input}
        if not made & read:
            return None
        target = self.work / f"features.{name}.onnx"
        extractor = onnx.utils.Extractor(whole)
        onnx.save(extractor.extract_model([whole.graph.input[0].name], sorted(made & read)), target)
        return "onnx", str(target)


def open_source(source: str | Path, work: Path, signals: np.ndarray) -> Model:
    """The student of an ``.onnx`` file, of the folder of a run or bundle, or a registered one with fresh weights.

    Exported files in the folder are used as they are; nothing is written into it. ValueError if there is no such file,
    folder or student.
    """
    path = Path(source)
    work.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        return _folder(path, work, signals)
    if path.is_file():
        metadata = read_metadata(path)
        own = metadata.get("precision", "fp32")
        reason = f"{path.name} is an exported file in {own}; give the folder of a run"
        exportable = ("fp16", "int8") if own == "fp32" else ()
        given = {name: reason for name in ("folder", *FILES) if name not in exportable} | {own: path}
        title = f"{metadata.get('student', 'student')} ({path.name})"
        return Model(title, _parameters(metadata), given, work, signals)
    if str(source) not in STUDENTS.names():
        raise ValueError(
            f"'{source}' is not a file, a folder or a registered student; give an .onnx file, the folder of a run or "
            f"of a bundle, or one of {', '.join(STUDENTS.names())}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            student = STUDENTS.build(source, num_classes=CLASSES).eval()
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(f"student '{source}' cannot be built with its default options: {error}") from None
    labels = [f"emotion{index}" for index in range(CLASSES)]
    save_student(work / "student", student, {"name": source}, labels, window_s=3.0)
    given = {"folder": work / "student"}
    return Model(f"{source}, fresh weights", student.num_parameters(), given, work, signals)


def _folder(path: Path, work: Path, signals: np.ndarray) -> Model:
    check_folder(path)
    given = {form: path / name for form, name in FILES.items() if (path / name).is_file()}
    if (path / SETTINGS).is_file() and (path / WEIGHTS).is_file():
        _, about = load_student(path)
        title, parameters, given = about["student"]["name"], about["num_parameters"], {"folder": path, **given}
    elif "fp32" in given:
        metadata = read_metadata(given["fp32"])
        title, parameters = metadata.get("student", path.name), _parameters(metadata)
        given["folder"] = f"{path} holds no {WEIGHTS}"
    else:
        raise ValueError(
            f"{path} holds neither a saved student ({SETTINGS}, {WEIGHTS}) nor {FILES['fp32']}; give the folder of a "
            "finished run, such as results/akd/seed17/fold1/outer, or of a bundle."
        )
    return Model(title, parameters, given, work, signals, note=f"file of {path.name}")


def _parameters(metadata: dict) -> int | None:
    return int(metadata["num_parameters"]) if "num_parameters" in metadata else None


def student_rows(model: Model, backends: list[str], threads: list[int]) -> list[Row]:
    """A row for each number of threads and backend; one that cannot be measured has a reason."""
    rows = []
    for count in threads:
        for name in backends:
            backend = BACKENDS[name]
            if backend.on_gpu and count != threads[0]:
                continue
            lacking = backend.missing
            form = model.forms.get(backend.form, Row()) if lacking else model.form(backend.form)
            row = replace(form, model=model.title, backend=backend.title, threads=1 if backend.on_gpu else count)
            row.loader, row.on_gpu, row.parameters = backend.loader, backend.on_gpu, model.parameters
            row.reason = lacking or form.reason
            if form.features:
                row.features = (backend.loader, form.features[1])
            elif name == "torch":
                row.features = ("front_end", form.path)
            rows.append(row)
    return rows


def peer_rows(name: str, threads: list[int], work: Path, signals: np.ndarray) -> list[Row]:
    """Rows of a peer, one for each number of threads that it can use."""
    if name == "opensmile":
        note = "functionals alone, no classifier; always one thread, no batches"
        what = ("openSMILE eGeMAPS", "openSMILE", 1, "opensmile", "eGeMAPSv02")
        return [Row(*what, parameters=0, reason=missing("opensmile"), note=note)]
    if name != "wav2vec2":
        return student_rows(open_source(name, work, signals), ["onnx"], threads)
    import transformers

    with torch.device("meta"):  # shapes alone: nothing is computed and no memory is used
        model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).to("meta").eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    first = Row("wav2vec 2.0 base, frozen", "PyTorch", 1, "wav2vec2", "Wav2Vec2Config", parameters=parameters)
    first.gflops, first.megabytes = operations_of_module(model, signals.shape[1]) / 1e9, 4 * parameters / 1e6
    first.note = "encoder alone, no classifier; random weights, so no download; MB of float32 weights"
    cuda = BACKENDS["cuda"]
    on_gpu = [] if cuda.missing else [replace(first, backend=cuda.title, loader="wav2vec2_cuda", on_gpu=True)]
    return [*(replace(first, threads=count) for count in threads), *on_gpu]


def generated_signals(count: int, window_s: float) -> np.ndarray:
    """Generated voices that speak without a pause, [count, samples] float32; the same in every run.

    Speech and not noise, because openSMILE takes longer where it finds a pitch.
    """
    random = np.random.default_rng(0)
    num_samples = round(window_s * SAMPLE_RATE_HZ)
    windows = []
    for _ in range(count):
        settings = VoiceSettings(pitch_hz=random.uniform(90, 250), tempo=random.uniform(0.8, 1.3))
        speech = np.zeros(0, dtype=np.float32)
        while len(speech) < num_samples:
            speech = np.concatenate([speech, speak(random_sentence(random), settings, random)])
        windows.append(speech[:num_samples])
    return np.stack(windows)
