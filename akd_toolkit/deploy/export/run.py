"""Export of finished runs: a file of a chosen format and precision, compared with its module on held-out speech."""

import json
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.data.segments import window_starts
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.deploy.export.formats import CALIBRATION, SUFFIXES, check_format
from akd_toolkit.deploy.export.onnx import export_onnx, quiet
from akd_toolkit.deploy.export.parity import (
    TOLERANCES,
    check_batches,
    check_decisions,
    check_parity,
    open_predict,
    speech_batches,
)
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.deploy.export.report import ExportReport
from akd_toolkit.deploy.export.tensorrt import Shapes, build_engine, check_tensorrt, engine_name_here
from akd_toolkit.deploy.export.torchscript import export_torchscript
from akd_toolkit.evaluate.evaluation import EvaluationSet, evaluation_set, score, training_speech
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine, engine_of
from akd_toolkit.models.storage import load_student

logger = logging.getLogger(__name__)


def export_run(
    run_folder: str | Path,
    format: str = "onnx",
    precision: str = "fp32",
    to: str | Path | None = None,
    calibration: int = CALIBRATION,
    mode: str = "static",
    speech: str | Path | None = None,
    shapes: Shapes | None = None,
    progress: bool = True,
    lengths: bool = True,
) -> ExportReport:
    """Write the student of a finished run as one file, if it passes the comparison with its module.

    Compared are probabilities on pieces of speech of six lengths in batches of three sizes, an utterance in a batch
    and alone, and the decisions on all held-out utterances. ``<file>.parity.json`` beside the file keeps the results.

    Arguments
    ---------
    run_folder
        A finished outer run: its test speakers are the held-out speech, its training speakers calibrate. Or any folder
        with a saved student, such as a bundle, with ``speech``.
    format, precision
        ``"onnx"`` in ``"fp32"``, ``"fp16"`` or ``"int8"``; ``"torchscript"`` in ``"fp32"``; ``"tensorrt"`` in
        ``"fp32"`` or ``"fp16"``.
    to
        File or folder to write to; the run's folder if None.
    calibration
        Utterances of training speakers that an 8-bit file is calibrated on, >= 1.
    mode
        ``"static"`` or ``"dynamic"``, of 8-bit files (``to_int8``).
    speech
        Folder of recordings to compare on instead; half of them calibrate. Without it and without an experiment,
        generated voices are used.
    shapes
        Shapes that a TensorRT engine accepts.
    lengths
        Whether an ONNX file takes ``lengths`` (``export_onnx``).

    Raises
    ------
    FileNotFoundError, ImportError
        If the folder holds no saved student, or TensorRT is needed and not installed.
    ValueError
        If the format has no such precision, or the file is beyond its tolerance; then none is written.
    """
    _check(format, precision, calibration)
    student, about = load_student(run_folder)
    engine = engine_of(student, about)
    compared = speech_for(run_folder, engine, calibration if precision == "int8" else 0, mode, speech, progress)
    settings = about["label_order"], about.get("sample_rate_hz", SAMPLE_RATE_HZ), about.get("window_s", 3.0)
    level = logging.INFO if progress else logging.DEBUG
    with tempfile.TemporaryDirectory() as folder:
        graph = None
        if format != "torchscript":
            windows = compared.calibration
            calibrated = f", calibrated on {len(windows)} windows" if windows else ""
            logger.log(level, "building the ONNX graph in %s%s", precision, calibrated)
            graph = whole = Path(folder) / "student.fp32.onnx"
            with quiet():  # it would name a temporary file
                export_onnx(student, whole, *settings, about=about, lengths=lengths)
            if precision != "fp32":
                graph = Path(folder) / f"student.{precision}.onnx"
                to_fp16(whole, graph) if precision == "fp16" else to_int8(whole, graph, windows, mode)
        target = _target(Path(run_folder if to is None else to), format, precision, graph, shapes)
        with written_aside(target) as aside:
            try:
                if format == "torchscript":
                    export_torchscript(student, aside, *settings, about=about)
                elif format == "tensorrt" and not target.is_file():
                    logger.log(level, "building %s", target.name)
                    build_engine(graph, aside, shapes)
                else:  # the graph itself, or the engine with this name, which was built from it on this machine
                    aside.write_bytes((target if format == "tensorrt" else graph).read_bytes())
                logger.log(level, "comparing %s with its module", target.name)
                results = _compare(aside, target.name, student, engine, compared, precision, progress)
            except ValueError as error:
                raise ValueError(str(error).replace(str(aside), str(target))) from None
    report = ExportReport(target, format, precision, target.stat().st_size, compared.source, *results)
    write_text_aside(target.with_name(f"{target.name}.parity.json"), json.dumps(report.as_dict(), indent=2) + "\n")
    return report


def export_experiment(
    folder: str | Path, format: str = "onnx", precision: str = "fp32", to: str | Path | None = None, **options
) -> list[ExportReport]:
    """``export_run`` for every finished outer run of an experiment, into ``to/<run>`` or each run's own folder.

    Every file is judged by itself; ``report.check_together`` judges them pooled. ValueError if no run is finished.
    """
    _check(format, precision, options.get("calibration", CALIBRATION))
    experiment = Experiment.read(folder)
    reports = []
    with tqdm(experiment.finished_runs(), desc=f"exporting {experiment.title}", unit="run") as bar:
        for run in bar:
            bar.set_postfix_str(run.name)
            place = run.folder if to is None else Path(to) / run.name
            reports.append(export_run(run.folder, format, precision, place, progress=False, **options))
    return reports


