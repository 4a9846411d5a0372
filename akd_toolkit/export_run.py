"""A finished run as one file of a chosen format and precision, compared with its module on speech it never heard."""

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.data.preparing import find_audio
from akd_toolkit.data.segments import window_starts
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.engine import Engine, engine_of
from akd_toolkit.experiment import Experiment
from akd_toolkit.export.onnx import export_onnx, quiet
from akd_toolkit.export.parity import ParityReport, check_batches, check_parity, open_answer, speech_batches
from akd_toolkit.export.precision import to_fp16, to_int8
from akd_toolkit.export.tensorrt import Shapes, build_engine, engine_name_here
from akd_toolkit.export.tolerance import PRECISIONS, TOLERANCES, check_decisions
from akd_toolkit.export.torchscript import export_torchscript
from akd_toolkit.heldout import heldout_speech, score, training_speech
from akd_toolkit.metrics import ua, wa
from akd_toolkit.report.tables import markdown_table
from akd_toolkit.saved import load_student

FORMATS = {"onnx": PRECISIONS, "torchscript": ("fp32",), "tensorrt": ("fp32", "fp16")}
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "tensorrt": ".plan"}
CALIBRATION = 100  # utterances; twice as many changed no more decisions


@dataclass(frozen=True)
class Speech:
    """What a file is calibrated on and compared on, and where it is from."""

    calibration: list[np.ndarray]
    heard: dict[str, np.ndarray]
    source: str
    heldout: object = None  # with labels, where the run's experiment is at hand


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with its module.

    Arguments
    ---------
    speech
        What both have heard.
    decisions
        One row an utterance of that speech: ``utterance``, ``before`` and ``after`` (indices of classes), and
        ``truth`` where it is known.
    batch_difference
        Largest difference of a probability between an utterance in a batch and alone.
    """

    file: Path
    format: str
    precision: str
    size_bytes: int
    speech: str
    parity: ParityReport
    batch_difference: float
    decisions: pd.DataFrame = field(repr=False)

    @property
    def changed(self) -> int:
        """Utterances that the file decides otherwise than the module."""
        return int((self.decisions["before"] != self.decisions["after"]).sum())

    def as_dict(self) -> dict:
        """Plain data, without the machine's folders."""
        told = {
            "file": self.file.name,
            "format": self.format,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "speech": self.speech,
            "parity": self.parity.as_dict(),
            "batch_difference": self.batch_difference,
            "utterances": len(self.decisions),
            "changed_decisions": self.changed,
        }
        return {**told, **scores_of(self.decisions)}


def scores_of(decisions: pd.DataFrame) -> dict[str, float]:
    """WA and UA of the module and of the file; {} where the truth is not known.

    Example
    -------
    >>> scores_of(pd.DataFrame({"truth": [0, 0, 0, 1], "before": [0, 0, 0, 1], "after": [0, 0, 1, 1]}))
    {'wa_before': 1.0, 'wa_after': 0.75, 'ua_before': 1.0, 'ua_after': 0.8333333333333333}
    """
    if "truth" not in decisions:
        return {}
    return {
        f"{name}_{when}": float(measure(decisions["truth"], decisions[when]))
        for name, measure in (("wa", wa), ("ua", ua))
        for when in ("before", "after")
    }


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
        Folder of .wav and .flac files to compare on instead; half of them calibrate. Without it and without an
        experiment the toolkit's generated voices are compared on.
    shapes
        What a TensorRT engine shall accept.

    Raises
    ------
    FileNotFoundError
        If the folder holds no saved student.
    ValueError
        If there is no such format in this precision, or the file is beyond its tolerance; then none is written.
    """
    if precision not in FORMATS.get(format, ()):
        raise ValueError(
            f"there is no {format} in {precision}; "
            + "; ".join(f"{name} is written in {', '.join(precisions)}" for name, precisions in FORMATS.items())
            + "."
        )
    if calibration < 1:
        raise ValueError(f"calibration must be at least 1 utterance, got {calibration}.")
    student, about = load_student(run_folder)
    engine = engine_of(student, about)
    heard = _speech(Path(run_folder), engine, calibration if precision == "int8" else 0, mode, speech, progress)
    with tempfile.TemporaryDirectory() as folder:
        graph = None if format == "torchscript" else _graph(student, about, folder, precision, heard.calibration, mode)
        target = _target(Path(run_folder), format, precision, to, graph, shapes)
        with written_aside(target) as aside:
            try:
                if format == "torchscript":
                    export_torchscript(student, aside, *_settings(about), about=about)
                elif format == "tensorrt" and not target.is_file():
                    build_engine(graph, aside, shapes)
                else:  # the graph itself, or an engine whose name tells that it was built of it, here
                    aside.write_bytes((target if format == "tensorrt" else graph).read_bytes())
                parity, batch_difference, decisions = _compared(aside, target.name, student, engine, heard, precision)
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

    Raises
    ------
    ValueError
        If no run is finished, or as ``export_run``.
    """
    experiment = Experiment.read(folder)
    runs = [run for run in experiment.outer_runs() if run.state == "done"]
    if not runs:
        raise ValueError(f"no outer run of {folder} is done yet; finish its recipe first.")
    return [
        export_run(
            run.folder, format, precision, run.folder if to is None else Path(to) / run.name, progress=False, **options
        )
        for run in tqdm(runs, desc=f"exporting {experiment.title}", unit="run")
    ]


