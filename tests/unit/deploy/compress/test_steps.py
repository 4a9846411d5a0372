"""Steps in YAML, and a run's settings made into a recipe again."""

from pathlib import Path

import pytest
import torch

from akd_toolkit.deploy.compress.steps import Source, read_steps
from akd_toolkit.experiment.parts import build_student

COPIED = Path(__file__).resolve().parents[4] / "hparams/compress.yaml"


def test_the_default_is_the_file_that_people_copy():
    assert [step.options for step in read_steps()] == [step.options for step in read_steps(COPIED)]
    assert [step.title for step in read_steps()] == ["1-prune", "2-quantize"]


@pytest.mark.parametrize(
    "text, token",
    [
        ("steps: []", "one key, steps"),
        ("steps: [{name: prune}]\nrows: 1", "rows"),
        ("steps: [{name: prune, share: !new:os.system {command: x}}]", "tags"),
        ("steps: [prune]", "known: finetune, fp16, prune, quantize"),
        ("steps: [{name: pruned}]", "'prune'"),
        ("steps: [{name: prune, shares: 1}]", "'share'"),
        ("steps: [{name: prune, share: x}]", "share"),
        ("steps: [{name: prune, importance: size}]", "norm, taylor"),
        ("steps: [{name: quantize, mode: qat}]", "epochs"),
        ("steps: [{name: quantize, mode: int4}]", "dynamic, static, qat"),
        ("steps: [{name: quantize, utterances: 0}]", "utterances"),
        ("steps: [{name: finetune, epochs: 1, lr: 0}]", "lr"),
        ("steps: [{name: quantize}, {name: fp16}, {name: prune}]", r"step 3 \(prune\).*1-quantize"),
    ],
)
def test_bad_steps_are_refused_before_anything_runs(tmp_path, text, token):
    path = tmp_path / "steps.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=token):
        read_steps(path)


def source_of(experiment, to, store=None) -> Source:
    return Source(experiment, experiment.outer_runs()[0], to, store)


def test_a_training_is_that_of_the_run_with_its_candidate_and_its_speakers(experiment, tmp_path):
    source = source_of(experiment, tmp_path)
    spec = {**source.run.record.student, "dim": 8}
    run = source.training(2, spec, number_of_epochs=3, **{"opt_class.lr": 0.002})
    assert run.train_speakers == ("C", "D") and run.test_speakers == ("A", "B") and run.seed == 2017
    assert run.config["batch_size"] == 8  # of its candidate
    assert run.config["objective"] == experiment.settings["objective"] and run.config["number_of_epochs"] == 3
    made = run.config.build()["opt_class"]([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(made, torch.optim.AdamW) and made.defaults["lr"] == 0.002 and made.defaults["weight_decay"] == 0
    assert build_student(run).fuse.out_features == 8
    assert run.config["store_folder"] == str(experiment.folder.parent.resolve() / "store")


@pytest.mark.parametrize("key", ["opt_class", "student"])
def test_settings_that_would_run_code_are_refused(make_experiment, tmp_path, key):
    experiment = make_experiment(tmp_path / "akd", **{key: {"!new:os.system": {"command": "x"}}})
    with pytest.raises(ValueError, match="os.system"):
        source_of(experiment, tmp_path / "to").config  # noqa: B018


def test_a_missing_store_and_missing_unlabelled_speech_are_named(make_experiment, tmp_path):
    experiment = make_experiment(tmp_path / "results/akd", unlabelled_hash={"street": "0123456789ab"})
    with pytest.raises(FileNotFoundError, match="0123456789ab.*--store"):
        source_of(experiment, tmp_path / "to").training(1, {})
    (experiment.folder.parent / "store").rmdir()
    with pytest.raises(FileNotFoundError, match="store.*--store"):
        source_of(experiment, tmp_path / "to").config  # noqa: B018
    with pytest.raises(FileNotFoundError, match="nowhere"):
        source_of(experiment, tmp_path / "to", tmp_path / "nowhere").config  # noqa: B018
    (tmp_path / "elsewhere").mkdir()
    config = source_of(experiment, tmp_path / "to", tmp_path / "elsewhere").config
    assert config["store_folder"] == str((tmp_path / "elsewhere").resolve())
