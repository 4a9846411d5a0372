"""The settings augment, mixup and sampling: what they may be, what they do to a run, and what they leave alone."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_corpus
from one_run import make_run, toy_recipe, train_and_keep
from torch.utils.data import DataLoader

from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_parts
from akd_toolkit.registry import AUGMENTATIONS
from akd_toolkit.training.posteriors import predict

ROOT = Path(__file__).resolve().parents[4]
LABELS = ("anger", "sadness")
YAML = """
    attributes: [arousal]
    teachers: {bands: {name: logmel_statistics, num_mels: 8}}
    objective:
        task: [{name: cross_entropy}, {name: concordance}]
        distill: [{name: logit_mse}, {name: teacher_concordance}]
        gate: {name: teacher_error}
    batch_size: 6
    window_s: 0.4
"""
EVERYTHING = (
    "--augment=[{name: speed_change, p: 1.0}, {name: added_noise}, {name: spec_augment}]",
    "--mixup={alpha: 1.0}",
    "--sampling={name: class_balanced}",
)


@pytest.fixture
def recipe(tmp_path):
    return toy_recipe(tmp_path, YAML)


@pytest.fixture
def manifest(tmp_path):
    random, speech = np.random.default_rng(0), []
    for speaker in "ABCD":
        for index in range(6):
            known = {"attributes": {"arousal": float(index)}} if index else {}
            samples = 0.1 * random.standard_normal(8000)
            speech.append((f"{speaker}{index}", speaker, LABELS[index < 2], samples, known))
    return write_corpus(tmp_path, speech)


def make(recipe, manifest, *options):
    return make_run(load_config([recipe, *options]), manifest, "ABC", "D")


def test_the_path_of_a_test_is_the_same_with_and_without_them(recipe, manifest):
    plain, changed = make(recipe, manifest), make(recipe, manifest, *EVERYTHING[:2])
    before, after = build_parts(plain), build_parts(changed)
    assert before.student.state_dict().keys() == after.student.state_dict().keys()
    student = before.student.eval()
    tests = [list(DataLoader(parts.data.test, **parts.data.test_options)) for parts in (before, after)]
    for one, other in zip(*tests, strict=True):
        assert one.ids == other.ids and other.partner is None
        assert torch.equal(one.waveforms, other.waveforms) and torch.equal(one.lengths, other.lengths)
    scores, same = predict(student, tests[0]), predict(after.student.eval(), tests[1])
    assert all(np.array_equal(scores[name], same[name]) for name in plain.test.ids)
    for one, other in zip(before.data.whole, after.data.whole, strict=True):
        assert torch.equal(one.waveforms, other.waveforms)  # what a head is fitted on at once


def test_a_run_with_everything_on_trains_with_attributes_unknown_of_some(recipe, manifest):
    run = make(recipe, manifest, *EVERYTHING)
    _, brain = train_and_keep(run)
    parts = {"total", "cross_entropy", "concordance", "logit_mse", "teacher_concordance", "gate"}
    assert all(parts <= set(row) and np.isfinite([row[part] for part in parts]).all() for row in brain.history)
    assert len(run.scores()) == 6


@pytest.mark.parametrize(
    "options, message",
    [
        (["--augment=[{name: noise}]"], "augment.0: unknown augmentation 'noise'"),
        (["--augment=[{name: random_gain, gain: 3}]"], "augment.0: augmentation 'random_gain': .*'gain'"),
        (["--augment=[{name: noise_files, folder: no/such}]"], "augment.0: .* no/such "),
        (["--mixup={alpha: 0}"], "mixup.alpha: got 0"),
        (["--mixup={alpa: 0.2}"], r"'mixup.alpa'; did you mean 'alpha'\?"),
        (["--mixup={p: 1}", "--batch_size=1"], "mixup needs another utterance to mix with, and batch_size is 1"),
        (["--sampling={name: class_balance}"], 'sampling.name: got "class_balance".*class_balanced'),
        (["--sampling={name: class_balanced}", "--objective.task.0.balanced=true"], "balanced of 'cross_entropy'"),
        (["--mixup={p: 1}", "--objective.distill.0={name: hint}"], "mixup: the loss 'hint'"),
        (["--objective.task.0.balanced=sometimes"], r"balanced must be false, true or effective, got 'sometimes'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_built(recipe, manifest, options, message):
    with pytest.raises(ValueError, match=message):
        make(recipe, manifest, *options).objective  # noqa: B018


def test_nothing_acts_on_a_head_that_is_fitted_at_once(recipe):
    student = "--student={name: encoder_student, source: openai/whisper-base}"
    options = [student, "--head_decay=1.0", "--number_of_epochs=0", "--attributes=null"]
    options.append("--objective={task: {name: cross_entropy}, distill: [{name: logit_mse}]}")
    load_config([recipe, *options, "--augment=[]", "--mixup=null", "--sampling={name: natural}"])
    with pytest.raises(ValueError, match="augment acts on training epochs, and number_of_epochs is 0; set augment to"):
        load_config([recipe, *options, "--augment=[{name: random_gain}]"])


def test_the_settings_of_the_page_and_the_file_bind_to_a_recipe(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "augmentation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    assert len(blocks) >= 2
    monkeypatch.chdir(ROOT / "recipes" / "EmoDB")
    for number, block in enumerate([*blocks, (ROOT / "hparams" / "augmentation.yaml").read_text(encoding="utf-8")]):
        extra = tmp_path / f"extra{number}.yaml"
        extra.write_text(block, encoding="utf-8")
        config = load_config(["hparams/akd.yaml", "--data_folder=x", f"--with={extra}"])
        assert any(config.get(key) for key in ("augment", "mixup", "sampling")) or "balanced" in block


def test_the_augmentation_of_the_page_works():
    page = (ROOT / "docs" / "augmentation.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, flags=re.S)[1]
    try:
        exec(code, {})
        waveforms, num_samples = AUGMENTATIONS.build("polarity", p=1.0)(torch.ones(2, 1600), torch.tensor([1600, 3]))
        assert waveforms.sum() == -1603 and num_samples.tolist() == [1600, 3]
    finally:
        AUGMENTATIONS._plugins.pop("polarity", None)
    table = page.split("## Augmentations")[1].split("`akd plugins")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", table, flags=re.M)) == AUGMENTATIONS.names()
