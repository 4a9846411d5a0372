"""A run's own settings, made into a recipe again."""

import pytest
import torch

from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.experiment.parts import build_student
from akd_toolkit.experiment.stored import Experiment


def source_of(experiment, to, store=None) -> Source:
    return Source(experiment, experiment.outer_runs()[0], to, store)


def test_a_training_is_that_of_the_run_with_its_candidate_and_its_speakers(experiment, tmp_path):
    source = source_of(experiment, tmp_path)
    spec = {**source.run.record.student, "dim": 8}
    run = source.training(2, spec, number_of_epochs=3, **{"opt_class.lr": 0.002})
    assert run.train_speakers == ("C", "D") and run.test_speakers == ("A", "B") and run.seed == 2017
    assert run.config["batch_size"] == 8  # of its candidate
    assert run.config["objective"] == experiment.settings["objective"]
    assert run.config["number_of_epochs"] == 3
    made = run.config.build()["opt_class"]([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(made, torch.optim.AdamW) and made.defaults["lr"] == 0.002 and made.defaults["weight_decay"] == 0
    assert build_student(run).fuse.out_features == 8
    assert run.config["store_folder"] == str(experiment.folder.parent.resolve() / "store")


def rewritten(make_experiment, folder, **changes) -> Experiment:
    return make_experiment(folder / "results" / "akd", **changes)


def test_teachers_beside_the_recipe_are_found_from_anywhere(make_experiment, tmp_path):
    given = {"speech": {"name": "transformers_encoder", "source": "./models/small"}}
    experiment = rewritten(make_experiment, tmp_path, teachers=given)
    with pytest.raises(FileNotFoundError, match="source ./models/small of the teacher 'speech' is found neither"):
        source_of(experiment, tmp_path / "to").config  # noqa: B018
    (tmp_path / "models/small").mkdir(parents=True)
    config = source_of(experiment, tmp_path / "to").config
    assert config["teachers"]["speech"]["source"] == str((tmp_path / "models/small").resolve())


def test_settings_that_would_run_code_are_refused(make_experiment, tmp_path):
    for number, changes in enumerate(
        [{"opt_class": {"!name:os.system": {"command": "x"}}}, {"student": {"!new:os.system": {"command": "x"}}}]
    ):
        experiment = rewritten(make_experiment, tmp_path / str(number), **changes)
        with pytest.raises(ValueError, match="names !n.*os.system; only opt_class may name something"):
            source_of(experiment, tmp_path / "to").config  # noqa: B018


def test_a_store_that_is_not_there_is_asked_for(make_experiment, tmp_path):
    experiment = rewritten(make_experiment, tmp_path)
    (experiment.folder.parent / "store").rmdir()
    with pytest.raises(FileNotFoundError, match="no folder named store lies in or above .* --store"):
        source_of(experiment, tmp_path / "to").config  # noqa: B018
    with pytest.raises(FileNotFoundError, match="--store .*nowhere is not a folder"):
        source_of(experiment, tmp_path / "to", tmp_path / "nowhere").config  # noqa: B018
    (tmp_path / "elsewhere").mkdir()
    config = source_of(experiment, tmp_path / "to", tmp_path / "elsewhere").config
    assert config["store_folder"] == str((tmp_path / "elsewhere").resolve())


def test_speech_without_labels_that_is_not_at_hand_is_said(make_experiment, tmp_path):
    experiment = rewritten(make_experiment, tmp_path, unlabelled_hash="0123456789ab")
    source = source_of(experiment, tmp_path / "to")
    with pytest.raises(FileNotFoundError, match="without labels .manifest 0123456789ab. that no store at hand"):
        source.training(1, source.run.record.student)
