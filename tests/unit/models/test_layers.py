"""Masks, norms and pooling equal their definitions written as loops; padding changes nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from akd_toolkit.models.layers import (
    Packing,
    convolved_and_normalized,
    masked,
    mean_and_deviation,
    normalized,
    pooled,
    speech_mean,
    speech_share,
)
from akd_toolkit.outputs import ModelOutput, frame_mask, valid_frames
from akd_toolkit.registry import STUDENTS

COUNTS = [4, 1, 3]


@pytest.fixture
def frames():
    """[3, 4, 2] with large numbers in the padding, and its mask."""
    generator = torch.Generator().manual_seed(7)
    mask = frame_mask(torch.tensor(COUNTS), 4)
    x = torch.randn(3, 4, 2, dtype=torch.float64, generator=generator)
    return torch.where(mask[..., None], x, 1e6), mask


def test_statistics_equal_their_definition_written_as_loops(frames):
    x, mask = frames
    speech = [row[:count].numpy() for row, count in zip(x, COUNTS)]
    means = np.stack([row.mean(axis=0) for row in speech])
    variances = np.stack([row.var(axis=0) for row in speech])
    peaks = np.stack([row.max(axis=0) for row in speech])
    expected = np.concatenate([means, np.sqrt(variances + 0.01), peaks], axis=1)
    np.testing.assert_allclose(speech_mean(x, mask), means, rtol=1e-12)
    np.testing.assert_allclose(pooled(x, mask, floor=0.01), expected, rtol=1e-12)
    np.testing.assert_allclose(pooled(x.mT.contiguous(), mask.float(), time=2, floor=0.01), expected, rtol=1e-12)
    two = np.concatenate([means, np.sqrt(variances + 1e-8)], axis=1)
    np.testing.assert_allclose(mean_and_deviation(x, mask), two, rtol=1e-12)


@pytest.mark.parametrize("stride, gap", [(1, 0), (2, 3), (4, 9)])
def test_packed_utterances_are_apart_and_come_back(frames, stride, gap):
    x, _ = frames
    row = Packing(torch.tensor(COUNTS), stride, gap)
    packed, speech = row.packed(x)
    expected, places = [], []
    for utterance, count in zip(x, COUNTS):
        places += range(len(expected), len(expected) + count)
        expected += [*utterance[:count].tolist(), *[[0.0, 0.0]] * gap]
        expected += [[0.0, 0.0]] * (-len(expected) % stride)
    assert packed[0].tolist() == expected and speech[0].nonzero()[:, 0].tolist() == places
    back = row.unpacked(packed[:, ::stride])
    for got, utterance, count in zip(back, x, COUNTS):
        kept = utterance[:count:stride]
        assert torch.equal(got[: len(kept)], kept) and not got[len(kept) :].any()


def test_a_packed_training_batch_is_computed_as_each_utterance_alone():
    torch.manual_seed(3)
    student = STUDENTS.build("micro_cnn", num_classes=3, dropout=0.0).train()
    for norm in student.modules():  # statistics of the batch are tested elsewhere
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.eval()
    waveforms, lengths = torch.randn(3, 16000), torch.tensor([1.0, 0.31, 0.6])
    together = student(waveforms, lengths)
    for index, length in enumerate(lengths):
        alone = student(waveforms[index : index + 1, : round(16000 * float(length))])
        torch.testing.assert_close(together.logits[index : index + 1], alone.logits, rtol=1e-4, atol=1e-4)
        count = alone.frames.shape[1]
        torch.testing.assert_close(together.frames[index : index + 1, :count], alone.frames, rtol=1e-4, atol=1e-4)
        assert not together.frames[index, count:].any()


def test_without_a_mask_all_frames_count(frames):
    x = frames[0][:1, :, :]
    full = torch.ones(1, 4, dtype=torch.bool)
    torch.testing.assert_close(pooled(x, None), pooled(x, full), rtol=1e-12, atol=0)
    assert speech_share(None) is None and frame_mask(None, 4) is None and masked(x, None) is x


def test_gradients_of_pooling_are_finite_where_all_frames_are_alike():
    for pool in (pooled, mean_and_deviation):
        x = torch.ones(1, 3, 2, requires_grad=True)
        pool(x, torch.tensor([[True, True, False]])).sum().backward()
        assert x.grad.isfinite().all() and not x.grad[0, 2].any()


@pytest.mark.parametrize("time, shape", [(1, (3, 4)), (1, (3, 4, 2)), (2, (3, 2, 4)), (2, (3, 2, 4, 5))])
def test_padding_becomes_zero_on_any_axis(time, shape):
    mask = frame_mask(torch.tensor(COUNTS), 4)
    for row, count in zip(masked(torch.ones(shape), mask, time), COUNTS):
        assert row.sum() == row.numel() * count / 4
        assert row.movedim(time - 1, 0)[:count].all()


def test_in_evaluation_the_norm_behind_a_convolution_is_that_of_training(frames):
    x, mask = frames[0].float(), frames[1]
    conv, norm = nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2).eval()
    norm.running_mean += 0.5
    expected = masked(norm(conv(x.mT)).mT, mask)
    torch.testing.assert_close(convolved_and_normalized(conv, norm, x, mask), expected)


def test_relative_lengths_find_the_frames_they_were_made_from():
    counts = torch.arange(1, 1001)
    assert torch.equal(valid_frames(counts / 1000, 1000), counts.float())
    output = ModelOutput(torch.zeros(2, 2), frames=torch.zeros(2, 10, 1), lengths=torch.tensor([0.3, 0.0]))
    assert output.frame_mask().sum(dim=1).tolist() == [3, 1]


@pytest.mark.parametrize("kind, bands", [(nn.BatchNorm1d, ()), (nn.BatchNorm1d, (3,)), (nn.BatchNorm2d, (3,))])
def test_norm_in_training_equals_its_definition_over_the_frames_of_speech(kind, bands):
    norm = kind(2).double()
    x = torch.randn(2, 4, *bands, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    mask = torch.tensor([[True, True, True, True], [True, False, False, False]])
    result = normalized(norm, x.requires_grad_(), mask)
    speech = np.concatenate([x[0].detach().numpy(), x[1, :1].detach().numpy()]).reshape(-1, 2)
    expected = (x.detach().numpy() - speech.mean(axis=0)) / np.sqrt(speech.var(axis=0) + norm.eps)
    np.testing.assert_allclose(result[0].detach(), expected[0], atol=1e-12)
    np.testing.assert_allclose(result[1, 0].detach(), expected[1, 0], atol=1e-12)
    assert not result[1, 1:].any()
    np.testing.assert_allclose(norm.running_mean, 0.1 * speech.mean(axis=0), atol=1e-12)
    assert torch.autograd.gradcheck(lambda given: normalized(norm, given, mask), x)
