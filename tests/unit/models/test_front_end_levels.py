"""Gain, silence and padding change nothing of what a student is given."""

import pytest
import torch

from akd_toolkit.models.features import log_mel
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.registry import STUDENTS


def speech(samples=16000, seed=0):
    """Noise of a changing level, 30 dB from its loudest to its quietest."""
    generator = torch.Generator().manual_seed(seed)
    envelope = 10 ** (-1.5 * (1 - torch.sin(torch.arange(samples) / 1500)) / 2)
    return 0.3 * envelope * torch.randn(1, samples, generator=generator)


@pytest.mark.parametrize("gain", [1e-3, 0.1, 3.0])
def test_gain_does_not_matter_even_for_very_quiet_speech(gain):
    front_end = LogMel(normalize="level").eval()
    torch.testing.assert_close(front_end(gain * speech())[0], front_end(speech())[0], rtol=0, atol=1e-3)


def test_a_second_of_silence_does_not_shift_the_level_of_speech():
    front_end = LogMel(normalize="level").eval()
    quiet = torch.cat([speech(), 1e-5 * torch.randn(1, 16000)], dim=1)
    alone, with_silence = front_end(speech())[0], front_end(quiet)[0][:, :98]
    assert (alone - with_silence).abs().max() < 0.05  # nats; it was 1.5


@pytest.mark.parametrize("normalize", ["level", "mean"])
def test_what_lies_in_the_padding_sets_neither_floor_nor_level(normalize):
    front_end = LogMel(normalize=normalize).eval()
    padded = torch.cat([speech(), 5.0 * torch.ones(1, 8000)], dim=1)
    found, frames = front_end(padded, torch.tensor([16000 / 24000]))
    torch.testing.assert_close(found[:, : int(frames)], front_end(speech())[0], rtol=0, atol=1e-4)


def test_bands_without_a_frequency_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="num_mels 128"):
        LogMel(num_mels=128)
    LogMel(num_mels=128, window_ms=50.0)
    monkeypatch.setattr(log_mel, "mel_triangles", None)  # a table of so many bands would take hundreds of megabytes
    with pytest.raises(ValueError, match="num_mels 65536"):
        LogMel(num_mels=65536)


@pytest.mark.parametrize("name", ["micro_cnn", "dkdfmh", "light_sernet", "tim_net", "hybrid_transformer"])
def test_batch_norms_leave_padding_out_of_their_statistics(name):
    """The running statistics after a padded batch equal those after the same utterance without padding."""
    students = []
    for padding in (0, 16000):
        torch.manual_seed(0)
        random = {"masking": 0.0, "stochastic_depth": 0.0}  # which draw as many numbers as there are frames
        options = random if name == "hybrid_transformer" else {}
        student = STUDENTS.example(name, num_classes=3, **options).train()
        waveform = torch.cat([speech(24000).repeat(2, 1), torch.zeros(2, padding)], dim=1)
        torch.manual_seed(1)
        student(waveform, torch.full((2,), 24000 / (24000 + padding)))
        students.append(student.state_dict())
    for key in (key for key in students[0] if key.endswith(("running_mean", "running_var"))):
        torch.testing.assert_close(students[0][key], students[1][key], rtol=2e-3, atol=2e-3, msg=key)
