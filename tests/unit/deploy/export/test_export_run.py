"""`akd export`: a run, an experiment or a bundle as files that were compared on held-out speech."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from corpora import write_corpus
from finished import write_plan
from programs import check_mistakes

import akd_toolkit.deploy.export.run as export_run_module
from akd_toolkit.cli import main
from akd_toolkit.data.manifest import load_waveforms
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.deploy.export.parity import ParityReport
from akd_toolkit.deploy.export.run import ExportReport, check_together, export_experiment, export_run
from akd_toolkit.deploy.export.speech import score
from akd_toolkit.experiment.scores_file import write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.bundle import write_list
from akd_toolkit.inference.engine import engine_of, open_engine
from akd_toolkit.models.storage import load_student, save_student
from akd_toolkit.registry import STUDENTS
from tests.unit.deploy.export.conftest import MICRO, voices

LABELS = ("anger", "sadness")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Two folds, one finished run: a micro CNN that has learned nothing, on six recordings of three speakers."""
    folder = tmp_path_factory.mktemp("experiment")
    speech = [
        (f"{speaker}{emotion}", speaker, emotion, loud * voices(3, num_samples=17600 + 4800 * number)[number])
        for number, speaker in enumerate("ABC")
        for emotion, loud in zip(LABELS, (2.0, 0.5), strict=True)
    ]
    manifest = write_corpus(folder / "wav", speech)
    results = folder / "results"
    write_plan(results, manifest, [["A"], ["B", "C"]])
    torch.manual_seed(0)
    run, about = results / "seed17/fold2/outer", {"window_s": 1.0, "test_overlap_s": 0.5, "corpus": "Toy"}
    save_student(run, STUDENTS.build(**MICRO, num_classes=2).eval(), MICRO, LABELS, **about)
    test = Experiment.read(results).outer_runs()[1], manifest, load_waveforms(manifest, False)
    write_scores(run / "scores.csv", score(engine_of(*load_student(run)), *test, "scoring"))
    return results


@pytest.fixture
def run(experiment):
    return experiment / "seed17/fold2/outer"


def test_a_run_becomes_an_8_bit_file_calibrated_on_its_training_speakers(run, tmp_path, caplog, terminal):
    with caplog.at_level("INFO"):
        report = export_run(run, precision="int8", to=tmp_path)
    assert report.file == tmp_path / "student.int8.onnx" and report.size_bytes == report.file.stat().st_size
    engine = open_engine(report.file)
    # Speaker A alone trains: two utterances of 1.1 s, each of two windows of 1 s.
    assert engine.about["calibration"] == "minmax over 4 windows" and engine.overlap_s == 0.5
    assert report.speech == "Toy, held-out speakers B, C"
    assert list(report.decisions["utterance"]) == ["Banger", "Bsadness", "Canger", "Csadness"]
    assert report.decisions["truth"].tolist() == [0, 1, 0, 1]
    stored = json.loads((tmp_path / "student.int8.onnx.parity.json").read_text())
    assert stored == json.loads(json.dumps(report.as_dict())) and str(tmp_path) not in json.dumps(stored)
    assert len(stored["parity"]["lengths"]) >= 5 and len(stored["parity"]["batch_sizes"]) >= 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student.int8.onnx", "student.int8.onnx.parity.json"]
    assert "calibrated on 4 windows" in caplog.text and "the file" in terminal.readouterr().err


def test_an_experiment_becomes_a_file_for_every_finished_run_and_one_table(experiment, run, tmp_path, terminal):
    assert main(["export", str(experiment), "--to", str(tmp_path)]) == 0
    printed, progress = terminal.readouterr()
    assert "exporting Toy: results" in progress and "seed17/fold2/outer" in progress
    assert (tmp_path / "seed17/fold2/outer/student.onnx").is_file()
    assert "0 of 4 (0.00 %)" in printed and not (run / "student.onnx").exists()


def made(file, changed: int) -> ExportReport:
    """The report of a file that changes so many of 60 decisions."""
    truth = np.repeat([0, 1], 30)
    after = np.where(np.arange(60) < changed, 1 - truth, truth)
    decisions = pd.DataFrame({"utterance": np.arange(60), "truth": truth, "before": truth, "after": after})
    parity = ParityReport(0.01, 0.0, 8, 0.02, (1600, 16000), (1, 3))
    return ExportReport(file, "onnx", "int8", 1000, "Toy, held-out speakers A", parity, 0.01, decisions)


