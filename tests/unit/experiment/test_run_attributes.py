"""Training on a corpus with dimensional labels."""

from itertools import product

import numpy as np
import pytest
import torch
from corpora import write_corpus
from one_run import brain_of, make_run, toy_recipe, train_and_keep
from torch.utils.data import DataLoader

from akd_toolkit.data.batches import collate
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_parts, build_student
from akd_toolkit.models.encoder_student import EncoderStudent
from akd_toolkit.models.storage import load_student
from akd_toolkit.outputs import Posteriors
from akd_toolkit.training.posteriors import predict

LABELS = ("anger", "sadness")
YAML = """
    attributes: [arousal, valence]
    teachers: {bands: {name: logmel_statistics, num_mels: 8}}
    objective:
        task: [{name: cross_entropy, weight: 0.0}, {name: concordance}]
        distill: [{name: teacher_concordance}]
        gate: {name: teacher_concordance_error, theta: 0.9}
        complementary: true
    number_of_epochs: 12
    batch_size: 12
"""


@pytest.fixture
def manifest(tmp_path):
    """Twelve tones of each speaker; arousal is their level, valence is known of the first speaker alone."""
    speech, random = [], np.random.default_rng(0)
    for speaker, index in product("ABCD", range(12)):
        level_db = 2.0 * index
        tone = 10 ** ((level_db - 34) / 20) * np.sin(np.arange(4800) * random.uniform(0.1, 0.2))
        tone += 1e-3 * random.standard_normal(4800)
        ratings = {"arousal": 1 + level_db / 5.5} | ({"valence": random.uniform(1, 5)} if speaker == "A" else {})
        speech.append((f"{speaker}{index}", speaker, LABELS[index < 6], tone, {"attributes": ratings}))
    return write_corpus(tmp_path, speech)


@pytest.fixture
def make(tmp_path, manifest):
    path = toy_recipe(tmp_path, YAML)

    def build(*options, corpus=manifest, train="ABC"):
        return make_run(load_config([path, *options]), corpus, train, "D")

    return build


def test_arousal_is_learned_and_kept_with_its_truth(make, manifest):
    run = make("--attributes=[arousal]")
    _, brain = train_and_keep(run)
    assert brain.history[-1]["concordance"] < 0.5 * brain.history[0]["concordance"]
    assert {"teacher_concordance", "gate", "cross_entropy"} <= set(brain.history[-1])
    scores = run.scores()
    assert scores["truth_arousal"].tolist() == [row.attributes["arousal"] for row in run.test]
    assert np.corrcoef(scores["truth_arousal"], scores["prediction_arousal"])[0, 1] > 0.8
    student, about = load_student(run.folder)
    assert about["attributes"] == ["arousal"]
    data = build_parts(run).data
    again = predict(student, DataLoader(data.test, **data.test_options))
    np.testing.assert_allclose(
        [again.attributes[name][0] for name in run.test.ids], scores["prediction_arousal"], atol=1e-5
    )


def test_student_begins_at_the_training_speakers_mean_and_deviation(make, manifest):
    run = make(train="AB")
    values = manifest.of(["A", "B"]).attribute_values(["arousal", "valence"])
    student = build_student(run)
    np.testing.assert_allclose(student.regressor.centre, np.nanmean(values, axis=0), rtol=1e-5)
    np.testing.assert_allclose(student.regressor.scale, np.nanstd(values, axis=0), rtol=1e-5)


def test_emotions_begin_with_the_same_weights_as_without_attributes(make):
    plain = {"task": {"name": "cross_entropy"}, "distill": [{"name": "soft_target_kl"}]}
    without = build_student(make("--attributes=null", f"--objective={plain}")).state_dict()
    student = build_student(make()).state_dict()
    assert set(student) - set(without) == {
        f"regressor.{n}" for n in ("linear.weight", "linear.bias", "centre", "scale")
    }
    assert all(torch.equal(student[name], tensor) for name, tensor in without.items())


def test_attributes_of_an_utterance_are_the_mean_over_its_windows(make):
    student = build_student(make()).eval()
    windows = [np.full(1600, level, dtype=np.float32) for level in (0.1, 0.9)]
    both = predict(student, [collate(["u", "u"], windows, [0, 0])])
    each = [predict(student, [collate(["u"], [window], [0])]).attributes["u"] for window in windows]
    np.testing.assert_allclose(both.attributes["u"], np.mean(each, axis=0), atol=1e-6)
    assert isinstance(both, Posteriors) and both["u"].sum() == pytest.approx(1.0)


def test_the_head_of_attributes_is_optimised_where_a_student_sets_its_own_rates(make):
    run = make("--attributes=[arousal]")
    student = EncoderStudent(num_classes=2, **EncoderStudent.example_options)
    student.add_attributes(2)
    brain = brain_of(run, build_parts(run, student))
    brain.counter, brain.total_steps = range(1), 1
    brain.init_optimizers()
    optimised = {id(p) for group in brain.optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in student.regressor.parameters()} <= optimised


def test_attributes_that_the_manifest_lacks_are_refused(make):
    with pytest.raises(ValueError, match="no utterance of Toy has dominance"):
        build_student(make("--attributes=[arousal, dominance]"))
    with pytest.raises(ValueError, match="no utterance of the training speakers B, C has valence"):
        build_student(make(train="BC"))


@pytest.mark.parametrize(
    "change, plugin",
    [
        ({"task": [{"name": "concordance"}]}, "loss 'concordance'"),
        ({"distill": [{"name": "teacher_concordance"}]}, "loss 'teacher_concordance'"),
        ({"gate": {"name": "teacher_concordance_error"}}, "gate 'teacher_concordance_error'"),
    ],
)
def test_plugins_that_need_attributes_are_refused_without_any(make, change, plugin):
    plain = {"task": {"name": "cross_entropy"}, "distill": [{"name": "soft_target_kl"}]}
    with pytest.raises(ValueError, match=f"{plugin} needs dimensional labels"):
        build_student(make("--attributes=null", f"--objective={ {**plain, **change} }"))
