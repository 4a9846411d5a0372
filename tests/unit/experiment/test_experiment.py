"""What a folder tells of its experiment, finished or not, and `akd runs`, which prints it."""

import json
import os
import socket
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch

from akd_toolkit.cli import main
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.locks import locked
from akd_toolkit.experiment.parts import prove_split
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.record import RunRecord
from akd_toolkit.experiment.stored import Experiment

LABELS = ("anger", "sadness")
YAML = """
    seeds: [1, 2]
    corpus: Toy
    output_folder: {folder}/out
    store_folder: {folder}/store
    label_order: [anger, sadness]
    outer_folds: [["A"], ["B"], ["C"]]
    candidates: [{{batch_size: 1}}, {{batch_size: 2}}]
    student: {{name: micro_cnn}}
    objective: {{task: {{name: cross_entropy}}}}
    number_of_epochs: 1
    batch_size: 4
    window_s: 1.0
    test_overlap_s: 0.0
    opt_class: !name:torch.optim.AdamW {{lr: 0.1}}
"""


def manifest() -> Manifest:
    names = [(s, e, i) for s in "ABC" for e in LABELS for i in range(2)]
    rows = [Utterance(f"{s}{e}{i}", "/x", 0, 1600, 0.1, s, e, sha256=f"{s}{e}{i}") for s, e, i in names]
    return Manifest("Toy", LABELS, tuple(rows))


def keep(run):
    """Stands for a training: candidate 2 is right everywhere, the other says anger always."""
    good = run.config["batch_size"] == 2
    says = {row.id: np.eye(2)[LABELS.index(row.emotion) if good else 0] for row in run.test}
    run.keep(torch.nn.Linear(1, 1), says, [{"epoch": 1, "total": 0.5}], seconds=30.0, proof=prove_split(run, None))


@pytest.fixture
def protocol(tmp_path):
    """(options) -> the protocol of one experiment in ``tmp_path/out``."""
    path = tmp_path / "toy.yaml"
    path.write_text(textwrap.dedent(YAML.format(folder=tmp_path)))

    def make(*options):
        manifest().write(tmp_path / "out" / "manifest.csv")
        return NestedCrossValidation(load_config([str(path), *options]), manifest())

    return make


def test_what_was_run_is_found_again_without_the_recipe(protocol):
    planned = protocol()
    scores = planned.run(keep)
    found = Experiment.read(planned.folder)
    assert (found.recipe, found.system, found.title) == ("toy", "student", "Toy: toy")
    assert found.scores().equals(scores)
    assert found.choice(seed=2, fold=3)["chosen"] == 2
    for mine, stored in zip([*planned.inner_runs(), *planned.outer_runs()], [*found.inner_runs(), *found.outer_runs()]):
        assert (mine.name, mine.folder, mine.seed, mine.fold) == (stored.name, stored.folder, stored.seed, stored.fold)
        assert (mine.train_speakers, mine.test_speakers) == (stored.train_speakers, stored.test_speakers)
        assert stored.state == "done" and stored.record.candidate == mine.overrides
    first = found.outer_runs()[0]
    assert list(first.history()["total"]) == [0.5]
    record = first.record
    assert (record.kind, record.seed, record.fold, record.split) == ("outer", 1, 1, None)
    assert (record.train_speakers, record.test_speakers) == (("B", "C"), ("A",))
    assert record.proved and record.student["name"] == "micro_cnn" and record.environment["torch"]
    assert found.inner_runs()[1].record.split == found.inner_runs()[1].split == 2


def test_a_plan_is_known_before_anything_is_trained(protocol):
    found = Experiment.read(protocol().folder)
    assert len(found.runs()) == 2 * 3 * (2 * 2 + 1)  # seeds, folds, inner splits x candidates and a refit
    assert {run.state for run in found.runs()} == {"planned"}
    with pytest.raises(ValueError, match="no outer run of .* is done yet"):
        found.scores()