def _check(format: str, precision: str, calibration: int) -> None:
    check_format(format, precision, calibration)
    if format == "tensorrt":
        check_tensorrt()


def _target(place: Path, format: str, precision: str, graph: Path | None, shapes: Shapes | None) -> Path:
    if place.suffix == SUFFIXES[format]:
        return place
    if format == "tensorrt":
        return place / engine_name_here(graph, shapes)
    if format == "torchscript":
        return place / "student.torchscript.pt"
    return place / ("student.onnx" if precision == "fp32" else f"student.{precision}.onnx")


@dataclass(frozen=True)
class Speech:
    """Speech to calibrate on and to compare on."""

    calibration: list[np.ndarray]  # windows of training speakers
    waveforms: dict[str, np.ndarray]  # ID of an utterance -> float32 [samples]
    source: str  # description of the waveforms
    heldout: EvaluationSet | None = None  # the same with labels, where the student belongs to an experiment


def speech_for(
    folder: str | Path,
    engine: Engine,
    calibration: int,
    mode: str = "static",
    given: str | Path | None = None,
    progress: bool = True,
) -> Speech:
    """Speech for the student of ``folder``: the recordings ``given``, what its run held out, or generated voices.

    ``calibration`` is the number of utterances to calibrate on; 0 for none.
    """
    if given is not None:
        return _recordings(Path(given), engine, calibration, progress)
    level = logging.INFO if progress else logging.DEBUG
    try:
        experiment, run = Experiment.of_run(folder)
    except FileNotFoundError:  # a student without its experiment
        if calibration and mode == "static":
            raise ValueError(
                f"{folder} has no training speakers to calibrate an 8-bit file on; give recordings with --speech "
                "FOLDER, or use --mode dynamic."
            ) from None
        with tempfile.TemporaryDirectory() as place:
            made = generate_corpus(Path(place) / "voices", 2, utterances_per_speaker_and_emotion=2, progress=False)
            return Speech([], {path.stem: read_audio(path) for path in find_sounds(made)}, "generated voices")
    source = f"{experiment.manifest.corpus}, held-out speakers {', '.join(run.test_speakers)}"
    logger.log(level, "reading speech to compare on: %s", source)
    heldout = evaluation_set(experiment, run, progress)
    utterances = []
    if calibration:
        logger.log(level, "reading speech to calibrate on: up to %d utterances of training speakers", calibration)
        utterances = training_speech(experiment, run, calibration, progress).values()
    return Speech(_windows(utterances, engine), heldout.waveforms, source, heldout)


def _recordings(folder: Path, engine: Engine, calibration: int, progress: bool) -> Speech:
    files = find_sounds(folder, "--speech", "give a folder of recordings to compare the file with its module on")
    bar = tqdm(files, desc=f"reading {folder.name}", unit="file", disable=not progress)
    waveforms = {str(path.relative_to(folder)): read_audio(path) for path in bar}
    names = list(waveforms)
    calibrating, comparing = (names[1::2][:calibration], names[::2]) if calibration else ([], names)
    windows = _windows([waveforms[name] for name in calibrating], engine)
    source = f"{len(comparing)} recordings of {folder.name}"
    return Speech(windows, {name: waveforms[name] for name in comparing}, source)


def _windows(waveforms: Iterable[np.ndarray], engine: Engine) -> list[np.ndarray]:
    """The windows that evaluation cuts these utterances into."""
    size, overlap = (round(seconds * engine.sample_rate_hz) for seconds in (engine.window_s, engine.overlap_s))
    return [w[start : start + size] for w in waveforms for start in window_starts(len(w), size, size - overlap)]


def _compare(file: Path, name: str, student, engine: Engine, speech: Speech, precision: str, progress: bool):
    """Parity, difference of a batch and decisions; ValueError if any is beyond the tolerance."""
    tolerance = TOLERANCES[precision].probability
    batches = speech_batches(list(speech.waveforms.values()))
    parity = check_parity(file, student, batches, tolerance)
    batch_difference = check_batches(file, batches, tolerance)
    exported = Engine(file.suffix[1:], engine.label_order, engine.window_s, engine.overlap_s, open_predict(file)[0])
    decisions = pd.DataFrame({"utterance": list(speech.waveforms)})
    for when, each, title in (("before", engine, "the module"), ("after", exported, "the file")):
        if speech.heldout is None:
            decisions[when] = [int(each.posterior(waveform).argmax()) for waveform in speech.waveforms.values()]
        else:
            scores = score(each, speech.heldout, title, progress)
            index = list(engine.label_order).index
            decisions["utterance"], decisions["truth"] = scores["ID"], scores["truth"].map(index)
            decisions[when] = scores["prediction"].map(index)
    check_decisions(name, precision, decisions["before"], decisions["after"], decisions.get("truth"))
    return parity, batch_difference, decisions