def test_files_that_pass_one_by_one_may_fail_together(experiment, tmp_path, capsys, monkeypatch):
    reports = [made(tmp_path / f"{name}/student.int8.onnx", changed=3) for name in "abcdefghij"]
    check_together(reports[:1])  # 3 of 60 are more than 2 %, but within chance
    monkeypatch.setattr(export_run_module, "export_experiment", lambda *arguments, **options: reports)
    assert main(["export", str(experiment), "--precision", "int8"]) == 1
    printed, error = capsys.readouterr()
    assert "| all, pooled |" in printed and f"written to {tmp_path}/j/student.int8.onnx" in printed
    assert "30 of 600" in error


def test_torchscript_is_compared_and_a_file_can_do_without_lengths(run, tmp_path, capsys):
    report = export_run(run, "torchscript", to=tmp_path / "other.pt", progress=False)
    assert report.file.name == "other.pt" and report.changed == 0 and report.parity.largest_difference < 1e-5
    assert main(["export", str(run), "--precision", "fp16", "--no-lengths", "--to", str(tmp_path)]) == 0
    assert "lengths" not in open_engine(tmp_path / "student.fp16.onnx").about


@pytest.fixture
def bundle(run, tmp_path):
    student, about = load_student(run)
    save_student(tmp_path / "bundle", student, about["student"], LABELS, window_s=1.0)
    return tmp_path / "bundle"


def test_a_bundle_is_compared_on_generated_voices_or_on_given_speech(bundle, experiment):
    report = export_run(bundle, progress=False)
    assert report.file == bundle / "student.onnx" and report.speech == "generated voices"
    assert "ua_before" not in report.as_dict() and len(report.decisions) == 16
    with pytest.raises(ValueError, match="--speech"):
        export_run(bundle, precision="int8", progress=False)
    report = export_run(bundle, precision="int8", speech=experiment.parent / "wav", progress=False)
    assert report.speech == "3 recordings of wav" and len(report.decisions) == 3


def test_the_command_checks_a_bundle_and_never_writes_into_one(bundle, run, capsys, monkeypatch):
    write_list(bundle)
    monkeypatch.setattr(export_run_module, "export_run", lambda *arguments, to, **options: made(Path(to) / "x", 0))
    for call in ([str(bundle)], [str(run), "--to", str(bundle)], [str(bundle), "--to", f"{bundle}/deeper/s.onnx"]):
        assert main(["export", *call]) == 1
        assert f"{bundle} is a bundle" in capsys.readouterr().err
    assert main(["export", str(bundle), "--to", "other"]) == 0
    assert "written to other/x" in capsys.readouterr().out
    (bundle / "student.json").write_text("{}")
    assert main(["export", str(bundle), "--to", "other"]) == 1
    assert "student.json" in capsys.readouterr().err


def test_a_file_beyond_its_tolerance_is_not_written(run, tmp_path, monkeypatch):
    def other(source, target, *_):
        export_onnx(STUDENTS.build(**MICRO, num_classes=2).eval(), target, LABELS)
        return target

    monkeypatch.setattr(export_run_module, "to_fp16", other)
    with pytest.raises(ValueError, match=r"/student\.fp16\.onnx and the module.* differ by"):
        export_run(run, precision="fp16", to=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_without_finished_runs_or_students_the_error_says_so(experiment, tmp_path):
    with pytest.raises(FileNotFoundError, match="give the folder of a finished run"):
        export_run(tmp_path)
    for name in ("settings.yaml", "manifest.csv", "manifest.json"):
        (tmp_path / name).write_text((experiment / name).read_text())
    with pytest.raises(ValueError, match="no outer run"):
        export_experiment(tmp_path)


def test_mistakes_are_found_without_pytorch(tmp_path):
    (tmp_path / "student.onnx").write_bytes(b"graph")
    calls = {
        "nowhere": "nowhere",
        "student.onnx": "student.onnx",
        ". --speech nowhere": "nowhere",
        ". --format torchscript --precision fp16": "torchscript",
        ". --format tensorrt --precision int8": "tensorrt",
        ". --format torchscript --no-lengths": "--no-lengths",
        ". --batch 1 2 4": "--batch",
        ". --precision int8 --calibration 0": "calibration",
    }
    check_mistakes("export", calls, tmp_path)