def test_seeds_and_folds_are_those_asked_for_and_those_begun(protocol):
    protocol("--seeds=[1]", "--folds=1").run(keep)
    found = Experiment.read(protocol("--seeds=[2]", "--folds=2").folder)
    assert found.seeds == [1, 2] and [fold.index for fold in found.folds] == [0, 1]
    assert len(found.scores()) == 4


def test_a_training_at_work_says_so_and_a_killed_one_does_not(protocol):
    run = Experiment.read(protocol().folder).outer_runs()[0]
    with locked(run.paths.lock):
        assert run.state == "running"
    assert run.state == "planned"  # nothing was left behind
    mark = {"host": socket.gethostname(), "pid": 2**22 + 1, "since": "2026-01-01T00:00:00+00:00"}  # beyond any pid
    run.paths.lock.write_text(json.dumps(mark))
    assert run.state == "stopped"
    run.paths.lock.write_text(json.dumps({**mark, "host": "another machine"}))
    assert run.state == "running"
    run.paths.lock.write_text("{")
    assert run.state == "stopped"


def test_the_mark_goes_even_when_the_training_fails(protocol):
    def fails(run):
        assert json.loads(run.paths.lock.read_text())["pid"] == os.getpid()
        raise ValueError("no memory")

    planned = protocol()
    with pytest.raises(ValueError, match="no memory"):
        planned.run(fails)
    assert not any(run.paths.lock.exists() for run in planned.all_runs())


def test_two_processes_do_not_train_the_same(protocol):
    planned = protocol("--folds=1")
    run = Experiment.read(planned.folder).inner_runs()[0]
    run.folder.mkdir(parents=True)
    mark = {"host": "another machine", "pid": 7, "since": "2026-01-01T00:00:00+00:00"}
    run.paths.lock.write_text(json.dumps(mark))
    with pytest.raises(
        ValueError, match="being trained by process 7 on another machine since .* delete .*running.json"
    ):
        planned.run(keep)
    assert json.loads(run.paths.lock.read_text()) == mark  # it is not ours to remove


