"""pretrained_cnn: layers from a source, and a head that is fitted to them."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from akd_toolkit.models.pretrained_cnn import PretrainedCNN
from akd_toolkit.registry import STUDENTS

CNN = PretrainedCNN.example_options


@pytest.fixture
def pretrained(tmp_path):
    """A folder of layers whose batch statistics are not those of fresh ones."""
    student = PretrainedCNN(num_classes=2, **CNN).train()
    student(0.1 * torch.randn(8, 8000))
    (tmp_path / "config.json").write_text(json.dumps({"cnn": {"num_mels": 64, **CNN}}))
    save_file(student.pretrained(), tmp_path / "model.safetensors")
    return tmp_path


@pytest.fixture
def sounds():
    return 0.1 * torch.randn(8, 8000, generator=torch.Generator().manual_seed(2))


def test_students_of_any_corpus_start_from_the_same_layers(pretrained, sounds):
    two, four = (PretrainedCNN(count, source=str(pretrained)).eval() for count in (2, 4))
    assert torch.equal(two(sounds).frames, four(sounds).frames)
    assert not torch.equal(two(sounds).frames, PretrainedCNN(2, **CNN).eval()(sounds).frames)
    assert two(sounds).logits.shape == (8, 2) and four(sounds).logits.shape == (8, 4)


def test_the_head_reads_mean_and_deviation_of_the_last_layer(pretrained, sounds):
    student = PretrainedCNN(4, source=str(pretrained)).eval()
    inputs, frames = student.head_inputs(sounds)
    variance, mean = torch.var_mean(frames, dim=1, correction=0)
    torch.testing.assert_close(inputs, torch.cat([mean, (variance + 1e-4).sqrt()], dim=1), atol=1e-4, rtol=1e-4)
    labels = torch.arange(8) % 4
    logits = student.fit_head(inputs, torch.nn.functional.one_hot(labels, 4).float(), decay=0.01)
    assert logits.argmax(1).tolist() == labels.tolist()
    torch.testing.assert_close(student(sounds).logits, logits, atol=1e-4, rtol=1e-4)


def test_it_is_rebuilt_without_its_source(pretrained, sounds):
    student = PretrainedCNN(4, source=str(pretrained)).eval()
    rebuilt = STUDENTS.build("pretrained_cnn", **student.build_options).eval()
    rebuilt.load_state_dict(student.state_dict())
    assert torch.equal(rebuilt(sounds).logits, student(sounds).logits)


def test_a_name_that_the_hub_cannot_give_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="nobody/nothing") as refusal:
        PretrainedCNN(4, source="nobody/nothing")
    assert "\n" not in str(refusal.value)


def test_a_source_that_does_not_fit_is_refused(pretrained):
    source = str(pretrained)
    with pytest.raises(ValueError, match="dim"):
        PretrainedCNN(4, source=source, dim=32)
    weights = load_file(pretrained / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "fuse" not in name}, pretrained / "model.safetensors")
    with pytest.raises(ValueError, match="fuse"):
        PretrainedCNN(4, source=source)
    (pretrained / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="pretrained layers"):
        PretrainedCNN(4, source=source)
    (pretrained / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        PretrainedCNN(4, source=source)
