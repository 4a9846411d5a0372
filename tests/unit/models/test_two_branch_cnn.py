"""two_branch_cnn: the mean of two branches, of which one is fitted and the other trained."""

import pytest
import torch

from akd_toolkit.models.two_branch_cnn import TwoBranchCNN
from akd_toolkit.models.whisper_layers import load_whisper
from akd_toolkit.registry import STUDENTS


@pytest.fixture
def student(source):
    options = {"ranks": [32, 32], "cnn": TwoBranchCNN.example_options["cnn"]}
    return TwoBranchCNN(num_classes=4, source=source, **options).eval()


@pytest.fixture
def sounds():
    return 0.1 * torch.randn(8, 8000, generator=torch.Generator().manual_seed(2))


def test_at_full_rank_the_frozen_frames_are_those_of_whispers_convolutions(student, source, sounds):
    _, weights = load_whisper(source, num_layers=0)
    mel, _ = student.stem.front_end.of_batch(sounds, None)
    first = torch.nn.functional.conv1d(mel, weights["conv1.weight"], weights["conv1.bias"], padding=1)
    second = weights["conv2.weight"], weights["conv2.bias"]
    expected = torch.nn.functional.conv1d(torch.nn.functional.gelu(first), *second, stride=2, padding=1)
    frames, num_valid = student.stem(sounds, None)
    torch.testing.assert_close(frames, torch.nn.functional.gelu(expected).transpose(1, 2), atol=1e-4, rtol=1e-4)
    assert num_valid.tolist() == [25] * 8


def test_answers_are_the_mean_of_both_branches_and_training_sees_the_cnn_alone(student, sounds):
    pooled, _ = student.head_inputs(sounds)
    labels = torch.arange(8) % 4
    stem = student.fit_head(pooled, torch.nn.functional.one_hot(labels, 4).float(), decay=1.0)
    assert stem.argmax(1).tolist() == labels.tolist()
    output = student(sounds)
    torch.testing.assert_close(output.logits, (student.cnn(sounds).logits + stem) / 2, atol=1e-4, rtol=1e-4)
    output = student.train()(sounds)
    assert output.embedding.shape == student.eval()(sounds).embedding.shape
    output.logits.sum().backward()
    learning = {name for name, weight in student.named_parameters() if weight.requires_grad}
    assert learning == {f"cnn.{name}" for name, _ in student.cnn.named_parameters()}
    assert student.cnn.classifier.weight.grad.any() and student.stem_classifier.weight.grad is None


def test_it_is_rebuilt_without_its_source(student, sounds):
    rebuilt = STUDENTS.build("two_branch_cnn", **student.build_options).eval()
    rebuilt.load_state_dict(student.state_dict())
    assert torch.equal(rebuilt(sounds).logits, student(sounds).logits)


def test_it_needs_a_source_or_an_architecture():
    with pytest.raises(ValueError, match="architecture"):
        TwoBranchCNN(num_classes=4, architecture={"width": 16})