def _speech(
    folder: Path, engine: Engine, calibration: int, mode: str, given: str | Path | None, progress: bool
) -> Speech:
    if given is not None:
        files = find_audio(given, "recordings to compare the file with its module on", "**/*")
        waveforms = {str(path.relative_to(given)): read_audio(path) for path in files}
        names = list(waveforms)
        calibrating, heard = (names[1::2], names[::2]) if calibration else ([], names)
        return Speech(
            _windows([waveforms[name] for name in calibrating[:calibration]], engine),
            {name: waveforms[name] for name in heard},
            f"{len(heard)} recordings of {Path(given).name}",
        )
    experiment, run = _of_run(folder)
    if experiment is not None:
        heldout = heldout_speech(experiment, run, progress)
        windows = training_speech(experiment, run, calibration, progress).values() if calibration else ()
        source = f"{experiment.manifest.corpus}, held-out speakers {', '.join(run.test_speakers)}"
        return Speech(_windows(windows, engine), heldout.waveforms, source, heldout)
    if calibration and mode == "static":
        raise ValueError(
            f"{folder} does not tell of its training speakers, and an 8-bit file is calibrated on speech; give some "
            "with --speech FOLDER, or take --mode dynamic."
        )
    with tempfile.TemporaryDirectory() as place:
        made = generate_corpus(Path(place) / "voices", 2, utterances_per_speaker_and_emotion=2, progress=False)
        waveforms = {path.stem: read_audio(path) for path in find_audio(made, "generated voices", "**/*")}
    return Speech([], waveforms, "generated voices")


def _of_run(folder: Path) -> tuple:
    """The run's experiment and the run; (None, None) for a student that was taken out of it."""
    try:
        return Experiment.of_run(folder)
    except FileNotFoundError:
        return None, None


def _windows(waveforms, engine: Engine) -> list[np.ndarray]:
    """The windows that evaluation would hear of these utterances."""
    size, overlap = (round(seconds * engine.sample_rate_hz) for seconds in (engine.window_s, engine.overlap_s))
    return [w[start : start + size] for w in waveforms for start in window_starts(len(w), size, size - overlap)]


def _settings(about: dict) -> tuple:
    return about["label_order"], about.get("sample_rate_hz", SAMPLE_RATE_HZ), about.get("window_s", 3.0)


def _graph(student, about: dict, folder: str, precision: str, windows: list[np.ndarray], mode: str) -> Path:
    """The student as an ONNX file in ``folder``."""
    whole, converted = (Path(folder) / f"student.{name}.onnx" for name in ("fp32", precision))
    with quiet("akd_toolkit.export.onnx"):  # it would name a file that is soon gone
        export_onnx(student, whole, *_settings(about), about=about)
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


def _compared(file: Path, name: str, student, engine: Engine, heard: Speech, precision: str):
    limits = TOLERANCES[precision]
    batches = speech_batches(list(heard.heard.values()))
    parity = check_parity(file, student, batches, limits.probability)
    batch_difference = check_batches(file, student, batches, limits.probability)
    after = Engine(file.suffix[1:], engine.label_order, engine.window_s, engine.overlap_s, open_answer(file))
    decisions = pd.DataFrame({"utterance": list(heard.heard)})
    for when, each in (("before", engine), ("after", after)):
        if heard.heldout is None:
            decisions[when] = [int(each.posterior(waveform).argmax()) for waveform in heard.heard.values()]
        else:
            scores = score(each, heard.heldout, f"{when} export", progress=False)
            names = [*engine.label_order]
            decisions["utterance"], decisions["truth"] = scores["ID"], scores["truth"].map(names.index)
            decisions[when] = scores["prediction"].map(names.index)
    check_decisions(name, precision, decisions["before"], decisions["after"], decisions.get("truth"))
    return parity, batch_difference, decisions


def as_table(reports: list[ExportReport]) -> str:
    """One row a file, and one for all their utterances together where there are several."""
    header = ["file", "KB", "largest difference: probability", "logit", "changed decisions", "WA, %", "UA, %"]
    rows = [_row(_place(report, reports), report.size_bytes, [report], report.decisions) for report in reports]
    if len(reports) > 1:
        decisions = pd.concat([report.decisions for report in reports], ignore_index=True)
        size = sum(report.size_bytes for report in reports) / len(reports)
        rows.append(_row("all, pooled", size, reports, decisions))
    first = reports[0]
    lengths, batches = first.parity.lengths, first.parity.batch_sizes
    heard = first.speech if len(reports) == 1 else first.speech.partition(",")[0] + ", each run's held-out speakers"
    sentence = (
        f"{first.format} in {first.precision} against its module. Differences: {first.parity.num_waveforms} pieces of "
        f"speech of {min(lengths) / SAMPLE_RATE_HZ:g} to {max(lengths) / SAMPLE_RATE_HZ:g} s in batches of "
        f"{', '.join(map(str, batches))}. Decisions, WA and UA (module -> file): {heard}."
    )
    return f"{sentence}\n\n{markdown_table(header, rows)}\n"


def _place(report: ExportReport, reports: list[ExportReport]) -> str:
    """Name of the file, with as much of its folder as tells it from the others."""
    if len(reports) == 1:
        return report.file.name
    shared = Path(os.path.commonpath([other.file.parent for other in reports]))
    return str(report.file.relative_to(shared))


def _row(name: str, size_bytes: float, reports: list[ExportReport], decisions: pd.DataFrame) -> list[str]:
    total, changed = len(decisions), int((decisions["before"] != decisions["after"]).sum())
    scores = {key: f"{100 * value:.2f}" for key, value in scores_of(decisions).items()}
    return [
        name,
        f"{size_bytes / 1000:.0f}",
        f"{max(report.parity.largest_difference for report in reports):.1e}",
        f"{max(report.parity.largest_logit_difference for report in reports):.1e}",
        f"{changed} of {total} ({100 * changed / total:.2f} %)",
        *(f"{scores[f'{key}_before']} -> {scores[f'{key}_after']}" if scores else "-" for key in ("wa", "ua")),
    ]