def test_akd_runs_prints_what_is_done_and_what_is_not(protocol, capsys):
    planned = protocol("--folds=1")
    planned.run(keep)
    protocol()  # now all three folds are wanted
    assert main(["runs", str(planned.folder)]) == 0
    printed = capsys.readouterr().out
    assert "| seed1/fold1/outer | A | done | 0.5 | 100.0 | 100.0 | 4 of 4 | 2 | 100.0 |" in printed
    assert "| seed2/fold3/outer | C | planned |  |  |  | 0 of 4 |  |  |" in printed
    assert "30 trainings: 10 done, 20 planned. Those done took 5.0 min of training, 30 s each; 20 more take" in printed
    assert main(["runs", str(planned.folder), "--state", "done"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("| done |") == 10 and "planned |" not in listed
    assert "| seed1/fold1/inner1-candidate1 | B | done | 0.5 | 50.0 | 50.0 |" in listed


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("settings.yaml", None, "holds no experiment"),
        ("settings.yaml", "corpus: [", "cannot be read"),
        ("settings.yaml", "corpus: Toy\n", "lacks outer_folds, label_order"),
        ("plan.json", "{", "; delete it, if it is there, and run the recipe again."),
        ("environment.json", "[]", "is damaged (a list instead of names and values)"),
        ("manifest.csv", None, "run prepare for this corpus first"),
    ],
)
def test_a_damaged_folder_is_one_sentence(protocol, capsys, name, text, message):
    folder = protocol().folder
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    assert main(["runs", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_a_damaged_training_is_one_sentence_that_brings_it_back(protocol):
    planned = protocol("--folds=1")
    planned.run(keep)
    run = Experiment.read(planned.folder).outer_runs()[0]
    (run.folder / "metrics.csv").write_text("")
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged .*; delete .*outer and run the recipe again\."):
        run.history()
    run.paths.record.write_text("[]")
    with pytest.raises(ValueError, match=r"record\.json is damaged \(a list .*; delete .*outer and run"):
        _ = run.record
    run.paths.record.unlink()
    with pytest.raises(FileNotFoundError, match=r"record\.json is missing"):
        _ = run.record


@pytest.mark.parametrize(("file", "lost"), [("record.json", "test_speakers"), ("student.json", "label_order")])
def test_a_file_of_a_training_that_lacks_what_is_always_written_is_refused(protocol, file, lost):
    protocol("--folds=1").run(keep)
    run = Experiment.read(protocol("--folds=1").folder).outer_runs()[0]
    (run.folder / file).write_text("{}")
    with pytest.raises(ValueError, match=rf"{file} .*{lost}.*; delete .*outer and run"):
        _ = run.record


@pytest.mark.parametrize(("kept", "reason"), [(0, "empty"), (-1, "lacks 1 of 4")])
def test_scores_that_are_empty_or_cut_at_a_line_end_are_named_with_the_cure(protocol, capsys, kept, reason):
    planned = protocol("--folds=1")
    planned.run(keep)
    path = planned.outer_runs()[0].paths.scores
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    sentence = rf"scores\.csv is damaged .*{reason}.*; delete .*outer and run the recipe again"
    for read in (lambda: planned.run(keep), Experiment.read(planned.folder).scores):
        with pytest.raises(ValueError, match=sentence):
            read()
    assert main(["runs", str(planned.folder)]) == 1 and reason in capsys.readouterr().err


def test_a_folder_of_an_older_toolkit_is_read(protocol):
    protocol("--folds=1").run(keep)
    run = Experiment.read(protocol("--folds=1").folder).outer_runs()[0]
    new = run.record
    told = {**json.loads(run.paths.student.read_text()), **json.loads(run.paths.record.read_text())}
    proof = {name: told.pop(name) for name in ("proved", "not_proved")}
    for name in ("kind", "seed", "fold", "split", "heads", "environment"):
        told.pop(name)
    run.paths.record.unlink()
    run.paths.student.write_text(json.dumps(told))
    (run.folder / "audit.json").write_text(json.dumps(proof))
    head = {"heard": ["B"], "speaks_for": ["Canger0"]}
    (run.folder / "heads").mkdir()
    (run.folder / "heads" / "teacher0.json").write_text(json.dumps({"teacher": "loud", "heads": [head]}))
    old = RunRecord.read(run.paths)
    assert (old.train_speakers, old.candidate, old.proved) == (new.train_speakers, new.candidate, new.proved)
    assert old.heads == {"loud": [{"trained_on": ["B"], "answers_for": ["Canger0"]}]}


def test_another_preparation_of_the_corpus_is_refused(protocol):
    folder = protocol().folder
    Manifest("Toy", LABELS, manifest().utterances[:-1]).write(folder / "manifest.csv")
    with pytest.raises(ValueError, match="was run on another preparation of Toy"):
        Experiment.read(folder)


def test_scores_of_teachers_are_read_where_they_were_written(protocol, tmp_path):
    folder = protocol().folder
    found = Experiment.read(folder)
    scores = pd.DataFrame(
        {
            **{"ID": ["Aanger0"], "speaker": ["A"], "fold": [1], "seed": [0], "truth": ["anger"]},
            **{"prediction": ["anger"], "p_anger": [1.0], "p_sadness": [0.0]},
        }
    )
    (folder / "teachers" / "whisper").mkdir(parents=True)
    scores.to_csv(folder / "teachers" / "whisper" / "scores.csv", index=False)
    assert found.teacher_scores() == {}  # the settings name no teacher
    found.settings["teachers"] = {"whisper": {"name": "logmel_statistics"}}
    assert found.teacher_scores()["whisper"].equals(scores)
    (folder / "teachers" / "whisper" / "scores.csv").write_text("")
    with pytest.raises(ValueError, match=r"scores\.csv is damaged .*; delete .*whisper and run"):
        found.teacher_scores()
