"""Nested cross-validation: which trainings exist, what they leave, what is chosen, continued and refused."""

import importlib
import json
import textwrap

import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor

from akd_toolkit.cli import main
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.paths import locked
from akd_toolkit.experiment.protocol import NestedCrossValidation, differences
from akd_toolkit.experiment.record import RunRecord
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.mistakes import exit_code
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.registry import LOSSES

ONE = ("--folds=1", "--seeds=[1]", "--candidates=[{batch_size: 2}]")


class NeedsPlugin:
    """A training that fails where the recipe's own loss is not registered."""

    def __init__(self, trainer):
        self.trainer = trainer

    def __call__(self, run):
        LOSSES.get("loss_of_the_recipe")
        self.trainer(run)


def test_an_experiment_on_other_features_is_not_continued(make, monkeypatch):
    make()
    monkeypatch.setattr(LogMel, "version", LogMel.version + 1)
    with pytest.raises(ValueError, match="log_mel_version"):
        make()


def test_every_speaker_is_tested_once_by_a_student_that_was_not_trained_on_it(make, trainer, manifest):
    protocol = make("--candidates=[{batch_size: 1}, {batch_size: 2}]")
    scores = protocol.run(trainer)
    assert scores.groupby("seed")["ID"].nunique().tolist() == [len(manifest)] * 2 and len(scores) == 2 * len(manifest)
    assert all(not set(run.train_speakers) & set(run.test_speakers) for run in trainer.runs)
    inner = protocol.inner_runs()
    assert len(inner) == 2 * 3 * 2 * 2  # seeds, outer folds, inner splits, candidates
    for run in inner:
        outer_test = next(fold.test_speakers for fold in protocol.folds if fold.index + 1 == run.fold)
        assert not set(outer_test) & {*run.train_speakers, *run.test_speakers}
        assert {*outer_test, *run.train_speakers, *run.test_speakers} == set("ABCD")
    assert {run.overrides["batch_size"] for run in protocol.outer_runs()} == {2}  # the best one


def test_the_first_of_equal_candidates_wins_and_a_single_one_needs_no_inner_run(make, trainer, tmp_path):
    make(*ONE[:2], "--candidates=[{batch_size: 1}, {batch_size: 3}]").run(trainer)
    assert trainer.runs[-1].overrides == {"batch_size": 1}
    protocol = make("--candidates=[{}]", f"--output_folder={tmp_path}/single")
    assert protocol.inner_runs() == [] and len(protocol.outer_runs()) == 6


def test_an_experiment_is_read_from_its_folder_without_the_recipe(make, trainer):
    planned = make("--seeds=[1]")
    before = Experiment.read(planned.folder)
    assert len(before.runs()) == 3 * (2 * 3 + 1) and {run.state for run in before.runs()} == {"planned"}
    with pytest.raises(ValueError, match="no outer run"):
        before.scores()
    scores = planned.run(trainer)
    found = Experiment.read(planned.folder)
    assert (found.recipe, found.system, found.title) == ("toy", "student", "Toy: toy")
    assert found.scores().equals(scores) and found.choice(seed=1, fold=3)["chosen"] == 2
    for mine, stored in zip([*planned.inner_runs(), *planned.outer_runs()], [*found.inner_runs(), *found.outer_runs()]):
        assert (mine.name, mine.folder, mine.seed, mine.fold) == (stored.name, stored.folder, stored.seed, stored.fold)
        assert (mine.train_speakers, mine.test_speakers) == (stored.train_speakers, stored.test_speakers)
        assert stored.state == "done" and stored.record.candidate == mine.overrides
    run = found.outer_runs()[0]
    assert list(run.history()["total"]) == [0.5]
    assert (run.record.kind, run.record.seed, run.record.fold, run.record.split) == ("outer", 1, 1, None)
    assert (run.record.train_speakers, run.record.test_speakers) == (("C", "D"), ("A", "B"))
    assert run.record.proved and run.record.student["name"] == "micro_cnn" and run.record.environment["torch"]
    assert found.inner_runs()[1].record.split == found.inner_runs()[1].split == 2
    assert Experiment.of_run(run.folder)[1].name == run.name
    with pytest.raises(FileNotFoundError, match="not an outer run"):
        Experiment.of_run(found.inner_runs()[0].folder)


