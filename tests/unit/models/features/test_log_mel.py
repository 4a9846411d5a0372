"""The front end against independent implementations."""

import pytest
import torch
import torchaudio

from akd_toolkit.models.features.log_mel import LogMel


def test_triangles_are_those_of_torchaudio():
    front_end = LogMel(num_mels=40, fmin_hz=50.0, fmax_hz=8000.0)
    theirs = torchaudio.functional.melscale_fbanks(201, 50.0, 8000.0, 40, 16000, norm=None, mel_scale="htk")
    torch.testing.assert_close(front_end.mel, theirs[front_end.first_bin : front_end.last_bin], rtol=0, atol=2e-5)


def test_training_and_evaluation_hear_the_same():
    waveform = 0.1 * torch.randn(2, 8000)
    front_end = LogMel(normalize="level", deltas=2)
    training, _ = front_end.train()(waveform)
    evaluation, _ = front_end.eval()(waveform)
    torch.testing.assert_close(training, evaluation, rtol=0, atol=2e-3)


def test_gradients_reach_the_waveform_in_training():
    waveform = (0.1 * torch.randn(2, 8000)).requires_grad_()
    LogMel().train()(waveform, torch.tensor([1.0, 0.5]))[0].sum().backward()
    assert waveform.grad[0].any() and waveform.grad[1, :4000].any() and not waveform.grad[1, 4000:].any()


@pytest.mark.parametrize("normalize", ["none", "level", "mean"])
def test_padding_changes_nothing(normalize):
    short, long = 0.1 * torch.randn(1, 6000), torch.zeros(1, 16000)
    long[:, :6000] = short
    front_end = LogMel(normalize=normalize, deltas=1).eval()
    alone, frames = front_end(short)
    padded, padded_frames = front_end(long, torch.tensor([6000 / 16000]))
    assert frames == padded_frames
    torch.testing.assert_close(padded[:, : alone.shape[1]], alone, rtol=0, atol=1e-4)
    assert not padded[:, alone.shape[1] :].any()


@pytest.mark.parametrize("normalize", ["level", "mean"])
def test_normalised_features_do_not_hear_how_loud_it_is(normalize):
    waveform = 0.3 * torch.randn(1, 16000)
    front_end = LogMel(normalize=normalize).eval()
    torch.testing.assert_close(front_end(waveform)[0], front_end(0.5 * waveform)[0], rtol=0, atol=0.01)


def test_half_precision_does_not_reach_the_powers():
    waveform = 0.1 * torch.randn(1, 16000)
    front_end = LogMel().eval()
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = front_end(waveform)
    torch.testing.assert_close(half, front_end(waveform)[0])


@pytest.mark.parametrize("options", [{"num_mels": 0}, {"deltas": 3}, {"normalize": "loud"}, {"fmax_hz": 9000.0}])
def test_a_wrong_option_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LogMel(**options)
