"""Pipelines in YAML."""

from pathlib import Path

import pytest

from akd_toolkit.deploy.compress import COMPRESSIONS, steps
from akd_toolkit.deploy.compress.steps import build_steps, read_steps

ROOT = Path(__file__).resolve().parents[4]


def test_the_default_is_the_fragment_that_people_copy():
    packaged = Path(steps.__file__).with_name(steps.DEFAULT)
    assert packaged.read_text(encoding="utf-8") == (ROOT / "hparams/compress.yaml").read_text(encoding="utf-8")
    assert [step.title for step in read_steps()] == ["1-prune", "2-quantize"]


@pytest.mark.parametrize("name", COMPRESSIONS.names())
def test_every_step_has_a_source_and_an_example(name):
    step = COMPRESSIONS.example(name)
    assert step.changes_student or step.file
    assert "Source:" in type(step).__doc__ and "Example" in type(step).__doc__


def test_steps_may_stand_in_any_order_that_makes_sense():
    names = ["finetune", "prune", "finetune", "fp16", "quantize", "quantize"]
    options = {"finetune": {"epochs": 1}}
    made = build_steps([{"name": name, **options.get(name, {})} for name in names])
    assert [step.title for step in made] == [f"{number}-{name}" for number, name in enumerate(names, start=1)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("steps: []", "must hold one key, steps, with a list"),
        ("steps: [{name: prune}]\nrows: 1", "it has rows"),
        ("steps: [{name: prune, share: !new:os.system {command: x}}]", "and no tags"),
        ("steps: [prune]", "step 1 must be a mapping with a name; known: finetune, fp16, prune, quantize"),
        ("steps: [{name: pruned}]", "step 1 .pruned.: unknown compression 'pruned'. Did you mean 'prune'?"),
        ("steps: [{name: prune, shares: 1}]", "Did you mean 'share'?"),
        ("steps: [{name: prune, share: x}]", "share must be a number in"),
        ("steps: [{name: quantize, mode: qat}]", "mode qat with 0 epochs makes no sense"),
        ("steps: [{name: quantize, mode: int4}]", "mode must be one of dynamic, static, qat, got 'int4'"),
        ("steps: [{name: quantize, utterances: 0}]", "utterances must be a whole number from 1, got 0"),
        ("steps: [{name: finetune, epochs: 1, lr: 0}]", "lr must be a number above 0"),
        ("steps: [{name: fp16}, {name: prune}]", r"step 2 \(prune\) cannot follow step 1 \(fp16\)"),
        ("steps: [{name: quantize}, {name: finetune, epochs: 1}]", "put it before"),
        ("- 1", "holds no settings"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(tmp_path, text, message):
    path = tmp_path / "steps.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_steps(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no settings file"):
        read_steps(tmp_path / "none.yaml")