def test_what_is_done_is_not_run_again_even_if_another_process_did_it(make, trainer):
    make("--folds=1", *ONE[1:]).run(trainer)

    def train(run):
        trainer(run)
        if run.fold == 2:  # a second process, at the same time
            make(*ONE[1:]).run(trainer)

    scores = make("--folds=3", *ONE[1:]).run(train)
    assert [run.fold for run in trainer.runs] == [1, 2, 3] and set(scores["fold"]) == {1, 2, 3}


def test_seeds_and_folds_are_those_of_the_last_start_and_of_existing_runs(make, trainer):
    make(*ONE).run(trainer)
    found = Experiment.read(make("--seeds=[2]", "--folds=2", ONE[2]).folder)
    assert found.seeds == [1, 2] and [fold.index for fold in found.folds] == [0, 1]
    assert len(found.scores()) == 12


def test_a_lock_is_held_while_a_run_trains_and_no_longer(make, trainer):
    protocol = make(*ONE)
    (run,) = protocol.outer_runs()

    def fails(run):
        assert run.state == "running"
        with pytest.raises(ValueError, match="another process"), locked(run.paths.lock):
            pass
        raise ValueError("no memory")

    with pytest.raises(ValueError, match="no memory"):
        protocol.run(fails)
    assert run.state == "planned" and not run.paths.lock.exists()
    with locked(run.paths.lock), pytest.raises(ValueError, match="being trained"):
        protocol.run(trainer)
    run.paths.lock.touch()  # of a killed process
    assert run.state == "stopped"
    protocol.run(trainer)
    assert run.state == "done"


def test_workers_give_what_one_process_gives_and_know_the_plugins_of_the_recipe(make, trainer, tmp_path, monkeypatch):
    code = """
        from akd_toolkit.distill.losses import Loss
        from akd_toolkit.registry import LOSSES

        @LOSSES.register("loss_of_the_recipe")
        class LossOfTheRecipe(Loss):
            "A plugin of a recipe."
    """
    (tmp_path / "plugin_of_the_recipe.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(LOSSES, "_plugins", dict(LOSSES._plugins))
    get_reusable_executor().shutdown(wait=True)  # existing workers do not have this path
    importlib.import_module("plugin_of_the_recipe")
    alone = make(*ONE[1:], f"--output_folder={tmp_path}/alone").run(trainer)
    together = make(*ONE[1:], "--jobs=2", f"--output_folder={tmp_path}/together").run(NeedsPlugin(trainer))
    assert alone.equals(together)


def test_only_settings_that_define_the_result_must_stay(make, manifest):
    protocol = make()
    with pytest.raises(ValueError, match=r"batch_size: 4 -> 8"):
        make("--batch_size=8")
    make("--folds=1", "--seeds=[1, 2, 3]", "--jobs=2", "--store_folder=elsewhere")
    with pytest.raises(ValueError, match="manifest_hash"):
        NestedCrossValidation(protocol.config, Manifest("Toy", manifest.label_order, manifest.utterances[:-1]))
    before, after = {"a": 1, "b": [1, 2]}, {"b": [1, 3], "c": {"d": 4}}
    assert differences(before, after) == ["a: 1 -> (absent)", "b: [1, 2] -> [1, 3]", "c: (absent) -> {'d': 4}"]


@pytest.mark.parametrize(
    ("folds", "message"),
    [("[[A, B], [C]]", "speaker D"), ("[[A, B], [C], [C, D]]", "speaker C")],
)
def test_folds_that_are_not_a_partition_are_refused(make, folds, message):
    with pytest.raises(ValueError, match=message):
        make(f"--outer_folds={folds}")


def test_a_fold_whose_training_lacks_a_class_is_refused(make, manifest):
    rows = tuple(row for row in manifest if row.emotion == "anger" or row.speaker == "C")
    with pytest.raises(ValueError, match="sadness"):
        make(manifest=Manifest("Toy", manifest.label_order, rows))


def test_akd_runs_prints_what_is_done_and_what_is_not(make, trainer, capsys):
    make("--folds=1").run(trainer)
    folder = str(make().folder)  # now all three folds are planned
    assert main(["runs", folder]) == 0
    printed = capsys.readouterr().out
    assert "seed1/fold1/outer" in printed and "14 done" in printed and "28 planned" in printed
    assert main(["runs", folder, "--state", "done"]) == 0
    listed = capsys.readouterr().out
    assert "seed1/fold1/inner1-candidate1" in listed and "seed2/fold3/outer" not in listed


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("settings.yaml", None, "holds no experiment"),
        ("settings.yaml", "corpus: [", "settings.yaml"),
        ("settings.yaml", "", "settings.yaml lacks corpus"),
        ("plan.json", "{", "plan.json is damaged"),
        ("plan.json", '{"seeds": {"a": 1}}', "plan.json is damaged (seeds"),
        ("environment.json", "[]", "environment.json is damaged"),
        ("manifest.csv", None, "manifest.csv"),
        ("manifest.csv", "id\n", "manifest.csv"),
    ],
)
def test_a_damaged_folder_is_one_sentence(make, capsys, name, text, message):
    folder = make().folder
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    assert main(["runs", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_a_path_that_the_system_refuses_is_named_without_an_error_number(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert exit_code(lambda: (tmp_path / "file" / "report").mkdir()) == 1
    error = capsys.readouterr().err
    assert f"error: {tmp_path}/file/report: not a directory; " in error and "Errno" not in error


def test_settings_of_finished_trainings_must_be_there_and_readable(make, trainer):
    protocol = make(*ONE)
    protocol.run(trainer)
    path = protocol.folder / "settings.yaml"
    path.write_text("views: 1")
    with pytest.raises(ValueError, match="settings.yaml"):
        make(*ONE)
    path.unlink()
    with pytest.raises(ValueError, match="settings.yaml.*--output_folder"):
        make(*ONE)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metrics.csv", "", "metrics.csv is damaged"),
        ("record.json", "[]", "record.json is damaged"),
        ("record.json", "{}", "record.json .*train_speakers"),
        ("record.json", None, "record.json is missing"),
        ("student.json", "{}", "student.json .*student"),
        ("scores.csv", "", "scores.csv is damaged"),
        ("scores.csv", "cut", "scores.csv is damaged .*lacks 1 of 12"),
    ],
)
def test_a_damaged_file_of_a_run_is_named_with_how_to_restore_it(make, trainer, file, text, message):
    protocol = make(*ONE)
    protocol.run(trainer)
    run = Experiment.read(protocol.folder).outer_runs()[0]
    path = run.folder / file
    if text is None:
        path.unlink()
    else:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]) if text == "cut" else text)
    with pytest.raises((ValueError, FileNotFoundError), match=f"{message}.*delete .*outer and run the recipe"):
        run.history(), run.record, protocol.run(trainer)
    if not run.done or file != "student.json":
        return
    (run.folder / "step.json").touch()
    with pytest.raises(ValueError, match="run akd compress again"):
        _ = RunRecord.read(run.paths)


