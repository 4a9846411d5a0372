"""A run through the steps: what is written, what is repeated, and that an interruption changes nothing."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from akd_toolkit.cli import main
from akd_toolkit.deploy.compress import pipeline
from akd_toolkit.deploy.compress import steps as steps_module
from akd_toolkit.deploy.compress.methods import Quantize, by_taylor, calibration
from akd_toolkit.deploy.compress.pipeline import run_steps, table_markdown, table_of
from akd_toolkit.deploy.compress.steps import Source, Work, build_steps
from akd_toolkit.experiment.parts import build_parts
from akd_toolkit.experiment.paths import RunPaths
from akd_toolkit.experiment.record import RunRecord
from akd_toolkit.experiment.scores_file import make_scores, read_scores, write_scores
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.models.storage import load_student
from akd_toolkit.training import brain as brains

PRUNE = {"name": "prune", "share": 0.5, "multiple": 4, "epochs": 1, "lr": 0.01}
STATIC = {"name": "quantize", "utterances": 4}


@pytest.fixture(scope="module")
def pruned(experiment, tmp_path_factory):
    """A folder with two finished steps, made by the command."""
    folder = tmp_path_factory.mktemp("compressed")
    run = experiment.outer_runs()[0].folder
    steps = folder / "steps.yaml"
    steps.write_text(json.dumps({"steps": [PRUNE, STATIC]}))  # JSON is YAML
    assert main(["compress", str(run), "--steps", str(steps), "--to", str(folder / "to")]) == 0
    return folder / "to"


def source_of(experiment, to) -> Source:
    return Source(experiment, experiment.outer_runs()[0], to)


def work_on(experiment, to) -> Work:
    source = source_of(experiment, to)
    student, about = load_student(source.run.folder)
    return Work(source, student, about["student"], 1, to / "1-step")


def written_at(folder) -> dict:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_each_step_leaves_a_student_or_a_file_that_runs(experiment, pruned):
    _, about = load_student(pruned / "1-prune")
    assert about["student"] == {**about["student"], "channels": [4, 8], "dim": 8, "embedding_dim": 8}
    record = RunRecord.read(RunPaths(pruned / "1-prune"))
    assert record.compressed_by == ({"importance": "norm", **PRUNE},) and record.candidate == {"batch_size": 8}
    int8 = open_engine(pruned / "2-quantize/student.int8.onnx")
    assert int8.about["precision"] == "int8" and (int8.window_s, int8.overlap_s) == (0.5, 0.1)
    waveform = 0.1 * np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    exact = open_engine(pruned / "1-prune", backend="onnx")(waveform)
    np.testing.assert_allclose(open_engine(pruned / "1-prune", backend="torch")(waveform), exact, atol=1e-5)
    np.testing.assert_allclose(int8(waveform), exact, atol=0.1)
    scores = read_scores(pruned / "2-quantize/scores.csv", ("anger", "sadness"))
    assert sorted(scores["speaker"].unique()) == ["A", "B"]  # the test speakers


def test_the_table_says_what_was_measured(experiment, pruned):
    table = pd.read_csv(pruned / "compress.csv")
    assert list(table["step"]) == ["0-original", "1-prune", "2-quantize"]
    assert table["options"][1].startswith("share ")
    first, small, int8 = table.to_dict("records")
    student, _ = load_student(experiment.outer_runs()[0].folder)
    assert first["parameters"] == sum(p.numel() for p in student.parameters())
    assert small["parameters"] < first["parameters"] and small["gflops"] < first["gflops"]
    assert small["parameters"] == int8["parameters"] and small["gflops"] == int8["gflops"]
    for row, file in zip((first, small), ("0-original", "1-prune")):
        assert row["kb"] == round((pruned / file / "student.onnx").stat().st_size / 1000, 1)
    assert table["ms"].between(0, 1000, inclusive="neither").all()
    scores = read_scores(pruned / "1-prune/scores.csv", ("anger", "sadness"))
    assert small["wa"] == pytest.approx(100 * (scores["truth"] == scores["prediction"]).mean(), abs=1e-4)
    assert small["wa_change"] == pytest.approx(small["wa"] - first["wa"], abs=1e-4)
    text = (pruned / "compress.md").read_text()
    assert text.startswith("# toy: ") and text.count("\n| ") == 4 and "2-quantize" in text


def test_finished_steps_stay_and_changed_ones_are_repeated(experiment, pruned, tmp_path):
    to = shutil.copytree(pruned, tmp_path / "to")
    before = written_at(to)
    source = source_of(experiment, to)
    run_steps(source, build_steps([PRUNE, STATIC]))
    assert written_at(to) == before
    run_steps(source, build_steps([PRUNE, {**STATIC, "mode": "dynamic"}]))
    after = written_at(to)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"2-quantize/{name}" for name in ("scores.csv", "step.json", "student.int8.onnx")}


def test_missing_and_damaged_files_are_made_again_and_a_foreign_folder_is_not_touched(experiment, pruned, tmp_path):
    to = shutil.copytree(pruned, tmp_path / "to")
    (to / "2-quantize/student.int8.onnx").unlink()
    (to / "1-prune/step.json").write_text("{")
    run_steps(source_of(experiment, to), build_steps([PRUNE, STATIC]))
    assert (to / "2-quantize/student.int8.onnx").is_file() and not (to / "running.json").exists()
    (to / "2-fp16").mkdir()
    (to / "2-fp16/mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="2-fp16"):
        run_steps(source_of(experiment, to), build_steps([PRUNE, {"name": "fp16"}]))
    assert (to / "2-fp16/mine.txt").read_text() == "precious"


def test_an_interrupted_pipeline_ends_with_the_same_weights(experiment, tmp_path, monkeypatch):
    """Interrupted in the middle of training; other settings do not resume its checkpoint."""
    hparams = steps_module.training_hparams
    monkeypatch.setattr(steps_module, "training_hparams", lambda *given: {**hparams(*given), "save_every_s": -1.0})
    monkeypatch.setattr(pipeline, "export_saved", lambda student, about, file: file.parent.mkdir(exist_ok=True))
    monkeypatch.setattr(pipeline, "measure", lambda *given: {"kb": 1})
    steps = build_steps([{**PRUNE, "epochs": 3}])
    run_steps(source_of(experiment, tmp_path / "unbroken"), steps)
    end = brains.DistillBrain.on_epoch_end

    def killed(self, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        end(self, epoch)

    monkeypatch.setattr(brains.DistillBrain, "on_epoch_end", killed)
    with pytest.raises(KeyboardInterrupt):
        run_steps(source_of(experiment, tmp_path / "killed"), steps)
    assert list((tmp_path / "killed/1-prune/checkpoints").glob("CKPT*"))
    shutil.copytree(tmp_path / "killed", tmp_path / "other")
    epochs = []
    monkeypatch.setattr(brains.DistillBrain, "on_epoch_end", lambda self, n: (epochs.append(n), end(self, n)))
    run_steps(source_of(experiment, tmp_path / "killed"), steps)
    assert epochs == [2, 3]
    one, other = (load_student(tmp_path / name / "1-prune")[0].state_dict() for name in ("unbroken", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (tmp_path / "killed/1-prune/checkpoints").exists()
    epochs.clear()
    run_steps(source_of(experiment, tmp_path / "other"), build_steps([{**PRUNE, "epochs": 2}]))
    assert epochs == [1, 2]


def test_only_training_speakers_are_used_before_scoring(experiment, tmp_path):
    work = work_on(experiment, tmp_path)
    run = work.source.training(1, work.spec, number_of_epochs=1)
    used = {name for batch in build_parts(run).data.train_loader() for name in batch.ids}
    assert {name[0] for name in used} == {"C", "D"}
    windows = calibration(work, utterances=5)
    assert len(windows) == 5 and all(window.ndim == 1 and len(window) <= 8000 for window in windows)
    loud = work.source.heldout
    assert {name[0] for name in loud} == {"A", "B"}
    assert not any(np.array_equal(window, wave[: len(window)]) for window in windows for wave in loud.values())


def test_taylor_scores_come_from_the_objective_on_training_speech(experiment, tmp_path):
    work = work_on(experiment, tmp_path)
    student, parts = work.student, build_parts(work.source.training(1, work.spec), work.student)
    batches = parts.data.train_loader()
    scores = by_taylor(student, parts.objective, batches, count=1)
    batch = next(iter(batches))
    output = student(batch.waveforms, batch.lengths)
    parts.objective(output, batch.teacher, batch.labels, batch.attributes).total.backward()
    weight = student.classifier.weight
    torch.testing.assert_close(scores["classifier.weight"], (weight * weight.grad).detach().square())


def test_training_with_rounded_numbers_learns_and_returns_a_plain_student(experiment, tmp_path):
    work = work_on(experiment, tmp_path)
    before = {name: tensor.clone() for name, tensor in work.student.state_dict().items()}
    trained, spec = Quantize(mode="qat", epochs=1).change(work)
    after = trained.state_dict()
    assert list(after) == list(before) and spec == work.spec and not trained.training
    assert not torch.equal(after["fuse.weight"], before["fuse.weight"])


def test_scores_of_several_runs_are_pooled_and_compared(tmp_path):
    """Two seeds, two folds of two speakers each: the pooled score of each seed by hand, then their mean."""
    labels, steps = ("anger", "sadness"), build_steps([{"name": "fp16"}])
    places, records = [], []
    for seed in (1, 2):
        for fold in (1, 2):
            place = tmp_path / f"seed{seed}/fold{fold}"
            ids = [f"{fold}{speaker}{label}" for speaker in "ab" for label in labels]
            columns = ids, [name[:2] for name in ids], [name[2:] for name in ids]
            # In seed 1 the file takes one anger of two for sadness.
            for step, classes in (("0-original", [0, 1, 0, 1]), ("1-fp16", [int(seed == 1), 1, 0, 1])):
                scores = make_scores(*columns, np.eye(2)[classes], labels, fold, seed)
                write_scores(place / step / "scores.csv", scores)
            places.append(place)
            measured = {"kb": fold, "parameters": 4, "gflops": 1, "ms": seed}
            records.append({"0-original": measured, "1-fp16": measured})
    table = table_of(places, records, steps, labels)
    assert list(table["ua"]) == [100.0, 100 * (0.75 + 1.0) / 2]  # seed 1: half of anger, all of sadness
    assert list(table["kb"]) == [1.5, 1.5] and list(table["ms"]) == [1.5, 1.5]
    row = table.to_dict("records")[1]
    assert row["ua_change"] == -12.5 and row["ua_low"] <= -12.5 <= row["ua_high"]
    assert "-12.5 [" in table_markdown(table)


def test_every_run_of_an_experiment_gets_a_folder_and_a_wrong_folder_is_refused(
    experiment, tmp_path, capsys, monkeypatch
):
    done, runs = [], "akd_toolkit.deploy.compress.pipeline."
    monkeypatch.setattr(runs + "_compress_one", lambda source, **given: done.append(source.to))
    monkeypatch.setattr(runs + "records_of", lambda *given: {})
    monkeypatch.setattr(runs + "table_of", lambda *given: pd.DataFrame())
    assert main(["compress", str(experiment.folder), "--to", str(tmp_path)]) == 0
    assert done == [tmp_path / "seed17/fold1", tmp_path / "seed17/fold2"]
    assert main(["compress", str(tmp_path)]) == 1 and "is not a finished run" in capsys.readouterr().err
