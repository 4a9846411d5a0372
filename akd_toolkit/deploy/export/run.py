"""Export of finished runs: a file of a chosen format and precision, compared with its module on held-out speech."""

import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.deploy.export.onnx import export_onnx, quiet
from akd_toolkit.deploy.export.parity import (
    TOLERANCES,
    ParityReport,
    check_batches,
    check_decisions,
    check_parity,
    open_predict,
    speech_batches,
)
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.deploy.export.speech import Speech, posteriors, speech_for
from akd_toolkit.deploy.export.tensorrt import Shapes, build_engine, check_tensorrt, engine_name
from akd_toolkit.deploy.export.torchscript import export_torchscript
from akd_toolkit.deploy.formats import CALIBRATION, SUFFIXES, check_format
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine, engine_of
from akd_toolkit.metrics import ua, wa
from akd_toolkit.models.storage import load_student
from akd_toolkit.progress import tqdm

logger = logging.getLogger(__name__)

FIRST = {"onnx": "student.onnx", "torchscript": "student.torchscript.pt", "tensorrt": "student.fp32.onnx"}  # in fp32


@dataclass(frozen=True)
class ExportReport:
    """A written file and how it compares with its module."""

    file: Path
    format: str
    precision: str
    size_bytes: int
    speech: str  # description of what was compared
    parity: ParityReport
    batch_difference: float  # of a probability of an utterance in a batch and alone
    decisions: pd.DataFrame = field(repr=False)  # utterance; before, after and perhaps truth: class indices

    @property
    def changed(self) -> int:
        """Number of utterances with another decision."""
        return int((self.decisions["before"] != self.decisions["after"]).sum())

    def as_dict(self) -> dict:
        """Plain data, without the machine's folders."""
        data = {name: value for name, value in vars(self).items() if name != "decisions"}
        data |= {"file": self.file.name, "parity": asdict(self.parity), "utterances": len(self.decisions)}
        return {**data, "changed_decisions": self.changed, **scores_of(self.decisions)}


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
        A finished outer run, whose test speakers are compared on and whose training speakers calibrate; or any folder
        with a saved student, such as a bundle.
    format, precision
        As listed in ``deploy.formats``.
    to
        File or folder to write to; the run's folder if None.
    calibration, mode
        Of 8-bit files: utterances of training speakers to calibrate on, >= 1, and the ``mode`` of ``to_int8``.
    speech
        Folder of recordings to compare on instead, of which half calibrate; without any, voices are generated.
    shapes, lengths
        What a TensorRT engine accepts (one of the same graph and shapes is reused); whether an ONNX file takes
        ``lengths``.

    FileNotFoundError, ImportError if the folder holds no saved student, or TensorRT is needed and not installed;
    ValueError if the format has no such precision, or the file is beyond its tolerance; then none is written.
    """
    _check(format, precision, calibration)
    student, about = load_student(run_folder)
    engine = engine_of(student, about)
    compared = speech_for(run_folder, engine, calibration if precision == "int8" else 0, mode, speech, progress)
    windows, level = compared.calibration, logging.INFO if progress else logging.DEBUG
    place = Path(run_folder if to is None else to)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / FIRST[format]
        calibrated = f", calibrated on {len(windows)} windows" if windows else ""
        logger.log(level, "building the student in %s%s", precision, calibrated)
        with quiet():  # it would name a temporary file
            export_saved(student, about, made, lengths)
        if precision == "fp16":
            made = to_fp16(made, made.with_name("student.fp16.onnx"))
        elif precision == "int8":
            made = to_int8(made, made.with_name("student.int8.onnx"), windows, mode)
        name = engine_name(made, shapes) if format == "tensorrt" else made.name
        target = place if place.suffix == SUFFIXES[format] else place / name
        try:
            if format == "tensorrt":
                logger.log(level, "building %s", name)
                built = place / name
                made = built if built.is_file() else build_engine(made, Path(folder) / name, shapes)
            logger.log(level, "comparing %s with its module", target.name)
            results = _compare(made, target.name, student, engine, compared, precision, progress)
        except ValueError as error:
            raise ValueError(str(error).replace(str(made), str(target))) from None
        content = made.read_bytes()
    with written_aside(target) as aside:
        aside.write_bytes(content)
    report = ExportReport(target, format, precision, target.stat().st_size, compared.source, *results)
    write_text_aside(target.with_name(f"{target.name}.parity.json"), json.dumps(report.as_dict(), indent=2) + "\n")
    return report


def export_saved(student: torch.nn.Module, about: dict, path: Path, lengths: bool = True) -> ParityReport:
    """``export_onnx``, or ``export_torchscript`` for a ``.pt``, of a student and its ``student.json``."""
    if path.suffix == ".pt":
        return export_torchscript(student, path, about)
    rate, window_s = about.get("sample_rate_hz", SAMPLE_RATE_HZ), about.get("window_s", 3.0)
    return export_onnx(student, path, about["label_order"], rate, window_s, about, lengths)


def export_experiment(
    folder: str | Path, format: str = "onnx", precision: str = "fp32", to: str | Path | None = None, **options
) -> list[ExportReport]:
    """``export_run`` for every finished outer run of an experiment, into ``to/<run>`` or each run's own folder.

    Every file is judged by itself; ``check_together`` judges them pooled. ValueError if no run is finished.
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


