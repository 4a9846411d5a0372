"""A finished run as one file of a chosen format and precision, compared with its module on speech it never heard."""

import json
import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.deploy.export.formats import CALIBRATION, SUFFIXES, check_format
from akd_toolkit.deploy.export.onnx import export_onnx, quiet
from akd_toolkit.deploy.export.parity import check_batches, check_parity, open_answer, speech_batches
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.deploy.export.report import ExportReport
from akd_toolkit.deploy.export.speech import Speech, speech_for
from akd_toolkit.deploy.export.tensorrt import Shapes, build_engine, check_tensorrt, engine_name_here
from akd_toolkit.deploy.export.tolerance import TOLERANCES, check_decisions
from akd_toolkit.deploy.export.torchscript import export_torchscript
from akd_toolkit.evaluate.heldout import score
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
    """Write the student of a finished run as one file, prove that it is the same student, and tell how far it is.

    The file is written aside and gets its name only when it passes: probabilities on pieces of speech of six lengths
    in batches of three sizes, an utterance in a batch against alone, and the decisions on all held-out utterances
    (``export.tolerance``). ``<file>.parity.json`` beside it keeps the figures.

    Arguments
    ---------
    run_folder
        A finished outer run, whose test speakers are the held-out speech and whose training speakers calibrate; or any
        folder with a saved student, such as a bundle, for which ``speech`` is asked.
    format, precision
        ``"onnx"`` in ``"fp32"``, ``"fp16"`` or ``"int8"``; ``"torchscript"`` in ``"fp32"``; ``"tensorrt"`` in
        ``"fp32"`` or ``"fp16"``.
    to
        File or folder to write to; the run's folder if None.
    calibration
        Utterances of training speakers that show an 8-bit file how large activations get, >= 1.
    mode
        ``"static"`` or ``"dynamic"``, of 8-bit files (``export.precision.to_int8``).
    speech
        Folder of recordings to compare on instead; half of them calibrate. Without it and without an
        experiment the toolkit's generated voices are compared on.
    shapes
        What a TensorRT engine shall accept.
    lengths
        Whether an ONNX file takes ``lengths`` (``export.padding``).

    Raises
    ------
    FileNotFoundError
        If the folder holds no saved student.
    ImportError
        If TensorRT is asked for and not installed.
    ValueError
        If there is no such format in this precision, or the file is beyond its tolerance; then none is written.
    """
    _check(format, precision, calibration)
    student, about = load_student(run_folder)
    engine = engine_of(student, about)
    heard = speech_for(run_folder, engine, calibration if precision == "int8" else 0, mode, speech, progress)
    level = logging.INFO if progress else logging.DEBUG
    with tempfile.TemporaryDirectory() as folder:
        graph = None
        if format != "torchscript":
            calibrated = f", calibrated on {len(heard.calibration)} windows" if heard.calibration else ""
            logger.log(level, "building the ONNX graph in %s%s", precision, calibrated)
            graph = _graph(student, about, folder, precision, heard.calibration, mode, lengths)
        target = _target(Path(run_folder), format, precision, to, graph, shapes)
        with written_aside(target) as aside:
            try:
                if format != "onnx":
                    logger.log(level, "building %s", target.name)
                if format == "torchscript":
                    export_torchscript(student, aside, *_settings(about), about=about)
                elif format == "tensorrt" and not target.is_file():
                    build_engine(graph, aside, shapes)
                else:  # the graph itself, or an engine whose name tells that it was built of it, here
                    aside.write_bytes((target if format == "tensorrt" else graph).read_bytes())
                logger.log(level, "comparing %s with its module", target.name)
                parity, batch_difference, decisions = _compared(
                    aside, target.name, student, engine, heard, precision, progress
                )
            except ValueError as error:
                raise ValueError(str(error).replace(str(aside), str(target))) from None
    size = target.stat().st_size
    report = ExportReport(target, format, precision, size, heard.source, parity, batch_difference, decisions)
    write_text_aside(target.with_name(f"{target.name}.parity.json"), json.dumps(report.as_dict(), indent=2) + "\n")
    return report


def export_experiment(
    folder: str | Path, format: str = "onnx", precision: str = "fp32", to: str | Path | None = None, **options
) -> list[ExportReport]:
    """``export_run`` for every finished outer run of an experiment, into ``to/<run>`` or each run's own folder.

    Every file is judged by itself; ``export_report.check_together`` judges all of them as one.

    Raises
    ------
    ValueError
        If no run is finished, or as ``export_run``.
    """
    _check(format, precision, options.get("calibration", CALIBRATION))
    experiment = Experiment.read(folder)
    runs = experiment.finished_runs()
    reports = []
    with tqdm(runs, desc=f"exporting {experiment.title}", unit="run") as bar:
        for run in bar:
            bar.set_postfix_str(run.name)
            place = run.folder if to is None else Path(to) / run.name
            reports.append(export_run(run.folder, format, precision, place, progress=False, **options))
    return reports


def _check(format: str, precision: str, calibration: int) -> None:
    """What can be refused before anything is read."""
    check_format(format, precision, calibration)
    if format == "tensorrt":
        check_tensorrt()


def _settings(about: dict) -> tuple:
    return about["label_order"], about.get("sample_rate_hz", SAMPLE_RATE_HZ), about.get("window_s", 3.0)


def _graph(
    student, about: dict, folder: str, precision: str, windows: list[np.ndarray], mode: str, lengths: bool
) -> Path:
    """The student as an ONNX file in ``folder``."""
    whole, converted = (Path(folder) / f"student.{name}.onnx" for name in ("fp32", precision))
    with quiet("akd_toolkit.deploy.export.onnx"):  # it would name a file that is soon gone
        export_onnx(student, whole, *_settings(about), about=about, lengths=lengths)
    if precision == "fp16":
        to_fp16(whole, converted)
    elif precision == "int8":
        to_int8(whole, converted, windows, mode)
    return converted


def _target(folder: Path, format: str, precision: str, to, graph: Path | None, shapes: Shapes | None) -> Path:
    place = folder if to is None else Path(to)
    if place.suffix == SUFFIXES[format]:
        return place
    if format == "tensorrt":
        return place / engine_name_here(graph, shapes)
    name = {"torchscript": "student.torchscript.pt", "onnx": f"student.{precision}.onnx"}[format]
    return place / name.replace(".fp32", "")


def _compared(file: Path, name: str, student, engine: Engine, heard: Speech, precision: str, progress: bool):
    limits = TOLERANCES[precision]
    batches = speech_batches(list(heard.heard.values()))
    parity = check_parity(file, student, batches, limits.probability)
    batch_difference = check_batches(file, batches, limits.probability)
    after = Engine(file.suffix[1:], engine.label_order, engine.window_s, engine.overlap_s, open_answer(file)[0])
    decisions = pd.DataFrame({"utterance": list(heard.heard)})
    for when, each in (("before", engine), ("after", after)):
        if heard.heldout is None:
            decisions[when] = [int(each.posterior(waveform).argmax()) for waveform in heard.heard.values()]
        else:
            scores = score(each, heard.heldout, {"before": "the module", "after": "the file"}[when], progress)
            names = [*engine.label_order]
            decisions["utterance"], decisions["truth"] = scores["ID"], scores["truth"].map(names.index)
            decisions[when] = scores["prediction"].map(names.index)
    check_decisions(name, precision, decisions["before"], decisions["after"], decisions.get("truth"))
    return parity, batch_difference, decisions
