"""Each augmentation does what its page says."""

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.augment.time_domain import DropFreq

from akd_toolkit.data.augment.log_mel import SpecAugment, masks
from akd_toolkit.data.augment.noise import AddedNoise, NoiseFiles, coloured_noise
from akd_toolkit.data.augment.waveform import ChunkDrop, FrequencyDrop, SpeedChange, without_bands


def tone(hz):
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(16000) / 16000)


def db(ratio):
    return float(20 * torch.log10(torch.as_tensor(ratio)))


def test_a_change_of_speed_moves_pitch_and_length_together_but_never_below_a_tenth_of_a_second():
    changed, counts = SpeedChange(p=1.0, speeds=[125])(tone(400)[None], torch.tensor([16000]))
    assert changed.shape == (1, 12800) and counts.tolist() == [12800]
    assert int(torch.fft.rfft(changed[0]).abs().argmax()) * 16000 / 12800 == 500.0
    changed, counts = SpeedChange(p=1.0, speeds=[200])(torch.ones(2, 3200), torch.tensor([3200, 1700]))
    assert counts.tolist() == [1600, 1700] and changed.shape == (2, 1700)


@pytest.mark.parametrize("colour, slope", [("white", 0.0), ("pink", 0.5), ("brown", 1.0)])
def test_noise_has_the_given_colour_and_level(colour, slope):
    counts = torch.tensor([16000, 4000])
    speech = 0.1 * torch.ones(2, 16000) * (torch.arange(16000) < counts[:, None])
    noisy, _ = AddedNoise(p=1.0, snr_db=[6, 6], colour=colour)(speech, counts)
    share = 1 / (1 + 10 ** (6 / 20))
    for row, count in zip(noisy, counts.tolist()):
        noise = row[:count] - 0.1 * (1 - share)
        assert db(0.1 * (1 - share) / noise.square().mean().sqrt()) == pytest.approx(6, abs=0.01)
    noise = coloured_noise(torch.full((50,), slope), 16000)
    power = torch.fft.rfft(noise).abs().square().mean(dim=0)
    # One octave up: 20 log10(2^slope) dB less.
    assert db((power[500:600].mean() / power[1000:1200].mean()).sqrt()) == pytest.approx(6.02 * slope, abs=0.4)


def test_recorded_noise_is_a_stretch_of_a_file_repeated_where_it_is_too_short(tmp_path):
    (tmp_path / "below").mkdir()
    ramp = np.arange(1, 5001) / 8000
    soundfile.write(tmp_path / "below" / "ramp.wav", ramp, 16000, subtype="FLOAT")
    speech = 1e-4 * torch.ones(2, 12000)
    noisy, _ = NoiseFiles(folder=tmp_path, p=1.0, snr_db=[-10, -10])(speech, torch.tensor([12000, 2000]))
    share = 1 / (1 + 10 ** (-10 / 20))
    noise = (noisy - 1e-4 * (1 - share)).double()
    assert torch.corrcoef(torch.stack([noise[0, :5000], torch.from_numpy(ramp)]))[0, 1] > 0.9999
    torch.testing.assert_close(noise[0, 5000:10000], noise[0, :5000])
    steps = noise[1, :2000].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, float(steps.mean())), rtol=0.01, atol=1e-9)


def test_bands_are_dropped_as_speechbrain_drops_them():
    drop = DropFreq(drop_freq_low=0.3, drop_freq_high=0.3, drop_freq_count_low=2, drop_freq_count_high=2)
    noise = torch.randn(2, 4000)
    ours = without_bands(noise, torch.full((2, 2), 0.3), torch.tensor([2, 2]), width=0.05)
    torch.testing.assert_close(ours[:, 200:-200], drop(noise)[:, 200:-200], atol=1e-2, rtol=0)


def test_holes_lie_within_the_speech_and_are_as_long_as_they_may_be():
    counts = torch.tensor([16000, 3200])
    speech = torch.ones(2, 16000) * (torch.arange(16000) < counts[:, None])
    for _ in range(20):
        dropped, _ = ChunkDrop(p=1.0, most=2, chunk_ms=[20, 30])(speech, counts)
        for row, count in zip(dropped, counts.tolist()):
            assert 320 <= int((row[:count] == 0).sum()) <= 2 * 480


def test_masks_are_within_each_utterance_and_take_every_width_and_place():
    sizes = torch.full((4000,), 10)
    sizes[0] = 3
    found = masks(sizes, count=1, share=0.3, total=12)
    widths = found[1:].sum(dim=1)
    assert found[0, 3:].sum() == 0 and not found[:, 10:].any()
    np.testing.assert_allclose(np.bincount(widths, minlength=4) / 3999, 0.25, atol=0.03)  # 0, 1, 2, 3 alike
    begins = found[1:][widths == 3].int().argmax(dim=1)
    np.testing.assert_allclose(np.bincount(begins) / len(begins), 1 / 8, atol=0.04)  # 0 to 7 alike
    runs = found[1:].int().diff(dim=1, prepend=torch.zeros(3999, 1, dtype=torch.int)).clamp(min=0).sum(dim=1)
    assert (runs[widths > 0] == 1).all()


def test_masked_log_mels_become_the_mean_of_the_speech():
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0], [0.0, 0.0]])[None]  # mean 4; the last frame is padding
    changed, _ = SpecAugment(p=1.0, time_masks=30, band_masks=0, time_share=1.0)(features, torch.tensor([3]))
    assert changed.tolist() == [[[4.0, 4.0]] * 3]


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: SpeedChange(speeds=[]), r"speeds must be a list of percents, such as \[90, 110\], got \[\]"),
        (lambda: SpeedChange(speeds=[20]), r"speeds: each must be a number from 50 to 200, got 20"),
        (lambda: AddedNoise(snr_db=[20, 10]), r"snr_db must be \[low, high\]"),
        (lambda: AddedNoise(colour="blue"), r"colour must be one of white, pink, brown, any, got 'blue'"),
        (lambda: FrequencyDrop(most=0), r"most must be a whole number from 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