def test_a_folder_of_version_0_0_is_read(make, trainer):
    protocol = make(*ONE)
    protocol.run(trainer)
    run = Experiment.read(protocol.folder).outer_runs()[0]
    new = run.record
    stored = {**json.loads(run.paths.student.read_text()), **json.loads(run.paths.record.read_text())}
    proof = {name: stored.pop(name) for name in ("proved", "not_proved")}
    for name in ("kind", "seed", "fold", "split", "heads", "environment"):
        stored.pop(name)
    run.paths.record.unlink()
    run.paths.student.write_text(json.dumps(stored))
    (run.folder / "audit.json").write_text(json.dumps(proof))
    head = {"heard": ["B"], "speaks_for": ["Canger0"]}
    (run.folder / "heads").mkdir()
    (run.folder / "heads" / "teacher0.json").write_text(json.dumps({"teacher": "loud", "heads": [head]}))
    old = RunRecord.read(run.paths)
    assert (old.train_speakers, old.candidate, old.proved) == (new.train_speakers, new.candidate, new.proved)
    assert old.heads == {"loud": [{"trained_on": ["B"], "answers_for": ["Canger0"]}]}


def test_scores_of_teachers_are_read_back(make):
    folder = make().folder
    found = Experiment.read(folder)
    row = {"ID": "Aanger0", "speaker": "A", "fold": 1, "seed": 0, "truth": "anger", "prediction": "anger"}
    scores = pd.DataFrame([{**row, "p_anger": 1.0, "p_sadness": 0.0}])
    path = found.paths.teacher_scores("whisper")
    path.parent.mkdir(parents=True)
    scores.to_csv(path, index=False)
    assert found.teacher_scores() == {}  # the settings list no teacher
    found.settings["teachers"] = {"whisper": {"name": "logmel_statistics"}}
    assert found.teacher_scores()["whisper"].equals(scores)
    path.write_text("")
    with pytest.raises(ValueError, match=r"scores\.csv is damaged"):
        found.teacher_scores()