def _compare(file: Path, name: str, student, engine: Engine, speech: Speech, precision: str, progress: bool):
    """Parity, difference of a batch and decisions; ValueError if any is beyond the tolerance."""
    tolerance = TOLERANCES[precision].probability
    batches = speech_batches(list(speech.waveforms.values()))
    parity = check_parity(file, student, batches, tolerance)
    batch_difference = check_batches(file, batches, tolerance)
    exported = replace(engine, backend=file.suffix[1:], predict=open_predict(file)[0])
    decisions = pd.DataFrame({"utterance": list(speech.waveforms)})
    if speech.truth is not None:
        decisions["truth"] = speech.truth
    for when, each, title in (("before", engine, "the module"), ("after", exported, "the file")):
        found = posteriors(each, speech.waveforms, title, progress).values()
        decisions[when] = [posterior.argmax() for posterior in found]
    check_decisions(name, precision, decisions["before"], decisions["after"], decisions.get("truth"))
    return parity, batch_difference, decisions


def scores_of(decisions: pd.DataFrame) -> dict[str, float]:
    """``wa_before``, ``wa_after``, ``ua_before`` and ``ua_after``; empty where the truth is not known."""
    if "truth" not in decisions:
        return {}
    return {
        f"{measure.__name__}_{when}": float(measure(decisions["truth"], decisions[when]))
        for measure in (wa, ua)
        for when in ("before", "after")
    }


def check_together(reports: list[ExportReport]) -> None:
    """Raise ValueError if the pooled decisions of all files are beyond their tolerance; the files stay.

    A loss that may be chance in one run can be significant over fifteen.
    """
    decisions = pd.concat([report.decisions for report in reports])
    columns = (decisions.get(name) for name in ("before", "after", "truth"))
    try:
        check_decisions("the set of all files", reports[0].precision, *columns)
    except ValueError as error:
        raise ValueError(f"{error} Each file passed by itself, so all were written.") from None


def as_table(reports: list[ExportReport]) -> str:
    """One row per file, and one for all utterances pooled where there are several files."""
    first, speech = reports[0], reports[0].speech
    groups = {first.file.name: reports}
    if len(reports) > 1:
        shared = Path(os.path.commonpath([report.file.parent for report in reports]))
        groups = {str(report.file.relative_to(shared)): [report] for report in reports} | {"all, pooled": reports}
        speech = speech.partition(",")[0] + ", each run's held-out speakers"
    lengths = [samples / SAMPLE_RATE_HZ for samples in first.parity.lengths]
    sentence = (
        f"{first.format} in {first.precision} compared with its module. Differences: {first.parity.num_waveforms} "
        f"pieces of speech of {min(lengths):g} to {max(lengths):g} s in batches of "
        f"{', '.join(map(str, first.parity.batch_sizes))}. Decisions, WA and UA (module -> file): {speech}."
    )
    header = ["file", "KB", "largest difference: probability", "logit", "changed decisions", "WA, %", "UA, %"]
    rows = []
    for name, group in groups.items():
        decisions = pd.concat([report.decisions for report in group])
        changed = sum(report.changed for report in group)
        scores = {key: f"{100 * value:.2f}" for key, value in scores_of(decisions).items()}
        rows.append([
            name,
            f"{sum(report.size_bytes for report in group) / len(group) / 1000:.0f}",
            f"{max(report.parity.largest_difference for report in group):.1e}",
            f"{max(report.parity.largest_logit_difference for report in group):.1e}",
            f"{changed} of {len(decisions)} ({100 * changed / len(decisions):.2f} %)",
            *(f"{scores[f'{key}_before']} -> {scores[f'{key}_after']}" if scores else "-" for key in ("wa", "ua")),
        ])  # fmt: skip
    return f"{sentence}\n\n{markdown_table(header, rows)}\n"
